//! Decodes the picture of a TIFF file: `unpack` decompresses one part after the other, and `rgb` converts its samples.

use super::picture::Picture;
use super::rgb::Part;
use crate::{PhotoError, Raster};

impl Picture<'_> {
    /// Decodes the picture part by part. Damaged data gives [`PhotoError::Undecodable`].
    pub fn decode(&self) -> Result<Raster, PhotoError> {
        let (width, [across, _]) = (self.width as usize, self.grid());
        let [part_width, part_height] = self.part.map(|side| side as usize);
        let mut rgb = vec![0; 3 * width * self.height as usize];
        let pixels = rgb.as_chunks_mut::<3>().0;
        let mut planes = vec![Vec::new(); self.planes()];
        let count = self.parts.len() / planes.len();
        for index in 0..count {
            let [left, top] = [index % across * part_width, index / across * part_height];
            let height = if self.is_tiled { self.part[1] } else { self.part[1].min(self.height - top as u32) };
            for (plane, bytes) in planes.iter_mut().enumerate() {
                self.unpack(plane * count + index, height, bytes)?;
            }
            let part = Part { picture: self, planes: &planes };
            let right = width.min(left + part_width);
            for (y, row) in pixels.chunks_exact_mut(width).skip(top).take(part_height).enumerate() {
                part.write_row(y, &mut row[left..right]);
            }
        }
        Ok(Raster::whole(self.width, self.height, rgb))
    }
}
