//! A writer on a disk that can be told to fail, a clock that can be moved, and people to give commands.

use std::sync::Barrier;

use crate::clock::ManualClock;
use crate::domain::activation::{Choice, Phase};
use crate::domain::assignment::AssignmentKind;
use crate::domain::command::Declared;
use crate::domain::id::{ActivationId, AssignmentId};
use crate::domain::identity::{Assurance, Identity};
use crate::domain::policy::{
    ActivationLimits, ApprovalRule, AssignmentLimits, AssuranceRule, ExtensionRule, JustificationRule, Need, Pattern,
    PendingLimits, Permanence, PolicyRevision, RolePolicy, Stage, TicketRule,
};
use crate::domain::principal::{Group, Party, Principal};
use crate::domain::role::RoleId;
use crate::domain::standing::Lock;
use crate::domain::time::{Span, Timestamp};
use crate::journal::SigningKey;
use crate::store::tests::disk::{Disk, Trouble};
use crate::store::{Opened, Reader, open_backend};
use crate::writer::outage::LONGEST_PAUSE;
pub(super) use crate::writer::*;

pub(super) const NOW: i64 = 1_800_000_000;
pub(super) const WHY: &str = "the till of shop 4 is stuck";
/// A justification over which the role's pattern panics.
pub(super) const TRAP: &str = "step on me, please";
/// A justification over which the role's pattern waits for [`World::lets_go`].
pub(super) const HOLD: &str = "one moment, please";
/// What is waited for takes no time of its own: longer than any machine is stalled.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);

/// A writer over such a disk, with ada who may activate a role and root who is administrator for ten minutes.
pub(super) struct World {
    pub(super) disk: Disk,
    pub(super) clock: ManualClock,
    pub(super) now: Clock,
    pub(super) reader: Reader,
    pub(super) standings: Standings,
    pub(super) writer: Writer,
    pub(super) metrics: Metrics,
    pub(super) running: Running,
    policies: Arc<ArcSwap<Policies>>,
    hold: Arc<Barrier>,
    key: Vec<u8>,
    aside: Vec<PathBuf>,
}

