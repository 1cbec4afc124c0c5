//! Forms as browsers send them: `application/x-www-form-urlencoded`, read strictly, and only from our own pages.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use axum::extract::{FromRequest, Request};
use data_encoding::HEXLOWER;
use http::header;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use maud::{Markup, html};
use percent_encoding::percent_decode;

use crate::clock::parse_rfc3339;
use crate::domain::time::Timestamp;
use crate::portal::Portal;
use crate::portal::pages::fault::Faults;
use crate::portal::problem::{Kind, Problem};
use crate::store::Idempotency;

/// What a form sent, before it is known which fields it may have.
#[derive(Debug)]
pub(in crate::portal) struct Posted {
    pairs: Vec<(String, String)>,
}

/// What a form sent: only fields it may have, each at most once unless it may repeat.
#[derive(Debug, Default)]
pub(in crate::portal) struct Fields {
    pairs: Vec<(String, String)>,
}

impl FromRequest<Portal> for Posted {
    type Rejection = Problem;

    async fn from_request(request: Request, portal: &Portal) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        // that it names no other origin was checked for every request; every browser names one with a form
        if !parts.headers.contains_key(header::ORIGIN) {
            return Err(Problem::new(Kind::CROSS_SITE, "a form is sent by a browser, from a page of this portal"));
        }
        if !is_form(parts.headers.get_all(header::CONTENT_TYPE).iter()) {
            return Err(Problem::new(
                Kind::UNSUPPORTED_MEDIA_TYPE,
                "send `Content-Type: application/x-www-form-urlencoded`; JSON is understood below `/api/v1`",
            ));
        }
        let bytes_max = portal.shared.parts.settings.limits.body_bytes_max;
        match Limited::new(body, bytes_max).collect().await {
            Ok(collected) => Ok(Self { pairs: decode(&collected.to_bytes())? }),
            Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => {
                Err(Problem::new(Kind::BODY_TOO_LARGE, format!("the form is longer than {bytes_max} bytes")))
            }
            Err(_) => Err(Problem::new(Kind::INVALID_BODY, "the form could not be read to its end")),
        }
    }
}

impl Posted {
    /// The fields, of which each of `once` may come at most once and each of `repeated` many times.
    pub(in crate::portal) fn fields(self, once: &[&str], repeated: &[&str]) -> Result<Fields, Problem> {
        for (index, (name, _)) in self.pairs.iter().enumerate() {
            let again = self.pairs.iter().take(index).any(|(earlier, _)| earlier == name);
            let fault = match (once.contains(&name.as_str()), again) {
                (true, false) => None,
                (true, true) => Some("the form has this field twice"),
                (false, _) => (!repeated.contains(&name.as_str())).then_some("the form has no such field"),
            };
            if let Some(fault) = fault {
                let shown: String = name.chars().take(NAME_SHOWN_MAX).collect();
                return Err(Problem::member(Kind::INVALID_BODY, format!("/{shown}"), fault));
            }
        }
        Ok(Fields { pairs: self.pairs })
    }
}

impl Fields {
    /// The text of a field as it was typed, with line breaks as `\n`; empty when it was not sent.
    pub(in crate::portal) fn text(&self, name: &str) -> &str {
        self.pairs.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }

    /// The text of a field without white space around it; nothing when there is no other.
    pub(in crate::portal) fn filled(&self, name: &str) -> Option<&str> {
        Some(self.text(name).trim()).filter(|text| !text.is_empty())
    }

    /// Every value of a field that may repeat.
    pub(in crate::portal) fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.pairs.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The moment in a field as `datetime-local` inputs send it, in the zone of the field `offset` (UTC without one), or
    /// as RFC 3339; what is none is told in `faults`.
    pub(in crate::portal) fn moment(&self, name: &str, faults: &mut Faults) -> Option<Timestamp> {
        let text = self.filled(name)?;
        match moment(text, self.filled("offset").unwrap_or("+00:00")) {
            Some(at) => Some(at),
            None => {
                faults.add(name, format!("`{text}` is not a date and time like `2026-11-23T08:30`"));
                None
            }
        }
    }

