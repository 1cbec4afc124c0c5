//! What is read one way, what is refused, and properties of every path whatever it is made of.

use bytes::Bytes;
use http::{Request, Uri};
use proptest::prelude::*;

use super::*;

fn parts(method: &str, target: &str, headers: &[(&str, &str)]) -> Option<Parts> {
    // as hyper reads it
    let uri = Uri::from_maybe_shared(Bytes::copy_from_slice(target.as_bytes())).ok()?;
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    Some(request.body(()).unwrap().into_parts().0)
}

fn get(target: &str, spelling: Spelling) -> Result<Canonical, BadRequest> {
    let settings = CanonicalSettings { spelling, ..CanonicalSettings::default() };
    let parts = parts("GET", target, &[("host", "shop.test")]).ok_or(BadRequest::Malformed)?;
    canonicalise(&parts, &settings)
}

fn path(target: &str) -> Result<String, BadRequest> {
    get(target, Spelling::default()).map(|canonical| canonical.path().to_owned())
}

fn with(headers: &[(&str, &str)]) -> Result<Canonical, BadRequest> {
    let mut all = vec![("host", "shop.test")];
    all.extend_from_slice(headers);
    canonicalise(&parts("POST", "/open/", &all).unwrap(), &CanonicalSettings::default())
}

#[test]
fn a_path_is_read_one_way_or_not_at_all() {
    use BadRequest as B;
    let deep = "/a".repeat(256);
    let table: Vec<(&str, Result<&str, BadRequest>)> = vec![
        ("/", Ok("/")),
        ("/open/k", Ok("/open/k")),
        ("/open/", Ok("/open/")),
        ("/open/k?a=/vault/../%zz;", Ok("/open/k")),
        ("/%6fpen/%7Euser", Ok("/open/~user")),
        ("/open/a%20b%c3%a4", Ok("/open/a%20b%C3%A4")),
        ("/open/%252fvault", Ok("/open/%252fvault")),
        ("/open/%21%3f%23", Ok("/open/%21%3F%23")),
        ("/open/...", Ok("/open/...")),
        ("/open/.a", Ok("/open/.a")),
        ("/open/{a}|[b]", Ok("/open/%7Ba%7D%7C%5Bb%5D")),
        (&deep, Ok(&deep)),
        ("/open/../vault/k", Err(B::DotSegment)),
        ("/open/%2E%2E/vault/k", Err(B::DotSegment)),
        ("/open/.%2e/vault", Err(B::DotSegment)),
        ("/open/./k", Err(B::DotSegment)),
        ("/open/..", Err(B::DotSegment)),
        ("/..", Err(B::DotSegment)),
        ("/open/a%2Fb", Err(B::EncodedSlash)),
        ("/open/a%5cb", Err(B::EncodedSlash)),
        ("/open/..%2fvault", Err(B::EncodedSlash)),
        ("/open//k", Err(B::EmptySegment)),
        ("//open/k", Err(B::EmptySegment)),
        ("//", Err(B::EmptySegment)),
        ("/open/k//", Err(B::EmptySegment)),
        ("/vault;v=2/k", Err(B::PathParameters)),
        ("/open/..;/vault", Err(B::PathParameters)),
        ("/open/;", Err(B::PathParameters)),
        ("/vault%3bv=2/k", Err(B::PathParameters)),
        ("/open/%", Err(B::BrokenEscape)),
        ("/open/%2", Err(B::BrokenEscape)),
        ("/open/%zz", Err(B::BrokenEscape)),
        ("/open/%+1", Err(B::BrokenEscape)),
        ("/open/%00", Err(B::PathCharacter)),
        ("/open/%0d%0aX:1", Err(B::PathCharacter)),
        ("/open/%7f", Err(B::PathCharacter)),
        ("/open/%c2%85", Err(B::PathCharacter)),
        ("/open/stra\u{df}e", Err(B::PathCharacter)),
        ("/open/%c0%ae%c0%ae/vault", Err(B::PathNotUtf8)),
        ("/open/%ff", Err(B::PathNotUtf8)),
        ("/open/%ed%a0%80", Err(B::PathNotUtf8)),
        ("/a b", Err(B::Malformed)),
        ("/a\\b", Err(B::PathCharacter)),
        ("/k?\u{e4}", Err(B::QueryCharacter)),
        ("*", Err(B::TargetForm)),
        ("?a", Err(B::TargetForm)),
        ("shop.test:80", Err(B::TargetForm)),
        ("shop.test", Err(B::TargetForm)),
    ];
    for (target, expected) in table {
        let read = path(target);
        // what http itself refuses never gets here
        let refused_before = read == Err(B::Malformed) && expected.is_err();
        assert!(refused_before || read == expected.map(str::to_owned), "{target}: {read:?}, not {expected:?}");
    }
    assert_eq!(path(&"/a".repeat(257)), Err(B::PathTooDeep));
    assert_eq!(path(&"/a".repeat(10_000)), Err(B::PathTooLong));
    assert_eq!(path(&format!("/{}", "a".repeat(path::PATH_BYTES_MAX))), Err(B::PathTooLong));
    assert_eq!(path(&format!("/{}", "[".repeat(path::PATH_BYTES_MAX - 1))), Err(B::PathTooLong), "escapes count");
}

