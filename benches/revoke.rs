//! Ten thousand open event streams, and how long a revocation takes to reach them: one person's, and everybody's.
//!
//! Application and clients are processes of their own, so that the gate has the whole limit of open files to itself: two
//! for each stream. Where the limit is lower there are fewer streams, and the report says how many.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench that cannot run has nothing to measure, and tells what it measured"
)]

mod stage;

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hallpass::clock::awake;
use stage::Stage;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local};

const STREAMS: usize = 10_000;
const ROUNDS: usize = 3;
/// Files the gate's process needs besides.
const OTHER_FILES: usize = 300;
const AT_ONCE: usize = 100;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--application"] => alone(application()),
        ["--clients", address, count] => {
            alone(clients(address.parse().expect("an address"), count.parse().expect("a count")));
        }
        // `cargo test --benches` asks whether it runs at all
        rest => Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(measure(if rest.contains(&"--bench") { STREAMS } else { 100 })),
    }
}

fn alone(future: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, future);
}

async fn measure(wanted: usize) {
    let streams = wanted.min(files_max().saturating_sub(OTHER_FILES) / 2);
    let mut application = Part::start(&["--application"]);
    let address = application.says().parse().expect("an address");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{streams} streams, {cores} cores (of {wanted}: the limit of open files is {})", files_max());
    for _ in 0..ROUNDS {
        let stage = Stage::set(address, cores).await;
        let (many, many_id) = stage.holder("ada").await;
        let (one, one_id) = stage.holder("eve").await;
        let mut crowd = Part::start(&["--clients", &stage.gate.to_string(), &(streams - 1).to_string()]);
        crowd.tell(&many);
        let mut single = Part::start(&["--clients", &stage.gate.to_string(), "1"]);
        single.tell(&one);
        assert_eq!((crowd.says(), single.says()), ("open".to_owned(), "open".to_owned()));

        let mut neighbour = TcpStream::connect(stage.gate).await.expect("a connection");
        let began = awake();
        stage.end("eve", one_id).await;
        let answered = began.elapsed();
        let refused = refused(&mut neighbour, &one, began).await;
        let cut = single.cut(began);
        println!("one person:  answered {answered:.1?}, next request refused {refused:.1?}, her stream cut {cut:.1?}");

        let began = awake();
        stage.end("ada", many_id).await;
        let answered = began.elapsed();
        let cut = crowd.cut(began);
        println!(
            "everybody:   answered {answered:.1?}, all {} cut {cut:.1?}, after the answer {:.1?}",
            streams - 1,
            cut - answered
        );
    }
}

/// How long after `began` a request is refused that stands behind everything else the gate has to do.
async fn refused(stream: &mut TcpStream, token: &str, began: Instant) -> Duration {
    stream.write_all(head(token).as_bytes()).await.expect("sent");
    let mut answer = [0; 16];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 403"), "{}", String::from_utf8_lossy(&answer));
    began.elapsed()
}

fn head(token: &str) -> String {
    format!("GET /vault/events HTTP/1.1\r\nhost: shop.test\r\nauthorization: Bearer {token}\r\n\r\n")
}

/// Streams that begin and never end.
async fn application() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    while let Ok((mut stream, _)) = listener.accept().await {
        spawn_local(async move {
            let mut head = Vec::with_capacity(2048);
            while !head.ends_with(b"\r\n\r\n") {
                if stream.read_buf(&mut head).await.is_ok_and(|length| length == 0) {
                    return;
                }
            }
            let begun = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: hello\n\n";
            let _ = stream.write_all(begun).await;
            let _ = stream.read_buf(&mut head).await;
        });
    }
}

/// Opens so many streams with the token it is told, says when they are open, and when all are cut.
async fn clients(gate: SocketAddr, count: usize) {
    let token = std::io::stdin().lines().next().expect("a token").expect("a line");
    let head = head(&token);
    let mut streams = Vec::new();
    while streams.len() < count {
        let more = join_all((0..AT_ONCE.min(count - streams.len())).map(|_| open(gate, &head))).await;
        streams.extend(more);
    }
    println!("open");
    let cut = streams.into_iter().map(|mut stream| {
        spawn_local(async move {
            let mut rest = [0; 64];
            while stream.read(&mut rest).await.is_ok_and(|length| length > 0) {}
        })
    });
    join_all(cut.collect::<Vec<_>>()).await;
    println!("cut");
}

async fn open(gate: SocketAddr, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(gate).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = Vec::with_capacity(1024);
    while !answer.ends_with(b"\n\n\r\n") {
        assert_ne!(stream.read_buf(&mut answer).await.expect("an answer"), 0, "the gate hung up");
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    }
    stream
}

/// This program again, as another part of the stage; it ends with this one.
struct Part {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Part {
    fn start(arguments: &[&str]) -> Self {
        let program = std::env::current_exe().expect("a path");
        let mut command = Command::new(program);
        let mut child =
            command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a process");
        let input = child.stdin.take().expect("an input");
        let output = BufReader::new(child.stdout.take().expect("an output")).lines();
        Self { child, input, output }
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("told");
    }

    fn says(&mut self) -> String {
        self.output.next().expect("a line").expect("a line")
    }

    /// How long after `began` everything was cut.
    fn cut(&mut self, began: Instant) -> Duration {
        assert_eq!(self.says(), "cut");
        began.elapsed()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The soft limit of open files.
fn files_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let open = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    open.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(1024)
}
