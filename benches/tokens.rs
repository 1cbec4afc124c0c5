//! What it costs to know who is asking: remembered tokens, and new ones by algorithm.
#![expect(clippy::expect_used, clippy::panic, reason = "a bench that cannot be set up has nothing to measure")]

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use criterion::{Criterion, criterion_group, criterion_main};
use data_encoding::BASE64URL_NOPAD;
use hallpass::clock::Clock;
use hallpass::domain::time::Timestamp;
use hallpass::identity::{Authenticator, Identities, IssuerSettings, KeySource, Settings};
use hallpass::telemetry::Metrics;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

struct Signer {
    name: &'static str,
    jwk: Value,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Signer {
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut signature).expect("signed");
                signature
            }
            Pair::Ec(pair) => pair.sign(&random, message).expect("signed").as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

fn b64(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

fn signers() -> [Signer; 3] {
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    // two numbers in DER, of 2048 bits
    let der = rsa.public_key().as_ref();
    let rsa_jwk = json!({"kty":"RSA","kid":"RS256","alg":"RS256",
        "n":b64(der.get(9..265).expect("a modulus")),"e":b64(der.get(267..).expect("an exponent"))});
    let ec = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let point = ec.public_key().as_ref();
    let ec_jwk = json!({"kty":"EC","crv":"P-256","kid":"ES256","alg":"ES256",
        "x":b64(point.get(1..33).expect("x")),"y":b64(point.get(33..).expect("y"))});
    let ed = Ed25519KeyPair::generate().expect("a key");
    let ed_jwk = json!({"kty":"OKP","crv":"Ed25519","kid":"EdDSA","alg":"EdDSA","x":b64(ed.public_key().as_ref())});
    [
        Signer { name: "RS256", jwk: rsa_jwk, pair: Pair::Rsa(rsa) },
        Signer { name: "ES256", jwk: ec_jwk, pair: Pair::Ec(ec) },
        Signer { name: "EdDSA", jwk: ed_jwk, pair: Pair::Ed(ed) },
    ]
}

fn token(signer: &Signer, number: usize) -> String {
    let header = json!({"alg":signer.name,"kid":signer.name,"typ":"at+jwt"}).to_string();
    let claims = json!({"iss":"https://id.example","aud":"hallpass","sub":format!("person-{number}"),"iat":NOW,"exp":NOW + 3600,
        "groups":["engineers","on-call"],"amr":["pwd","otp"],"auth_time":NOW});
    let message = format!("{}.{}", b64(header.as_bytes()), b64(claims.to_string().as_bytes()));
    let signature = b64(&signer.sign(message.as_bytes()));
    format!("{message}.{signature}")
}

fn bearing(token: &str) -> HeaderMap {
    HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).expect("a header"))])
}

/// A remembered token needs no wait, so one look is enough.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

fn tokens(criterion: &mut Criterion) {
    let signers = signers();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys.json");
    let keys = json!({"keys":signers.iter().map(|signer| &signer.jwk).collect::<Vec<_>>()});
    std::fs::write(&path, keys.to_string()).expect("written");
    let audiences = vec!["hallpass".to_owned()];
    let issuer = IssuerSettings::new("demo", "https://id.example", audiences, KeySource::File(path));
    let now = Timestamp::from_seconds(NOW);
    let (clock, _) = Clock::manual(now);
    let settings = Settings { issuers: vec![issuer] };
    let (authenticator, _) = Authenticator::new(settings, clock, &Metrics::default()).expect("settings that hold");

    for signer in &signers {
        let token = token(signer, 0);
        criterion.bench_function(&format!("verify {}", signer.name), |bencher| {
            bencher.iter(|| authenticator.verify(black_box(&token), now).expect("a good token"));
        });
    }

    let core = Identities::new(authenticator, TOKENS);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let requests: Vec<HeaderMap> =
        signers.iter().take(1).flat_map(|signer| (0..TOKENS).map(|number| bearing(&token(signer, number)))).collect();
    for request in &requests {
        runtime.block_on(core.identify(request, now)).expect("a good token");
    }
    let mut next = requests.iter().cycle();
    criterion.bench_function("remembered, 10,000 tokens", |bencher| {
        bencher.iter(|| at_once(core.identify(next.next().expect("a cycle"), now)).expect("a good token"));
    });
}

const NOW: i64 = 1_790_000_000;
const TOKENS: usize = 10_000;

criterion_group!(benches, tokens);
criterion_main!(benches);
