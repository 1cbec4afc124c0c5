//! Why a request cannot be read in exactly one way, and what its sender can do about it.

use http::StatusCode;

/// Why a request cannot be read in exactly one way, or asks for what no route ever offers.
///
/// No variant carries anything the client sent: what is told back is fixed text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BadRequest {
    /// A method nobody here knows, or a known one in another letter case.
    UnknownMethod,
    /// `CONNECT` or `TRACE`.
    MethodRefused,
    /// The target is `*`, an authority, or does not begin with a slash.
    TargetForm,
    /// No `Host`.
    HostMissing,
    /// More than one `Host`.
    HostRepeated,
    /// `Host` names no host.
    HostMalformed,
    /// The target's authority and `Host` name two hosts.
    HostMismatch,
    /// The path is longer than 8 KiB.
    PathTooLong,
    /// The path has more than 256 segments.
    PathTooDeep,
    /// A `.` or `..` segment, plain or escaped.
    DotSegment,
    /// Two slashes in a row.
    EmptySegment,
    /// An escaped slash or backslash on a route that does not keep them.
    EncodedSlash,
    /// A semicolon on a route that does not strip parameters, or an escaped one.
    PathParameters,
    /// A `%` without two hexadecimal digits.
    BrokenEscape,
    /// A character that no path may hold: control, space, backslash, or beyond ASCII without an escape.
    PathCharacter,
    /// The escapes are not UTF-8.
    PathNotUtf8,
    /// The application ignores letter case, and this letter has two.
    LetterCase,
    /// A character beyond ASCII in the query without an escape.
    QueryCharacter,
    /// A header name with an underscore.
    HeaderName,
    /// A header that decides something holds bytes that are no text.
    HeaderUnreadable,
    /// A header that may come once came twice.
    HeaderRepeated,
    /// Several `Authorization` lines, or one that is no text.
    Credentials,
    /// `Connection` names a header that only hallpass may set, or one without which the request means something else.
    ConnectionHeader,
    /// `Content-Length` is no single number, or stands beside `Transfer-Encoding`.
    ContentLength,
    /// `Transfer-Encoding` is not exactly one `chunked`, or was sent with HTTP/1.0.
    TransferEncoding,
    /// `Expect` is not `100-continue`.
    Expectation,
    /// An upgrade with a body, to several protocols, or to `websocket` without a proper handshake.
    Upgrade,
    /// Trusted proxies contradict each other about the client, or name an address that is none.
    Forwarding,
    /// The head is longer than allowed, or has too many fields.
    HeadTooLarge,
    /// The bytes are no HTTP.
    Malformed,
}

/// What is told about one kind of bad request.
struct Telling {
    status: StatusCode,
    code: &'static str,
    detail: &'static str,
}

impl BadRequest {
    /// Every kind, for tables.
    pub const ALL: [Self; 30] = [
        Self::UnknownMethod,
        Self::MethodRefused,
        Self::TargetForm,
        Self::HostMissing,
        Self::HostRepeated,
        Self::HostMalformed,
        Self::HostMismatch,
        Self::PathTooLong,
        Self::PathTooDeep,
        Self::DotSegment,
        Self::EmptySegment,
        Self::EncodedSlash,
        Self::PathParameters,
        Self::BrokenEscape,
        Self::PathCharacter,
        Self::PathNotUtf8,
        Self::LetterCase,
        Self::QueryCharacter,
        Self::HeaderName,
        Self::HeaderUnreadable,
        Self::HeaderRepeated,
        Self::Credentials,
        Self::ConnectionHeader,
        Self::ContentLength,
        Self::TransferEncoding,
        Self::Expectation,
        Self::Upgrade,
        Self::Forwarding,
        Self::HeadTooLarge,
        Self::Malformed,
    ];