/// What the process finds when it starts.
struct Found {
    disk: Disk,
    key: Vec<u8>,
    time: (Clock, ManualClock),
    policies: Arc<ArcSwap<Policies>>,
    hold: Arc<Barrier>,
    aside: Vec<PathBuf>,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::keeping(Vec::new()).await
    }

    /// Ends that the store does not take are kept in these files.
    pub(super) async fn keeping(aside: Vec<PathBuf>) -> Self {
        let (_, key) = SigningKey::generate().unwrap();
        let hold = Arc::new(Barrier::new(2));
        let policies = Arc::new(ArcSwap::from_pointee(policies(&hold, "lea", Span::minutes(5))));
        let time = Clock::manual(Timestamp::from_seconds(NOW));
        let found = Found { disk: Disk::new(), key: key.to_vec(), time, policies, hold, aside };
        let world = Self::over(found).unwrap();
        let declared = |seed, kind, role, who, ends_at| Declared {
            id: AssignmentId::from_random([seed; 16]),
            kind,
            role,
            party: Party::Principal(person(who)),
            starts_at: None,
            ends_at,
        };
        let minutes = |count| Some(world.now.now().plus(Span::minutes(count)));
        let declared = vec![
            declared(1, AssignmentKind::Eligible, role(), "ada", None),
            declared(2, AssignmentKind::Eligible, role(), "ben", None),
            declared(3, AssignmentKind::Active, RoleId::administrator(), "root", minutes(10)),
            declared(4, AssignmentKind::Active, RoleId::administrator(), "vera", None),
            declared(6, AssignmentKind::Eligible, safe(), "ada", None),
            Declared { party: Party::Group(crew()), ..declared(5, AssignmentKind::Eligible, role(), "", None) },
        ];
        let reconcile = Command::Reconcile { declared, digest: "d".to_owned() };
        world.submit_as(Caller::Configuration, reconcile, None).await.unwrap();
        world
    }

    /// On a disk that opens, whatever is wrong with it afterwards.
    fn over(found: Found) -> Result<Self, StoreError> {
        let Found { disk, key, time: (now, clock), policies, hold, aside } = found;
        let trouble = disk.suffers();
        disk.suffer(Trouble::None);
        let signing = SigningKey::from_pkcs8(&key).unwrap();
        let Opened { reader, appender } = open_backend(disk.clone(), signing, now.now())?;
        disk.suffer(trouble);
        let standings = Standings::new(reader.clone(), 100)?;
        let settings = Settings {
            policies: Arc::clone(&policies),
            clock_behind_max: Duration::from_secs(5),
            aside: aside.clone(),
        };
        let metrics = Metrics::default();
        let (writer, running) = start(appender, standings.clone(), now.clone(), settings, &metrics)?;
        Ok(Self { disk, clock, now, reader, standings, writer, metrics, running, policies, hold, key, aside })
    }

    /// From now on this person approves what lea approved.
    pub(super) fn approver_is(&self, who: &str) {
        self.policies.store(Arc::new(policies(&self.hold, who, Span::minutes(5))));
    }

    /// From now on administrators must have signed in within this time.
    pub(super) fn administrators_signed_in_within(&self, max_age: Span) {
        self.policies.store(Arc::new(policies(&self.hold, "lea", max_age)));
    }

    /// Blocks until the writer waits over [`HOLD`], and lets it go on.
    pub(super) fn lets_go(&self) {
        self.hold.wait();
    }

    /// The process ends, and another one starts on the disk as it is then.
    pub(super) fn restart(self) -> Result<Self, StoreError> {
        let Self { disk, clock, now, reader, standings, writer, running, policies, hold, key, aside, .. } = self;
        let trouble = disk.suffers();
        // nothing that a process does on its way out may matter
        disk.suffer(Trouble::Writing);
        drop((writer, reader, standings));
        running.join();
        disk.suffer(trouble);
        Self::over(Found { disk, key, time: (now, clock), policies, hold, aside })
    }

    pub(super) async fn submit_as(
        &self,
        caller: Caller,
        command: Command,
        idempotency: Option<Idempotency>,
    ) -> Result<Outcome, SubmitError> {
        let submission = Submission { caller, command, idempotency, purpose: Purpose::Commit };
        self.writer.submit(submission).await
    }

    pub(super) async fn submit(&self, who: &str, command: Command) -> Result<Outcome, SubmitError> {
        self.submit_as(caller(who), command, None).await
    }

    /// `who` holds the role, under the activation of this number; everybody's standing has been looked at.
    pub(super) async fn holds(&self, who: &str, number: u8) {
        self.submit(who, request(number, WHY)).await.unwrap();
        assert!(self.is_held_by(who));
        for party in ["ada", "ben", "root", "vera"] {
            self.standings.of(&Party::Principal(person(party))).unwrap();
        }
    }

    /// `who` holds the role that lea approves, under the activation of this number.
    pub(super) async fn holds_the_safe(&self, who: &str, number: u8) {
        let mut ask = request(number, WHY);
        if let Command::RequestActivation { role, .. } = &mut ask {
            *role = safe();
        }
        self.submit(who, ask).await.unwrap();
        let (choice, justification) = (Choice::Approve, Some(WHY.to_owned()));
        let yes = Command::Decide { id: act(number), choice, revision: 1, adjusted: None, justification };
        self.submit("lea", yes).await.unwrap();
    }

    pub(super) fn is_held_by(&self, who: &str) -> bool {
        self.passes(who).unwrap()
    }

    /// The same, while perhaps nobody can tell.
    pub(super) fn passes(&self, who: &str) -> Result<bool, StoreError> {
        let standing = self.standings.of(&Party::Principal(person(who)))?;
        Ok(standing.lock == Lock::Open && standing.holding(&role(), &identity(who), self.now.now()).is_some())
    }

    /// The disk fails from now on, and somebody notices.
    pub(super) async fn break_the_disk(&self) {
        self.disk.suffer(Trouble::Writing);
        let noticed = self.submit("ben", request(99, WHY)).await;
        assert!(matches!(noticed, Err(SubmitError::Unavailable)), "{noticed:?}");
        assert!(!self.writer.health().takes_commands());
    }

    /// What was due has been tried, and the store is not tried again before time goes on.
    pub(super) async fn rests(&self) {
        let submission = Submission {
            caller: caller("ada"),
            command: request(98, WHY),
            idempotency: None,
            purpose: Purpose::DryRun,
        };
        let _ = self.writer.submit(submission).await;
    }

    /// The disk is well again, and the writer has found out.
    pub(super) async fn mend_the_disk(&self) {
        self.rests().await;
        self.disk.suffer(Trouble::None);
        self.tries_again().await;
        assert!(self.writer.health().takes_commands(), "{:?}", self.writer.health().state());
        self.reader.check_rows().unwrap();
    }

    /// The longest pause between two tries goes by, and what is due then has been tried.
    pub(super) async fn tries_again(&self) {
        self.clock.rest(Span::seconds(LONGEST_PAUSE.as_secs()));
        self.rests().await;
    }

    /// Whether no file tells of an end that is owed.
    pub(super) fn aside_is_empty(&self) -> bool {
        self.aside.iter().all(|place| !place.exists())
    }

    pub(super) fn phase(&self, number: u8) -> Phase {
        self.reader.activation(act(number)).unwrap().expect("a case").item.phase
    }
}

