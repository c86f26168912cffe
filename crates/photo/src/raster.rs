//! Decoded pixels, their orientation, and the resizing of their parts.

use fast_image_resize as fir;
use fir::ImageView;
use fir::images::{TypedImage, TypedImageRef};
use fir::pixels::U8x3;

/// Decoded pixels in 8-bit RGB, row by row. Alpha is dropped, not composited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raster {
    /// Number of decoded columns.
    pub width: u32,
    /// Number of decoded rows.
    pub height: u32,
    /// Samples, `height * width * 3` bytes.
    pub rgb: Vec<u8>,
    /// Width and height of the picture at its full size, of which the decoded pixels are `eighths`/8. The last column
    /// and row of a scaled raster may extend beyond the picture.
    pub pixels: [u32; 2],
    /// Scale of the decoded pixels in eighths of the full size, 1 to 8.
    pub eighths: u8,
    /// Maximum number of pixels between the two passes of resizing, unless the picture itself is small in one
    /// direction.
    pub mirrored: [bool; 2],
}

/// Maximum number of pixels between the two passes of resizing, unless the picture itself is small in one direction.
pub const PASS_PIXELS_MAX: u64 = 1 << 24;

/// Longest side that is resized directly: the longest that a JPEG can have.
const SIDE_MAX: u32 = 65_535;

/// A rectangle of the picture, in pixels of its full size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

/// The operation that turns stored pixels upright (EXIF 2.32, tag 274): rows and columns are exchanged, then mirrored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orientation {
    /// Whether rows and columns are exchanged.
    transposed: bool,
    /// Whether columns, and rows, are reversed after that.
    mirrored: [bool; 2],
}

impl Orientation {
    /// The orientation of pixels that are stored upright.
    pub const UPRIGHT: Orientation = Orientation { transposed: false, mirrored: [false; 2] };

    /// Returns the orientation for a value of the EXIF tag, 1 to 8. Any other value means upright.
    pub fn from_exif(value: u32) -> Self {
        let (transposed, mirrored) = match value {
            2 => (false, [true, false]),
            3 => (false, [true, true]),
            4 => (false, [false, true]),
            5 => (true, [false, false]),
            6 => (true, [true, false]),
            7 => (true, [true, true]),
            8 => (true, [false, true]),
            _ => (false, [false, false]),
        };
        Orientation { transposed, mirrored }
    }
}

impl Raster {
    /// Creates a raster at the picture's full size.
    pub fn whole(width: u32, height: u32, rgb: Vec<u8>) -> Self {
        Raster { width, height, rgb, pixels: [width, height], eighths: 8, mirrored: [false; 2] }
    }

    /// Returns the picture turned by `orientation`. Mirroring is only noted; exchanging rows and columns makes a second
    /// raster.
    pub fn turned(self, orientation: Orientation) -> Self {
        let mut turned = if orientation.transposed { self.transposed() } else { self };
        for (mirrored, again) in turned.mirrored.iter_mut().zip(orientation.mirrored) {
            *mirrored ^= again;
        }
        turned
    }

    fn transposed(self) -> Self {
        let (width, height) = (self.width as usize, self.height as usize);
        let mut rgb = Vec::with_capacity(self.rgb.len());
        for x in 0..width {
            rgb.extend((0..height).flat_map(|y| self.rgb[(y * width + x) * 3..][..3].iter().copied()));
        }
        let [across, down] = self.pixels;
        let mirrored = [self.mirrored[1], self.mirrored[0]];
        Raster { width: self.height, height: self.width, rgb, pixels: [down, across], eighths: self.eighths, mirrored }
    }

    /// Returns the region that covers the whole picture.
    pub fn region(&self) -> Region {
        let [width, height] = self.pixels.map(f64::from);
        Region { left: 0.0, top: 0.0, width, height }
    }

