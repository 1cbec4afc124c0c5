//! Which route wins, what is wrong with routes, and that no spelling goes around one.

use bytes::Bytes;
use http::{Request, Uri};
use proptest::prelude::*;

use super::*;
use crate::domain::rule::Demand;
use crate::proxy::canonical::{CanonicalSettings, canonicalise};

fn settings(name: &str, path: &str) -> RouteSettings {
    RouteSettings {
        name: name.to_owned(),
        host: None,
        path: path.to_owned(),
        methods: Vec::new(),
        rule: Rule::enforce(Demand::Public),
        upstream: "app".to_owned(),
        options: RouteOptions::default(),
    }
}

fn role() -> Rule {
    Rule::enforce(Demand::AnyRole(vec!["shop/vault-reader".parse().unwrap()]))
}

/// `name host path methods`, with `*` for any.
fn routes(lines: &[&str]) -> Result<Routes, Vec<RouteProblem>> {
    Routes::new(lines.iter().map(|line| route(line)).collect())
}

fn route(line: &str) -> RouteSettings {
    let words: Vec<&str> = line.split(' ').collect();
    let mut route = settings(words[0], words[2]);
    route.host = (words[1] != "*").then(|| words[1].to_owned());
    route.methods = words[3].split(',').filter(|method| *method != "*").map(str::to_owned).collect();
    if words.get(4) == Some(&"role") {
        route.rule = role();
    }
    route
}

fn find(routes: &Routes, method: &str, host: &str, target: &str) -> Result<Option<String>, BadRequest> {
    let settings = CanonicalSettings { spelling: routes.spelling(), ..CanonicalSettings::default() };
    let uri = Uri::from_maybe_shared(Bytes::copy_from_slice(target.as_bytes())).map_err(|_| BadRequest::Malformed)?;
    let request = Request::builder().method(method).uri(uri).header("host", host).body(()).unwrap();
    let canonical = canonicalise(&request.into_parts().0, &settings)?;
    Ok(routes.find(&canonical)?.map(|route| route.name.to_string()))
}

#[test]
fn the_most_specific_route_wins_whatever_the_order() {
    let mut lines = vec![
        "all * /** *",
        "vault * /vault/** *",
        "vault-get * /vault/** GET",
        "vault-admin admin.test /vault/** *",
        "admin-all admin.test /** *",
        "item * /item/{id} *",
        "item-new * /item/new *",
        "item-deep * /item/{id}/** *",
        "item-edit * /item/{id}/edit *",
        "deep-literal * /item/{id}/a/b *",
        "left-literal * /item/x/** *",
        "home * / *",
    ];
    for _ in 0..lines.len() {
        lines.rotate_left(1);
        let routes = routes(&lines).unwrap();
        for (method, host, path, expected) in [
            ("GET", "shop.test", "/", "home"),
            ("GET", "shop.test", "/a", "all"),
            ("GET", "admin.test", "/a", "admin-all"),
            ("GET", "admin.test", "/", "home"),
            ("GET", "shop.test", "/vault", "vault-get"),
            ("GET", "shop.test", "/vault/", "vault-get"),
            ("GET", "shop.test", "/vault/a/b", "vault-get"),
            ("POST", "shop.test", "/vault/a/b", "vault"),
            ("GET", "admin.test", "/vault/a", "vault-admin"),
            ("GET", "shop.test", "/vaulted", "all"),
            ("GET", "shop.test", "/item/7", "item"),
            ("GET", "shop.test", "/item/new", "item-new"),
            ("GET", "shop.test", "/item/7/x/y", "item-deep"),
            ("GET", "shop.test", "/item/7/edit", "item-edit"),
            ("GET", "shop.test", "/item/x/edit", "left-literal"),
            ("GET", "shop.test", "/item/x/a/b", "deep-literal"),
            ("GET", "shop.test", "/item/7/", "item-deep"),
            ("GET", "shop.test", "/item/", "all"),
        ] {
            let found = find(&routes, method, host, path);
            assert_eq!(found, Ok(Some(expected.to_owned())), "{method} {host} {path} in {lines:?}");
        }
    }
}

#[test]
fn patterns_are_anchored_and_nothing_in_a_literal_is_special() {
    let routes = routes(&["a * /a.b/{id} *", "b * /x/%20%C3%A4 GET", "c * /y/ *", "d * /n/{a}/{b} *"]).unwrap();
    for (path, expected) in [
        ("/a.b/7", Some("a")),
        ("/axb/7", None),
        ("/a.b/7/8", None),
        ("/a.b/", None),
        ("/a.b", None),
        ("/x/a.b/7", None),
        ("/x/%20%c3%a4", Some("b")),
        ("/y/", Some("c")),
        ("/y", None),
        ("/n/1/2", Some("d")),
        ("/n/1/", None),
    ] {
        assert_eq!(find(&routes, "GET", "shop.test", path), Ok(expected.map(str::to_owned)), "{path}");
    }
    assert_eq!(find(&routes, "POST", "shop.test", "/x/%20%C3%A4"), Ok(None), "the only route names another method");
}

