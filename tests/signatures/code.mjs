// Makes tests/fixtures/signatures/code.json with the providers' own libraries:
//   npm install twilio plivo @contentful/node-apps-toolkit livekit-server-sdk braintree @adyen/api-library jose
//   node code.mjs > ../fixtures/signatures/code.json
// Nothing in it depends on the time or on chance but the ECDSA signature.
import { createHash, createHmac, createSign, generateKeyPairSync } from "node:crypto";
import { createRequire } from "node:module";
const require = createRequire(import.meta.url);
const NOW = 1700000000;
const vectors = [];
const sha256 = (body, form) => createHash("sha256").update(body).digest(form);
const b64 = (text) => Buffer.from(text).toString("base64");
const FORM = ["Content-Type", "application/x-www-form-urlencoded"];
const JSON_TYPE = ["Content-Type", "application/json"];

function add(id, provider, source, vector) {
  const { url = null, headers, body, secrets, now = NOW, valid = true, with: given = {}, scheme = null } = vector;
  vectors.push({ id, provider, valid, origin: "provider-sdk", source, method: "POST", url, headers,
    body_b64: b64(body), secrets, now, with: given, scheme });
}

// A valid vector, and the same with one thing changed.
function pair(id, provider, source, vector, change) {
  add(id, provider, source, vector);
  add(`${id}-changed`, provider, `derived from ${id}`, { ...vector, ...change, valid: false });
}

// Twilio
{
  const twilio = require("twilio");
  const token = "12345";
  const params = { To: "+18005551212", From: "+14158675309", Body: "it's 5 o'clock & \u00e9", Empty: "" };
  const body = new URLSearchParams(params).toString();
  const make = (url, fields) => twilio.getExpectedTwilioSignature(token, url, fields);
  const source = "twilio (npm) getExpectedTwilioSignature";
  const url = "https://hooks.example.com/in/twilio?a=1&b=two%20words";
  pair("twilio-node-form", "twilio", source,
    { url, headers: [FORM, ["X-Twilio-Signature", make(url, params)]], body, secrets: [token] },
    { body: body.replace("clock", "cl0ck") });
  const quoted = "https://hooks.example.com/in/twilio?q='a'&r=%27";
  const legacy = "https://hooks.example.com/in/twilio?q='a'&r='";
  add("twilio-node-legacy-query", "twilio", `${source}, signed as withLegacyQuerystring writes it`,
    { url: quoted, headers: [FORM, ["X-Twilio-Signature", make(legacy, params)]], body, secrets: [token] });
  const ported = "https://hooks.example.com:443/in/twilio";
  add("twilio-node-port-443", "twilio", source,
    { url: "https://hooks.example.com/in/twilio", headers: [FORM, ["X-Twilio-Signature", make(ported, params)]], body, secrets: [token] });
  const json = '{"CallSid":"CA1234567890ABCDE","Caller":"+12349013030"}';
  const hashed = `https://example.com/myapp?bodySHA256=${sha256(json, "hex")}`;
  pair("twilio-node-json", "twilio", source,
    { url: hashed, headers: [JSON_TYPE, ["X-Twilio-Signature", make(hashed, {})]], body: json, secrets: [token] },
    { body: json.replace("3030", "3031") });
  add("twilio-empty-form-under-a-hash", "twilio", "derived from twilio-node-json: the body made an empty form",
    { url: hashed, headers: [FORM, ["X-Twilio-Signature", make(hashed, {})]], body: "", secrets: [token], valid: false });
  add("twilio-json-without-hash", "twilio", "a body that nothing signs",
    { url: "https://example.com/myapp", headers: [JSON_TYPE, ["X-Twilio-Signature", make("https://example.com/myapp", {})]], body: json, secrets: [token], valid: false });
}

// Mandrill publishes no library that signs; this is the algorithm of its guide.
{
  const url = "https://hooks.example.com/in/mandrill?x=1";
  const events = '[{"event":"send","_id":"abc","msg":{"email":"a+b@example.com"}}]';
  const body = new URLSearchParams({ mandrill_events: events }).toString();
  const signature = createHmac("sha1", "webhook-key").update(`${url}mandrill_events${events}`).digest("base64");
  pair("mandrill-guide", "mandrill", "mailchimp.com/developer/transactional, authenticating webhook requests",
    { url, headers: [FORM, ["X-Mandrill-Signature", signature]], body, secrets: ["webhook-key"] },
    { body: body.replace("send", "open") });
}

