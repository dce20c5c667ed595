//! From text to an expression whose cost is bounded.

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SourceInfo};
use cel::{IdedExpr, ParseErrors};
use regex::RegexBuilder;
use thiserror::Error;

use super::{ENV, bounds};

/// Bytes of an expression at the most: 1 KiB. It bounds how deep one can be nested, and with it
/// the stack of who reads and evaluates it.
pub const EXPRESSION_BYTES: usize = 1024;

/// Bytes of a compiled pattern at the most: 128 KiB. It is compiled anew for every event.
const PATTERN_BYTES: usize = 128 << 10;

/// What an expression may name.
pub const VARIABLES: &[&str] = &["source", "type", "id", "headers", "body"];

/// What an expression may call, besides operators and macros.
pub const FUNCTIONS: &[&str] = &[
    "bool",
    "bytes",
    "contains",
    "double",
    "dyn",
    "endsWith",
    "int",
    "matches",
    "size",
    "startsWith",
    "string",
    "type",
    "uint",
];

/// The names of types, to compare with what `type()` gives.
const TYPES: &[&str] =
    &["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "uint"];

/// An expression that is no condition.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{mistake}")]
pub struct BadCondition {
    /// What is wrong.
    pub mistake: Mistake,
    /// The byte of the expression where it is.
    pub at: usize,
}

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Mistake {
    #[error("the expression has {0} bytes, more than the {EXPRESSION_BYTES} that are allowed")]
    TooLong(usize),
    #[error("not a CEL expression: {0}")]
    Syntax(String),
    #[error("there is no variable `{0}`")]
    Variable(String),
    #[error("there is no function `{0}` that can be called like this")]
    Function(String),
    #[error("there is no type `{0}` to make a value of")]
    Type(String),
    #[error("a macro within a macro: its cost would not be bounded")]
    Nested,
    #[error("`matches` within a macro: it would compile its pattern for every item")]
    MatchesInMacro,
    #[error("the pattern of `matches` has to stand in the expression itself, in quotes")]
    PatternFromEvent,
    #[error("`{0}` is no pattern, or one that is too large")]
    Pattern(String),
}

pub(super) fn compile(text: &str) -> Result<IdedExpr, BadCondition> {
    if text.len() > EXPRESSION_BYTES {
        return Err(BadCondition { mistake: Mistake::TooLong(text.len()), at: 0 });
    }
    let (mut expression, places) =
        ENV.parser().parse_with_source_info(text).map_err(|errors| syntax(text, &errors))?;
    let mut reader = Reader { text, places: &places, item: None, beyond: false };
    reader.expression(&mut expression)?;
    Ok(expression)
}

/// The first thing that the parser did not understand. It also lists every token that could stand
/// there instead, which helps nobody.
fn syntax(text: &str, errors: &ParseErrors) -> BadCondition {
    let first = errors.errors.first();
    let said = first.map_or("", |error| error.msg.trim_start_matches("Syntax error: "));
    let said = match said.split(" expecting ").next().unwrap_or_default() {
        "mismatched input '<EOF>'" => "it ends too early",
        deep if deep.contains("Recursion limit") => "it is nested too deeply",
        said => said,
    };
    let (line, column) = first.map_or((1, 1), |error| error.pos);
    BadCondition { mistake: Mistake::Syntax(said.to_owned()), at: byte_at(text, line, column) }
}

/// The byte at a line and column, both from 1; the text's end if there is no such place.
fn byte_at(text: &str, line: isize, column: isize) -> usize {
    let before = |count: isize| usize::try_from(count.saturating_sub(1)).unwrap_or_default();
    let lines = text.split_inclusive('\n');
    let start: usize = lines.take(before(line)).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    start + rest.char_indices().nth(before(column)).map_or(rest.len(), |(at, _)| at)
}

/// Walks an expression, refuses what it may not say, and bounds its macros.
struct Reader<'t> {
    text: &'t str,
    places: &'t SourceInfo,
    /// The variable of the macro that is being read.
    item: Option<String>,
    /// Whether that macro names anything else.
    beyond: bool,
}

