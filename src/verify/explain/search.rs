//! The search for what is wrong: one thing after the other is taken to be other than it is, and
//! the request verified again, by the same code.

use std::cell::Cell;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;

use super::{Captured, Others, Subject, bodies, forms, keys, urls};
use crate::verify::signed::{SignedBody, SignedSpec, TimeFormat, TimestampSpec};
use crate::verify::{Givens, Refusal, Request, Scheme, Secret, Spec, SpecError, Verifier};

/// What a verification costs besides its bytes.
const EACH: usize = 2_048;
/// So many presets are named at the most.
const NAMED: usize = 3;
/// Unix times above this are in milliseconds: in seconds it is the year 5138.
const MILLISECONDS: u64 = 100_000_000_000;

/// Parts of names, in lower case, that headers with signatures have.
const TELLING: [&str; 6] = ["signature", "hmac", "sig", "token", "authorization", "digest"];

pub(super) struct Search<'a> {
    subject: Subject<'a>,
    captured: Captured<'a>,
    others: Others<'a>,
    /// Bytes that may still be gone through.
    left: Cell<usize>,
    /// The scheme without a look at the time: an old capture is to be explained too.
    timeless: Spec,
}

impl<'a> Search<'a> {
    pub fn new(
        subject: Subject<'a>,
        captured: Captured<'a>,
        others: Others<'a>,
        work: usize,
    ) -> Self {
        let timeless = timeless(subject.spec);
        Self { subject, captured, others, left: Cell::new(work), timeless }
    }

    /// What is probably wrong with a request that was refused for this.
    pub fn likely(&self, refusal: &Refusal) -> String {
        let found = self.captured.has_body.then(|| {
            self.time()
                .or_else(|| self.window())
                .or_else(|| self.body())
                .or_else(|| self.key())
                .or_else(|| self.form())
                .or_else(|| self.url())
                .or_else(|| self.secret_of_another())
                .or_else(|| self.another_source())
                .or_else(|| self.preset())
        });
        found.flatten().or_else(|| self.by_its_looks(refusal)).unwrap_or_else(|| match refusal {
            Refusal::Mismatch if self.left.get() == 0 => {
                "the body is too large to try what else may have been signed".to_owned()
            }
            Refusal::Mismatch => "none of the usual mistakes explains it: the sender has another \
                secret, or what it sent was changed on the way"
                .to_owned(),
            _ => refusal.to_string(),
        })
    }

    /// The signature is right, and the time is not.
    fn time(&self) -> Option<String> {
        let timestamp = timestamp(self.subject.spec)?;
        self.matches(&self.timeless, self.secrets())?;
        let (format, text) = (timestamp.format, self.timestamp());
        let number: Option<u64> = text.as_deref().and_then(|text| text.parse().ok());
        Some(match (format, number) {
            (TimeFormat::Unix, Some(number)) if number > MILLISECONDS => {
                "the signature is right, but its time is in milliseconds, and the scheme has seconds"
            }
            (TimeFormat::UnixMs, Some(number)) if number < MILLISECONDS => {
                "the signature is right, but its time is in seconds, and the scheme has milliseconds"
            }
            _ => {
                "the signature is right, but not its time: the request is old (a replay, or a capture \
                 that wants --at), or a clock is wrong"
            }
        }
        .to_owned())
    }

    fn timestamp(&self) -> Option<String> {
        let Spec::Signed(spec) = self.subject.spec else { return None };
        let scheme = bare(&Spec::Signed(spec.clone()), self.subject.public_url).ok()?;
        match scheme {
            Scheme::Signed(signed) => signed.timestamp(self.captured.request),
            _ => None,
        }
    }

    /// A secret matches that is out of its time.
    fn window(&self) -> Option<String> {
        let index = self.matches(&self.timeless, self.any_time())?;
        Some(format!("signed with secret {index}, which is out of its time"))
    }

