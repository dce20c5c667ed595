//! What is known of the file's values: a tree that grows with what the reader notes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::notes::{Note, Shape};

/// A step from a value to one within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// To the value of a key.
    Key(&'static str),
    /// To an item of a list, or an entry of a table whose keys are the user's.
    Inner,
    /// To the choice among keys of which there must be one.
    OneOf(usize),
}

/// A value's place in the file.
pub type Path = Vec<Step>;

/// What is known of a value.
#[derive(Debug, Default)]
pub struct Node {
    /// What it may be.
    pub shapes: BTreeSet<Shape>,
    /// Its keys, where it is a table of the reader's.
    pub keys: BTreeMap<&'static str, Node>,
    /// Its default and limits, where it is a quantity.
    pub quantity: Option<(Value, String)>,
    /// What is in it, where it is a list or a table of the user's.
    pub inner: Option<Box<Node>>,
    /// Groups of keys of which there must be one, and how often the reader said so.
    groups: BTreeMap<Vec<&'static str>, usize>,
    required: BTreeMap<&'static str, usize>,
    /// How often it was read as a table of the reader's.
    reads: usize,
}

/// A way to write a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way<'a> {
    /// Nobody knows yet what it is.
    Unknown,
    /// This string.
    Word(&'a str),
    /// An example of that shape.
    Example(&'a Shape),
}

impl Node {
    /// The ways to write it.
    pub fn ways(&self) -> Vec<Way<'_>> {
        let ways: Vec<Way<'_>> = self
            .shapes
            .iter()
            .flat_map(|shape| match shape {
                Shape::Choice(names) => names.iter().map(|name| Way::Word(name)).collect(),
                other => vec![Way::Example(other)],
            })
            .collect();
        if ways.is_empty() { vec![Way::Unknown] } else { ways }
    }

    /// The groups of keys of which there must be one.
    pub fn groups(&self) -> Vec<&[&'static str]> {
        self.groups.keys().map(Vec::as_slice).collect()
    }

    /// The groups that the reader asked for whatever else the table said.
    pub fn lasting_groups(&self) -> impl Iterator<Item = &[&'static str]> {
        let lasting = self.groups.iter().filter(|(_, count)| **count == self.reads);
        lasting.map(|(group, _)| group.as_slice())
    }

    /// The keys that were missed whatever else the table said.
    pub fn required(&self) -> Vec<&'static str> {
        let lasting = self.required.iter().filter(|(_, count)| **count == self.reads);
        lasting.map(|(key, _)| *key).collect()
    }

    /// The node at a path from here.
    pub fn at(&mut self, path: &[Step]) -> &mut Self {
        path.iter().fold(self, |node, step| match step {
            Step::Key(key) => node.keys.entry(key).or_default(),
            Step::Inner | Step::OneOf(_) => node.inner.get_or_insert_default(),
        })
    }

    /// Learns from a note; true when it is news.
    pub fn learn(&mut self, note: Note) -> bool {
        match note {
            Note::Key(key) => {
                let is_new = !self.keys.contains_key(key);
                self.keys.entry(key).or_default();
                is_new
            }
            Note::Required(key) => count(&mut self.required, key),
            Note::OneOf(keys) => count(&mut self.groups, keys),
            Note::Quantity { key, default, limits } => {
                let known = &mut self.keys.entry(key).or_default().quantity;
                known.get_or_insert((default, limits));
                false
            }
            Note::Read => {
                self.reads += 1;
                false
            }
            Note::Shape(shape) => self.shapes.insert(shape),
        }
    }
}

/// Counts once more; true the first time.
fn count<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) -> bool {
    let count = counts.entry(key).or_insert(0);
    *count += 1;
    *count == 1
}
