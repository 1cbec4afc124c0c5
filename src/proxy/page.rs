//! The plain page for people before a browser: what is wrong, and what to do.
//!
//! One answer holds all of it, since the gate serves nothing else and nothing else may be reachable: the little style sheet
//! is inside, allowed by its hash, and nothing is loaded or run.

use std::sync::LazyLock;

use data_encoding::BASE64;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// A button or a command.
#[derive(Debug, Clone)]
pub(in crate::proxy) enum Step {
    /// A link to where it goes on.
    Link {
        /// What happens there.
        label: String,
        /// An absolute address built from configuration.
        url: String,
    },
    /// A command to type.
    Command(String),
}

/// A page's content.
#[derive(Debug, Clone)]
pub(in crate::proxy) struct Page<'a> {
    /// The heading.
    pub(in crate::proxy) title: &'a str,
    /// What is wrong, a sentence each; what stands between backticks is shown as code.
    pub(in crate::proxy) sentences: Vec<String>,
    /// What to do about it.
    pub(in crate::proxy) steps: Vec<Step>,
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
                    title { (self.title) " · hallpass" }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    main {
                        h1 { (self.title) }
                        @for sentence in &self.sentences { p { (with_code(sentence)) } }
                        @for step in &self.steps {
                            @match step {
                                Step::Link { label, url } => p { a.button href=(url) { (label) } },
                                Step::Command(command) => { p { "or type" } pre { code { (command) } } },
                            }
                        }
                        footer { "request " code { (self.request_id) } }
                    }
                }
            }
        };
        page.into_string()
    }
}

/// The text, escaped, with every second part between backticks as code.
pub(in crate::proxy) fn with_code(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
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

pub(in crate::proxy) const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--ground:#fff;--line:#57606a;--link:#0550ae;--on-link:#fff}\
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--ground:#0d1117;--line:#8b949e;--link:#79c0ff;--on-link:#0d1117}}\
body{margin:0;background:var(--ground);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}\
main{max-width:40rem;margin:0 auto;padding:2rem 1rem}\
h1{font-size:1.4rem;line-height:1.3}\
code{overflow-wrap:anywhere;font-family:ui-monospace,monospace;font-size:.9rem}\
pre{margin:0;padding:.75rem;border:1px solid var(--line);border-radius:.25rem;white-space:pre-wrap}\
.button{display:inline-block;padding:.5rem 1rem;border-radius:.25rem;background:var(--link);color:var(--on-link);text-decoration:none}\
.button:focus-visible{outline:3px solid var(--ink);outline-offset:2px}\
footer{margin-top:2rem;color:var(--line);font-size:.875rem}";
