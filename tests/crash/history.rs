//! A history of commands played on a recording disk, with what must be true after each.

use std::collections::BTreeSet;

use hallpass::domain::assignment::AssignmentKind;
use hallpass::domain::authorize::authorize;
use hallpass::domain::command::{Caller, Command, Declared};
use hallpass::domain::decide::decide;
use hallpass::domain::event::{Actor, Detail};
use hallpass::domain::id::{ActivationId, AssignmentId, CommandId};
use hallpass::domain::principal::Party;
use hallpass::domain::role::RoleId;
use hallpass::domain::rule::{Demand, Rule};
use hallpass::domain::standing::{Position, Standing};
use hallpass::domain::time::{Span, Timestamp};
use hallpass::journal::{Digest, SigningKey};
use hallpass::store::{self, Appender, Head, Header, Opened, Planned, Reader, StoreError, TableDigest, Wanted};

use crate::draw::Draw;
use crate::oracle::Oracle;
use crate::states::Grant;
use crate::tape::Tape;
use crate::universe::*;

/// What must be true once a transaction is acknowledged.
pub struct Moment {
    /// How much the disk had been told when the commit returned.
    pub told: usize,
    pub head: Head,
    pub tables: Vec<TableDigest>,
    pub oracle: Oracle,
    /// The cases that were cut.
    pub gone: BTreeSet<ActivationId>,
    pub now: Timestamp,
}

/// A history that was played to its end.
pub struct History {
    pub key: Vec<u8>,
    pub tape: Tape,
    pub moments: Vec<Moment>,
    pub commands: usize,
    pub kinds: BTreeSet<String>,
    gone: BTreeSet<ActivationId>,
}

impl History {
    /// Plays until `commands` commands of [`KINDS`] kinds were accepted, most of them in a transaction of their own.
    pub fn play(seed: u64, commands: usize) -> Self {
        let (key, bytes) = SigningKey::generate().expect("a key");
        let tape = Tape::default();
        let mut now = Timestamp::from_seconds(1_800_000_000);
        let Opened { reader, mut appender } = store::open_backend(tape.clone(), key, now).expect("a store");
        let mut history = Self {
            key: bytes.to_vec(),
            tape,
            moments: Vec::new(),
            commands: 0,
            kinds: BTreeSet::new(),
            gone: BTreeSet::new(),
        };
        let (mut draw, mut oracle) = (Draw::new(seed), Oracle::default());
        history.note(&reader, &oracle, now);
        history.begin(&mut appender, &mut draw, &mut oracle, now);
        history.note(&reader, &oracle, now);
        let mut cut_at = commands / 2;
        while history.commands < commands || history.kinds.len() < KINDS {
            if history.commands >= cut_at && !oracle.cases.is_empty() {
                // what is over by then is cut, so that the second half is played on what was carried
                cut_at = usize::MAX;
                now = now.plus(Span::days(9));
                oracle.pass(now);
                history.settle(&reader, &mut appender, &mut draw, now);
                history.note(&reader, &oracle, now);
                now = now.plus(Span::days(3));
                history.cut(&reader, &mut appender, now);
                history.note(&reader, &oracle, now);
            }
            now = now.plus(Span::seconds(draw.chance.below(400)));
            oracle.pass(now);
            let mut transaction = appender.begin().expect("a transaction");
            let before = history.commands;
            let wanted = if draw.chance.one_in(6) { 4 } else { 1 };
            while history.commands < before + wanted {
                let (name, _) = *draw.chance.pick(&PEOPLE).expect("people");
                let command = draw.command(name, &oracle, now);
                let name = draw.likely(&command, &oracle, name);
                let caller = caller(&name, true);
                let case = transaction.case(&caller, &command, &policies()).expect("a case");
                let decided = decide(&case, &caller, &command, now);
                let expected = oracle.accepts(&identity(&name, true), &command, now);
                assert_eq!(decided.is_ok(), expected, "seed {seed}: {name}: {command:?}: {decided:?}");
                let Ok(events) = decided else { continue };
                if events.is_empty() {
                    continue;
                }
                let header = header(&mut draw, caller.actor(), now);
                transaction.append(&header, &events, &command.detail(&caller)).expect("appended");
                history.commands += 1;
                let kind = format!("{command:?}");
                history.kinds.insert(kind.split([' ', '{']).next().unwrap_or_default().to_owned());
            }
            transaction.commit().expect("committed");
            history.note(&reader, &oracle, now);
        }
        reader.check_rows().expect("tables equal the fold");
        // what a disk is told when a store is closed is part of the history too
        drop((reader, appender));
        history
    }

    /// Writes down what time has ended.
    fn settle(&mut self, reader: &Reader, appender: &mut Appender, draw: &mut Draw, now: Timestamp) {
        let mut transaction = appender.begin().expect("a transaction");
        for overdue in reader.overdue(now, 1000).expect("what is overdue") {
            let command = Command::Settle { overdue };
            let case = transaction.case(&Caller::Hallpass, &command, &policies()).expect("a case");
            let events = decide(&case, &Caller::Hallpass, &command, now).expect("accepted");
            let header = header(draw, Actor::Hallpass, now);
            transaction.append(&header, &events, &Detail::default()).expect("appended");
        }
        transaction.commit().expect("committed");
    }

    /// Cuts all that may go.
    fn cut(&mut self, reader: &Reader, appender: &mut Appender, now: Timestamp) {
        let snapshot = reader.snapshot().expect("a snapshot");
        let wanted = Wanted::before(now, now);
        let Planned::Cut(plan) = snapshot.plan_cut(&wanted, &mut |_, _| {}).expect("planned") else {
            panic!("nothing can be cut");
        };
        assert!(plan.records > self.commands as u64 / 2 && !plan.cases.is_empty(), "only {} records", plan.records);
        let mut archive = Vec::new();
        snapshot.write_archive(&plan, &mut archive, &mut |_, _| {}).expect("written");
        drop(snapshot);
        appender.cut(&plan, Digest::of(&[&archive]), now, (Actor::Operator, &Detail::default())).expect("cut");
        self.gone.extend(&plan.cases);
    }

