//! Makes smaller JPEGs of a photo: thumbnails for people who view results remotely, and pictures for forms.

use std::num::NonZeroU32;

use bridgeclip_domain::THUMBNAIL_BYTES_MAX;

use super::{Orientation, Raster, libjpeg};

/// Divisor of the long side and JPEG quality of each attempt, from the usual one to one that fits even for noise at a
/// long side of 1,024 pixels.
const ATTEMPTS: [(u32, u8); 6] = [(1, 85), (1, 70), (1, 50), (1, 30), (2, 30), (4, 30)];

/// Shrinks a photo, turns it upright and encodes it as a JPEG of at most [`THUMBNAIL_BYTES_MAX`]. `long_side` is in
/// pixels. `orientation` is the turn that is still needed: that of the file, unless the raster has already been turned.
pub fn thumbnail(raster: &Raster, orientation: Orientation, long_side: NonZeroU32) -> Vec<u8> {
    let encode = |&(share, quality): &(u32, u8)| encode(raster, orientation, long_side.get() / share, quality);
    let mut encoded = ATTEMPTS.iter().map(encode);
    let last = encoded.next_back();
    encoded.find(|jpeg| jpeg.len() <= THUMBNAIL_BYTES_MAX).or(last).expect("there are attempts")
}

/// JPEG quality of each attempt at a picture for a form. The last one is taken as it is.
const QUALITIES: [u8; 5] = [78, 65, 50, 35, 20];

/// Shrinks a photo to a picture for a form, turns it upright and encodes it as a JPEG of at most `bytes_max`, unless even
/// the lowest quality takes more. `long_side` and `orientation` are as for [`thumbnail`].
pub fn picture(raster: &Raster, orientation: Orientation, long_side: NonZeroU32, bytes_max: usize) -> Vec<u8> {
    let small = reduced(raster, orientation, long_side.get());
    let [width, height] = small.pixels;
    let pixels = small.resample(&small.region(), width, height);
    let mut encoded = QUALITIES.iter().map(|quality| libjpeg::encode(width, height, pixels.as_flattened(), *quality));
    let last = encoded.next_back();
    encoded.find(|jpeg| jpeg.len() <= bytes_max).or(last).expect("there are attempts")
}

/// Encodes the photo at `long_side`, or smaller if fewer pixels were decoded.
fn encode(raster: &Raster, orientation: Orientation, long_side: u32, quality: u8) -> Vec<u8> {
    let small = reduced(raster, orientation, long_side);
    let [width, height] = small.pixels;
    let pixels = small.resample(&small.region(), width, height);
    libjpeg::encode(width, height, pixels.as_flattened(), quality)
}

/// Returns the photo upright at `long_side`, or smaller if fewer pixels were decoded.
fn reduced(raster: &Raster, orientation: Orientation, long_side: u32) -> Raster {
    let [width, height] = raster.pixels;
    let scale = (f64::from(long_side) / f64::from(width.max(height))).min(f64::from(raster.eighths) / 8.0);
    raster.shrunk(scale).turned(orientation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, decode};

    const LONG_SIDE: NonZeroU32 = NonZeroU32::new(320).unwrap();

    fn decoded(thumbnail: &[u8]) -> Raster {
        assert!(thumbnail.len() <= THUMBNAIL_BYTES_MAX, "{} bytes", thumbnail.len());
        decode(thumbnail, &Limits::default()).expect("decodes")
    }

    #[test]
    fn sizes_follow_the_long_side_and_the_orientation() {
        let photo = |width: u32, height: u32| Raster::whole(width, height, vec![90; (width * height * 3) as usize]);
        let upright =
            |raster: &Raster, value| decoded(&thumbnail(raster, Orientation::from_exif(value), LONG_SIDE)).pixels;
        assert_eq!(upright(&photo(1600, 1200), 1), [320, 240]);
        assert_eq!(upright(&photo(1600, 1200), 6), [240, 320]);
        assert_eq!(upright(&photo(40, 30), 1), [40, 30]);
        assert_eq!(upright(&photo(3000, 1), 8), [1, 320]);
        let scaled = Raster { pixels: [1600, 1200], eighths: 1, ..photo(200, 150) };
        assert_eq!(upright(&scaled, 1), [200, 150], "no more than was decoded");
    }

    #[test]
    fn the_top_comes_up() {
        // The picture is dark on the left; orientation 6 turns the left side up.
        let rgb = (0..64 * 64).flat_map(|index| [if index % 64 < 32 { 20 } else { 220 }; 3]).collect();
        let seen = decoded(&thumbnail(&Raster::whole(64, 64, rgb), Orientation::from_exif(6), LONG_SIDE));
        let at = |x: usize, y: usize| seen.rgb[(y * 64 + x) * 3];
        assert!(at(8, 8) < 40 && at(56, 8) < 40 && at(8, 56) > 200 && at(56, 56) > 200);
    }

    #[test]
    fn noise_fits_too() {
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let raster = Raster::whole(1024, 1024, (0..1024 * 1024 * 3).map(|_| noise()).collect());
        for long_side in [320, 1024] {
            let long_side = NonZeroU32::new(long_side).expect("some");
            let [width, _] = decoded(&thumbnail(&raster, Orientation::UPRIGHT, long_side)).pixels;
            assert!(width >= 160, "{width}");
        }
        let long_side = NonZeroU32::new(640).expect("some");
        let free = picture(&raster, Orientation::UPRIGHT, long_side, usize::MAX);
        let bound = picture(&raster, Orientation::UPRIGHT, long_side, free.len() / 2);
        assert!(bound.len() <= free.len() / 2, "{} of {}", bound.len(), free.len());
        assert_eq!(decode(&bound, &Limits::default()).expect("decodes").pixels, [640, 640]);
    }
}
