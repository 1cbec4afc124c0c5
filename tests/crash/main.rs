//! Power cuts, damaged files, full and read-only disks, wrong clocks: what was acknowledged is kept, and nobody gains.

#![expect(unreachable_pub, reason = "modules of one test program")]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "what a story needs must be there"
)]

#[path = "../model/draw.rs"]
mod draw;
#[path = "../model/oracle.rs"]
mod oracle;
#[expect(dead_code, reason = "other test programs use the rest")]
#[path = "../it/support/process.rs"]
mod process;
#[path = "../model/states.rs"]
mod states;
#[path = "../model/universe.rs"]
mod universe;

mod damage;
mod history;
mod power;
mod tape;
mod uses;
mod volume;
mod wrong_clock;

#[expect(clippy::disallowed_methods, reason = "a test is told its seed by the environment")]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).expect("random bits");
    u64::from_be_bytes(bytes)
}
