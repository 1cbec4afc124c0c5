//! How much of one core new tokens may take.
//!
//! A signature costs a thousand times more than remembering it was checked. New tokens therefore share a fixed part of the
//! core's time, whatever their algorithm; beyond it they queue in order, and beyond the queue they are turned away, so that a
//! flood of them slows only new ones.

use std::cell::Cell;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::error::AuthnError;
use crate::clock::awake;

/// The part of one core's time that goes to new tokens. Not shared between cores.
#[derive(Debug)]
pub(super) struct Budget {
    share: Cell<Share>,
    waiting: Cell<usize>,
    waiting_max: usize,
    /// Held by the one who waits for the next window; fair, so it is also the queue behind that one.
    turn: Semaphore,
}

/// What was spent in the present window of time.
#[derive(Debug, Clone, Copy)]
struct Share {
    window: Duration,
    allowance: Duration,
    began: Instant,
    spent: Duration,
}

impl Budget {
    /// With the usual share.
    pub(super) fn new() -> Self {
        Self::with(WINDOW, ALLOWANCE, WAITING_MAX)
    }

    fn with(window: Duration, allowance: Duration, waiting_max: usize) -> Self {
        let share = Share { window, allowance, began: awake(), spent: Duration::ZERO };
        Self { share: Cell::new(share), waiting: Cell::new(0), waiting_max, turn: Semaphore::new(1) }
    }

    /// Returns when a new token may be verified, which must then happen without another wait.
    pub(super) async fn enter(&self) -> Result<(), AuthnError> {
        if self.waiting.get() == 0 && self.rest().is_none() {
            return Ok(());
        }
        let _place = Place::take(&self.waiting, self.waiting_max)?;
        let _turn = self.turn.acquire().await.map_err(|_| AuthnError::Overloaded)?;
        while let Some(rest) = self.rest() {
            tokio::time::sleep(rest).await;
        }
        Ok(())
    }

    /// Books what a verification took.
    pub(super) fn spend(&self, time: Duration) {
        let mut share = self.share.get();
        share.spent = share.spent.saturating_add(time);
        self.share.set(share);
    }

    /// How long until there is something left to spend.
    fn rest(&self) -> Option<Duration> {
        let mut share = self.share.get();
        let rest = share.rest(awake());
        self.share.set(share);
        rest
    }
}

impl Share {
    fn rest(&mut self, now: Instant) -> Option<Duration> {
        let passed = now.saturating_duration_since(self.began);
        if self.window <= passed {
            self.began = now;
            self.spent = Duration::ZERO;
        } else if self.allowance <= self.spent {
            return Some(self.window.saturating_sub(passed));
        }
        None
    }
}

/// A place in the queue, given back also when whoever holds it goes away.
struct Place<'q>(&'q Cell<usize>);

impl<'q> Place<'q> {
    fn take(waiting: &'q Cell<usize>, max: usize) -> Result<Self, AuthnError> {
        if max <= waiting.get() {
            return Err(AuthnError::Overloaded);
        }
        waiting.set(waiting.get() + 1);
        Ok(Self(waiting))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

const WINDOW: Duration = Duration::from_millis(10);
/// Three tenths of the core: about seventy ES256 signatures in each window.
const ALLOWANCE: Duration = Duration::from_millis(3);
const WAITING_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn a_window_gives_its_allowance_once() {
        let began = awake();
        let window = Duration::from_millis(10);
        let mut share = Share { window, allowance: Duration::from_millis(3), began, spent: Duration::ZERO };
        assert_eq!(share.rest(began), None);
        share.spent = Duration::from_micros(2999);
        assert_eq!(share.rest(began + Duration::from_millis(9)), None);
        share.spent = Duration::from_millis(3);
        assert_eq!(share.rest(began + Duration::from_millis(4)), Some(Duration::from_millis(6)));
        assert_eq!(share.rest(began + window), None);
        assert_eq!(share.spent, Duration::ZERO);
    }

    #[test]
    fn beyond_the_allowance_they_queue_and_beyond_the_queue_they_are_turned_away() {
        let budget = Budget::with(Duration::from_secs(3600), Duration::from_millis(1), 3);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        let mut context = Context::from_waker(Waker::noop());
        let mut poll =
            |future: std::pin::Pin<&mut dyn Future<Output = Result<(), AuthnError>>>| future.poll(&mut context);

        assert!(poll(Box::pin(budget.enter()).as_mut()).is_ready(), "there is time left");
        budget.spend(Duration::from_millis(1));
        let mut queue: Vec<_> = (0..3).map(|_| Box::pin(budget.enter())).collect();
        assert!(queue.iter_mut().all(|waiting| poll(waiting.as_mut()).is_pending()));
        let turned_away = poll(Box::pin(budget.enter()).as_mut());
        assert!(matches!(turned_away, std::task::Poll::Ready(Err(AuthnError::Overloaded))));

        drop(queue.pop());
        let mut next = Box::pin(budget.enter());
        assert!(poll(next.as_mut()).is_pending(), "whoever goes away leaves the place to the next");
    }

    #[tokio::test]
    async fn those_who_queue_get_their_turn_in_the_next_window() {
        let budget = Budget::with(Duration::from_millis(1), Duration::from_nanos(1), 100);
        let served = std::cell::RefCell::new(Vec::new());
        let turns = (0..5).map(|number| {
            let (budget, served) = (&budget, &served);
            async move {
                budget.enter().await.unwrap();
                budget.spend(Duration::from_nanos(1));
                served.borrow_mut().push(number);
            }
        });
        futures_util::future::join_all(turns).await;
        assert_eq!(*served.borrow(), [0, 1, 2, 3, 4]);
    }
}
