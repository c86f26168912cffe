//! Converts decoded samples of any kind to 8-bit RGB. Where a pixel's samples take at least three bytes, the conversion
//! happens in place.

use image::{ColorType, DynamicImage, ImageBuffer};

/// Number of pixels converted at a time.
const BAND: usize = 1 << 16;

/// Returns the bytes that the conversion takes, including the samples.
pub fn memory(samples: u64, pixels: u64, color: ColorType) -> u64 {
    let rgb = 3 * pixels;
    if fits_in_place(color) { samples } else { samples + rgb }
}

/// Converts samples in this machine's byte order to RGB. 16-bit samples are rescaled, not clipped; grey is repeated in
/// all three channels; alpha is dropped. `None` for kinds of samples that no photo has.
pub fn to_rgb(mut samples: Vec<u8>, color: ColorType) -> Option<Vec<u8>> {
    if color == ColorType::Rgb8 {
        return Some(samples);
    }
    let size = usize::from(color.bytes_per_pixel());
    if fits_in_place(color) {
        let mut filled = 0;
        for at in (0..samples.len()).step_by(BAND * size) {
            let end = samples.len().min(at + BAND * size);
            let rgb = band(&samples[at..end], color)?;
            samples[filled..][..rgb.len()].copy_from_slice(&rgb);
            filled += rgb.len();
        }
        samples.truncate(filled);
        samples.shrink_to_fit();
        return Some(samples);
    }
    let mut rgb = Vec::with_capacity(samples.len() / size * 3);
    for part in samples.chunks(BAND * size) {
        rgb.extend(band(part, color)?);
    }
    Some(rgb)
}

fn fits_in_place(color: ColorType) -> bool {
    color.bytes_per_pixel() >= 3
}

/// Converts a run of pixels by the rules of the library that decoded them.
fn band(samples: &[u8], color: ColorType) -> Option<Vec<u8>> {
    let pixels = (samples.len() / usize::from(color.bytes_per_pixel())) as u32;
    let words = || samples.as_chunks().0.iter().map(|bytes| u16::from_ne_bytes(*bytes)).collect::<Vec<_>>();
    let floats = || samples.as_chunks().0.iter().map(|bytes| f32::from_ne_bytes(*bytes)).collect::<Vec<_>>();
    let image: DynamicImage = match color {
        ColorType::L8 => ImageBuffer::from_raw(pixels, 1, samples.to_vec()).map(DynamicImage::ImageLuma8),
        ColorType::La8 => ImageBuffer::from_raw(pixels, 1, samples.to_vec()).map(DynamicImage::ImageLumaA8),
        ColorType::Rgba8 => ImageBuffer::from_raw(pixels, 1, samples.to_vec()).map(DynamicImage::ImageRgba8),
        ColorType::L16 => ImageBuffer::from_raw(pixels, 1, words()).map(DynamicImage::ImageLuma16),
        ColorType::La16 => ImageBuffer::from_raw(pixels, 1, words()).map(DynamicImage::ImageLumaA16),
        ColorType::Rgb16 => ImageBuffer::from_raw(pixels, 1, words()).map(DynamicImage::ImageRgb16),
        ColorType::Rgba16 => ImageBuffer::from_raw(pixels, 1, words()).map(DynamicImage::ImageRgba16),
        ColorType::Rgb32F => ImageBuffer::from_raw(pixels, 1, floats()).map(DynamicImage::ImageRgb32F),
        ColorType::Rgba32F => ImageBuffer::from_raw(pixels, 1, floats()).map(DynamicImage::ImageRgba32F),
        _ => None,
    }?;
    Some(image.into_rgb8().into_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_give_what_the_whole_gives() {
        let count = BAND + 1000;
        let bytes = |size: usize| (0..count * size).map(|index| (index * 7 + index / 251) as u8).collect::<Vec<u8>>();
        for color in
            [ColorType::L8, ColorType::La8, ColorType::Rgba8, ColorType::L16, ColorType::La16, ColorType::Rgb16]
        {
            let samples = bytes(color.bytes_per_pixel().into());
            let whole = band(&samples, color).expect("known");
            assert_eq!(whole.len(), 3 * count);
            assert!(to_rgb(samples, color).expect("known") == whole, "{color:?}");
        }
        let floats: Vec<u8> = (0..4 * count).flat_map(|index| (index as f32 / 65_536.0).to_ne_bytes()).collect();
        assert!(to_rgb(floats.clone(), ColorType::Rgba32F) == band(&floats, ColorType::Rgba32F));
    }
}