// Plivo
{
  const v3 = (url, params, nonce, token) => {
    const { search, origin, pathname } = new URL(url);
    const query = [...new URLSearchParams(search)].map(([k, v]) => `${k}=${v}`).sort().join("&");
    const form = Object.keys(params).sort().map((k) => k + params[k]).join("");
    const base = origin + pathname + (query || form ? `?${query}` : "") + (query && form ? "." : "") + form;
    return createHmac("sha256", token).update(`${base}.${nonce}`).digest("base64");
  };
  const { validateV3Signature } = require("plivo/dist/utils/v3Security.js");
  const check = (id, url, params, nonce) => {
    const signature = v3(url, params, nonce, "my_auth_token");
    if (!validateV3Signature("POST", url, nonce, "my_auth_token", signature, params)) throw new Error(id);
    const body = new URLSearchParams(params).toString();
    pair(id, "plivo", "plivo (npm) validateV3Signature accepts it",
      { url, headers: [FORM, ["X-Plivo-Signature-V3-Nonce", nonce], ["X-Plivo-Signature-V3", `AAAA,${signature}`]], body, secrets: ["my_auth_token"] },
      { headers: [FORM, ["X-Plivo-Signature-V3-Nonce", `${nonce}0`], ["X-Plivo-Signature-V3", signature]] });
  };
  check("plivo-v3-form", "https://answer.example.com/in/plivo", { CallUUID: "97ceeb52", From: "14153339966", To: "14153339967" }, "12345");
  check("plivo-v3-form-and-query", "https://answer.example.com/in/plivo?b=2&a=1", { To: "14153339967", Event: "Ring it" }, "05429567804466091622");
  check("plivo-v3-query", "https://answer.example.com/in/plivo?b=2&a=1", {}, "05429567804466091622");
  check("plivo-v3-nothing", "https://answer.example.com/in/plivo", {}, "7");
  add("plivo-v2-ruby", "plivo-v2", "plivo/plivo-ruby spec/signature_spec.rb",
    { url: "https://answer.url", headers: [["X-Plivo-Signature-V2-Nonce", "12345"], ["X-Plivo-Signature-V2", "ehV3IKhLysWBxC1sy8INm0qGoQYdYsHwuoKjsX7FsXc="]], body: "", secrets: ["my_auth_token"] });
  add("plivo-v2-ruby-other-token", "plivo-v2", "plivo/plivo-ruby spec/signature_spec.rb",
    { url: "https://answer.url", headers: [["X-Plivo-Signature-V2-Nonce", "12345"], ["X-Plivo-Signature-V2", "ehV3IKhLysWBxC1sy8INm0qGoQYdYsHwuoKjsX7FsXc="]], body: "", secrets: ["my_auth_tokens"], valid: false });
}

// Contentful
{
  const { signRequest } = require("@contentful/node-apps-toolkit");
  const secret = "a".repeat(64);
  const sign = (id, path, given, body, change) => {
    const signed = signRequest(secret, { method: "POST", path, headers: given, body }, NOW * 1000);
    const headers = [...Object.entries(given), ...Object.entries(signed)];
    const url = `https://hooks.example.com${path}`;
    pair(id, "contentful", "@contentful/node-apps-toolkit signRequest", { url, headers, body, secrets: [secret] }, change(headers));
  };
  const body = '{"sys":{"id":"1","type":"Entry"}}';
  sign("contentful-headers", "/in/contentful", { "content-type": "application/vnd.contentful.management.v1+json", "x-contentful-topic": "ContentManagement.Entry.publish" }, body,
    (headers) => ({ headers: headers.map(([k, v]) => [k, k === "x-contentful-topic" ? "ContentManagement.Entry.delete" : v]) }));
  sign("contentful-query", "/in/con tentful?a=1&b=%2F".replace(" ", "%20"), {}, body, () => ({ body: body.replace("Entry", "Asset") }));
  sign("contentful-late", "/in/contentful", {}, body, () => ({ now: NOW + 31 }));
}