#[test]
fn routes_may_keep_slashes_and_strip_parameters() {
    let keep = Spelling { encoded_slashes: EncodedSlashes::Keep, ..Spelling::default() };
    let kept = get("/open/a%2fb%5Cc", keep.clone()).unwrap();
    assert_eq!((kept.path(), kept.key()), ("/open/a%2Fb%5Cc", "/open/a\0b\\c"));
    assert_eq!(kept.check_options(EncodedSlashes::Refuse, PathParameters::Strip), Err(BadRequest::EncodedSlash));
    for hidden in ["/.hallpass%2Fstatus", "/%2ehallpass%5cstatus", "/.hallpass%2f"] {
        assert_eq!(get(hidden, keep.clone()).unwrap().reserved(), Some(""), "nobody's: {hidden}");
    }
    for climbing in ["/open/..%2fvault", "/open/a%2f..%2f..%2fvault", "/open/%2e%2E%5cvault", "/open/a%5C."] {
        assert_eq!(get(climbing, keep.clone()).unwrap_err(), BadRequest::DotSegment, "{climbing}");
    }

    let strip = Spelling { parameters: PathParameters::Strip, ..Spelling::default() };
    let stripped = get("/vault;v=2/k;a;b?q;r", strip.clone()).unwrap();
    assert_eq!((stripped.path(), stripped.query()), ("/vault/k", Some("q;r")));
    assert_eq!(stripped.target(), "/vault/k?q;r");
    assert_eq!(stripped.check_options(EncodedSlashes::Keep, PathParameters::Refuse), Err(BadRequest::PathParameters));
    for (target, why) in [
        ("/open/..;/vault", BadRequest::DotSegment),
        ("/open/%2e.;x/vault", BadRequest::DotSegment),
        ("/open/;x/vault", BadRequest::EmptySegment),
        ("/open/%3bx/vault", BadRequest::PathParameters),
    ] {
        assert_eq!(get(target, strip.clone()).unwrap_err(), why, "{target}");
    }
}

#[test]
fn where_case_is_ignored_the_key_is_folded_and_the_text_is_not() {
    let ignored = Spelling { case: Case::Ignored, ..Spelling::default() };
    for (target, key) in
        [("/Vault/K", "/vault/k"), ("/%56AULT", "/vault"), ("/%C3%84", "/\u{e4}"), ("/%CE%A3%CF%82", "/\u{3c3}\u{3c3}")]
    {
        assert_eq!(get(target, ignored.clone()).unwrap().key(), key, "{target}");
    }
    assert_eq!(get("/Vault/K", ignored.clone()).unwrap().path(), "/Vault/K");
    // Kelvin sign, long s, dotted capital i, sharp s
    for target in ["/%E2%84%AA", "/%C5%BF", "/%C4%B0", "/%C3%9F"] {
        assert_eq!(get(target, ignored.clone()).unwrap_err(), BadRequest::LetterCase, "{target}");
    }
}

#[test]
fn the_reserved_prefix_is_found_on_the_canonical_path_only() {
    let ignored = Spelling { case: Case::Ignored, ..Spelling::default() };
    let reserved = |target: &str, spelling: &Spelling| {
        get(target, spelling.clone()).map(|canonical| canonical.reserved().map(str::to_owned))
    };
    for (target, expected) in [
        ("/.hallpass", Some("")),
        ("/.hallpass/", Some("")),
        ("/.hallpass/status", Some("status")),
        ("/%2Ehallpass/statu%73", Some("status")),
        ("/.hallpassx", None),
        ("/.Hallpass/status", None),
        ("/a/.hallpass/status", None),
    ] {
        assert_eq!(reserved(target, &Spelling::default()), Ok(expected.map(str::to_owned)), "{target}");
    }
    assert_eq!(reserved("/.HallPass/status", &ignored), Ok(Some("status".to_owned())));
    for target in ["/.hallpass/%2e/x", "//.hallpass/x", "/.hallpass;a/x", "/.hallpass%2fx"] {
        assert!(reserved(target, &Spelling::default()).is_err(), "{target}");
    }
}

