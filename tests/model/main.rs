//! Random histories, played against the product and against a plain oracle that looks at no event.
//!
//! Half the histories are never swept, so that no verdict can lean on housekeeping. Each history names its seed;
//! `TESTS_MODEL_SEED=n` plays one alone, `TESTS_MODEL_COMMANDS=n` sets how many commands are played in all.

#![expect(unreachable_pub, reason = "modules of one test program")]
#![expect(clippy::expect_used, reason = "what a story needs must be there")]

mod cutting;
mod draw;
mod invariants;
mod oracle;
#[expect(dead_code, reason = "its seeds are always the same")]
#[path = "../fixtures/seeds.rs"]
mod seeds;
mod states;
mod universe;

use std::sync::Arc;

use hallpass::domain::assignment::AssignmentKind;
use hallpass::domain::authorize::authorize;
use hallpass::domain::command::{Caller, Command, Declared};
use hallpass::domain::decide::decide;
use hallpass::domain::id::{AssignmentId, CommandId};
use hallpass::domain::principal::Party;
use hallpass::domain::role::RoleId;
use hallpass::domain::rule::{Demand, Rule};
use hallpass::domain::standing::Standing;
use hallpass::domain::time::{Span, Timestamp};
use hallpass::journal::sign::SigningKey;
use hallpass::store::{self, Appender, Header, Reader};

use cutting::Archives;
use draw::Draw;
use oracle::Oracle;
use seeds::setting;
use states::Grant;
use universe::*;

const COMMANDS: u64 = 100_000;
const COMMANDS_PER_SEED: u64 = 1_000;
/// Commands that share one transaction: decisions must be right on rows that are not committed yet.
const BATCH: u64 = 16;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sweeping {
    Always,
    Never,
}

/// Histories whose old records are cut: each takes days, and every row is compared after every cut.
const CUT_SEEDS: u64 = 16;
const CUT_EVERY: u64 = 10;

#[test]
fn swept_histories_follow_the_oracle() {
    play_all(Sweeping::Always, 0);
}

#[test]
fn histories_that_are_never_swept_follow_the_oracle() {
    play_all(Sweeping::Never, 1_000_000);
}

#[test]
fn histories_whose_old_records_are_cut_follow_the_oracle() {
    let (mut records, mut cases) = (0, 0);
    for seed in 2_000_000..2_000_000 + CUT_SEEDS {
        let sweeping = if seed % 4 == 0 { Sweeping::Never } else { Sweeping::Always };
        let archives = History::new(seed, sweeping).play_and_cut();
        (records, cases) = (records + archives.records, cases + archives.cases);
    }
    assert!(records > 1_000 && cases > 100, "too little was cut: {records} records, {cases} cases");
}

fn play_all(sweeping: Sweeping, first_seed: u64) {
    if let Some(seed) = setting("TESTS_MODEL_SEED") {
        History::new(seed, sweeping).play();
        return;
    }
    let commands = setting("TESTS_MODEL_COMMANDS").unwrap_or(COMMANDS) / 2;
    let seeds = first_seed..first_seed + commands.div_ceil(COMMANDS_PER_SEED);
    let accepted: u64 = seeds.map(|seed| History::new(seed, sweeping).play()).sum();
    assert!(accepted > commands / 5, "too little happened: {accepted} of {commands} commands were accepted");
}

struct History {
    seed: u64,
    sweeping: Sweeping,
    draw: Draw,
    now: Timestamp,
    oracle: Oracle,
    appender: Appender,
    reader: Reader,
    accepted: u64,
}

impl History {
    fn new(seed: u64, sweeping: Sweeping) -> Self {
        let now = Timestamp::from_seconds(1_800_000_000);
        let (key, _) = SigningKey::generate().expect("a key");
        let opened = store::open_backend(redb::backends::InMemoryBackend::new(), key, now).expect("a store in memory");
        Self {
            seed,
            sweeping,
            draw: Draw::new(seed),
            now,
            oracle: Oracle::default(),
            reader: opened.reader,
            appender: opened.appender,
            accepted: 0,
        }
    }

    /// Plays one history; how many commands changed something.
    fn play(mut self) -> u64 {
        self.begin();
        let mut played = 0;
        while played < COMMANDS_PER_SEED {
            self.pass_time();
            self.play_batch();
            played += BATCH;
            self.compare_verdicts();
        }
        invariants::check(&self.reader, self.seed, self.now);
        self.accepted
    }

    /// Plays one history whose old records are cut on the way.
    fn play_and_cut(mut self) -> Archives {
        self.begin();
        let mut archives = Archives::default();
        for batch in 1..=COMMANDS_PER_SEED.div_ceil(BATCH) {
            self.pass_time();
            self.play_batch();
            self.compare_verdicts();
            if batch % CUT_EVERY == 0 {
                self.now = self.now.plus(Span::seconds(self.draw.chance.below(4 * 86_400)));
                self.oracle.pass(self.now);
                archives.cut(&self.reader, &mut self.appender, &mut self.draw, self.now);
                self.compare_verdicts();
            }
        }
        archives.join(&self.reader);
        archives
    }