// Adyen
{
  const Validator = require("@adyen/api-library/lib/src/utils/hmacValidator").default;
  const key = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056";
  const item = (pspReference, value) => {
    const item = { pspReference, originalReference: "9914073381342284", merchantAccountCode: "TestMerchant", merchantReference: "a:b\\c\u00e9", amount: { currency: "EUR", value }, eventCode: "CAPTURE", success: "true" };
    return { NotificationRequestItem: { ...item, additionalData: { hmacSignature: new Validator().calculateHmac({ ...item, operations: [] }, key) } } };
  };
  const body = JSON.stringify({ live: "false", notificationItems: [item("1", 1130), item("2", 0)] });
  pair("adyen-batch", "adyen", "@adyen/api-library HmacValidator", { headers: [JSON_TYPE], body, secrets: [key] },
    { body: body.replace('"pspReference":"2"', '"pspReference":"3"') });
  add("adyen-empty-batch", "adyen", "a batch without items", { headers: [JSON_TYPE], body: '{"live":"false","notificationItems":[]}', secrets: [key], valid: false });
  const twice = body.replace('"success":"true"', '"success":"false","success":"true"');
  add("adyen-repeated-field", "adyen", "derived from adyen-batch: a field that repeats", { headers: [JSON_TYPE], body: twice, secrets: [key], valid: false });
}

// Dropbox Sign, as its walkthrough says
{
  const key = "dropbox-sign-api-key";
  const event_hash = createHmac("sha256", key).update("1525470811" + "signature_request_sent").digest("hex");
  const json = JSON.stringify({ event: { event_time: "1525470811", event_type: "signature_request_sent", event_hash } });
  const multipart = `--xyz\r\nContent-Disposition: form-data; name="json"\r\n\r\n${json}\r\n--xyz--\r\n`;
  pair("dropbox-sign-multipart", "dropbox-sign", "developers.hellosign.com events walkthrough",
    { headers: [["Content-Type", "multipart/form-data; boundary=xyz"]], body: multipart, secrets: [key] },
    { body: multipart.replace("1525470811", "1525470812") });
  add("dropbox-sign-form", "dropbox-sign", "the same as a form",
    { headers: [FORM], body: new URLSearchParams({ json }).toString(), secrets: [key] });
}

// Braintree
{
  const braintree = require("braintree");
  const gateway = new braintree.BraintreeGateway({ environment: braintree.Environment.Sandbox, merchantId: "m", publicKey: "public", privateKey: "private" });
  const xml = "<notification><timestamp type=\"datetime\">2023-11-14T22:13:20Z</timestamp><kind>check</kind><subject><check type=\"boolean\">true</check></subject></notification>";
  const sha1 = (data) => createHmac("sha1", createHash("sha1").update("private").digest()).update(data).digest("hex");
  const payload = `${b64(xml)}\n`;
  const make = (bt_payload, bt_signature) => new URLSearchParams({ bt_signature, bt_payload }).toString();
  await gateway.webhookNotification.parse(`other|00&public|${sha1(payload)}`, payload);
  pair("braintree-check", "braintree", "braintree (npm) webhookNotification.parse accepts it",
    { headers: [FORM], body: make(payload, `other|00&public|${sha1(payload)}`), secrets: ["private"] },
    { body: make(payload.replace("P", "Q"), `public|${sha1(payload)}`) });
  add("braintree-line-break-lost", "braintree", "braintree (npm) webhookNotification.parse accepts it",
    { headers: [FORM], body: make(payload.trim(), `public|${sha1(payload)}`), secrets: ["private"] });
}

