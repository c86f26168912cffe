//! QR codes on paper that say which structure the following photos show. The only file that names the QR code reader.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use image::{GenericImage, GenericImageView, Luma};
use log::debug;
use rqrr::PreparedImage;

use bridgeclip_domain::Tag;

use super::Raster;

/// Longest side, in pixels, of the picture that is searched; it keeps the search cheaper than the classification. A
/// code must therefore cover about a sixth of the photo's long side: its 29 to 41 modules a side need three pixels
/// each.
const SIDE_MAX: u32 = 800;

/// Pixel accesses that the search may make, per pixel of the picture. A photo without a code takes 5 to 8.
const LOOKS_MAX: u64 = 60;
/// Copies of the picture that the search may make. It makes one for each three corner marks that could belong together.
const COPIES_MAX: u32 = 100;
/// Number of detected codes that are decoded, at most.
const CODES_MAX: usize = 8;

/// Returns the tag in the first QR code that holds one.
///
/// Gives up, with a debug message, when the search costs too much or the reader panics.
pub fn read_tag(raster: &Raster) -> Option<Tag> {
    let picture = Picture::of(raster)?;
    // The reader has no limit of its own, and its assertions fail on some pictures.
    match catch_unwind(AssertUnwindSafe(|| search(picture))) {
        Ok(tag) => tag,
        Err(reason) => {
            debug!(
                "the search for a code was given up: {}",
                if is_cost(&*reason) { "too much to do" } else { "it failed" }
            );
            None
        }
    }
}

fn search(picture: Picture) -> Option<Tag> {
    let mut prepared = PreparedImage::prepare(picture);
    let codes = prepared.detect_grids();
    codes.iter().take(CODES_MAX).find_map(|code| code.decode().ok()?.1.parse().ok())
}

/// Greyscale picture that counts the accesses and copies made of it, and ends the search when they exceed their limits.
struct Picture {
    width: u32,
    height: u32,
    luma: Vec<Luma<u8>>,
    spent: Rc<Spent>,
}

/// Accesses and copies that are left to the search, shared by all copies of a picture.
struct Spent {
    looks: Cell<u64>,
    copies: Cell<u32>,
}

/// Payload that unwinds out of a search that costs too much. It is not reported as a panic, so nothing is printed.
struct TooMuch;

fn is_cost(reason: &(dyn Any + Send)) -> bool {
    reason.is::<TooMuch>()
}

impl Picture {
    /// Shrinks the raster to at most [`SIDE_MAX`] pixels a side. Each pixel is the mean of four evenly spaced pixels of
    /// the raster: enough to read a code, and no more work for a larger photo. `None` if no pixels are left.
    fn of(raster: &Raster) -> Option<Self> {
        let step = raster.width.max(raster.height).div_ceil(SIDE_MAX).max(1);
        let (width, height) = (raster.width / step, raster.height / step);
        if width == 0 || height == 0 {
            return None;
        }
        let (pitch, step) = (3 * raster.width as usize, step as usize);
        let offsets = [step / 4, step * 3 / 4];
        let mut luma = Vec::with_capacity(width as usize * height as usize);
        for rows in raster.rgb.chunks_exact(pitch * step) {
            let [upper, lower] = offsets.map(|offset| rows[pitch * offset..][..pitch].chunks_exact(3 * step));
            luma.extend(upper.zip(lower).map(|(upper, lower)| mean(upper, lower, offsets)));
        }
        let looks = Cell::new(LOOKS_MAX * u64::from(width) * u64::from(height));
        Some(Picture { width, height, luma, spent: Rc::new(Spent { looks, copies: Cell::new(COPIES_MAX) }) })
    }

    /// Counts one access and returns the pixel's index in `luma`. Unwinds with [`TooMuch`] once the limit is reached.
    fn index(&self, x: u32, y: u32) -> usize {
        match self.spent.looks.get().checked_sub(1) {
            Some(left) => self.spent.looks.set(left),
            None => resume_unwind(Box::new(TooMuch)),
        }
        y as usize * self.width as usize + x as usize
    }
}

/// Returns the mean of the pixels at `columns` of two rows. Green counts twice, which is close enough to the eye's
/// weights for black on white.
fn mean(upper: &[u8], lower: &[u8], columns: [usize; 2]) -> Luma<u8> {
    let luma = |row: &[u8], column: usize| {
        let rgb = &row[3 * column..][..3];
        u32::from(rgb[0]) + 2 * u32::from(rgb[1]) + u32::from(rgb[2])
    };
    let sum: u32 = columns.into_iter().map(|column| luma(upper, column) + luma(lower, column)).sum();
    Luma([(sum / 16) as u8])
}

impl Clone for Picture {
    fn clone(&self) -> Self {
        match self.spent.copies.get().checked_sub(1) {
            Some(left) => self.spent.copies.set(left),
            None => resume_unwind(Box::new(TooMuch)),
        }
        Picture { luma: self.luma.clone(), spent: Rc::clone(&self.spent), ..*self }
    }
}

impl GenericImageView for Picture {
    type Pixel = Luma<u8>;

    fn dimensions(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    fn get_pixel(&self, x: u32, y: u32) -> Luma<u8> {
        self.luma[self.index(x, y)]
    }
}

impl GenericImage for Picture {
    fn get_pixel_mut(&mut self, x: u32, y: u32) -> &mut Luma<u8> {
        let index = self.index(x, y);
        &mut self.luma[index]
    }

