//! Stories clicked through in a real browser: Chromium, driven as people drive it, before the whole of hallpass.
//!
//! `tests/all` installs what it takes and names it in the environment; without it each story says that it was left out.

#![expect(unreachable_pub, reason = "modules of one test program")]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "what a story needs must be there"
)]

mod attack;
mod bulk;
mod certified;
mod cut;
mod keyboard;
mod looks;
mod provider;
mod script;
mod sessions;
mod story;
mod support;
#[path = "../fixtures/terms.rs"]
mod terms;
