//! Amazon SNS: <https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html>.

use super::{Claim, SHOWN, check_time};
use crate::pointer::Pointer;
use crate::text::{head, printable};
use crate::verify::public_key::Signing;
use crate::verify::trace::{self, Step};
use crate::verify::{Encoding, Refusal, Request};
use serde::Deserialize;

/// How old a message may be, in milliseconds: SNS tries for an hour at the most.
const TOLERANCE_MS: u64 = 3_600_000;

/// A message. A field that repeats is an error: nobody could say which was signed.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    #[serde(rename = "Type")]
    kind: String,
    message_id: String,
    topic_arn: String,
    message: String,
    timestamp: String,
    signature: String,
    signature_version: String,
    #[serde(rename = "SigningCertURL")]
    signing_cert_url: String,
    subject: Option<String>,
    token: Option<String>,
    #[serde(rename = "SubscribeURL")]
    subscribe_url: Option<String>,
}

/// `topics` are those whose messages are wanted: anyone has topics of their own, and Amazon signs
/// for all.
pub(super) fn claim(request: &Request, topics: &[String], now_ms: i64) -> Result<Claim, Refusal> {
    let message = read(request).ok_or(Refusal::UnreadableBody)?;
    let is_wanted = topics.contains(&message.topic_arn);
    trace::tell(|| {
        let found = format!("`{}`", printable(head(&message.topic_arn, SHOWN)));
        Step::new("TopicArn in the body", topics.join(" or "), found, is_wanted)
    });
    if !is_wanted {
        return Err(Refusal::WrongValue("TopicArn".to_owned()));
    }
    check_time("/Timestamp", &message.timestamp, TOLERANCE_MS, now_ms)?;
    let signing = match &*message.signature_version {
        "1" => Signing::RsaSha1,
        "2" => Signing::RsaSha256,
        _ => return Err(Refusal::WrongValue("SignatureVersion".to_owned())),
    };
    let tag = Encoding::Base64.decode(&message.signature).ok_or(Refusal::MalformedSignature)?;
    Ok(Claim { content: content(&message)?, certificate: message.signing_cert_url, signing, tag })
}

/// Whether what stands there is signed in a message of every kind.
pub(super) fn covers(pointer: &Pointer) -> bool {
    ["/Message", "/MessageId", "/Timestamp", "/TopicArn", "/Type"].contains(&pointer.as_str())
}

/// Where a subscription is confirmed; `None`: it is no message that asks for that.
pub(super) fn confirmation(request: &Request) -> Option<String> {
    let message = read(request)?;
    let asks = message.kind == "SubscriptionConfirmation";
    message.subscribe_url.filter(|_| asks)
}

/// `sns.<region>.amazonaws.com`, also in China.
pub(super) fn is_host(host: &str) -> bool {
    let host = host.strip_suffix(".cn").unwrap_or(host);
    let region = host.strip_prefix("sns.").and_then(|rest| rest.strip_suffix(".amazonaws.com"));
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    region.is_some_and(|region| region.len() >= 3 && region.bytes().all(is_plain))
}

/// Where Amazon keeps its certificates on such a host: `/SimpleNotificationService-0123….pem`.
pub(super) fn is_certificate(path: &str) -> bool {
    let name = path.strip_prefix("/SimpleNotificationService-");
    let name = name.and_then(|rest| rest.strip_suffix(".pem"));
    name.is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric()))
}

fn read(request: &Request) -> Option<Message> {
    serde_json::from_slice(&request.body).ok()
}

/// The fields of its kind that it has, name and value a line each. Only the message itself may have
/// several lines: others could pass for the fields that follow.
fn content(message: &Message) -> Result<Vec<u8>, Refusal> {
    let some = |text: &'_ String| Some(text.clone());
    let subscription = match &*message.kind {
        "Notification" => false,
        "SubscriptionConfirmation" | "UnsubscribeConfirmation" => true,
        _ => return Err(Refusal::WrongValue("Type".to_owned())),
    };
    let fields = [
        ("Message", some(&message.message)),
        ("MessageId", some(&message.message_id)),
        ("Subject", message.subject.clone().filter(|_| !subscription)),
        ("SubscribeURL", message.subscribe_url.clone().filter(|_| subscription)),
        ("Timestamp", some(&message.timestamp)),
        ("Token", message.token.clone().filter(|_| subscription)),
        ("TopicArn", some(&message.topic_arn)),
        ("Type", some(&message.kind)),
    ];
    let is_open = |(name, value): &&(&str, Option<String>)| {
        *name != "Message" && value.as_ref().is_some_and(|value| value.contains('\n'))
    };
    if let Some((name, _)) = fields.iter().find(is_open) {
        return Err(Refusal::WrongValue((*name).to_owned()));
    }
    let lines =
        fields.into_iter().filter_map(|(name, value)| Some(format!("{name}\n{}\n", value?)));
    Ok(lines.collect::<String>().into_bytes())
}
