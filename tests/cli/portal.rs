//! A portal that answers by script and remembers what it was asked, speaking the portal's JSON.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

/// The one case most stories are about.
pub(crate) const ID: &str = "act_00000000000000000000000001";
pub(crate) const ADA_TOKEN: &str = "token-of-ada";

/// Runs on its own threads until it is dropped.
pub(crate) struct Portal {
    pub(crate) url: String,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

#[derive(Default)]
struct Shared {
    replies: Mutex<HashMap<String, VecDeque<Reply>>>,
    seen: Mutex<Vec<Seen>>,
}

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

enum Reply {
    /// The last member tells whether it was given already.
    Whole(StatusCode, &'static str, Bytes, bool),
    Stream(&'static str, mpsc::UnboundedReceiver<Result<Bytes, std::io::Error>>),
}

/// Writes into an open stream; dropping it ends the stream.
pub(crate) struct Pen(mpsc::UnboundedSender<Result<Bytes, std::io::Error>>);

impl Pen {
    pub(crate) fn write(&self, text: &str) {
        self.0.send(Ok(Bytes::from(text.to_owned()))).unwrap();
    }

    /// Ends the stream as a lost connection would.
    pub(crate) fn tear(self) {
        self.0.send(Err(std::io::Error::other("torn"))).unwrap();
    }
}

impl Portal {
    pub(crate) fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared::default());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        runtime.handle().spawn(async move { axum::serve(listener, router).await });
        Self { url, shared, _runtime: runtime }
    }

    /// What to answer next to `line`, such as `GET /me`; the last answer given is repeated until there is another.
    pub(crate) fn answers(&self, line: &str, status: u16, body: &Value) -> &Self {
        let kind = if status < 400 { "application/json" } else { "application/problem+json" };
        self.answers_text(line, status, kind, &body.to_string())
    }

    pub(crate) fn answers_text(&self, line: &str, status: u16, kind: &'static str, body: &str) -> &Self {
        self.push(line, Reply::Whole(StatusCode::from_u16(status).unwrap(), kind, Bytes::from(body.to_owned()), false));
        self
    }

    pub(crate) fn streams(&self, line: &str, kind: &'static str) -> Pen {
        let (pen, page) = mpsc::unbounded_channel();
        self.push(line, Reply::Stream(kind, page));
        Pen(pen)
    }

    fn push(&self, line: &str, reply: Reply) {
        let mut replies = self.shared.replies.lock().unwrap();
        let queue = replies.entry(line.to_owned()).or_default();
        queue.retain(|earlier| !matches!(earlier, Reply::Whole(.., true)));
        queue.push_back(reply);
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Returns once so many requests with this first line have come.
    pub(crate) fn wait_for(&self, line: &str, count: usize) {
        while self.seen_as(line).len() < count {
            std::thread::yield_now();
        }
    }

    /// Requests with this first line so far.
    pub(crate) fn seen_as(&self, line: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.line == line).collect()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().unwrap().as_str();
    let line = format!("{} {}", parts.method, target.strip_prefix("/api/v1").unwrap_or(target));
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    shared.seen.lock().unwrap().push(Seen { line: line.clone(), headers: parts.headers.clone(), body });
    if parts.headers.get("authorization").is_none_or(|token| *token != format!("Bearer {ADA_TOKEN}")) {
        let problem = problem("invalid_token", 401, "the token is not valid");
        return (StatusCode::UNAUTHORIZED, problem.to_string()).into_response();
    }
    let mut replies = shared.replies.lock().unwrap();
    let queue = replies.entry(line).or_default();
    let reply = queue.pop_front();
    match reply {
        Some(Reply::Whole(status, kind, body, _)) => {
            if queue.is_empty() {
                queue.push_back(Reply::Whole(status, kind, body.clone(), true));
            }
            (status, [("content-type", kind)], body).into_response()
        }
        Some(Reply::Stream(kind, page)) => {
            let body = Body::from_stream(UnboundedReceiverStream::new(page));
            ([("content-type", kind)], body).into_response()
        }
        None => (StatusCode::NOT_FOUND, problem("unknown", 404, "there is no such object").to_string()).into_response(),
    }
}

pub(crate) fn problem(code: &str, status: u16, detail: &str) -> Value {
    json!({
        "type": format!("https://hallpass.dev/problems/{code}"),
        "title": detail,
        "status": status,
        "detail": detail,
        "errors": [],
    })
}

/// A request of Ada's that waits.
pub(crate) fn pending() -> Value {
    json!({
        "id": ID,
        "role": "shop/vault-reader",
        "principal": "demo:ada",
        "name": "Ada Lovelace",
        "state": "pending",
        "requested_at": "2026-11-23T08:00:00.000Z",
        "requested": { "duration": "1h" },
        "revision": 1,
        "eligibility": "asg_00000000000000000000000002",
        "via": "demo:engineers",
        "approval": {
            "stage": 0, "stages": 1, "quorum": 1, "approvals": 0,
            "approvers": ["demo:grace", "group demo:leads"],
            "lapses_at": "2099-11-24T08:00:00.000Z",
        },
        "decisions": [],
        "justification": "stock count \u{1b}[2J for the \u{202e}cellar",
        "ticket": "SHOP-17",
        "policy": "0123",
    })
}

/// The same, approved and begun.
pub(crate) fn active() -> Value {
    let mut case = pending();
    case["state"] = "active".into();
    case["revision"] = 3.into();
    case["window"] = json!({ "starts_at": "2026-11-23T08:10:00.000Z", "ends_at": "2099-11-23T09:10:00.000Z" });
    case.as_object_mut().unwrap().remove("approval");
    case
}

/// The same, over.
pub(crate) fn ended(ending: &str) -> Value {
    let mut case = pending();
    case["state"] = "ended".into();
    case["revision"] = 2.into();
    case["ending"] = ending.into();
    case["ended_at"] = "2026-11-23T08:10:00.000Z".into();
    case.as_object_mut().unwrap().remove("approval");
    case
}
