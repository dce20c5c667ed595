//! Picking the signatures out of a request.

use super::keyring::Offered;
use super::spec::{Algorithm, EcdsaForm, OtherSpec, SignatureAt, SignatureSpec, SignedSpec};
use crate::verify::head::Head;
use crate::verify::place::{Facts, Place, header_name};
use crate::verify::secret::Family;
use crate::verify::trace::{self, Step};
use crate::verify::{Encoding, Refusal, SpecError};
use http::HeaderName;
use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;

/// How many signatures of one request are looked at.
const MAX_SIGNATURES: usize = 32;

/// Where signatures are and what one looks like.
#[derive(Debug)]
pub(super) struct Signature {
    source: Source,
    /// What a signature of each family looks like.
    looks: Vec<Look>,
}

#[derive(Debug)]
enum Source {
    /// Any of `places`.
    Whole {
        places: Vec<Place>,
        separators: Vec<char>,
    },
    Fields {
        headers: Vec<HeaderName>,
        group_separators: Vec<char>,
        item_separators: Vec<char>,
        kv_separator: String,
    },
    List {
        headers: Vec<HeaderName>,
        item_separators: Vec<char>,
    },
}

/// The fields of one group, by name.
type Fields<'a> = Vec<(&'a str, &'a str)>;

/// The names of a list's fields.
const NUMBERS: [&str; 8] = ["0", "1", "2", "3", "4", "5", "6", "7"];

#[derive(Debug)]
struct Look {
    family: Family,
    /// Any of these stands before a signature; in a `kv` header it is its key.
    labels: Vec<String>,
    encoding: Encoding,
    /// Bytes, once decoded.
    length: RangeInclusive<usize>,
}

impl Signature {
    pub fn new(spec: &SignatureSpec, scheme: &SignedSpec) -> Result<Self, SpecError> {
        let labels = match spec {
            SignatureSpec::Whole { prefix, also_prefix, .. } => {
                [std::slice::from_ref(prefix), also_prefix].concat()
            }
            SignatureSpec::Fields { key, .. } => vec![key.clone()],
            SignatureSpec::List { .. } => vec![String::new()],
        };
        let main = Look {
            family: Family::Main,
            labels,
            encoding: scheme.encoding,
            length: scheme.algorithm.length(),
        };
        let other = scheme.or.iter().map(Look::other);
        let looks = std::iter::once(Ok(main)).chain(other).collect::<Result<_, _>>()?;
        Ok(Self { source: Source::new(spec)?, looks })
    }

    /// Forgets the families that no secret is for.
    pub fn keep(&mut self, has_keys: impl Fn(Family) -> bool) {
        self.looks.retain(|look| has_keys(look.family));
    }

    pub fn has_fields(&self) -> bool {
        !matches!(self.source, Source::Whole { .. })
    }

    pub fn is_in_body(&self) -> bool {
        matches!(&self.source, Source::Whole { places, .. } if places.iter().any(Place::is_in_body))
    }

    pub fn headers(&self) -> impl Iterator<Item = &HeaderName> {
        let (places, headers) = match &self.source {
            Source::Whole { places, .. } => (places.as_slice(), [].as_slice()),
            Source::Fields { headers, .. } | Source::List { headers, .. } => {
                ([].as_slice(), headers.as_slice())
            }
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
            Source::Fields { .. } | Source::List { .. } => None,
        };
        self.headers().map(HeaderName::as_str).chain(query)
    }

    /// Where a sender writes it.
    pub fn place(&self) -> Option<Place> {
        match &self.source {
            Source::Whole { places, .. } => places.first().cloned(),
            Source::Fields { headers, .. } | Source::List { headers, .. } => {
                headers.first().cloned().map(Place::Header)
            }
        }
    }

    /// What stands there: the signature, with `fields` before it in a `kv` header.
    pub fn write(&self, tag: &Offered, fields: &[(&str, &str)]) -> String {
        let look = self.looks.iter().find(|look| look.family == tag.family);
        let label = look.and_then(|look| look.labels.first()).map_or("", String::as_str);
        let tag = look.map_or_else(String::new, |look| look.encoding.encode(&tag.bytes));
        match &self.source {
            Source::Whole { .. } => [label, &tag].concat(),
            Source::Fields { item_separators, kv_separator, .. } => {
                let all = fields.iter().copied().chain([(label, &*tag)]);
                let items: Vec<_> =
                    all.map(|(key, value)| [key, kv_separator, value].concat()).collect();
                items.join(&String::from_iter(item_separators.first()))
            }
            Source::List { item_separators, .. } => {
                let items: Vec<_> = fields.iter().map(|(_, value)| *value).chain([&*tag]).collect();
                items.join(&String::from_iter(item_separators.first()))
            }
        }
    }

