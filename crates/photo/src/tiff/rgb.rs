//! Converts the samples of a TIFF's picture to 8-bit RGB, as libtiff's RGBA interface does (`tif_getimage.c`), with two
//! differences: alpha is dropped, and colours that were multiplied by it are divided by it again.

use super::colour::{Chroma, Colour};
use super::picture::Picture;
use super::unpack::float;

/// Decoded bytes of a part of the picture.
pub struct Part<'p> {
    pub picture: &'p Picture<'p>,
    /// Bytes of each plane.
    pub planes: &'p [Vec<u8>],
}

impl Part<'_> {
    /// Writes the first pixels of a row as RGB.
    pub fn write_row(&self, y: usize, rgb: &mut [[u8; 3]]) {
        let picture = self.picture;
        let plain = picture.bits == 8 && !picture.is_planar && picture.associated_alpha.is_none();
        let row = picture.row_bytes() as usize;
        match &picture.colour {
            _ if picture.is_jpeg() => {
                rgb.copy_from_slice(&self.planes[0][y * row..].as_chunks().0[..rgb.len()]);
            }
            Colour::Rgb if plain => {
                let pixels = self.planes[0][y * row..].chunks_exact(picture.samples);
                rgb.iter_mut().zip(pixels).for_each(|(to, from)| to.copy_from_slice(&from[..3]));
            }
            Colour::Luma { chroma } => {
                rgb.iter_mut().enumerate().for_each(|(x, to)| *to = chroma.rgb(self.luma_and_chroma(chroma, x, y)));
            }
            Colour::Palette(colours) => {
                rgb.iter_mut().enumerate().for_each(|(x, to)| *to = colours[self.sample(x, y, 0) as usize]);
            }
            Colour::Grey => rgb.iter_mut().enumerate().for_each(|(x, to)| *to = [self.byte(x, y, 0); 3]),
            Colour::Rgb => {
                rgb.iter_mut().enumerate().for_each(|(x, to)| *to = [0, 1, 2].map(|index| self.byte(x, y, index)));
            }
        }
        if picture.is_inverted {
            rgb.as_flattened_mut().iter_mut().for_each(|value| *value = 255 - *value);
        }
    }

    fn luma_and_chroma(&self, chroma: &Chroma, x: usize, y: usize) -> [u8; 3] {
        let row = self.picture.row_bytes() as usize;
        if self.picture.is_planar {
            return [0, 1, 2].map(|plane| self.planes[plane][y * row + x]);
        }
        let lumas = chroma.across * chroma.down;
        let unit = &self.planes[0][y / chroma.down * row + x / chroma.across * (lumas + 2)..];
        [unit[y % chroma.down * chroma.across + x % chroma.across], unit[lumas], unit[lumas + 1]]
    }

    /// Returns a sample of a colour with 8 bits, divided by alpha if it was multiplied by it. Where alpha is 0, there is
    /// no colour to regain.
    fn byte(&self, x: usize, y: usize, index: usize) -> u8 {
        let bits = self.picture.bits;
        if bits == 32 {
            let (float, alpha) = (|index| self.float(x, y, index), self.picture.associated_alpha);
            let alpha = alpha.map(float).filter(|alpha| *alpha > 0.0).unwrap_or(1.0);
            return ((float(index) / alpha).clamp(0.0, 1.0) * 255.0).round() as u8;
        }
        let (mut sample, white) = (self.sample(x, y, index), (1 << bits) - 1);
        if let Some(alpha) = self.picture.associated_alpha {
            let alpha = self.sample(x, y, alpha);
            sample = (sample * white + alpha / 2).checked_div(alpha).unwrap_or(sample).min(white);
        }
        match bits {
            8 => sample as u8,
            16 => ((sample + 128) / 257) as u8,
            _ => (sample * 255 / white) as u8,
        }
    }

    /// Returns the rows from that of a sample on, and the sample's number in its row.
    fn place(&self, x: usize, y: usize, index: usize) -> (&[u8], usize) {
        let picture = self.picture;
        let (plane, at) = if picture.is_planar { (index, x) } else { (0, x * picture.samples + index) };
        (&self.planes[plane][y * picture.row_bytes() as usize..], at)
    }

    fn float(&self, x: usize, y: usize, index: usize) -> f32 {
        let (row, at) = self.place(x, y, index);
        float(&row[4 * at..])
    }

    /// Returns a whole number as it is stored.
    fn sample(&self, x: usize, y: usize, index: usize) -> u32 {
        let (row, at) = self.place(x, y, index);
        match self.picture.bits {
            8 => row[at].into(),
            16 => {
                let bytes = [row[2 * at], row[2 * at + 1]];
                let is_big_endian = self.picture.is_big_endian;
                (if is_big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }).into()
            }
            bits => u32::from(row[at * bits / 8]) >> (8 - bits - at * bits % 8) & ((1 << bits) - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::directory::tag;
    use super::super::sample::{Field, LONG, Layout, SHORT, file};
    use crate::{Limits, Raster, decode, libjpeg};

    const BYTES: u16 = 7;
    const WIDTH: usize = 37;
    const HEIGHT: usize = 21;

    fn photometric(value: u32) -> Field {
        (tag::PHOTOMETRIC_INTERPRETATION, SHORT, vec![value])
    }

    fn decoded(bytes: &[u8]) -> Vec<u8> {
        let Raster { pixels, rgb, .. } = decode(bytes, &Limits::default()).expect("decodes");
        assert_eq!(pixels, [WIDTH as u32, HEIGHT as u32]);
        rgb
    }

    fn refusal(bytes: &[u8]) -> String {
        decode(bytes, &Limits::default()).expect_err("refused").to_string()
    }

    /// Colours of the test picture; the fourth value is alpha, the fifth another sample.
    fn value(x: usize, y: usize, index: usize) -> u8 {
        [x * 6, y * 11, 200 - x - y, if x < 20 { 255 } else { 64 + 4 * x }, 3 * x][index] as u8
    }

    fn expected() -> Vec<u8> {
        let pixels = (0..WIDTH * HEIGHT).map(|at| (at % WIDTH, at / WIDTH));
        pixels.flat_map(|(x, y)| [0, 1, 2].map(|index| value(x, y, index))).collect()
    }

    /// Every way to store a picture of whole bytes that is decoded.
    fn layouts() -> impl Iterator<Item = Layout> {
        let parts = [[WIDTH, 1], [WIDTH, 5], [WIDTH, HEIGHT], [16, 16], [48, 32]];
        let kinds = [(1, 1), (5, 1), (5, 2), (8, 1), (8, 2), (32_773, 1)];
        let order = |part, (compression, predictor)| {
            [[false, false], [false, true], [true, false], [true, true]].map(|[is_planar, is_big_endian]| Layout {
                part,
                is_planar,
                is_big_endian,
                compression,
                predictor,
                ..Layout::plain(WIDTH, HEIGHT)
            })
        };
        parts.into_iter().flat_map(move |part| kinds.into_iter().flat_map(move |kind| order(part, kind)))
    }

    #[test]
    fn every_layout_gives_the_same_pixels() {
        let mut count = 0;
        for layout in layouts() {
            for size in [1, 2] {
                let stored = |x, y, index| vec![value(x, y, index); size];
                // Alpha that is not multiplied, other samples, and no word about them.
                for extra in [&[][..], &[2], &[0], &[0, 0], &[2, 0]] {
                    let fields = [photometric(2), (tag::EXTRA_SAMPLES, SHORT, extra.to_vec())];
                    let samples = 3 + extra.len();
                    let bytes =
                        layout.file(samples, size, &stored, &fields[..fields.len() - usize::from(extra.is_empty())]);
                    assert!(decoded(&bytes) == expected(), "{layout:?}, {size} bytes, extra samples {extra:?}");
                    count += 1;
                }
                let unnamed = layout.file(4, size, &stored, &[photometric(2)]);
                assert!(decoded(&unnamed) == expected(), "{layout:?}, {size} bytes, a sample without a name");
            }
        }
        assert_eq!(count, 1200);
    }

    #[test]
    fn multiplied_colours_are_divided_by_alpha() {
        for layout in layouts() {
            let stored = |x: usize, y: usize, index: usize| {
                let (value, alpha) = (f64::from(value(x, y, index)), f64::from(value(x, y, 3)));
                vec![if index < 3 { (value * alpha / 255.0).round() } else { value } as u8]
            };
            let fields = [photometric(2), (tag::EXTRA_SAMPLES, SHORT, vec![1])];
            let found = decoded(&layout.file(4, 1, &stored, &fields));
            // Half a level before the division by at least 144 / 255.
            let worst = found.iter().zip(expected()).map(|(found, right)| found.abs_diff(right)).max();
            assert!(worst <= Some(1), "{layout:?}: {worst:?}");
        }
        let clear = Layout::plain(WIDTH, HEIGHT).file(
            2,
            1,
            &|x, _, index| vec![if index == 0 { x as u8 } else { 0 }],
            &[photometric(1), (tag::EXTRA_SAMPLES, SHORT, vec![1])],
        );
        assert_eq!(decoded(&clear)[..9], [0, 0, 0, 1, 1, 1, 2, 2, 2], "nothing to divide by");
    }

    #[test]
    fn grey_of_either_direction_and_floats_are_read() {
        let grey = |photometric_value, size| {
            let stored = move |x: usize, _: usize, _: usize| vec![x as u8 * 6; size];
            decoded(&Layout::plain(WIDTH, HEIGHT).file(1, size, &stored, &[photometric(photometric_value)]))
        };
        for size in [1, 2] {
            assert_eq!(grey(1, size)[..6], [0, 0, 0, 6, 6, 6]);
            assert_eq!(grey(0, size)[..6], [255, 255, 255, 249, 249, 249]);
        }
        let float = |factor: f32| {
            let stored = move |x, y, index| (f32::from(value(x, y, index)) / 255.0 * factor).to_be_bytes().to_vec();
            let fields = [photometric(2), (tag::SAMPLE_FORMAT, SHORT, vec![3; 3])];
            layouts().map(move |layout| {
                let predictor = if layout.predictor == 2 { 3 } else { 1 };
                Layout { predictor, ..layout }.file(3, 4, &stored, &fields)
            })
        };
        for bytes in float(1.0) {
            assert!(decoded(&bytes) == expected());
        }
        let too_bright = float(255.0).next().expect("a layout");
        assert!(refusal(&too_bright).contains("not within 0 to 1"), "{}", refusal(&too_bright));
    }

    /// A file of one strip with the given bits and fields.
    fn strip(bits: &[u32], data: Vec<u8>, more: &[Field]) -> Vec<u8> {
        let fields = [
            (tag::IMAGE_WIDTH, LONG, vec![WIDTH as u32]),
            (tag::IMAGE_LENGTH, LONG, vec![HEIGHT as u32]),
            (tag::BITS_PER_SAMPLE, SHORT, bits.to_vec()),
            (tag::SAMPLES_PER_PIXEL, SHORT, vec![bits.len() as u32]),
        ];
        file(false, &[&fields, more].concat(), &[data], false)
    }

    #[test]
    fn small_samples_and_palettes_are_read() {
        // The number of a pixel is its column, in as many bits as there are.
        for bits in [1, 2, 4, 8] {
            let (row, white) = ((WIDTH * bits).div_ceil(8), (1 << bits) - 1);
            let mut data = vec![0; row * HEIGHT];
            for (x, y) in (0..WIDTH * HEIGHT).map(|at| (at % WIDTH, at / WIDTH)) {
                data[y * row + x * bits / 8] |= ((x & white) << (8 - bits - x * bits % 8)) as u8;
            }
            let row =
                |colour: &dyn Fn(usize) -> [u8; 3]| (0..WIDTH).flat_map(|x| colour(x & white)).collect::<Vec<_>>();
            let grey = |kind| decoded(&strip(&[bits as u32], data.clone(), &[photometric(kind)]));
            let level = |number: usize| (number * 255 / white) as u8;
            assert_eq!(grey(1), row(&|number| [level(number); 3]).repeat(HEIGHT), "{bits} bits");
            assert_eq!(grey(0), row(&|number| [255 - level(number); 3]).repeat(HEIGHT), "{bits} bits");
            let colour = |number: usize| [number * 7, 255 - number, number / 2].map(|value| value as u8);
            for factor in [256, 257, 1] {
                let at = |channel| (0..=white).map(move |number| u32::from(colour(number)[channel]) * factor);
                let map: Vec<u32> = at(0).chain(at(1)).chain(at(2)).collect();
                let bytes = strip(&[bits as u32], data.clone(), &[photometric(3), (tag::COLOR_MAP, SHORT, map)]);
                assert_eq!(decoded(&bytes), row(&colour).repeat(HEIGHT), "{bits} bits, times {factor}");
            }
        }
        assert!(refusal(&strip(&[8], vec![0; 777], &[photometric(3)])).contains("palette is incomplete"));
    }

    #[test]
    fn chroma_is_shared_by_as_many_pixels_as_the_file_says() {
        for (across, down) in [(1, 1), (2, 1), (2, 2), (4, 2), (4, 4), (1, 2)] {
            let mut data = Vec::new();
            for y in (0..HEIGHT).step_by(down) {
                for x in (0..WIDTH).step_by(across) {
                    data.extend((0..across * down).map(|at| ((x + at % across) * 3 + (y + at / across)) as u8));
                    data.extend([128 + x as u8, 128]);
                }
            }
            let fields = [photometric(6), (tag::YCBCR_SUBSAMPLING, SHORT, vec![across as u32, down as u32])];
            let rgb = decoded(&strip(&[8; 3], data, &fields));
            for (at, pixel) in rgb.chunks_exact(3).enumerate() {
                let (x, y) = (at % WIDTH, at / WIDTH);
                // TIFF 6.0, section 21, with the weights of BT.601.
                let (luma, blue) = ((3 * x + y) as f64, (x / across * across) as f64);
                let right = [luma, luma - 0.344136 * blue, luma + 1.772 * blue].map(|value| value.clamp(0.0, 255.0));
                let differs = pixel.iter().zip(right).any(|(found, right)| (f64::from(*found) - right).abs() > 0.51);
                assert!(!differs, "{across} x {down}, at {x}, {y}: {pixel:?} instead of {right:?}");
            }
        }
    }

    /// Splits a JPEG into its tables and the rest, as TIFF keeps them.
    fn split(bytes: &[u8]) -> [Vec<u8>; 2] {
        let [mut tables, mut rest] = [vec![0xFF, 0xD8], vec![0xFF, 0xD8]];
        for segment in crate::jpeg::segments(bytes) {
            let is_table = matches!(segment.marker, 0xC4 | 0xDB);
            let is_needed = !matches!(segment.marker, 0xE0..=0xEF);
            if is_needed {
                segment.write(if is_table { &mut tables } else { &mut rest });
            }
            if segment.marker == 0xDA {
                rest.extend(&bytes[segment.end..]);
            }
        }
        tables.extend([0xFF, 0xD9]);
        [tables, rest]
    }

    #[test]
    fn jpegs_in_tiff_are_decoded_by_the_fields_of_tiff() {
        let whole = libjpeg::encode_sampled(WIDTH as u32, HEIGHT as u32, &expected(), 95, [2, 2]);
        let [tables, rest] = split(&whole);
        let tables: Field = (tag::JPEG_TABLES, BYTES, tables.iter().map(|byte| u32::from(*byte)).collect());
        let fields = |kind| [photometric(kind), (tag::COMPRESSION, SHORT, vec![7]), tables.clone()];
        let as_jpeg =
            decode(&whole, &Limits { decoding: crate::Decoding::Exact, ..Limits::default() }).expect("decodes");
        assert!(decoded(&strip(&[8; 3], rest.clone(), &fields(6))) == as_jpeg.rgb);
        // The same data called RGB: luma in the place of red.
        let untransformed = decoded(&strip(&[8; 3], rest.clone(), &fields(2)));
        assert!(untransformed[0].abs_diff(luma(&expected()[..3])) < 8, "{:?}", &untransformed[..3]);
        let other_size = strip(&[8; 3], split(&libjpeg::encode(8, 8, &[0; 192], 90))[1].clone(), &fields(6));
        assert!(refusal(&other_size).contains("another size"), "{}", refusal(&other_size));
        assert!(refusal(&strip(&[8; 4], rest, &fields(2))).contains("neither grey nor RGB"));
    }

    fn luma(rgb: &[u8]) -> u8 {
        (0.299 * f64::from(rgb[0]) + 0.587 * f64::from(rgb[1]) + 0.114 * f64::from(rgb[2])) as u8
    }

    #[test]
    fn what_is_not_decoded_is_refused_with_a_remedy() {
        let kind = |value| strip(&[8; 4], vec![0; 4 * 777], &[photometric(value)]);
        let compressed =
            |value| strip(&[8; 3], vec![0; 3 * 777], &[photometric(2), (tag::COMPRESSION, SHORT, vec![value])]);
        let float = (tag::SAMPLE_FORMAT, SHORT, vec![3]);
        let signed = (tag::SAMPLE_FORMAT, SHORT, vec![2]);
        let lzw = [photometric(2), (tag::COMPRESSION, SHORT, vec![5]), (tag::PREDICTOR, SHORT, vec![3])];
        let old = strip(&[8; 3], vec![0, 1, 0, 0], &[photometric(2), (tag::COMPRESSION, SHORT, vec![5])]);
        let cases = [
            (kind(5), "a CMYK TIFF"),
            (kind(8), "CIELab"),
            (kind(4), "neither grey, RGB"),
            (compressed(4), "like a fax"),
            (compressed(6), "JPEG of the old kind"),
            (compressed(34_925), "LZMA"),
            (compressed(50_000), "ZSTD"),
            (compressed(50_001), "WebP"),
            (compressed(34_887), "LERC"),
            (compressed(9), "an unusual compression"),
            (strip(&[32], vec![0; 4 * 777], &[photometric(1), float]), "grey TIFF of floating-point"),
            (strip(&[16], vec![0; 2 * 777], &[photometric(1), signed]), "neither whole numbers"),
            (strip(&[12], vec![0; 2 * 777], &[photometric(1)]), "neither whole numbers"),
            (strip(&[5, 6, 5], vec![0; 2 * 777], &[photometric(2)]), "differ in size"),
            (strip(&[8; 3], vec![0; 3 * 777], &lzw), "unusual predictor"),
            (old, "LZW of the old kind"),
            (strip(&[8], vec![0; 777], &[photometric(1), (tag::FILL_ORDER, SHORT, vec![2])]), "in reverse order"),
        ];
        for (bytes, reason) in cases {
            let message = refusal(&bytes);
            let has_remedy = message.ends_with("save it as an uncompressed or LZW RGB TIFF, or as a JPEG");
            assert!(message.contains(reason) && has_remedy, "{message}");
        }
    }
}
