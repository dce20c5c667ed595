//! What is wrong with `router.toml`, and how it is shown.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

/// Whether the file can be used all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, and somebody should have a look at it.
    Warning,
}

/// One finding: what was found, where, and what is allowed.
///
/// Its texts never hold a secret, and hold no control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// Bytes of the file; `None` when it is about the file as a whole.
    pub span: Option<Range<usize>>,
    pub message: String,
    /// What is allowed.
    pub help: Option<String>,
    /// A second place that explains the first, and why.
    pub related: Option<(Range<usize>, String)>,
}

impl Diagnostic {
    pub(super) fn error(span: Range<usize>, message: &str, help: &str) -> Self {
        Self::new(Severity::Error, Some(span), message, help)
    }

    pub(super) fn warning(span: Range<usize>, message: &str, help: &str) -> Self {
        Self::new(Severity::Warning, Some(span), message, help)
    }

    pub(super) fn related(mut self, span: Range<usize>, label: &str) -> Self {
        self.related = Some((span, visible(label)));
        self
    }

    fn new(severity: Severity, span: Option<Range<usize>>, message: &str, help: &str) -> Self {
        Self {
            severity,
            span,
            message: visible(message),
            help: (!help.is_empty()).then(|| visible(help)),
            related: None,
        }
    }
}

/// Everything found in one file, in file order.
#[derive(Clone)]
pub struct Diagnostics {
    path: PathBuf,
    secret_files: Vec<PathBuf>,
    /// The file with its secrets blanked out.
    text: String,
    found: Vec<Diagnostic>,
}

impl Diagnostics {
    /// `secrets` are the spans of `text` that no report may show.
    pub(super) fn new(
        path: &Path,
        text: &str,
        secrets: &[Range<usize>],
        mut found: Vec<Diagnostic>,
    ) -> Self {
        found.sort_by_key(|diagnostic| diagnostic.span.as_ref().map(|span| span.start));
        let (path, secret_files) = (path.to_owned(), Vec::new());
        Self { path, secret_files, text: blank(text, secrets), found }
    }

    /// With the files that its secrets come from.
    pub(super) fn with_secret_files(self, secret_files: Vec<PathBuf>) -> Self {
        Self { secret_files, ..self }
    }

    /// The files that were read, or should have been: router.toml, then those of its secrets.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(&self.path).chain(&self.secret_files).map(PathBuf::as_path)
    }

    /// One finding about a file as a whole, without its text.
    pub fn about(path: &Path, severity: Severity, message: &str, help: &str) -> Self {
        let diagnostic = Diagnostic::new(severity, None, message, help);
        Self::new(path, "", &[], vec![diagnostic])
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The line and the column, in characters, at which a finding begins; both count from 1.
    pub fn place(&self, diagnostic: &Diagnostic) -> Option<(usize, usize)> {
        let before = self.text.get(..diagnostic.span.as_ref()?.start)?;
        let line = before.rsplit('\n').next().unwrap_or(before);
        Some((before.matches('\n').count() + 1, line.chars().count() + 1))
    }

    /// Whether anything found is an error, not just a warning.
    pub fn has_errors(&self) -> bool {
        self.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// The findings in file order.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.found.iter()
    }

    /// The report as people read it: file, line, column, the line itself and a caret under it.
    ///
    /// `color` is for terminals; without it the report is plain text.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let mut report = String::new();
        for diagnostic in &self.found {
            report.push_str(&renderer.render(&[self.group(diagnostic)]));
            report.push_str("\n\n");
        }
        report.truncate(report.trim_end().len());
        report
    }

    /// The findings of one severity, each on one line: file, line, column, what and help.
    pub fn lines(&self, severity: Severity) -> Vec<String> {
        let these = self.iter().filter(|found| found.severity == severity);
        these.map(|found| self.line(found)).collect()
    }

    fn line(&self, found: &Diagnostic) -> String {
        let mut line = visible(&self.path.to_string_lossy());
        if let Some((row, column)) = self.place(found) {
            line.push_str(&format!(":{row}:{column}"));
        }
        let help = found.help.iter().map(|help| format!(" ({help})"));
        [format!("{line}: {}", found.message)].into_iter().chain(help).collect()
    }

    fn group<'a>(&'a self, diagnostic: &'a Diagnostic) -> Group<'a> {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(&diagnostic.message);
        let path = visible(&self.path.to_string_lossy());
        let group = match &diagnostic.span {
            None => title.element(Origin::path(path)),
            Some(span) => {
                let primary = AnnotationKind::Primary.span(self.first_line(span));
                let related = diagnostic.related.as_ref().map(|(span, label)| {
                    AnnotationKind::Context.span(self.first_line(span)).label(label)
                });
                title.element(
                    Snippet::source(&self.text).path(path).annotation(primary).annotations(related),
                )
            }
        };
        group.elements(diagnostic.help.as_deref().map(|help| Level::HELP.message(help)))
    }

    /// A value of many lines is marked on its first.
    fn first_line(&self, span: &Range<usize>) -> Range<usize> {
        let marked = self.text.get(span.clone()).unwrap_or_default();
        let line = marked.lines().next().unwrap_or_default();
        span.start..span.start + line.len()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.found).finish()
    }
}

impl std::error::Error for Diagnostics {}

/// The text with secrets, and control characters that a terminal would obey, blanked out byte for
/// byte, so that spans still hold.
fn blank(text: &str, secrets: &[Range<usize>]) -> String {
    let mut shown = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let secret = secrets.iter().any(|span| span.contains(&at));
        match c {
            '\n' | '\r' | '\t' => shown.push(c),
            _ if secret => shown.extend(std::iter::repeat_n('*', c.len_utf8())),
            _ if is_control(c) => shown.extend(std::iter::repeat_n('?', c.len_utf8())),
            _ => shown.push(c),
        }
    }
    shown
}

/// The text with control characters written out, as `\u{1b}`.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_control(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Control characters, and those that change the direction of text.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
