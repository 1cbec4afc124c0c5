//! No stale allow: after a revocation is answered, no reader may find the role held, however cold or warm the cache.
//!
//! Writers grant and revoke as fast as the journal takes it, while readers look up standings through a cache that is far
//! too small for all of them, so that loads, evictions and publications interleave all the time. The readers' look is then
//! held against a cache that breaks the rule of `standings.rs` (load, then insert, outside the key's lock), with one
//! revocation in that very gap, and must find a stale allow there: a check that cannot fail would prove nothing.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "what a test is given must be there")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use hallpass::clock::Clock;
use hallpass::domain::assignment::AssignmentKind;
use hallpass::domain::authorize::authorize;
use hallpass::domain::command::{Caller, Command, Declared};
use hallpass::domain::id::{ActivationId, AssignmentId};
use hallpass::domain::identity::{Assurance, Identity};
use hallpass::domain::policy::{
    ActivationLimits, ApprovalRule, AssignmentLimits, AssuranceRule, ExtensionRule, JustificationRule, PendingLimits,
    Permanence, Policies, PolicyRevision, RolePolicy, TicketRule,
};
use hallpass::domain::principal::{Party, Principal};
use hallpass::domain::role::RoleId;
use hallpass::domain::rule::{Demand, Rule};
use hallpass::domain::standing::{Basis, Standing};
use hallpass::domain::time::{Span, Timestamp};
use hallpass::journal::sign::SigningKey;
use hallpass::standings::Standings;
use hallpass::store::{self, Reader};
use hallpass::telemetry::Metrics;
use hallpass::writer::{self, Purpose, Settings, Submission, Writer};

const PEOPLE: usize = 24;
const WRITERS: usize = 8;
const READERS: usize = 6;
/// Fewer than people: most looks are cold.
const CAPACITY: u64 = 6;
const REVOCATIONS: u64 = 3_000;

/// A way to look up standings.
trait Lookup: Send + Sync {
    fn of(&self, party: &Party) -> Arc<Standing>;
}

/// The product's own.
struct Ruled(Standings);

impl Lookup for Ruled {
    fn of(&self, party: &Party) -> Arc<Standing> {
        self.0.of(party).expect("a standing")
    }
}

/// What anybody would write first: look, load, insert; forget on change.
struct Unruled<'g> {
    reader: Reader,
    cache: moka::sync::Cache<Party, Arc<Standing>>,
    /// What happens between load and insert.
    in_the_gap: &'g (dyn Fn(&Self) + Send + Sync),
}

impl Lookup for Unruled<'_> {
    #[expect(clippy::disallowed_methods, reason = "shows what the rule forbids")]
    fn of(&self, party: &Party) -> Arc<Standing> {
        if let Some(standing) = self.cache.get(party) {
            return standing;
        }
        let standing = Arc::new(self.reader.standing(party).expect("a standing"));
        (self.in_the_gap)(self);
        self.cache.insert(party.clone(), Arc::clone(&standing));
        standing
    }
}

impl Unruled<'_> {
    /// The journal has answered a command about `party`.
    #[expect(clippy::disallowed_methods, reason = "shows what the rule forbids")]
    fn answered(&self, party: &Party) {
        self.cache.invalidate(party);
    }
}

#[test]
fn no_reader_finds_a_role_after_its_revocation_was_answered() {
    let stage = Stage::set();
    let (stale, looks) = stage.play(Ruled(stage.standings.clone()));
    assert_eq!(stale, 0, "stale allows among {looks} looks");
    println!("{looks} looks");
}

#[test]
fn the_look_finds_a_cache_that_breaks_the_rule() {
    for revoked_in_the_gap in [true, false] {
        let stage = Stage::set();
        let (caller, id) = (Caller::Identity(Arc::new(identity(0))), fresh());
        let (answered, happened) = (Answered::nobody(), AtomicBool::new(false));
        let revoke = |lookup: &Unruled<'_>| {
            stage.runtime.block_on(submit(&stage.writer, caller.clone(), Command::Deactivate { id }));
            lookup.answered(&Party::Principal(person(0)));
            answered.ended(0, id);
        };
        let in_the_gap = |lookup: &Unruled<'_>| {
            if revoked_in_the_gap && !happened.swap(true, Ordering::Relaxed) {
                revoke(lookup);
            }
        };
        let cache = moka::sync::Cache::new(CAPACITY);
        let lookup = Unruled { reader: stage.reader.clone(), cache, in_the_gap: &in_the_gap };
        stage.runtime.block_on(submit(&stage.writer, caller.clone(), request(id)));
        lookup.answered(&Party::Principal(person(0)));
        assert!(!answered.is_stale(&lookup, 0), "nothing was revoked before this look began");
        if !revoked_in_the_gap {
            revoke(&lookup);
        }
        assert_eq!(answered.is_stale(&lookup, 0), revoked_in_the_gap, "what was loaded too early is there for good");
    }
}

/// Whose role was answered to have ended last, by person.
struct Answered(Vec<ArcSwapOption<ActivationId>>);

impl Answered {
    fn nobody() -> Self {
        Self((0..PEOPLE).map(|_| ArcSwapOption::empty()).collect())
    }

    fn ended(&self, who: usize, id: ActivationId) {
        self.0[who].store(Some(Arc::new(id)));
    }

    /// One look of a reader: whether a role is found that was answered to have ended.
    fn is_stale(&self, lookup: &dyn Lookup, who: usize) -> bool {
        // first what was answered, then the look: whatever was answered before must be in force
        let ended = self.0[who].load_full();
        let holds = permitted_by(lookup, who);
        ended.is_some() && holds == ended.as_deref().copied()
    }
}

