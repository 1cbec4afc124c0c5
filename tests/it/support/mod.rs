//! A house to tell stories in, and people who act in it.

use std::time::Duration;

mod house;
mod people;
#[expect(dead_code, reason = "other test programs use the rest")]
pub mod process;
pub mod sockets;
pub mod visitor;

pub use house::House;
pub use people::{Answer, Who, arrived, id};

/// So long that only what never comes is given up: a busy machine stalls for seconds.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for something that other threads bring about, without a fixed pause.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    until(what, async || holds()).await;
}

/// The same for what must be asked.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let patience = tokio::time::timeout(PATIENCE, async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    });
    assert!(patience.await.is_ok(), "never happened: {what}");
}
