//! What one core owns: its runtime's tasks, its pools, its verified tokens, its standings, its log buffer.
//!
//! Nothing here is shared with another core but the rules (swapped whole) and what every floor shares anyway.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::Write;
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http_body::Body;
use hyper::body::Incoming;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::domain::authorize::{HeldRole, Permit};
use crate::domain::identity::Identity;
use crate::domain::pace::Paces;
use crate::domain::policy::Policies;
use crate::domain::time::Timestamp;
use crate::identity::{Authenticator, Identities, SignIns};
use crate::proxy::access::field;
use crate::proxy::assertion::{Assertion, Statement};
use crate::proxy::headers::{IdentityHeaders, PermitHeaders};
use crate::proxy::lookout::{Events, Lookout};
use crate::proxy::measure::{Meters, RouteMeters};
use crate::proxy::settings::Rules;
use crate::proxy::standing::Judge;
use crate::proxy::upstream::Upstream;
use crate::standings::Standings;
use crate::telemetry::lines::{Buffer, Lines};
use crate::uses::UseRecorder;

/// What all cores share.
pub(super) struct Shared {
    pub(super) rules: ArcSwap<Rules>,
    /// Moves when the rules are replaced.
    pub(super) moved: watch::Sender<()>,
    pub(super) meters: Meters,
}

/// The other floors, as handed to each core.
#[derive(Clone)]
pub struct Services {
    /// Verifies tokens.
    pub authenticator: Authenticator,
    /// Knows who signed in with a browser.
    pub sign_ins: SignIns,
    /// Looks up standings.
    pub standings: Standings,
    /// Tells the time.
    pub clock: Clock,
    /// Takes uses; the request waits until its use is queued.
    pub uses: UseRecorder,
    /// Takes access lines.
    pub lines: Lines,
    /// Settings of all roles, for whoever is told how to get one; swapped on reload.
    pub policies: Arc<ArcSwap<Policies>>,
    /// How fast each role is decided on; swapped as people decide.
    pub paces: Arc<ArcSwap<Paces>>,
}

/// One core.
pub(super) struct Core {
    pub(super) identities: Identities,
    pub(super) judge: Judge,
    /// Wakes the guards.
    pub(super) lookout: Lookout,
    pub(super) uses: UseRecorder,
    pub(super) lines: Buffer,
    pub(super) policies: Arc<ArcSwap<Policies>>,
    pub(super) paces: Arc<ArcSwap<Paces>>,
    pub(super) meters: Meters,
    pub(super) draining: CancellationToken,
    pub(super) cut: CancellationToken,
    /// Connections and tunnels; a drain waits for them.
    pub(super) exchanges: TaskTracker,
    /// What ends with the runtime.
    pub(super) background: TaskTracker,
    /// Bytes on their way through a tunnel, between one read and the write that follows at once.
    pub(super) scratch: RefCell<Vec<u8>>,
    unread: mpsc::Sender<Incoming>,
    shared: Arc<Shared>,
    view: RefCell<Rc<View>>,
    seconds: Cell<Second>,
}

/// The text of the last second that was logged.
#[derive(Debug, Clone, Copy)]
struct Second {
    at: i64,
    text: [u8; 19],
}

/// One set of rules as one core uses it.
pub(super) struct View {
    pub(super) rules: Arc<Rules>,
    pub(super) upstreams: Vec<Rc<Upstream>>,
    /// By listener and then by route; the last of each is for requests without a route.
    meters: Vec<Vec<Rc<RouteMeters>>>,
    /// Members of an access line, by listener.
    listener_fields: Vec<Vec<u8>>,
    /// Members of an access line, by route.
    route_fields: Vec<Vec<u8>>,
    /// By the address of the identity that each of them keeps alive.
    known: RefCell<HashMap<usize, Rc<Known>>>,
}

/// What is written again and again about one verified identity.
pub(super) struct Known {
    /// Kept, so that nothing else can come to lie at its address.
    _identity: Arc<Identity>,
    pub(super) headers: IdentityHeaders,
    /// Members of an access line.
    pub(super) fields: Vec<u8>,
    /// By what it passed lately, the last first, which is most likely what it passes by next.
    passed: RefCell<Vec<Rc<Passing>>>,
}

/// What is written again and again about the roles by which somebody passes.
#[derive(Default)]
pub(super) struct Passing {
    held: Vec<HeldRole>,
    pub(super) headers: PermitHeaders,
    /// Members of an access line.
    pub(super) fields: Vec<u8>,
    assertions: RefCell<Vec<(Place, Assertion)>>,
}

/// Where an assertion is from and for: listener and upstream.
type Place = (usize, usize);