struct Stage {
    runtime: tokio::runtime::Runtime,
    writer: Writer,
    standings: Standings,
    reader: Reader,
}

impl Stage {
    fn set() -> Self {
        let clock = Clock::system();
        let (key, _) = SigningKey::generate().expect("a key");
        let backend = redb::backends::InMemoryBackend::new();
        let opened = store::open_backend(backend, key, clock.now()).expect("a store");
        let reader = opened.reader.clone();
        let standings = Standings::new(opened.reader, CAPACITY).expect("standings");
        let settings = Settings {
            policies: Arc::new(ArcSwap::from_pointee(Policies::new([policy()], PendingLimits::default()))),
            clock_behind_max: std::time::Duration::from_secs(5),
            aside: Vec::new(),
        };
        let (writer, _running) =
            writer::start(opened.appender, standings.clone(), clock, settings, &Metrics::default()).expect("a writer");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
        let declared = (0..PEOPLE).map(|number| Declared {
            id: AssignmentId::from_random([u8::try_from(number).expect("few people"); 16]),
            kind: AssignmentKind::Eligible,
            role: role(),
            party: Party::Principal(person(number)),
            starts_at: None,
            ends_at: None,
        });
        let reconcile = Command::Reconcile { declared: declared.collect(), digest: String::new() };
        runtime.block_on(submit(&writer, Caller::Configuration, reconcile));
        Self { runtime, writer, standings, reader }
    }

    /// Plays until enough was revoked, and looked at more often than that; tells stale allows and looks.
    fn play(&self, lookup: Ruled) -> (u64, u64) {
        let (lookup, answered) = (Arc::new(lookup), Arc::new(Answered::nobody()));
        let (stale, looks, revoked) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)), AtomicU64::new(0));
        let done = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = (0..READERS)
            .map(|number| {
                let (lookup, answered) = (Arc::clone(&lookup), Arc::clone(&answered));
                let (stale, looks, done) = (Arc::clone(&stale), Arc::clone(&looks), Arc::clone(&done));
                std::thread::spawn(move || {
                    let mut who = number;
                    while !done.load(Ordering::Acquire) {
                        who = (who + 7) % PEOPLE;
                        let is_stale = answered.is_stale(lookup.as_ref(), who);
                        stale.fetch_add(u64::from(is_stale), Ordering::Relaxed);
                        looks.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let writers = (0..WRITERS).map(|first| {
            let (answered, looks, revoked) = (&answered, &looks, &revoked);
            async move {
                let mut who = first;
                while revoked.load(Ordering::Relaxed).min(looks.load(Ordering::Relaxed)) < REVOCATIONS {
                    who = (who + WRITERS) % PEOPLE;
                    let caller = Caller::Identity(Arc::new(identity(who)));
                    let id = fresh();
                    submit(&self.writer, caller.clone(), request(id)).await;
                    submit(&self.writer, caller, Command::Deactivate { id }).await;
                    answered.ended(who, id);
                    revoked.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        self.runtime.block_on(futures_util::future::join_all(writers));
        done.store(true, Ordering::Release);
        readers.into_iter().for_each(|reader| reader.join().expect("a reader"));
        (stale.load(Ordering::Relaxed), looks.load(Ordering::Relaxed))
    }
}

/// The activation by which a request of this person would pass now.
fn permitted_by(lookup: &dyn Lookup, who: usize) -> Option<ActivationId> {
    let standing = lookup.of(&Party::Principal(person(who)));
    let rule = Rule::enforce(Demand::AnyRole(vec![role()]));
    let permit = authorize(&rule, Some(&identity(who)), &[&standing], Clock::system().now()).ok()?;
    permit.held().iter().find_map(|held| match held.basis {
        Basis::Activation(id) => Some(id),
        Basis::Assignment(_) => None,
    })
}

async fn submit(writer: &Writer, caller: Caller, command: Command) {
    let submission = Submission { caller, command, idempotency: None, purpose: Purpose::Commit };
    writer.submit(submission).await.expect("accepted");
}

fn request(id: ActivationId) -> Command {
    Command::RequestActivation {
        id,
        role: role(),
        duration: None,
        starts_at: None,
        justification: None,
        ticket: None,
        wanted: None,
    }
}

fn fresh() -> ActivationId {
    let mut bits = [0; 16];
    aws_lc_rs::rand::fill(&mut bits).expect("random bits");
    ActivationId::from_random(bits)
}

fn person(number: usize) -> Principal {
    Principal::new("https://id.test", &format!("person-{number}"))
}

fn role() -> RoleId {
    "app/role".parse().expect("a role")
}

fn identity(number: usize) -> Identity {
    Identity {
        principal: person(number),
        name: None,
        mail: None,
        groups: Vec::new(),
        assurance: Assurance::default(),
        issued_at: None,
        ends_at: Timestamp::MAX,
    }
}

fn policy() -> RolePolicy {
    RolePolicy {
        role: role(),
        description: String::new(),
        revision: PolicyRevision::new("1"),
        activation: ActivationLimits {
            min: Span::seconds(1),
            max: Span::hours(1),
            default: Span::hours(1),
            total_max: Span::hours(1),
            start_ahead_max: Span::hours(1),
        },
        justification: JustificationRule::default(),
        ticket: TicketRule::default(),
        assurance: AssuranceRule::default(),
        approval: ApprovalRule::default(),
        extension: ExtensionRule::None,
        pending_after: Span::hours(1),
        eligible: AssignmentLimits { permanent: Permanence::Allowed, max: Span::days(1) },
        active: AssignmentLimits { permanent: Permanence::Allowed, max: Span::days(1) },
    }
}