    fn body(&self) -> Option<String> {
        let verifier = self.verifier(&self.timeless, self.any_time())?;
        let body = &self.captured.request.body;
        let (name, _) = bodies::variants(body).find(|(_, body)| {
            let body = Bytes::copy_from_slice(body);
            let other = Request { body, ..self.captured.request.clone() };
            self.holds(&verifier, other).is_some()
        })?;
        Some(format!(
            "signed was {name}: the body was changed after that, by a proxy or framework that writes \
             it anew, or when it was captured"
        ))
    }

    fn key(&self) -> Option<String> {
        self.subject.verifier.secrets().into_iter().enumerate().find_map(|(index, secret)| {
            keys::variants(secret).into_iter().find_map(|(name, other)| {
                self.matches(&self.timeless, vec![other])?;
                Some(format!("signed with secret {index} {name}"))
            })
        })
    }

    fn form(&self) -> Option<String> {
        let headers = &self.captured.request.headers;
        match &self.timeless {
            Spec::Signed(spec) => {
                let guesses = forms::signatures(spec, headers).into_iter();
                let mut guesses = guesses.map(|guess| (guess.spec, guess.differs));
                let decoded = decoded(spec).filter(|_| headers.contains_key(CONTENT_ENCODING));
                let found = decoded.into_iter().chain(&mut guesses).find_map(|(spec, differs)| {
                    self.matches(&Spec::Signed(Box::new(spec)), self.any_time())?;
                    Some(differs)
                });
                found.map(|differs| format!("the signature is right, but it {differs}"))
            }
            Spec::Token(spec) => {
                let mut guesses = forms::tokens(spec, headers).into_iter();
                guesses.find_map(|(spec, differs)| {
                    self.matches(&Spec::Token(spec), self.any_time())?;
                    Some(format!("the token is right, but it {differs}"))
                })
            }
            _ => None,
        }
    }

    fn url(&self) -> Option<String> {
        let Captured { request, .. } = self.captured;
        let signs_url = match self.subject.spec {
            Spec::Signed(spec) => spec.layout.content.contains("{url}"),
            Spec::Code(_) => self.subject.public_url.is_some(),
            _ => false,
        };
        let urls = urls::variants(self.subject.public_url, &request.headers, &request.target);
        urls.into_iter().filter(|_| signs_url).find_map(|url| {
            let scheme = bare(&self.timeless, Some(&url)).ok()?;
            self.holds(&Verifier::new(scheme, self.any_time()).ok()?, request.clone())?;
            let url = crate::text::printable(&url).into_owned();
            Some(format!("the sender calls {url}, so that is what `public_url` has to say"))
        })
    }

    fn secret_of_another(&self) -> Option<String> {
        self.others.sources.iter().find_map(|other| {
            let secrets = other.verifier.secrets().into_iter().map(at_any_time).collect();
            self.matches(&self.timeless, secrets)?;
            Some(format!("signed with the secret of source `{}`", other.name))
        })
    }

    fn another_source(&self) -> Option<String> {
        self.others.sources.iter().filter(|other| other.verifier.verifies()).find_map(|other| {
            let scheme = bare(&timeless(other.spec), other.public_url).ok()?;
            let secrets = other.verifier.secrets().into_iter().map(at_any_time).collect();
            self.holds(&Verifier::new(scheme, secrets).ok()?, self.captured.request.clone())?;
            Some(format!("signed as source `{}` is: it was posted to the wrong path", other.name))
        })
    }

    fn preset(&self) -> Option<String> {
        let others = self.others.presets.iter().filter(|(_, spec)| *spec != self.subject.spec);
        let fitting = others.filter_map(|(name, spec)| {
            let spec = timeless(spec);
            let scheme = bare(&spec, self.subject.public_url).ok()?;
            let as_texts = self.subject.verifier.secrets().into_iter().filter_map(|secret| {
                scheme.secret(str::from_utf8(secret.key()).ok()?, Default::default()).ok()
            });
            let as_texts = as_texts.collect();
            let found = self.matches(&spec, self.any_time());
            found.or_else(|| self.matches(&spec, as_texts))?;
            Some(format!("`{name}`"))
        });
        let names: Vec<String> = fitting.take(NAMED).collect();
        (!names.is_empty()).then(|| {
            format!("signed as the preset {} has it: is the scheme right?", names.join(" or "))
        })
    }

