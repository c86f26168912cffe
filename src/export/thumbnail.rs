//! Small pictures of the photos: the stored ones, or else made anew from the photo's file.

use std::num::NonZeroU32;

use super::{ExportError, Record};
use crate::domain::Sha256;
use crate::journal::{JournalError, Reader, StoredCapture};
use crate::photo::{MemoryBudget, OpenPhoto, orientation, thumbnail};
use crate::pipeline::{Limits, read_file};

/// Long side of a picture that is made anew.
const LONG_SIDE_PX: NonZeroU32 = NonZeroU32::new(320).expect("not zero");

/// Where thumbnails come from.
pub struct Thumbnails<'a> {
    pub reader: &'a Reader,
    /// On the photos' files.
    pub limits: Limits,
    /// For decoding them.
    pub memory: &'a MemoryBudget,
}

impl Thumbnails<'_> {
    /// A JPEG; `None` if the thumbnail gave way and the photo is not there any more.
    pub fn of(&self, record: &Record) -> Result<Option<Vec<u8>>, ExportError> {
        let stored = match self.reader.thumbnail(record.capture.id) {
            // A file of an older program has no such table until the daemon opens it.
            Err(error) if matches!(error, JournalError::Damaged(_)) || error.is_misfit() => None,
            stored => stored?,
        };
        Ok(stored.or_else(|| self.make(&record.capture)))
    }

    /// Of the file only if it still is that photo: cameras use names again.
    fn make(&self, capture: &StoredCapture) -> Option<Vec<u8>> {
        let bytes = read_file(&capture.path, &self.limits).ok()?;
        if Sha256::of(&bytes) != capture.sha256 {
            return None;
        }
        let photo = OpenPhoto::new(&bytes, &self.limits.photo).ok()?;
        // The thumbnail is turned, not the photo.
        let _memory = self.memory.take(photo.memory(false));
        let raster = photo.decode().ok()?;
        Some(thumbnail(&raster, orientation(&bytes), LONG_SIDE_PX))
    }
}
