//! One value of the file, read as what its key needs. Every method reports what is wrong with the
//! value and then returns nothing.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use crate::network::{self, NetworkError, Networks};
use crate::pointer::Pointer;
use crate::quota::Quota;

use super::context::Context;
use super::diagnostic::Diagnostic;
use super::notes::{Note, Shape};
use super::suggest::suggestion;
use super::units::{self, UnitError};

const DURATION: Form = Form {
    noun: "duration",
    examples: r#"write "250ms", "5s", "2m", "1h" or "7d", or whole seconds without quotes"#,
};
const SIZE: Form = Form {
    noun: "size",
    examples: r#"write "512B", "64KiB", "25MiB" or "1GiB", or whole bytes without quotes"#,
};
const RATE: Form = Form { noun: "rate", examples: r#"write "512B/s", "4KiB/s" or "1MiB/s""# };
const QUOTA: Form = Form { noun: "quota", examples: r#"write "200/s", "1000/m" or "50/h""# };
const COUNT: Form = Form { noun: "count", examples: "write a whole number" };
const NETWORK: &str = r#"write "192.30.252.0/22", "2001:db8::/32", or a single address"#;
const DATE_TIME: &str = r#"a date and time with an offset ("2027-01-01T00:00:00Z")"#;

/// How a kind of quantity is called and written.
struct Form {
    noun: &'static str,
    examples: &'static str,
}

impl Form {
    fn shape(&self, or_whole: bool) -> Shape {
        Shape::Quantity { noun: self.noun, examples: self.examples, or_whole }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub context: &'a Context<'a>,
    node: &'a Spanned<DeValue<'a>>,
}

/// A value under a name of the user's own.
pub(super) struct Entry<'a> {
    pub name: &'a str,
    pub name_span: Range<usize>,
    pub item: Item<'a>,
}

impl<'a> Item<'a> {
    pub fn new(context: &'a Context<'a>, node: &'a Spanned<DeValue<'a>>) -> Self {
        Self { context, node }
    }

    pub fn span(self) -> Range<usize> {
        self.node.span()
    }

    pub fn value(self) -> &'a DeValue<'a> {
        self.node.get_ref()
    }

    /// Reports a mistake: what was found, and what is allowed.
    pub fn wrong(self, message: &str, help: &str) {
        let diagnostic = Diagnostic::error(self.span(), message, help);
        self.context.report(diagnostic);
    }

    /// Reports a mistake at a byte of a string, or of all of it where the string's text is not
    /// as it stands in the file.
    pub fn wrong_in(self, at: usize, message: &str, help: &str) {
        let text = self.value().as_str().unwrap_or_default();
        let Range { start, end } = self.span();
        let is_plain = end - start == text.len() + "''".len();
        let letter = text.get(at..).and_then(|rest| rest.chars().next());
        let span = match letter {
            _ if !is_plain => start..end,
            Some(letter) => start + 1 + at..start + 1 + at + letter.len_utf8(),
            None => end - 1..end,
        };
        self.context.report(Diagnostic::error(span, message, help));
    }

    /// Reports that the value is of a wrong type. Says nothing of the value itself.
    pub fn mismatch(self, expected: &str) {
        let found = match self.value() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date-time",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        self.wrong(&format!("expected {expected}, found {found}"), "");
    }

    /// Notes what the value may be.
    pub fn may_be(self, shape: Shape) {
        self.context.note(self.span(), Note::Shape(shape));
    }

    /// Keeps the value out of every report.
    pub fn hide(self) {
        self.context.hide_values(self.node);
    }

    pub fn text(self) -> Option<&'a str> {
        self.may_be(Shape::Text);
        self.string()
    }

    fn string(self) -> Option<&'a str> {
        let text = self.value().as_str();
        if text.is_none() {
            self.mismatch("a string");
        }
        text
    }

    /// A string that `parse` understands; `what` it has to be is said otherwise.
    pub fn parsed<T>(self, what: &str, parse: impl FnOnce(&'a str) -> Option<T>) -> Option<T> {
        self.may_be(Shape::Described(what.to_owned()));
        let text = self.string()?;
        let value = parse(text);
        if value.is_none() {
            let found = if text.is_empty() { "nothing" } else { &format!("`{text}`") };
            self.wrong(&format!("expected {what}, found {found}"), "");
        }
        value
    }

    /// A string, or several.
    pub fn texts(self) -> Option<Vec<&'a str>> {
        let texts: Vec<_> = self.one_or_more().into_iter().map(Self::text).collect();
        texts.into_iter().collect()
    }

    /// A string of its own.
    pub fn owned(self) -> Option<String> {
        self.text().map(str::to_owned)
    }

    /// A string, or several, of their own.
    pub fn owned_texts(self) -> Option<Vec<String>> {
        Some(self.texts()?.into_iter().map(str::to_owned).collect())
    }

    /// A path, from the folder of the file if it is relative.
    pub fn path(self) -> Option<PathBuf> {
        let path = self.parsed("a path", |text| (!text.is_empty()).then_some(text))?;
        Some(self.context.folder.join(path))
    }

    pub fn pointer(self) -> Option<Pointer> {
        let text = self.text()?;
        let pointer = Pointer::parse(text);
        if let Err(error) = &pointer {
            self.wrong(&format!("`{text}` is no JSON pointer"), &format!("{error}"));
        }
        pointer.ok()
    }

    pub fn boolean(self) -> Option<bool> {
        self.may_be(Shape::Boolean);
        let value = self.value().as_bool();
        if value.is_none() {
            self.mismatch("`true` or `false`");
        }
        value
    }

    pub fn integer(self) -> Option<u32> {
        self.may_be(Shape::Whole);
        let DeValue::Integer(integer) = self.value() else {
            self.mismatch("a whole number");
            return None;
        };
        self.whole(integer, &COUNT)
    }

    pub fn duration(self) -> Option<Duration> {
        self.may_be(DURATION.shape(true));
        match self.value() {
            DeValue::Integer(seconds) => self.whole(seconds, &DURATION).map(Duration::from_secs),
            _ => self.quantity(&DURATION, units::duration),
        }
    }

    /// In bytes.
    pub fn size(self) -> Option<u64> {
        self.may_be(SIZE.shape(true));
        match self.value() {
            DeValue::Integer(bytes) => self.whole(bytes, &SIZE),
            _ => self.quantity(&SIZE, units::size),
        }
    }

    /// In bytes a second.
    pub fn rate(self) -> Option<u64> {
        self.may_be(RATE.shape(false));
        self.quantity(&RATE, units::rate)
    }

    /// So many in a second, a minute or an hour.
    pub fn quota(self) -> Option<Quota> {
        self.may_be(QUOTA.shape(false));
        self.quantity(&QUOTA, units::quota)
    }

    /// A list of networks, or of single addresses.
    pub fn networks(self) -> Option<Networks> {
        let networks: Vec<_> = self.list()?.into_iter().map(Self::network).collect();
        networks.into_iter().collect()
    }

    fn network(self) -> Option<IpNet> {
        let text = self.text()?;
        let help = |error: &_| match error {
            NetworkError::Unreadable => NETWORK.to_owned(),
            NetworkError::Inside(network) => format!(r#"write "{network}" for all of it"#),
        };
        let report = |error: &_| self.wrong(&format!("`{text}` {error}"), &help(error));
        network::parse(text).inspect_err(report).ok()
    }

    pub fn date_time(self) -> Option<Timestamp> {
        self.may_be(Shape::DateTime);
        match self.value() {
            DeValue::Datetime(date_time) => {
                let text = date_time.to_string();
                let value = text.parse().ok();
                if value.is_none() {
                    self.wrong(&format!("expected {DATE_TIME}, found `{text}`"), "");
                }
                value
            }
            DeValue::String(_) => self.parsed(DATE_TIME, |text| text.parse().ok()),
            _ => {
                self.mismatch(DATE_TIME);
                None
            }
        }
    }

    /// One of a few names; `what` says of what.
    pub fn choice<T>(
        self,
        what: &str,
        names: &[&str],
        from_name: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.may_be(Shape::Choice(names.iter().map(|name| (*name).to_owned()).collect()));
        let text = self.string()?;
        let chosen = from_name(text);
        if chosen.is_none() {
            self.wrong(&format!("unknown {what} `{text}`"), &suggestion(text, names));
        }
        chosen
    }

    pub fn list(self) -> Option<Vec<Item<'a>>> {
        self.may_be(Shape::List);
        let Some(array) = self.value().as_array() else {
            self.mismatch("an array");
            return None;
        };
        let items = array.iter().map(|node| Self::new(self.context, node));
        Some(items.collect())
    }

    /// The items of an array, or the value alone if it is none.
    pub fn one_or_more(self) -> Vec<Item<'a>> {
        self.may_be(Shape::List);
        match self.value() {
            DeValue::Array(array) => {
                let items = array.iter().map(|node| Self::new(self.context, node));
                items.collect()
            }
            _ => vec![self],
        }
    }

    /// A table and where it stands.
    pub fn table(self) -> Option<(&'a DeTable<'a>, Range<usize>)> {
        self.may_be(Shape::Table);
        self.keys()
    }

    fn keys(self) -> Option<(&'a DeTable<'a>, Range<usize>)> {
        let table = self.value().as_table();
        if table.is_none() {
            self.mismatch("a table");
            // Whatever it is instead may be a secret in the wrong place.
            self.hide();
        }
        table.map(|table| (table, self.span()))
    }

    /// The value at a dotted path below this one, or the nearest there is to it.
    pub fn find(self, path: &str) -> Self {
        let below = |item: Self, key| Some(Self { node: item.value().get(key)?, ..item });
        path.split('.').fold(self, |item, key| below(item, key).unwrap_or(item))
    }

    /// What is in a table whose keys are names of the user's own, in file order.
    pub fn entries(self) -> Option<Vec<Entry<'a>>> {
        self.may_be(Shape::Entries);
        let (table, _) = self.keys()?;
        let mut entries: Vec<_> = table
            .iter()
            .map(|(key, node)| Entry {
                name: key.get_ref(),
                name_span: key.span(),
                item: Self::new(self.context, node),
            })
            .collect();
        entries.sort_by_key(|entry| entry.name_span.start);
        Some(entries)
    }

    fn quantity<T>(
        self,
        form: &Form,
        parse: impl FnOnce(&str) -> Result<T, UnitError>,
    ) -> Option<T> {
        let Some(text) = self.value().as_str() else {
            self.mismatch(&format!("a {}", form.noun));
            return None;
        };
        let report = |error: &_| {
            self.wrong(&format!("`{text}` is no {}: {error}", form.noun), form.examples);
        };
        parse(text).inspect_err(report).ok()
    }

    fn whole<T: TryFrom<i128>>(self, integer: &DeInteger<'_>, form: &Form) -> Option<T> {
        let value = i128::from_str_radix(integer.as_str(), integer.radix()).ok();
        let value = value.and_then(|value| T::try_from(value).ok());
        if value.is_none() {
            self.wrong(&format!("`{integer}` is no {}", form.noun), form.examples);
        }
        value
    }
}
