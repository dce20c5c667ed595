//! What verifying costs: `cargo bench --bench verify`. A body of 1.5 KB, as `send` signs it.

use std::hint::black_box;
use std::net::Ipv4Addr;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use hookyard::config::presets;
use hookyard::verify::{Givens, Request, Scheme, Verifier, Window};
use http::{HeaderMap, Method};

const NOW_MS: i64 = 1_760_000_000_000;

/// One preset of each kind of layout, and the widest of them.
const PRESETS: [&str; 14] = [
    "github",
    "hotglue",
    "shopify",
    "paystack",
    "docusign",
    "box",
    "stripe",
    "persona",
    "slack",
    "twitch",
    "standard-webhooks",
    "svix",
    "square",
    "hubspot-v3",
];

fn verifier(name: &str) -> Verifier {
    let spec = &presets::find(name).expect("a preset").scheme.spec;
    let givens = Givens { public_url: Some("https://hooks.example.com/in"), ..Givens::default() };
    let scheme = Scheme::new(spec, &givens).expect("a scheme");
    let secret = scheme.secret("whsec_c2VjcmV0IGtleSBvZiAzMiBieXRlcyBsZW5ndGg=", Window::default());
    Verifier::new(scheme, vec![secret.expect("a secret")]).expect("a verifier")
}

fn signed(verifier: &Verifier) -> Request {
    let text = "x".repeat(1_500 - br#"{"type":"a.b","data":""}"#.len());
    let mut request = Request {
        method: Method::POST,
        target: "/in?a=b".into(),
        headers: HeaderMap::new(),
        body: Bytes::from(format!(r#"{{"type":"a.b","data":"{text}"}}"#)),
        peer: Ipv4Addr::LOCALHOST.into(),
    };
    verifier.sign(&mut request, "msg_1", NOW_MS).expect("a signature");
    request
}

fn presets(c: &mut Criterion) {
    let mut group = c.benchmark_group("preset");
    for name in PRESETS {
        let verifier = verifier(name);
        let request = signed(&verifier);
        group.bench_function(name, |b| {
            b.iter_batched(
                || request.clone(),
                |request| verifier.verify(black_box(request), NOW_MS).expect("verified"),
                BatchSize::SmallInput,
            );
        });
    }
}

/// A wrong signature, by the hex digit that is wrong: the times must not differ.
fn wrong_at(c: &mut Criterion) {
    let mut group = c.benchmark_group("wrong-at");
    let verifier = verifier("github");
    let right = signed(&verifier);
    for digit in [0, 1, 31, 62, 63] {
        let mut request = right.clone();
        let name = "x-hub-signature-256";
        let mut value = request.headers[name].as_bytes().to_vec();
        let at = "sha256=".len() + digit;
        value[at] = if value[at] == b'0' { b'1' } else { b'0' };
        request.headers.insert(name, value.try_into().expect("a header"));
        group.bench_function(digit.to_string(), |b| {
            b.iter_batched(
                || request.clone(),
                |request| verifier.verify(black_box(request), NOW_MS).expect_err("refused"),
                BatchSize::SmallInput,
            );
        });
    }
}

criterion_group!(benches, presets, wrong_at);
criterion_main!(benches);
