//! The page for people before a browser: what is wrong, and what to do.
//!
//! One answer holds all of it, since the gate serves nothing else and nothing else may be reachable: the little style sheet
//! is inside, allowed by its hash, and nothing is loaded or run.

use std::sync::LazyLock;

use data_encoding::BASE64;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// A page's content.
#[derive(Debug, Clone)]
pub(in crate::proxy) struct Page<'a> {
    /// The heading.
    pub(in crate::proxy) title: &'a str,
    /// What is wrong and what to do about it.
    pub(in crate::proxy) body: Markup,
    /// The code that programs are told.
    pub(in crate::proxy) code: &'a str,
    /// Names the request to operators.
    pub(in crate::proxy) request_id: &'a str,
}

impl Page<'_> {
    /// The page as HTML.
    pub(in crate::proxy) fn render(&self) -> String {
        let page: Markup = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="robots" content="noindex";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · hallpass" }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    main {
                        h1 { (self.title) }
                        (self.body)
                    }
                    footer { "hallpass · " code { (self.code) } " · request " code { (self.request_id) } }
                }
            }
        };
        page.into_string()
    }
}

/// A sentence, escaped, with every second part between backticks as code.
pub(in crate::proxy) fn sentence(text: &str) -> Markup {
    html! {
        p {
            @for (index, part) in text.split('`').enumerate() {
                @if index % 2 == 1 { code { (part) } } @else { (part) }
            }
        }
    }
}

/// A link to where it goes on: the one thing to do when it is `main`.
pub(in crate::proxy) fn button(weight: Weight, label: &str, url: &str) -> Markup {
    let class = match weight {
        Weight::Main => "button main",
        Weight::Side => "button",
    };
    html! { a class=(class) href=(url) { (label) } }
}

/// How much a link asks to be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Weight {
    /// What the page is for.
    Main,
    /// Beside it.
    Side,
}

/// Facts in pairs.
pub(in crate::proxy) fn facts(pairs: &[(&str, String)]) -> Markup {
    html! {
        dl {
            @for (term, fact) in pairs { div { dt { (term) } dd { (fact) } } }
        }
    }
}

/// What the page may do: nothing but wear its own style.
pub(in crate::proxy) static CONTENT_SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = BASE64.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, STYLE.as_bytes()).as_ref());
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// The colours and sizes of the portal's own stylesheet.
pub(in crate::proxy) const STYLE: &str = "\
:root{color-scheme:light dark;--page:#f6f7f8;--sheet:#fff;--sunk:#eef0f2;--line:#d8dce0;--edge:#7b848d;--ink:#16191d;--dim:#555e68;--main:#14598a;--main-over:#0e4670;--on-main:#fff;--waiting:#7a4b00}\
@media(prefers-color-scheme:dark){:root{--page:#111417;--sheet:#191d21;--sunk:#22272c;--line:#323940;--edge:#8b959f;--ink:#e7eaed;--dim:#a4adb6;--main:#7fbfee;--main-over:#a9d5f5;--on-main:#0b1a26;--waiting:#f0c070}}\
*{box-sizing:border-box}\
body{margin:0;background:var(--page);color:var(--ink);font:.9375rem/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif}\
main{max-width:40rem;margin:0 auto;padding:3rem 1.25rem 1rem}\
h1{font-size:1.5rem;line-height:1.25;font-weight:650;letter-spacing:-.01em;margin:0 0 1rem;text-wrap:balance}\
h2{font-size:1.0625rem;line-height:1.3;font-weight:650;margin:0 0 .25rem;overflow-wrap:anywhere}\
h2 .app,.dim{color:var(--dim);font-weight:400}\
p{margin:0 0 .75rem;overflow-wrap:anywhere}\
a{color:var(--main)}\
code{overflow-wrap:anywhere;font-family:ui-monospace,'SF Mono','Cascadia Mono','DejaVu Sans Mono',monospace;font-size:.875em}\
pre{margin:0;padding:.75rem 1rem;border:1px solid var(--line);border-radius:6px;background:var(--sunk);white-space:pre-wrap;overflow-wrap:anywhere}\
section{background:var(--sheet);border:1px solid var(--line);border-radius:8px;padding:1.25rem;margin:1.25rem 0}\
section.waiting{border-left:4px solid var(--waiting)}\
dl{margin:1rem 0;border-top:1px solid var(--line)}\
dl div{display:grid;grid-template-columns:10rem minmax(0,1fr);gap:0 1rem;padding:.4375rem 0;border-bottom:1px solid var(--line)}\
dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}\
.row{display:flex;flex-wrap:wrap;gap:.75rem;margin:0}\
.button{display:inline-flex;align-items:center;justify-content:center;min-height:2.75rem;padding:.375rem 1rem;border-radius:6px;border:1px solid var(--edge);color:var(--ink);background:var(--sheet);font-weight:600;text-decoration:none;text-align:center;overflow-wrap:anywhere}\
.button:hover{background:var(--sunk)}\
.button.main{background:var(--main);border-color:var(--main);color:var(--on-main)}\
.button.main:hover{background:var(--main-over)}\
details{margin:1rem 0 0}summary{cursor:pointer;color:var(--dim);padding:.25rem 0;width:fit-content}details pre{margin-top:.5rem}\
:focus-visible{outline:3px solid var(--main);outline-offset:2px;border-radius:4px}\
footer{max-width:40rem;margin:0 auto;padding:0 1.25rem 2rem;color:var(--dim);font-size:.8125rem;overflow-wrap:anywhere}\
@media(max-width:30rem){main{padding-top:1.75rem}dl div{grid-template-columns:minmax(0,1fr)}dt{font-size:.8125rem}.row .button{flex:1 1 100%}}";