    /// The status that tells it.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        self.telling().status
    }

    /// Its stable name: in problem types, logs and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.telling().code
    }

    /// What is wrong and what to do about it, in one sentence or two.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        self.telling().detail
    }

    const fn telling(self) -> Telling {
        const fn bad(code: &'static str, detail: &'static str) -> Telling {
            Telling { status: StatusCode::BAD_REQUEST, code, detail }
        }
        const fn with(status: StatusCode, code: &'static str, detail: &'static str) -> Telling {
            Telling { status, code, detail }
        }
        match self {
            Self::UnknownMethod => with(
                StatusCode::NOT_IMPLEMENTED,
                "unknown_method",
                "this method is not known here; methods are case-sensitive, as in `GET`",
            ),
            Self::MethodRefused => {
                with(StatusCode::METHOD_NOT_ALLOWED, "method_refused", "`CONNECT` and `TRACE` are never passed on")
            }
            Self::TargetForm => {
                bad("target_form", "the request target must be a path that begins with one slash, as in `GET /path`")
            }
            Self::HostMissing => bad("host_missing", "the request names no host; send one `Host` header"),
            Self::HostRepeated => bad("host_repeated", "the request names several hosts; send one `Host` header"),
            Self::HostMalformed => bad(
                "host_malformed",
                "`Host` must be a name or an address and, if need be, a port, as in `shop.example:8443`",
            ),
            Self::HostMismatch => bad("host_mismatch", "the request target and `Host` name different hosts"),
            Self::PathTooLong => with(StatusCode::URI_TOO_LONG, "path_too_long", "a path may have 8192 bytes at most"),
            Self::PathTooDeep => {
                with(StatusCode::URI_TOO_LONG, "path_too_deep", "a path may have 256 segments at most")
            }
            Self::DotSegment => {
                bad("dot_segment", "the path has a `.` or `..` segment; send the path it leads to instead")
            }
            Self::EmptySegment => bad("empty_segment", "the path has two slashes in a row; send one"),
            Self::EncodedSlash => {
                bad("encoded_slash", "the path has an escaped slash or backslash, which this route does not accept")
            }
            Self::PathParameters => bad(
                "path_parameters",
                "the path has a semicolon, which this route does not accept; an escaped semicolon is accepted nowhere",
            ),
            Self::BrokenEscape => bad(
                "broken_escape",
                "the path has a `%` without two hexadecimal digits; a percent sign is written `%25`",
            ),
            Self::PathCharacter => bad(
                "path_character",
                "the path has a character that no path may hold; send spaces and letters beyond ASCII as escaped UTF-8",
            ),
            Self::PathNotUtf8 => bad("path_not_utf8", "the escapes in the path are not UTF-8"),
            Self::LetterCase => bad(
                "letter_case",
                "the path has a letter whose upper or lower case is an ASCII letter; here letter case does not count, so this is refused",
            ),
            Self::QueryCharacter => {
                bad("query_character", "the query has a character beyond ASCII; send it as escaped UTF-8")
            }
            Self::HeaderName => bad(
                "header_name",
                "a header name has an underscore, which applications mistake for a dash; send the name with dashes",
            ),
            Self::HeaderUnreadable => {
                bad("header_unreadable", "a header that decides something holds bytes that are no text")
            }
            Self::HeaderRepeated => bad("header_repeated", "a header that may be sent once was sent several times"),
            Self::Credentials => {
                bad("ambiguous_credential", "send exactly one credential, as `Authorization: Bearer …`")
            }
            Self::ConnectionHeader => bad(
                "connection_header",
                "`Connection` names a header that belongs to the whole request, not to the connection",
            ),
            Self::ContentLength => bad(
                "content_length",
                "`Content-Length` must be one plain number and not stand beside `Transfer-Encoding`",
            ),
            Self::TransferEncoding => {
                bad("transfer_encoding", "`Transfer-Encoding` must be exactly one `chunked`, and needs HTTP/1.1")
            }
            Self::Expectation => {
                with(StatusCode::EXPECTATION_FAILED, "expectation", "`Expect` may only be `100-continue`")
            }
            Self::Upgrade => bad(
                "upgrade",
                "an upgrade names one protocol and has no body; `websocket` needs `GET`, version 13 and one key",
            ),
            Self::Forwarding => {
                bad("forwarding", "the forwarding headers contradict each other or name an address that is none")
            }
            Self::HeadTooLarge => with(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "head_too_large",
                "the request's headers are too long or too many; often a cookie has grown too large",
            ),
            Self::Malformed => bad("malformed", "the request is not valid HTTP"),
        }
    }
}
