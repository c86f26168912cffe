//! Making a reference from labelled photos.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use super::store::Writer;
use super::{Record, ReferenceError, Stamp};
use crate::domain::Embedding;

/// A labelled photo of the CSV and where its file lies.
#[derive(Clone, Debug)]
pub struct Source {
    pub record: Record,
    pub path: PathBuf,
}

/// A row whose photo could not be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejected {
    /// Line of the CSV.
    pub line: u64,
    pub path: PathBuf,
    pub reason: String,
}

/// How a build went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BuildReport {
    pub photos: usize,
    pub rejected: Vec<Rejected>,
}

/// Photos that one thread takes before the results are written.
const PHOTOS_PER_THREAD: usize = 16;

/// Embeds every photo with `embed`, one photo per thread, and writes the reference to `path`. The file appears there
/// complete or not at all. `progress` is told the number of photos done since it was last called.
pub fn build(
    path: &Path,
    stamp: &Stamp,
    sources: &[Source],
    threads: usize,
    embed: impl Fn(&Path) -> Result<Embedding, String> + Sync,
    mut progress: impl FnMut(usize),
) -> Result<BuildReport, ReferenceError> {
    let failed = |source| ReferenceError::Io { path: path.to_owned(), source };
    let temporary = tempfile::Builder::new().prefix(".reference-").tempfile_in(folder(path)).map_err(failed)?;
    let mut writer = Writer::create(temporary.path(), stamp)?;
    let mut report = BuildReport::default();
    for chunk in sources.chunks(threads.max(1) * PHOTOS_PER_THREAD) {
        for (source, result) in chunk.iter().zip(embed_all(chunk, threads, &embed)) {
            match result {
                Ok(embedding) => {
                    writer.add(&source.record, &embedding)?;
                    report.photos += 1;
                }
                Err(reason) => {
                    report.rejected.push(Rejected { line: source.record.line, path: source.path.clone(), reason });
                }
            }
        }
        progress(chunk.len());
    }
    writer.finish()?;
    publish(temporary, path).map_err(failed)?;
    Ok(report)
}

/// The results in the order of `sources`.
fn embed_all(
    sources: &[Source],
    threads: usize,
    embed: &(impl Fn(&Path) -> Result<Embedding, String> + Sync),
) -> Vec<Result<Embedding, String>> {
    let mut results: Vec<_> = sources.iter().map(|_| Err("not reached".to_owned())).collect();
    let work = Mutex::new(sources.iter().zip(&mut results));
    let next = || work.lock().expect("no thread panics while it holds the lock").next();
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while let Some((source, result)) = next() {
                    *result = embed(&source.path);
                }
            });
        }
    });
    results
}

fn publish(temporary: tempfile::NamedTempFile, path: &Path) -> io::Result<()> {
    temporary.as_file().sync_all()?;
    fs::set_permissions(temporary.path(), fs::Permissions::from_mode(0o644))?;
    temporary.persist(path)?;
    File::open(folder(path))?.sync_all()
}

/// The folder of a file; that of a bare name is the current one.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
