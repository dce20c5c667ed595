//! A table of the file, read key by key.

use std::ops::Range;

use toml::de::DeTable;

use super::context::Context;
use super::diagnostic::Diagnostic;
use super::item::Item;
use super::notes::Note;
use super::suggest::{mentions_secret, suggestion};

/// One table of the file.
pub(super) struct Section<'a> {
    pub context: &'a Context<'a>,
    /// As messages call it: `server.tls`.
    name: String,
    /// Where a missing key is reported.
    pub span: Range<usize>,
    table: &'a DeTable<'a>,
    known: Vec<&'static str>,
    /// Whether keys that nobody asked for are mistakes.
    strict: bool,
}

impl<'a> Section<'a> {
    /// Reads a table with `read`, then reports the keys that `read` did not ask for.
    pub fn read<T>(
        context: &'a Context<'a>,
        name: &str,
        (table, span): (&'a DeTable<'a>, Range<usize>),
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let mut section =
            Self { context, name: name.to_owned(), span, table, known: Vec::new(), strict: true };
        section.note(Note::Read);
        let value = read(&mut section);
        if section.strict {
            section.report_other_keys();
        }
        value
    }

    /// What `read` makes of a table that is not there.
    pub fn absent<T>(context: &'a Context<'a>, read: impl FnOnce(&mut Self) -> T) -> T {
        Self::read(context, "", (&context.empty, 0..0), read)
    }

    /// Takes all other keys as they are, where nobody can say which there should be.
    pub fn ignore_other_keys(&mut self) {
        self.strict = false;
    }

    /// Whether the key is there, without looking at it.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The value of a key.
    pub fn item(&mut self, key: &'static str) -> Option<Item<'a>> {
        self.known.push(key);
        self.note(Note::Key(key));
        let node = self.table.get(key)?;
        Some(Item::new(self.context, node))
    }

    /// What `read` makes of a key's value; nothing when the key is missing or wrong.
    pub fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(Item<'a>) -> Option<T>,
    ) -> Option<T> {
        self.item(key).and_then(read)
    }

    /// As [`optional`](Self::optional), and a missing key is a mistake; `example` shows the cure.
    pub fn required<T>(
        &mut self,
        key: &'static str,
        example: &str,
        read: impl FnOnce(Item<'a>) -> Option<T>,
    ) -> Option<T> {
        self.note(Note::Required(key));
        let item = self.item(key);
        if item.is_none() {
            self.wrong(&format!("`{}` has no `{key}`", self.name), example);
        }
        item.and_then(read)
    }

    /// The one of these keys that is there; none or several are a mistake;
    /// `example` shows the cure where there is none.
    pub fn one_of(
        &mut self,
        keys: &[&'static str],
        example: &str,
    ) -> Option<(&'static str, Item<'a>)> {
        self.note(Note::OneOf(keys.to_vec()));
        let items = keys.iter().filter_map(|key| Some((*key, self.item(key)?)));
        let found: Vec<_> = items.collect();
        let (name, all) = (&self.name, keys.join("`, `"));
        match found[..] {
            [one] => return Some(one),
            [] => self.wrong(&format!("`{name}` needs one of `{all}`"), example),
            [(first, _), (_, second), ..] => {
                let message = format!("`{name}` takes only one of `{all}`, and has `{first}` too");
                second.wrong(&message, "remove one of them");
            }
        }
        None
    }

    /// What `read` makes of a table within this one. A missing or wrong one is read as empty.
    pub fn table<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Self) -> T) -> T {
        let item = self.item(key);
        let found = item.and_then(Item::table);
        let table = found.unwrap_or((&self.context.empty, self.span.clone()));
        Section::read(self.context, &self.name_of(key), table, read)
    }

    /// What `read` makes of a table within this one, if it is there.
    pub fn optional_table<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        let table = self.item(key)?.table()?;
        Section::read(self.context, &self.name_of(key), table, read)
    }

    /// Notes something about the table; of one that is not there, nothing can be said.
    pub fn note(&self, note: Note) {
        if !std::ptr::eq(self.table, &raw const self.context.empty) {
            self.context.note(self.span.clone(), note);
        }
    }

    /// As messages call a key of this table.
    fn name_of(&self, key: &str) -> String {
        match self.name.as_str() {
            "" => key.to_owned(),
            name => format!("{name}.{key}"),
        }
    }

    /// Reports a mistake of the table as a whole.
    pub fn wrong(&self, message: &str, help: &str) {
        let diagnostic = Diagnostic::error(self.span.clone(), message, help);
        self.context.report(diagnostic);
    }

    fn report_other_keys(&self) {
        for (key, value) in self.table.iter() {
            let name = key.get_ref().as_ref();
            if self.known.contains(&name) {
                continue;
            }
            let place = match self.name.as_str() {
                "" => String::new(),
                section => format!(" in `{section}`"),
            };
            let message = format!("unknown key `{name}`{place}");
            let help = suggestion(name, &self.known);
            // It may be a secret under a misspelt name.
            if mentions_secret(name) || mentions_secret(&help) {
                self.context.hide_values(value);
            }
            self.context.report(Diagnostic::error(key.span(), &message, &help));
        }
    }
}

impl<'a> Item<'a> {
    /// What `read` makes of a table; see [`Section::read`].
    pub fn section<T>(
        self,
        name: &str,
        read: impl FnOnce(&mut Section<'a>) -> Option<T>,
    ) -> Option<T> {
        Section::read(self.context, name, self.table()?, read)
    }
}
