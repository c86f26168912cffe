//! The labelled photos that commands work on, and their embeddings from a file or from the package's encoders.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::decode::DecodeArgs;
use super::reading::{self, ReadingArgs};
use super::{npy, progress};
use crate::domain::{Embedding, PhotoQuality};
use crate::encoder::TextEncoder;
use crate::kernels::{Threads, processors, spread};
use crate::package::Package;
use crate::pipeline::{Embedder, Limits};
use crate::reference::{Hit, Reference, Row, RowForm, Rows, Search, photo_path, read_rows};

/// A CSV of labelled photos.
#[derive(Debug, clap::Args)]
pub struct CsvArgs {
    /// Rows with the published columns: image, text, kenzenudo, taisaku, damage_type, damage_loc and *_valid; or with
    /// some of them.
    #[arg(long, value_name = "CSV")]
    pub csv: PathBuf,
    #[command(flatten)]
    pub reading: ReadingArgs,
    #[command(flatten)]
    pub root: RootArgs,
}

/// Where the photos of a CSV lie, and how they are read.
#[derive(Debug, clap::Args)]
pub struct RootArgs {
    /// Replaces the folder part of the image column; otherwise paths start at the CSV's folder.
    #[arg(long, value_name = "DIR")]
    pub image_root: Option<PathBuf>,
    #[command(flatten)]
    pub decode: DecodeArgs,
}

impl RootArgs {
    /// Returns the photos of a CSV, with the root and the decoding given.
    pub fn photos<'a>(&'a self, csv: &'a Path) -> Photos<'a> {
        Photos { csv, root: self.image_root.as_deref(), limits: self.decode.limits() }
    }
}

/// Vectors of the photos that were made before.
#[derive(Debug, clap::Args)]
pub struct EmbeddingsArgs {
    /// Embeddings of the photos, one row for each row of the CSV (f32 or f64); otherwise the photos are embedded.
    #[arg(long, value_name = "FILE.npy")]
    pub embeddings: Option<PathBuf>,
}

/// The photos of a CSV, and how they are read.
#[derive(Clone, Copy, Debug)]
pub struct Photos<'a> {
    /// Path of the CSV.
    pub csv: &'a Path,
    /// Folder that replaces the folder part of the image column.
    pub root: Option<&'a Path>,
    /// How photos are decoded.
    pub limits: Limits,
}

impl CsvArgs {
    pub fn photos(&self) -> Photos<'_> {
        self.root.photos(&self.csv)
    }

    /// Reads the rows. Fails if there are none.
    pub fn rows(&self) -> Result<Rows> {
        rows(&self.csv, RowForm::Labelled, &self.reading)
    }
}

/// Reads the rows of a CSV, and tells what was made of them on standard error. Fails if there are none.
pub fn rows(csv: &Path, form: RowForm, how: &ReadingArgs) -> Result<Rows> {
    let rows = read_rows(csv, form, &how.options())?;
    ensure!(!rows.rows.is_empty(), "{}: no rows below the first line", csv.display());
    reading::report(csv, &rows.report);
    Ok(rows)
}

/// A photo's embedding, and its quality if the photo itself was read.
pub type Seen = (Embedding, Option<PhotoQuality>);

impl Photos<'_> {
    /// Returns an embedding for each row, from `file` or of the photo itself. A photo that cannot be used is named on
    /// standard error and has none.
    pub fn embeddings(&self, file: Option<&Path>, rows: &[Row], package: &Package) -> Result<Vec<Option<Embedding>>> {
        let seen = self.seen(file, rows, package)?;
        Ok(seen.into_iter().map(|seen| seen.map(|(embedding, _)| embedding)).collect())
    }

    /// Returns an embedding for each row, from `file` or of the photo itself, and the quality of the photo in the
    /// latter case. A photo that cannot be used is named on standard error and has none.
    pub fn seen(&self, file: Option<&Path>, rows: &[Row], package: &Package) -> Result<Vec<Option<Seen>>> {
        if let Some(file) = file {
            let stored = self.stored(file, rows, package)?.into_iter();
            return Ok(stored.map(|embedding| Some((embedding?, None))).collect());
        }
        let embedder = Embedder::load(package, self.limits, &Threads::default())?;
        let look = |row: &Row| {
            let path = photo_path(self.csv, self.root, &row.image);
            let seen = embedder.embed_file(&path).map(|embedded| (embedded.embedding, Some(embedded.quality)));
            seen.map_err(|error| format!("{}: {error}", path.display()))
        };
        Ok(self.named(rows, on_all_cores(rows, "photos", look)))
    }

    /// Returns an embedding for each row, from `file` or of the caption.
    pub fn text_embeddings(
        &self,
        file: Option<&Path>,
        rows: &[Row],
        package: &Package,
    ) -> Result<Vec<Option<Embedding>>> {
        if let Some(file) = file {
            return self.stored(file, rows, package);
        }
        let encoder = TextEncoder::load(package, &Threads::default())?;
        let embed = |row: &Row| encoder.encode(&row.caption).map_err(|error| format!("column `text`: {error}"));
        Ok(self.named(rows, on_all_cores(rows, "texts", embed)))
    }

    /// Reads an embedding for each row and normalises it. Fails if a row has only zeros.
    fn stored(&self, file: &Path, rows: &[Row], package: &Package) -> Result<Vec<Option<Embedding>>> {
        let matrix = npy::read_for(file, self.csv, rows.len(), package.manifest().embedding_dim)?;
        let embedding = |(index, (row, values)): (usize, (&Row, &[f32]))| {
            Embedding::normalise(values.to_vec()).map(Some).with_context(|| {
                format!("{}: row {index}, counted from 0 (line {} of the CSV)", file.display(), row.line)
            })
        };
        rows.iter().zip(matrix.values.chunks(matrix.columns)).enumerate().map(embedding).collect()
    }

    /// Prints every failure with the line of its row, and turns it into None.
    fn named<T>(&self, rows: &[Row], results: Vec<Result<T, String>>) -> Vec<Option<T>> {
        let name = |(row, result): (&Row, Result<T, String>)| {
            let print = |reason| eprintln!("bridgeclip: {}, line {}: {reason}", self.csv.display(), row.line);
            result.map_err(print).ok()
        };
        rows.iter().zip(results).map(name).collect()
    }
}

/// Number of photos that share a scan of the reference.
const QUERIES: usize = 256;

/// Returns the nearest `count` reference photos of each photo, most similar first, with a progress bar.
pub fn nearest(reference: &Reference, photos: &[Embedding], count: usize) -> Result<Vec<Vec<Hit>>> {
    let bar = progress::bar(photos.len(), "searches");
    let mut found = Vec::with_capacity(photos.len());
    for photos in photos.chunks(QUERIES) {
        found.extend(reference.hits(photos, &Search::nearest(count))?);
        bar.inc(photos.len() as u64);
    }
    bar.finish_and_clear();
    Ok(found)
}

/// Works on one item per thread at a time, with a progress bar. Returns the results in the order of the items.
pub fn on_all_cores<T: Sync, R: Send>(items: &[T], unit: &'static str, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let bar = progress::bar(items.len(), unit);
    let results = spread(items, processors(), |item| {
        let result = work(item);
        bar.inc(1);
        result
    });
    bar.finish_and_clear();
    results
}
