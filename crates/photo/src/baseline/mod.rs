//! Decoder for baseline JPEGs at a fraction of their size, several times faster than libjpeg.
//!
//! Huffman codes take most of the decoding time, and most of them belong to coefficients that a small picture does not
//! show. libjpeg still reads them one by one; this decoder passes over several at a time (`huffman`). It serves only
//! the usual photos of cameras. Anything else, including anything damaged, is left to libjpeg, which reports what is
//! wrong.

mod bits;
mod huffman;
mod idct;
mod scan;

use bits::Bits;
use idct::{Block, Idct};
use scan::{Component, Scan};

use super::jpeg::JpegHeader;

/// Largest fraction in eighths. At 4/8, a component with half as many blocks is decoded at its own full size.
const EIGHTHS_MAX: u8 = 4;

/// Decodes at `eighths`/8 of the size and returns width, height and RGB rows. `header` must come from the same `bytes`.
/// `None` if libjpeg has to decode this file or fraction.
pub fn decode(bytes: &[u8], header: &JpegHeader, eighths: u8) -> Option<(u32, u32, Vec<u8>)> {
    if eighths > EIGHTHS_MAX || header.scans != 1 || header.components != 3 {
        return None;
    }
    let (scan, eighths) = (Scan::read(bytes)?, usize::from(eighths));
    let unit_blocks =
        [0, 1].map(|axis| scan.components.iter().fold(0, |most, component| most.max(component.sampling[axis])));
    let [width, height] = [header.width, header.height].map(|side| (side as usize * eighths).div_ceil(8));
    let [unit_width, unit_height] = unit_blocks.map(|blocks| blocks * eighths);
    let stride = width.next_multiple_of(unit_width);

    let mut lanes = Vec::new();
    for component in &scan.components {
        lanes.push(Lane::new(component, [unit_width, unit_height], stride)?);
    }
    let mut bits = Bits::new(scan.data);
    let mut restarts = Restarts { interval: scan.restart_interval, units: 0, marker: FIRST_RESTART };
    let mut rgb = vec![0; width * height * 3];
    for rows in rgb.chunks_mut(unit_height * width * 3) {
        for at in (0..stride).step_by(unit_width) {
            restarts.before_unit(&mut bits, &mut lanes)?;
            for lane in &mut lanes {
                lane.unit(&mut bits, at)?;
            }
        }
        if bits.is_overdrawn() {
            return None;
        }
        to_rgb(rows, width, &lanes, stride);
    }
    bits.marker().is_some().then_some((width as u32, height as u32, rgb))
}

const FIRST_RESTART: u8 = 0xD0;

/// Restart markers: equally spaced points in the data where decoding starts afresh (ITU-T T.81, E.2.4).
struct Restarts {
    /// Units between two markers; 0 if there are none.
    interval: u32,
    /// Units since the last marker.
    units: u32,
    /// Next marker, `D0` to `D7` in turn.
    marker: u8,
}

impl Restarts {
    /// Passes a restart marker if one is due before the next unit. `None` if it is missing.
    fn before_unit(&mut self, bits: &mut Bits, lanes: &mut [Lane]) -> Option<()> {
        if self.interval > 0 && self.units == self.interval {
            if bits.marker()? != self.marker {
                return None;
            }
            bits.pass_marker();
            lanes.iter_mut().for_each(|lane| lane.dc = 0);
            (self.units, self.marker) = (0, FIRST_RESTART + (self.marker + 1) % 8);
        }
        self.units += 1;
        Some(())
    }
}

/// Decoder of one component. It makes one sample per pixel of the picture: blocks of a component that has fewer of them
/// are decoded to a larger size.
struct Lane<'a> {
    component: &'a Component,
    idct: Idct,
    /// DC coefficient of the previous block.
    dc: i16,
    /// Samples of one row of units, `stride` in each line.
    plane: Vec<u8>,
    stride: usize,
}

impl<'a> Lane<'a> {
    fn new(component: &'a Component, unit: [usize; 2], stride: usize) -> Option<Self> {
        let [across, down] = component.sampling;
        let [width, height] = [unit[0] / across, unit[1] / down];
        let fits = width * across == unit[0] && height * down == unit[1] && width.max(height) <= 8;
        let idct = fits.then(|| Idct::new(width, height, &component.quantization))?;
        Some(Lane { component, idct, dc: 0, plane: vec![0; stride * unit[1]], stride })
    }

