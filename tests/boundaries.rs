//! Checks the direction of imports. Between crates the compiler enforces it; inside a crate these tests do, with the
//! table in ARCHITECTURE.md. Needs nothing but the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Path of a module below its crate; empty for the crate's root.
type Module = Vec<String>;

/// The modules of one crate and what they import from each other, without test code.
struct Crate {
    imports: BTreeMap<Module, BTreeSet<Module>>,
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    for src in sources() {
        let found = circles(&Crate::read(&src).imports);
        assert!(found.is_empty(), "{}: these modules import each other in a circle: {found:?}", src.display());
    }
}

#[test]
fn modules_of_the_program_import_those_above_them_in_the_table() {
    let order = documented("program");
    let program = Crate::read(&root().join("src"));
    let position = |module: &String| order.iter().position(|name| name == module);
    for (from, imports) in &program.imports {
        let Some(from) = from.first() else { continue };
        let own = position(from).unwrap_or_else(|| panic!("{from} is not in ARCHITECTURE.md's table of the program"));
        for to in imports.iter().filter_map(|to| to.first()).filter(|to| *to != from) {
            assert!(position(to) < Some(own), "{from} imports {to}, which stands below it in ARCHITECTURE.md");
        }
    }
}

#[test]
fn crates_depend_on_those_above_them_in_the_table() {
    let order = documented("crates");
    let folders = fs::read_dir(root().join("crates")).expect("crates/");
    let names: BTreeSet<String> =
        folders.map(|folder| folder.expect("a folder").file_name().into_string().expect("a name")).collect();
    assert_eq!(names, order.iter().cloned().collect(), "the table in ARCHITECTURE.md names every crate once");
    let dependency = Regex::new("(?m)^bridgeclip-([a-z]+)").expect("a pattern");
    for (own, name) in order.iter().enumerate() {
        let manifest = fs::read_to_string(root().join("crates").join(name).join("Cargo.toml")).expect("a manifest");
        for found in dependency.captures_iter(&manifest) {
            let position = order.iter().position(|other| *other == found[1]);
            assert!(position < Some(own), "{name} depends on {}, which stands below it in ARCHITECTURE.md", &found[1]);
        }
    }
}

/// A file that no module declares is not compiled, and still found and read by people.
#[test]
fn every_source_file_is_declared_by_its_parent() {
    let declaration = Regex::new(r"(?m)^ *(?:pub(?:\([a-z]+\))? )?mod ([a-z0-9_]+);").expect("a pattern");
    for src in sources() {
        let texts = rust_files(&src).into_iter().map(|path| {
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (module_of(&path, &src), text)
        });
        let texts: BTreeMap<Module, String> = texts.collect();
        for module in texts.keys() {
            let Some((name, parent)) = module.split_last() else { continue };
            let mut declared = declaration.captures_iter(&texts[parent]).map(|found| found[1].to_owned());
            assert!(declared.any(|declared| declared == *name), "{}: nothing declares {module:?}", src.display());
        }
    }
}

#[test]
fn a_circle_is_found() {
    let module = |name: &str| vec![name.to_owned()];
    let mut imports: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for (from, to) in [("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")] {
        imports.entry(module(from)).or_default().insert(module(to));
    }
    assert_eq!(circles(&imports), [vec![module("a"), module("b"), module("c")]]);
}

