//! Small pictures of the photos: the stored ones, or new ones made from the photos' files.

use std::num::NonZeroU32;

use super::{ExportError, Record};
use crate::domain::Sha256;
use crate::journal::{JournalError, Reader, StoredCapture};
use crate::photo::{MemoryBudget, OpenPhoto, orientation, thumbnail};
use crate::pipeline::{Limits, read_file};

/// Long side of a picture that is made again, in pixels.
const LONG_SIDE_PX: NonZeroU32 = NonZeroU32::new(320).expect("not zero");

/// Source of thumbnails.
pub struct Thumbnails<'a> {
    pub reader: &'a Reader,
    /// Limits on the photos' files.
    pub limits: Limits,
    /// Memory budget for decoding photos.
    pub memory: &'a MemoryBudget,
}

impl Thumbnails<'_> {
    /// Returns a JPEG; `None` if no thumbnail is stored any more and the photo is gone.
    pub fn of(&self, record: &Record) -> Result<Option<Vec<u8>>, ExportError> {
        let stored = match self.reader.thumbnail(record.capture.id) {
            // A database of an older program lacks this table until the daemon opens it.
            Err(error) if matches!(error, JournalError::Damaged(_)) || error.is_misfit() => None,
            stored => stored?,
        };
        Ok(stored.or_else(|| self.make(&record.capture)))
    }

    /// Makes a thumbnail from the file, but only if the file still is that photo: cameras reuse names.
    fn make(&self, capture: &StoredCapture) -> Option<Vec<u8>> {
        let bytes = read_file(&capture.facts.image.path, &self.limits).ok()?;
        if Sha256::of(&bytes) != capture.facts.image.sha256 {
            return None;
        }
        let photo = OpenPhoto::new(&bytes, &self.limits.photo).ok()?;
        // Turning upright happens on the thumbnail, so decoding needs no memory for it.
        let _memory = self.memory.take(photo.memory(false));
        let raster = photo.decode().ok()?;
        Some(thumbnail(&raster, orientation(&bytes), LONG_SIDE_PX))
    }
}