    /// Decodes the blocks of a unit whose samples begin in column `at`.
    #[inline]
    fn unit(&mut self, bits: &mut Bits, at: usize) -> Option<()> {
        let [across, down] = self.component.sampling;
        for row in 0..down {
            for column in 0..across {
                let at = at + row * self.idct.height * self.stride + column * self.idct.width;
                match self.idct.is_small() {
                    true => self.block::<4, 5>(bits, at)?,
                    false => self.block::<8, 9>(bits, at)?,
                }
            }
        }
        Some(())
    }

    #[inline]
    fn block<const SIDE: usize, const ROWS: usize>(&mut self, bits: &mut Bits, at: usize) -> Option<()> {
        let Lane { component, idct, dc, plane, stride } = self;
        *dc = dc.checked_add(component.dc.difference(bits)?)?;
        let (mut block, mut is_flat): (Block<SIDE, ROWS>, _) = ([[0.0; SIDE]; ROWS], true);
        idct.place(0, *dc, &mut block);
        component.ac.coefficients(bits, idct.last, |number, value| {
            is_flat = false;
            idct.place(number, value, &mut block);
        })?;
        let rows = plane[at..].chunks_mut(*stride).take(idct.height).map(|row| &mut row[..idct.width]);
        if is_flat {
            let sample = to_sample(block[0][0] / 8.0);
            rows.for_each(|row| row.fill(sample));
        } else {
            for (row, samples) in rows.zip(idct.samples(&block)) {
                row.iter_mut().zip(samples).for_each(|(to, sample)| *to = to_sample(sample));
            }
        }
        Some(())
    }
}

/// Returns the sample for a value centred on 0 (A.3.1).
fn to_sample(value: f32) -> u8 {
    (value + 128.5) as u8
}

/// Converts to RGB with the weights of JFIF 1.02, in 65,536ths like libjpeg.
fn to_rgb(rows: &mut [u8], width: usize, lanes: &[Lane], stride: usize) {
    for (y, row) in rows.chunks_exact_mut(width * 3).enumerate() {
        let [lumas, blues, reds] = [0, 1, 2].map(|lane| &lanes[lane].plane[y * stride..][..width]);
        for (pixel, ((luma, blue), red)) in row.as_chunks_mut::<3>().0.iter_mut().zip(lumas.iter().zip(blues).zip(reds))
        {
            let [luma, blue, red] = [i32::from(*luma), i32::from(*blue) - 128, i32::from(*red) - 128];
            let rounded = |value: i32| (luma + ((value + 32_768) >> 16)).clamp(0, 255) as u8;
            *pixel = [rounded(91_881 * red), rounded(-22_554 * blue - 46_802 * red), rounded(116_130 * blue)];
        }
    }
}

#[cfg(test)]
mod tests {
    use bridgeclip_random::Random;

    use super::*;
    use crate::{jpeg, libjpeg};

    /// A gradient under noise, which has coefficients of all frequencies.
    fn textured(width: u32, height: u32) -> Vec<u8> {
        let mut random = Random::new(&[width.into(), height.into()]);
        let pixel = |x: u32, y: u32| [x * 3, y * 5, x * 2 + y].map(|value| (value % 200) as f32 + 28.0);
        let pixels = (0..width * height).flat_map(|index| pixel(index % width, index / width));
        pixels.map(|value| (value + random.within(25.0)) as u8).collect()
    }

    fn by_both(bytes: &[u8], eighths: u8) -> [(u32, u32, Vec<u8>); 2] {
        let header = jpeg::inspect(bytes).expect("whole");
        [
            decode(bytes, &header, eighths).expect("the plain case"),
            libjpeg::decode(bytes, &header, eighths).expect("decodes"),
        ]
    }

    fn largest_difference(one: &[u8], other: &[u8]) -> u8 {
        one.iter().zip(other).map(|(one, other)| one.abs_diff(*other)).max().unwrap_or(0)
    }

    #[test]
    fn at_three_eighths_pictures_are_those_of_libjpeg() {
        // At 3/8, libjpeg also keeps the lowest coefficients; at 1/8, 2/8 and 4/8 it runs older code.
        for (width, height) in [(1, 1), (7, 9), (8, 8), (16, 17), (33, 1), (67, 45), (200, 131)] {
            for (sampling, quality) in [([1, 1], 95), ([2, 2], 95), ([1, 1], 40), ([2, 2], 30)] {
                let bytes = libjpeg::encode_sampled(width, height, &textured(width, height), quality, sampling);
                let [ours, theirs] = by_both(&bytes, 3);
                assert_eq!((ours.0, ours.1, ours.2.len()), (theirs.0, theirs.1, theirs.2.len()));
                let difference = largest_difference(&ours.2, &theirs.2);
                // One grey level in each of Y, Cb and Cr.
                assert!(difference <= 3, "{width} x {height}, {sampling:?}, quality {quality}: {difference}");
            }
        }
    }

