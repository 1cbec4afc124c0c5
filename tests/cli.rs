//! The command line as people use it: the built program against a portal that plays its part, and snapshots of what it says.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that meets what it does not expect fails")]

#[path = "cli/activation.rs"]
mod activation;
#[path = "cli/anchors.rs"]
mod anchors;
#[path = "cli/archived_uses.rs"]
mod archived_uses;
#[path = "cli/audit.rs"]
mod audit;
#[path = "cli/bound.rs"]
mod bound;
#[path = "cli/cutting.rs"]
mod cutting;
#[path = "cli/damaged.rs"]
mod damaged;
#[path = "cli/explain.rs"]
mod explain;
#[path = "cli/findings.rs"]
mod findings;
#[path = "cli/golden.rs"]
mod golden;
#[path = "cli/hallpass.rs"]
mod hallpass;
#[path = "cli/interrupted.rs"]
mod interrupted;
#[path = "cli/keeping.rs"]
mod keeping;
#[path = "cli/killed.rs"]
mod killed;
#[path = "cli/offline.rs"]
mod offline;
#[path = "cli/orphaned.rs"]
mod orphaned;
#[path = "cli/pins.rs"]
mod pins;
#[path = "cli/portal.rs"]
mod portal;
#[path = "cli/reading.rs"]
mod reading;
#[path = "cli/serve.rs"]
mod serve;
#[path = "cli/steps.rs"]
mod steps;
#[path = "fixtures/terms.rs"]
mod terms;
#[path = "cli/used.rs"]
mod used;
#[path = "cli/years.rs"]
mod years;
