//! A house to tell stories in, and people who act in it.

mod house;
mod people;
#[expect(dead_code, reason = "other test programs use the rest")]
pub mod process;
pub mod sockets;
pub mod visitor;

pub use house::House;
pub use people::{Answer, Who, arrived, id};

/// Waits for something that other threads bring about, without a fixed pause.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let patience = tokio::time::timeout(std::time::Duration::from_secs(10), async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    });
    assert!(patience.await.is_ok(), "never happened: {what}");
}