    /// Root is administrator; without one nothing could begin.
    fn begin(&mut self, appender: &mut Appender, draw: &mut Draw, oracle: &mut Oracle, now: Timestamp) {
        let id = AssignmentId::from_random(draw.chance.bits());
        let (role, party) = (RoleId::administrator(), Party::Principal(person("root")));
        let kind = AssignmentKind::Active;
        let declared = Declared { id, kind, role: role.clone(), party: party.clone(), starts_at: None, ends_at: None };
        let command = Command::Reconcile { declared: vec![declared], digest: String::new() };
        let mut transaction = appender.begin().expect("a transaction");
        let case = transaction.case(&Caller::Configuration, &command, &policies()).expect("a case");
        let events = decide(&case, &Caller::Configuration, &command, now).expect("accepted");
        let header = header(draw, Actor::Configuration, now);
        transaction.append(&header, &events, &Detail::default()).expect("appended");
        transaction.commit().expect("committed");
        let grant = Grant { kind, role, party, from: now, until: Timestamp::MAX, over: false };
        oracle.grants.insert(id, grant);
    }

    fn note(&mut self, reader: &Reader, oracle: &Oracle, now: Timestamp) {
        self.moments.push(Moment {
            told: self.tape.len(),
            head: reader.head().expect("a head"),
            tables: reader.table_digests().expect("digests"),
            oracle: oracle.clone(),
            gone: self.gone.clone(),
            now,
        });
    }

    pub fn open(&self, tape: &Tape) -> Result<Opened, StoreError> {
        let key = SigningKey::from_pkcs8(&self.key).expect("the key");
        let latest = self.moments.last().expect("moments").now;
        store::open_backend(tape.clone(), key, latest)
    }

    /// The index of the last moment that was acknowledged when the disk had been told so much.
    pub fn acknowledged(&self, told: usize) -> usize {
        self.moments.partition_point(|moment| moment.told <= told).saturating_sub(1)
    }
}

impl Moment {
    /// What of `reader` is not as it was at this moment; nothing when all is.
    pub fn contradiction(&self, reader: &Reader) -> Option<String> {
        match reader.head() {
            Ok(head) if head == self.head => {}
            other => return Some(format!("head {other:?}, not {:?}", self.head)),
        }
        match reader.table_digests() {
            Ok(tables) if tables == self.tables => {}
            other => return Some(format!("tables {other:?}")),
        }
        self.wrong_verdicts(reader, Wrong::Any)
    }

    /// Verdicts on everybody and every role that are not the oracle's.
    pub fn wrong_verdicts(&self, reader: &Reader, wrong: Wrong) -> Option<String> {
        for (name, _) in PEOPLE {
            let identity = identity(name, true);
            let parties = std::iter::once(Party::Principal(identity.principal.clone()))
                .chain(identity.groups.iter().cloned().map(Party::Group));
            let standings: Result<Vec<Standing>, StoreError> = parties.map(|party| reader.standing(&party)).collect();
            let standings = match (standings, wrong) {
                (Ok(standings), _) => standings,
                // who cannot be read is denied
                (Err(_), Wrong::Allowed) => continue,
                (Err(error), Wrong::Any) => return Some(format!("{name}: {error}")),
            };
            let standings: Vec<&Standing> = standings.iter().collect();
            for role in ROLES.iter().map(|name| role(name)).chain([RoleId::administrator()]) {
                let rule = Rule::enforce(Demand::AnyRole(vec![role.clone()]));
                let allowed = authorize(&rule, Some(&identity), &standings, self.now).is_ok();
                let expected = self.oracle.holds(&identity, &role, self.now);
                if allowed != expected && (allowed || wrong == Wrong::Any) {
                    return Some(format!("{name} on {role}: allowed {allowed}, and it should be {expected}"));
                }
            }
        }
        None
    }

    pub const fn position(&self) -> Position {
        self.head.position
    }
}

/// How many kinds of commands a history has at least, of the ten that are drawn.
pub const KINDS: usize = 7;

/// Which verdicts count as wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// All that differ.
    Any,
    /// Only what is allowed and should not be.
    Allowed,
}

/// One more command on an opened store, to see that it goes on.
pub fn goes_on(Opened { reader, mut appender }: Opened, now: Timestamp) -> Result<(), StoreError> {
    let before = reader.head()?.position;
    let mut transaction = appender.begin()?;
    let party = Party::Principal(person("newcomer"));
    let command = Command::Reconcile {
        declared: vec![Declared {
            id: AssignmentId::from_random([9; 16]),
            kind: AssignmentKind::Active,
            role: RoleId::administrator(),
            party: party.clone(),
            starts_at: None,
            ends_at: None,
        }],
        digest: "another".to_owned(),
    };
    let case = transaction.case(&Caller::Configuration, &command, &policies())?;
    let events = decide(&case, &Caller::Configuration, &command, now).expect("accepted");
    let header = header(&mut Draw::new(1), Actor::Configuration, now);
    transaction.append(&header, &events, &Detail::default())?;
    transaction.commit()?;
    assert!(reader.head()?.position > before, "something was written");
    assert_eq!(reader.standing(&party)?.held.len(), 1, "and it is in force");
    Ok(())
}

fn header(draw: &mut Draw, actor: Actor, time: Timestamp) -> Header {
    Header { command: CommandId::from_random(draw.chance.bits()), time, actor, idempotency: None }
}
