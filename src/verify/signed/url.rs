//! What some senders do to a URL before they sign it.

/// The characters that HubSpot's v3 signs as themselves where the URL has them percent-encoded
/// (developers.hubspot.com, validating requests).
const DECODED: &[u8] = b":/?@!$'()*,;";

/// The URL as HubSpot's v3 signs it.
pub(super) fn hubspot(url: &str) -> String {
    let mut parts = url.split('%');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let byte = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (byte.filter(|byte| DECODED.contains(byte)), part.get(2..)) {
            (Some(byte), Some(rest)) => {
                decoded.push(byte.into());
                decoded.push_str(rest);
            }
            _ => {
                decoded.push('%');
                decoded.push_str(part);
            }
        }
    }
    decoded
}
