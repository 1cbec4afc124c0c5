//! hallpass: just-in-time privilege for any HTTP application.
//!
//! A reverse proxy that asks of every request who it is, what its route demands and whether this person holds that role
//! right now; and a portal where the role can be asked for, approved and taken away again, all of it kept in a journal.
//!
//! # Where to begin
//!
//! The crate is arranged in floors; each names only what lies below it, and `tests/tidy.rs` fails when one looks up.
//!
//! - [`domain`] is pure: a command becomes events or refusals ([`domain::decide`]), a rule and a standing become a permit
//!   or a denial ([`domain::authorize`]).
//! - [`journal`] is the bytes of the log, [`store`] keeps it and its fold in one transaction, [`writer`] is the only one
//!   who changes anything, [`standings`] makes the result visible, [`uses`] notes what was done with it;
//!   [`backup`] carries journal and uses away and brings them back.
//! - [`anchor`] publishes the journal's head elsewhere, and holds the journal against it.
//! - [`identity`] says who is asking, [`server`] owns sockets, [`proxy`] is the data plane and cannot write,
//!   [`portal`] the control plane, [`admin`] health and metrics.
//! - [`config`] resolves what was written, [`app`] wires everything, [`cli`] and [`demo`] are how people meet it.
//! - [`clock`] is where time enters, [`telemetry`] where logs and metrics leave.
//!
//! # Laws
//!
//! 1. No permit, no upstream: only `authorize` makes a permit, and forwarding demands one.
//! 2. Time enters once, and never runs backwards past the journal's last record.
//! 3. Access ends by comparison, not by bookkeeping.
//! 4. One writer; each command is decided on rows read inside its own transaction.
//! 5. Record and rows commit together, and rows come from events only.
//! 6. Answered means durable and visible.
//! 7. A standing enters the cache only under the lock of its key.
//! 8. Subscribe to the head, then check.
//! 9. Hash the bytes that were stored.
//! 10. Unknown means no.
//! 11. Nothing from downstream speaks for hallpass.
//! 12. Everything has a limit.
//! 13. Authority is decided in the domain.

pub mod admin;
pub mod anchor;
pub mod app;
pub mod backup;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod domain;
pub mod fresh_file;
pub mod identity;
pub mod journal;
pub mod portal;
pub mod private_file;
pub mod proxy;
pub mod server;
pub mod standings;
pub mod store;
pub mod telemetry;
pub mod uses;
pub mod writer;
