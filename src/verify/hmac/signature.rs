//! Picking the signatures out of a request.

use super::place::{Facts, Place, header_name};
use super::spec::{Digest, SignatureAt, SignatureSpec};
use crate::verify::head::Head;
use crate::verify::{Encoding, Refusal, SpecError, Unsignable};
use http::HeaderName;

/// How many signatures of one request are looked at.
const MAX_SIGNATURES: usize = 32;

/// Where signatures are and what one looks like.
#[derive(Debug)]
pub(super) struct Signature {
    source: Source,
    encoding: Encoding,
    length: usize,
}

#[derive(Debug)]
enum Source {
    /// Any of `places`; any of `prefixes` on each.
    Whole { places: Vec<Place>, prefixes: Vec<String>, separators: Vec<char> },
    Fields {
        headers: Vec<HeaderName>,
        item_separators: Vec<char>,
        kv_separator: String,
        key: String,
    },
}

impl Signature {
    pub fn new(
        spec: &SignatureSpec<'_>,
        encoding: Encoding,
        digest: Digest,
    ) -> Result<Self, SpecError> {
        Ok(Self { source: Source::new(spec)?, encoding, length: digest.length() })
    }

    pub fn has_fields(&self) -> bool {
        matches!(self.source, Source::Fields { .. })
    }

    pub fn is_in_body(&self) -> bool {
        matches!(&self.source, Source::Whole { places, .. } if places.iter().any(Place::is_in_body))
    }

    pub fn headers(&self) -> impl Iterator<Item = &HeaderName> {
        let (places, headers) = match &self.source {
            Source::Whole { places, .. } => (places.as_slice(), [].as_slice()),
            Source::Fields { headers, .. } => ([].as_slice(), headers.as_slice()),
        };
        let in_places = places.iter().filter_map(|place| match place {
            Place::Header(name) => Some(name),
            _ => None,
        });
        in_places.chain(headers)
    }

    /// The names of the headers and query parameters that it may stand in.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let query = match &self.source {
            Source::Whole { places, .. } => places.iter().find_map(Place::query_key),
            Source::Fields { .. } => None,
        };
        self.headers().map(HeaderName::as_str).chain(query)
    }

    /// The header that a sender writes the signature into.
    pub fn header(&self) -> Result<&HeaderName, Unsignable> {
        let place = if self.is_in_body() { "body" } else { "query" };
        self.headers().next().ok_or(Unsignable::Place(place))
    }

    /// That header's value: the signature, with `fields` before it in a `kv` header.
    pub fn write(&self, tag: &[u8], fields: &[(&str, &str)]) -> String {
        let tag = self.encoding.encode(tag);
        match &self.source {
            Source::Whole { prefixes, .. } => {
                prefixes.iter().take(1).map(String::as_str).chain([&*tag]).collect()
            }
            Source::Fields { item_separators, kv_separator, key, .. } => {
                let all = fields.iter().copied().chain([(&**key, &*tag)]);
                let items: Vec<_> =
                    all.map(|(key, value)| [key, kv_separator, value].concat()).collect();
                items.join(&String::from_iter(item_separators.first()))
            }
        }
    }

    /// The fields of a `kv` header; none otherwise.
    pub fn fields<'a>(&self, head: Head<'a>) -> Result<Vec<(&'a str, &'a str)>, Refusal> {
        let Source::Fields { headers, item_separators, kv_separator, .. } = &self.source else {
            return Ok(Vec::new());
        };
        let mut fields = Vec::new();
        for name in headers {
            let items =
                head.header(name)?.into_iter().flat_map(|text| text.split(&item_separators[..]));
            fields.extend(items.filter_map(|item| trim(item).split_once(kv_separator.as_str())));
        }
        Ok(fields)
    }

    /// The request's signatures, decoded: at least one, each as long as the digest.
    pub fn offered(&self, facts: &Facts<'_>) -> Result<Vec<Vec<u8>>, Refusal> {
        let mut decoded = Vec::new();
        match &self.source {
            Source::Whole { places, prefixes, separators } => {
                let mut texts = Vec::new();
                for place in places {
                    texts.extend(facts.find(place)?);
                }
                if texts.is_empty() {
                    return Err(Refusal::MissingSignature);
                }
                let items = texts.iter().flat_map(|text| text.split(&separators[..])).map(trim);
                let bare = items.flat_map(|item| {
                    prefixes.iter().filter_map(move |prefix| item.strip_prefix(&**prefix))
                });
                decoded.extend(bare.take(MAX_SIGNATURES).filter_map(|text| self.decode(text)));
            }
            Source::Fields { headers, key, .. } => {
                if !headers.iter().any(|name| facts.head.headers.contains_key(name)) {
                    return Err(Refusal::MissingSignature);
                }
                let values =
                    facts.fields.iter().filter(|(name, _)| name == key).map(|(_, value)| value);
                decoded.extend(values.take(MAX_SIGNATURES).filter_map(|text| self.decode(text)));
            }
        }
        if decoded.is_empty() { Err(Refusal::MalformedSignature) } else { Ok(decoded) }
    }

    fn decode(&self, text: &str) -> Option<Vec<u8>> {
        self.encoding.decode(text).filter(|bytes| bytes.len() == self.length)
    }
}

impl Source {
    fn new(spec: &SignatureSpec<'_>) -> Result<Self, SpecError> {
        match *spec {
            SignatureSpec::Whole { at, prefix, also_prefix, separator } => {
                let places = match at {
                    SignatureAt::Headers(names) => {
                        header_names(names)?.into_iter().map(Place::Header).collect()
                    }
                    SignatureAt::Query(key) => vec![Place::query("signature.query", key)?],
                    SignatureAt::Body(pointer) => vec![Place::body("signature.body", pointer)?],
                };
                let prefixes =
                    [&[prefix], also_prefix].concat().into_iter().map(str::to_owned).collect();
                Ok(Self::Whole { places, prefixes, separators: separator.chars().collect() })
            }
            SignatureSpec::Fields { headers, item_separator, kv_separator, key } => {
                for (field, text) in [
                    ("signature.item_separator", item_separator),
                    ("signature.kv_separator", kv_separator),
                    ("signature.key", key),
                ] {
                    if text.is_empty() {
                        return Err(SpecError::new(
                            field,
                            "must not be empty with `parse = \"kv\"`",
                        ));
                    }
                }
                Ok(Self::Fields {
                    headers: header_names(headers)?,
                    item_separators: item_separator.chars().collect(),
                    kv_separator: kv_separator.to_owned(),
                    key: key.to_owned(),
                })
            }
        }
    }
}

fn header_names(names: &[&str]) -> Result<Vec<HeaderName>, SpecError> {
    const FIELD: &str = "signature.header";
    if names.is_empty() {
        return Err(SpecError::new(FIELD, "must name at least one header"));
    }
    names.iter().map(|name| header_name(FIELD, name)).collect()
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}
