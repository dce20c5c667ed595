//! Keys and certificates that are fetched from whoever signs.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, PublicKeyData, SigningKey};
use serde_json::{Value, json};

use crate::https::{Authority, Server};
use crate::senders::{Sending, now};
use crate::yard::Yard;

/// A yard whose source fetches from a server of its own.
struct Fetching {
    yard: Yard,
    server: Server,
    authority: Authority,
}

impl Fetching {
    /// `config` describes the source `it`; `HOST` in it is the server's.
    fn start(config: &str) -> Self {
        let authority = Authority::new();
        let server = Server::start(&authority);
        let mut yard = Yard::new("");
        authority.write(yard.folder.path());
        yard.configure(&config.replace("HOST", &server.host));
        yard.run();
        Self { yard, server, authority }
    }

    fn statuses(&self, sendings: &[&Sending]) -> Vec<u16> {
        sendings.iter().map(|sending| sending.to(&self.yard).status).collect()
    }
}

const FETCH: &str = r#"fetch = { ca = "ca.pem", private = ["127.0.0.1/32", "::1/128"] }"#;

fn jwks_source() -> String {
    format!(
        r#"[sources.it]
scheme = {{ kind = "jws", alg = "ES256", signature = {{ header = "Authorization", prefix = "Bearer " }}, iss = "me", aud = "us", body_claim = "sha256", require_exp = true, jwks_url = "https://HOST/keys" }}
{FETCH}
"#
    )
}

/// The public half of a P-256 key, as a JSON Web Key.
fn jwk(id: &str, key: &KeyPair) -> Value {
    let point = key.der_bytes();
    let (x, y) = point[1..].split_at(32);
    let [x, y] = [x, y].map(|number| URL_SAFE_NO_PAD.encode(number));
    json!({ "kty": "EC", "crv": "P-256", "kid": id, "x": x, "y": y })
}

/// A token over a body. The signature of `rcgen` is in ASN.1; a token wants the two numbers.
fn signed(id: &str, key: &KeyPair, claims: &Value, body: &str) -> Sending {
    let header = json!({ "alg": "ES256", "kid": id });
    let [header, claims] =
        [header, claims.clone()].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let text = format!("{header}.{claims}");
    let tag = raw(&key.sign(text.as_bytes()).unwrap());
    let token = format!("Bearer {text}.{}", URL_SAFE_NO_PAD.encode(tag));
    Sending::new("/hooks/it", body).with("authorization", token)
}

/// The two numbers of an ASN.1 signature, 32 bytes each.
fn raw(der: &[u8]) -> Vec<u8> {
    let number = |at: usize| {
        let length = usize::from(der[at + 1]);
        let bytes = &der[at + 2..at + 2 + length];
        let bytes = if bytes.len() > 32 { &bytes[bytes.len() - 32..] } else { bytes };
        ([vec![0; 32 - bytes.len()], bytes.to_vec()].concat(), at + 2 + length)
    };
    let (r, next) = number(2);
    let (s, _) = number(next);
    [r, s].concat()
}

fn claims(body: &str) -> Value {
    use sha2::{Digest, Sha256};
    let hash = hex::encode(Sha256::digest(body));
    json!({ "iss": "me", "aud": ["us"], "exp": now() + 300, "sha256": hash })
}

fn token(id: &str, key: &KeyPair, body: &str) -> Sending {
    signed(id, key, &claims(body), body)
}

fn p256() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

#[test]
fn keys_are_fetched_once_and_verify_from_then_on() {
    let it = Fetching::start(&jwks_source());
    let (key, other) = (p256(), p256());
    it.server.page("/keys", "200 OK", json!({ "keys": [jwk("a", &key)] }).to_string());
    let (good, forged) = (token("a", &key, "{\"n\":1}"), token("a", &other, "{\"n\":2}"));
    assert_eq!(it.statuses(&[&good, &forged, &token("a", &key, "3")]), [200, 401, 200]);
    assert_eq!(
        it.statuses(&[&good.clone().body("{\"n\":7}"), &good.without("authorization")]),
        [401, 401]
    );
    assert_eq!(it.server.asked(), [("get /keys".to_owned(), String::new())]);
}