#[test]
fn imports_are_read_as_the_compiler_reads_them() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    };
    write("lib.rs", "mod a;\nmod b;\nmod c;\npub use b::Thing;\n");
    write("a.rs", "use super::{Thing, c::{self, Other as O}};\n// use crate::nothing;\n");
    write(
        "b.rs",
        "pub struct Thing;\n#[cfg(test)]\nmod tests {\n    use crate::a::X;\n    fn f() { if true { } }\n}\n",
    );
    write("c/mod.rs", "mod inner;\npub use inner::Other;\nfn f() { inner::g(); crate::b::h() }\n");
    write("c/inner.rs", "use super::super::a;\n");
    let read = Crate::read(dir.path());
    let of = |path: &[&str]| -> Vec<String> {
        let module: Module = path.iter().map(|name| (*name).to_owned()).collect();
        read.imports.get(&module).into_iter().flatten().map(|to| to.join("/")).collect()
    };
    assert_eq!(of(&["a"]), ["b", "c", "c/inner"]);
    assert_eq!(of(&["b"]), [""; 0], "test code may import anything");
    assert_eq!(of(&["c"]), ["b", "c/inner"]);
    assert_eq!(of(&["c", "inner"]), ["a"]);
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the source folders of the program and of all crates.
fn sources() -> Vec<PathBuf> {
    let crates = fs::read_dir(root().join("crates")).expect("crates/");
    let crates = crates.map(|folder| folder.expect("a folder").path().join("src"));
    crates.chain([root().join("src")]).collect()
}

/// Returns the names in the first column of a table in ARCHITECTURE.md, which a comment with its name precedes.
fn documented(table: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let (_, rest) = text.split_once(&format!("<!-- order: {table} -->")).expect("the comment before the table");
    let rows = rest.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let name = Regex::new("^[|] `([a-z_]+)`").expect("a pattern");
    rows.filter_map(|row| Some(name.captures(row)?[1].to_owned())).collect()
}

impl Crate {
    fn read(src: &Path) -> Self {
        let texts: BTreeMap<Module, String> =
            rust_files(src).into_iter().map(|path| (module_of(&path, src), code_of(&path))).collect();
        let mut exports: BTreeMap<Module, BTreeMap<String, Vec<String>>> = BTreeMap::new();
        let mut paths: Vec<(Module, Vec<String>)> = Vec::new();
        let statement = Regex::new(r"(pub(?:\([a-z ]+\))?\s+)?\buse\s+([^;]+);").expect("a pattern");
        let inline = Regex::new(r"\b(?:crate|super)(?:::\w+)+").expect("a pattern");
        for (module, text) in &texts {
            for found in statement.captures_iter(text) {
                for path in expand(&found[2]) {
                    match found.get(1) {
                        Some(_) => {
                            let name = path.last().cloned().unwrap_or_default();
                            exports.entry(module.clone()).or_default().insert(name, path);
                        }
                        None => paths.push((module.clone(), path)),
                    }
                }
            }
            let body = statement.replace_all(text, "");
            for found in inline.find_iter(&body) {
                paths.push((module.clone(), segments(found.as_str())));
            }
            let children = texts.keys().filter(|other| other.len() == module.len() + 1 && other.starts_with(module));
            for child in children {
                let name = child.last().expect("a child has a name");
                // A path that begins with the child's name.
                let used = Regex::new(&format!(r"(?:^|[^\w:]){name}::")).expect("a pattern");
                if used.is_match(&body) {
                    paths.push((module.clone(), vec!["self".to_owned(), name.clone()]));
                }
            }
        }
        let mut imports: BTreeMap<Module, BTreeSet<Module>> =
            texts.keys().map(|module| (module.clone(), BTreeSet::new())).collect();
        for (from, path) in paths {
            if let Some(to) = resolve(&texts, &exports, &from, &path, 0).filter(|to| *to != from) {
                imports.entry(from).or_default().insert(to);
            }
        }
        Crate { imports }
    }
}

/// Returns the module that a path leads to, through re-exports; `None` for a path out of the crate.
fn resolve(
    texts: &BTreeMap<Module, String>,
    exports: &BTreeMap<Module, BTreeMap<String, Vec<String>>>,
    from: &Module,
    path: &[String],
    depth: usize,
) -> Option<Module> {
    let child = |module: &Module, name: &String| {
        let child: Module = module.iter().chain([name]).cloned().collect();
        texts.contains_key(&child).then_some(child)
    };
    let (mut at, mut rest) = match path.first()?.as_str() {
        "crate" => (Module::new(), &path[1..]),
        "self" => (from.clone(), &path[1..]),
        "super" => (from[..from.len().checked_sub(1)?].to_vec(), &path[1..]),
        _ if child(from, &path[0]).is_some() => (from.clone(), path),
        _ => return None,
    };
    while let Some(name) = rest.first() {
        if name == "super" {
            at.pop();
        } else if let Some(child) = child(&at, name) {
            at = child;
        } else {
            let export = exports.get(&at).and_then(|names| names.get(name)).filter(|_| depth < 8);
            let through = export.map(|export| [export, &rest[1..]].concat());
            return through.and_then(|path| resolve(texts, exports, &at, &path, depth + 1)).or(Some(at));
        }
        rest = &rest[1..];
    }
    Some(at)
}

