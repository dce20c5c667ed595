//! Finds out what the reader reads, by having it read. It is given files in which every key that is
//! known has a value of the shape that is known, and notes what else it asks for. Where a value may
//! be one thing or another, and others may depend on which, there is a file for each.

use std::collections::BTreeMap;
use std::path::Path as File;

use toml::de::DeTable;

use super::super::context::Context;
use super::super::notes::Shape;
use super::super::section::Section;
use super::tree::{Node, Path, Step, Way};

/// The name of everything that the user names.
const NAME: &str = "x";

/// Which way each value is written; the first where nothing is said.
type Ways = BTreeMap<Path, usize>;

/// Everything that the reader reads.
pub fn explore() -> Node {
    let mut tree = Node::default();
    let mut tried: BTreeMap<Path, usize> = BTreeMap::new();
    let mut waiting = vec![Ways::new()];
    while let Some(ways) = waiting.pop() {
        let mut sketch = Sketch::of(&tree, &ways);
        while learn(&mut tree, &sketch) {
            sketch = Sketch::of(&tree, &ways);
        }
        for (path, count) in sketch.forks {
            let known = tried.entry(path.clone()).or_insert(1);
            for way in *known..count {
                let mut ways = ways.clone();
                ways.insert(path.clone(), way);
                waiting.push(ways);
            }
            *known = count.max(*known);
        }
    }
    tree
}

/// Has the file read, and learns from it; true when there was news.
fn learn(tree: &mut Node, sketch: &Sketch) -> bool {
    let (document, _) = DeTable::parse_recoverable(&sketch.text);
    let context = Context::new(File::new(""), &|_| None, 0);
    Section::read(&context, "", (document.get_ref(), 0..0), super::super::document);
    let mut news = false;
    for (span, note) in context.notes() {
        if let Some(path) = sketch.places.get(&(span.start, span.end)) {
            news |= tree.at(path).learn(note);
        }
    }
    news
}

/// A file, and what stands where in it.
struct Sketch {
    text: String,
    places: BTreeMap<(usize, usize), Path>,
    /// Where there is more than one way, and how many there are.
    forks: Vec<(Path, usize)>,
}

impl Sketch {
    fn of(tree: &Node, ways: &Ways) -> Self {
        let places = BTreeMap::from([((0, 0), Path::new())]);
        let mut sketch = Self { text: String::new(), places, forks: Vec::new() };
        for (key, node) in &tree.keys {
            sketch.text += &format!("{key} = ");
            sketch.value(node, &vec![Step::Key(key)], ways);
            sketch.text.push('\n');
        }
        sketch
    }

    fn value(&mut self, node: &Node, path: &Path, ways: &Ways) {
        let all = node.ways();
        if all.len() > 1 {
            self.forks.push((path.clone(), all.len()));
        }
        let way = all.get(ways.get(path).copied().unwrap_or(0)).unwrap_or(&Way::Unknown);
        let start = self.text.len();
        match way {
            Way::Word(word) => self.text += &format!("{word:?}"),
            Way::Example(Shape::Table) => self.table(node, path, ways),
            Way::Example(Shape::Entries) => {
                self.text += &format!("{{ {NAME} = ");
                self.inner(node, path, ways);
                self.text += " }";
            }
            Way::Example(Shape::List) => {
                self.text.push('[');
                self.inner(node, path, ways);
                self.text.push(']');
            }
            Way::Example(shape) => self.text += example(shape),
            Way::Unknown => self.text += "true",
        }
        self.places.insert((start, self.text.len()), path.clone());
    }

    fn inner(&mut self, node: &Node, path: &Path, ways: &Ways) {
        let unknown = Node::default();
        let inner = node.inner.as_deref().unwrap_or(&unknown);
        self.value(inner, &[&path[..], &[Step::Inner]].concat(), ways);
    }

    fn table(&mut self, node: &Node, path: &Path, ways: &Ways) {
        let groups = node.groups();
        let mut left_out = Vec::new();
        for (number, group) in groups.into_iter().enumerate() {
            let fork = [&path[..], &[Step::OneOf(number)]].concat();
            let chosen = ways.get(&fork).and_then(|way| group.get(*way)).or(group.first());
            left_out.extend(group.iter().filter(|key| Some(*key) != chosen));
            self.forks.push((fork, group.len()));
        }
        self.text += "{ ";
        let mut separator = "";
        for (key, value) in node.keys.iter().filter(|(key, _)| !left_out.contains(*key)) {
            self.text += &format!("{separator}{key} = ");
            self.value(value, &[&path[..], &[Step::Key(key)]].concat(), ways);
            separator = ", ";
        }
        self.text += " }";
    }
}

/// A value of that shape, as good as any.
fn example(shape: &Shape) -> &'static str {
    match shape {
        Shape::Boolean => "true",
        Shape::Whole => "1",
        Shape::DateTime => "2027-01-01T00:00:00Z",
        _ => "\"x\"",
    }
}