impl Known {
    /// What is written about a permit; made once for as long as it says the same.
    pub(super) fn passing(&self, permit: &Permit) -> Rc<Passing> {
        let mut passed = self.passed.borrow_mut();
        if let Some(place) = passed.iter().position(|passing| passing.held == permit.held()) {
            // what stands further behind is rare, and moves one step towards the front each time
            let before = place.saturating_sub(1);
            passed.swap(place, before);
            return passed.get(before).cloned().unwrap_or_default();
        }
        let roles: Vec<&str> = permit.held().iter().map(|held| held.role.as_str()).collect();
        let activations: Vec<String> = permit.activations().map(|(_, id)| id.to_string()).collect();
        let mut fields = Vec::new();
        for (name, values) in [("role", roles.join(" ")), ("activation", activations.join(" "))] {
            if !values.is_empty() {
                field(&mut fields, name, &values);
            }
        }
        let new = Rc::new(Passing {
            held: permit.held().to_vec(),
            headers: PermitHeaders::of(permit),
            fields,
            assertions: RefCell::default(),
        });
        passed.truncate(PASSED_MAX - 1);
        passed.insert(0, Rc::clone(&new));
        new
    }
}

impl Passing {
    /// The assertion for one application behind one listener, as `sign` makes it; kept until half its life is over.
    pub(super) fn assertion(
        &self,
        place: Place,
        now: Timestamp,
        sign: impl FnOnce() -> Option<Assertion>,
    ) -> Option<Assertion> {
        let mut assertions = self.assertions.borrow_mut();
        assertions.retain(|(_, assertion)| !assertion.is_old(now));
        if let Some((_, assertion)) = assertions.iter().find(|(known, _)| *known == place) {
            return Some(assertion.clone());
        }
        let assertion = sign()?;
        assertions.push((place, assertion.clone()));
        Some(assertion)
    }
}

impl Core {
    /// Must be called inside the core's runtime, which will run its background tasks.
    pub(super) fn new(
        shared: &Arc<Shared>,
        services: Services,
        tokens_max: usize,
        draining: CancellationToken,
        cut: CancellationToken,
    ) -> Rc<Self> {
        let background = TaskTracker::new();
        let (unread, unwanted) = mpsc::channel(UNREAD_MAX);
        let events = Events { head: services.standings.watch(), rules: shared.moved.subscribe() };
        let view = View::new(shared.rules.load_full(), &shared.meters, None, &background);
        let core = Rc::new(Self {
            identities: Identities::new(services.authenticator, tokens_max)
                .with_sign_ins(services.sign_ins, tokens_max),
            judge: Judge::new(services.standings, services.clock),
            lookout: Lookout::new(),
            uses: services.uses,
            lines: services.lines.buffer(),
            policies: services.policies,
            paces: services.paces,
            meters: shared.meters.clone(),
            draining,
            cut,
            exchanges: TaskTracker::new(),
            background,
            scratch: RefCell::new(vec![0; SCRATCH_BYTES]),
            unread,
            shared: Arc::clone(shared),
            view: RefCell::new(Rc::new(view)),
            seconds: Cell::new(Second { at: i64::MIN, text: [b'0'; 19] }),
        });
        let logging = Rc::clone(&core);
        core.background.spawn_local(async move { logging.lines.run().await });
        let looking = Rc::clone(&core);
        core.background.spawn_local(async move { looking.lookout.run(&looking.judge, events).await });
        core.background.spawn_local(drain_unread(unwanted, core.background.clone()));
        core
    }

    /// The rules in force, with this core's pools and meters.
    pub(super) fn view(&self) -> Rc<View> {
        let rules = self.shared.rules.load();
        let mut view = self.view.borrow_mut();
        if !Arc::ptr_eq(&rules, &view.rules) {
            *view = Rc::new(View::new(Arc::clone(&rules), &self.meters, Some(&view), &self.background));
        }
        Rc::clone(&view)
    }

    /// Where bodies go that nobody wants to read.
    pub(super) fn unread(&self) -> mpsc::Sender<Incoming> {
        self.unread.clone()
    }

    /// Reads and forgets what is left of a body, within limits, so that its connection may be used again and the client
    /// gets to see the answer.
    pub(super) fn ignore(&self, body: Incoming) {
        if !body.is_end_stream() {
            // when too many wait the connection is closed instead
            let _ = self.unread.try_send(body);
        }
    }

    /// Appends an instant in RFC 3339; the text of a second is made once.
    pub(super) fn write_time(&self, line: &mut Vec<u8>, at: Timestamp) {
        let mut second = self.seconds.get();
        if second.at != at.as_seconds() {
            let whole = Timestamp::from_seconds(at.as_seconds());
            let text = crate::clock::format_rfc3339(whole);
            for (to, from) in second.text.iter_mut().zip(text.bytes()) {
                *to = from;
            }
            second.at = at.as_seconds();
            self.seconds.set(second);
        }
        line.extend_from_slice(&second.text);
        // writing to a vector cannot fail
        let _ = write!(line, ".{:03}Z", at.as_millis().rem_euclid(1000));
    }
}

