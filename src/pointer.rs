//! JSON pointers (RFC 6901), looked up in a body by one borrowing scan.

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use thiserror::Error;

#[cfg(test)]
mod tests;

/// Bodies larger than this are not read: 256 KiB.
pub const SCAN_BYTES: usize = 256 * 1024;

/// Where a value stands in a JSON document: `/entry/0/id`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pointer(Cow<'static, str>);

/// Why a text is no pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PointerError {
    #[error("a JSON pointer starts with `/`, as in `/data/type`")]
    NoSlash,
    #[error("in a JSON pointer `~` stands only as `~0` (for `~`) or `~1` (for `/`)")]
    Tilde,
}

/// Why a body could not be searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unreadable {
    #[error("the body has {bytes} bytes, more than the {SCAN_BYTES} that are read")]
    TooLarge { bytes: usize },
    #[error("the body is not JSON: line {line}, column {column}")]
    NotJson { line: usize, column: usize },
}

impl Pointer {
    /// Checks a pointer that is known only at run time.
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        match check(text) {
            Ok(()) => Ok(Self(Cow::Owned(text.to_owned()))),
            Err(error) => Err(error),
        }
    }

    /// A pointer written in the source. In a constant, a malformed one fails the build.
    ///
    /// # Panics
    /// On a malformed pointer.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        assert!(check(text).is_ok(), "malformed JSON pointer");
        Self(Cow::Borrowed(text))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Puts a text where it leads, making objects of what is none on the way.
    pub fn put(&self, body: &mut Value, text: &str) {
        let mut at = body;
        for token in self.0.split('/').skip(1) {
            if !at.is_object() {
                *at = Value::Object(Map::new());
            }
            // An object has any key that it is asked for.
            at = &mut at[token.replace("~1", "/").replace("~0", "~")];
        }
        *at = text.into();
    }

    /// If it leads through that member of the outermost object, the rest of it; `Some(None)`: it
    /// leads to the member itself.
    #[must_use]
    pub fn below_member(&self, name: &str) -> Option<Option<Self>> {
        let (token, rest) = Path { rank: 0, rest: &self.0 }.step()?;
        if !names_key(token, name) {
            return None;
        }
        Some((!rest.rest.is_empty()).then(|| Self(Cow::Owned(rest.rest.to_owned()))))
    }

    /// Whether it leads to that member of the outermost object.
    #[must_use]
    pub fn leads_to_member(&self, name: &str) -> bool {
        let token = self.0.strip_prefix('/').filter(|rest| !rest.contains('/'));
        token.is_some_and(|token| names_key(token, name))
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const fn check(text: &str) -> Result<(), PointerError> {
    let mut rest = text.as_bytes();
    let [b'/', ..] = rest else { return Err(PointerError::NoSlash) };
    while let [byte, tail @ ..] = rest {
        if *byte == b'~' && !matches!(tail, [b'0' | b'1', ..]) {
            return Err(PointerError::Tilde);
        }
        rest = tail;
    }
    Ok(())
}

/// The first of `pointers` that leads to a scalar in `body`, as its place in the list and the
/// value: a string without its quotes, a number or boolean as it is written. Null, objects and
/// arrays count as not there.
///
/// Of a key that an object repeats, the first that leads to a scalar counts. The scan ends when
/// the first pointer is found, and what follows is then not even checked to be JSON.
pub fn first<'a>(
    body: &'a [u8],
    pointers: &[&Pointer],
) -> Result<Option<(usize, Cow<'a, str>)>, Unreadable> {
    if body.len() > SCAN_BYTES {
        return Err(Unreadable::TooLarge { bytes: body.len() });
    }
    let paths = pointers.iter().enumerate().map(|(rank, p)| Path { rank, rest: p.as_str() });
    let mut best = None;
    let mut json = serde_json::Deserializer::from_slice(body);
    let node = Node { paths: paths.collect(), best: &mut best };
    let scanned = node.deserialize(&mut json).and_then(|()| json.end());
    match (scanned, best) {
        (_, Some((0, value))) => Ok(Some((0, value))),
        (Ok(()), best) => Ok(best),
        (Err(e), _) => Err(Unreadable::NotJson { line: e.line(), column: e.column() }),
    }
}

type Best<'a> = Option<(usize, Cow<'a, str>)>;

/// What is left of a pointer at some depth of the document, and its place in the list.
#[derive(Clone, Copy)]
struct Path<'p> {
    rank: usize,
    rest: &'p str,
}