impl Reader<'_> {
    fn expression(&mut self, node: &mut IdedExpr) -> Result<(), BadCondition> {
        let id = node.id;
        match &mut node.expr {
            Expr::Unspecified => Err(self.wrong(id, Mistake::Syntax("it is incomplete".into()))),
            Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.variable(id, name),
            Expr::Select(select) => self.expression(&mut select.operand),
            Expr::List(list) => self.all(&mut list.elements),
            Expr::Map(map) => map.entries.iter_mut().try_for_each(|entry| match &mut entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.expression(&mut entry.key)?;
                    self.expression(&mut entry.value)
                }
                EntryExpr::StructField(field) => self.expression(&mut field.value),
            }),
            Expr::Struct(made) => Err(self.wrong(id, Mistake::Type(made.type_name.clone()))),
            Expr::Call(call) => self.call(id, call),
            Expr::Comprehension(comprehension) => self.comprehension(id, comprehension),
        }
    }

    fn all(&mut self, nodes: &mut [IdedExpr]) -> Result<(), BadCondition> {
        nodes.iter_mut().try_for_each(|node| self.expression(node))
    }

    fn variable(&mut self, id: u64, name: &str) -> Result<(), BadCondition> {
        let is_macros = name.starts_with('@');
        if is_macros || self.item.as_deref() == Some(name) {
            return Ok(());
        }
        if VARIABLES.contains(&name) {
            self.beyond = true;
            return Ok(());
        }
        if TYPES.contains(&name) {
            return Ok(());
        }
        Err(self.wrong(id, Mistake::Variable(name.to_owned())))
    }

    fn call(&mut self, id: u64, call: &mut CallExpr) -> Result<(), BadCondition> {
        let name = call.func_name.as_str();
        if !is_operator(name) && !FUNCTIONS.contains(&name) {
            return Err(self.wrong(id, Mistake::Function(name.to_owned())));
        }
        if name == "matches" {
            self.pattern(id, call)?;
        }
        if let Some(target) = &mut call.target {
            self.expression(target)?;
        }
        self.all(&mut call.args)
    }

    fn pattern(&self, id: u64, call: &CallExpr) -> Result<(), BadCondition> {
        if self.item.is_some() {
            return Err(self.wrong(id, Mistake::MatchesInMacro));
        }
        let Some(IdedExpr { id, expr: Expr::Literal(LiteralValue::String(pattern)) }) =
            call.args.last()
        else {
            return Err(self.wrong(id, Mistake::PatternFromEvent));
        };
        match RegexBuilder::new(pattern.inner()).size_limit(PATTERN_BYTES).build() {
            Ok(_) => Ok(()),
            Err(_) => Err(self.wrong(*id, Mistake::Pattern(pattern.inner().to_owned()))),
        }
    }

    /// What a macro has become: a loop over the items of a range.
    fn comprehension(
        &mut self,
        id: u64,
        comprehension: &mut ComprehensionExpr,
    ) -> Result<(), BadCondition> {
        if self.item.is_some() {
            return Err(self.wrong(id, Mistake::Nested));
        }
        self.expression(&mut comprehension.iter_range)?;
        self.item = Some(comprehension.iter_var.clone());
        self.beyond = false;
        self.expression(&mut comprehension.loop_step)?;
        self.item = None;
        bounds::bound(&mut comprehension.iter_range, self.beyond);
        Ok(())
    }

    fn wrong(&self, id: u64, mistake: Mistake) -> BadCondition {
        let (start, _) = self.places.offset_for(id).unwrap_or_default();
        let at = self.text.floor_char_boundary(usize::try_from(start).unwrap_or_default());
        let (before, after) = self.text.split_at(at);
        // Of a call the parser keeps the place of its parenthesis.
        let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let at = if after.starts_with('(') { before.trim_end_matches(name).len() } else { at };
        BadCondition { mistake, at }
    }
}

/// Whether a call is one of an operator, `_&&_` or `@in`: an expression can name none.
fn is_operator(name: &str) -> bool {
    name.starts_with(['_', '-', '!', '@'])
        && name.contains(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}