#[test]
fn problems_are_all_told() {
    let lines = [
        "ok * /a/** *",
        "ok * /b *",
        "slash * a *",
        "double * /a//b *",
        "inside * /a/**/b *",
        "partial * /a/x{id} *",
        "star * /a/*.js *",
        "parameter * /a/{} *",
        "dots * /a/../b *",
        "encoded * /a%2Fb *",
        "semicolon * /a;b *",
        "query * /a?b *",
        "escape * /a%zz *",
        "reserved * /.hallpass/status *",
        "host shop.test:80 /c *",
        "method * /d get",
        "trace * /d TRACE",
        "same * /a/** POST,GET",
        "twin * /a/** GET",
        "named * /n/{a} *",
        "renamed * /n/{b} *",
    ];
    let problems = routes(&lines).unwrap_err();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn routes_that_do_less_than_they_seem_to_are_told() {
    let lines = [
        "rest * /** *",
        "reads * /covered GET,HEAD,OPTIONS",
        "writes * /covered POST,PUT,PATCH,DELETE",
        "never * /covered *",
        "admin admin.test /** * role",
        "docs * /docs/** *",
        "panel * /panel * role",
        "report * /report/{id}/** GET role",
        "fine * /fine/** * role",
    ];
    let told: Vec<String> = routes(&lines).unwrap().shadowed().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"));
    assert_eq!(routes(&["fine * /fine/** * role", "open * /open/** *"]).unwrap().shadowed(), vec![]);
}

#[test]
fn a_path_is_only_taken_as_its_own_route_takes_it() {
    let mut files = route("files * /files/** *");
    files.options.encoded_slashes = EncodedSlashes::Keep;
    let mut java = route("java * /java/** *");
    java.options.parameters = PathParameters::Strip;
    let routes = Routes::new(vec![files, java, route("rest * /** *")]).unwrap();
    for (path, expected) in [
        ("/files/a%2Fb", Ok(Some("files"))),
        ("/java/a;x=1/b", Ok(Some("java"))),
        ("/open/a%2Fb", Err(BadRequest::EncodedSlash)),
        ("/java/a%2Fb", Err(BadRequest::EncodedSlash)),
        ("/files/a;b", Err(BadRequest::PathParameters)),
        ("/open;/java", Err(BadRequest::PathParameters)),
    ] {
        assert_eq!(find(&routes, "GET", "a", path), expected.map(|name| name.map(str::to_owned)), "{path}");
    }
}

#[test]
fn one_route_that_ignores_case_makes_all_rules_ignore_it() {
    let mut windows = route("windows * /Win/** *");
    windows.options.case = Case::Ignored;
    let routes = Routes::new(vec![windows, route("vault * /Vault/\u{c4}/** *"), route("rest * /** *")]).unwrap();
    for (path, expected) in
        [("/VAULT/%C3%A4/k", "vault"), ("/win", "windows"), ("/v%41ult/%C3%84", "vault"), ("/x", "rest")]
    {
        assert_eq!(find(&routes, "GET", "a", path), Ok(Some(expected.to_owned())), "{path}");
    }
    assert_eq!(find(&routes, "GET", "a", "/%C5%BFecret"), Err(BadRequest::LetterCase));
}

#[test]
fn a_request_read_under_other_rules_of_case_finds_nothing() {
    let mut windows = route("windows * /Win/** *");
    windows.options.case = Case::Ignored;
    let after = Routes::new(vec![windows, route("vault * /vault/** * role"), route("rest * /** *")]).unwrap();
    let request = Request::get("/VAULT/k").header("host", "a").body(()).unwrap();
    let before = canonicalise(&request.into_parts().0, &CanonicalSettings::default()).unwrap();
    assert_eq!(after.find(&before).unwrap_err(), BadRequest::LetterCase, "not `rest`, where its old key would lead");
}

/// What applications make of a path: decoded once, dots resolved, slashes merged, backslashes turned, parameters cut.
fn as_applications_see_it(path: &str, options: RouteOptions) -> Vec<String> {
    let decode = |text: &str| {
        let kept = options.encoded_slashes == EncodedSlashes::Keep;
        let text = if kept { text.replace("%2F", "%252F").replace("%5C", "%255C") } else { text.to_owned() };
        percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    let cut = |text: &str| {
        text.split('/').map(|segment| segment.split(';').next().unwrap_or_default()).collect::<Vec<_>>().join("/")
    };
    let resolve = |text: &str| {
        let mut segments = Vec::new();
        for segment in text.replace('\\', "/").split('/') {
            match segment {
                "" | "." => {}
                ".." => drop(segments.pop()),
                other => segments.push(other.to_owned()),
            }
        }
        segments.join("/")
    };
    let decoded = decode(path);
    let mut seen = vec![resolve(&decoded), resolve(&cut(&decoded)), resolve(&decode(&cut(path))), resolve(path)];
    if options.case == Case::Ignored {
        let folded: Vec<String> =
            seen.iter().flat_map(|path| [path.to_lowercase(), path.to_uppercase().to_lowercase()]).collect();
        seen.extend(folded);
    }
    seen
}

fn tricky_path() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/",
        "/",
        "/",
        "vault",
        "open",
        "Vault",
        "VAULT",
        "%76ault",
        "v%41ult",
        ".",
        "..",
        "%2e",
        "%2E",
        "%2f",
        "%5c",
        "\\",
        ";",
        ";x=1",
        "%3b",
        "%25",
        "%252e",
        "%20",
        "?",
        "#",
        "%c0%ae",
        "va",
        "ult",
        "%C5%BF",
        "!",
        "k",
        "%E2%84%AA",
        "eys",
        "keys",
        "key",
    ]);
    prop::collection::vec(piece, 0..10).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8192, ..ProptestConfig::default() })]

    #[test]
    fn no_spelling_of_a_protected_path_reaches_an_open_route(
        target in tricky_path(), keep in any::<bool>(), strip in any::<bool>(), fold in any::<bool>(),
    ) {
        let options = RouteOptions {
            encoded_slashes: if keep { EncodedSlashes::Keep } else { EncodedSlashes::Refuse },
            parameters: if strip { PathParameters::Strip } else { PathParameters::Refuse },
            case: if fold { Case::Ignored } else { Case::Sensitive },
        };
        let mut lines = ["open * /open/** *", "rest * /** *", "vault * /vault/** * role", "keys * /keys * role"].map(route);
        for route in &mut lines {
            route.options = options;
        }
        let routes = Routes::new(lines.to_vec()).unwrap();
        let settings = CanonicalSettings { spelling: routes.spelling(), ..CanonicalSettings::default() };
        let Ok(uri) = Uri::from_maybe_shared(Bytes::from(target)) else { return Ok(()) };
        let request = Request::builder().uri(uri).header("host", "shop.test").body(()).unwrap();
        let Ok(canonical) = canonicalise(&request.into_parts().0, &settings) else { return Ok(()) };
        let Ok(Some(found)) = routes.find(&canonical) else { return Ok(()) };
        for seen in as_applications_see_it(canonical.target().path(), options) {
            let vault = seen == "vault" || seen.starts_with("vault/");
            prop_assert!(!vault || &*found.name == "vault", "{} is {seen}, found {}", canonical.path(), found.name);
            // a slash at its end makes it another path: what `shadowed` warns of
            let keys = seen == "keys" && !canonical.path().ends_with('/');
            prop_assert!(!keys || &*found.name == "keys", "{} is {seen}, found {}", canonical.path(), found.name);
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn the_tree_finds_what_a_plain_search_finds(
        patterns in prop::collection::btree_set("(/(a|b|\\{x\\})){0,3}(/\\*\\*|/a)", 1..12),
        path in "(/(a|b|c)){1,4}/?",
        hosts in prop::collection::vec(any::<bool>(), 12),
        methods in prop::collection::vec(0..3_usize, 12),
    ) {
        let all: Vec<RouteSettings> = patterns.iter().enumerate().map(|(index, pattern)| {
            let mut route = settings(&format!("r{index}"), pattern);
            route.host = hosts[index].then(|| "a.test".to_owned());
            route.methods = [vec![], vec!["GET".to_owned()], vec!["POST".to_owned()]][methods[index]].clone();
            route
        }).collect();
        let Ok(routes) = Routes::new(all.clone()) else { return Ok(()) };
        for host in ["a.test", "b.test"] {
            let plain = all.iter()
                .filter(|route| route.host.as_deref().is_none_or(|bound| bound == host))
                .filter(|route| route.methods.is_empty() || route.methods.contains(&"GET".to_owned()))
                .filter(|route| regex_of(&route.path).is_match(&path))
                .min_by_key(|route| precedence(route))
                .map(|route| route.name.clone());
            prop_assert_eq!(find(&routes, "GET", host, &path), Ok(plain));
        }
    }
}

fn regex_of(pattern: &str) -> regex::Regex {
    let body = match pattern.strip_suffix("/**") {
        Some(prefix) => format!("{}(/.*)?", prefix.replace("{x}", "[^/]+")),
        None => pattern.replace("{x}", "[^/]+"),
    };
    regex::Regex::new(&format!("^{body}$")).unwrap()
}

/// The order as the documentation words it.
fn precedence(route: &RouteSettings) -> (usize, Vec<u8>, bool, bool) {
    let segments: Vec<&str> = route.path.split('/').skip(1).collect();
    let literals = segments.iter().filter(|segment| !segment.starts_with(['{', '*'])).count();
    let mut shape: Vec<u8> = segments
        .iter()
        .map(|segment| match *segment {
            "**" => 3,
            "{x}" => 1,
            _ => 0,
        })
        .collect();
    if shape.last() != Some(&3) {
        shape.push(2);
    }
    (usize::MAX - literals, shape, route.host.is_none(), route.methods.is_empty())
}
