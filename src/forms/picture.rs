//! Pictures for forms: photos at 1,280 pixels, and those of the inspection before.

use std::cell::Cell;
use std::fs;
use std::io::{self, Error, ErrorKind};
use std::num::NonZeroU32;
use std::path::PathBuf;

use crate::domain::Sha256;
use crate::export::ExportError;
use crate::journal::{Reader, StoredCapture};
use crate::photo::{self, Decoding, MemoryBudget, OpenPhoto, Orientation, Raster, orientation};
use crate::pipeline::{Limits, read_file};
use crate::workbook::picture_size;

/// Long side of a picture in pixels.
pub const LONG_SIDE_PX: NonZeroU32 = NonZeroU32::new(1_280).expect("not zero");
/// Maximum size of a picture in bytes: 400 of them with their workbook take less than 60 MB.
const BYTES_MAX: usize = 140 << 10;

/// Source of the pictures of a form, by the keys that [`super::marks`] gives them.
pub struct Pictures<'a> {
    pub reader: &'a Reader,
    pub limits: Limits,
    /// Memory budget that decoding shares.
    pub memory: &'a MemoryBudget,
    /// Folder that keeps pictures for the next form.
    pub cache: Option<PathBuf>,
    /// Called for each picture. If it returns an error, the form ends.
    pub progress: &'a dyn Fn() -> Result<(), ExportError>,
    /// Number of photos whose file is gone and whose thumbnail is shown.
    pub thumbnails: usize,
    /// Number of photos of which nothing can be shown.
    pub missing: usize,
    stopped: Cell<bool>,
}

impl<'a> Pictures<'a> {
    pub fn new(
        reader: &'a Reader,
        limits: Limits,
        memory: &'a MemoryBudget,
        progress: &'a dyn Fn() -> Result<(), ExportError>,
    ) -> Self {
        Pictures { reader, limits, memory, cache: None, progress, thumbnails: 0, missing: 0, stopped: Cell::new(false) }
    }

    /// Whether the requester no longer wants the form.
    pub fn is_stopped(&self) -> bool {
        self.stopped.get()
    }

    /// Returns a JPEG or PNG by its key. A photo whose file is gone or has changed is shown by its thumbnail, or else as a
    /// crossed field.
    pub fn load(&mut self, key: &str) -> io::Result<Vec<u8>> {
        (self.progress)().map_err(|_| {
            self.stopped.set(true);
            Error::new(ErrorKind::Interrupted, "stopped")
        })?;
        let unknown = || Error::new(ErrorKind::NotFound, "there is no such picture");
        let (kind, id) = key.split_once(':').ok_or_else(unknown)?;
        let id: i64 = id.parse().map_err(|_| unknown())?;
        match kind {
            "last" => self.reader.last_picture(id).map_err(Error::other)?.ok_or_else(unknown),
            "photo" => self.photo(id),
            _ => Err(unknown()),
        }
    }

    fn photo(&mut self, id: i64) -> io::Result<Vec<u8>> {
        let kept = self.cache.as_ref().map(|dir| dir.join(format!("{id}.jpg")));
        if let Some(bytes) = kept.as_ref().and_then(|path| fs::read(path).ok()) {
            return Ok(bytes);
        }
        let capture = self.reader.capture(id).map_err(Error::other)?;
        let made = capture.as_ref().and_then(|capture| self.of_file(capture));
        let bytes = match (made, capture) {
            (Some(bytes), _) => bytes,
            (None, Some(capture)) => match self.reader.thumbnail(capture.id).ok().flatten() {
                Some(thumbnail) => {
                    self.thumbnails += 1;
                    thumbnail
                }
                None => self.missing_picture(),
            },
            (None, None) => self.missing_picture(),
        };
        if let Some(path) = kept {
            fs::write(path, &bytes)?;
        }
        Ok(bytes)
    }

    fn missing_picture(&mut self) -> Vec<u8> {
        self.missing += 1;
        crossed_field()
    }

    /// Makes the picture of a file that still is the photo; cameras reuse names.
    fn of_file(&self, capture: &StoredCapture) -> Option<Vec<u8>> {
        let bytes = read_file(&capture.facts.image.path, &self.limits).ok()?;
        (Sha256::of(&bytes) == capture.facts.image.sha256).then(|| shrink(&bytes, &self.limits.photo, self.memory))?
    }
}

/// Returns the photo upright at 1,280 pixels; `None` if it cannot be decoded within the limits.
pub fn shrink(bytes: &[u8], limits: &photo::Limits, memory: &MemoryBudget) -> Option<Vec<u8>> {
    let turn = orientation(bytes);
    if turn == Orientation::UPRIGHT && is_small_jpeg(bytes) && OpenPhoto::new(bytes, limits).is_ok() {
        return Some(bytes.to_vec());
    }
    // A photo is decoded at the fraction that leaves the pixels that are needed: 3:4 unless its header says more.
    let long_side = LONG_SIDE_PX.get();
    let short_side_min = picture_size(bytes).map_or(long_side * 3 / 4, |size| {
        let (long, short) = (size.width.max(size.height), size.width.min(size.height));
        (u64::from(long_side) * u64::from(short)).div_ceil(u64::from(long.max(1))).max(1) as u32
    });
    let limits = photo::Limits { decoding: Decoding::Scaled { short_side_min }, ..*limits };
    let photo = OpenPhoto::new(bytes, &limits).ok()?;
    let _share = memory.take(photo.memory(false));
    Some(photo::picture(&photo.decode().ok()?, turn, LONG_SIDE_PX, BYTES_MAX))
}

/// Whether a file is a JPEG that a form can take as it is, without what else a camera writes into its files.
fn is_small_jpeg(bytes: &[u8]) -> bool {
    let size = picture_size(bytes);
    bytes.len() <= BYTES_MAX
        && size.is_ok_and(|size| size.extension == "jpeg" && size.width.max(size.height) <= LONG_SIDE_PX.get())
}

/// Returns a grey field with a cross, for a photo of which nothing is left.
pub fn crossed_field() -> Vec<u8> {
    const SIDE: u32 = 240;
    let is_cross = |x: u32, y: u32| x.abs_diff(y) < 3 || (x + y).abs_diff(SIDE - 1) < 3;
    let pixels = (0..SIDE).flat_map(|y| (0..SIDE).flat_map(move |x| [if is_cross(x, y) { 120 } else { 225 }; 3]));
    photo::picture(&Raster::whole(SIDE, SIDE, pixels.collect()), Orientation::UPRIGHT, LONG_SIDE_PX, BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn photos_come_upright_at_1280_pixels_and_small_ones_as_they_are() {
        let limits = photo::Limits::default();
        let memory = MemoryBudget::new(limits.memory_bytes_max);
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo/photos");
        let large = fs::read(format!("{dir}/DJI_0008.JPG")).expect("read");
        let made = shrink(&large, &limits, &memory).expect("a picture");
        let size = picture_size(&made).expect("a JPEG");
        assert_eq!((size.width, size.height), (1280, 960));
        assert!(made.len() <= BYTES_MAX, "{}", made.len());
        assert_eq!(shrink(&made, &limits, &memory), Some(made), "it is small enough");
        assert_eq!(shrink(b"\xff\xd8\xff", &limits, &memory), None);
        assert!(picture_size(&crossed_field()).is_ok());
    }
}
