//! One core's connections to one upstream.
//!
//! A connection is either lent to one exchange or unused here; it comes back only after a whole answer to a whole request.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use super::body::RequestBody;
use super::target::Target;
use crate::clock::{Alarm, awake};

/// One core's connections to one upstream.
pub(in crate::proxy) struct Upstream {
    pub(in crate::proxy) target: Arc<Target>,
    unused: RefCell<Vec<Unused>>,
    came_back: Rc<Notify>,
    tasks: TaskTracker,
}

struct Unused {
    link: Link,
    since: Instant,
}

/// One connection.
struct Link {
    sender: SendRequest<RequestBody>,
    /// Bytes came from the upstream since this was last cleared.
    heard: Arc<AtomicBool>,
    /// For the time an answer may take.
    alarm: Alarm,
}

/// A connection lent to one exchange; dropping it closes the connection.
pub(super) struct Lent {
    link: Link,
    /// It has carried an exchange before.
    pub(super) reused: bool,
    upstream: Rc<Upstream>,
}

impl Upstream {
    /// No connections yet; their tasks will be of `tasks`.
    pub(in crate::proxy) fn new(target: Arc<Target>, tasks: TaskTracker) -> Rc<Self> {
        Rc::new(Self { target, unused: RefCell::default(), came_back: Rc::default(), tasks })
    }

    /// An unused connection that still seems alive, the most recent first.
    pub(super) fn take(self: &Rc<Self>) -> Option<Lent> {
        let mut unused = self.unused.borrow_mut();
        let mut place = unused.len();
        while place > 0 {
            place -= 1;
            let candidate = unused.get(place)?;
            if candidate.link.sender.is_closed() {
                unused.remove(place);
            } else if candidate.link.sender.is_ready() {
                let link = unused.remove(place).link;
                link.heard.store(false, Ordering::Relaxed);
                return Some(Lent { link, reused: true, upstream: Rc::clone(self) });
            }
            // otherwise its task has not yet noticed the end of the last exchange: another one will do
        }
        None
    }

    /// A new connection.
    pub(super) async fn connect(self: &Rc<Self>) -> io::Result<Lent> {
        let heard = Arc::new(AtomicBool::new(false));
        let wire = self.target.connect(Arc::clone(&heard)).await?;
        let (sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_header_size(HEADER_BYTES_MAX)
            .handshake(TokioIo::new(wire))
            .await
            .map_err(io::Error::other)?;
        // how it ends is told to whoever waits for an answer on it
        self.tasks.spawn_local(async move {
            let _ = connection.with_upgrades().await;
        });
        Ok(Lent { link: Link { sender, heard, alarm: Alarm::default() }, reused: false, upstream: Rc::clone(self) })
    }

    /// Closes connections that were not used for long. Runs as long as the pool is there; sleeps while nothing is in it.
    pub(in crate::proxy) fn evict(self: &Rc<Self>) -> impl Future<Output = ()> + use<> {
        let (pool, came_back) = (Rc::downgrade(self), Rc::clone(&self.came_back));
        let timeout = self.target.settings.idle_timeout;
        async move {
            while pool.strong_count() > 0 {
                came_back.notified().await;
                while pool.upgrade().is_some_and(|pool| !pool.unused.borrow().is_empty()) {
                    tokio::time::sleep(timeout).await;
                    if let Some(pool) = pool.upgrade() {
                        pool.close_unused_for(timeout);
                    }
                }
            }
        }
    }

    fn close_unused_for(&self, timeout: Duration) {
        let now = awake();
        let lives =
            |unused: &Unused| !unused.link.sender.is_closed() && now.saturating_duration_since(unused.since) < timeout;
        self.unused.borrow_mut().retain(lives);
    }

    fn put(&self, link: Link) {
        let max = self.target.settings.idle_max;
        if link.sender.is_closed() || max == 0 {
            return;
        }
        let mut unused = self.unused.borrow_mut();
        if unused.is_empty() {
            self.came_back.notify_one();
        }
        if unused.len() >= max {
            unused.remove(0);
        }
        unused.push(Unused { link, since: awake() });
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.came_back.notify_one();
    }
}

impl Lent {
    pub(super) fn sender(&mut self) -> &mut SendRequest<RequestBody> {
        &mut self.link.sender
    }

    /// Ready once `until` has passed.
    pub(super) fn poll_passed(&mut self, cx: &mut Context<'_>, until: Instant) -> Poll<()> {
        self.link.alarm.poll_passed(cx, until)
    }

    /// Whether any byte came back since it was lent.
    pub(super) fn heard(&self) -> bool {
        self.link.heard.load(Ordering::Relaxed)
    }

    /// The exchange is whole: the connection may be used again.
    pub(super) fn give_back(self) {
        self.upstream.put(self.link);
    }
}

/// Answers of applications carry larger fields than requests may. Of fields there may be 100, which is hyper's own limit: any
/// other makes it clear its tables for each answer (5 % of what the gate executes for a request).
const HEADER_BYTES_MAX: usize = 64 * 1024;
