//! Looks for the components that tests may need, and tells `lib.rs` which are missing.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Component that a test may need beyond Rust and a C compiler.
struct Component {
    /// Name in `#[needs(...)]`.
    name: &'static str,
    /// Programs that belong to it. All of them must be found.
    programs: &'static [&'static str],
    /// Remedy if the component is missing.
    remedy: &'static str,
}

const COMPONENTS: &[Component] = &[
    Component { name: "gdal", programs: &["ogrinfo"], remedy: "apt install gdal-bin" },
    Component { name: "mosquitto", programs: &["mosquitto", "mosquitto_passwd"], remedy: "apt install mosquitto" },
    Component {
        name: "namespaces",
        programs: &["mount", "unshare"],
        remedy: "apt install mount util-linux, and allow `unshare --user --map-root-user --mount`",
    },
    Component { name: "nginx", programs: &["nginx"], remedy: "apt install nginx-light" },
    Component { name: "postgresql", programs: &["initdb", "pg_ctl", "postgres"], remedy: "apt install postgresql" },
    Component { name: "prlimit", programs: &["prlimit"], remedy: "apt install util-linux" },
];

/// If this variable is 1, no test is left out, so one whose component is missing fails.
const ALL_TESTS: &str = "BRIDGECLIP_ALL_TESTS";

/// Debian's list of installed packages, which changes with each installation.
const INSTALLED: &str = "/var/lib/dpkg/status";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let folders = folders();
    let leaves_out = env::var(ALL_TESTS).map_or(true, |value| value != "1");
    let mut is_complete = true;
    let mut said = Vec::new();
    for component in COMPONENTS {
        let found: Option<Vec<_>> = component.programs.iter().map(|program| find(&folders, program)).collect();
        let found = found.filter(|_| component.name != "namespaces" || may_mount());
        for program in found.iter().flatten() {
            println!("cargo::rerun-if-changed={}", program.display());
        }
        is_complete &= found.is_some();
        let remedy = if found.is_none() && leaves_out { component.remedy } else { "" };
        said.push(format!("{}={remedy}", component.name));
    }
    // While nothing is missing, the variables have no effect, so a change of them must not trigger compilation.
    if !is_complete {
        println!("cargo::rerun-if-env-changed={ALL_TESTS}");
        println!("cargo::rerun-if-env-changed=PATH");
        // A file that does not exist would trigger a full compilation each time.
        if Path::new(INSTALLED).exists() {
            println!("cargo::rerun-if-changed={INSTALLED}");
        }
    }
    println!("cargo::rustc-env=BRIDGECLIP_COMPONENTS={}", said.join("|"));
}

/// Returns the folders where the tests look for programs.
fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    // Debian keeps servers where an ordinary user's PATH does not look.
    folders.push("/usr/sbin".into());
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    folders.extend(versions.map(|version| version.path().join("bin")));
    folders
}

fn find(folders: &[PathBuf], program: &str) -> Option<PathBuf> {
    folders.iter().map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Reports whether users may mount file systems for themselves, which many containers forbid.
fn may_mount() -> bool {
    let tried = Command::new("unshare").args(["--user", "--map-root-user", "--mount", "true"]).output();
    tried.is_ok_and(|output| output.status.success())
}
