//! Checks that the documents and the justfile name only what exists. Needs nothing installed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use regex::Regex;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Folders with scripts, and whether those in folders below them count too.
const SCRIPTS: [(&str, bool); 6] =
    [("tests", true), ("benches", true), ("fuzz", false), ("cross", false), ("deploy", true), ("models", false)];

/// Scripts that are no entry points: an administrator copies them to another machine and runs them there.
const NO_ENTRY_POINTS: [&str; 1] = ["deploy/central/make-ca"];

/// Returns the executable files of a folder, as paths below the repository's root, sorted.
fn scripts(folder: &str, below: bool) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(folder)).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("UTF-8");
        let path = format!("{folder}/{name}");
        let metadata = entry.metadata().expect("metadata");
        if metadata.is_dir() && below {
            found.extend(scripts(&path, false));
        } else if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn the_justfile_names_every_script_and_no_other() {
    let justfile = fs::read_to_string(root().join("justfile")).expect("justfile");
    let recipes: Vec<&str> = justfile.lines().filter(|line| line.starts_with("    ")).map(str::trim).collect();
    let named: Vec<&str> = recipes.iter().filter_map(|line| line.split(' ').next()).collect();
    for script in named.iter().filter(|word| word.contains('/')) {
        let is_script = fs::metadata(root().join(script)).is_ok_and(|file| file.permissions().mode() & 0o111 != 0);
        assert!(is_script, "{script}, which the justfile runs, is no script");
    }
    let all: Vec<String> = SCRIPTS.iter().flat_map(|(folder, below)| scripts(folder, *below)).collect();
    assert!(all.len() > 15, "{all:?}");
    for script in all.iter().filter(|script| !NO_ENTRY_POINTS.contains(&script.as_str())) {
        assert!(named.contains(&script.as_str()), "no recipe of the justfile runs {script}");
    }
}

#[test]
fn recipes_are_explained_and_hold_no_logic() {
    let justfile = fs::read_to_string(root().join("justfile")).expect("justfile");
    for block in justfile.split("\n\n").skip(1).filter(|block| block.contains("\n    ")) {
        let lines: Vec<&str> = block.trim().lines().collect();
        assert!(lines[0].starts_with("# ") || lines[0] == "[private]", "what does this do?\n{block}");
        let commands = lines.iter().filter(|line| line.starts_with("    ")).count();
        assert!(commands == 1 || lines.contains(&"lint:"), "more than one command belongs into a script:\n{block}");
    }
}

/// Fields in `src/config*` that are not keys: the two parts of an address.
const NO_KEYS: [&str; 2] = ["host", "port"];

#[test]
fn every_setting_is_in_a_shipped_file() {
    let shipped = ["deploy/config.toml", "deploy/collect.toml"].map(|file| fs::read_to_string(root().join(file)));
    let shipped = shipped.map(|text| text.expect("a settings file")).concat();
    let sections = fs::read_dir(root().join("src/config")).expect("a folder").map(|entry| entry.expect("one").path());
    let field = Regex::new("(?m)^    pub ([a-z_0-9]+): ").expect("a pattern");
    let mut count = 0;
    for source in sections.chain([root().join("src/config.rs")]) {
        let source = fs::read_to_string(source).expect("UTF-8");
        for key in field.captures_iter(&source).map(|found| found[1].to_owned()) {
            let is_shown =
                Regex::new(&format!(r"(?m)^#* *(\[+[a-z.]*)?{key}\b")).expect("a pattern").is_match(&shipped);
            assert!(is_shown || NO_KEYS.contains(&key.as_str()), "`{key}` is in neither settings file of deploy/");
            count += 1;
        }
    }
    assert!(count > 50, "{count}");
}

/// Returns all Markdown files of the repository.
fn documents(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let (path, name) = (entry.path(), entry.file_name());
        let is_ours = !["target", "node_modules", "shared"].iter().any(|other| name == *other)
            && !name.to_string_lossy().starts_with('.');
        if path.is_dir() && is_ours {
            documents(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

#[test]
fn links_between_files_lead_somewhere() {
    let mut files = Vec::new();
    documents(root(), &mut files);
    assert!(files.len() > 50, "{}", files.len());
    let link = Regex::new(r#"\]\(([^) ]+)\)|(?:src|href)="([^"]+)""#).expect("a pattern");
    let mut astray = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("UTF-8");
        for found in link.captures_iter(&text) {
            let target = found.get(1).or(found.get(2)).expect("one of both").as_str();
            let path = target.split('#').next().unwrap_or_default();
            if target.contains("://") || path.is_empty() {
                continue;
            }
            if !file.parent().expect("a folder").join(path).exists() {
                astray.push(format!("{}: {target}", file.display()));
            }
        }
    }
    assert!(astray.is_empty(), "{astray:#?}");
}
