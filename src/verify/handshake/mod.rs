//! Handshakes: requests that are no events, with which a provider tries whether we are there, whose
//! answer it prescribes.

mod answer;
mod when;

pub use answer::{Respond, RespondBody, Said, Unfit, Welcome};
pub use when::{Place, Test, When};

use super::head::Head;
use super::with::{With, gaps};
use super::{Request, SpecError};
use http::{HeaderMap, Method};

/// Bytes of the body of a handshake that nobody signed, at the most.
pub const UNSIGNED_BODY_BYTES: usize = 16 * 1024;

/// One handshake of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    pub when: When,
    /// Whether it is answered only when the request is verified.
    pub verify_first: bool,
    /// Where the provider hands over the secret with which it signs from then on.
    pub keep: Option<Place>,
    pub respond: Respond,
}

/// The handshakes of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Handshakes(pub Vec<Handshake>);

impl Handshake {
    /// Whether its answer has a signature in it.
    pub fn proves(&self) -> bool {
        self.respond.said().any(|said| matches!(said, Said::Proof { .. }))
    }

    /// The names that a source may give values to in `with`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let tests = self.when.tests.iter().flat_map(|(_, test)| match test {
            Test::OneOf(texts) => texts.as_slice(),
            Test::Present | Test::Absent => &[],
        });
        let prefixes = self.respond.said().filter_map(|said| match said {
            Said::Proof { prefix, .. } => Some(prefix),
            Said::Literal(_) | Said::Echo(_) => None,
        });
        tests.chain(prefixes).flat_map(|text| gaps(text)).map(|gap| gap.name)
    }

    /// The same with its gaps filled; `None`: one that may stay open does.
    pub fn filled(&self, with: &With) -> Result<Option<Self>, SpecError> {
        let mut filled = self.clone();
        for (_, test) in &mut filled.when.tests {
            let Test::OneOf(texts) = test else { continue };
            let all: Result<Vec<_>, _> = texts.iter().map(|text| with.fill_all(text)).collect();
            *texts = all?.concat();
            if texts.is_empty() {
                return Ok(None);
            }
        }
        for said in filled.respond.said_mut() {
            if let Said::Proof { prefix, .. } = said {
                let Some(text) = with.fill_open(prefix)? else { return Ok(None) };
                *prefix = text;
            }
        }
        Ok(Some(filled))
    }
}

impl Handshakes {
    /// The methods that requests of the source may have, POST first.
    pub fn methods(&self) -> Vec<&Method> {
        let mut methods = vec![&Method::POST];
        for handshake in &self.0 {
            if !methods.contains(&&handshake.when.method) {
                methods.push(&handshake.when.method);
            }
        }
        methods
    }

    /// Whether a request may turn out to be a handshake, as far as its head says.
    pub fn may_be(&self, method: &Method, headers: &HeaderMap, target: &str) -> bool {
        self.0.iter().any(|one| one.when.fits_head(method, Head { headers, target }))
    }

    /// Whether a request may turn out to be a handshake that nobody signs, as far as its head says.
    pub fn may_be_unsigned(&self, method: &Method, headers: &HeaderMap, target: &str) -> bool {
        let head = Head { headers, target };
        self.0.iter().any(|one| !one.verify_first && one.when.fits_head(method, head))
    }

    /// Whether the provider hands over its secret.
    pub fn hand_over(&self) -> bool {
        self.0.iter().any(|handshake| handshake.keep.is_some())
    }

    /// The handshake that a request is. `verified`: whether it is known who sent it.
    pub fn find(&self, request: &Request, verified: bool) -> Option<&Handshake> {
        self.0.iter().find(|one| one.verify_first == verified && one.when.fits(request))
    }
}
