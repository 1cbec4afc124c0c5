//! Requests answered: one family for all listeners, because two of one name would make the metrics unreadable.

use prometheus_client::encoding::EncodeLabelSet;

/// What tells requests apart. Every value comes from a closed list: no client can make a new series.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// The listener's name.
    pub listener: String,
    /// The route's name.
    pub route: String,
    /// The method's name.
    pub method: &'static str,
    /// The status answered.
    pub code: u16,
}
