//! An issuer's server that can misbehave.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How the server answers.
#[derive(Debug, Clone)]
pub(super) enum Manner {
    Answers(String),
    FreshFor(u64, String),
    NeverAnswers,
    NeverEnds,
    SendsTooMuch,
    Redirects,
    Fails,
}

#[derive(Clone)]
struct Shared {
    manner: Arc<Mutex<Manner>>,
    discovery: Arc<Mutex<String>>,
    asked: watch::Sender<usize>,
}

/// A server on loopback that ends with this value.
pub(super) struct Server {
    pub(super) origin: String,
    shared: Shared,
    tasks: JoinSet<()>,
}

impl Server {
    pub(super) async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let shared = Shared {
            manner: Arc::new(Mutex::new(manner)),
            discovery: Arc::new(Mutex::new(String::new())),
            asked: watch::Sender::new(0),
        };
        let router = Router::new()
            .route("/keys", get(keys))
            .route("/elsewhere", get(elsewhere))
            .route("/.well-known/openid-configuration", get(discovery))
            .with_state(shared.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { origin, shared, tasks }
    }

    pub(super) fn keys_url(&self) -> String {
        format!("{}/keys", self.origin)
    }

    pub(super) fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    pub(super) fn discovery(&self, document: String) {
        *self.shared.discovery.lock().unwrap() = document;
    }

    /// How often keys were asked for.
    pub(super) fn asked(&self) -> usize {
        *self.shared.asked.borrow()
    }

    pub(super) async fn was_asked(&self, times: usize) {
        self.shared.asked.subscribe().wait_for(|asked| times <= *asked).await.unwrap();
    }

    pub(super) async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn keys(State(shared): State<Shared>) -> Response {
    let manner = shared.manner.lock().unwrap().clone();
    shared.asked.send_modify(|asked| *asked += 1);
    match manner {
        Manner::Answers(keys) => keys.into_response(),
        Manner::FreshFor(seconds, keys) => {
            ([("cache-control", format!("public, max-age={seconds}"))], keys).into_response()
        }
        Manner::NeverAnswers => std::future::pending().await,
        Manner::NeverEnds => {
            Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>()).into_response()
        }
        Manner::SendsTooMuch => {
            let piece = || Ok::<_, std::io::Error>(vec![b' '; 64 * 1024]);
            Body::from_stream(futures_util::stream::repeat_with(piece)).into_response()
        }
        Manner::Redirects => (http::StatusCode::FOUND, [("location", "/elsewhere")]).into_response(),
        Manner::Fails => http::StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Where redirects lead: following one is seen as a request too many.
async fn elsewhere(State(shared): State<Shared>) -> Response {
    shared.asked.send_modify(|asked| *asked += 1000);
    "{}".into_response()
}

async fn discovery(State(shared): State<Shared>) -> String {
    shared.discovery.lock().unwrap().clone()
}