    fn put_pixel(&mut self, x: u32, y: u32, pixel: Luma<u8>) {
        let index = self.index(x, y);
        self.luma[index] = pixel;
    }

    fn blend_pixel(&mut self, x: u32, y: u32, pixel: Luma<u8>) {
        self.put_pixel(x, y, pixel);
    }
}

#[cfg(test)]
mod tests {
    use qrcode::{Color, QrCode};

    use bridgeclip_random::Random;

    use super::*;

    const TEXT: &str = "bridgeclip:bridge=B-12;span=3;member=主桁 G2";

    fn raster(width: u32, height: u32, mut value: impl FnMut() -> u8) -> Raster {
        let rgb = (0..width * height * 3).map(|_| value()).collect();
        Raster::whole(width, height, rgb)
    }

    /// Noise that resembles concrete.
    fn wall(width: u32, height: u32, seed: u64) -> Raster {
        let mut random = Random::new(&[seed]);
        raster(width, height, || 120 + (random.bits() % 40) as u8)
    }

    /// Draws a code with its quiet zone. `across` and `down` are the steps, in pixels of the raster, from one module to
    /// the next to the right and downwards.
    fn paste(raster: &mut Raster, text: &str, corner: (f64, f64), across: (f64, f64), down: (f64, f64)) {
        let code = QrCode::new(text).expect("it fits");
        let (side, colors) = (code.width() as i64, code.to_colors());
        let determinant = across.0 * down.1 - across.1 * down.0;
        for y in 0..raster.height {
            for x in 0..raster.width {
                let (dx, dy) = (f64::from(x) - corner.0, f64::from(y) - corner.1);
                let column = ((dx * down.1 - dy * down.0) / determinant).floor() as i64;
                let row = ((dy * across.0 - dx * across.1) / determinant).floor() as i64;
                if (-4..side + 4).contains(&column) && (-4..side + 4).contains(&row) {
                    let inside = (0..side).contains(&column) && (0..side).contains(&row);
                    let dark = inside && colors[(row * side + column) as usize] == Color::Dark;
                    let at = 3 * (y * raster.width + x) as usize;
                    raster.rgb[at..at + 3].fill(if dark { 40 } else { 210 });
                }
            }
        }
    }

    #[test]
    fn codes_are_read_straight_turned_and_skewed_at_any_size() {
        let expected: Tag = TEXT.parse().expect("a tag");
        let cases = [
            ((1_000, 750), (300.0, 200.0), (4.0, 0.0), (0.0, 4.0)),
            ((4_000, 3_000), (1_200.0, 800.0), (14.0, 0.0), (0.0, 14.0)),
            ((4_000, 3_000), (2_000.0, 400.0), (12.0, 9.0), (-9.0, 12.0)),
            ((3_000, 4_000), (700.0, 900.0), (20.0, 1.0), (4.0, 16.0)),
            ((640, 480), (500.0, 400.0), (-5.0, 0.0), (0.0, -5.0)),
        ];
        for (index, ((width, height), corner, across, down)) in cases.into_iter().enumerate() {
            let mut raster = wall(width, height, index as u64);
            assert_eq!(read_tag(&raster), None);
            paste(&mut raster, TEXT, corner, across, down);
            assert_eq!(read_tag(&raster), Some(expected.clone()), "case {index}");
        }
    }

    #[test]
    fn other_codes_are_passed_over() {
        let mut raster = wall(1_000, 500, 7);
        paste(&mut raster, "https://example.org/", (60.0, 100.0), (8.0, 0.0), (0.0, 8.0));
        assert_eq!(read_tag(&raster), None);
        paste(&mut raster, r#"{"bridge": "B-12", "span": "3"}"#, (550.0, 100.0), (8.0, 0.0), (0.0, 8.0));
        assert_eq!(read_tag(&raster).map(|tag| tag.to_string()).as_deref(), Some("bridge B-12, span 3"));
    }

    /// A picture full of corner marks that contradict each other.
    fn many_corners(seed: u64) -> Raster {
        let mut random = Random::new(&[seed]);
        let mut raster = raster(1_000, 1_000, || 220);
        for _ in 0..20_000 {
            let module = 1 + random.bits() as usize % 3;
            let (left, top) =
                (random.bits() as usize % (990 - 7 * module), random.bits() as usize % (990 - 7 * module));
            for y in 0..9 * module {
                for x in 0..9 * module {
                    let ring = |at: usize| (at / module).abs_diff(4);
                    let dark = matches!(ring(x).max(ring(y)), 0 | 1 | 3);
                    let at = 3 * ((top + y) * 1_000 + left + x);
                    raster.rgb[at..at + 3].fill(if dark { 20 } else { 220 });
                }
            }
        }
        raster
    }

    #[test]
    fn the_work_is_bounded_whatever_the_picture() {
        for seed in 0..4 {
            let picture = Picture::of(&many_corners(seed)).expect("a picture");
            let spent = Rc::clone(&picture.spent);
            let begin = std::time::Instant::now();
            let _ = catch_unwind(AssertUnwindSafe(|| search(picture)));
            let left = (spent.looks.get(), spent.copies.get());
            assert!(left.0 == 0 || left.1 == 0, "seed {seed}: {left:?} left: too easy");
            assert!(begin.elapsed().as_secs() < 10, "seed {seed}: {:?}", begin.elapsed());
            assert_eq!(read_tag(&many_corners(seed)), None);
        }
        for (width, height) in [(1, 1), (1, 50_000), (3, 2), (0, 0)] {
            assert_eq!(read_tag(&raster(width, height, || 0)), None);
        }
    }
}
