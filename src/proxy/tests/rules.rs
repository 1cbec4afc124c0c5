//! One set of rules for each request: the route that was decided on is the one that is followed, counted and kept to.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::support::{House, Upstream, ada, at, read_head, route, settings, soon};
use crate::domain::rule::{Demand, Rule};
use crate::proxy::UpstreamSettings;
use crate::uses::UseRecorder;

/// Answers with its own name, on one connection after another.
async fn named(name: &'static str) -> Upstream {
    Upstream::raw(move |mut stream, _| async move {
        while read_head(&mut stream).await.is_some() {
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await
}

#[tokio::test]
async fn each_route_leads_to_its_own_upstream_whatever_the_order() {
    // from the least specific to the most, so that no order of precedence is the order of the configuration
    let routes = [("/**", "rest"), ("/a/{id}", "one"), ("/a/b", "two"), ("/a/b/c", "three")];
    let mut upstreams = Vec::new();
    for (_, name) in routes {
        upstreams.push(named(name).await);
    }
    for turn in 0..routes.len() {
        let mut settings = settings(&upstreams[0].url);
        settings.upstreams = routes
            .iter()
            .zip(&upstreams)
            .map(|((_, name), upstream)| UpstreamSettings::new(name, &upstream.url))
            .collect();
        settings.routes = routes
            .iter()
            .map(|(path, name)| {
                let mut route = route(name, path, Rule::enforce(Demand::Public));
                route.upstream = (*name).to_owned();
                route
            })
            .collect();
        settings.routes.rotate_left(turn);
        let house = House::with(settings);
        for (path, name) in [("/x", "rest"), ("/a/x", "one"), ("/a/b", "two"), ("/a/b/c", "three")] {
            let answer = reqwest::get(house.url(path)).await.unwrap().text().await.unwrap();
            assert_eq!(answer, name, "{path} in order {turn}");
            let counted = format!("hallpass_decisions_total{{route=\"{name}\",outcome=\"allow\"");
            assert!(house.metrics.encode().contains(&counted), "{counted} in order {turn}");
        }
    }
}

/// An answer that has begun and never ends by itself.
async fn endless() -> Upstream {
    Upstream::raw(|mut stream, _| async move {
        if read_head(&mut stream).await.is_some() {
            let begun = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
            stream.write_all(begun.as_bytes()).await.unwrap();
            // until the gate hangs up
            let _ = stream.read_u8().await;
        }
    })
    .await
}

/// A tunnel that says nothing.
async fn silent() -> Upstream {
    Upstream::raw(|mut stream, _| async move {
        if read_head(&mut stream).await.is_some() {
            let begun = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
            stream.write_all(begun.as_bytes()).await.unwrap();
            let _ = stream.read_u8().await;
        }
    })
    .await
}

/// Opens a long exchange and returns once it runs.
async fn open(house: &House, path: &str, more: &str) -> TcpStream {
    let mut stream = TcpStream::connect(house.address()).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: shop.test\r\nAuthorization: Bearer {}\r\n{more}\r\n", house.token("ada"));
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = soon(read_head(&mut stream)).await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200") || head.starts_with("HTTP/1.1 101"), "{head}");
    if head.starts_with("HTTP/1.1 200") {
        soon(stream.read_exact(&mut [0; 10])).await.unwrap();
    }
    stream
}

const UPGRADE: &str = "Connection: upgrade\r\nUpgrade: echo\r\n";

#[tokio::test]
async fn what_was_opened_under_one_configuration_ends_with_it() {
    for (upstream, more) in [(endless().await, ""), (silent().await, UPGRADE)] {
        // nobody had to be known, nobody was held up, or anybody who is known may
        for path in ["/open/x", "/shadow/x", "/me/x"] {
            let house = House::new(&upstream.url);
            let mut stream = open(&house, path, more).await;

            let mut other = house.settings.clone();
            other.routes.push(route("new", "/new/**", Rule::enforce(Demand::Nobody)));
            house.gate.reload(&other).unwrap();
            let read = tokio::time::timeout(Duration::from_millis(50), stream.read_u8()).await;
            assert!(read.is_err(), "{path} stays while its route says the same: {read:?}");

            for route in &mut other.routes {
                route.rule = Rule::enforce(Demand::AnyRole(vec!["shop/vault".parse().unwrap()]));
            }
            house.gate.reload(&other).unwrap();
            assert_eq!(soon(stream.read(&mut [0; 1])).await.unwrap_or(0), 0, "{path} {more}");
            assert_eq!(soon(house.lines(1)).await[0]["cut"], "rule_changed", "{path} {more}");
        }
    }
}

#[tokio::test]
async fn what_an_issuer_vouched_for_ends_with_the_issuer() {
    for (upstream, more) in [(endless().await, ""), (silent().await, UPGRADE)] {
        for (path, ends) in [("/me/x", true), ("/vault/x", true), ("/shadow/x", false)] {
            let house = House::new(&upstream.url);
            house.assign(1, ada(), None);
            let mut stream = open(&house, path, more).await;
            let mut other = house.settings.clone();
            other.names = crate::identity::names::IssuerNames::default();
            house.gate.reload(&other).unwrap();
            if ends {
                assert_eq!(soon(stream.read(&mut [0; 1])).await.unwrap_or(0), 0, "{path} {more}");
                assert_eq!(soon(house.lines(1)).await[0]["cut"], "rule_changed", "{path} {more}");
            } else {
                let read = tokio::time::timeout(Duration::from_millis(50), stream.read_u8()).await;
                assert!(read.is_err(), "{path}: {read:?}");
            }
        }
    }
}

/// A token that was verified for an earlier request was found again.
const KNOWN_AGAIN: &str = "hallpass_cache_lookups_total{cache=\"tokens\",result=\"hit\"} 1";

/// The record of uses may keep a request waiting; what it was allowed before the wait is not what it is allowed after it.
#[tokio::test]
async fn a_request_that_waited_for_its_record_is_judged_anew() {
    let upstream = named("app").await;
    type Happening = fn(&House);
    let ways: [(&str, Happening, u16, usize); 5] = [
        ("nothing happens", |_| {}, 200, 1),
        ("the activation ends", |house| house.clock.set(at(3600)), 403, 1),
        ("the principal is locked", |house| house.lock(ada()), 403, 1),
        ("the token ends", |house| house.clock.set(at(7200)), 401, 1),
        (
            "another activation takes over",
            |house| {
                house.activate(2, at(5000));
                house.clock.set(at(3600));
            },
            200,
            2,
        ),
    ];
    for (way, happens, status, recorded) in ways {
        let (recorder, mut queue) = UseRecorder::unwritten(1);
        let house = House::recording(settings(&upstream.url), Some(recorder.clone()));
        let activation = house.activate(1, at(3600));
        let client = reqwest::Client::new();
        let ask = || client.get(house.url("/vault/x")).bearer_auth(house.token("ada")).send();
        assert_eq!(soon(ask()).await.unwrap().status(), 200);
        // the queue is full now
        let mut asking = JoinSet::new();
        asking.spawn(ask());
        soon(async {
            while !house.metrics.encode().contains(KNOWN_AGAIN) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        // there is one core: once it has answered somebody else, it has done all it can for who is known
        assert_eq!(soon(reqwest::get(house.url("/open/x"))).await.unwrap().status(), 200);
        assert!(asking.try_join_next().is_none(), "{way}: it waits");
        happens(&house);
        let first = queue.recv().await.unwrap().read();
        assert_eq!((first.activation, &*first.path), (activation, "/vault/x"));
        let mut uses = 0;
        let answer = loop {
            tokio::select! {
                Some(answer) = asking.join_next() => break answer.unwrap().unwrap(),
                Some(_) = queue.recv() => uses += 1,
            }
        };
        while queue.try_recv().is_ok() {
            uses += 1;
        }
        assert_eq!((answer.status().as_u16(), uses), (status, recorded), "{way}");
    }
}

#[tokio::test]
async fn what_cannot_be_recorded_does_not_pass() {
    let upstream = named("app").await;
    let (recorder, queue) = UseRecorder::unwritten(1);
    let house = House::recording(settings(&upstream.url), Some(recorder));
    house.activate(1, at(3600));
    drop(queue);
    let client = reqwest::Client::new();
    for (path, status) in [("/vault/x", 503), ("/me/x", 200), ("/open/x", 200)] {
        let answer = client.get(house.url(path)).bearer_auth(house.token("ada")).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
    }
}

/// Every core remembers standings and tokens; what was published before a request began is in force for it, on each of them.
#[tokio::test]
async fn no_core_remembers_a_right_that_has_ended() {
    const CORES: usize = 3;
    let upstream = named("app").await;
    let mut settings = settings(&upstream.url);
    settings.cores = CORES;
    let house = House::with(settings);
    let request =
        format!("GET /vault/x HTTP/1.1\r\nHost: shop.test\r\nAuthorization: Bearer {}\r\n\r\n", house.token("ada"));
    // odd while the right is held, even when it is not; moved before it is given and after it is taken
    let round = std::sync::Arc::new(AtomicUsize::new(0));
    // how often the right was found, and how often not
    let seen = std::sync::Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let mut askers = JoinSet::new();
    for _ in 0..CORES * 4 {
        let (request, address) = (request.clone(), house.address());
        let (round, seen) = (std::sync::Arc::clone(&round), std::sync::Arc::clone(&seen));
        askers.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            while round.load(Ordering::SeqCst) <= 200 {
                let before = round.load(Ordering::SeqCst);
                stream.write_all(request.as_bytes()).await.unwrap();
                let head = soon(read_head(&mut stream)).await.unwrap().to_ascii_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
                stream.read_exact(&mut vec![0; length.parse().unwrap()]).await.unwrap();
                let held_at_some_time = before % 2 == 1 || round.load(Ordering::SeqCst) != before;
                assert!(held_at_some_time || head.starts_with("http/1.1 403"), "a stale allow in round {before}");
                match head.split(' ').nth(1).unwrap() {
                    "200" => seen[0].fetch_add(1, Ordering::SeqCst),
                    "403" => seen[1].fetch_add(1, Ordering::SeqCst),
                    other => panic!("{other}"),
                };
            }
        });
    }
    // in each round the askers see it as well, however seldom they get their turn
    let one_more = async |what: usize| {
        let before = seen[what].load(Ordering::SeqCst);
        soon(async {
            while seen[what].load(Ordering::SeqCst) == before {
                tokio::task::yield_now().await;
            }
        })
        .await;
    };
    for number in 1..=100 {
        round.fetch_add(1, Ordering::SeqCst);
        house.assign(number, ada(), None);
        let answer = reqwest::Client::new().get(house.url("/vault/x")).bearer_auth(house.token("ada")).send();
        assert_eq!(answer.await.unwrap().status(), 200, "round {number}");
        one_more(0).await;
        house.remove(number);
        round.fetch_add(1, Ordering::SeqCst);
        let answer = reqwest::Client::new().get(house.url("/vault/x")).bearer_auth(house.token("ada")).send();
        assert_eq!(answer.await.unwrap().status(), 403, "round {number}");
        one_more(1).await;
    }
    round.fetch_add(1, Ordering::SeqCst);
    while let Some(asked) = askers.join_next().await {
        asked.unwrap();
    }
}
