//! Pixels to the encoder's input, as open_clip and Pillow make it.

use std::fmt;

use fast_image_resize as fir;
use fir::images::{TypedImage, TypedImageRef};
use fir::pixels::U8x3;

use super::Raster;

/// The encoder's input format, from the model package.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocess {
    /// Side of the square input in pixels.
    pub size: u32,
    /// Per channel, of values in [0, 1].
    pub mean: [f32; 3],
    /// Per channel, of values in [0, 1]; positive.
    pub std: [f32; 3],
}

impl fmt::Display for Preprocess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pixels, mean {:?}, std {:?}", self.size, self.mean, self.std)
    }
}

/// Resizes the short side to `size` (bicubic, a = -0.5, antialiased, 8 bits between the passes), crops the centre and
/// normalises: `size * size * 3` values, channel by channel, row by row.
pub fn tensor(raster: &Raster, preprocess: &Preprocess) -> Vec<f32> {
    let pixels = resize_and_crop(raster, preprocess.size);
    let plane = (preprocess.size * preprocess.size) as usize;
    let mut tensor = Vec::with_capacity(3 * plane);
    for channel in 0..3 {
        let (mean, std) = (preprocess.mean[channel], preprocess.std[channel]);
        tensor.extend(pixels.iter().map(|pixel| (f32::from(pixel[channel]) / 255.0 - mean) / std));
    }
    tensor
}

/// Only the part of the resized picture that the crop keeps is computed, so an extreme aspect ratio costs nothing.
fn resize_and_crop(raster: &Raster, size: u32) -> Vec<[u8; 3]> {
    let (width, height) = (f64::from(raster.width), f64::from(raster.height));
    let [resized_width, resized_height] = resized(raster.width, raster.height, size).map(f64::from);
    let (step_x, step_y) = (width / resized_width, height / resized_height);
    // Typed pictures: the untyped ones would bring code for all pixel types with them.
    let source = TypedImageRef::<U8x3>::from_buffer(raster.width, raster.height, &raster.rgb)
        .expect("a raster holds width * height * 3 bytes");
    let mut target = TypedImage::<U8x3>::new(size, size);
    let options = fir::ResizeOptions::new().resize_alg(fir::ResizeAlg::Convolution(fir::FilterType::CatmullRom)).crop(
        crop_offset(resized_width, size) * step_x,
        crop_offset(resized_height, size) * step_y,
        f64::from(size) * step_x,
        f64::from(size) * step_y,
    );
    fir::Resizer::new().resize_typed(&source, &mut target, &options).expect("the crop lies inside the picture");
    target.pixels().iter().map(|pixel| pixel.0).collect()
}

/// `[width, height]` with the short side at `size`; the long side is truncated, as torchvision does.
fn resized(width: u32, height: u32, size: u32) -> [u32; 2] {
    let (short, long) = (u64::from(width.min(height)), u64::from(width.max(height)));
    let long = (u64::from(size) * long / short) as u32;
    if width <= height { [size, long] } else { [long, size] }
}

/// Python's `round`: halves go to the even neighbour.
fn crop_offset(resized: f64, size: u32) -> f64 {
    ((resized - f64::from(size)) / 2.0).round_ties_even()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: u32, height: u32, value: u8) -> Raster {
        Raster { width, height, rgb: vec![value; (width * height * 3) as usize] }
    }

    #[test]
    fn a_flat_picture_stays_flat_at_any_shape() {
        let preprocess = Preprocess { size: 224, mean: [0.5; 3], std: [0.25; 3] };
        for (width, height) in [(1, 1), (224, 224), (3, 500), (500, 3), (4000, 1), (301, 449)] {
            let tensor = tensor(&grey(width, height, 255), &preprocess);
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
    fn channels_are_separated_and_normalised() {
        let raster = Raster { width: 1, height: 1, rgb: vec![0, 51, 255] };
        let preprocess = Preprocess { size: 1, mean: [0.0, 0.1, 0.5], std: [1.0, 0.5, 0.5] };
        let expected = [0.0, 0.2, 1.0];
        for (value, expected) in tensor(&raster, &preprocess).iter().zip(expected) {
            assert!((value - expected).abs() < 1e-6);
        }
    }
}
