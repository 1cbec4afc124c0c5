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

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::clock::Clock;
    use crate::domain::identity::Assurance;
    use crate::domain::principal::Principal;
    use crate::domain::time::Timestamp;
    use crate::standings::Standings;
    use crate::store;

    fn judge() -> (Judge, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let paths = store::Settings { path: folder.path().join("s.redb"), key_path: folder.path().join("s.key") };
        let reader = store::open(&paths, Timestamp::from_seconds(0)).unwrap().reader;
        (Judge::new(Standings::new(reader, 10).unwrap(), Clock::system()), folder)
    }

    fn known(name: &str) -> Arc<Identity> {
        Arc::new(Identity {
            principal: Principal::new("https://id.test", name),
            name: None,
            mail: None,
            groups: Vec::new(),
            assurance: Assurance::default(),
            issued_at: None,
            ends_at: Timestamp::MAX,
        })
    }

    #[test]
    fn only_whom_it_concerns_is_called_and_all_when_nobody_looks_any_more() {
        let (judge, _folder) = judge();
        let (rules, moved) = watch::channel(());
        let lookout = Lookout::new();
        let events = Events { head: judge.standings().watch(), rules: moved };
        let mut looking = Box::pin(lookout.run(&judge, events));
        assert!(looking.as_mut().now_or_never().is_none());

        let grounds = |name, standing| Grounds { identity: Some(known(name)), standings: vec![standing] };
        let present = |name: &str| judge.standings().of(&known(name).principal.clone().into()).unwrap();
        let unchanged = Ward::new(grounds("ada", present("ada")));
        let changed = Ward::new(grounds("eve", Arc::new(Standing::clone(&present("eve")))));
        let gone = Ward::new(grounds("bob", Arc::new(Standing::clone(&present("bob")))));
        let is_called = |ward: &Ward| ward.called().now_or_never().is_some();
        let watched = [&unchanged, &changed].map(|ward| lookout.watch_over(ward));
        drop(lookout.watch_over(&gone));

        judge.standings().publish(&[], judge.standings().position());
        assert!(looking.as_mut().now_or_never().is_none());
        assert_eq!([&unchanged, &changed, &gone].map(|ward| is_called(ward)), [false, true, false]);
        rules.send_replace(());
        assert!(looking.as_mut().now_or_never().is_none());
        assert_eq!([&unchanged, &changed, &gone].map(|ward| is_called(ward)), [true, true, false]);
        assert!(!lookout.is_closed());
        drop(looking);
        assert_eq!([&unchanged, &changed, &gone].map(|ward| is_called(ward)), [true, true, false]);
        assert!(lookout.is_closed(), "whoever comes now is told at once");
        drop(watched);
        assert!(lookout.wards.borrow().is_empty());
    }
}
