//! One timer for a limit that moves with every request.
//!
//! A timer that is made or set for each request costs more than the request's own work on it. This one is set only when the
//! limit comes nearer; when it goes off for a limit that is gone, it is set for the one that stands.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::time::Sleep;

use super::awake;

/// A timer that is kept. Makes nothing before it is first asked.
#[derive(Debug, Default)]
pub struct Alarm {
    timer: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Ready once `until` has passed; otherwise the task is woken by then at the latest, and perhaps before.
    pub fn poll_passed(&mut self, cx: &mut Context<'_>, until: Instant) -> Poll<()> {
        let at = tokio::time::Instant::from_std(until);
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if at < timer.deadline() {
            timer.as_mut().reset(at);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if until <= awake() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Waker;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn it_goes_off_for_the_limit_that_stands_and_no_other() {
        let (began, far) = (awake(), Duration::from_secs(3600));
        let mut alarm = Alarm::default();
        let is_far =
            |alarm: &mut Alarm, until| alarm.poll_passed(&mut Context::from_waker(Waker::noop()), until).is_pending();
        assert!(is_far(&mut alarm, began + far * 2));
        assert!(is_far(&mut alarm, began + far), "nearer");
        poll_fn(|cx| alarm.poll_passed(cx, began)).await;
        assert!(is_far(&mut alarm, began + far), "the limit it went off for is gone");
        poll_fn(|cx| alarm.poll_passed(cx, began)).await;
    }
}
