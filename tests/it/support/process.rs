//! The real program in a process of its own, in real time: it can be killed.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use hallpass::clock::Clock;
use hallpass::demo::issuer::{Issuer, Person, TokenOptions};
use hallpass::domain::time::Span;
use serde_json::Value;
use tempfile::TempDir;

/// So long that only what never comes is given up: a busy machine stalls for seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// A configuration on disk, with an issuer beside it, and perhaps a process that serves it.
pub struct Program {
    pub gate: String,
    pub portal: String,
    pub admin: String,
    pub issuer: Issuer,
    pub http: reqwest::Client,
    /// Variables that the process is started with.
    pub environment: Vec<(&'static str, String)>,
    folder: TempDir,
    process: Option<Child>,
}

impl Program {
    /// Writes the demo's configuration for the application at `upstream`, with `more` at its end.
    pub async fn new(upstream: &str, more: &str) -> Self {
        let issuer = Issuer::start(Clock::system()).await.expect("an issuer");
        let folder = tempfile::tempdir().expect("a folder");
        let [gate, portal, admin] = free_ports();
        let text = include_str!("../../../config/demo.toml")
            .replace("127.0.0.1:8080", &format!("127.0.0.1:{gate}"))
            .replace("127.0.0.1:8081", &format!("127.0.0.1:{portal}"))
            .replace("127.0.0.1:8082", &format!("127.0.0.1:{admin}"))
            .replace(r#""http://127.0.0.1:8083/keys""#, &format!("\"{}\"", issuer.keys_url()))
            .replace(r#""http://127.0.0.1:8083""#, &format!("\"{}\"", issuer.url()))
            .replace("http://127.0.0.1:8084", upstream);
        std::fs::write(folder.path().join("hallpass.toml"), format!("{text}\n{more}")).expect("written");
        Self {
            gate: format!("http://127.0.0.1:{gate}"),
            portal: format!("http://127.0.0.1:{portal}"),
            admin: format!("http://127.0.0.1:{admin}"),
            environment: Vec::new(),
            issuer,
            http: reqwest::Client::builder().timeout(PATIENCE).build().expect("a client"),
            folder,
            process: None,
        }
    }

    pub fn store(&self) -> PathBuf {
        self.folder.path().join("demo.redb")
    }

    pub fn config(&self) -> String {
        self.folder.path().join("hallpass.toml").display().to_string()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Changes the configuration on disk.
    pub fn edit(&self, from: &str, to: &str) {
        let file = self.folder.path().join("hallpass.toml");
        let text = std::fs::read_to_string(&file).expect("a configuration");
        assert!(text.contains(from), "the configuration says {from}");
        std::fs::write(file, text.replace(from, to)).expect("written");
    }

    pub fn token(&self, person: &Person) -> String {
        self.issuer.token(person, &TokenOptions::default()).expect("a token")
    }

    /// Starts the program and waits until it is ready and knows the issuer's keys.
    pub async fn start(&mut self, somebody: &Person) {
        let log = std::fs::File::create(self.folder.path().join("log")).expect("a log");
        let child = Command::new(env!("CARGO_BIN_EXE_hallpass"))
            .args(["serve", "--config"])
            .arg(self.folder.path().join("hallpass.toml"))
            .envs(self.environment.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("a process");
        self.process = Some(child);
        let me = format!("{}/api/v1/me", self.portal);
        // valid also where the program's clock is hours ahead
        let long = TokenOptions { lifetime: Span::hours(6), ..TokenOptions::default() };
        let token = self.issuer.token(somebody, &long).expect("a token");
        let mut pause = tokio::time::interval(Duration::from_millis(5));
        let ready = tokio::time::timeout(PATIENCE, async {
            loop {
                let asked = self.http.get(&me).bearer_auth(&token).send().await;
                if asked.is_ok_and(|answer| answer.status() == 200) {
                    return;
                }
                pause.tick().await;
            }
        });
        let ready = ready.await;
        assert!(ready.is_ok(), "never ready: {}", self.log());
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Waits until the log says this: it is written by a thread of its own.
    pub async fn expect_logged(&self, text: &str) {
        let mut pause = tokio::time::interval(Duration::from_millis(5));
        let logged = tokio::time::timeout(PATIENCE, async {
            while !self.log().contains(text) {
                pause.tick().await;
            }
        });
        assert!(logged.await.is_ok(), "nothing of `{text}` in {}", self.log());
    }

    /// Lets the process sleep (`STOP`) or wake (`CONT`), as a machine does with all of them.
    pub fn signal(&self, name: &str) {
        let id = self.process.as_ref().expect("a process").id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status().expect("a command");
        assert!(sent.success(), "{name} to {id}");
    }

    /// Ends the process as no program can prevent: `kill -9`.
    pub fn kill(&mut self) {
        if self.process.is_some() {
            self.signal("KILL");
        }
        if let Some(mut process) = self.process.take() {
            process.wait().expect("gone");
        }
    }

    /// Waits until the process has ended, which it was asked to.
    pub fn wait(&mut self) {
        let mut process = self.process.take().expect("a process");
        let status = process.wait().expect("gone");
        assert!(status.success(), "{status}");
    }

    /// Runs a command of the program to its end: exit code and what it said.
    pub fn run(&self, arguments: &[&str]) -> (i32, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_hallpass"))
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("a process");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
    }

    pub async fn post(&self, token: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
        let request = self.http.post(format!("{}/api/v1{path}", self.portal)).bearer_auth(token).json(body);
        let answer = request.send().await.ok()?;
        Some((answer.status().as_u16(), answer.json().await.ok()?))
    }

    /// What the admin listener answers at `path`.
    pub async fn admin(&self, path: &str) -> (u16, String) {
        let answer = self.http.get(format!("{}{path}", self.admin)).send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    }

    pub async fn read(&self, token: &str, path: &str) -> (u16, Value) {
        let request = self.http.get(format!("{}/api/v1{path}", self.portal)).bearer_auth(token);
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Ports nobody listens on at this moment, below those the system gives to outgoing connections: a port from there could
/// be taken by any client before the program under test listens on it. No other test draws them while this process lives.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let mut bits = [0; 2];
    aws_lc_rs::rand::fill(&mut bits).expect("random bits");
    let first = 10_000 + u16::from_be_bytes(bits) % 20_000;
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok() && is_ours(*port);
    let ports: Vec<u16> = (first..32_000).filter(free).take(N).collect();
    ports.try_into().expect("as many as asked for")
}

/// Whether no other test has drawn this port: each draws by taking a name that the system gives back when its process ends.
fn is_ours(port: u16) -> bool {
    static TAKEN: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());
    let name = SocketAddr::from_abstract_name(format!("hallpass-tests-port-{port}")).expect("a name");
    let taken = UnixListener::bind_addr(&name);
    taken.map(|taken| TAKEN.lock().expect("names").push(taken)).is_ok()
}
