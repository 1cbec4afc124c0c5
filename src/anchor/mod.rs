//! Heads kept elsewhere: the journal's newest checkpoint, published outside its own file, and held against it at the start.
//!
//! A chain cannot show that its end was cut off or that all of it was replaced; a head that was told to somebody else can.
//! So the head is published as a signed checkpoint at an interval, after so many records, and on demand: to the log, to a
//! file, and to a webhook. The newest one stands for all before it, so what could not be delivered is not queued: the
//! present head is tried again until it is.
//!
//! - `file`: the file of anchors · `webhook`: somebody else's server · `publish`: when, and what came of it
//! - `compare`: what the newest anchor of the file says about the journal

mod compare;
mod file;
mod publish;
mod webhook;

use std::path::PathBuf;

use crate::domain::time::Span;

pub use compare::{AnchorFileError, Compared, Mismatch, Mistake, compare, compare_with};
pub use file::{AnchorFile, Mark, Newest, newest};
pub use publish::{Anchors, NotPublished, Published, Publisher, start};
pub use webhook::{Secret, SecretError};

/// Where heads are published, and how often.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The file of anchors, when there is one.
    pub file: Option<PathBuf>,
    /// The webhook, when there is one.
    pub webhook: Option<WebhookSettings>,
    /// At least so often.
    pub interval: Span,
    /// At the latest after so many records.
    pub records_max: u64,
}

/// A server that is told each anchor.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// Where it is posted to: https, or this machine.
    pub url: String,
    /// The file with the secret that signs what is posted (`whsec_…`, Standard Webhooks).
    pub secret_path: PathBuf,
}
