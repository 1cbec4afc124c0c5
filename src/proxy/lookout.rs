//! One core's lookout: of all that is published it alone is woken, and it wakes the guards whom that concerns.
//!
//! Ten thousand exchanges may be open while a command concerns one. Were each guard to wait for the head itself, all of their
//! tasks would be woken from another thread, one by one, to find that nothing has changed, and the one would be cut in its
//! turn. Looking whether somebody's standings are still the same takes far less than waking a task, so one task looks for
//! all. Whoever it wakes judges for himself.
//!
//! A guard is watched over before it looks for the first time, and the lookout looks at all guards after the last
//! publication: none is missed in between. Without a lookout nobody could tell any more, and every guarded exchange ends.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::{Notify, watch};

use crate::domain::identity::Identity;
use crate::domain::standing::{Position, Standing};
use crate::proxy::standing::Judge;

/// The guards of one core.
pub(super) struct Lookout {
    wards: RefCell<BTreeMap<u64, Rc<Ward>>>,
    next: Cell<u64>,
    closed: Cell<bool>,
}

/// One guard, as the lookout knows it.
pub(super) struct Ward {
    grounds: RefCell<Grounds>,
    called: Notify,
}

/// Whose standings a permit rests on.
#[derive(Clone)]
pub(super) struct Grounds {
    pub(super) identity: Option<Arc<Identity>>,
    /// The own one first; empty where nobody had to be known.
    pub(super) standings: Vec<Arc<Standing>>,
}

/// What may end or change rights: taken when the core is made, so that nothing published since is missed.
pub(super) struct Events {
    pub(super) head: watch::Receiver<Position>,
    pub(super) rules: watch::Receiver<()>,
}

/// Watched over for as long as it lives.
pub(super) struct Watched<'l> {
    lookout: &'l Lookout,
    number: u64,
}

impl Ward {
    pub(super) fn new(grounds: Grounds) -> Rc<Self> {
        Rc::new(Self { grounds: RefCell::new(grounds), called: Notify::new() })
    }

    /// Returns once there is something to judge since it last returned.
    pub(super) async fn called(&self) {
        self.called.notified().await;
    }

    pub(super) fn identity(&self) -> Option<Arc<Identity>> {
        self.grounds.borrow().identity.clone()
    }

    /// Changes what is looked at from now on.
    pub(super) fn rests_on(&self, change: impl FnOnce(&mut Grounds)) {
        change(&mut self.grounds.borrow_mut());
    }

    /// Whether the same standings would be found now. Says nothing about time.
    pub(super) fn is_unchanged(&self, judge: &Judge) -> bool {
        let grounds = self.grounds.borrow();
        grounds.identity.as_ref().is_none_or(|identity| judge.is_unchanged(identity, &grounds.standings))
    }
}

impl Lookout {
    pub(super) fn new() -> Self {
        Self { wards: RefCell::default(), next: Cell::new(0), closed: Cell::new(false) }
    }

    /// Watches over a guard, which must look for itself once more after this.
    pub(super) fn watch_over(&self, ward: &Rc<Ward>) -> Watched<'_> {
        let number = self.next.get();
        self.next.set(number.wrapping_add(1));
        self.wards.borrow_mut().insert(number, Rc::clone(ward));
        Watched { lookout: self, number }
    }

    /// Nobody watches any more: nothing can be told about any right.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Watches. Returns, like it does when it is dropped, with every guard called and itself closed.
    pub(super) async fn run(&self, judge: &Judge, mut events: Events) {
        let _closing = Closing(self);
        loop {
            tokio::select! {
                moved = events.head.changed() => match moved {
                    Ok(()) => self.call(|ward| !ward.is_unchanged(judge)),
                    Err(_) => return,
                },
                moved = events.rules.changed() => match moved {
                    Ok(()) => self.call(|_| true),
                    Err(_) => return,
                },
            }
        }
    }

    fn call(&self, concerns: impl Fn(&Ward) -> bool) {
        for ward in self.wards.borrow().values().filter(|ward| concerns(ward)) {
            ward.called.notify_one();
        }
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        let ward = self.lookout.wards.borrow_mut().remove(&self.number);
        drop(ward);
    }
}

struct Closing<'l>(&'l Lookout);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.closed.set(true);
        self.0.call(|_| true);
    }
}