#[test]
fn a_token_for_somebody_else_is_refused_whoever_signed_it() {
    let it = Fetching::start(&jwks_source());
    let key = p256();
    it.server.page("/keys", "200 OK", json!({ "keys": [jwk("a", &key)] }).to_string());
    assert_eq!(token("a", &key, "1").to(&it.yard).status, 200);
    for (claim, value) in [
        ("iss", json!("you")),
        ("aud", json!("them")),
        ("aud", json!(["them"])),
        ("exp", json!(now())),
        ("exp", json!("soon")),
        ("nbf", json!(now() + 600)),
        ("iat", json!(now() + 600)),
        ("sha256", json!("00")),
        ("exp", Value::Null),
    ] {
        let mut claims = claims("1");
        claims[claim] = value;
        let sending = signed("a", &key, &claims, "1");
        assert_eq!(sending.to(&it.yard).status, 401, "{claims}");
    }
}

#[test]
fn a_key_that_does_not_exist_is_asked_for_once() {
    let it = Fetching::start(&jwks_source());
    let key = p256();
    it.server.page("/keys", "200 OK", json!({ "keys": [jwk("a", &key)] }).to_string());
    assert_eq!(token("a", &key, "1").to(&it.yard).status, 200);
    for n in 0..20 {
        let unknown = token(&format!("unknown-{n}"), &key, "1");
        assert_eq!(unknown.to(&it.yard).status, 401);
    }
    assert_eq!(it.server.asked().len(), 1);
}

#[test]
fn a_sender_whose_key_cannot_be_fetched_is_asked_to_come_again() {
    let it = Fetching::start(&jwks_source());
    let key = p256();
    it.server.page("/keys", "500 Oops", "");
    let answer = token("a", &key, "1").to(&it.yard);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    // Not again at once, whoever comes.
    assert_eq!(token("a", &key, "2").to(&it.yard).status, 503);
    assert_eq!(it.server.asked().len(), 1);
    assert!(it.yard.log().contains("a key cannot be fetched"), "{}", it.yard.log());
}

#[test]
fn what_is_no_good_answer_counts_as_none() {
    for (status, body) in [
        ("200 OK", "{\"keys\":[]}".to_owned()),
        ("200 OK", "not json".to_owned()),
        ("200 OK", " ".repeat(300_000)),
        ("302 Found\r\nlocation: https://HOST/other", String::new()),
        ("404 Not Found", String::new()),
    ] {
        let it = Fetching::start(&jwks_source());
        let key = p256();
        it.server.page("/other", "200 OK", json!({ "keys": [jwk("a", &key)] }).to_string());
        it.server.page("/keys", &status.replace("HOST", &it.server.host), body);
        assert_eq!(token("a", &key, "1").to(&it.yard).status, 503, "{status}");
        assert_eq!(it.server.asked().len(), 1, "{status}");
    }
}

