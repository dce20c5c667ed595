//! Within a folder too, files import in one direction only.
//!
//! A folder's `mod.rs` stands for the folder, not for a file in it: it passes on what its files
//! offer, and may offer itself what they share. Names that a macro is given are not seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, UseTree};

/// A module's path from the crate's root, and the paths that it names, from there too.
struct Module {
    path: Vec<String>,
    names: BTreeSet<Vec<String>>,
}

/// Collects the paths that a file names, tests apart.
#[derive(Default)]
struct Names(Vec<Vec<String>>);

impl Names {
    fn add_tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.add_tree(&with(&path.ident), &path.tree),
            UseTree::Name(name) => self.0.push(with(&name.ident)),
            UseTree::Rename(name) => self.0.push(with(&name.ident)),
            UseTree::Glob(_) => self.0.push(before.to_vec()),
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.add_tree(before, tree))
            }
        }
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes(item).iter().any(is_for_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.add_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Mod(ItemMod { attrs, .. }) | Item::Use(ItemUse { attrs, .. }) => attrs,
        Item::Fn(function) => &function.attrs,
        Item::Impl(of) => &of.attrs,
        _ => &[],
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    attribute
        .meta
        .require_list()
        .is_ok_and(|list| attribute.path().is_ident("cfg") && list.tokens.to_string() == "test")
}

/// All modules below a folder, tests apart.
fn modules(folder: &Path, path: &[String], found: &mut Vec<Module>) {
    for entry in fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_stem().unwrap().to_str().unwrap();
        if name == "tests" {
            continue;
        }
        let own = [path, &[name.to_owned()]].concat();
        if file.is_dir() {
            modules(&file, &own, found);
        } else if file.extension().is_some_and(|extension| extension == "rs") {
            let path = if name == "mod" { path.to_vec() } else { own };
            let mut names = Names::default();
            names.visit_file(&syn::parse_file(&fs::read_to_string(&file).unwrap()).unwrap());
            let names = names.0.iter().filter_map(|name| absolute(&path, name)).collect();
            found.push(Module { path, names });
        }
    }
}

/// A path as it reads from the crate's root, unless it leads out of the crate.
fn absolute(module: &[String], path: &[String]) -> Option<Vec<String>> {
    let ups = path.iter().take_while(|name| *name == "super").count();
    match path.first()?.as_str() {
        "crate" => Some(path[1..].to_vec()),
        "self" => Some([module, &path[1..]].concat()),
        "super" => Some([module.get(..module.len().checked_sub(ups)?)?, &path[ups..]].concat()),
        // A child's name, or a crate's: whoever knows the children tells them apart.
        _ => Some([module, path].concat()),
    }
}

/// What each child of a folder names of its siblings.
fn imports<'a>(folder: &[String], modules: &'a [Module]) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let below = |path: &'a [String]| path.strip_prefix(folder).and_then(<[_]>::first);
    let children: BTreeSet<&str> =
        modules.iter().filter_map(|module| below(&module.path)).map(String::as_str).collect();
    let child_of = |path: &'a [String]| {
        below(path).map(String::as_str).filter(|child| children.contains(child))
    };
    // What `mod.rs` passes on, by its name there.
    let own = modules.iter().filter(|module| module.path == folder);
    let passed_on: BTreeMap<&str, &str> = own
        .flat_map(|module| &module.names)
        .filter_map(|path| Some((path.last()?.as_str(), child_of(path)?)))
        .collect();
    let mut imports: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for module in modules {
        let Some(child) = child_of(&module.path) else { continue };
        let named = module.names.iter().filter_map(|path| {
            child_of(path).or_else(|| passed_on.get(below(path)?.as_str()).copied())
        });
        imports.entry(child).or_default().extend(named.filter(|other| *other != child));
    }
    imports
}

/// Those that are left when whoever imports none of the others has been taken away, again and again.
fn in_a_circle<'a>(
    mut imports: BTreeMap<&'a str, BTreeSet<&'a str>>,
) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    loop {
        let left: BTreeSet<&str> = imports.keys().copied().collect();
        imports.values_mut().for_each(|named| named.retain(|other| left.contains(other)));
        imports.retain(|_, named| !named.is_empty());
        if imports.len() == left.len() {
            return imports;
        }
    }
}

#[test]
fn no_files_of_a_folder_import_in_a_circle() {
    let mut found = Vec::new();
    modules(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &[], &mut found);
    let folders: BTreeSet<&[String]> = found
        .iter()
        .filter_map(|module| module.path.split_last())
        .map(|(_, folder)| folder)
        .collect();
    let mut edges = 0;
    for folder in folders.into_iter().filter(|folder| !folder.is_empty()) {
        let imports = imports(folder, &found);
        edges += imports.values().map(BTreeSet::len).sum::<usize>();
        let circle = in_a_circle(imports);
        assert!(circle.is_empty(), "{}: {circle:?}", folder.join("/"));
    }
    assert!(edges > 300, "only {edges} imports found: the reader of imports is broken");
}

#[test]
fn a_circle_is_found_and_what_leads_to_it() {
    let imports = |pairs: &[(&'static str, &'static str)]| {
        let mut imports: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (from, to) in pairs {
            imports.entry(*from).or_default().insert(*to);
            imports.entry(*to).or_default();
        }
        in_a_circle(imports).into_keys().collect::<Vec<_>>()
    };
    assert_eq!(imports(&[("a", "b"), ("b", "c"), ("a", "c")]), Vec::<&str>::new());
    assert_eq!(imports(&[("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")]), ["a", "b", "c"]);
}
