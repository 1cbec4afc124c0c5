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
#[path = "../fixtures/seeds.rs"]
mod seeds;
#[path = "../model/states.rs"]
mod states;
#[path = "../model/universe.rs"]
mod universe;

mod damage;
mod history;
mod power;
mod stuck;
mod tape;
mod uses;
mod volume;
mod wrong_clock;
