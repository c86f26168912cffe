//! Turns pixels into the encoder's input, as open_clip and Pillow do.

use std::fmt;

use super::raster::Region;
use super::{Limits, OpenPhoto, Orientation, PhotoError, Raster};

/// Format of the encoder's input, from the model package.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocess {
    /// Short side of the photo before the centre is cut out, in pixels; at least `size`.
    pub resize: u32,
    /// Side of the square input, in pixels.
    pub size: u32,
    /// Mean that is subtracted from each channel, for values in [0, 1].
    pub mean: [f32; 3],
    /// Standard deviation that each channel is divided by, for values in [0, 1]; positive.
    pub std: [f32; 3],
    /// Whether the encoder expects upright photos. The published pipeline uses the pixels as they are stored.
    pub apply_orientation: bool,
}

impl fmt::Display for Preprocess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pixels", self.size)?;
        if self.resize != self.size {
            write!(f, " of a short side of {}", self.resize)?;
        }
        write!(f, ", mean {:?}, std {:?}", self.mean, self.std)?;
        if self.apply_orientation { write!(f, ", upright") } else { Ok(()) }
    }
}

/// A photo, ready for the encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderInput {
    /// Values for the encoder, as [`tensor`] makes them.
    pub tensor: Vec<f32>,
    /// Pixels that the tensor was made from, turned upright if the encoder expects that.
    pub raster: Raster,
    /// Width and height of the picture as it is stored.
    pub pixels: [u32; 2],
}

/// Opens a photo for the encoder: it is decoded to no fewer pixels than the encoder's input needs.
pub fn open<'a>(bytes: &'a [u8], preprocess: &Preprocess, limits: &Limits) -> Result<OpenPhoto<'a>, PhotoError> {
    OpenPhoto::new(bytes, &Limits { decoding: limits.decoding.at_least(preprocess.resize), ..*limits })
}

/// Decodes a photo and makes the encoder's input from it. `orientation` is that of the stored pixels if the metadata have
/// been read already; otherwise it is read if the encoder wants the photo upright.
pub fn encoder_input(
    photo: &OpenPhoto<'_>,
    preprocess: &Preprocess,
    orientation: Option<Orientation>,
) -> Result<EncoderInput, PhotoError> {
    let mut raster = photo.decode()?;
    let pixels = raster.pixels;
    if preprocess.apply_orientation {
        raster = raster.turned(orientation.unwrap_or_else(|| super::orientation(photo.bytes())));
    }
    Ok(EncoderInput { tensor: tensor(&raster, preprocess), raster, pixels })
}

/// Resizes the short side to `resize`, crops the centre to `size` and normalises. Returns `3 * size * size` values, channel by
/// channel and row by row. The geometry follows from the full size of the picture, even if the raster is scaled.
pub fn tensor(raster: &Raster, preprocess: &Preprocess) -> Vec<f32> {
    let size = preprocess.size;
    let pixels = raster.resample(&centre(raster.pixels, preprocess.resize, size), size, size);
    let mut tensor = Vec::with_capacity(3 * pixels.len());
    for channel in 0..3 {
        let (mean, std) = (preprocess.mean[channel], preprocess.std[channel]);
        tensor.extend(pixels.iter().map(|pixel| (f32::from(pixel[channel]) / 255.0 - mean) / std));
    }
    tensor
}

/// Returns the part of a picture that the crop keeps. Nothing else is computed, so an extreme aspect ratio costs
/// nothing.
fn centre([width, height]: [u32; 2], resize: u32, size: u32) -> Region {
    let [resized_width, resized_height] = resized(width, height, resize).map(f64::from);
    let (step_x, step_y) = (f64::from(width) / resized_width, f64::from(height) / resized_height);
    Region {
        left: crop_offset(resized_width, size) * step_x,
        top: crop_offset(resized_height, size) * step_y,
        width: f64::from(size) * step_x,
        height: f64::from(size) * step_y,
    }
}

