//! Stories told through sockets: the whole of hallpass in this process, a real issuer, a real application, a clock that
//! stands still until a story moves it.

#![expect(unreachable_pub, reason = "modules of one test program")]
#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "what a story needs must be there")]

#[path = "../fixtures/seeds.rs"]
mod seeds;
mod support;

mod activation;
mod allow;
mod anchor;
mod crash;
mod deny;
mod eligibility;
mod idle;
mod jupyter;
mod keeping;
mod keys;
mod pace;
mod portal;
mod publishing;
mod reload;
mod retention;
mod revocation;
mod sender;
mod sign_in;
mod stale;
mod step_up;
mod streams;
mod tokens;
mod tour;