    /// The moment in a field of a form that has several, of which this is number `index`, counted from 0: each sends the
    /// offset of its own day.
    pub(in crate::portal) fn moment_of(&self, name: &str, index: usize, faults: &mut Faults) -> Option<Timestamp> {
        let text = self.filled(name)?;
        let offset = self.all("offset").nth(index).map(str::trim).filter(|offset| !offset.is_empty());
        let at = moment(text, offset.unwrap_or("+00:00"));
        if at.is_none() {
            faults.add(name, format!("`{text}` is not a date and time like `2026-11-23T08:30`"));
        }
        at
    }

    /// Makes the same form, sent twice, one command: its hidden field [`once`] with all that was filled in. A form that was
    /// changed and sent again is another command.
    pub(in crate::portal) fn idempotency(&self, about: &str) -> Option<Idempotency> {
        let once = self.filled(ONCE)?;
        let mut bytes = framed(about);
        for (name, value) in &self.pairs {
            bytes.extend(framed(name));
            bytes.extend(framed(value));
        }
        let hash = digest(&SHA256, &bytes);
        let mut sum = [0; 32];
        for (to, from) in sum.iter_mut().zip(hash.as_ref()) {
            *to = *from;
        }
        (once.len() <= ONCE_CHARACTERS)
            .then(|| Idempotency { key: format!("form-{}", HEXLOWER.encode(&sum)), digest: sum })
    }
}

/// The hidden field that tells one showing of a form from another.
pub(in crate::portal) fn once() -> Markup {
    let mut bits = [0; ONCE_CHARACTERS / 2];
    // without random bits the form still works; only sending it twice counts twice
    let drawn = rand::fill(&mut bits).is_ok();
    html! { @if drawn { input type="hidden" name=(ONCE) value=(HEXLOWER.encode(&bits)); } }
}

/// The name of the field that [`once`] makes; every form that has it lists it among its own.
pub(in crate::portal) const ONCE: &str = "once";
const ONCE_CHARACTERS: usize = 32;
/// No form has more; many selected lines among them.
const PAIRS_MAX: usize = 500;
const NAME_SHOWN_MAX: usize = 64;

/// A page's query, read like a form: what it names besides is left alone, for links grow on their way.
pub(in crate::portal) fn query(text: Option<&str>) -> Fields {
    Fields { pairs: decode(text.unwrap_or_default().as_bytes()).unwrap_or_default() }
}

/// One value for a URL's query.
pub(in crate::portal) fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// `path` with those of `pairs` that hold something as its query.
pub(in crate::portal) fn url(path: &str, pairs: &[(&str, &str)]) -> String {
    let query: Vec<String> = pairs
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
}

/// Names and values of the URL standard's form encoding; other than there, text that is not UTF-8 is refused.
fn decode(bytes: &[u8]) -> Result<Vec<(String, String)>, Problem> {
    let mut pairs = Vec::new();
    for pair in bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        if pairs.len() == PAIRS_MAX {
            return Err(Problem::new(Kind::INVALID_BODY, format!("the form has more than {PAIRS_MAX} fields")));
        }
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let (name, value) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
        pairs.push((text(name)?, text(value)?.replace("\r\n", "\n")));
    }
    Ok(pairs)
}

fn text(encoded: &[u8]) -> Result<String, Problem> {
    let spaced: Vec<u8> = encoded.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let text = percent_decode(&spaced).decode_utf8().map(std::borrow::Cow::into_owned);
    text.map_err(|_| Problem::new(Kind::INVALID_BODY, "the form holds text that is not UTF-8"))
}

fn is_form<'v>(mut values: impl Iterator<Item = &'v http::HeaderValue>) -> bool {
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let text = value.to_str().unwrap_or_default();
    let (media_type, parameters) = text.split_once(';').unwrap_or((text, ""));
    let charset = parameters.trim();
    media_type.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
        && (charset.is_empty() || charset.eq_ignore_ascii_case("charset=utf-8"))
}

