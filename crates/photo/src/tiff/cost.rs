//! What decoding the picture of a TIFF file costs, by its layout alone: memory, and the amounts of data that decide the
//! time.

use super::compression::Compression;
use super::error::{broken, refused};
use super::picture::Picture;
use crate::PhotoError;
use crate::limits::{Limits, Memory, check_pixels};

/// Bytes that a strip or tile takes in the table of parts.
const PART_BYTES: u64 = 16;
/// Bytes of samples for each pixel of the limit: four samples of 8 bits. A picture may have larger pixels if it has
/// fewer of them.
const SAMPLE_BYTES: u64 = 4;
/// Bytes of JPEGs that are read beyond the size of the file, for each byte of their pixels. Strips and tiles of other
/// compressions have a limit of their own (`unpack`).
const JPEG_INPUT_FACTOR: u64 = 2;

impl Picture<'_> {
    /// Returns the memory that decoding takes: the pixels, one part of each plane, and what its decoder holds.
    pub fn memory(&self) -> Memory {
        let pixels = u64::from(self.width) * u64::from(self.height);
        let part = self.row_bytes().saturating_mul(self.rows(self.part[1])).saturating_mul(self.planes() as u64);
        let beside = self.compression.memory(&self.parts, self.part[0]) + PART_BYTES * self.parts.len() as u64;
        // More than any machine has, and far from an overflow of what is added to it.
        let part = part.min(1 << 60);
        Memory { decoding: 3 * pixels + part + beside, raster: 3 * pixels }
    }

    /// Returns an error if decoding would take longer than for a usual picture of as many pixels as the limit allows.
    /// All strips or tiles may be the same few bytes of the file, so its size bounds nothing.
    pub fn check_time(&self, file: usize, limits: &Limits) -> Result<(), PhotoError> {
        let covered = self.covered();
        check_pixels(covered, "TIFF", limits)?;
        let [width, height] = covered.map(u64::from);
        let bits = (self.samples * self.bits) as u64;
        if (width * height).saturating_mul(bits) / 8 > limits.pixels_max.saturating_mul(SAMPLE_BYTES) {
            return Err(refused("a large TIFF of very many samples"));
        }
        if self.jpeg_input() > file as u64 + JPEG_INPUT_FACTOR * 3 * width * height {
            return Err(broken("the JPEGs in its strips or tiles are longer than their pixels"));
        }
        Ok(())
    }

    /// Returns width and height of what is decoded in pixels, saturating. Tiles are decoded completely, whatever part
    /// of them lies in the picture.
    fn covered(&self) -> [u32; 2] {
        let whole = [self.width, self.height];
        if !self.is_tiled {
            return whole;
        }
        [0, 1].map(|axis| whole[axis].checked_next_multiple_of(self.part[axis]).unwrap_or(u32::MAX))
    }

    /// Returns the bytes of JPEGs that are read: each part is preceded by the shared tables.
    fn jpeg_input(&self) -> u64 {
        let Compression::Jpeg { tables } = self.compression else { return 0 };
        self.parts.iter().map(|part| (tables.len() + part.len()) as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::directory::tag;
    use super::super::picture::tests::{outcome, pixel, rgb};
    use super::super::sample::{LONG, Layout, SHORT, file};
    use super::*;
    use crate::{OpenPhoto, libjpeg};

    #[test]
    fn huge_tiles_are_measured_before_they_are_made() {
        for side in [1 << 14, 1 << 20, u32::MAX] {
            let fields = [
                (tag::TILE_WIDTH, LONG, vec![side]),
                (tag::TILE_LENGTH, LONG, vec![side]),
                (tag::TILE_OFFSETS, LONG, vec![8]),
                (tag::TILE_BYTE_COUNTS, LONG, vec![3]),
            ];
            assert!(outcome(&pixel(&fields)).is_err_and(|message| message.contains("bytes of memory")), "{side}");
        }
    }

    #[test]
    fn memory_is_that_of_the_pixels_and_one_part_of_each_plane() {
        let stored = |_, _, _| vec![0, 0];
        for is_planar in [false, true] {
            let layout = Layout { part: [64, 64], is_planar, ..Layout::plain(1000, 500) };
            let bytes = layout.file(4, 2, &stored, &[rgb()]);
            let parts = 16 * 8 * if is_planar { 4 } else { 1 };
            let super::super::Content::Pixels(picture) = super::super::inspect(&bytes).expect("whole") else {
                panic!("no raw file")
            };
            let expected = 3 * 500_000 + 64 * 64 * 4 * 2 + parts * PART_BYTES + (1 << 17);
            assert_eq!(picture.memory(), Memory { decoding: expected, raster: 1_500_000 });
            assert!(OpenPhoto::new(&bytes, &Limits::default()).expect("opens").memory(false) >= expected);
        }
    }

    /// A picture of grey tiles, all of which are the same bytes of the file.
    fn shared(size: [u32; 2], tile: [u32; 2], compression: u32, data: &[u8], tables: &[u8]) -> Vec<u8> {
        let count = (size[0].div_ceil(tile[0]) * size[1].div_ceil(tile[1])) as usize;
        let mut fields = vec![
            (tag::IMAGE_WIDTH, LONG, vec![size[0]]),
            (tag::IMAGE_LENGTH, LONG, vec![size[1]]),
            (tag::BITS_PER_SAMPLE, SHORT, vec![8]),
            (tag::COMPRESSION, SHORT, vec![compression]),
            (tag::PHOTOMETRIC_INTERPRETATION, SHORT, vec![1]),
            (tag::TILE_WIDTH, LONG, vec![tile[0]]),
            (tag::TILE_LENGTH, LONG, vec![tile[1]]),
            (tag::TILE_OFFSETS, LONG, vec![8; count]),
            (tag::TILE_BYTE_COUNTS, LONG, vec![data.len() as u32; count]),
        ];
        if !tables.is_empty() {
            fields.push((tag::JPEG_TABLES, 7, tables.iter().map(|byte| u32::from(*byte)).collect()));
        }
        file(false, &fields, &[data.to_vec()], false)
    }

    #[test]
    fn tiles_count_with_the_pixels_outside_the_picture() {
        let zeros = miniz_oxide::deflate::compress_to_vec_zlib(&[0; 1 << 20], 6);
        let bomb = shared([65_536, 1], [1, 30_000_000], 8, &zeros, &[]);
        let error = OpenPhoto::new(&bomb, &Limits::default()).expect_err("refused");
        assert_eq!(error, PhotoError::TooManyPixels { width: 65_536, height: 30_000_000, limit: 250_000_000 });
        let wide = shared([1, 65_536], [30_000_000, 1], 8, &zeros, &[]);
        let error = OpenPhoto::new(&wide, &Limits::default()).expect_err("refused");
        assert_eq!(error, PhotoError::TooManyPixels { width: 30_000_000, height: 65_536, limit: 250_000_000 });
        let within = |pixels_max| {
            let limits = Limits { pixels_max, ..Limits::default() };
            crate::decode(&shared([65, 1], [64, 64], 8, &zeros, &[]), &limits).map(|raster| raster.pixels)
        };
        assert_eq!(within(128 * 64), Ok([65, 1]));
        let few = PhotoError::TooManyPixels { width: 128, height: 64, limit: 128 * 64 - 1 };
        assert_eq!(within(128 * 64 - 1), Err(few));
    }

    #[test]
    fn strips_end_with_the_picture() {
        let pixels_max = Limits { pixels_max: 3 * 100, ..Limits::default() };
        let fields = [(tag::IMAGE_LENGTH, LONG, vec![100]), (tag::ROWS_PER_STRIP, LONG, vec![u32::MAX])];
        let bytes = pixel(&fields);
        let whole = Layout { part: [3, 60], ..Layout::plain(3, 100) }.file(3, 1, &|_, _, _| vec![7], &[rgb()]);
        assert_eq!(crate::decode(&whole, &pixels_max).map(|raster| raster.pixels), Ok([3, 100]));
        assert!(outcome(&bytes).is_err_and(|message| message.contains("damaged or incomplete")));
    }

    #[test]
    fn large_pictures_may_not_have_large_pixels_too() {
        let bytes = Layout::plain(100, 100).file(64, 1, &|_, _, _| vec![7], &[rgb()]);
        let within = |pixels_max| OpenPhoto::new(&bytes, &Limits { pixels_max, ..Limits::default() }).map(|_| ());
        assert_eq!(within(160_000), Ok(()));
        assert!(within(159_999).expect_err("refused").to_string().contains("very many samples"));
    }

    #[test]
    fn jpegs_of_tiles_may_not_all_be_most_of_the_file() {
        let tile = libjpeg::encode(16, 16, &[90; 3 * 256], 90);
        let comment = |count: usize| [0xFF, 0xFE, 0xFF, 0xFF].iter().chain(&[0; 65_533]).copied().cycle().take(count);
        let padded: Vec<u8> =
            tile[..2].iter().copied().chain(comment(20 * 65_537)).chain(tile[2..].iter().copied()).collect();
        let tables: Vec<u8> = [0xFF, 0xD8].into_iter().chain(comment(20 * 65_537)).chain([0xFF, 0xD9]).collect();
        for bomb in [shared([4096, 4096], [16, 16], 7, &padded, &[]), shared([4096, 4096], [16, 16], 7, &tile, &tables)]
        {
            let error = OpenPhoto::new(&bomb, &Limits::default()).expect_err("refused");
            assert!(error.to_string().contains("longer than their pixels"), "{error}");
        }
        let few = shared([16, 16], [16, 16], 7, &padded, &tables);
        assert!(OpenPhoto::new(&few, &Limits::default()).is_ok());
    }
}
