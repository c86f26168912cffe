//! The pixels of the photo while pictures are put into them, at full size or shrunk.

use super::place::Placement;
use crate::Raster;

/// Sides of the pictures and of the crop must be multiples of this, so that no cell lies in two pictures.
pub const SCALE_MAX: u32 = 8;

/// A photo that is being put together.
#[derive(Debug)]
pub struct Canvas {
    /// Where the stored pixels belong at full size.
    full: Placement,
    /// Where the cells belong. Mirroring of cells is only noted, so that incomplete ones stay at the end.
    cells: Placement,
    scale: u32,
    pixels: Vec<[u8; 3]>,
}

impl Canvas {
    /// Creates an empty photo, of which each pixel is the mean of `scale` x `scale` stored ones.
    pub fn new(placement: Placement, scale: u32) -> Self {
        let cells = if scale == 1 { placement } else { placement.shrunk(scale) };
        let [width, height] = cells.size();
        Canvas { full: placement, cells, scale, pixels: vec![[0; 3]; width as usize * height as usize] }
    }

    /// Puts a picture where it belongs. Its first pixel is at `origin` of the stored photo, and `convert` makes the
    /// pixels of a row from a column on.
    pub fn paint(&mut self, origin: [u32; 2], size: [u32; 2], mut convert: impl FnMut(usize, usize, &mut [[u8; 3]])) {
        let Some(columns) = self.full.part(0, origin[0], size[0]) else { return };
        let Some(rows) = self.full.part(1, origin[1], size[1]) else { return };
        let scale = self.scale as usize;
        let mut line = vec![[0; 3]; columns.len()];
        let mut cells = vec![[0; 3]; columns.len().div_ceil(scale)];
        for top in rows.clone().step_by(scale) {
            let at = [origin[0] + columns.start as u32, origin[1] + top as u32].map(|place| place / self.scale);
            if scale == 1 {
                convert(columns.start, top, &mut line);
                self.cells.put(&line, at, &mut self.pixels);
                continue;
            }
            let mut sums = vec![[0; 3]; cells.len()];
            let bottom = rows.end.min(top + scale);
            for y in top..bottom {
                convert(columns.start, y, &mut line);
                add(&line, scale, &mut sums);
            }
            for (index, (cell, sum)) in cells.iter_mut().zip(&sums).enumerate() {
                let count = (bottom - top) * scale.min(columns.len() - index * scale);
                *cell = sum.map(|sum: u16| ((usize::from(sum) + count / 2) / count) as u8);
            }
            self.cells.put(&cells, at, &mut self.pixels);
        }
    }

    /// Returns the photo.
    pub fn finish(self) -> Raster {
        let [width, height] = self.cells.size();
        let rgb = self.pixels.into_flattened();
        let mirrored = if self.scale == 1 { [false; 2] } else { self.full.mirrors() };
        let eighths = (8 / self.scale) as u8;
        Raster { pixels: self.full.size(), eighths, mirrored, ..Raster::whole(width, height, rgb) }
    }
}

/// Adds the pixels of a row to the sums of its cells.
fn add(line: &[[u8; 3]], scale: usize, sums: &mut [[u16; 3]]) {
    for (pixels, sum) in line.chunks(scale).zip(sums) {
        for pixel in pixels {
            for (total, &sample) in sum.iter_mut().zip(pixel) {
                *total += u16::from(sample);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boxes::Atom;

    /// Returns a canvas of two pictures side by side, of 8 x 8 pixels each, whose samples are their columns and rows.
    fn painted(placement: Placement, scale: u32) -> Raster {
        let mut canvas = Canvas::new(placement, scale);
        for left in [0, 8] {
            canvas.paint([left, 0], [8, 8], |column, y, line| {
                for (pixel, x) in line.iter_mut().zip(column as u32 + left..) {
                    *pixel = [x as u8 * 10, y as u8 * 10, 7];
                }
            });
        }
        canvas.finish()
    }

    #[test]
    fn cells_are_means_and_the_last_ones_are_those_of_what_is_there() {
        let photo = painted(Placement::whole([11, 7]), 4);
        assert_eq!((photo.pixels, photo.width, photo.height, photo.eighths), ([11, 7], 3, 2, 2));
        let expected = [[15, 15, 7], [55, 15, 7], [90, 15, 7], [15, 50, 7], [55, 50, 7], [90, 50, 7]];
        assert_eq!(photo.rgb, expected.concat());
    }

    #[test]
    fn a_shrunk_photo_shows_what_the_whole_one_shows() {
        for (turn, axis) in [(0, 0), (1, 1), (2, 0), (3, 1)] {
            let irot = Atom { kind: *b"irot", body: &[turn] };
            let imir = Atom { kind: *b"imir", body: &[axis] };
            let placement = Placement::whole([16, 8]).then(&irot).and_then(|one| one.then(&imir)).expect("seen");
            let (whole, shrunk) = (painted(placement, 1), painted(placement, 2));
            assert_eq!((whole.pixels, whole.eighths, whole.mirrored), (shrunk.pixels, 8, [false; 2]));
            let [width, height] = whole.pixels.map(|side| side / 2);
            let sizes = [&whole, &shrunk].map(|photo| photo.resample(&photo.region(), width, height));
            for (one, other) in sizes[0].iter().flatten().zip(sizes[1].iter().flatten()) {
                assert!(one.abs_diff(*other) <= 2, "{turn} {axis}: {sizes:?}");
            }
        }
    }
}
