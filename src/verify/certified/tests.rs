//! Where certificates may be, and what is one.

use super::*;
use http::{HeaderMap, Method};
use serde_json::json;

fn certified(certifier: Certifier, more: &[(&str, &str)]) -> Result<Certified, SpecError> {
    let mut with = With::default();
    let subject = [(certifier.names()[0], "subject")];
    for (name, value) in subject.iter().chain(more) {
        with.insert(name, vec![(*value).to_owned()]);
    }
    Certified::new(certifier, &with, &[])
}

#[test]
fn a_certificate_is_at_a_place_of_its_provider() {
    const FILE: &str = "/SimpleNotificationService-9c6465fa7f48f5cacd23014631ec1136.pem";
    let sns = certified(Certifier::AwsSns, &[]).unwrap();
    for host in ["sns.us-east-1.amazonaws.com", "sns.cn-north-1.amazonaws.com.cn"] {
        let url = format!("https://{host}{FILE}");
        assert_eq!(sns.place_of(&url), Ok(Want { url, post: None }));
    }
    for url in [
        "http://sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem",
        "https://sns.us-east-1.amazonaws.com:443/SimpleNotificationService-1.pem",
        "https://user@sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem",
        "https://@sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem?",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem?a=1",
        "https://sns.us-east-1.amazonaws.com/?SimpleNotificationService-1.pem",
        "https://sns.us-east-1.amazonaws.com/?Action=Publish&x=/SimpleNotificationService-1.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem#",
        "https://sns.us-east-1.amazonaws.com/x#/SimpleNotificationService-1.pem",
        "https://sns.us-east-1.amazonaws.com/a/SimpleNotificationService-1.pem",
        "https://sns.us-east-1.amazonaws.com//SimpleNotificationService-1.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-../x.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-%31.pem",
        "https://sns.us-east-1.amazonaws.com/simplenotificationservice-1.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-1.PEM",
        "https://sns.us-east-1.amazonaws.com/other.pem",
        "https://sns.us-east-1.amazonaws.com",
        "https://s3.us-east-1.amazonaws.com/SimpleNotificationService-1.pem",
        "https://sns.us-east-1.amazonaws.com.example.com/SimpleNotificationService-1.pem",
        "https://sns.a.b.amazonaws.com/SimpleNotificationService-1.pem",
        "https://sns..amazonaws.com/SimpleNotificationService-1.pem",
        "/SimpleNotificationService-1.pem",
        "",
    ] {
        assert!(sns.place_of(url).is_err(), "{url}");
    }
    let paypal = certified(Certifier::Paypal, &[]).unwrap();
    let place = "https://api.paypal.com/v1/notifications/certs/CERT-360caa42";
    assert!(paypal.place_of(place).is_ok());
    for more in ["?", "?a=1", "#", "#a"] {
        assert!(paypal.place_of(&format!("{place}{more}")).is_err(), "{more}");
    }
}

#[test]
fn a_bare_public_key_is_no_certificate() {
    let key = include_str!("../../../tests/fixtures/signatures/rsa-public.pem");
    assert_eq!(asymmetric::read(key.as_bytes()).len(), 1);
    for certifier in [Certifier::AwsSns, Certifier::Paypal] {
        let fetching = certified(certifier, &[]).unwrap();
        assert_eq!(fetching.keys(key.as_bytes(), &[], 0), []);
        let pinned = certified(certifier, &[("certificate", key)]);
        assert_eq!(pinned.unwrap_err().field, "with.certificate");
    }
}

#[test]
fn only_the_message_of_a_notification_has_lines() {
    const SUBJECT: &str = "m\nSubject\ns";
    let claim = |field: &str, value: &str| {
        let mut message = json!({
            "Type": "Notification", "MessageId": "m", "TopicArn": "t", "Message": "hi",
            "Timestamp": "2023-11-14T22:13:20Z", "Signature": "AA==", "SignatureVersion": "2",
            "SigningCertURL": "https://sns.us-east-1.amazonaws.com/x.pem",
        });
        message[field] = value.into();
        let request = Request {
            method: Method::POST,
            target: "/".to_owned(),
            headers: HeaderMap::new(),
            body: message.to_string().into(),
            peer: [127, 0, 0, 1].into(),
        };
        sns::claim(&request, &["t".to_owned()], 1_700_000_000_000).map(drop)
    };
    assert_eq!(claim("Message", SUBJECT), Ok(()));
    for field in ["MessageId", "Subject"] {
        assert_eq!(claim(field, SUBJECT), Err(Refusal::WrongValue(field.to_owned())));
    }
}
