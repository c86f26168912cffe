//! Checks that packages are signed, transferred, installed and given up, as an owner of devices does these things.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use bridgeclip::domain::Sha256;
use tempfile::TempDir;

use crate::support::{Device, bridgeclip, copy_of_demo_package, demo_photos};

const SIGNATURE: &str = "package.toml.minisig";

/// A workplace that makes packages, and a store that trusts its key.
pub struct Bench {
    dir: TempDir,
    key: String,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let bench = Bench { dir, key: String::new() };
        let key = bench.new_key("key");
        let bench = Bench { key, ..bench };
        bench.trust(&[&bench.key]);
        bench
    }

    /// Returns a bench with version 1.1 installed.
    pub fn used() -> Self {
        let bench = Bench::new();
        assert!(bench.install(text(&bench.archive("1.1"))).status.success());
        bench
    }

    /// Returns a device that uses what is installed here.
    pub fn device(&self) -> Device {
        let device = Device::new(None);
        device.configure_package(&self.path("store"), &self.key);
        device
    }

    /// Returns a running device that has classified a photo with what is installed here.
    pub fn device_at_work(&self) -> Device {
        let mut device = self.device();
        device.start();
        device.take(&demo_photos()[0]);
        device.wait_for_captures(1);
        device
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn new_key(&self, name: &str) -> String {
        good(&["package", "keygen", "--out", text(&self.path(name))]).trim().to_owned()
    }

    /// Signs all later packages with this key.
    fn use_key(&self, name: &str) {
        fs::rename(self.path(name), self.path("key")).expect("rename");
    }

    fn trust(&self, keys: &[&str]) {
        let dir = crate::support::demo_package();
        let settings = format!(
            "[device]\nsite = \"test\"\nid = \"unit\"\ndata_dir = \"data\"\n\
             [package]\ndir = {dir:?}\nstore = \"store\"\ntrusted_keys = {keys:?}\n[intake]\nfolders = [\"camera\"]\n"
        );
        fs::write(self.path("config.toml"), settings).expect("write");
    }

    /// Returns a signed package of this version, after `edit` has changed its folder.
    fn package(&self, version: &str, edit: impl FnOnce(&Path)) -> TempDir {
        let dir = copy_of_demo_package();
        replace(&dir.path().join("package.toml"), "version = \"1.0.0\"", &format!("version = {version:?}"));
        edit(dir.path());
        good(&["package", "sign", text(dir.path()), "--key", text(&self.path("key"))]);
        dir
    }

    pub fn archive(&self, version: &str) -> PathBuf {
        let (package, out) = (self.package(version, |_| ()), self.path(&format!("{version}.bcpkg")));
        good(&["package", "pack", text(package.path()), "--out", text(&out)]);
        out
    }

    pub fn install(&self, source: &str) -> Output {
        bridgeclip(&["package", "install", source, "--config", text(&self.path("config.toml"))])
    }

    fn refuses(&self, source: &Path, expected: &str) {
        let before = self.current();
        let output = self.install(text(source));
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && message.contains(expected), "{expected}: {message}");
        assert_eq!(self.current(), before, "{expected}");
    }

    /// Checks that an archive with the head of a signed package and these entries is refused.
    fn refuses_entries(&self, head: &TempDir, entries: &[(&str, tar::EntryType, &[u8])], expected: &str) {
        let path = self.path("bad.bcpkg");
        tar(&path, head.path(), entries);
        self.refuses(&path, expected);
    }

    fn current(&self) -> Option<PathBuf> {
        fs::read_link(self.path("store/current")).ok()
    }

    fn list(&self) -> String {
        good(&["package", "list", "--config", text(&self.path("config.toml"))])
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

fn good(args: &[&str]) -> String {
    let output = bridgeclip(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn replace(path: &Path, from: &str, to: &str) {
    let old = fs::read_to_string(path).expect("read");
    assert!(old.contains(from), "{from}");
    fs::write(path, old.replace(from, to)).expect("write");
}

/// Writes a file of the package and makes the manifest agree with it.
fn put(dir: &Path, name: &str, bytes: &[u8]) {
    let old = Sha256::of(&fs::read(dir.join(name)).expect("read")).to_string();
    fs::write(dir.join(name), bytes).expect("write");
    replace(&dir.join("package.toml"), &old, &Sha256::of(bytes).to_string());
}

/// Writes a tar file with the head of a package and these entries: name, kind as in the tar header, contents.
fn tar(path: &Path, head: &Path, entries: &[(&str, tar::EntryType, &[u8])]) {
    let mut archive = tar::Builder::new(File::create(path).expect("create"));
    for name in ["package.toml", SIGNATURE] {
        archive.append_path_with_name(head.join(name), name).expect("append");
    }
    for (name, kind, bytes) in entries {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_entry_type(*kind);
        if *kind == tar::EntryType::Symlink {
            header.set_link_name("/etc/passwd").expect("a name");
        }
        header.set_cksum();
        archive.append(&header, *bytes).expect("append");
    }
    archive.finish().expect("finish");
}

#[test]
fn a_package_can_be_read_by_everybody_whatever_the_umask_of_whoever_installs() {
    let bench = Bench::new();
    let (archive, config) = (bench.archive("1.1"), bench.path("config.toml"));
    let install = r#"umask 077; exec "$0" package install --config "$1" "$2""#;
    let program = env!("CARGO_BIN_EXE_bridgeclip");
    let args = ["-c", install, program, text(&config), text(&archive)];
    assert!(Command::new("sh").args(args).status().expect("it runs").success());
    let mode = |path: &Path| fs::metadata(path).expect("it").permissions().mode() & 0o777;
    let package = bench.path("store/current");
    assert_eq!((mode(&bench.path("store")), mode(&package)), (0o755, 0o755));
    for file in fs::read_dir(&package).expect("a folder").flatten() {
        assert_eq!(mode(&file.path()), 0o644, "{}", file.path().display());
    }
}

#[test]
fn packages_are_installed_listed_and_rolled_back() {
    let bench = Bench::new();
    assert!(bench.install(text(bench.package("1.1", |_| ()).path())).status.success(), "from a folder");
    assert!(bench.install(text(&bench.archive("1.2"))).status.success(), "from an archive");
    let list = bench.list();
    assert!(list.contains("current, on trial    bridgeclip-demo-1.2-"), "{list}");
    let mut device = bench.device_at_work();
    device.terminate();
    assert!(bench.list().contains("current              bridgeclip-demo-1.2-"), "{}", bench.list());
    assert!(bench.install(text(&bench.archive("1.3"))).status.success());
    good(&["package", "rollback", "--config", text(&bench.path("config.toml"))]);
    let current = bench.current().expect("a link");
    assert!(text(&current).starts_with("bridgeclip-demo-1.2-"), "{}", current.display());
}

#[test]
fn either_of_two_keys_is_trusted() {
    let bench = Bench::new();
    let next = bench.new_key("next");
    bench.trust(&[&next, &bench.key]);
    assert!(bench.install(text(&bench.archive("1.1"))).status.success());
    bench.use_key("next");
    assert!(bench.install(text(&bench.archive("1.2"))).status.success());
}

#[test]
fn a_package_signed_with_a_wrong_key_is_refused() {
    let bench = Bench::used();
    bench.new_key("other");
    bench.use_key("other");
    bench.refuses(&bench.archive("1.2"), "trusted_keys");
}

#[test]
fn a_package_with_a_bad_signature_is_refused() {
    let bench = Bench::used();
    let package = bench.package("1.2", |_| ());
    let other = bench.package("1.3", |_| ());
    replace(&package.path().join("package.toml"), "A small CLIP", "A large CLIP");
    bench.refuses(package.path(), "package.toml was changed");
    fs::copy(other.path().join(SIGNATURE), package.path().join(SIGNATURE)).expect("copy");
    bench.refuses(package.path(), "package.toml was changed");
    fs::write(package.path().join(SIGNATURE), "untrusted comment: none\nAAAA\n").expect("write");
    bench.refuses(package.path(), "Invalid encoding");
    fs::remove_file(package.path().join(SIGNATURE)).expect("remove");
    bench.refuses(package.path(), "not signed");
}

#[test]
fn a_package_with_a_changed_byte_is_refused_and_the_daemon_works_on() {
    let bench = Bench::used();
    let device = bench.device_at_work();
    let package = bench.package("1.2", |_| ());
    let whole = fs::read(package.path().join("image.weights")).expect("read");
    for at in [0, whole.len() / 2, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(package.path().join("image.weights"), &changed).expect("write");
        bench.refuses(package.path(), "image.weights is not as package.toml says");
    }
    let archive = bench.archive("1.3");
    let mut changed = fs::read(&archive).expect("read");
    let at = changed.len() / 2;
    changed[at] ^= 1;
    fs::write(&archive, changed).expect("write");
    bench.refuses(&archive, "is not as package.toml says");
    device.take(&demo_photos()[1]);
    device.wait_for_captures(2);
}

#[test]
fn a_package_with_a_wrong_hash_is_refused() {
    let bench = Bench::used();
    let weights = fs::read(crate::support::demo_package().join("text.weights")).expect("read");
    let wrong = bench.package("1.2", |dir| {
        let other: Vec<u8> = weights.iter().map(|byte| byte ^ 1).collect();
        put(dir, "text.weights", &other);
    });
    fs::write(wrong.path().join("text.weights"), weights).expect("write");
    bench.refuses(wrong.path(), "text.weights is not as package.toml says");
}

#[test]
fn a_package_that_is_incomplete_is_refused() {
    let bench = Bench::used();
    let package = bench.package("1.2", |_| ());
    fs::remove_file(package.path().join("image.weights")).expect("remove");
    bench.refuses(package.path(), "image.weights is missing");
    let archive = bench.archive("1.3");
    let bytes = fs::read(&archive).expect("read");
    for length in [0, 100, 512, 5_000, bytes.len() / 2, bytes.len() - 1_025] {
        fs::write(&archive, &bytes[..length]).expect("write");
        bench.refuses(&archive, text(&archive));
    }
}

#[test]
fn an_older_version_is_refused_unless_allowed() {
    let bench = Bench::used();
    let mut device = bench.device_at_work();
    device.terminate();
    let older = bench.package("1.0.9", |_| ());
    bench.refuses(older.path(), "is older than 1.1");
    let config = bench.path("config.toml");
    good(&["package", "install", text(older.path()), "--allow-downgrade", "--config", text(&config)]);
    assert!(text(&bench.current().expect("a link")).starts_with("bridgeclip-demo-1.0.9-"));
}

#[test]
fn a_path_out_of_an_archive_is_refused() {
    let bench = Bench::used();
    let package = bench.package("1.2", |_| ());
    let outside = bench.path("escaped");
    for name in ["../escaped", "../../escaped", text(&outside), "store/../../escaped", "./"] {
        bench.refuses_entries(&package, &[(name, tar::EntryType::Regular, b"x")], "plain file in the archive's root");
        assert!(!outside.exists() && !bench.path("store/escaped").exists(), "{name}");
    }
    replace(&package.path().join("package.toml"), "[files.\"tokenizer.json\"]", "[files.\"../escaped\"]");
    bench.trust(&[]);
    bench.refuses(package.path(), "../escaped is not usable");
}

#[test]
fn a_link_in_a_package_is_refused() {
    let bench = Bench::used();
    let package = bench.package("1.2", |_| ());
    for kind in [tar::EntryType::Symlink, tar::EntryType::Link, tar::EntryType::Fifo, tar::EntryType::Block] {
        bench.refuses_entries(&package, &[("tokenizer.json", kind, b"")], "plain file in the archive's root");
    }
    let weights = package.path().join("image.weights");
    fs::remove_file(&weights).expect("remove");
    symlink("/etc/hostname", &weights).expect("a link");
    bench.refuses(package.path(), "image.weights");
}

#[test]
fn a_file_that_the_manifest_does_not_name_is_refused() {
    let bench = Bench::used();
    let package = bench.package("1.2", |_| ());
    let tokenizer = fs::read(package.path().join("tokenizer.json")).expect("read");
    let file = tar::EntryType::Regular;
    bench.refuses_entries(&package, &[("more.txt", file, b"x")], "is not in package.toml");
    let twice = [("tokenizer.json", file, &tokenizer[..]), ("tokenizer.json", file, &tokenizer)];
    bench.refuses_entries(&package, &twice, "comes twice");
}

#[test]
fn a_package_with_nan_weights_is_refused() {
    let bench = Bench::used();
    for weights in ["image.weights", "text.weights"] {
        let not_a_number = bench.package("1.2", |dir| {
            let bytes = fs::read(dir.join(weights)).expect("read");
            put(dir, weights, &f32::NAN.to_le_bytes().repeat(bytes.len() / 4));
        });
        bench.refuses(not_a_number.path(), "does not work on this device");
    }
}

#[test]
fn a_package_of_a_wrong_shape_is_refused() {
    let bench = Bench::used();
    for (from, to) in [("embedding_dim = 128", "embedding_dim = 64"), ("size = 224", "size = 192")] {
        let wrong = bench.package("1.2", |dir| replace(&dir.join("package.toml"), from, to));
        bench.refuses(wrong.path(), "does not work on this device");
    }
}

#[test]
fn a_package_that_answers_otherwise_than_its_golden_photos_is_refused() {
    let bench = Bench::used();
    let add = |dir: &Path| drop(good(&["package", "add-golden", text(dir), text(&demo_photos()[0])]));
    assert!(bench.install(text(bench.package("1.2", add).path())).status.success(), "with a golden photo");
    let wrong_answer = bench.package("1.3", |dir| {
        add(dir);
        let photo = fs::read_dir(dir).expect("read").flatten().map(|entry| entry.path());
        let photo = photo.into_iter().find(|path| text(path).contains("golden-1")).expect("a golden photo");
        let (old, new) = (fs::read(&photo).expect("read"), fs::read(&demo_photos()[1]).expect("read"));
        put(dir, photo.file_name().and_then(|name| name.to_str()).expect("a name"), &new);
        replace(&dir.join("package.toml"), &format!("bytes = {}\n", old.len()), &format!("bytes = {}\n", new.len()));
    });
    bench.refuses(wrong_answer.path(), "cosine");
}

#[test]
fn a_package_that_fails_at_start_gives_way_to_the_last_good_one() {
    let bench = Bench::used();
    let mut device = bench.device_at_work();
    device.terminate();
    assert!(bench.install(text(&bench.archive("1.2"))).status.success());
    let graph = bench.path("store").join(bench.current().expect("a link")).join("image.onnx");
    fs::write(&graph, b"no graph").expect("write");
    device.start();
    device.take(&demo_photos()[1]);
    device.wait_for_captures(2);
    device.terminate();
    let current = bench.current().expect("a link");
    assert!(text(&current).starts_with("bridgeclip-demo-1.1-"), "{}", current.display());
    assert!(bench.list().contains("given up             bridgeclip-demo-1.2-"), "{}", bench.list());
}

#[test]
fn a_power_cut_during_installation_leaves_a_whole_package() {
    let bench = Bench::used();
    let archive = bench.archive("1.2");
    for delay in (0..12).map(|round| Duration::from_millis(25 * round)) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bridgeclip"));
        command.args(["package", "install", text(&archive), "--config", text(&bench.path("config.toml"))]);
        let mut install = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
        thread::sleep(delay);
        install.kill().expect("a process");
        install.wait().expect("an end");
        let current = bench.path("store").join(bench.current().expect("a link"));
        good(&["package", "verify", text(&current), "--key", &bench.key]);
    }
    assert!(bench.install(text(&archive)).status.success());
    assert!(bench.list().contains("bridgeclip-demo-1.2-"));
}

#[test]
fn a_broken_download_goes_on_where_it_ended() {
    let bench = Bench::new();
    let bytes = fs::read(bench.archive("1.1")).expect("read");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/1.1.bcpkg", listener.local_addr().expect("an address"));
    let server = thread::spawn(move || serve_in_halves(&listener, &bytes));
    let output = bench.install(&url);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let starts = server.join().expect("no panic");
    assert!(starts.len() > 1 && starts[1] > 0, "asked for {starts:?}");
    bench.trust(&[]);
    let message = String::from_utf8_lossy(&bench.install(&url).stderr).into_owned();
    assert!(message.contains("use https://"), "{message}");
}

/// Serves `bytes` and ends every answer after a million of them. Returns the first byte of each request, once it has
/// sent the last part.
fn serve_in_halves(listener: &TcpListener, bytes: &[u8]) -> Vec<usize> {
    let mut starts = Vec::new();
    loop {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a request");
            request.push(byte[0]);
        }
        let request = String::from_utf8_lossy(&request).to_ascii_lowercase();
        let range = request.split_once("range: bytes=").and_then(|(_, range)| range.split_once('-'));
        let start: usize = range.map_or(0, |(start, _)| start.parse().expect("a number"));
        starts.push(start);
        let total = bytes.len();
        let status = match range {
            Some(_) => format!("206 Partial Content\r\ncontent-range: bytes {start}-{}/{total}", total - 1),
            None => "200 OK".to_owned(),
        };
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", total - start);
        stream.write_all(head.as_bytes()).expect("write");
        let end = total.min(start + 4_000_000);
        stream.write_all(&bytes[start..end]).expect("write");
        if end == total {
            return starts;
        }
    }
}