    /// Resizes a region of the picture as it is to be seen, to `width` x `height` pixels, row by row.
    ///
    /// The filter is bicubic (a = -0.5) and antialiased, first across and then down with 8 bits in between, as in
    /// Pillow. If a picture is long and narrow enough that this order would make more than [`PASS_PIXELS_MAX`] pixels
    /// in between, it is resized first down and then across.
    pub fn resample(&self, region: &Region, width: u32, height: u32) -> Vec<[u8; 3]> {
        let (left, across) = self.place([region.left, region.width], 0, self.width);
        let (top, down) = self.place([region.top, region.height], 1, self.height);
        // Typed pictures, because the untyped ones would link code for all pixel types.
        let source = TypedImageRef::<U8x3>::from_buffer(self.width, self.height, &self.rgb)
            .expect("a raster holds width * height * 3 bytes");
        // A single call would resize in the other order, which gives different pixels at sharp edges.
        let (first, rows) = rows_needed(top, down, height, self.height);
        let target = if u64::from(width) * u64::from(rows) > PASS_PIXELS_MAX {
            let low = resize(&source, [0.0, top, self.width.into(), down], self.width, height);
            resize(&low, [left, 0.0, across, height.into()], width, height)
        } else {
            let narrow = resize(&source, [left, first.into(), across, rows.into()], width, rows);
            let (top, down) = fit(top - f64::from(first), down, rows);
            resize(&narrow, [0.0, top, width.into(), down], width, height)
        };
        let mut pixels: Vec<[u8; 3]> = target.pixels().iter().map(|pixel| pixel.0).collect();
        self.mirror(&mut pixels, width as usize);
        pixels
    }

    /// Returns the picture at `scale` of its full size, as a raster of its own.
    pub fn shrunk(&self, scale: f64) -> Raster {
        let thinned = self.thinned();
        let source = thinned.as_ref().unwrap_or(self);
        let side = |axis: usize| ((f64::from(self.pixels[axis]) * scale).round() as u32).clamp(1, source.pixels[axis]);
        let (width, height) = (side(0), side(1));
        let pixels = source.resample(&source.region(), width, height);
        Raster::whole(width, height, pixels.into_flattened())
    }

    /// Returns every nth row or column of a picture with a side beyond [`SIDE_MAX`], or `None` for all other pictures.
    /// The memory and time of resizing grow with the side that it starts from, and no camera makes such a picture. A
    /// scaled JPEG never has such a side.
    fn thinned(&self) -> Option<Raster> {
        let [across, down] = [self.width, self.height].map(|side| side.div_ceil(SIDE_MAX) as usize);
        if self.eighths < 8 || (across == 1 && down == 1) {
            return None;
        }
        let rows = self.rgb.chunks_exact(3 * self.width as usize).step_by(down);
        let (width, height) = (self.width.div_ceil(across as u32), self.height.div_ceil(down as u32));
        let pixels = rows.flat_map(|row| row.as_chunks::<3>().0.iter().step_by(across));
        let rgb = pixels.copied().collect::<Vec<[u8; 3]>>().into_flattened();
        Some(Raster { mirrored: self.mirrored, ..Raster::whole(width, height, rgb) })
    }

    /// Returns start and length of a span in columns (axis 0) or rows (axis 1) of the raster, which has `end` of them.
    fn place(&self, [start, length]: [f64; 2], axis: usize, end: u32) -> (f64, f64) {
        let start = if self.mirrored[axis] { f64::from(self.pixels[axis]) - start - length } else { start };
        let scale = f64::from(self.eighths) / 8.0;
        fit((start * scale).max(0.0), length * scale, end)
    }

    /// Applies the noted mirroring to resized pixels.
    fn mirror(&self, pixels: &mut [[u8; 3]], width: usize) {
        match self.mirrored {
            [false, false] => (),
            [true, true] => pixels.reverse(),
            [true, false] => pixels.chunks_exact_mut(width).for_each(<[_]>::reverse),
            [false, true] => {
                pixels.reverse();
                pixels.chunks_exact_mut(width).for_each(<[_]>::reverse);
            }
        }
    }
}

/// Shortens a span that rounding has led slightly beyond the last pixel.
fn fit(start: f64, mut length: f64, end: u32) -> (f64, f64) {
    while start + length > f64::from(end) {
        length = length.next_down().min(f64::from(end) - start);
    }
    (start, length)
}

/// Returns the first row, and the number of rows, that contribute to `height` rows made from the span `top` to `top +
/// down`.
fn rows_needed(top: f64, down: f64, height: u32, end: u32) -> (u32, u32) {
    // The filter reaches two pixels of the smaller scale; rounding can add one more.
    let reach = 2.0 * (down / f64::from(height)).max(1.0) + 1.0;
    let first = (top - reach).floor().max(0.0) as u32;
    let last = ((top + down + reach).ceil() as u32).min(end);
    (first, last - first)
}