#[test]
fn methods_are_known_letter_by_letter() {
    let read = |method: &str, methods: Vec<Method>| {
        let spelling = Spelling { methods, ..Spelling::default() };
        let settings = CanonicalSettings { spelling, ..CanonicalSettings::default() };
        canonicalise(&parts(method, "/open/", &[("host", "shop.test")]).unwrap(), &settings).map(|read| read.method)
    };
    for method in METHODS {
        assert_eq!(read(method.as_str(), vec![]), Ok(method.clone()));
        assert_eq!(read(&method.as_str().to_ascii_lowercase(), vec![]), Err(BadRequest::UnknownMethod));
    }
    for method in ["pOST", "Get", "PROPFIND", "GETS", "X", "QUERY"] {
        assert_eq!(read(method, vec![]), Err(BadRequest::UnknownMethod), "{method}");
    }
    for method in ["CONNECT", "TRACE"] {
        let named = Method::from_bytes(method.as_bytes()).unwrap();
        assert_eq!(read(method, vec![named]), Err(BadRequest::MethodRefused));
    }
    let propfind = Method::from_bytes(b"PROPFIND").unwrap();
    assert_eq!(read("PROPFIND", vec![propfind.clone()]), Ok(propfind));
}

#[test]
fn there_is_one_host_and_the_target_agrees_with_it() {
    let host = |target: &str, hosts: &[&str]| {
        let headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        canonicalise(&parts("GET", target, &headers).unwrap(), &CanonicalSettings::default())
            .map(|read| read.host.name().to_owned())
    };
    assert_eq!(host("/", &["Shop.Test."]), Ok("shop.test".to_owned()));
    assert_eq!(host("http://shop.test/open/", &["Shop.Test"]), Ok("shop.test".to_owned()));
    for (target, hosts, why) in [
        ("/", &[][..], BadRequest::HostMissing),
        ("/", &["shop.test", "shop.test"], BadRequest::HostRepeated),
        ("/", &["shop.test, evil.test"], BadRequest::HostMalformed),
        ("/", &[""], BadRequest::HostMalformed),
        ("/", &["shop\u{e4}.test"], BadRequest::HostMalformed),
        ("http://evil.test/open/", &["shop.test"], BadRequest::HostMismatch),
        ("http://shop.test:81/open/", &["shop.test"], BadRequest::HostMismatch),
        ("http://shop.test/open/", &[], BadRequest::HostMissing),
        ("http://user@shop.test/open/", &["shop.test"], BadRequest::TargetForm),
        ("ftp://shop.test/open/", &["shop.test"], BadRequest::TargetForm),
        ("http://shop.test?x", &["shop.test"], BadRequest::TargetForm),
    ] {
        assert_eq!(host(target, hosts), Err(why), "{target} {hosts:?}");
    }
}

#[test]
fn http_2_may_name_the_host_in_the_target_alone() {
    let mut read = parts("GET", "https://Shop.test/open/", &[]).unwrap();
    read.version = Version::HTTP_2;
    assert_eq!(canonicalise(&read, &CanonicalSettings::default()).unwrap().host.name(), "shop.test");
    read.headers.insert("host", HeaderValue::from_static("evil.test"));
    assert_eq!(canonicalise(&read, &CanonicalSettings::default()).unwrap_err(), BadRequest::HostMismatch);
}

