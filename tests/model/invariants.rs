//! What must be true of every history, read back from the journal alone.

use std::collections::HashMap;

use hallpass::domain::activation::{Activation, Choice};
use hallpass::domain::event::{Actor, Event};
use hallpass::domain::id::ActivationId;
use hallpass::domain::standing::Position;
use hallpass::domain::time::Timestamp;
use hallpass::store::{Entry, Reader, RecordFilter};

use crate::universe::stages;

pub fn check(reader: &Reader, seed: u64, now: Timestamp) {
    let entries = all(reader);
    let mut cases: HashMap<ActivationId, Option<Activation>> = HashMap::new();
    let mut last = Timestamp::MIN;
    for entry in &entries {
        assert!(last <= entry.time && entry.time <= now, "seed {seed}: time runs forwards");
        last = entry.time;
        let Some(id) = entry.event.activation() else { continue };
        let before = cases.remove(&id).flatten();
        if let Some(before) = &before {
            assert!(!before.is_ended(), "seed {seed}: {id} had ended, and then {:?}", entry.event);
        }
        check_decision(seed, entry, before.as_ref());
        check_start(seed, entry, before.as_ref());
        let after = Activation::apply(before, &entry.event, entry.time).expect("events that follow one another");
        cases.insert(id, after);
    }
    for (id, folded) in cases {
        let row = reader.activation(id).expect("readable").map(|listed| listed.item);
        assert_eq!(row, folded, "seed {seed}: the row equals the fold");
    }
}

fn all(reader: &Reader) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let after = entries.last().map_or(Position(0), |entry| entry.position);
        let more = reader.records(&RecordFilter::default(), after, 500).expect("records");
        if more.is_empty() {
            return entries;
        }
        entries.extend(more);
    }
}

/// Never the own request, never twice, only by the one who acted.
fn check_decision(seed: u64, entry: &Entry, before: Option<&Activation>) {
    let Event::ActivationDecided { activation, approver, .. } = &entry.event else { return };
    let before = before.expect("a case to decide on");
    assert_ne!(*approver, before.principal, "seed {seed}: {activation} approved by its own requester");
    let ballot = before.ballot().expect("an open ballot");
    assert!(!ballot.has_vote_of(approver), "seed {seed}: {activation}: {approver} voted twice");
    let acted = matches!(&entry.actor, Actor::Principal { principal, .. } if principal == approver);
    assert!(acted, "seed {seed}: {activation}: a vote in somebody else's name");
}

/// A role that needs approval starts only after enough distinct people agreed in every stage.
fn check_start(seed: u64, entry: &Entry, before: Option<&Activation>) {
    let Event::ActivationStarted { activation, window } = &entry.event else { return };
    let before = before.expect("a case to start");
    assert!(window.ends_at.is_some_and(|end| window.starts_at < end), "seed {seed}: {activation} has an end");
    for (index, stage) in stages(&before.role).iter().enumerate() {
        let mut agreed: Vec<_> = before
            .decisions
            .iter()
            .filter(|decision| decision.stage as usize == index && decision.choice == Choice::Approve)
            .map(|decision| &decision.approver)
            .collect();
        agreed.sort();
        agreed.dedup();
        assert!(agreed.len() >= stage.quorum as usize, "seed {seed}: {activation} began without its quorum");
    }
}