/// Returns the paths of a `use` tree.
fn expand(tree: &str) -> Vec<Vec<String>> {
    let tree = tree.trim();
    let Some((prefix, list)) = tree.split_once('{') else {
        let path = segments(tree.split(" as ").next().unwrap_or(tree));
        return vec![path.into_iter().filter(|name| name != "self" || tree == "self").collect()];
    };
    let list = list.trim_end().strip_suffix('}').unwrap_or(list);
    let (mut parts, mut depth, mut part) = (Vec::new(), 0, String::new());
    for letter in list.chars() {
        depth += i32::from(letter == '{') - i32::from(letter == '}');
        if letter == ',' && depth == 0 {
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(letter);
        }
    }
    parts.push(part);
    let parts = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty());
    parts.flat_map(|part| expand(&format!("{}{part}", prefix.trim()))).collect()
}

fn segments(path: &str) -> Vec<String> {
    path.split("::").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| is_module(path))
        .collect()
}

/// Whether a file is a module. `main.rs` only starts the library beside it.
fn is_module(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "rs") && !path.ends_with("src/main.rs")
}

fn module_of(path: &Path, src: &Path) -> Module {
    let path = path.strip_prefix(src).expect("a file below the folder").with_extension("");
    let names = path.iter().map(|name| name.to_string_lossy().into_owned());
    let mut module: Module = names.collect();
    if module.last().is_some_and(|name| ["mod", "lib"].contains(&name.as_str())) {
        module.pop();
    }
    module
}

/// Returns a file's text without comments and without items for tests.
fn code_of(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let text = Regex::new("//[^\n]*").expect("a pattern").replace_all(&text, "").into_owned();
    let start = Regex::new(r"#\[cfg\(test\)\]\s*[^{;]*[{;]").expect("a pattern");
    let mut code = String::new();
    let mut rest = text.as_str();
    while let Some(found) = start.find(rest) {
        code += &rest[..found.start()];
        rest = &rest[found.end()..];
        if found.as_str().ends_with('{') {
            rest = after_the_block(rest);
        }
    }
    code + rest
}

/// Returns what follows the brace that closes a block.
fn after_the_block(text: &str) -> &str {
    let mut depth = 1;
    for (index, letter) in text.char_indices() {
        depth += i32::from(letter == '{') - i32::from(letter == '}');
        if depth == 0 {
            return &text[index + 1..];
        }
    }
    ""
}

/// Returns the groups of modules that reach each other, in the order of their names.
fn circles(imports: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<Vec<Module>> {
    let reached = |from: &Module| {
        let mut reached = BTreeSet::new();
        let mut left = vec![from];
        while let Some(module) = left.pop() {
            for to in imports.get(module).into_iter().flatten() {
                if reached.insert(to) {
                    left.push(to);
                }
            }
        }
        reached
    };
    let reached: BTreeMap<&Module, BTreeSet<&Module>> = imports.keys().map(|from| (from, reached(from))).collect();
    let mut circles: Vec<Vec<Module>> = Vec::new();
    for (module, all) in reached.iter().filter(|(module, all)| all.contains(*module)) {
        let both = |other: &&&Module| reached.get(**other).is_some_and(|back| back.contains(module));
        let circle: Vec<Module> = all.iter().filter(both).map(|other| (*other).clone()).collect();
        if !circles.contains(&circle) {
            circles.push(circle);
        }
    }
    circles
}
