//! What a request costs before it is forwarded: reading it, finding its route, and the verdict.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use hallpass::domain::authorize::authorize;
use hallpass::domain::id::ActivationId;
use hallpass::domain::identity::{Assurance, Identity};
use hallpass::domain::principal::Principal;
use hallpass::domain::rule::{Demand, Rule};
use hallpass::domain::standing::{Basis, Held, Lock, Position, Standing};
use hallpass::domain::time::{Timestamp, Window};
use hallpass::proxy::canonical::{CanonicalSettings, canonicalise};
use hallpass::proxy::headers::strip_inbound;
use hallpass::proxy::route::{RouteOptions, RouteSettings, Routes};
use http::Request;
use http::request::Parts;

fn role(number: usize) -> Demand {
    Demand::AnyRole(format!("shop/role-{number}").parse().into_iter().collect())
}

/// Routes as a large installation has them.
fn routes() -> Option<Routes> {
    let route = |name: String, path: String, demand| RouteSettings {
        name,
        host: None,
        path,
        methods: Vec::new(),
        rule: Rule::enforce(demand),
        upstream: "app".to_owned(),
        options: RouteOptions::default(),
    };
    let mut all = vec![route("rest".to_owned(), "/**".to_owned(), Demand::SignedIn)];
    for number in 0..1000 {
        all.push(route(format!("exact-{number}"), format!("/api/v1/thing-{number}"), role(number)));
        all.push(route(format!("below-{number}"), format!("/api/v1/thing-{number}/{{id}}/**"), role(number)));
    }
    Routes::new(all).ok()
}

/// A request as a browser sends it.
fn request() -> Option<Parts> {
    let request = Request::get("/api/v1/thing-777/4711/part?page=2")
        .header("host", "shop.example")
        .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
        .header("accept", "application/json")
        .header("accept-language", "en-GB,en;q=0.7,de;q=0.3")
        .header("accept-encoding", "gzip, deflate, br, zstd")
        .header("authorization", "Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln")
        .header("cookie", "theme=dark; lang=en")
        .header("sec-fetch-mode", "cors")
        .header("x-requested-with", "fetch")
        .body(());
    Some(request.ok()?.into_parts().0)
}

fn standing() -> Standing {
    let held = Held {
        role: "shop/role-777".parse().unwrap_or_else(|_| hallpass::domain::role::RoleId::auditor()),
        window: Window::new(Timestamp::MIN, Timestamp::from_seconds(3600)),
        basis: Basis::Activation(ActivationId::from_random([7; 16])),
        via: None,
    };
    Standing {
        position: Position(1),
        lock: Lock::Open,
        credentials_since: None,
        held: vec![held],
        eligible: Vec::new(),
        pending: Vec::new(),
    }
}

fn bench(criterion: &mut Criterion) {
    let (Some(routes), Some(parts)) = (routes(), request()) else { return };
    let settings = CanonicalSettings { spelling: routes.spelling(), ..CanonicalSettings::default() };
    let Ok(canonical) = canonicalise(&parts, &settings) else { return };
    let Ok(Some(route)) = routes.find(&canonical) else { return };
    let standing = standing();
    let identity = Identity {
        principal: Principal::new("https://id.example", "ada"),
        name: None,
        mail: None,
        groups: Vec::new(),
        assurance: Assurance::default(),
        issued_at: None,
        ends_at: Timestamp::from_seconds(7200),
    };
    let now = Timestamp::from_seconds(60);

    criterion.bench_function("canonicalise", |bencher| {
        bencher.iter(|| canonicalise(black_box(&parts), &settings));
    });
    criterion.bench_function("find route among 2001", |bencher| {
        bencher.iter(|| routes.find(black_box(&canonical)).map(|route| route.map(|route| route.index)));
    });
    criterion.bench_function("verdict", |bencher| {
        bencher.iter(|| authorize(&route.rule, Some(black_box(&identity)), &[&standing], now));
    });
    criterion.bench_function("find route and verdict", |bencher| {
        bencher.iter(|| {
            let route = routes.find(black_box(&canonical)).ok().flatten()?;
            authorize(&route.rule, Some(&identity), &[&standing], now).ok()
        });
    });
    criterion.bench_function("strip inbound", |bencher| {
        bencher.iter_batched_ref(|| parts.headers.clone(), strip_inbound, criterion::BatchSize::SmallInput);
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);
