//! `bridgeclip reference import-heads`: imports linear heads that were trained elsewhere.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use crate::cli::outcome::Outcome;
use crate::cli::present;
use crate::domain::Sha256;
use crate::heads::{Heads, Preparation};
use crate::package::Package;
use crate::plain_file;
use crate::reference::{FittedKind, Revision};

/// Maximum size of a file of heads. Heads for embeddings of 8,192 values take 1.6 MB.
const BYTES_MAX: u64 = 16 << 20;

/// Keep linear heads that PyTorch trained in the reference, for `--method linear`.
///
/// They must be trained on image features of this model, of photos that were prepared as the package prepares them.
/// `bridgeclip-models heads` makes the file of a checkpoint.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file that `bridgeclip-models heads` wrote.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The model package.
    #[arg(long, value_name = "DIR")]
    package: PathBuf,
    /// Import heads too whose photos were prepared otherwise, or nobody knows how. Their answers on photos of this package
    /// may be much worse than those that were measured in training.
    #[arg(long)]
    any_preparation: bool,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let mut package = Package::open(&args.package)?;
    let revision = Revision::start(&package)?;
    let bytes = read(&args.file).with_context(|| format!("{}: cannot read", args.file.display()))?;
    let heads = Heads::from_bytes(&bytes).with_context(|| args.file.display().to_string())?;
    let dim = package.manifest().embedding_dim;
    ensure!(
        heads.dim() == dim,
        "{}: the heads take embeddings of {} values, the package gives {dim}; they are of another model",
        args.file.display(),
        heads.dim()
    );
    let own = Preparation::from(&package.preprocess());
    ensure_prepared(args, heads.preparation(), own)?;
    let name = present::file_name(&args.file);
    let prepared = heads.preparation().map(|preparation| preparation.to_string());
    let note = json!({ "by": "import-heads", "file": name, "sha256": Sha256::of(&bytes), "photos_as": prepared });
    revision.put(&mut package, FittedKind::Heads, &note, &bytes)?;
    writeln!(std::io::stdout().lock(), "linear heads of {name} are in the reference")?;
    Ok(Outcome::Good)
}

/// Fails if the heads were trained on photos that were not prepared as the package prepares them.
fn ensure_prepared(args: &Args, found: Option<Preparation>, own: Preparation) -> Result<()> {
    if found == Some(own) || args.any_preparation {
        return Ok(());
    }
    let file = args.file.display();
    let Some(found) = found else {
        bail!(
            "{file}: does not say how the photos were prepared that the heads were trained on; make it again with \
             `bridgeclip-models heads`, or import it with --any-preparation"
        )
    };
    bail!(
        "{file}: the heads were trained on photos with {found}; the package prepares them with {own}, on which these heads \
         answer otherwise. Export the model with `bridgeclip-models export --resize {}` and build its reference, train heads \
         on the package's photos with `bridgeclip reference fit-heads`, or import these with --any-preparation",
        found.resize
    )
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    plain_file::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    ensure!(bytes.len() as u64 <= BYTES_MAX, "more than {BYTES_MAX} bytes, too many for linear heads");
    Ok(bytes)
}
