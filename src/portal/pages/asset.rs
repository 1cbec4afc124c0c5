//! The stylesheet, the script and the icon: served under names that carry their content's hash, so that they never change.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use http::{HeaderName, HeaderValue, header};

use crate::portal::problem::Problem;

/// One file of the portal.
struct Asset {
    path: String,
    media_type: &'static str,
    content: &'static str,
}

/// Where the stylesheet is.
pub(in crate::portal) fn style_path() -> &'static str {
    &STYLE.path
}

/// Where the script is.
pub(in crate::portal) fn script_path() -> &'static str {
    &SCRIPT.path
}

/// Where the icon is.
pub(in crate::portal) fn icon_path() -> &'static str {
    &ICON.path
}

/// Answers with the asset of exactly this name.
pub(super) async fn serve(name: Result<Path<String>, axum::extract::rejection::PathRejection>) -> Response {
    let named = name.ok().map(|Path(name)| format!("{FOLDER}{name}"));
    let asset = [&STYLE, &SCRIPT, &ICON].into_iter().find(|asset| named.as_ref() == Some(&asset.path));
    let Some(asset) = asset else { return Problem::unknown().into_response() };
    let headers: [(HeaderName, HeaderValue); 2] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static(FOREVER)),
    ];
    (headers, asset.content).into_response()
}

/// How an asset may be kept.
pub(in crate::portal) const FOREVER: &str = "public, max-age=31536000, immutable";
const FOLDER: &str = "/assets/";

static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("style", "css", "text/css; charset=utf-8", concat!(include_str!("style.css"), include_str!("desk.css")))
});
static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("script", "js", "text/javascript; charset=utf-8", include_str!("script.js")));
static ICON: LazyLock<Asset> = LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("icon.svg")));

impl Asset {
    fn new(name: &str, extension: &str, media_type: &'static str, content: &'static str) -> Self {
        let hash: String = HEXLOWER.encode(digest(&SHA256, content.as_bytes()).as_ref()).chars().take(16).collect();
        Self { path: format!("{FOLDER}{name}-{hash}.{extension}"), media_type, content }
    }
}
