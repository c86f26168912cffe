//! Builds a reference: from labelled photos, from embeddings made elsewhere, or from other references.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use bridgeclip_domain::{Category, Embedding, Sha256};
use bridgeclip_kernels::spread;
use bridgeclip_photo::Decoding;

use super::writer::{Rejected, Writer};
use super::{Record, Reference, ReferenceError, Stamp};

/// A labelled photo of the CSV, with the path of its file.
#[derive(Clone, Debug)]
pub struct Source {
    pub record: Record,
    /// Path of the photo's file.
    pub path: PathBuf,
}

/// The input of a build.
#[derive(Clone, Copy, Debug)]
pub struct BuildInput<'a> {
    /// The photos to embed, in the order of their rows in the reference.
    pub sources: &'a [Source],
    /// Way in which `embed` decodes the photos. Another decoding starts the build anew.
    pub decoding: Decoding,
}

/// The outcome of a build.
#[derive(Clone, Debug, PartialEq)]
pub enum Build {
    /// The reference is in its place.
    Complete {
        /// Number of photos in the reference.
        photos: usize,
        /// Rows whose photos could not be used.
        rejected: Vec<Rejected>,
    },
    /// No photo could be used. A file that was at the target path before is unchanged.
    Empty { rejected: Vec<Rejected> },
    /// The build was told to stop. The same call resumes it.
    Stopped {
        /// Number of rows of the input that are done.
        done: usize,
    },
}

/// Number of photos that one thread embeds before the results are written.
const PHOTOS_PER_THREAD: usize = 16;

/// Embeds every photo with `embed`, one photo per thread, and writes the reference to `path`. The file appears there
/// complete or not at all.
///
/// `progress` receives the number of photos done. The build ends early once `stop` is set. The next call with the same
/// input resumes a build that was stopped or whose process was killed.
pub fn build(
    path: &Path,
    stamp: &Stamp,
    input: BuildInput<'_>,
    threads: usize,
    stop: &AtomicBool,
    embed: impl Fn(&Path) -> Result<Embedding, String> + Sync,
    mut progress: impl FnMut(usize),
) -> Result<Build, ReferenceError> {
    let sources = input.sources;
    refuse_duplicates(sources.iter().map(|source| (&*source.record.image, format!("line {}", source.record.line))))?;
    let (writer, mut done) = Writer::start(path, stamp, identity(input))?;
    progress(done);
    for chunk in sources[done..].chunks(threads.max(1) * PHOTOS_PER_THREAD) {
        if stop.load(Ordering::Relaxed) {
            return Ok(Build::Stopped { done });
        }
        for (source, result) in chunk.iter().zip(spread(chunk, threads, |source| embed(&source.path))) {
            match result {
                Ok(embedding) => writer.add(&source.record, &embedding)?,
                Err(reason) => {
                    let (line, path) = (source.record.line, source.path.clone());
                    writer.reject(&Rejected { line, path, reason })?;
                }
            }
        }
        done += chunk.len();
        writer.checkpoint(done)?;
        progress(done);
    }
    if writer.is_empty()? {
        let rejected = writer.rejected()?;
        writer.discard();
        return Ok(Build::Empty { rejected });
    }
    let (photos, rejected) = writer.finish()?;
    Ok(Build::Complete { photos, rejected })
}

/// Writes a reference from rows that already have embeddings. `embeddings` is `[rows][dim]`; [`Record::row`] selects a
/// record's row. Returns the number of photos.
pub fn import(path: &Path, stamp: &Stamp, records: &[Record], embeddings: &[f32]) -> Result<usize, ReferenceError> {
    refuse_duplicates(records.iter().map(|record| (&*record.image, format!("line {}", record.line))))?;
    write_anew(path, stamp, |writer| {
        for record in records {
            let values = embeddings[record.row * stamp.embedding_dim..][..stamp.embedding_dim].to_vec();
            let embedding = Embedding::normalise(values).map_err(|error| ReferenceError::Input {
                path: PathBuf::from(&record.image),
                reason: format!("line {}, row {} of the embeddings: {error}", record.line, record.row),
            })?;
            writer.add(record, &embedding)?;
        }
        Ok(())
    })
}

/// Joins references with the same stamp into one, in the order given. Returns the number of photos, 0 if `parts` is
/// empty.
pub fn merge(path: &Path, parts: &[PathBuf]) -> Result<usize, ReferenceError> {
    let Some(first) = parts.first() else { return Ok(0) };
    let stamp = super::Info::read(first)?.stamp;
    let open = |part: &PathBuf| Ok((part.display().to_string(), Reference::open_stamped(part, &stamp)?));
    let parts = parts.iter().map(open).collect::<Result<Vec<_>, ReferenceError>>()?;
    write_anew(path, &stamp, |writer| {
        let mut seen: HashMap<String, &str> = HashMap::new();
        for (part, reference) in &parts {
            for row in reference.rows() {
                let (record, embedding) = row?;
                if let Some(first) = seen.insert(record.image.clone(), part) {
                    return Err(duplicate(&record.image, first, part));
                }
                writer.add(&record, &embedding)?;
            }
        }
        Ok(())
    })
}

/// Writes a reference whose input takes too little time to be worth resuming: an error leaves nothing behind.
fn write_anew(
    path: &Path,
    stamp: &Stamp,
    fill: impl FnOnce(&Writer) -> Result<(), ReferenceError>,
) -> Result<usize, ReferenceError> {
    let input = Sha256::of(uuid::Uuid::new_v4().as_bytes());
    let (writer, _) = Writer::start(path, stamp, input)?;
    match fill(&writer) {
        Ok(()) => Ok(writer.finish()?.0),
        Err(error) => {
            writer.discard();
            Err(error)
        }
    }
}

/// Fails if a name occurs twice. `rows` has the name and the place of each photo; the place is for the message.
pub fn refuse_duplicates<'a>(rows: impl Iterator<Item = (&'a str, String)>) -> Result<(), ReferenceError> {
    let mut seen: HashMap<&str, String> = HashMap::new();
    for (name, place) in rows {
        if let Some(first) = seen.insert(name, place.clone()) {
            return Err(duplicate(name, &first, &place));
        }
    }
    Ok(())
}

fn duplicate(name: &str, first: &str, second: &str) -> ReferenceError {
    ReferenceError::Duplicate { source_name: name.to_owned(), first: first.to_owned(), second: second.to_owned() }
}

/// Identifies the input of a build. Another list, other labels, another decoding or files of another size give another
/// identity. An unfinished build is resumed only with the same identity.
fn identity(BuildInput { sources, decoding }: BuildInput<'_>) -> Sha256 {
    let mut text = format!("{decoding:?}\n");
    for Source { record, path } in sources {
        let labels = Category::ALL.map(|category| record.labels.get(category).to_cell(category));
        let bytes = fs::metadata(path).map_or(0, |metadata| metadata.len());
        text += &format!("{:?}\n", (&record.image, path, &record.caption, labels, bytes));
    }
    Sha256::of(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn photos_that_are_decoded_otherwise_are_another_input() {
        let identity = |decoding| identity(BuildInput { sources: &[], decoding });
        assert_eq!(identity(Decoding::default()), identity(Decoding::default()));
        assert_ne!(identity(Decoding::default()), identity(Decoding::Exact));
    }
}