// LiveKit
{
  const { AccessToken } = await import("livekit-server-sdk");
  const jose = await import("jose");
  const body = '{"event":"room_started","id":"EV_eugWmGhovZmm","createdAt":"1692985556"}';
  const token = new AccessToken("myapikey", "thiskeyistotallyunsafe");
  token.sha256 = sha256(body, "base64");
  const claims = { ...jose.decodeJwt(await token.toJwt()), exp: NOW + 300, nbf: NOW, iat: NOW };
  const jwt = await new jose.SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode("thiskeyistotallyunsafe"));
  pair("livekit-room-started", "livekit", "livekit-server-sdk AccessToken, with fixed times",
    { headers: [["Content-Type", "application/webhook+json"], ["Authorization", jwt]], body, secrets: ["thiskeyistotallyunsafe"], with: { api_key: "myapikey" } },
    { body: body.replace("started", "finished") });
  add("livekit-expired", "livekit", "derived from livekit-room-started",
    { headers: [["Authorization", jwt]], body, secrets: ["thiskeyistotallyunsafe"], with: { api_key: "myapikey" }, now: NOW + 300, valid: false });
}

// Plaid, with the key as a JSON Web Key
{
  const jose = await import("jose");
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk = JSON.stringify({ ...publicKey.export({ format: "jwk" }), alg: "ES256", use: "sig", kid: "bfbd5111-8e33-4643-8ced-b2e642a72f3c" });
  const body = '{\n  "webhook_type": "ITEM",\n  "webhook_code": "ERROR"\n}';
  const sign = (claims, alg = "ES256", key = privateKey) => new jose.SignJWT(claims).setProtectedHeader({ alg, kid: "bfbd5111-8e33-4643-8ced-b2e642a72f3c", typ: "JWT" }).sign(key);
  const jwt = await sign({ iat: NOW, request_body_sha256: sha256(body, "hex") });
  pair("plaid-item-error", "plaid", "jose (npm), by plaid.com/docs/api/webhooks/webhook-verification",
    { headers: [JSON_TYPE, ["Plaid-Verification", jwt]], body, secrets: [jwk] }, { body: body.replaceAll("  ", " ") });
  add("plaid-stale", "plaid", "derived from plaid-item-error",
    { headers: [["Plaid-Verification", jwt]], body, secrets: [jwk], now: NOW + 301, valid: false });
  const confused = await sign({ iat: NOW, request_body_sha256: sha256(body, "hex") }, "HS256", new TextEncoder().encode(jwk.padEnd(32)));
  add("plaid-symmetric-under-the-public-key", "plaid", "HS256 with the public key as the secret",
    { headers: [["Plaid-Verification", confused]], body, secrets: [jwk], valid: false });
}

// Google Pub/Sub, with the key as a JSON Web Key; and other algorithms, with keys in PEM
{
  const jose = await import("jose");
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const jwks = JSON.stringify({ keys: [{ kty: "oct", k: "AA", kid: "k" }, { ...publicKey.export({ format: "jwk" }), alg: "RS256", use: "sig", kid: "k" }] });
  const body = '{"message":{"messageId":"1","data":"aGk="},"subscription":"projects/p/subscriptions/s"}';
  const good = { iss: "https://accounts.google.com", aud: "https://hooks.example.com/in", email: "push@p.iam.gserviceaccount.com", email_verified: true, iat: NOW, exp: NOW + 3600 };
  const given = { audience: good.aud, email: good.email };
  const token = async (id, claims, valid, more = {}) => {
    const jwt = await new jose.SignJWT(claims).setProtectedHeader({ alg: "RS256", kid: "k", typ: "JWT" }).sign(privateKey);
    add(id, "google-pubsub", "jose (npm), by cloud.google.com/pubsub/docs/authenticate-push-subscriptions",
      { headers: [JSON_TYPE, ["Authorization", `Bearer ${jwt}`]], body, secrets: [jwks], with: given, valid, ...more });
  };
  await token("pubsub-push", good, true);
  await token("pubsub-other-issuer-name", { ...good, iss: "accounts.google.com" }, true);
  await token("pubsub-other-audience", { ...good, aud: "https://example.org" }, false);
  await token("pubsub-other-email", { ...good, email: "other@p.iam.gserviceaccount.com" }, false);
  await token("pubsub-email-not-verified", { ...good, email_verified: false }, false);
  await token("pubsub-other-issuer", { ...good, iss: "https://example.org" }, false);
  await token("pubsub-expired", good, false, { now: NOW + 3600 });
  const { exp, ...endless } = good;
  await token("pubsub-without-end", endless, false);
  for (const [alg, kind, options] of [["RS384", "rsa", { modulusLength: 2048 }], ["RS512", "rsa", { modulusLength: 2048 }], ["ES256", "ec", { namedCurve: "P-256" }], ["ES384", "ec", { namedCurve: "P-384" }], ["EdDSA", "ed25519", {}]]) {
    const { privateKey, publicKey } = generateKeyPairSync(kind, options);
    const jwt = await new jose.SignJWT({ sha256: sha256(body, "hex") }).setProtectedHeader({ alg }).sign(privateKey);
    pair(`jws-${alg.toLowerCase()}-pem`, "jws", "jose (npm)",
      { headers: [["X-Token", jwt]], body, secrets: [publicKey.export({ format: "pem", type: "spki" })],
        scheme: { kind: "jws", alg, signature: { header: "X-Token" }, body_claim: "sha256" } },
      { body: `${body} ` });
  }
}