#[test]
fn lengths_codings_and_expectations_have_one_meaning() {
    use BadRequest as B;
    for (headers, why) in [
        (&[("content-length", "7"), ("content-length", "8")][..], B::ContentLength),
        (&[("content-length", "7"), ("content-length", "7")], B::ContentLength),
        (&[("content-length", "7, 7")], B::ContentLength),
        (&[("content-length", "+7")], B::ContentLength),
        (&[("content-length", "-0")], B::ContentLength),
        (&[("content-length", "0x7")], B::ContentLength),
        (&[("content-length", "")], B::ContentLength),
        (&[("content-length", "18446744073709551616")], B::ContentLength),
        (&[("content-length", "7"), ("transfer-encoding", "chunked")], B::ContentLength),
        (&[("transfer-encoding", "gzip")], B::TransferEncoding),
        (&[("transfer-encoding", "gzip, chunked")], B::TransferEncoding),
        (&[("transfer-encoding", "chunked, chunked")], B::TransferEncoding),
        (&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], B::TransferEncoding),
        (&[("transfer-encoding", "chunked;q=1")], B::TransferEncoding),
        (&[("transfer-encoding", "xchunked")], B::TransferEncoding),
        (&[("transfer-encoding", "identity")], B::TransferEncoding),
        (&[("transfer-encoding", "")], B::TransferEncoding),
        (&[("expect", "200-ok")], B::Expectation),
        (&[("expect", "100-continue, x")], B::Expectation),
        (&[("expect", "100-continue"), ("expect", "100-continue")], B::Expectation),
    ] {
        assert_eq!(with(headers).unwrap_err(), why, "{headers:?}");
    }
    for headers in [
        &[("content-length", "0")][..],
        &[("content-length", "18446744073709551615")],
        &[("transfer-encoding", "Chunked")],
        &[("expect", "100-Continue")],
    ] {
        assert!(with(headers).is_ok(), "{headers:?}");
    }
    let mut old = parts("POST", "/", &[("host", "a"), ("transfer-encoding", "chunked")]).unwrap();
    old.version = Version::HTTP_10;
    assert_eq!(canonicalise(&old, &CanonicalSettings::default()).unwrap_err(), B::TransferEncoding);
}

#[test]
fn names_that_could_be_mistaken_and_headers_that_may_come_once() {
    use BadRequest as B;
    for (headers, why) in [
        (&[("x_any", "1")][..], B::HeaderName),
        (&[("x_hallpass_roles", "x")], B::HeaderName),
        (&[("authorization", "Bearer a"), ("authorization", "Bearer b")], B::Credentials),
        (&[("authorization", "Bearer \u{e4}")], B::Credentials),
        (&[("content-type", "text/plain"), ("content-type", "application/grpc")], B::HeaderRepeated),
        (&[("origin", "https://a.test"), ("origin", "https://b.test")], B::HeaderRepeated),
        (&[("origin", "https://\u{e4}.test")], B::HeaderUnreadable),
        (&[("connection", "close, x-hallpass-role")], B::ConnectionHeader),
        (&[("connection", "X-Forwarded-For")], B::ConnectionHeader),
        (&[("connection", "Authorization")], B::ConnectionHeader),
        (&[("connection", "cookie")], B::ConnectionHeader),
        (&[("connection", "close"), ("connection", "Host")], B::ConnectionHeader),
        (&[("connection", "a b")], B::ConnectionHeader),
        (&[("connection", "\u{e4}")], B::HeaderUnreadable),
    ] {
        assert_eq!(with(headers).unwrap_err(), why, "{headers:?}");
    }
    assert!(with(&[("connection", "keep-alive, x-app-own"), ("x-app-own", "1")]).is_ok());
    let settings = CanonicalSettings { underscores: Underscores::Drop, ..CanonicalSettings::default() };
    assert!(canonicalise(&parts("GET", "/", &[("host", "a"), ("x_any", "1")]).unwrap(), &settings).is_ok());
}

const KEY: (&str, &str) = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
const V13: (&str, &str) = ("sec-websocket-version", "13");

fn upgrade(method: &str, headers: &[(&str, &str)]) -> Result<Option<Upgrade>, BadRequest> {
    let mut all = vec![("host", "shop.test")];
    all.extend_from_slice(headers);
    let settings =
        CanonicalSettings { upgrades: vec!["spdy/3.1".into(), "h2c".into()], ..CanonicalSettings::default() };
    canonicalise(&parts(method, "/open/", &all).unwrap(), &settings).map(|canonical| canonical.upgrade)
}