#[test]
fn nothing_is_fetched_from_a_private_address_or_a_stranger() {
    let key = p256();
    for fetch in
        [r#"fetch = { ca = "ca.pem" }"#, r#"fetch = { private = ["127.0.0.1/32", "::1/128"] }"#]
    {
        let it = Fetching::start(&jwks_source().replace(FETCH, fetch));
        it.server.page("/keys", "200 OK", json!({ "keys": [jwk("a", &key)] }).to_string());
        assert_eq!(token("a", &key, "1").to(&it.yard).status, 503, "{fetch}");
        assert!(it.server.asked().is_empty(), "{fetch}");
    }
}

#[test]
fn a_key_of_its_own_is_posted_for() {
    let it = Fetching::start(&format!(
        r#"[sources.it]
scheme = {{ kind = "jws", alg = "ES256", signature = {{ header = "Authorization", prefix = "Bearer " }}, body_claim = "sha256", jwks_url = {{ url = "https://HOST/get", post = '{{"client_id":"{{id}}","key_id":"{{kid}}"}}' }} }}
with = {{ id = "me" }}
{FETCH}
"#
    ));
    let key = p256();
    it.server.page(
        "/get",
        "200 OK",
        json!({ "key": jwk("a", &key), "request_id": "r" }).to_string(),
    );
    let good = token("a", &key, "1");
    assert_eq!(it.statuses(&[&good, &good, &token("a/../b", &key, "1")]), [200, 200, 401]);
    let asked = ("post /get".to_owned(), r#"{"client_id":"me","key_id":"a"}"#.to_owned());
    assert_eq!(it.server.asked(), [asked]);
}

const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:t";

fn sns_source(more: &str) -> String {
    format!(
        r#"[sources.it]
scheme = "aws-sns"
with = {{ topic = "{TOPIC}"{more} }}
fetch = {{ ca = "ca.pem", private = ["127.0.0.1/32", "::1/128"], hosts = ["HOST"] }}
"#
    )
}

/// Where Amazon has its certificates.
const CERTIFICATE: &str = "/SimpleNotificationService-0a1b.pem";

/// A message of SNS under a certificate at that URL.
fn sns(key: &KeyPair, kind: &str, certificate: &str, subscribe: &str) -> Sending {
    let at = jiff::Timestamp::now().to_string();
    let fields: Vec<(&str, &str)> = match kind {
        "Notification" => vec![
            ("Message", "hi"),
            ("MessageId", "m"),
            ("Timestamp", &at),
            ("TopicArn", TOPIC),
            ("Type", kind),
        ],
        _ => vec![
            ("Message", "hi"),
            ("MessageId", "m"),
            ("SubscribeURL", subscribe),
            ("Timestamp", &at),
            ("Token", "t"),
            ("TopicArn", TOPIC),
            ("Type", kind),
        ],
    };
    let text: String = fields.iter().map(|(name, value)| format!("{name}\n{value}\n")).collect();
    let mut body: serde_json::Map<_, _> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
    let signature = STANDARD.encode(key.sign(text.as_bytes()).unwrap());
    body.insert("SignatureVersion".to_owned(), "2".into());
    body.insert("Signature".to_owned(), signature.into());
    body.insert("SigningCertURL".to_owned(), certificate.into());
    Sending::new("/hooks/it", Value::Object(body).to_string())
}

/// The provider's key.
fn rsa() -> KeyPair {
    let pem = include_str!("../fixtures/keys/rsa-one.pem");
    KeyPair::from_pkcs8_pem_and_sign_algo(pem, &PKCS_RSA_SHA256).unwrap()
}

/// A forger's.
fn other_rsa() -> KeyPair {
    let pem = include_str!("../fixtures/keys/rsa-two.pem");
    KeyPair::from_pkcs8_pem_and_sign_algo(pem, &PKCS_RSA_SHA256).unwrap()
}

#[test]
fn amazons_certificate_is_fetched_from_its_hosts_alone() {
    let it = Fetching::start(&sns_source(""));
    let key = rsa();
    let pem = it.authority.certify("sns.amazonaws.com", &key).pem();
    it.server.page(CERTIFICATE, "200 OK", &*pem);
    it.server.page("/cert.pem", "200 OK", &*pem);
    let host = it.server.host.clone();
    let at = |url: &str| sns(&key, "Notification", url, "").to(&it.yard).status;
    assert_eq!(at(&format!("https://{host}{CERTIFICATE}")), 200);
    for bad in [
        format!("http://{host}{CERTIFICATE}"),
        format!("https://{host}{CERTIFICATE}?a=1"),
        format!("https://{host}/?x=1{CERTIFICATE}"),
        format!("https://{host}/cert.pem"),
        format!("https://{host}@example.com{CERTIFICATE}"),
        format!("https://example.com/{host}{CERTIFICATE}"),
        format!("https://example.com/#{host}{CERTIFICATE}"),
        format!("https://sns.us-east-1.amazonaws.com{CERTIFICATE}"),
        "file:///etc/cert.pem".to_owned(),
    ] {
        assert_eq!(at(&bad), 401, "{bad}");
    }
    let [missing, bare] = ["missing", "bare"].map(|name| CERTIFICATE.replace("0a1b", name));
    it.server.page(&bare, "200 OK", key.public_key_pem());
    for path in [&missing, &bare] {
        assert_eq!(at(&format!("https://{host}{path}")), 401, "{path}");
    }
    let forged = sns(&other_rsa(), "Notification", &format!("https://{host}{CERTIFICATE}"), "");
    assert_eq!(forged.to(&it.yard).status, 401);
    let asked: Vec<_> = it.server.asked().into_iter().map(|(line, _)| line).collect();
    assert_eq!(asked, [CERTIFICATE, &missing, &bare].map(|path| format!("get {path}")));
}

#[test]
fn a_subscription_is_confirmed_only_where_that_is_wanted() {
    for (more, confirms) in [("", false), (", confirm = false", false), (", confirm = true", true)]
    {
        let it = Fetching::start(&sns_source(more));
        let key = rsa();
        it.server.page(
            CERTIFICATE,
            "200 OK",
            it.authority.certify("sns.amazonaws.com", &key).pem(),
        );
        it.server.page("/", "200 OK", "<ConfirmSubscriptionResponse/>");
        let host = &it.server.host;
        let (certificate, subscribe) =
            (format!("https://{host}{CERTIFICATE}"), format!("https://{host}/?token=t"));
        let kind = "SubscriptionConfirmation";
        let answer = sns(&key, kind, &certificate, &subscribe).to(&it.yard);
        assert_eq!(answer.status, 200);
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(it.yard.event(&id)["type"], kind);
        let visited = it.server.asked().iter().any(|(line, _)| line == "get /?token=t");
        assert_eq!(visited, confirms, "{more}");
        let elsewhere = sns(&key, kind, &certificate, "https://example.com/?token=t");
        assert_eq!(elsewhere.to(&it.yard).status, 200);
        let forged = sns(&other_rsa(), kind, &certificate, &subscribe);
        assert_eq!(forged.to(&it.yard).status, 401);
        assert_eq!(it.server.asked().len(), 1 + usize::from(confirms), "{more}");
    }
}

/// A request of PayPal under a certificate at that URL.
fn paypal(key: &KeyPair, certificate: &str, body: &str) -> Sending {
    let at = jiff::Timestamp::now().to_string();
    let mut checksum = flate2::Crc::new();
    checksum.update(body.as_bytes());
    let text = format!("id|{at}|WEBHOOK|{}", checksum.sum());
    Sending::new("/hooks/it", body)
        .with("paypal-transmission-id", "id")
        .with("paypal-transmission-time", at)
        .with("paypal-transmission-sig", STANDARD.encode(key.sign(text.as_bytes()).unwrap()))
        .with("paypal-cert-url", certificate)
        .with("paypal-auth-algo", "SHA256withRSA")
}

#[test]
fn paypals_certificate_must_be_certified_to_be_its_own() {
    let it = Fetching::start(
        r#"[sources.it]
scheme = "paypal"
with = { webhook_id = "WEBHOOK" }
fetch = { ca = "ca.pem", private = ["127.0.0.1/32", "::1/128"], hosts = ["HOST"] }
"#,
    );
    let (key, stranger) = (rsa(), Authority::new());
    let own = "messageverificationcerts.paypal.com";
    it.server.page("/good", "200 OK", it.authority.certify(own, &key).pem());
    it.server.page("/name", "200 OK", it.authority.certify("paypal.com.example.com", &key).pem());
    it.server.page("/authority", "200 OK", stranger.certify(own, &key).pem());
    let host = it.server.host.clone();
    let sent = |page: &str| paypal(&key, &format!("https://{host}/{page}"), "{}");
    let statuses =
        ["good", "name", "authority", "missing"].map(|page| sent(page).to(&it.yard).status);
    assert_eq!(statuses, [200, 401, 401, 401]);
    assert_eq!(sent("good").body("[]").to(&it.yard).status, 401);
    assert_eq!(sent("good").with("paypal-auth-algo", "SHA1withRSA").to(&it.yard).status, 401);
    assert_eq!(paypal(&key, "https://www.paypal.com/x", "{}").to(&it.yard).status, 401);
}