    /// What can be said without knowing whether a signature matches.
    fn by_its_looks(&self, refusal: &Refusal) -> Option<String> {
        let headers = &self.captured.request.headers;
        match refusal {
            Refusal::MalformedSignature => {
                let Spec::Signed(spec) = &self.timeless else { return None };
                let (places, _) = forms::expected(&spec.layout.signature);
                let here = |name: &str| places.iter().any(|place| place.eq_ignore_ascii_case(name));
                let mut own = headers.clone();
                let strange: Vec<_> = headers.keys().filter(|name| !here(name.as_str())).collect();
                strange.into_iter().for_each(|name| drop(own.remove(name)));
                let guess = forms::signatures(spec, &own).into_iter().next()?;
                Some(format!("by its looks, the signature {}", guess.differs))
            }
            Refusal::MissingSignature => {
                let is_telling = |name: &str| TELLING.iter().any(|part| name.contains(part));
                let names =
                    headers.keys().map(|name| name.as_str()).filter(|name| is_telling(name));
                let names: Vec<&str> = names.take(NAMED).collect();
                Some(if names.is_empty() {
                    "nothing in the request looks like a signature: many senders sign only when a \
                     secret is set there"
                        .to_owned()
                } else {
                    format!(
                        "the scheme's header is not there, but {} is: is the scheme right?",
                        names.join(", ")
                    )
                })
            }
            _ => None,
        }
    }

    fn secrets(&self) -> Vec<Secret> {
        let again = |secret: &Secret| secret.clone_in_time();
        self.subject.verifier.secrets().into_iter().map(again).collect()
    }

    fn any_time(&self) -> Vec<Secret> {
        self.subject.verifier.secrets().into_iter().map(at_any_time).collect()
    }

    fn verifier(&self, spec: &Spec, secrets: Vec<Secret>) -> Option<Verifier> {
        let scheme = bare(spec, self.subject.public_url).ok()?;
        Verifier::new(scheme, secrets).ok().filter(Verifier::verifies)
    }

    /// Which of these secrets is right, if the request is taken for one of that scheme.
    fn matches(&self, spec: &Spec, secrets: Vec<Secret>) -> Option<usize> {
        self.holds(&self.verifier(spec, secrets)?, self.captured.request.clone())
    }

    fn holds(&self, verifier: &Verifier, request: Request) -> Option<usize> {
        let cost = (request.body.len() + EACH) * verifier.secrets().len().max(1);
        self.left.set(self.left.get().saturating_sub(cost));
        if self.left.get() == 0 {
            return None;
        }
        verifier.verify(request, self.captured.at).ok()?.secret_index()
    }
}

/// The scheme, with nothing that a source adds to it but the URL.
fn bare(spec: &Spec, public_url: Option<&str>) -> Result<Scheme, SpecError> {
    Scheme::new(spec, &Givens { public_url, has_secrets: true, ..Givens::default() })
}

fn at_any_time(secret: &Secret) -> Secret {
    secret.with_key(secret.key().to_vec())
}

fn timestamp(spec: &Spec) -> Option<&TimestampSpec> {
    match spec {
        Spec::Signed(spec) => spec.layout.timestamp.as_ref(),
        _ => None,
    }
}

/// The same scheme, with no look at the time.
fn timeless(spec: &Spec) -> Spec {
    let mut spec = spec.clone();
    if let Spec::Signed(signed) = &mut spec
        && let Some(timestamp) = &mut signed.layout.timestamp
    {
        timestamp.tolerance = None;
    }
    spec
}

/// The same scheme with the other of the bodies that a compressed request has.
fn decoded(spec: &SignedSpec) -> Option<(SignedSpec, String)> {
    let (signed_body, how) = match spec.signed_body {
        SignedBody::Received => (SignedBody::Decoded, "is that of the decompressed body"),
        SignedBody::Decoded => (SignedBody::Received, "is that of the body before decompression"),
    };
    let differs = format!("{how} (`signed_body = \"{}\"`)", signed_body.name());
    Some((SignedSpec { signed_body, ..spec.clone() }, differs))
}
