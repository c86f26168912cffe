//! Measures how well a photo shows its subject.

use bridgeclip_domain::PhotoQuality;

use super::{Metadata, Raster};

/// Short side, in pixels, at which photos are measured.
const SHORT_SIDE: u32 = 448;
/// Maximum number of pixels that are measured. Only pictures far longer than wide would exceed it.
const PIXELS_MAX: f64 = 16.0 * 448.0 * 448.0;
/// Greatest luma of a pixel that is too dark to show anything.
const BLACK_MAX: u8 = 5;
/// Least luma of a pixel that is too bright to show anything.
const WHITE_MIN: u8 = 250;
/// Diagonal of 35 mm film (36 x 24 mm). Equivalent focal lengths give the same angle over the diagonal (CIPA DCG-001).
const FILM_DIAGONAL_MM: f64 = 43.267;

/// Measures the picture. `millimetres_per_pixel` stays empty, because the pixels do not show it; see
/// [`Metadata::millimetres_per_pixel`].
pub fn quality(raster: &Raster) -> PhotoQuality {
    let (width, luma) = luma(raster);
    let sum: u64 = luma.iter().map(|value| u64::from(*value)).sum();
    PhotoQuality {
        sharpness: laplacian_variance(&luma, width),
        brightness: sum as f32 / (255 * luma.len()) as f32,
        black_share: share(&luma, |value| value <= BLACK_MAX),
        white_share: share(&luma, |value| value >= WHITE_MIN),
        millimetres_per_pixel: None,
    }
}

/// Returns the share of the pixels that `counts` accepts.
fn share(luma: &[u8], counts: impl Fn(u8) -> bool) -> f32 {
    luma.iter().filter(|value| counts(**value)).count() as f32 / luma.len() as f32
}

/// Returns the width and luma (ITU-R BT.601, as in JPEG) of the picture at the scale at which it is measured.
fn luma(raster: &Raster) -> (usize, Vec<u8>) {
    let short_side = raster.pixels[0].min(raster.pixels[1]);
    // Photos are never enlarged, which would only add blur.
    let measured = SHORT_SIDE.min(short_side).min(raster.width.min(raster.height));
    let pixels = f64::from(raster.pixels[0]) * f64::from(raster.pixels[1]);
    let small = raster.shrunk((f64::from(measured) / f64::from(short_side)).min((PIXELS_MAX / pixels).sqrt()));
    let luma = small.rgb.chunks_exact(3).map(|pixel| {
        let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
        ((299 * red + 587 * green + 114 * blue + 500) / 1000) as u8
    });
    (small.width as usize, luma.collect())
}

/// Returns the variance of the Laplacian over all pixels that have four neighbours, or 0 if there are none.
fn laplacian_variance(luma: &[u8], width: usize) -> f32 {
    let rows: Vec<&[u8]> = luma.chunks_exact(width).collect();
    let count = width.saturating_sub(2) * rows.len().saturating_sub(2);
    if count == 0 {
        return 0.0;
    }
    let (mut sum, mut squares) = (0_i64, 0_i64);
    for rows in rows.windows(3) {
        let (above, row, below) = (rows[0], rows[1], rows[2]);
        let around = above[1..].iter().zip(&below[1..]).zip(row.iter().zip(&row[2..]));
        for (pixel, ((up, down), (left, right))) in row[1..].iter().zip(around) {
            let [up, down, left, right, pixel] = [up, down, left, right, pixel].map(|value| i32::from(*value));
            let laplacian = up + down + left + right - 4 * pixel;
            sum += i64::from(laplacian);
            squares += i64::from(laplacian * laplacian);
        }
    }
    let mean = sum as f64 / count as f64;
    (squares as f64 / count as f64 - mean * mean) as f32
}

