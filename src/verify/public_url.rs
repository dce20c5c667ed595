//! The URL that a sender calls, as the operator says it.

use super::SpecError;

const FIELD: &str = "public_url";

/// A whole URL, to which the query is appended as received.
///
/// # Errors
/// It is none, or has a query already.
pub(super) fn checked(url: &str) -> Result<&str, SpecError> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.contains(['?', '#']) => Ok(url),
        Some(rest) if !rest.is_empty() => {
            let problem = "leave out what follows `?`: the query is taken from the request";
            Err(SpecError::new(FIELD, problem))
        }
        _ => Err(SpecError::new(
            FIELD,
            "must be a whole URL, as `https://hooks.example.com/in/acme`",
        )),
    }
}

/// The same for a scheme that signs it.
///
/// # Errors
/// It is missing, too.
pub(super) fn needed(url: Option<&str>) -> Result<&str, SpecError> {
    let problem = "this scheme signs the URL, so the URL that the sender calls is needed";
    checked(url.ok_or_else(|| SpecError::new(FIELD, problem))?)
}
