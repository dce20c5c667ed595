//! Signatures that may be right, and stand or look other than their scheme says.

use http::HeaderMap;

use crate::text::printable;
use crate::verify::signed::{Algorithm, SignatureAt, SignatureSpec, SignedSpec};
use crate::verify::{Digest, Encoding, TokenAt, TokenSpec};

/// Labels longer than this are none.
const LABEL: usize = 12;
/// So many guesses are made at the most.
const GUESSES: usize = 200;

/// A signature as it stands in a request, and the scheme that it would be right for.
pub(super) struct Guess {
    pub spec: SignedSpec,
    /// How it differs from the scheme that there is.
    pub differs: String,
}

/// Whatever in the headers can be taken for a signature of this kind.
pub(super) fn signatures(spec: &SignedSpec, headers: &HeaderMap) -> Vec<Guess> {
    let mut guesses = Vec::new();
    for (name, value) in headers {
        let Ok(value) = value.to_str() else { continue };
        for (label, text) in labelled(value) {
            for encoding in [Encoding::Hex, Encoding::Base64, Encoding::Base64Url] {
                let bytes = encoding.decode(text).map_or(0, |bytes| bytes.len());
                for algorithm in algorithms(spec.algorithm, bytes) {
                    guesses.extend(guess(spec, name.as_str(), label, encoding, algorithm));
                }
            }
        }
    }
    // Those in the right header are the likelier ones.
    guesses.sort_by_key(|guess| guess.differs.contains("header"));
    guesses.truncate(GUESSES);
    guesses
}

/// The value itself, and what stands behind a label.
fn labelled(value: &str) -> impl Iterator<Item = (&str, &str)> {
    let whole = value.trim_matches([' ', '\t', '"', '\'']);
    let split =
        whole.find(['=', ',', ' ']).filter(|at| *at < LABEL).map(|at| whole.split_at(at + 1));
    std::iter::once(("", whole)).chain(split)
}

/// The algorithms of the same kind that make so many bytes.
fn algorithms(algorithm: Algorithm, bytes: usize) -> Vec<Algorithm> {
    let digest = match bytes {
        20 => Digest::Sha1,
        32 => Digest::Sha256,
        48 => Digest::Sha384,
        64 => Digest::Sha512,
        _ => return Vec::new(),
    };
    match algorithm {
        Algorithm::Hmac(_) => vec![Algorithm::Hmac(digest)],
        Algorithm::Hash(_) => vec![Algorithm::Hash(digest)],
        _ => vec![algorithm],
    }
}

fn guess(
    spec: &SignedSpec,
    header: &str,
    label: &str,
    encoding: Encoding,
    algorithm: Algorithm,
) -> Option<Guess> {
    let (headers, labels) = expected(&spec.layout.signature);
    let mut differs = Vec::new();
    if !headers.iter().any(|name| name.eq_ignore_ascii_case(header)) {
        differs.push(format!("stands in header {header}"));
    }
    if !labels.contains(&label) {
        let wanted = labels.first().copied().unwrap_or_default();
        differs.push(match (label, wanted) {
            ("", wanted) => format!("has no `{wanted}` before it"),
            (label, "") => format!("has `{}` before it", printable(label)),
            (label, wanted) => {
                format!("has `{}` before it in place of `{wanted}`", printable(label))
            }
        });
    }
    if encoding != spec.encoding {
        differs.push(format!("is in {} in place of {}", encoding.name(), spec.encoding.name()));
    }
    if algorithm != spec.algorithm {
        differs.push(format!("is made with {}", digest(algorithm)));
    }
    if differs.is_empty() {
        return None;
    }
    let mut other = spec.clone();
    (other.encoding, other.algorithm, other.or, other.header_alias) =
        (encoding, algorithm, None, None);
    other.layout.signature = SignatureSpec::Whole {
        at: SignatureAt::Headers(vec![header.to_owned()]),
        prefix: label.to_owned(),
        also_prefix: Vec::new(),
        separator: String::new(),
    };
    Some(Guess { spec: other, differs: differs.join(", and ") })
}

/// The headers and the labels of a scheme's signatures.
pub(super) fn expected(signature: &SignatureSpec) -> (&[String], Vec<&str>) {
    match signature {
        SignatureSpec::Whole { at, prefix, also_prefix, .. } => {
            let headers = match at {
                SignatureAt::Headers(headers) => headers.as_slice(),
                _ => &[],
            };
            (headers, std::iter::once(prefix).chain(also_prefix).map(String::as_str).collect())
        }
        SignatureSpec::Fields { headers, key, .. } => (headers, vec![key]),
        SignatureSpec::List { headers, .. } => (headers, vec![""]),
    }
}

fn digest(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Hmac(digest) | Algorithm::Hash(digest) => digest.name(),
        _ => "another algorithm",
    }
}

/// Whatever in the headers can be taken for a token.
pub(super) fn tokens(spec: &TokenSpec, headers: &HeaderMap) -> Vec<(TokenSpec, String)> {
    let names: &[String] = match &spec.at {
        TokenAt::Headers(names) => names,
        _ => &[],
    };
    let mut guesses = Vec::new();
    for (name, value) in headers {
        let Ok(value) = value.to_str() else { continue };
        for (label, _) in labelled(value) {
            let mut differs = Vec::new();
            if !names.iter().any(|expected| expected.eq_ignore_ascii_case(name.as_str())) {
                differs.push(format!("stands in header {name}"));
            }
            if label != spec.prefix {
                let wanted = &spec.prefix;
                differs.push(match label {
                    "" => format!("has no `{wanted}` before it"),
                    label => format!("has `{}` before it", printable(label)),
                });
            }
            let at = TokenAt::Headers(vec![name.to_string()]);
            let differs = differs.join(", and ");
            guesses.push((TokenSpec { at, prefix: label.to_owned() }, differs));
        }
    }
    guesses.retain(|(_, differs)| !differs.is_empty());
    guesses.truncate(GUESSES);
    guesses
}