    #[test]
    fn every_sampling_shows_the_picture_at_every_fraction() {
        let (width, height) = (160, 128);
        let at = |x: f64, y: f64| [x, 40.0 + y, 200.0 - x];
        let slopes: Vec<u8> = (0..width * height)
            .flat_map(|index| at((index % width).into(), (index / width).into()).map(|value| value as u8))
            .collect();
        for sampling in [[1, 1], [2, 1], [1, 2], [2, 2], [4, 1], [4, 2]] {
            let bytes = libjpeg::encode_sampled(width, height, &slopes, 98, sampling);
            let header = jpeg::inspect(&bytes).expect("whole");
            for eighths in (1..=EIGHTHS_MAX).filter(|eighths| sampling[0] * eighths <= 8) {
                let (width, height, rgb) = decode(&bytes, &header, eighths).expect("the plain case");
                assert_eq!((width, height), (20 * u32::from(eighths), 16 * u32::from(eighths)));
                // A pixel shows the centre of the area that it represents.
                let middle = |index: u32| (f64::from(index) + 0.5) * 8.0 / f64::from(eighths) - 0.5;
                let expected: Vec<u8> = (0..width * height)
                    .flat_map(|index| at(middle(index % width), middle(index / width)).map(|value| value.round() as u8))
                    .collect();
                let difference = largest_difference(&rgb, &expected);
                assert!(difference <= 4, "{sampling:?} at {eighths}/8: {difference}");
            }
        }
    }

    #[test]
    fn restarts_change_nothing() {
        // Both files of a pair hold the same coefficients.
        let pairs = [
            [seed!("textured-420.jpg"), seed!("textured-420-restarts.jpg")],
            [seed!("textured-422.jpg"), seed!("textured-422-restarts.jpg")],
            [seed!("textured-444.jpg"), seed!("textured-444-restarts.jpg")],
        ];
        for [without, with] in pairs {
            for eighths in 1..=EIGHTHS_MAX {
                assert_eq!(by_both(without, eighths)[0], by_both(with, eighths)[0], "{eighths}/8");
            }
        }
    }

    #[test]
    fn other_kinds_are_left_to_libjpeg() {
        let others = [
            seed!("progressive.jpg"),
            seed!("grey.jpg"),
            seed!("cmyk.jpg"),
            seed!("arithmetic.jpg"),
            seed!("rgb.jpg"),
            seed!("short-data.jpg"),
        ];
        for bytes in others {
            let header = jpeg::inspect(bytes).expect("whole");
            assert_eq!(decode(bytes, &header, 2), None);
        }
        let plain = seed!("textured-420.jpg");
        assert_eq!(decode(plain, &jpeg::inspect(plain).expect("whole"), 5), None);
    }

    #[test]
    fn what_is_accepted_is_whole_for_libjpeg_too() {
        let mut random = Random::new(&[5]);
        let mut below = |end: usize| (random.bits() % end as u64) as usize;
        let mut counts = [0; 2];
        for whole in [seed!("textured-420.jpg"), seed!("textured-444-restarts.jpg"), seed!("drone.jpg")] {
            for _ in 0..2000 {
                let mut damaged = whole.to_vec();
                match below(3) {
                    0 => drop(damaged.remove(below(whole.len()))),
                    1 => damaged.insert(below(whole.len()), below(256) as u8),
                    _ => damaged[below(whole.len())] ^= 1 << below(8),
                }
                let Ok(header) = jpeg::inspect(&damaged) else { continue };
                let is_refused =
                    header.refusal().is_some() || u64::from(header.width) * u64::from(header.height) > 1 << 20;
                if !is_refused
                    && let Some((width, height, _)) = decode(&damaged, &header, 2)
                    && libjpeg::accepts_header(&damaged, &header, 2)
                {
                    let (_, _, whole) = libjpeg::decode(&damaged, &header, 8).expect("whole");
                    assert_eq!(whole.len(), (header.width * header.height * 3) as usize);
                    assert_eq!((width, height), (header.width.div_ceil(4), header.height.div_ceil(4)));
                    counts[1] += 1;
                } else {
                    counts[0] += 1;
                }
            }
        }
        assert!(counts.iter().all(|count| *count > 500), "{counts:?}");
    }
}