#[test]
fn only_a_whole_upgrade_to_an_allowed_protocol_is_one() {
    let asked = ("connection", "Keep-Alive, Upgrade");
    assert_eq!(upgrade("GET", &[asked, ("upgrade", "WebSocket"), KEY, V13]), Ok(Some(Upgrade::WebSocket)));
    assert_eq!(upgrade("POST", &[asked, ("upgrade", "SPDY/3.1")]), Ok(Some(Upgrade::Other("spdy/3.1".into()))));
    for (headers, expected) in [
        (&[("upgrade", "websocket"), KEY, V13][..], Ok(None)),
        (&[asked], Ok(None)),
        (&[asked, ("upgrade", "h2c"), ("http2-settings", "AAMAAABkAAQCAAAAAAIAAAAA")], Ok(None)),
        (&[asked, ("upgrade", "H2C, h2c-14")], Ok(None)),
        (&[asked, ("upgrade", "tls/1.2")], Ok(None)),
        (&[asked, ("upgrade", "websocket, h2c"), KEY, V13], Err(BadRequest::Upgrade)),
        (&[asked, ("upgrade", "websocket"), ("upgrade", "spdy/3.1"), KEY, V13], Err(BadRequest::Upgrade)),
        (&[asked, ("upgrade", "websocket"), V13], Err(BadRequest::Upgrade)),
        (&[asked, ("upgrade", "websocket"), KEY], Err(BadRequest::Upgrade)),
        (&[asked, ("upgrade", "websocket"), KEY, ("sec-websocket-version", "8")], Err(BadRequest::Upgrade)),
        (&[asked, ("upgrade", "websocket"), ("sec-websocket-key", "c2hvcnQ="), V13], Err(BadRequest::Upgrade)),
        (&[asked, ("upgrade", "websocket"), KEY, V13, ("content-length", "5")], Err(BadRequest::Upgrade)),
        (&[asked, ("upgrade", "websocket"), KEY, V13, ("transfer-encoding", "chunked")], Err(BadRequest::Upgrade)),
        (&[asked, ("upgrade", "websocket"), KEY, KEY, V13], Err(BadRequest::HeaderRepeated)),
        (&[asked, ("upgrade", "web\u{e4}")], Err(BadRequest::HeaderUnreadable)),
    ] {
        assert_eq!(upgrade("GET", headers), expected, "{headers:?}");
    }
    assert_eq!(upgrade("POST", &[asked, ("upgrade", "websocket"), KEY, V13]), Err(BadRequest::Upgrade));
}

/// Paths put together from whatever has ever fooled a proxy.
fn tricky_target() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => Just("/".to_owned()),
        6 => prop::sample::select(vec![
            "vault", "open", "Vault", "VAULT", "%76ault", "v%41ult", "a", ".", "..", "%2e", "%2E", "%2f", "%2F", "%5c", "%5C", ";",
            ";x=1", "%3b", "%3B", "%25", "%252e", "%252f", "%00", "%20", "?", "#", "*", "%c0%ae", "%C3%A4", "%e2%84%aa", "%C5%BF", "~",
            "!", "%21", "{", "\\", "%", "%2", "+", ":", "@", "&", "%7E", "ä", "|",
        ]).prop_map(str::to_owned),
        1 => "[ -~]{0,3}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

fn any_spelling() -> impl Strategy<Value = Spelling> {
    (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(keep, strip, fold)| Spelling {
        methods: Vec::new(),
        encoded_slashes: if keep { EncodedSlashes::Keep } else { EncodedSlashes::Refuse },
        parameters: if strip { PathParameters::Strip } else { PathParameters::Refuse },
        case: if fold { Case::Ignored } else { Case::Sensitive },
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn reading_the_forwarded_target_again_changes_nothing(target in tricky_target(), spelling in any_spelling()) {
        if let Ok(first) = get(&target, spelling.clone()) {
            let second = get(first.target().as_str(), spelling).unwrap();
            prop_assert_eq!(first.target(), second.target());
            prop_assert_eq!(first.key(), second.key(), "the decision follows from what is forwarded alone");
        }
    }

    #[test]
    fn no_canonical_path_holds_what_could_be_read_otherwise(target in tricky_target(), spelling in any_spelling()) {
        if let Ok(read) = get(&target, spelling.clone()) {
            let path = read.path();
            prop_assert!(path.starts_with('/') && !path.contains("//") && !path.contains([';', '\\', '#', '?', ' ']));
            prop_assert!(path.is_ascii() && path.split('/').all(|segment| segment != "." && segment != ".."));
            let slashes = path.contains("%2F") || path.contains("%5C");
            prop_assert!(!slashes || spelling.encoded_slashes == EncodedSlashes::Keep);
        }
    }

    #[test]
    fn arbitrary_text_never_panics(target in "\\PC{0,64}", header in "\\PC{0,32}", value in "\\PC{0,32}") {
        let _ = get(&target, Spelling::default());
        let name = http::HeaderName::from_bytes(header.as_bytes());
        if let (Ok(name), Ok(value), Some(mut parts)) =
            (name, HeaderValue::from_bytes(value.as_bytes()), parts("GET", "/", &[("host", "a")]))
        {
            parts.headers.append(name, value);
            let _ = canonicalise(&parts, &CanonicalSettings::default());
        }
    }
}