impl View {
    fn new(rules: Arc<Rules>, meters: &Meters, present: Option<&Self>, tasks: &TaskTracker) -> Self {
        let upstreams = rules
            .upstreams
            .iter()
            .map(|target| {
                let kept =
                    present.and_then(|view| view.upstreams.iter().find(|pool| Arc::ptr_eq(&pool.target, target)));
                kept.cloned().unwrap_or_else(|| {
                    let upstream = Upstream::new(Arc::clone(target), tasks.clone());
                    tasks.spawn_local(upstream.evict());
                    upstream
                })
            })
            .collect();
        let meters = rules
            .listeners
            .iter()
            .map(|listener| {
                let routes = rules.routes.iter().map(|route| &*route.name).chain(std::iter::once(""));
                routes.map(|route| Rc::new(meters.route(&listener.name, route))).collect()
            })
            .collect();
        let fields = |pairs: &[(&str, &str)]| {
            let mut fields = Vec::new();
            pairs.iter().for_each(|(name, value)| field(&mut fields, name, value));
            fields
        };
        let listener_fields = rules.listeners.iter().map(|listener| fields(&[("listener", &listener.name)])).collect();
        let route_fields =
            rules.routes.iter().map(|route| fields(&[("route", &route.name), ("upstream", &route.upstream)])).collect();
        Self { rules, upstreams, meters, listener_fields, route_fields, known: RefCell::default() }
    }

    /// What an access line says of a listener.
    pub(super) fn listener_fields(&self, listener: usize) -> &[u8] {
        self.listener_fields.get(listener).map_or(&[], Vec::as_slice)
    }

    /// What an access line says of a route.
    pub(super) fn route_fields(&self, route: usize) -> &[u8] {
        self.route_fields.get(route).map_or(&[], Vec::as_slice)
    }

    /// Meters of a route on a listener, or of requests without a route.
    pub(super) fn meters(&self, listener: usize, route: Option<usize>) -> Option<&Rc<RouteMeters>> {
        let of_listener = self.meters.get(listener)?;
        match route {
            Some(route) => of_listener.get(route),
            None => of_listener.last(),
        }
    }

    /// What is written about an identity; made once for as long as its token is remembered.
    pub(super) fn known(&self, identity: &Arc<Identity>) -> Rc<Known> {
        let mut known = self.known.borrow_mut();
        let address = Arc::as_ptr(identity).addr();
        if let Some(known) = known.get(&address) {
            return Rc::clone(known);
        }
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        let mut fields = Vec::new();
        field(&mut fields, "principal", &self.rules.names.of_principal(&identity.principal));
        let new = Rc::new(Known {
            headers: IdentityHeaders::of(identity, &self.rules.names),
            fields,
            passed: RefCell::default(),
            _identity: Arc::clone(identity),
        });
        known.insert(address, Rc::clone(&new));
        new
    }

    /// What an application is told under seal of who asks, and why it passes; `None` when it is to be told nothing.
    pub(super) fn assertion(
        &self,
        (listener, route): (usize, usize),
        (identity, permit): (&Identity, &Permit),
        passing: &Passing,
        now: Timestamp,
    ) -> Option<Assertion> {
        let keys = self.rules.assertion_keys.as_ref()?;
        let upstream = *self.rules.upstream_of.get(route)?;
        let audience = self.upstreams.get(upstream)?.target.settings.assertion_audience.as_deref()?;
        let issuer = &self.rules.listeners.get(listener)?.links.gate_url;
        let statement = Statement { issuer, audience, identity, permit, names: &self.rules.names };
        passing.assertion((listener, upstream), now, || Assertion::sign(keys, &statement, now))
    }

    /// The pool of a route's upstream.
    pub(super) fn upstream(&self, route: usize) -> Option<&Rc<Upstream>> {
        self.upstreams.get(*self.rules.upstream_of.get(route)?)
    }
}

/// Reads bodies nobody wants, each for a while and up to a size; dropping one closes its connection.
async fn drain_unread(mut bodies: mpsc::Receiver<Incoming>, tasks: TaskTracker) {
    while let Some(mut body) = bodies.recv().await {
        tasks.spawn_local(async move {
            let read = async {
                let mut left = UNREAD_BYTES_MAX;
                while let Some(Ok(frame)) = http_body_util::BodyExt::frame(&mut body).await {
                    let length = frame.data_ref().map_or(0, bytes::Bytes::len);
                    match left.checked_sub(length) {
                        Some(less) => left = less,
                        None => return,
                    }
                }
            };
            let _ = tokio::time::timeout(UNREAD_TIMEOUT, read).await;
        });
    }
}

const KNOWN_MAX: usize = 4096;
const PASSED_MAX: usize = 8;
const SCRATCH_BYTES: usize = 16 * 1024;
const UNREAD_MAX: usize = 1024;
const UNREAD_BYTES_MAX: usize = 2 * 1024 * 1024;
const UNREAD_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);
