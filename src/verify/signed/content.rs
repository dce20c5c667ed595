//! The signed text: a template, and what a request puts in its gaps.

use super::spec::{BodyTransform, UrlTransform};
use super::url;
use crate::verify::place::{Facts, Place};
use crate::verify::{Refusal, SpecError, public_url};
use flate2::Crc;
use http::HeaderName;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;

const FIELD: &str = "content";

/// A parsed template. At least one gap is filled from the request.
#[derive(Debug)]
pub(super) struct Content(Vec<Part>);

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Body(BodyTransform),
    Method,
    Secret,
    /// The public URL; the request's query follows.
    Url(String, UrlTransform),
    At(Place),
    /// The same in small letters.
    Lower(Place),
}

/// A stretch of the signed text.
pub(super) enum Piece<'a> {
    Bytes(Cow<'a, [u8]>),
    /// The key itself.
    Secret,
}

/// The text in one piece, without the secret.
pub(super) fn bare(content: &[Piece<'_>]) -> Vec<u8> {
    let pieces = content.iter().map(|piece| match piece {
        Piece::Bytes(bytes) => bytes.as_ref(),
        Piece::Secret => &[],
    });
    pieces.collect::<Vec<_>>().concat()
}

/// What a template may refer to.
pub(super) struct Terms<'a> {
    pub timestamp: Option<&'a Place>,
    pub has_fields: bool,
    pub public_url: Option<&'a str>,
    pub body: BodyTransform,
    pub url: UrlTransform,
}

impl Content {
    pub fn parse(template: &str, terms: &Terms<'_>) -> Result<Self, SpecError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = template;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            literal.push_str(before);
            if let Some(after) = brace.strip_prefix("{{").or_else(|| brace.strip_prefix("}}")) {
                literal.push_str(&brace[..1]);
                rest = after;
                continue;
            }
            let Some((term, after)) = brace.strip_prefix('{').and_then(|b| b.split_once('}'))
            else {
                return Err(SpecError::new(
                    FIELD,
                    "a brace has no partner (`{{` and `}}` stand for braces)",
                ));
            };
            flush(&mut literal, &mut parts);
            parts.push(terms.part(term)?);
            rest = after;
        }
        literal.push_str(rest);
        flush(&mut literal, &mut parts);
        if parts.iter().all(|part| matches!(part, Part::Literal(_) | Part::Secret | Part::Method)) {
            return Err(SpecError::new(
                FIELD,
                "nothing in it depends on the event; most schemes sign `{body}`",
            ));
        }
        Ok(Self(parts))
    }

    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.0.iter().filter_map(|part| match part {
            Part::At(place) | Part::Lower(place) => Some(place),
            _ => None,
        })
    }

    /// Whether the body cannot change without the text. A checksum says less: a body with the same
    /// one is soon found.
    pub fn covers_body(&self) -> bool {
        let is_covered = |part: &Part| match part {
            Part::Body(transform) => *transform != BodyTransform::Crc32Dec,
            _ => false,
        };
        self.0.iter().any(is_covered)
    }

    /// Whether the text is made of the body, in whatever way.
    pub fn reads_body(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Body(_)))
    }

    pub fn covers_url(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Url(..)))
    }

    pub fn covers_header(&self, name: &HeaderName) -> bool {
        self.places().any(|place| matches!(place, Place::Header(signed) if signed == name))
    }

    /// Whether what stands there is signed as it is: in small letters only, it is not.
    pub fn covers(&self, place: &Place) -> bool {
        let is_signed = |part: &Part| matches!(part, Part::At(signed) if signed == place);
        self.0.iter().any(is_signed) || (place.is_in_body() && self.covers_body())
    }

    /// The text as this request's sender signed it.
    pub fn fill<'a>(&'a self, facts: &Facts<'a>) -> Result<Vec<Piece<'a>>, Refusal> {
        self.0.iter().map(|part| part.fill(facts)).collect()
    }

    /// Whether the secret is part of it.
    pub fn has_secret(&self) -> bool {
        self.0.contains(&Part::Secret)
    }
}

impl Part {
    fn fill<'a>(&'a self, facts: &Facts<'a>) -> Result<Piece<'a>, Refusal> {
        let text = match self {
            Self::Secret => return Ok(Piece::Secret),
            Self::Literal(text) => Cow::Borrowed(text.as_str()),
            Self::Method => Cow::Borrowed(facts.method.as_str()),
            Self::Url(url, transform) => {
                let whole = [url, facts.head.query_suffix()].concat();
                Cow::Owned(match transform {
                    UrlTransform::None => whole,
                    UrlTransform::Hubspot => url::hubspot(&whole),
                })
            }
            Self::At(place) => facts.need(place)?,
            Self::Lower(place) => Cow::Owned(facts.need(place)?.to_ascii_lowercase()),
            Self::Body(BodyTransform::None) => return Ok(Piece::Bytes(Cow::Borrowed(facts.body))),
            Self::Body(BodyTransform::Sha256Hex) => {
                Cow::Owned(hex::encode(Sha256::digest(facts.body)))
            }
            Self::Body(BodyTransform::Crc32Dec) => {
                let mut crc = Crc::new();
                crc.update(facts.body);
                Cow::Owned(crc.sum().to_string())
            }
        };
        Ok(Piece::Bytes(match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        }))
    }
}

