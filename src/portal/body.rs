//! Reading what the request says: JSON bodies, queries and paths, strictly, with the place of every fault.

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_path_to_error::{Path as JsonPath, Segment};

use crate::portal::Portal;
use crate::portal::problem::{Kind, Problem};

/// A JSON body, with the bytes it came in.
pub(super) struct Json<T> {
    pub(super) value: T,
    pub(super) bytes: Bytes,
}

/// A JSON body that may be left out.
pub(super) struct OptionalJson<T> {
    pub(super) value: T,
    pub(super) bytes: Bytes,
}

/// The query, in which unknown members are faults.
pub(super) struct Asked<T>(pub(super) T);

/// The one parameter of the path, parsed; what does not parse names nothing that exists.
pub(super) struct Named<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Portal> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, portal: &Portal) -> Result<Self, Problem> {
        let bytes = read(request, portal.shared.parts.settings.limits.body_bytes_max, Presence::Required).await?;
        Ok(Self { value: parse(&bytes)?, bytes })
    }
}

impl<T: DeserializeOwned + Default> FromRequest<Portal> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, portal: &Portal) -> Result<Self, Problem> {
        let bytes = read(request, portal.shared.parts.settings.limits.body_bytes_max, Presence::Optional).await?;
        let value = if bytes.is_empty() { T::default() } else { parse(&bytes)? };
        Ok(Self { value, bytes })
    }
}

impl<T: DeserializeOwned> FromRequestParts<Portal> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Portal) -> Result<Self, Problem> {
        Query::try_from_uri(&parts.uri).map(|Query(query)| Self(query)).map_err(|rejection| {
            let text = rejection.body_text();
            let plain = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
            Problem::new(Kind::INVALID_QUERY, plain)
        })
    }
}

impl<T: std::str::FromStr + Send> FromRequestParts<Portal> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, portal).await.map_err(|_| Problem::unknown())?;
        text.parse().map(Self).map_err(|_| Problem::unknown())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Required,
    Optional,
}

/// The bytes of the body; empty only where it may be left out.
async fn read(request: Request, bytes_max: usize, presence: Presence) -> Result<Bytes, Problem> {
    let (parts, body) = request.into_parts();
    let declared = is_json(&parts.headers);
    let bytes = match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => {
            return Err(Problem::new(Kind::BODY_TOO_LARGE, format!("the body is longer than {bytes_max} bytes")));
        }
        Err(_) => return Err(Problem::new(Kind::INVALID_BODY, "the body could not be read to its end")),
    };
    let may_be_nothing = presence == Presence::Optional && bytes.is_empty();
    // also for an empty body: a form that a page sends elsewhere is never taken for a command
    if declared == Declared::Json || (may_be_nothing && declared == Declared::Nothing) {
        Ok(bytes)
    } else {
        Err(Problem::new(Kind::UNSUPPORTED_MEDIA_TYPE, "send `Content-Type: application/json`"))
    }
}

#[derive(PartialEq, Eq)]
enum Declared {
    Nothing,
    Json,
    Else,
}

fn is_json(headers: &HeaderMap) -> Declared {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return if headers.contains_key(CONTENT_TYPE) { Declared::Else } else { Declared::Nothing };
    };
    let text = value.to_str().unwrap_or_default();
    let (media_type, parameters) = text.split_once(';').unwrap_or((text, ""));
    let charset = parameters.trim();
    let fits = media_type.trim().eq_ignore_ascii_case("application/json")
        && (charset.is_empty() || charset.eq_ignore_ascii_case("charset=utf-8"));
    if fits { Declared::Json } else { Declared::Else }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer(error.path());
        Problem::member(Kind::INVALID_BODY, pointer, plain(&error.into_inner()))
    })?;
    deserializer.end().map_err(|error| Problem::new(Kind::INVALID_BODY, plain(&error)))?;
    Ok(value)
}

/// The message; without the place in the text where the pointer tells it better.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match error.classify() {
        Category::Syntax | Category::Eof => format!("the body is not JSON: {text}"),
        Category::Data | Category::Io => {
            text.rsplit_once(" at line ").map_or(text.clone(), |(message, _)| message.to_owned())
        }
    }
}

fn pointer(path: &JsonPath) -> String {
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => format!("/{variant}"),
            Segment::Unknown => String::new(),
        })
        .collect()
}
