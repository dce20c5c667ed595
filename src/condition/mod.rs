//! Conditions of routes, in CEL (<https://cel.dev>): what they may say, and whether they hold for
//! an event.
//!
//! What an evaluation costs is bounded: the body is, the expression is, and with it its depth, and
//! so is how many items a macro walks.

mod bounds;
mod compile;
mod facts;
mod value;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use cel::{Context, Env, ExecutionError, IdedExpr, Value};
use thiserror::Error;

use crate::pointer::Unreadable;
use crate::text::{head, printable};

pub use compile::{BadCondition, EXPRESSION_BYTES, FUNCTIONS, Mistake, VARIABLES};
pub use facts::Facts;

/// So much of a name from an event is repeated in a failure's text, in bytes.
const NAME_BYTES: usize = 100;

/// The functions and macros of conditions: those of CEL's standard, without optional values.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib().with_optional_support(false);
    bounds::declare(&mut env);
    Arc::new(env)
});

/// An expression that holds for an event, or does not.
#[derive(Debug, Clone)]
pub struct Condition {
    text: Arc<str>,
    expression: IdedExpr,
}

/// Why nobody can say whether a condition holds.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Failure {
    /// It asks about the body.
    #[error(transparent)]
    Body(#[from] Unreadable),
    /// It asks for what is not there, or of another type. Holds no value of the event.
    #[error("{0}")]
    Value(Cow<'static, str>),
}

impl Condition {
    /// Reads and checks an expression.
    ///
    /// # Errors
    /// It is not CEL, names what there is not, or could cost more than an event may.
    pub fn parse(text: &str) -> Result<Self, BadCondition> {
        Ok(Self { text: text.into(), expression: compile::compile(text)? })
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it holds for an event.
    ///
    /// # Errors
    /// It cannot be said.
    pub fn holds(&self, facts: &Facts<'_>) -> Result<bool, Failure> {
        let mut context = Context::with_env(ENV.clone());
        context.set_variable_resolver(facts);
        match Value::resolve(&self.expression, &context) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(other) => Err(Failure::Value(
                format!("the result is no bool, but {}", other.type_of()).into(),
            )),
            Err(error) => Err(facts.unreadable().unwrap_or_else(|| reason(&error))),
        }
    }
}

/// A failure in words that repeat no value of the event.
fn reason(error: &ExecutionError) -> Failure {
    Failure::Value(match error {
        ExecutionError::NoSuchKey(name) => {
            format!("there is no `{}`", printable(head(name, NAME_BYTES))).into()
        }
        ExecutionError::NoSuchOverload(overload) => overload.to_string().into(),
        ExecutionError::UnexpectedType { got, want } => {
            format!("expected {want}, found {got}").into()
        }
        ExecutionError::ValuesNotComparable(one, other)
        | ExecutionError::UnsupportedBinaryOperator(_, one, other) => {
            format!("{} and {} do not go together", one.type_of(), other.type_of()).into()
        }
        ExecutionError::FunctionError { function, .. } if function == bounds::WITHIN => {
            "a macro would walk too many items".into()
        }
        ExecutionError::FunctionError { function, .. } => format!("`{function}` failed").into(),
        ExecutionError::IndexOutOfBounds(_) => "the list is shorter than that".into(),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".into()
        }
        ExecutionError::Overflow(..) => "a number is too large".into(),
        _ => "the values do not allow it".into(),
    })
}
