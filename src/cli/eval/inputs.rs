//! The rows to be evaluated and their embeddings, from a file or by the package's encoders.

use std::path::Path;
use std::sync::Mutex;
use std::thread;

use anyhow::{Result, ensure};
use indicatif::ProgressBar;

use super::super::progress;
use super::numpy;
use crate::domain::Embedding;
use crate::encoder::{Package, TextEncoder};
use crate::kernels::Threads;
use crate::pipeline::{Embedder, Limits};
use crate::reference::{Row, RowForm, photo_path, read_rows};

/// Where the photos of a CSV lie.
#[derive(Clone, Copy, Debug)]
pub struct Photos<'a> {
    pub csv: &'a Path,
    /// Replaces the folder part of the image column.
    pub root: Option<&'a Path>,
    pub limits: Limits,
}

/// The rows of a CSV; one without rows is refused.
pub fn rows(csv: &Path, form: RowForm) -> Result<Vec<Row>> {
    let rows = read_rows(csv, form)?;
    ensure!(!rows.is_empty(), "{}: no rows below the first line; nothing can be evaluated", csv.display());
    Ok(rows)
}

impl Photos<'_> {
    /// An embedding per row from `file`, or of the photo itself. A photo that cannot be used is named on standard error
    /// and has none.
    pub fn embeddings(&self, file: Option<&Path>, rows: &[Row], package: &Package) -> Result<Vec<Option<Embedding>>> {
        if let Some(file) = file {
            let dim = package.manifest().embedding_dim;
            return Ok(numpy::read(file, rows, Some(dim))?.into_iter().map(Some).collect());
        }
        let embedder = Embedder::load(package, self.limits, &Threads::default())?;
        let embed = |row: &Row| {
            let path = photo_path(self.csv, self.root, &row.image);
            let embedded = embedder.embed_file(&path).map(|embedded| embedded.embedding);
            embedded.map_err(|error| format!("{}: {error}", path.display()))
        };
        Ok(self.named(rows, on_all_cores(rows, "photos", embed)))
    }

    /// An embedding per row from `file`, or of the caption.
    pub fn text_embeddings(
        &self,
        file: Option<&Path>,
        rows: &[Row],
        package: &Package,
    ) -> Result<Vec<Option<Embedding>>> {
        if let Some(file) = file {
            let dim = package.manifest().embedding_dim;
            return Ok(numpy::read(file, rows, Some(dim))?.into_iter().map(Some).collect());
        }
        let encoder = TextEncoder::load(package, &Threads::default())?;
        let embed = |row: &Row| encoder.encode(&row.caption).map_err(|error| format!("column `text`: {error}"));
        Ok(self.named(rows, on_all_cores(rows, "texts", embed)))
    }

    /// Names every failure with its line.
    fn named(&self, rows: &[Row], results: Vec<Result<Embedding, String>>) -> Vec<Option<Embedding>> {
        let name = |(row, result): (&Row, Result<Embedding, String>)| {
            let print = |reason| eprintln!("bridgeclip: {}, line {}: {reason}", self.csv.display(), row.line);
            result.map_err(print).ok()
        };
        rows.iter().zip(results).map(name).collect()
    }
}

/// The results in the order of the items, one item per thread at a time, with a progress bar.
fn on_all_cores<T: Sync, R: Send>(items: &[T], unit: &'static str, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let bar = progress::bar(items.len(), unit);
    let mut results: Vec<Option<R>> = items.iter().map(|_| None).collect();
    let queue = Mutex::new(items.iter().zip(&mut results));
    let threads = thread::available_parallelism().map_or(1, Into::into);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work_off(&queue, &work, &bar));
        }
    });
    bar.finish_and_clear();
    results.into_iter().flatten().collect()
}

fn work_off<'a, T: 'a, R: 'a>(
    queue: &Mutex<impl Iterator<Item = (&'a T, &'a mut Option<R>)>>,
    work: &impl Fn(&T) -> R,
    bar: &ProgressBar,
) {
    let next = || queue.lock().expect("no thread panics while it holds the lock").next();
    while let Some((item, result)) = next() {
        *result = Some(work(item));
        bar.inc(1);
    }
}