// Amazon SNS and PayPal with a certificate of ours
{
  const { execFileSync } = require("node:child_process");
  const { mkdtempSync, readFileSync } = require("node:fs");
  const folder = mkdtempSync("/tmp/sns-");
  execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "36500", "-subj", "/CN=sns.amazonaws.com",
    "-addext", "subjectAltName=DNS:sns.amazonaws.com", "-keyout", `${folder}/key.pem`, "-out", `${folder}/cert.pem`], { stdio: "ignore" });
  const key = readFileSync(`${folder}/key.pem`), certificate = readFileSync(`${folder}/cert.pem`, "utf8");
  const topic = "arn:aws:sns:us-east-1:123456789012:MyTopic";
  const at = new Date(NOW * 1000).toISOString();
  const make = (version, message) => {
    const keys = message.Type === "Notification"
      ? ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
      : ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];
    const text = keys.filter((k) => k in message).map((k) => `${k}\n${message[k]}\n`).join("");
    const Signature = createSign(version === "1" ? "RSA-SHA1" : "RSA-SHA256").update(text).sign(key, "base64");
    return JSON.stringify({ ...message, SignatureVersion: version, Signature,
      SigningCertURL: "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem" });
  };
  const notification = { Type: "Notification", MessageId: "22b80b92", TopicArn: topic, Subject: "My First Message", Message: "Hello \"world\"\n\u00e9", Timestamp: at };
  const { Subject, ...bare } = notification;
  const confirmation = { Type: "SubscriptionConfirmation", MessageId: "165545c9", Token: "2336412f37", TopicArn: topic, Message: "You have chosen to subscribe", SubscribeURL: "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&Token=2336412f37", Timestamp: at };
  const given = { topic, certificate };
  const source = "docs.aws.amazon.com sns-verify-signature-of-message, with a certificate of ours";
  const headers = [["Content-Type", "text/plain; charset=UTF-8"], ["x-amz-sns-message-type", "Notification"]];
  for (const version of ["1", "2"]) {
    const body = make(version, notification);
    pair(`sns-notification-v${version}`, "aws-sns", source, { headers, body, secrets: [], with: given }, { body: body.replace("Hello", "Hallo") });
    add(`sns-confirmation-v${version}`, "aws-sns", source, { headers, body: make(version, confirmation), secrets: [], with: given });
  }
  add("sns-without-subject", "aws-sns", source, { headers, body: make("2", bare), secrets: [], with: given });
  add("sns-subject-slipped-in", "aws-sns", "derived from sns-without-subject", { headers, body: make("2", bare).replace('"Timestamp"', '"Subject":"x","Timestamp"'), secrets: [], with: given, valid: false });
  add("sns-other-topic", "aws-sns", "another account's topic", { headers, body: make("2", { ...notification, TopicArn: `${topic}2` }), secrets: [], with: given, valid: false });
  add("sns-old", "aws-sns", "derived from sns-notification-v2", { headers, body: make("2", notification), secrets: [], with: given, now: NOW + 3601, valid: false });
  add("sns-version-confused", "aws-sns", "derived: SHA-1 declared over a SHA-256 signature", { headers, body: make("2", notification).replace('"SignatureVersion":"2"', '"SignatureVersion":"1"'), secrets: [], with: given, valid: false });
}

console.log(JSON.stringify(vectors, null, 1));
