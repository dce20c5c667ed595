//! What is collected while a file is read: every mistake, instead of the first alone.

use std::cell::RefCell;
use std::ffi::OsString;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::Diagnostic;
use super::notes::Note;

/// What reading a file needs besides its text, and what comes of it besides values.
pub(super) struct Context<'a> {
    /// The folder that relative paths start from.
    pub folder: &'a Path,
    /// Looks up an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<OsString>,
    /// What time it is, in milliseconds since 1970.
    pub now: i64,
    /// Stands in for tables that are not there.
    pub empty: DeTable<'a>,
    found: RefCell<Vec<Diagnostic>>,
    secrets: RefCell<Vec<Range<usize>>>,
    literals: RefCell<Vec<Range<usize>>>,
    files: RefCell<Vec<PathBuf>>,
    notes: RefCell<Vec<(Range<usize>, Note)>>,
}

impl<'a> Context<'a> {
    pub fn new(folder: &'a Path, env: &'a dyn Fn(&str) -> Option<OsString>, now: i64) -> Self {
        Self {
            folder,
            env,
            now,
            empty: DeTable::new(),
            found: RefCell::default(),
            secrets: RefCell::default(),
            literals: RefCell::default(),
            files: RefCell::default(),
            notes: RefCell::default(),
        }
    }

    /// What was found, the spans that no report may show, and the files of secrets.
    pub fn finish(self) -> (Vec<Diagnostic>, Vec<Range<usize>>, Vec<PathBuf>) {
        (self.found.into_inner(), self.secrets.into_inner(), self.files.into_inner())
    }

    /// Notes what the reader takes the value at that place for.
    pub fn note(&self, span: Range<usize>, note: Note) {
        self.notes.borrow_mut().push((span, note));
    }

    /// What was noted.
    pub fn notes(self) -> Vec<(Range<usize>, Note)> {
        self.notes.into_inner()
    }

    pub fn report(&self, diagnostic: Diagnostic) {
        self.found.borrow_mut().push(diagnostic);
    }

    /// Keeps these bytes of the file out of every report.
    pub fn hide(&self, span: Range<usize>) {
        self.secrets.borrow_mut().push(span);
    }

    /// Notes a secret that stands in the file itself.
    pub fn note_literal(&self, span: Range<usize>) {
        self.literals.borrow_mut().push(span);
    }

    /// Notes a file that a secret is read from.
    pub fn note_file(&self, path: &Path) {
        self.files.borrow_mut().push(path.to_owned());
    }

    /// Warns of every secret that stands in the file itself.
    pub fn warn_of_literals(&self) {
        for span in self.literals.take() {
            self.report(Diagnostic::warning(
                span,
                "a secret in the file itself, while `server.listen` is open to other machines",
                "use { env = \"NAME\" } or { file = \"path\" }",
            ));
        }
    }

    /// Keeps every plain value in `node` out of every report.
    pub fn hide_values(&self, node: &Spanned<DeValue<'_>>) {
        match node.get_ref() {
            DeValue::Array(array) => array.iter().for_each(|node| self.hide_values(node)),
            DeValue::Table(table) => table.values().for_each(|node| self.hide_values(node)),
            _ => self.hide(node.span()),
        }
    }
}
