//! Ten thousand open streams, and how long a revocation takes to reach them: one person's, and everybody's. A third each
//! are event streams, WebSockets and downloads.
//!
//! Application and clients are processes of their own, so that the gate has the whole limit of open files to itself: two
//! for each stream. Where the limit is lower there are fewer streams, and the report says how many. They share the machine
//! with the gate, so they do as little as they can: they are told by the kernel that a stream is over, and neither read nor
//! close it before all are. All times are of the wall clock, which the processes share, in whole milliseconds.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench that cannot run has nothing to measure, and tells what it measured"
)]

mod stage;

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::join_all;
use hallpass::clock::Clock;
use hallpass::domain::time::Timestamp;
use hallpass::telemetry::Metrics;
use stage::Stage;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local};

const STREAMS: usize = 10_000;
const ROUNDS: usize = 3;
/// Files the gate's process needs besides.
const OTHER_FILES: usize = 300;
const AT_ONCE: usize = 100;
const LOOK_EVERY: Duration = Duration::from_millis(5);

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

        let clock = Clock::system();
        let mut neighbour = TcpStream::connect(stage.gate).await.expect("a connection");
        let began = clock.now();
        stage.end("eve", one_id).await;
        let answered = clock.now();
        refused(&mut neighbour, &one).await;
        let refused = clock.now();
        let [.., cut] = single.cut();
        println!("one person: milliseconds after the command was sent");
        println!("  answered {}, next request refused {}", since(began, answered), since(began, refused));
        println!("  her stream cut, as its client sees it: {}", since(began, cut));

        let cpu = cpu();
        let began = clock.now();
        let closed = Closing::watch(&stage.metrics, 1);
        stage.end("ada", many_id).await;
        let answered = clock.now();
        let [first, half, last] = crowd.cut();
        let closed = closed.join();
        println!("all other {}: milliseconds after the command was sent", streams - 1);
        println!("  answered {}", since(began, answered));
        let (first, half, last) = (since(began, first), since(began, half), since(began, last));
        println!("  cut, as their clients see it: the first {first}, half of them {half}, the last {last}");
        println!(
            "  the gate has closed the last socket {}, and used {} ms of CPU",
            since(began, closed),
            self::cpu() - cpu
        );
    }
}

fn since(began: Timestamp, at: Timestamp) -> i64 {
    at.as_millis() - began.as_millis()
}

/// Looks when the gate has closed all connections of clients but a few.
struct Closing(JoinHandle<Timestamp>);

impl Closing {
    fn watch(metrics: &Arc<Metrics>, left: u64) -> Self {
        let metrics = Arc::clone(metrics);
        Self(std::thread::spawn(move || {
            let open = |text: &str| {
                let line =
                    text.lines().find_map(|line| line.strip_prefix("hallpass_connections_open{")).expect("a gauge");
                line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok()).expect("a number")
            };
            while open(&metrics.encode()) > left {
                std::thread::sleep(LOOK_EVERY);
            }
            Clock::system().now()
        }))
    }

    fn join(self) -> Timestamp {
        self.0.join().expect("looked")
    }
}

/// Milliseconds of CPU this process, which is the gate's, has used.
fn cpu() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("a process");
    let fields = stat.rsplit(')').next().expect("fields").split_whitespace();
    fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("ticks")).sum::<u64>() * 10
}

/// Reads the refusal of a request that stands behind everything else the gate has to do.
async fn refused(stream: &mut TcpStream, token: &str) {
    stream.write_all(head("events", token).as_bytes()).await.expect("sent");
    let mut answer = [0; 16];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 403"), "{}", String::from_utf8_lossy(&answer));
}

fn head(kind: &str, token: &str) -> String {
    let upgrade = match kind {
        "socket" => {
            "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        }
        _ => "",
    };
    format!("GET /vault/{kind} HTTP/1.1\r\nhost: shop.test\r\n{upgrade}authorization: Bearer {token}\r\n\r\n")
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
            let begun: &[u8] = match head.get(..10) {
                Some(b"GET /vault") if head.starts_with(b"GET /vault/events") => {
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: hello\n\n"
                }
                Some(b"GET /vault") if head.starts_with(b"GET /vault/file") => {
                    b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\ndata: hello\n\n"
                }
                _ => {
                    b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                      sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x0ddata: hello\n\n"
                }
            };
            let _ = stream.write_all(begun).await;
            over(&stream).await;
            // closed later, when nobody measures any more
            tokio::time::sleep(Duration::from_secs(1)).await;
        });
    }
}

/// Returns once the other side has ended the stream.
async fn over(stream: &TcpStream) {
    let mut rest = [0; 64];
    loop {
        let ready = stream.ready(Interest::READABLE).await.expect("a socket");
        // a read that finds nothing lets the socket wait again
        if ready.is_read_closed() || stream.try_read(&mut rest).is_ok_and(|length| length == 0) {
            return;
        }
    }
}

/// Opens so many streams with the token it is told, says when they are open, and when all are cut.
async fn clients(gate: SocketAddr, count: usize) {
    let token = std::io::stdin().lines().next().expect("a token").expect("a line");
    let heads = ["events", "socket", "file"].map(|kind| head(kind, &token));
    let mut streams = Vec::new();
    while streams.len() < count {
        let more = (streams.len()..count).zip(heads.iter().cycle()).take(AT_ONCE);
        streams.extend(join_all(more.map(|(_, head)| open(gate, head))).await);
    }
    println!("open");
    let clock = Clock::system();
    let cut = streams.into_iter().map(|stream| {
        let clock = clock.clone();
        spawn_local(async move {
            over(&stream).await;
            (clock.now().as_millis(), stream)
        })
    });
    let cut = join_all(cut.collect::<Vec<_>>()).await;
    let mut times: Vec<i64> = cut.iter().map(|cut| cut.as_ref().expect("watched").0).collect();
    times.sort_unstable();
    let at = |place: usize| times.get(place).expect("a time");
    println!("{} {} {}", at(0), at(count / 2), at(count - 1));
}

async fn open(gate: SocketAddr, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(gate).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = Vec::with_capacity(1024);
    while !String::from_utf8_lossy(&answer).contains("data: hello\n\n") {
        assert_ne!(stream.read_buf(&mut answer).await.expect("an answer"), 0, "the gate hung up");
        assert!(matches!(answer.get(9..12), Some(b"200" | b"101")), "{}", String::from_utf8_lossy(&answer));
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

    /// When the first, half and the last of its streams were cut.
    fn cut(&mut self) -> [Timestamp; 3] {
        let times = self.says();
        let times = times.split(' ').map(|time| Timestamp::from_millis(time.parse().expect("a time")));
        times.collect::<Vec<_>>().try_into().expect("three times")
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
