//! A stage for stories in the browser: hallpass on loopback with everything around it, and windows for people.

mod driver;
mod house;
mod look;
mod npm;
mod window;

pub use driver::{Driver, Setting};
pub use house::{House, Provider};
pub use look::{Looks, Phone};
pub use npm::{Manner, STRONG};
pub use window::Window;

/// A program or file that `tests/all` installs and names in the environment; without it the story is left out, and says so.
#[expect(clippy::disallowed_methods, reason = "tests/all names what it installed by the environment")]
pub fn installed(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok().filter(|path| std::path::Path::new(path).exists());
    if found.is_none() {
        println!("left out: {variable} names nothing that is installed; tests/all installs it");
    }
    found
}

/// How long something takes.
#[expect(clippy::disallowed_methods, reason = "a story measures how long people wait")]
pub async fn timed<T>(future: impl Future<Output = T>) -> (T, std::time::Duration) {
    let began = std::time::Instant::now();
    let value = future.await;
    (value, began.elapsed())
}

/// Asks again and again until `found` has an answer; `None` when it never came.
pub async fn eventually<T>(found: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    within(PATIENCE, found).await
}

/// The same for what takes longer.
pub async fn within<T>(patience: std::time::Duration, mut found: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let mut pause = tokio::time::interval(std::time::Duration::from_millis(20));
    let asking = async {
        loop {
            if let Some(value) = found().await {
                return value;
            }
            pause.tick().await;
        }
    };
    tokio::time::timeout(patience, asking).await.ok()
}

/// So long that only what never comes is given up: a busy machine stalls for seconds.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
