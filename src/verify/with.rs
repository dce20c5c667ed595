//! What a source adds to its scheme: names for which a description has gaps.

use super::SpecError;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// Values by name. Some are secrets, so `Debug` shows the names alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct With(BTreeMap<String, Vec<String>>);

impl With {
    pub fn insert(&mut self, name: &str, values: Vec<String>) {
        self.0.insert(name.to_owned(), values);
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The values of that name; none if there are none.
    #[must_use]
    pub fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// The one value of that name.
    #[must_use]
    pub fn one(&self, name: &str) -> Option<&str> {
        match self.all(name) {
            [one] => Some(one),
            _ => None,
        }
    }

    /// The text with the values of the names that stand in braces in it.
    ///
    /// # Errors
    /// There is no value of that name.
    pub fn fill(&self, text: &str) -> Result<String, SpecError> {
        self.filled(text, Cow::Borrowed)
    }

    /// The same; nothing for a text with a gap that may stay open, as `{name?}`, and does.
    pub(super) fn fill_open(&self, text: &str) -> Result<Option<String>, SpecError> {
        let is_open = |gap: Gap<'_>| gap.optional && self.one(gap.name).is_none();
        if gaps(text).any(is_open) { Ok(None) } else { self.fill(text).map(Some) }
    }

    /// The texts for every value of a name that is the whole text; otherwise the text, filled.
    pub(super) fn fill_all(&self, text: &str) -> Result<Vec<String>, SpecError> {
        match gap(text) {
            Some(("", Gap { name, .. }, "")) if self.all(name).len() > 1 => {
                Ok(self.all(name).to_vec())
            }
            _ => Ok(self.fill_open(text)?.into_iter().collect()),
        }
    }

    /// The text filled as a piece of JSON. `{kid}` stays.
    pub(super) fn fill_json(&self, text: &str) -> Result<String, SpecError> {
        self.filled(text, |value| {
            let quoted = serde_json::Value::from(value).to_string();
            let inside = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            Cow::Owned(inside.unwrap_or_default().to_owned())
        })
    }

    fn filled<'a>(
        &'a self,
        text: &str,
        write: impl Fn(&'a str) -> Cow<'a, str>,
    ) -> Result<String, SpecError> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, Gap { name, .. }, after)) = gap(rest) {
            filled.push_str(before);
            match self.one(name) {
                Some(value) => filled.push_str(&write(value)),
                None if name == "kid" => filled.push_str("{kid}"),
                None => return Err(SpecError::new("with", format!("`{name}` is missing"))),
            }
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

/// A name in braces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap<'a> {
    pub name: &'a str,
    /// Whether it may stay open: `{name?}`.
    pub optional: bool,
}

/// The gaps in a text.
pub fn gaps(text: &str) -> impl Iterator<Item = Gap<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, found, after) = gap(rest)?;
        rest = after;
        Some(found)
    })
}

/// The first gap, what stands before it, and what behind it.
fn gap(text: &str) -> Option<(&str, Gap<'_>, &str)> {
    let mut from = 0;
    loop {
        let open = from + text.get(from..)?.find('{')?;
        let inside = text.get(open + 1..)?;
        let length = inside.find(|c: char| !c.is_ascii_lowercase() && c != '_')?;
        let (name, rest) = inside.split_at(length);
        let (optional, rest) = rest.strip_prefix('?').map_or((false, rest), |rest| (true, rest));
        if let Some(after) = rest.strip_prefix('}').filter(|_| !name.is_empty()) {
            return Some((text.get(..open)?, Gap { name, optional }, after));
        }
        from = open + 1;
    }
}

impl fmt::Debug for With {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &str)]) -> With {
        let mut with = With::default();
        pairs.iter().for_each(|(name, value)| with.insert(name, vec![(*value).to_owned()]));
        with
    }

    #[test]
    fn names_in_braces_are_filled_in() {
        let with = with(&[("tenant", "t-1"), ("quote", "a\"b")]);
        assert_eq!(with.fill("https://h/{tenant}/x"), Ok("https://h/t-1/x".to_owned()));
        assert_eq!(
            with.fill("{Tenant} {} {a b} {tenant"),
            Ok("{Tenant} {} {a b} {tenant".to_owned())
        );
        assert_eq!(
            with.fill_json(r#"{"a":"{quote}","k":"{kid}"}"#),
            Ok(r#"{"a":"a\"b","k":"{kid}"}"#.to_owned())
        );
        assert_eq!(with.fill("{audience}").unwrap_err().field, "with");
        let names: Vec<_> = gaps("{a}{b?} {c {?}").map(|gap| (gap.name, gap.optional)).collect();
        assert_eq!(names, [("a", false), ("b", true)]);
        assert_eq!(with.fill_open("{audience?}"), Ok(None));
        assert_eq!(with.fill_open("{tenant?}"), Ok(Some("t-1".to_owned())));
    }

    #[test]
    fn debug_shows_no_value() {
        assert_eq!(format!("{:?}", with(&[("verify_token", "hush")])), r#"{"verify_token"}"#);
    }
}
