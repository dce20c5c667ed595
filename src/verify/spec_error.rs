//! What is wrong with the description of a scheme.

use thiserror::Error;

/// Names the field, as it is called in `router.toml`, and what it may hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {problem}")]
pub struct SpecError {
    /// The path of the key inside the scheme's table: `signature.header`. `public_url` alone
    /// stands beside that table.
    pub field: &'static str,
    pub problem: String,
}

impl SpecError {
    pub(super) fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}