    /// The fields of the header, in their groups; one group at least.
    pub fn groups<'a>(&self, head: Head<'a>) -> Result<Vec<Fields<'a>>, Refusal> {
        match &self.source {
            Source::Whole { .. } => Ok(vec![Vec::new()]),
            Source::Fields { headers, group_separators, item_separators, kv_separator } => {
                let text = values(headers, head)?;
                let groups = text.iter().flat_map(|text| text.split(&group_separators[..]));
                let fields = |group: &'a str| {
                    let items = group.split(&item_separators[..]);
                    items.filter_map(|item| trim(item).split_once(kv_separator.as_str())).collect()
                };
                Ok(at_least_one(groups.map(fields).collect()))
            }
            Source::List { headers, item_separators } => {
                let text = values(headers, head)?;
                let items = text.iter().flat_map(|text| text.split(&item_separators[..])).map(trim);
                Ok(vec![NUMBERS.into_iter().zip(items).collect()])
            }
        }
    }

    /// The request's signatures, decoded: at least one, each as long as it must be.
    pub fn offered(&self, facts: &Facts<'_>) -> Result<Vec<Offered>, Refusal> {
        let offered = self.read(facts);
        trace::tell(|| self.step(facts, &offered));
        offered
    }

    fn step(&self, facts: &Facts<'_>, offered: &Result<Vec<Offered>, Refusal>) -> Step {
        let (places, texts): (Vec<String>, Vec<_>) = match &self.source {
            Source::Whole { places, .. } => {
                let texts = places.iter().filter_map(|place| facts.find(place).ok().flatten());
                (places.iter().map(Place::to_string).collect(), texts.collect())
            }
            Source::Fields { headers, .. } | Source::List { headers, .. } => {
                let values = headers.iter().filter_map(|name| facts.head.header(name).ok()?);
                (
                    headers.iter().map(|name| format!("header {name}")).collect(),
                    values.map(Cow::Borrowed).collect(),
                )
            }
        };
        let shown: Vec<String> = texts.iter().map(|text| trace::glimpse(text)).collect();
        let found = match offered {
            Err(Refusal::Ambiguous(_) | Refusal::NotText(_) | Refusal::UnreadableBody) => {
                "unreadable".to_owned()
            }
            _ if shown.is_empty() => "nothing".to_owned(),
            _ => shown.join("; "),
        };
        let looks: Vec<String> = self.looks.iter().map(Look::to_string).collect();
        Step::new(places.join(" or "), looks.join(", or "), found, offered.is_ok())
    }

    fn read(&self, facts: &Facts<'_>) -> Result<Vec<Offered>, Refusal> {
        let decoded: Vec<_> = match &self.source {
            Source::Whole { places, separators } => {
                let mut texts = Vec::new();
                for place in places {
                    texts.extend(facts.find(place)?);
                }
                if texts.is_empty() {
                    return Err(Refusal::MissingSignature);
                }
                let items = texts.iter().flat_map(|text| text.split(&separators[..])).map(trim);
                let labelled =
                    items.flat_map(|item| self.looks.iter().flat_map(move |look| look.strip(item)));
                labelled.take(MAX_SIGNATURES).filter_map(|(look, text)| look.decode(text)).collect()
            }
            Source::Fields { headers, .. } => {
                if !headers.iter().any(|name| facts.head.headers.contains_key(name)) {
                    return Err(Refusal::MissingSignature);
                }
                let labelled = facts.fields.iter().flat_map(|(key, value)| {
                    let looks = self.looks.iter();
                    looks
                        .filter(move |look| look.labels.iter().any(|label| label == key))
                        .map(move |look| (look, *value))
                });
                labelled.take(MAX_SIGNATURES).filter_map(|(look, text)| look.decode(text)).collect()
            }
            Source::List { .. } => {
                let items = facts.fields.iter().map(|(_, value)| *value);
                let labelled =
                    items.flat_map(|item| self.looks.iter().flat_map(move |look| look.strip(item)));
                labelled.filter_map(|(look, text)| look.decode(text)).collect()
            }
        };
        if decoded.is_empty() { Err(Refusal::MalformedSignature) } else { Ok(decoded) }
    }
}

