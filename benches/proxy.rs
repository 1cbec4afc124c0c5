//! A request through the whole gate: 32 kept connections, many tokens, a role held by activations, everything recorded.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a bench that cannot run has nothing to measure")]

mod stage;

use std::net::SocketAddr;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use hallpass::clock::awake;
use stage::Stage;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

const CONNECTIONS: usize = 32;
const PEOPLE: usize = 200;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello";

/// An application on a thread of its own.
fn application() -> SocketAddr {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build_local(Default::default()).expect("a runtime");
        runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            tell.send(listener.local_addr().expect("an address")).expect("somebody waits");
            let tasks = tokio::task::LocalSet::new();
            tasks
                .run_until(async {
                    while let Ok((stream, _)) = listener.accept().await {
                        tokio::task::spawn_local(answer(stream));
                    }
                })
                .await;
        });
    });
    told.recv().expect("an address")
}

async fn answer(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut head = Vec::with_capacity(8192);
    while stream.read_buf(&mut head).await.is_ok_and(|length| length > 0) {
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            if stream.write_all(ANSWER).await.is_err() {
                return;
            }
        }
    }
}

async fn ask(stream: &mut TcpStream, requests: &[Vec<u8>], first: usize, count: u64) {
    let mut answer = Vec::with_capacity(8192);
    for request in requests.iter().cycle().skip(first).zip(0..count).map(|(request, _)| request) {
        stream.write_all(request).await.expect("sent");
        answer.clear();
        while !answer.ends_with(b"hello") {
            assert_ne!(stream.read_buf(&mut answer).await.expect("an answer"), 0, "the gate hung up");
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    }
}

fn proxy(criterion: &mut Criterion) {
    let application = application();
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (stage, requests, held, mut streams) = runtime.block_on(async {
        let stage = Stage::set(application, 1).await;
        let (mut requests, mut held) = (Vec::new(), Vec::new());
        for number in 0..PEOPLE {
            let (token, id) = stage.holder(&format!("person-{number}")).await;
            let head = format!("GET /vault/4711 HTTP/1.1\r\nhost: shop.test\r\nauthorization: Bearer {token}\r\n\r\n");
            requests.push(head.into_bytes());
            held.push(id);
        }
        let streams = join_all((0..CONNECTIONS).map(|_| TcpStream::connect(stage.gate))).await;
        let streams: Vec<TcpStream> = streams.into_iter().map(|stream| stream.expect("a connection")).collect();
        (stage, requests, held, streams)
    });
    let mut group = criterion.benchmark_group("gate");
    group.throughput(Throughput::Elements(1));
    group.bench_function("request under an activation, 32 connections", |bencher| {
        bencher.iter_custom(|count| {
            let each = count.div_ceil(CONNECTIONS as u64);
            let began = awake();
            let asked = streams.iter_mut().enumerate().map(|(place, stream)| ask(stream, &requests, place * 7, each));
            runtime.block_on(join_all(asked));
            // as if exactly `count` had been asked
            began.elapsed().mul_f64(count as f64 / (each * CONNECTIONS as u64) as f64)
        });
    });
    group.bench_function("request under an activation, alone", |bencher| {
        bencher.iter_custom(|count| {
            let began = awake();
            runtime.block_on(ask(&mut streams[0], &requests, 0, count));
            began.elapsed()
        });
    });
    group.finish();
    // what was measured was no open door
    let answer = runtime.block_on(async {
        stage.end("person-0", held[0]).await;
        streams[0].write_all(&requests[0]).await.expect("sent");
        let mut answer = [0; 12];
        streams[0].read_exact(&mut answer).await.expect("an answer");
        answer
    });
    assert_eq!(&answer, b"HTTP/1.1 403");
    let metrics = stage.metrics.encode();
    assert!(metrics.contains("hallpass_access_lines_dropped_total 0"), "and every access line was written: {metrics}");
}

criterion_group!(benches, proxy);
criterion_main!(benches);
