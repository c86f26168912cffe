//! Brings the photos that inspectors have rated from the journal into the classifier's evidence, where they vote.

use log::warn;

use crate::domain::{Inspection, Sha256};
use crate::journal::{JournalError, Reader, StoredResult};
use crate::rated::{Rated, RatedPhotos};

/// Keeper of the rated photos, in step with the journal.
pub struct Learner {
    reader: Reader,
    space: Sha256,
    photos: RatedPhotos,
}

impl Learner {
    /// Reads all rated photos of the embedding space `space` into `photos`.
    pub fn start(reader: Reader, space: Sha256, photos: RatedPhotos) -> Result<Self, JournalError> {
        read(&reader, space, &photos)?;
        Ok(Learner { reader, space, photos })
    }

    /// Updates the votes of captures that have changed. Each votes as it was last judged, or not at all once its
    /// judgement was taken back.
    pub fn follow(&self, captures: &[i64]) {
        for &capture in captures {
            match self.reader.result(capture) {
                Ok(result) => match result.and_then(|result| rated(result, self.space)) {
                    Some(rated) => self.photos.put(rated),
                    None => self.photos.remove(capture),
                },
                Err(error) => warn!("capture {capture} votes as before: {error}"),
            }
        }
    }
}

/// Reads all rated photos of the embedding space `space` into `photos`.
pub fn read(reader: &Reader, space: Sha256, photos: &RatedPhotos) -> Result<(), JournalError> {
    for page in reader.inspected_pages() {
        page?.into_iter().filter_map(|result| rated(result, space)).for_each(|rated| photos.put(rated));
    }
    Ok(())
}

/// Makes a rated photo of a result; `None` if no inspector has judged the capture, or if its embedding is of another
/// space.
fn rated(result: StoredResult, space: Sha256) -> Option<Rated> {
    let StoredResult { capture, embedding, embedding_space, inspection, .. } = result;
    let Inspection { labels, by, .. } = inspection?;
    (embedding_space == Some(space)).then(|| Rated { capture, embedding, labels, by: by.as_str().to_owned() })
}
