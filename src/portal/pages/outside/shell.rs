//! What leaves a page: words for a shell, and the way back to a gate.

use crate::portal::csrf;

/// One word for a POSIX shell.
pub(in crate::portal) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Only to an address of a gate; anything else would lend this page's name to a stranger.
pub(in crate::portal) fn leads_back(url: &str, gate_urls: &[String]) -> bool {
    let clean = url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let origin = csrf::origin_of(url);
    clean && origin.is_some() && gate_urls.iter().any(|gate| csrf::origin_of(gate) == origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_leads_to_a_gate_or_nowhere() {
        let gates = ["https://shop.example".to_owned(), "http://127.0.0.1:8000".to_owned()];
        for url in ["https://shop.example/vault?a=1", "https://SHOP.example:443/", "http://127.0.0.1:8000/x"] {
            assert!(leads_back(url, &gates), "{url}");
        }
        for url in [
            "",
            "/vault",
            "//shop.example/",
            "http://shop.example/",
            "https://shop.example.evil.example/",
            "https://shop.example@evil.example/",
            "https://evil.example/https://shop.example",
            "javascript:alert(1)",
            "https://shop.example\\@evil.example/",
            "https://shop.example /",
            "http://127.0.0.1:8001/",
        ] {
            assert!(!leads_back(url, &gates), "{url}");
        }
    }
}
