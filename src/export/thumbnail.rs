//! Small pictures of the photos: those that wait in the queue, or else made anew from the photo's file.

use std::num::NonZeroU32;

use super::{ExportError, Record};
use crate::domain::Sha256;
use crate::journal::{JournalError, Reader, StoredCapture, ThumbnailPlaces};
use crate::photo::{decode, orientation, thumbnail};
use crate::pipeline::{Limits, read_file};

/// Long side of a picture that is made anew.
const LONG_SIDE_PX: NonZeroU32 = NonZeroU32::new(320).expect("not zero");

/// Where thumbnails come from.
pub struct Thumbnails<'a> {
    reader: &'a Reader,
    /// Some fifty bytes for each that waits.
    waiting: ThumbnailPlaces,
    /// On the photos' files.
    limits: Limits,
}

impl<'a> Thumbnails<'a> {
    pub fn new(reader: &'a Reader, limits: Limits) -> Result<Self, ExportError> {
        Ok(Thumbnails { reader, waiting: reader.thumbnail_places()?, limits })
    }

    /// A JPEG; `None` if the thumbnail was sent off and the photo is not there any more.
    pub fn of(&self, record: &Record) -> Result<Option<Vec<u8>>, ExportError> {
        let place = record.capture.thumbnail_id().and_then(|id| self.waiting.get(id));
        let waiting = match place.map_or(Ok(None), |&place| self.reader.thumbnail(place)) {
            Err(JournalError::Damaged(_)) => None,
            waiting => waiting?,
        };
        Ok(waiting.or_else(|| self.make(&record.capture)))
    }

    /// Of the file only if it still is that photo: cameras use names again.
    fn make(&self, capture: &StoredCapture) -> Option<Vec<u8>> {
        let bytes = read_file(&capture.path, &self.limits).ok()?;
        if Sha256::of(&bytes) != capture.sha256 {
            return None;
        }
        let raster = decode(&bytes, &self.limits.photo).ok()?;
        Some(thumbnail(&raster, orientation(&bytes), LONG_SIDE_PX))
    }
}