impl<'p> Path<'p> {
    /// The next token and the path behind it; `None` at the end of the path.
    fn step(self) -> Option<(&'p str, Self)> {
        let rest = self.rest.strip_prefix('/')?;
        let end = rest.find('/').unwrap_or(rest.len());
        let (token, rest) = rest.split_at(end);
        Some((token, Self { rest, ..self }))
    }
}

fn names_key(token: &str, key: &str) -> bool {
    // An escaped token is longer than its key.
    match token.len().cmp(&key.len()) {
        Ordering::Less => false,
        Ordering::Equal => token == key && !token.contains('~'),
        Ordering::Greater => {
            token.contains('~') && token.replace("~1", "/").replace("~0", "~") == key
        }
    }
}

fn names_index(token: &str, index: usize) -> bool {
    let canonical = token == "0" || !token.starts_with(['0', '+']);
    canonical && token.parse() == Ok(index)
}

/// One value of the document that `paths` lead to or through.
struct Node<'p, 'b, 'a> {
    paths: Vec<Path<'p>>,
    best: &'b mut Best<'a>,
}

/// The next tokens of a value's paths, and the paths behind them.
type Steps<'p> = Vec<(&'p str, Path<'p>)>;

impl<'p, 'a> Node<'p, '_, 'a> {
    fn steps(&self) -> Steps<'p> {
        self.paths.iter().filter_map(|path| path.step()).collect()
    }

    /// The paths that go on through the child which `is_child` recognises by its token, without
    /// those that could no longer better the result.
    fn through(&self, steps: &Steps<'p>, is_child: impl Fn(&str) -> bool) -> Vec<Path<'p>> {
        let bound = self.best.as_ref().map_or(usize::MAX, |(rank, _)| *rank);
        let open = steps.iter().filter(|(_, path)| path.rank < bound);
        open.filter(|(token, _)| is_child(token)).map(|(_, path)| *path).collect()
    }

    fn child(&mut self, paths: Vec<Path<'p>>) -> Node<'p, '_, 'a> {
        Node { paths, best: &mut *self.best }
    }

    /// A path ends here. The raw text keeps numbers exactly as they are written.
    fn end<E: serde::de::Error>(mut self, rank: usize, raw: &'a str) -> Result<(), E> {
        match raw.as_bytes().first() {
            Some(b'{' | b'[') => {
                self.paths.retain(|path| !path.rest.is_empty());
                return self
                    .deserialize(&mut serde_json::Deserializer::from_str(raw))
                    .map_err(E::custom);
            }
            Some(b'n') => return Ok(()),
            _ => *self.best = Some((rank, scalar(raw).map_err(E::custom)?)),
        }
        if rank == 0 { Err(E::custom("found")) } else { Ok(()) }
    }
}

fn scalar(raw: &str) -> serde_json::Result<Cow<'_, str>> {
    match raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(text) if !text.contains('\\') => Ok(Cow::Borrowed(text)),
        Some(_) => serde_json::from_str(raw).map(Cow::Owned),
        None => Ok(Cow::Borrowed(raw)),
    }
}

impl<'a> DeserializeSeed<'a> for Node<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        let ending = self.paths.iter().filter(|path| path.rest.is_empty());
        if let Some(rank) = ending.map(|path| path.rank).min() {
            let raw = <&RawValue>::deserialize(deserializer)?;
            self.end(rank, raw.get())
        } else if self.paths.is_empty() {
            deserializer.deserialize_ignored_any(IgnoredAny).map(drop)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'a> Visitor<'a> for Node<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<(), A::Error> {
        let steps = self.steps();
        while let Some(paths) = map.next_key_seed(Key(&self, &steps))? {
            map.next_value_seed(self.child(paths))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let steps = self.steps();
        for index in 0.. {
            let paths = self.through(&steps, |token| names_index(token, index));
            if seq.next_element_seed(self.child(paths))?.is_none() {
                break;
            }
        }
        Ok(())
    }

    // A path goes on below a scalar: it is not there.
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Reads an object's key as the paths that go through its member.
struct Key<'n, 'p, 'b, 'a>(&'n Node<'p, 'b, 'a>, &'n Steps<'p>);

impl<'p, 'a> DeserializeSeed<'a> for Key<'_, 'p, '_, 'a> {
    type Value = Vec<Path<'p>>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'p> Visitor<'_> for Key<'_, 'p, '_, '_> {
    type Value = Vec<Path<'p>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.through(self.1, |token| names_key(token, key)))
    }
}
