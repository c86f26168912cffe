//! Keys, packages, photos, and a bundle of another device, which a run prepares once.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::device::{Device, said};

/// Prepared files that all devices of a run share. None of them is on a recorded drive.
pub struct Kit {
    /// The program under test.
    pub program: PathBuf,
    /// Demo package, version 1.0.0.
    pub package: PathBuf,
    pub secrets: Secrets,
    dir: PathBuf,
    photos: Vec<Vec<u8>>,
}

/// Values that differ each time they are made. A recording that is replayed needs its own.
#[derive(Default, Serialize, Deserialize)]
pub struct Secrets {
    /// Public half of the key that signs commands.
    pub command_key: String,
    /// Public half of the key that signs the other device's bundle.
    pub bundle_key: String,
    /// Ids of the events in that bundle.
    pub bundle_ids: Vec<String>,
}

/// Maximum size of the demo photos that are used, in bytes: larger ones take too long.
const PHOTO_BYTES_MAX: usize = 100_000;
/// Number of photos of the other device.
const BUNDLED: usize = 3;

impl Kit {
    /// Prepares everything in the folder `dir`, or uses what was prepared there before if `is_there`. `demo` is
    /// `models/demo` of the source tree, with package and photos.
    ///
    /// # Errors
    /// If that fails, in words.
    pub fn new(program: &Path, demo: &Path, dir: &Path, is_there: bool) -> Result<Self, String> {
        let photos = photos(&demo.join("photos")).map_err(|error| format!("{}: {error}", demo.display()))?;
        let (program, package, dir) = (program.to_owned(), demo.join("package"), dir.to_owned());
        let mut kit = Kit { program, package, secrets: Secrets::default(), dir, photos };
        let file = kit.path("kit.json");
        let fault = |error: io::Error| format!("{}: {error}", file.display());
        if is_there {
            kit.secrets =
                serde_json::from_slice(&fs::read(&file).map_err(fault)?).map_err(|error| error.to_string())?;
            return Ok(kit);
        }
        let _ = fs::remove_dir_all(&kit.dir);
        fs::create_dir_all(&kit.dir).map_err(fault)?;
        let printed = kit.run(&["command", "keygen", "--out", &text(&kit.signing_key())])?;
        kit.secrets.command_key = printed.split('"').nth(1).unwrap_or_default().to_owned();
        kit.make_bundle()?;
        let secrets = serde_json::to_vec(&kit.secrets).map_err(|error| error.to_string())?;
        fs::write(&file, secrets).map_err(fault)?;
        Ok(kit)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Returns the path of the other device's bundle.
    pub fn bundle(&self) -> PathBuf {
        self.path("bundle")
    }

    /// Returns the path for a bundle of the device itself.
    pub fn own_bundle(&self) -> PathBuf {
        self.path("own-bundle")
    }

    /// Returns the folder of the demo package under another version, which [`Kit::package()`] makes.
    pub fn package_dir(&self, version: &str) -> PathBuf {
        self.path(&format!("package-{version}"))
    }

    fn signing_key(&self) -> PathBuf {
        self.path("commands.pem")
    }

    fn run(&self, args: &[&str]) -> Result<String, String> {
        let output = Command::new(&self.program).args(args).output();
        said(args, &output.map_err(|error| format!("{}: {error}", self.program.display()))?)
    }

    /// Returns the photo with this number. Each number gives a different file.
    pub fn photo(&self, number: usize) -> Vec<u8> {
        // Bytes after the end of a JPEG change the file, but not the picture.
        let mut photo = self.photos[number % self.photos.len()].clone();
        photo.resize(photo.len() + number, 0);
        photo
    }

    /// Returns topic and payload of a signed command.
    ///
    /// # Errors
    /// If the command cannot be signed, in words.
    pub fn command(&self, op: &str, args: &Value) -> Result<(String, Vec<u8>), String> {
        let (key, args) = (text(&self.signing_key()), args.to_string());
        let line =
            ["command", "sign", "--key", &key, "--site", "bench", "--device", "unit", "--op", op, "--args", &args];
        let printed = self.run(&[&line[..], &["--expires-s", "86400"]].concat())?;
        let mut lines = printed.lines().map(str::to_owned);
        let command = lines.next().zip(lines.next().map(String::into_bytes));
        command.ok_or_else(|| format!("no command: {printed}"))
    }

    /// Makes a folder with the demo package under another version.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn package(&self, version: &str) -> io::Result<PathBuf> {
        let dir = self.package_dir(version);
        fs::create_dir_all(&dir)?;
        for entry in fs::read_dir(&self.package)? {
            let entry = entry?;
            fs::copy(entry.path(), dir.join(entry.file_name()))?;
        }
        let manifest = dir.join("package.toml");
        let text = fs::read_to_string(&manifest)?.replace("\"1.0.0\"", &format!("\"{version}\""));
        fs::write(manifest, text)?;
        Ok(dir)
    }

    /// Lets the device import the other device's events, and returns its output.
    pub fn import_bundle(&self, device: &Device) -> Result<String, String> {
        let file = text(&self.bundle());
        device.run(&["queue", "import", &file, "--key", &self.secrets.bundle_key, "--device", "bench/other"])
    }

    fn make_bundle(&mut self) -> Result<(), String> {
        let dir = self.path("other");
        let config = dir.join("config.toml");
        let fault = |error: io::Error| format!("{}: {error}", dir.display());
        fs::create_dir_all(dir.join("camera")).map_err(fault)?;
        for number in 0..BUNDLED {
            // These numbers are far from those of all other photos.
            fs::write(dir.join(format!("camera/{number}.jpg")), self.photo(100_000 + number)).map_err(fault)?;
        }
        let package = &self.package;
        let settings = format!(
            "[device]\nsite = \"bench\"\nid = \"other\"\ndata_dir = \"data\"\n[package]\ndir = {package:?}\n\
             [intake]\nfolders = [\"camera\"]\n[photo]\nthumbnail_px = 0\n[storage]\nreserve_megabytes = 1\n"
        );
        fs::write(&config, settings).map_err(fault)?;
        let (config, camera, file) = (text(&config), text(&dir.join("camera")), text(&self.bundle()));
        self.run(&["ingest", "--config", &config, &camera])?;
        self.run(&["queue", "export", "--config", &config, &file])?;
        self.secrets.bundle_key = self.run(&["queue", "key", "--config", &config])?.trim().to_owned();
        self.secrets.bundle_ids = ids(&fs::read_to_string(self.bundle()).map_err(fault)?);
        Ok(())
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Returns the ids of the events in a bundle.
fn ids(bundle: &str) -> Vec<String> {
    let lines = bundle.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter_map(|line| Some(line["event"]["id"].as_str()?.to_owned())).collect()
}

fn photos(dir: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut paths: Vec<_> = fs::read_dir(dir)?.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|suffix| suffix.eq_ignore_ascii_case("jpg")));
    paths.sort();
    let mut photos = paths.iter().map(fs::read).collect::<io::Result<Vec<_>>>()?;
    photos.retain(|photo| photo.len() <= PHOTO_BYTES_MAX);
    Ok(photos)
}

/// Returns the SHA-256 hash in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