impl Metadata {
    /// Returns the millimetres of the subject that one pixel covers, seen straight on at the distance that the laser
    /// measured. `pixels` is the picture's full size. `None` if the laser distance or the equivalent focal length is
    /// unknown.
    pub fn millimetres_per_pixel(&self, pixels: [u32; 2]) -> Option<f32> {
        let distance_mm = self.drone.as_ref()?.laser_distance_m? * 1e3;
        let focal_length_mm = self.exposure.focal_length_35mm_mm?;
        let diagonal = f64::from(pixels[0]).hypot(f64::from(pixels[1]));
        Some((distance_mm * FILM_DIAGONAL_MM / focal_length_mm / diagonal) as f32)
    }
}

#[cfg(test)]
mod tests {
    use bridgeclip_domain::{Drone, Exposure};

    use super::*;

    fn measured(width: u32, height: u32, pixel: impl Fn(u32, u32) -> u8) -> PhotoQuality {
        let rgb = (0..width * height).flat_map(|index| [pixel(index % width, index / width); 3]).collect();
        quality(&Raster::whole(width, height, rgb))
    }

    #[test]
    fn a_plain_photo_is_not_sharp() {
        let expected = |luma: f32, black_share: f32, white_share: f32| PhotoQuality {
            sharpness: 0.0,
            brightness: luma / 255.0,
            black_share,
            white_share,
            millimetres_per_pixel: None,
        };
        for (width, height) in [(1, 1), (2, 9), (64, 48), (1000, 700)] {
            assert_eq!(measured(width, height, |_, _| 0), expected(0.0, 1.0, 0.0));
            assert_eq!(measured(width, height, |_, _| 255), expected(255.0, 0.0, 1.0));
            assert_eq!(measured(width, height, |_, _| 51), expected(51.0, 0.0, 0.0));
        }
    }

    #[test]
    fn sharpness_is_the_variance_of_the_laplacian() {
        // Two inner pixels, whose Laplacians are 20 - 4 * 10 and 10 - 4 * 20.
        let luma = [0, 0, 0, 0, 0, 10, 20, 0, 0, 0, 0, 0];
        let laplacians = [20.0 - 40.0, 10.0 - 80.0_f32];
        let mean = (laplacians[0] + laplacians[1]) / 2.0;
        let variance = laplacians.iter().map(|value| (value - mean) * (value - mean)).sum::<f32>() / 2.0;
        assert_eq!(laplacian_variance(&luma, 4), variance);
    }

    #[test]
    fn blur_lowers_sharpness_at_any_resolution() {
        // Fourteen stripes with sharp edges, and seven waves without edges.
        let stripes = |side: u32| measured(side, side, move |x, _| [40, 200][(x * 14 / side % 2) as usize]);
        let waves = |side: u32| measured(side, side, move |x, _| (40 + 5 * (x * 448 / side % 64).abs_diff(32)) as u8);
        for side in [448, 896, 1344] {
            let (sharp, blurred) = (stripes(side).sharpness, waves(side).sharpness);
            assert!(sharp > 4.0 * blurred, "{sharp} {blurred}");
        }
        let (large, larger) = (stripes(896).sharpness, stripes(1344).sharpness);
        assert!((large / larger - 1.0).abs() < 0.2, "{large} {larger}");
    }

    #[test]
    fn a_laser_tells_the_size_of_a_pixel() {
        let drone = Some(Drone { laser_distance_m: Some(10.0), ..Drone::default() });
        let mut metadata = Metadata { drone, ..Metadata::default() };
        assert_eq!(metadata.millimetres_per_pixel([4000, 3000]), None);
        metadata.exposure = Exposure { focal_length_35mm_mm: Some(24.0), ..Exposure::default() };
        // 10 m at 24 mm show 18 m over the diagonal, which has 5000 pixels.
        let millimetres = metadata.millimetres_per_pixel([4000, 3000]).expect("known");
        assert!((millimetres - 18.03 / 5.0).abs() < 0.01, "{millimetres}");
    }
}
