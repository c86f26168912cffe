//! The option of all commands that read a model package, and the demo files, which stand in for it.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::package::Package;

/// The demo files, in the source tree or under /usr/share.
pub struct DemoFiles {
    /// The folder of the demo package.
    pub package: PathBuf,
    /// The folder of the sample photos.
    pub photos: PathBuf,
}

/// The model package of a command that only reads it.
#[derive(Debug, clap::Args)]
pub struct PackageArgs {
    /// The model package; the synthetic demo package if not given.
    #[arg(long, value_name = "DIR", id = "package")]
    package: Option<PathBuf>,
}

impl PackageArgs {
    /// Opens the package, or the demo package if none was given.
    pub fn open(&self) -> Result<Package> {
        match &self.package {
            Some(dir) => Ok(Package::open(dir)?),
            None => Ok(Package::open(&DemoFiles::find()?.package)?),
        }
    }
}

impl DemoFiles {
    /// Finds the files in `models/demo` above the program or above the current folder, or where a system package
    /// installs them.
    pub fn find() -> Result<Self> {
        let program = std::env::current_exe().context("cannot tell where this program lies")?;
        let here = std::env::current_dir().context("cannot tell the current folder")?;
        let above = program.ancestors().chain(here.ancestors()).map(|dir| dir.join("models/demo"));
        let installed = PathBuf::from("/usr/share/bridgeclip/demo");
        match above.chain([installed]).find(|dir| dir.join("package/package.toml").is_file()) {
            Some(dir) => Ok(DemoFiles { package: dir.join("package"), photos: dir.join("photos") }),
            None => bail!("the demo package was not found (models/demo in the source tree); give --package DIR"),
        }
    }

    /// Returns the sample photos in the order of their names.
    pub fn photos(&self) -> Result<Vec<PathBuf>> {
        let dir = &self.photos;
        let entries = fs::read_dir(dir).with_context(|| format!("{}: cannot read", dir.display()))?;
        let is_photo = |path: &PathBuf| path.extension().is_some_and(|suffix| suffix.eq_ignore_ascii_case("jpg"));
        let mut photos: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(is_photo).collect();
        photos.sort();
        Ok(photos)
    }
}