/// Resizes the part `[left, top, width, height]` of a picture.
fn resize(
    source: &impl ImageView<Pixel = U8x3>,
    [left, top, across, down]: [f64; 4],
    width: u32,
    height: u32,
) -> TypedImage<'static, U8x3> {
    let mut target = TypedImage::<U8x3>::new(width, height);
    let bicubic = fir::ResizeAlg::Convolution(fir::FilterType::CatmullRom);
    let options = fir::ResizeOptions::new().resize_alg(bicubic).crop(left, top, across, down);
    fir::Resizer::new().resize_typed(source, &mut target, &options).expect("the part lies inside the picture");
    target
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A raster of three by two pixels, numbered row by row.
    fn numbered() -> Raster {
        Raster::whole(3, 2, (0..6).flat_map(|value| [value; 3]).collect())
    }

    fn seen(raster: &Raster) -> Vec<u8> {
        let [width, height] = raster.pixels;
        raster.resample(&raster.region(), width, height).iter().map(|pixel| pixel[0]).collect()
    }

    #[test]
    fn every_orientation_is_that_of_pillow() {
        // Results of Pillow's `ImageOps.exif_transpose` for the same picture.
        let expected: [(u32, [u32; 2], [u8; 6]); 9] = [
            (0, [3, 2], [0, 1, 2, 3, 4, 5]),
            (1, [3, 2], [0, 1, 2, 3, 4, 5]),
            (2, [3, 2], [2, 1, 0, 5, 4, 3]),
            (3, [3, 2], [5, 4, 3, 2, 1, 0]),
            (4, [3, 2], [3, 4, 5, 0, 1, 2]),
            (5, [2, 3], [0, 3, 1, 4, 2, 5]),
            (6, [2, 3], [3, 0, 4, 1, 5, 2]),
            (7, [2, 3], [5, 2, 4, 1, 3, 0]),
            (8, [2, 3], [2, 5, 1, 4, 0, 3]),
        ];
        for (value, pixels, order) in expected {
            let turned = numbered().turned(Orientation::from_exif(value));
            assert_eq!((turned.pixels, seen(&turned)), (pixels, order.to_vec()), "orientation {value}");
        }
    }

    #[test]
    fn turns_add_up() {
        let quarter = Orientation::from_exif(6);
        let half = numbered().turned(quarter).turned(quarter);
        assert_eq!(seen(&half), seen(&numbered().turned(Orientation::from_exif(3))));
        assert_eq!(seen(&half.turned(quarter).turned(quarter)), seen(&numbered()));
    }

    #[test]
    fn a_scaled_picture_ends_where_the_whole_one_does() {
        // 9 pixels at 4/8 make 4.5 columns, so the fifth one counts half.
        let scaled = Raster { pixels: [9, 2], eighths: 4, ..Raster::whole(5, 1, [[0; 3]; 5].concat()) };
        assert_eq!(scaled.place([0.0, 9.0], 0, 5), (0.0, 4.5));
        let mirrored = scaled.turned(Orientation::from_exif(2));
        assert_eq!(mirrored.place([0.0, 3.0], 0, 5), (3.0, 1.5));
    }

    #[test]
    fn very_long_pictures_are_thinned_before_they_are_shrunk() {
        for (width, height) in [(300_000, 2), (2, 300_000)] {
            let raster = Raster::whole(width, height, [[0; 3], [200; 3]].concat().repeat(300_000));
            let thin = raster.thinned().expect("it is long");
            assert_eq!((thin.width.max(thin.height), thin.width.min(thin.height)), (60_000, 2));
            assert_eq!(thin.rgb.len(), 60_000 * 2 * 3);
            let small = raster.shrunk(0.001);
            assert_eq!((small.width.max(small.height), small.width.min(small.height)), (300, 1));
        }
        assert_eq!(Raster::whole(SIDE_MAX, 1, vec![0; 3 * SIDE_MAX as usize]).thinned(), None);
    }

    #[test]
    fn both_orders_of_the_passes_agree() {
        // 448 columns of 60,000 rows would be too many pixels between the passes.
        let rgb = (0..1000 * 60_000_u32).flat_map(|index| [(index / 1000 / 300) as u8; 3]).collect();
        let tall = Raster::whole(1000, 60_000, rgb).shrunk(0.448);
        assert_eq!((tall.width, tall.height), (448, 26_880));
        for (y, row) in tall.rgb.chunks_exact(3 * 448).enumerate() {
            let expected = (y as f64 / 0.448 / 300.0) as u8;
            assert!(row[3 * 200].abs_diff(expected) <= 1, "row {y}: {} instead of {expected}", row[3 * 200]);
        }
    }

    #[test]
    fn rounding_stays_inside() {
        let raster = Raster::whole(3, 1, vec![0; 9]);
        assert_eq!(raster.place([0.0, 3.0_f64.next_up()], 0, 3), (0.0, 3.0));
        let (start, length) = raster.place([0.1, 2.9_f64.next_up()], 0, 3);
        assert!(start + length <= 3.0 && length > 2.899);
    }
}
