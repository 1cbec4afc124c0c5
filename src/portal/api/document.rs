//! The OpenAPI document: collected from the handlers, finished with what all of them share.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderValue, header};
use utoipa::ToSchema;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, InfoBuilder, License, OpenApi, OpenApiBuilder, Ref, RefOr, ResponseBuilder,
};

use crate::portal::Portal;
use crate::portal::problem::ProblemBody;

/// What the document says of the API as a whole.
pub(super) fn about() -> OpenApi {
    let mut license = License::new("Apache-2.0");
    license.identifier = Some("Apache-2.0".to_owned());
    let info = InfoBuilder::new()
        .title("hallpass")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Just-in-time privilege: ask for a role, have it approved, hold it for a while, hand it back. \
             Instants are RFC 3339, spans like `1h 30m`. Unknown members are refused. Every command may carry an \
             `Idempotency-Key`. Problems are RFC 9457; the last part of `type` is a stable code.",
        ))
        .license(Some(license))
        .build();
    OpenApiBuilder::new().info(info).build()
}

/// Adds what every operation shares: the token it asks for, and the problem it may answer with.
pub(in crate::portal) fn finish(mut document: OpenApi) -> OpenApi {
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme(SCHEME, SecurityScheme::Http(bearer));
    let mut schemas = vec![(ProblemBody::name().into_owned(), <ProblemBody as utoipa::PartialSchema>::schema())];
    ProblemBody::schemas(&mut schemas);
    components.schemas.extend(schemas);
    document.security = Some(vec![SecurityRequirement::new(SCHEME, Vec::<String>::new())]);
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            let problem = ContentBuilder::new()
                .schema(Some(RefOr::<utoipa::openapi::Schema>::Ref(Ref::from_schema_name(ProblemBody::name()))))
                .build();
            let response = ResponseBuilder::new()
                .description("a problem; its status tells of which sort")
                .content("application/problem+json", problem)
                .build();
            operation.responses.responses.insert("default".to_owned(), RefOr::T(response));
        }
    }
    document
}

/// Serves the finished document; it is the same for everybody and needs no token.
pub(in crate::portal) fn router(document: OpenApi) -> Router<Portal> {
    let bytes = Bytes::from(serde_json::to_vec(&document).unwrap_or_default());
    Router::new().route("/api/openapi.json", get(move || async move { as_json(bytes) }))
}

const SCHEME: &str = "bearer";

fn as_json(bytes: Bytes) -> Response {
    let mut response = bytes.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}