fn moment(text: &str, offset: &str) -> Option<Timestamp> {
    let plain = parse_rfc3339(text).ok();
    // a `datetime-local` input leaves out seconds that are zero
    let local = || {
        let seconds = if text.len() == "2026-11-23T08:30".len() { ":00" } else { "" };
        parse_rfc3339(&format!("{text}{seconds}{offset}")).ok()
    };
    plain.or_else(local)
}

/// Text after its length: no two lists of texts share their bytes.
fn framed(text: &str) -> Vec<u8> {
    let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Fields, Problem> {
        Posted { pairs: decode(body.as_bytes())? }.fields(&["role", "why", "starts_at", "offset", ONCE], &["line"])
    }

    #[test]
    fn fields_are_decoded_as_browsers_encode_them() {
        let fields = read("role=shop%2Fvault&why=a+%2B+b%0D%0Ac+%C3%BC&line=1&line=2&").unwrap();
        assert_eq!((fields.text("role"), fields.text("why")), ("shop/vault", "a + b\nc ü"));
        assert_eq!(fields.all("line").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((fields.text("ticket"), fields.filled("ticket")), ("", None));
        assert_eq!(read("why=%20%0A").unwrap().filled("why"), None);
    }

    #[test]
    fn what_no_page_of_ours_sends_is_refused() {
        for body in ["state=active", "role=a&role=b", "role=%FF", "%FF=1", &"line=1&".repeat(501)] {
            assert_eq!(read(body).unwrap_err().code(), "invalid_body", "{body}");
        }
        assert!(read(&"line=1&".repeat(500)).is_ok());
    }

    #[test]
    fn moments_are_local_to_the_offset_that_came_along() {
        let read = |body: &str| {
            let mut faults = Faults::default();
            let at = read(body).unwrap().moment("starts_at", &mut faults);
            (at.map(Timestamp::as_seconds), faults.of("starts_at").len())
        };
        let at = Some(1_795_404_600);
        assert_eq!(read("starts_at=2026-11-23T03:30"), (at, 0));
        assert_eq!(read("starts_at=2026-11-23T04:30&offset=%2B01:00"), (at, 0));
        assert_eq!(read("starts_at=2026-11-23T04:30:00&offset=%2B01:00"), (at, 0));
        assert_eq!(read("starts_at=2026-11-23T04:30:00%2B01:00"), (at, 0));
        assert_eq!(read("starts_at="), (None, 0));
        for wrong in ["tomorrow", "2026-13-01T00:00", "2026-11-23"] {
            assert_eq!(read(&format!("starts_at={wrong}")), (None, 1), "{wrong}");
        }
        assert_eq!(read("starts_at=2026-11-23T04:30&offset=ü"), (None, 1));
    }

    #[test]
    fn the_same_form_twice_is_one_command_and_a_changed_one_another() {
        let key = |body: &str, about: &str| read(body).unwrap().idempotency(about);
        let first = key("once=abc&why=x", "request");
        assert!(first.is_some());
        assert_eq!(first, key("once=abc&why=x", "request"));
        assert_ne!(first, key("once=abc&why=y", "request"));
        assert_ne!(first, key("once=abd&why=x", "request"));
        assert_ne!(first, key("once=abc&why=x", "extend act_1"));
        assert_eq!(key("why=x", "request"), None);
    }

    #[test]
    fn only_the_forms_own_media_type_is_read() {
        let reads = |values: &[&'static str]| {
            let values: Vec<_> = values.iter().map(|value| http::HeaderValue::from_static(value)).collect();
            is_form(values.iter())
        };
        assert!(reads(&["application/x-www-form-urlencoded"]));
        assert!(reads(&["Application/X-WWW-Form-Urlencoded; charset=UTF-8"]));
        for wrong in [&[][..], &["text/plain"], &["multipart/form-data"], &["application/json"]] {
            assert!(!reads(wrong), "{wrong:?}");
        }
        assert!(!reads(&["application/x-www-form-urlencoded"; 2]));
    }

    #[test]
    fn a_url_holds_only_what_there_is() {
        assert_eq!(url("/activate", &[]), "/activate");
        assert_eq!(
            url("/activate", &[("role", "a/b"), ("ticket", ""), ("why", "ü &")]),
            "/activate?role=a%2Fb&why=%C3%BC%20%26"
        );
    }
}
