//! What the reader takes values for, noted while it reads: the schema is made of it, so that the
//! two cannot drift apart.

use serde_json::Value;

/// A note about the value, or the table, at a place of the file.
#[derive(Debug, Clone)]
pub(super) enum Note {
    /// The table was asked for this key.
    Key(&'static str),
    /// The table must have this key.
    Required(&'static str),
    /// The table must have exactly one of these keys.
    OneOf(Vec<&'static str>),
    /// What is said of a quantity that is a key of the table.
    Quantity {
        /// The key.
        key: &'static str,
        /// What it is when it is not there, as the file would say it.
        default: Value,
        /// The least and the most.
        limits: String,
    },
    /// The table was read.
    Read,
    /// The value may be that.
    Shape(Shape),
}

/// What a value may be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shape {
    /// Any string.
    Text,
    /// A string of this kind.
    Described(String),
    /// One of these strings.
    Choice(Vec<String>),
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Whole,
    /// A string as in these examples.
    Quantity {
        /// What it is called.
        noun: &'static str,
        /// How it is written.
        examples: &'static str,
        /// Whether it may also be a whole number.
        or_whole: bool,
    },
    /// A point in time.
    DateTime,
    /// A table with keys of the reader's choice.
    Table,
    /// A table with keys of the user's choice.
    Entries,
    /// A list.
    List,
}