/// Returns `[width, height]` with the short side at `size`. The long side is truncated, as in torchvision.
fn resized(width: u32, height: u32, size: u32) -> [u32; 2] {
    let (short, long) = (u64::from(width.min(height)), u64::from(width.max(height)));
    let long = (u64::from(size) * long / short) as u32;
    if width <= height { [size, long] } else { [long, size] }
}

/// Returns the offset of the crop, rounded like Python's `round`: halves go to the even neighbour.
fn crop_offset(resized: f64, size: u32) -> f64 {
    ((resized - f64::from(size)) / 2.0).round_ties_even()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: u32, height: u32, value: u8) -> Raster {
        Raster::whole(width, height, vec![value; (width * height * 3) as usize])
    }

    const PREPROCESS: Preprocess =
        Preprocess { resize: 224, size: 224, mean: [0.5; 3], std: [0.25; 3], apply_orientation: false };

    #[test]
    fn a_flat_picture_stays_flat_at_any_shape() {
        for (width, height) in [(1, 1), (224, 224), (3, 500), (500, 3), (4000, 1), (301, 449)] {
            let tensor = tensor(&grey(width, height, 255), &PREPROCESS);
            assert_eq!(tensor.len(), 3 * 224 * 224);
            assert!(tensor.iter().all(|&value| value == 2.0), "{width} x {height}");
        }
    }

    #[test]
    fn sizes_and_offsets_are_torchvisions() {
        assert_eq!(resized(640, 480, 224), [298, 224]);
        assert_eq!(resized(480, 641, 224), [224, 299]);
        assert_eq!([229.0, 227.0].map(|n| crop_offset(n, 224)), [2.0, 2.0]);
    }

    #[test]
    fn every_size_fits_into_its_own_picture() {
        for width in (1..2000).step_by(7) {
            for height in [1, 2, 223, 224, 225, 999] {
                let raster = grey(width, height, 7);
                assert_eq!(raster.resample(&centre([width, height], 4, 4), 4, 4), [[7; 3]; 16], "{width} x {height}");
            }
        }
    }

    #[test]
    fn a_short_side_above_the_input_s_leaves_a_margin() {
        // 512 x 1024 at a short side of 256 is 256 x 512; its centre of 224 is 448 pixels wide in the picture.
        let region = centre([512, 1024], 256, 224);
        assert_eq!([region.left, region.top, region.width, region.height], [32.0, 288.0, 448.0, 448.0]);
        let wide = Preprocess { resize: 256, ..PREPROCESS };
        assert_eq!(tensor(&grey(300, 400, 255), &wide).len(), 3 * 224 * 224);
        assert_ne!(wide.to_string(), PREPROCESS.to_string());
        assert!(wide.to_string().starts_with("224 pixels of a short side of 256, mean"));
    }

    #[test]
    fn channels_are_separated_and_normalised() {
        let raster = Raster::whole(1, 1, vec![0, 51, 255]);
        let preprocess = Preprocess { resize: 1, size: 1, mean: [0.0, 0.1, 0.5], std: [1.0, 0.5, 0.5], ..PREPROCESS };
        let expected = [0.0, 0.2, 1.0];
        for (value, expected) in tensor(&raster, &preprocess).iter().zip(expected) {
            assert!((value - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn an_orientation_that_is_known_already_gives_the_same_input() {
        let plain = seed!("textured-420.jpg");
        // A block whose only field is the orientation, 6.
        let exif = b"\xff\xe1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let photo = [&plain[..2], exif, &plain[2..]].concat();
        let known = crate::read_metadata(&photo).orientation;
        assert_eq!(known, Orientation::from_exif(6));
        for apply_orientation in [false, true] {
            let preprocess = Preprocess { resize: 16, size: 16, apply_orientation, ..PREPROCESS };
            let opened = open(&photo, &preprocess, &Limits::default()).expect("opens");
            let input = encoder_input(&opened, &preprocess, None).expect("decodes");
            assert_eq!(encoder_input(&opened, &preprocess, Some(known)).expect("decodes"), input);
            assert_eq!(input.raster.mirrored, [apply_orientation, false]);
        }
    }
}
