//! Where somebody goes after signing in: read as browsers read it, and never to another origin.

use percent_encoding::percent_decode_str;
use reqwest::Url;

use crate::identity::site::Site;

/// The address at `site` that `text` means to a browser there; the site's front page for anything else.
///
/// The answer is absolute: a path alone could be read as the name of another host.
pub(super) fn read(site: &Site, text: Option<&str>) -> String {
    let home = || format!("{}/", site.origin());
    text.and_then(|text| own(site, text)).unwrap_or_else(home)
}

fn own(site: &Site, text: &str) -> Option<String> {
    if text.is_empty() || text.len() > LENGTH_MAX {
        return None;
    }
    let base = Url::parse(site.origin()).ok()?;
    // the parser of the URL standard: tabs and line ends drop out and backslashes are slashes, as in every browser
    let url = base.join(text).ok()?;
    // the origin of a `blob:` is that of the address inside it
    let own = url.scheme() == base.scheme()
        && url.origin() == base.origin()
        && url.username().is_empty()
        && url.password().is_none();
    if !own || leads_in_circles(url.path()) {
        return None;
    }
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let fragment = url.fragment().map(|fragment| format!("#{fragment}")).unwrap_or_default();
    let address = format!("{}{}{query}{fragment}", site.origin(), url.path());
    // what was escaped is longer than what came
    (address.len() <= site.origin().len() + LENGTH_MAX).then_some(address)
}

/// Whether the path is one of those that sign people in and out.
fn leads_in_circles(path: &str) -> bool {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let mut segments = decoded.split(['/', '\\']).filter(|segment| !segment.is_empty() && *segment != ".");
    match (segments.next(), segments.next()) {
        (Some(".hallpass"), _) => true,
        (Some(only), None) => ["sign-in", "callback", "sign-out", "signed-out"].contains(&only),
        _ => false,
    }
}

const LENGTH_MAX: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_browser_takes_for_this_origin_is_kept() {
        let site = Site::gate("https://shop.test");
        for (text, expected) in [
            ("/", "/"),
            ("/vault/k?a=1&b=/x", "/vault/k?a=1&b=/x"),
            ("/vault#part", "/vault#part"),
            ("https://shop.test/vault", "/vault"),
            ("HTTPS://SHOP.test:443/vault", "/vault"),
            ("vault", "/vault"),
            ("?a=1", "/?a=1"),
            ("/%2f%2fevil.test", "/%2f%2fevil.test"),
            ("/.//evil.test", "//evil.test"),
            ("/a/../..//evil.test", "//evil.test"),
            ("/vault?return_to=//evil.test", "/vault?return_to=//evil.test"),
            ("/sign-in/help", "/sign-in/help"),
            ("/über", "/%C3%BCber"),
        ] {
            assert_eq!(read(&site, Some(text)), format!("https://shop.test{expected}"), "{text}");
        }
    }

    #[test]
    fn everything_else_leads_home() {
        let site = Site::gate("https://shop.test");
        let long = format!("/{}", "a".repeat(LENGTH_MAX));
        let escaped = format!("/{}", "ü".repeat(LENGTH_MAX / 4));
        for text in [
            "",
            "//evil.test",
            "///evil.test",
            "\\\\evil.test",
            "/\\evil.test",
            "\\/evil.test",
            "/\t/evil.test",
            "\t//evil.test",
            "/\n/evil.test",
            " //evil.test",
            "http:evil.test",
            "http://shop.test/",
            "https://evil.test/",
            "https:/\\evil.test",
            "https:///evil.test",
            "https://shop.test.evil.test/",
            "https://shop.test@evil.test/",
            "https://ada@shop.test/",
            "https://ada:secret@shop.test/",
            "https://shop.test:444/",
            "javascript:alert(1)",
            "data:text/html,x",
            "blob:https://shop.test/x",
            "//shop.test:80/",
            "https://[::1",
            "/.hallpass/sign-in",
            "/.hallpass/%73ign-in?return_to=/",
            "/%2ehallpass/callback",
            "//shop.test/.hallpass/callback",
            "/sign-in",
            "/sign-in/",
            "/callback?code=1",
            "/sign-out",
            long.as_str(),
            escaped.as_str(),
        ] {
            assert_eq!(read(&site, Some(text)), "https://shop.test/", "{text:?}");
        }
        assert_eq!(read(&site, None), "https://shop.test/");
    }

    #[test]
    fn ports_are_part_of_the_origin() {
        let site = Site::portal("http://127.0.0.1:8081");
        assert_eq!(read(&site, Some("/activate?role=a/b")), "http://127.0.0.1:8081/activate?role=a/b");
        for text in ["http://127.0.0.1:8080/", "http://127.0.0.1/", "//127.0.0.1:8080/", "http://0x7f.1:8080/"] {
            assert_eq!(read(&site, Some(text)), "http://127.0.0.1:8081/", "{text}");
        }
    }
}
