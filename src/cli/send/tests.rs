//! What `send` signs, the server accepts: for every preset.

use super::*;
use crate::config::presets::{self, Preset};
use crate::pointer::Pointer;
use crate::verify::{Location, Spec};

/// Secrets in the forms that presets want, the most common first.
const SECRETS: [&str; 7] = [
    "whsec_c2VjcmV0IGtleQ==",
    "c2VjcmV0IGtleSBvZiAzMiBieXRlcyBsZW5ndGggMzI=",
    "25b573092c76a64f7588fddf76cd7c53774099c163a53a039d314c0ebd323c92",
    "user:password",
    "JbVzCSx2pk91iP3fds18U3dAmcFjpToDnTFMDr0yPJI=",
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==",
    include_str!("../../../tests/fixtures/signatures/rsa-public.pem"),
];

/// The presets whose schemes are data.
fn described() -> impl Iterator<Item = &'static Preset> {
    let is_data = |spec: &Spec| matches!(spec, Spec::Signed(_) | Spec::Token(_) | Spec::Basic);
    presets::all().filter(move |preset| is_data(&preset.scheme.spec))
}

/// A source of that preset, with the first secret that it takes.
fn source(preset: &Preset) -> Source {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("router.toml");
    let config = |secret: &str| {
        let text = format!(
            "[sources.it]\nscheme = {:?}\nsecrets = [{{ value = {secret:?} }}]\n\
             public_url = \"https://hooks.example.com/in\"\n",
            preset.name
        );
        std::fs::write(&path, text).unwrap();
        Config::load(&path).ok()
    };
    let (mut config, _) = SECRETS.iter().find_map(|secret| config(secret)).unwrap();
    config.sources.remove(0)
}

fn signed(source: &Source) -> Result<Request> {
    let url = Uri::from_static("http://127.0.0.1:8080/in?a=b");
    let args = Args { source: "it".into(), event: None, body: None, url: None, json: false };
    request(source, &url, &args)
}

#[test]
fn every_preset_accepts_what_send_signs_for_it() {
    for preset in described() {
        let source = source(preset);
        let request = match signed(&source) {
            Ok(request) => request,
            Err(error) => {
                let private = "this sender signs with a private key";
                assert!(error.to_string().starts_with(private), "{}: {error}", preset.name);
                continue;
            }
        };
        let now = i64::try_from(wall_ms()).unwrap();
        let early = source.verifier.precheck(&request.headers, &request.target);
        assert_eq!(early, Ok(()), "{}", preset.name);
        let verified = source.verifier.verify(request, now);
        let verified = verified.unwrap_or_else(|refusal| panic!("{}: {refusal}", preset.name));
        let event = preset.sample.as_deref().unwrap_or("test");
        if !preset.event_type.is_empty() {
            assert_eq!(source.kind(verified.request()).as_deref(), Some(event), "{}", preset.name);
        }
    }
}

#[test]
fn nothing_may_change_after_send_has_signed() {
    for preset in described() {
        let source = source(preset);
        let Ok(request) = signed(&source) else { continue };
        let now = i64::try_from(wall_ms()).unwrap();
        let verify = |request| source.verifier.verify(request, now);
        let copy = |request: &Request| Request {
            method: request.method.clone(),
            target: request.target.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
            peer: request.peer,
        };
        let names: Vec<String> = source.verifier.signature_names().map(str::to_owned).collect();
        for (name, value) in &request.headers {
            let signs = names.iter().any(|known| known == name.as_str());
            if !signs && !source.verifier.covers(&Location::Header(name.clone())) {
                continue;
            }
            let mut altered = copy(&request);
            let mut bytes = value.as_bytes().to_vec();
            let at = bytes.len() / 2;
            bytes[at] = if bytes[at] == b'b' { b'c' } else { b'b' };
            altered.headers.insert(name, HeaderValue::from_bytes(&bytes).unwrap());
            assert!(verify(altered).is_err(), "{}: {name}", preset.name);
        }
        // Nobody knows such a place, so it is signed where the whole body is.
        if source.verifier.covers(&Location::Pointer(Pointer::from_static("/nowhere"))) {
            for at in 0..request.body.len() {
                let mut altered = copy(&request);
                let mut bytes = altered.body.to_vec();
                bytes[at] ^= 1;
                altered.body = bytes.into();
                assert!(verify(altered).is_err(), "{}: byte {at}", preset.name);
            }
        }
    }
}

#[test]
fn a_body_is_made_harmless_for_a_terminal_alone() {
    let body = b"one\n\x1b[2Jtwo\xff";
    let answer = Response::builder().header("x-name", "value").header(DATE, "now");
    let answer = answer.body(Bytes::from_static(body)).unwrap();
    let head = "HTTP/1.1 200 OK\nx-name: value\n\n";
    let harmless = format!("{head}one\n\\u{{1b}}[2Jtwo\u{fffd}\n");
    assert_eq!(String::from_utf8(shown(&answer, true)).unwrap(), harmless);
    assert_eq!(shown(&answer, false), [head.as_bytes(), body, b"\n"].concat());
}