fn flush(literal: &mut String, parts: &mut Vec<Part>) {
    if !literal.is_empty() {
        parts.push(Part::Literal(std::mem::take(literal)));
    }
}

impl Terms<'_> {
    fn part(&self, term: &str) -> Result<Part, SpecError> {
        match term.split_once(':').map_or((term, None), |(kind, name)| (kind, Some(name))) {
            ("body", None) => Ok(Part::Body(self.body)),
            ("method", None) => Ok(Part::Method),
            ("secret", None) => Ok(Part::Secret),
            ("url", None) => {
                let url = public_url::needed(self.public_url)?;
                Ok(Part::Url(url.to_owned(), self.url))
            }
            ("timestamp", None) => match self.timestamp {
                Some(place) => Ok(Part::At(place.clone())),
                None => {
                    Err(SpecError::new(FIELD, "`{timestamp}` needs `timestamp` to say where it is"))
                }
            },
            ("header", Some(name)) => Place::header(FIELD, name).map(Part::At),
            ("query", Some(key)) => Place::query(FIELD, key).map(Part::At),
            ("query_lower", Some(key)) => Place::query(FIELD, key).map(Part::Lower),
            ("body", Some(pointer)) => Place::body(FIELD, pointer).map(Part::At),
            ("field", Some(key)) if self.has_fields => Place::field(FIELD, key).map(Part::At),
            ("field", Some(_)) => {
                Err(SpecError::new(FIELD, "`{field:…}` needs `signature.parse = \"kv\"`"))
            }
            _ => Err(SpecError::new(
                FIELD,
                format!(
                    "`{{{term}}}` is unknown; there are {{body}}, {{timestamp}}, {{url}}, {{method}}, {{secret}}, \
                     {{header:NAME}}, {{field:KEY}}, {{body:/POINTER}}, {{query:KEY}} and \
                     {{query_lower:KEY}}"
                ),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: Part = Part::Body(BodyTransform::None);

    fn parse(template: &str) -> Result<Vec<Part>, SpecError> {
        let timestamp = Place::Field("t".into());
        let terms = Terms {
            timestamp: Some(&timestamp),
            has_fields: true,
            public_url: Some("https://h/p"),
            body: BodyTransform::None,
            url: UrlTransform::None,
        };
        Content::parse(template, &terms).map(|content| content.0)
    }

    fn literal(text: &str) -> Part {
        Part::Literal(text.into())
    }

    #[test]
    fn a_template_is_literals_and_gaps() {
        let t = || Part::At(Place::Field("t".into()));
        assert_eq!(
            parse("v0:{timestamp}:{body}"),
            Ok(vec![literal("v0:"), t(), literal(":"), BODY])
        );
        assert_eq!(parse("{{{body}}}"), Ok(vec![literal("{"), BODY, literal("}")]));
        assert_eq!(
            parse("{method}{url}{secret}{field:t}{header:X-A}{query:k}{body:/a/0}"),
            Ok(vec![
                Part::Method,
                Part::Url("https://h/p".into(), UrlTransform::None),
                Part::Secret,
                t(),
                Part::At(Place::Header(HeaderName::from_static("x-a"))),
                Part::At(Place::Query("k".into())),
                Part::At(Place::body("", "/a/0").unwrap()),
            ])
        );
    }

    #[test]
    fn a_bad_template_is_refused() {
        for bad in [
            "",
            "constant",
            "{secret}",
            "{method}",
            "{",
            "}",
            "{body",
            "body}",
            "{Body}",
            "{body}{",
            "{body}}",
            "{}",
            "{header:}",
            "{header:a b}",
            "{header}",
            "{query:}",
            "{field:}",
            "{body:x}",
            "{body:}",
            "{url:x}",
            "{é}",
        ] {
            assert_eq!(parse(bad).unwrap_err().field, "content", "{bad}");
        }
    }

    #[test]
    fn a_template_refers_only_to_what_the_scheme_has() {
        let parse = |template, public_url| {
            let (body, url) = (BodyTransform::None, UrlTransform::None);
            let terms = Terms { timestamp: None, has_fields: false, public_url, body, url };
            Content::parse(template, &terms).map(drop).map_err(|error| error.field)
        };
        assert_eq!(parse("{timestamp}", None), Err("content"));
        assert_eq!(parse("{field:t}", None), Err("content"));
        assert_eq!(parse("{url}", None), Err("public_url"));
        assert_eq!(parse("{url}", Some("http://h")), Ok(()));
    }
}