    /// Root is administrator; without one nothing could begin.
    fn begin(&mut self) {
        let id = AssignmentId::from_random(self.draw.chance.bits());
        let party = Party::Principal(person("root"));
        let declared = Declared {
            id,
            kind: AssignmentKind::Active,
            role: RoleId::administrator(),
            party: party.clone(),
            starts_at: None,
            ends_at: None,
        };
        let reconcile = Command::Reconcile { declared: vec![declared], digest: String::new() };
        self.carry_out(&[(Caller::Configuration, reconcile)]);
        let (from, until) = (self.now, Timestamp::MAX);
        let role = RoleId::administrator();
        self.oracle.grants.insert(id, Grant { kind: AssignmentKind::Active, role, party, from, until, over: false });
    }

    fn pass_time(&mut self) {
        let step = match self.draw.chance.below(4) {
            0 => 0,
            1 => self.draw.chance.below(20),
            2 => self.draw.chance.below(600),
            _ => self.draw.chance.below(3000),
        };
        self.now = self.now.plus(Span::seconds(step));
        self.oracle.pass(self.now);
        if self.sweeping == Sweeping::Always {
            let overdue = self.reader.overdue(self.now, 1000).expect("what is overdue");
            let settle: Vec<_> =
                overdue.into_iter().map(|overdue| (Caller::Hallpass, Command::Settle { overdue })).collect();
            self.carry_out(&settle);
            assert!(self.reader.overdue(self.now, 1).expect("overdue").is_empty(), "seed {}: swept clean", self.seed);
        }
    }

    fn play_batch(&mut self) {
        let now = self.now;
        let mut transaction = self.appender.begin().expect("a transaction");
        for _ in 0..BATCH {
            let (name, _) = *self.draw.chance.pick(&PEOPLE).expect("people");
            let command = self.draw.command(name, &self.oracle, now);
            let name = if self.draw.chance.one_in(4) {
                name.to_owned()
            } else {
                self.draw.likely(&command, &self.oracle, name)
            };
            let name = name.as_str();
            let with_groups = !self.draw.chance.one_in(10);
            let identity = identity(name, with_groups);
            let caller = caller(name, with_groups);
            let case = transaction.case(&caller, &command, &policies()).expect("a case");
            let decided = decide(&case, &caller, &command, now);
            let expected = self.oracle.accepts(&identity, &command, now);
            assert_eq!(
                decided.is_ok(),
                expected,
                "seed {}: {name} (with groups: {with_groups}) at {now:?}: {command:?}\nproduct: {decided:?}",
                self.seed
            );
            if let Ok(events) = decided
                && !events.is_empty()
            {
                self.accepted += 1;
                let command_id = CommandId::from_random(self.draw.chance.bits());
                let header = Header { command: command_id, time: now, actor: caller.actor(), idempotency: None };
                transaction.append(&header, &events, &command.detail(&caller)).expect("appended");
            }
        }
        transaction.commit().expect("committed");
    }

    fn carry_out(&mut self, commands: &[(Caller, Command)]) {
        let mut transaction = self.appender.begin().expect("a transaction");
        for (caller, command) in commands {
            let case = transaction.case(caller, command, &policies()).expect("a case");
            let events = decide(&case, caller, command, self.now).expect("accepted");
            let command_id = CommandId::from_random(self.draw.chance.bits());
            let header = Header { command: command_id, time: self.now, actor: caller.actor(), idempotency: None };
            transaction.append(&header, &events, &command.detail(caller)).expect("appended");
        }
        transaction.commit().expect("committed");
    }

    /// Everybody's verdict on every role, by the product's standings and by the oracle.
    fn compare_verdicts(&self) {
        for (name, _) in PEOPLE {
            for with_groups in [true, false] {
                let identity = identity(name, with_groups);
                let parties = std::iter::once(Party::Principal(identity.principal.clone()))
                    .chain(identity.groups.iter().cloned().map(Party::Group));
                let standings: Vec<Arc<Standing>> =
                    parties.map(|party| Arc::new(self.reader.standing(&party).expect("a standing"))).collect();
                let standings: Vec<&Standing> = standings.iter().map(Arc::as_ref).collect();
                for role in ROLES.iter().map(|name| role(name)).chain([RoleId::administrator()]) {
                    let rule = Rule::enforce(Demand::AnyRole(vec![role.clone()]));
                    let verdict = authorize(&rule, Some(&identity), &standings, self.now).is_ok();
                    let expected = self.oracle.holds(&identity, &role, self.now);
                    let seed = self.seed;
                    assert_eq!(verdict, expected, "seed {seed}: {name} on {role} at {:?}", self.now);
                }
            }
        }
    }
}