/// The values of those of the headers that are there.
fn values<'a>(headers: &[HeaderName], head: Head<'a>) -> Result<Vec<&'a str>, Refusal> {
    headers.iter().filter_map(|name| head.header(name).transpose()).collect()
}

fn at_least_one(mut groups: Vec<Fields<'_>>) -> Vec<Fields<'_>> {
    if groups.is_empty() {
        groups.push(Vec::new());
    }
    groups
}

impl Look {
    fn other(spec: &OtherSpec) -> Result<Self, SpecError> {
        if spec.label.is_empty() {
            return Err(SpecError::new("or.prefix", "must tell its signatures from the others"));
        }
        Ok(Self {
            family: Family::Other,
            labels: vec![spec.label.clone()],
            encoding: spec.encoding,
            length: spec.algorithm.length(),
        })
    }

    /// The signatures that the text may be, without their labels.
    fn strip<'a>(&'a self, item: &'a str) -> impl Iterator<Item = (&'a Self, &'a str)> {
        self.labels.iter().filter_map(move |label| Some((self, item.strip_prefix(&**label)?)))
    }

    fn decode(&self, text: &str) -> Option<Offered> {
        let bytes = self.encoding.decode(text).filter(|bytes| self.length.contains(&bytes.len()));
        bytes.map(|bytes| Offered { family: self.family, bytes })
    }
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels: Vec<_> = self.labels.iter().filter(|label| !label.is_empty()).collect();
        for (number, label) in labels.iter().enumerate() {
            write!(f, "{}`{label}`", if number > 0 { " or " } else { "" })?;
        }
        let (least, most) = (self.length.start(), self.length.end());
        let length = if least == most { least.to_string() } else { format!("{least} to {most}") };
        let then = if labels.is_empty() { "" } else { ", then " };
        write!(f, "{then}{length} bytes in {}", self.encoding.name())
    }
}

impl Algorithm {
    /// The length of a signature in bytes.
    fn length(self) -> RangeInclusive<usize> {
        match self {
            Self::Hmac(digest) | Self::Hash(digest) => digest.length()..=digest.length(),
            Self::Ed25519 | Self::EcdsaP256(EcdsaForm::Raw) => 64..=64,
            // Two numbers of up to 33 bytes, each and both behind a tag and a length.
            Self::EcdsaP256(EcdsaForm::Der) => 8..=72,
            // Keys have 2048 to 8192 bits.
            Self::RsaSha256 => 256..=1024,
        }
    }
}

impl Source {
    fn new(spec: &SignatureSpec) -> Result<Self, SpecError> {
        match spec {
            SignatureSpec::Whole { at, separator, .. } => {
                let places = match at {
                    SignatureAt::Headers(names) => {
                        header_names(names)?.into_iter().map(Place::Header).collect()
                    }
                    SignatureAt::Query(key) => vec![Place::query("signature.query", key)?],
                    SignatureAt::Body(pointer) => vec![Place::body("signature.body", pointer)?],
                };
                Ok(Self::Whole { places, separators: separator.chars().collect() })
            }
            SignatureSpec::Fields {
                headers,
                group_separator,
                item_separator,
                kv_separator,
                key,
            } => {
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
                    group_separators: group_separator.chars().collect(),
                    item_separators: item_separator.chars().collect(),
                    kv_separator: kv_separator.clone(),
                })
            }
            SignatureSpec::List { item_separator, .. } if item_separator.is_empty() => {
                let problem = "must not be empty with `parse = \"list\"`";
                Err(SpecError::new("signature.item_separator", problem))
            }
            SignatureSpec::List { headers, item_separator } => Ok(Self::List {
                headers: header_names(headers)?,
                item_separators: item_separator.chars().collect(),
            }),
        }
    }
}

fn header_names(names: &[String]) -> Result<Vec<HeaderName>, SpecError> {
    const FIELD: &str = "signature.header";
    if names.is_empty() {
        return Err(SpecError::new(FIELD, "must name at least one header"));
    }
    names.iter().map(|name| header_name(FIELD, name)).collect()
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}