pub(super) fn person(name: &str) -> Principal {
    Principal::new("https://id.test", name)
}

pub(super) fn crew() -> Group {
    Group::new("https://id.test", "crew")
}

pub(super) fn role() -> RoleId {
    "shop/vault".parse().unwrap()
}

/// A role that lea approves at first.
pub(super) fn safe() -> RoleId {
    "shop/safe".parse().unwrap()
}

fn policies(hold: &Arc<Barrier>, approver: &str, max_age: Span) -> Policies {
    let policy = |role| policy(role, hold, max_age);
    let mut approved = policy(safe());
    approved.approval.stages = vec![Stage { approvers: vec![person(approver).into()], quorum: 1, deny_threshold: 1 }];
    Policies::new([policy(role()), policy(RoleId::administrator()), approved], PendingLimits::default())
}

pub(super) fn asg(number: u8) -> AssignmentId {
    AssignmentId::from_random([number; 16])
}

pub(super) fn act(number: u8) -> ActivationId {
    ActivationId::from_random([number; 16])
}

/// Signed in at the beginning; administrators must have signed in within five minutes at first.
pub(super) fn identity(name: &str) -> Identity {
    Identity {
        principal: person(name),
        name: None,
        mail: None,
        groups: Vec::new(),
        assurance: Assurance { auth_time: Some(Timestamp::from_seconds(NOW)), ..Assurance::default() },
        issued_at: None,
        ends_at: Timestamp::MAX,
    }
}

pub(super) fn caller(name: &str) -> Caller {
    Caller::Identity(Arc::new(identity(name)))
}

pub(super) fn caller_of_crew(name: &str) -> Caller {
    Caller::Identity(Arc::new(Identity { groups: vec![crew()], ..identity(name) }))
}

/// Who signed in just now.
pub(super) fn fresh(world: &World, name: &str) -> Caller {
    let assurance = Assurance { auth_time: Some(world.now.now()), ..Assurance::default() };
    Caller::Identity(Arc::new(Identity { assurance, issued_at: Some(world.now.now()), ..identity(name) }))
}

fn policy(role: RoleId, hold: &Arc<Barrier>, max_age: Span) -> RolePolicy {
    let max_age = (role == RoleId::administrator()).then_some(max_age);
    let hold = Arc::clone(hold);
    let limits = AssignmentLimits { permanent: Permanence::Allowed, max: Span::days(365) };
    RolePolicy {
        role,
        description: String::new(),
        revision: PolicyRevision::new("r1"),
        activation: ActivationLimits {
            min: Span::seconds(1),
            max: Span::hours(8),
            default: Span::hours(1),
            total_max: Span::hours(8),
            start_ahead_max: Span::days(1),
        },
        justification: JustificationRule {
            need: Need::Required,
            characters_min: 0,
            characters_max: 0,
            pattern: Some(Pattern::new("anything", move |text| {
                if text == HOLD {
                    hold.wait();
                }
                assert_ne!(text, TRAP, "this panic is part of a test");
                true
            })),
        },
        ticket: TicketRule::default(),
        assurance: AssuranceRule { max_age, ..AssuranceRule::default() },
        approval: ApprovalRule::default(),
        extension: ExtensionRule::None,
        pending_after: Span::hours(24),
        eligible: limits,
        active: limits,
    }
}

pub(super) fn request(number: u8, why: &str) -> Command {
    Command::RequestActivation {
        id: act(number),
        role: role(),
        duration: None,
        starts_at: None,
        justification: Some(why.to_owned()),
        ticket: None,
        wanted: None,
    }
}

pub(super) fn unlock(who: &str) -> Command {
    Command::Unlock { principal: person(who), justification: Some(WHY.to_owned()) }
}

pub(super) fn revoke_credentials(who: &str) -> Command {
    Command::RevokeCredentials { principal: person(who), justification: Some(WHY.to_owned()) }
}

pub(super) fn lock(who: &str, why: Option<&str>) -> Command {
    Command::Lock { principal: person(who), justification: why.map(str::to_owned) }
}

pub(super) fn revoke(number: u8) -> Command {
    Command::Revoke { id: act(number), justification: None }
}

#[track_caller]
pub(super) fn in_memory(result: &Result<Outcome, SubmitError>) {
    assert!(matches!(result, Err(SubmitError::NotDurable)), "{result:?}");
}

#[track_caller]
pub(super) fn out(result: &Result<Outcome, SubmitError>) {
    assert!(matches!(result, Err(SubmitError::Unavailable)), "{result:?}");
}
