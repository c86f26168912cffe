//! Writes TIFF files of every layout for the tests.

use miniz_oxide::deflate::compress_to_vec_zlib;
use weezl::BitOrder;

use super::directory::tag;

/// Type numbers of fields (TIFF 6.0, section 2).
pub const SHORT: u16 = 3;
pub const LONG: u16 = 4;

/// A field of a directory: tag, type and values.
pub type Field = (u16, u16, Vec<u32>);

/// Layout of a file. All samples have whole bytes.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub width: usize,
    pub height: usize,
    /// Width and height of a strip or tile.
    pub part: [usize; 2],
    pub is_planar: bool,
    pub is_big_endian: bool,
    /// Value of `Compression`: 1, 5, 8 or 32773.
    pub compression: u32,
    /// Value of `Predictor`: 1, or 2 for whole numbers and 3 for floats.
    pub predictor: u32,
}

impl Layout {
    /// A picture in one uncompressed strip.
    pub const fn plain(width: usize, height: usize) -> Self {
        let part = [width, height];
        Layout { width, height, part, is_planar: false, is_big_endian: false, compression: 1, predictor: 1 }
    }

    /// Returns the file of a picture, whose samples, of `size` bytes, are given by column, row and index in big-endian
    /// order. `more` are the fields about colours.
    pub fn file(
        &self,
        samples: usize,
        size: usize,
        at: &dyn Fn(usize, usize, usize) -> Vec<u8>,
        more: &[Field],
    ) -> Vec<u8> {
        let is_tiled = self.part[0] != self.width;
        let planes: Vec<Vec<usize>> = match self.is_planar {
            true => (0..samples).map(|index| vec![index]).collect(),
            false => vec![(0..samples).collect()],
        };
        let mut parts = Vec::new();
        for plane in planes {
            for top in (0..self.height).step_by(self.part[1]) {
                for left in (0..self.width).step_by(self.part[0]) {
                    let bottom = if is_tiled { top + self.part[1] } else { self.height.min(top + self.part[1]) };
                    let mut part = Vec::new();
                    for y in top..bottom {
                        let pixels = left..left + self.part[0];
                        let values = pixels.flat_map(|x| plane.iter().map(move |index| (x, *index)));
                        let row = values.map(|(x, index)| match x < self.width && y < self.height {
                            true => at(x, y, index),
                            false => vec![0; size],
                        });
                        part.extend(self.row(&row.collect::<Vec<_>>(), plane.len(), size));
                    }
                    parts.push(self.compressed(&part));
                }
            }
        }
        let mut fields: Vec<Field> = vec![
            (tag::IMAGE_WIDTH, LONG, vec![self.width as u32]),
            (tag::IMAGE_LENGTH, LONG, vec![self.height as u32]),
            (tag::BITS_PER_SAMPLE, SHORT, vec![8 * size as u32; samples]),
            (tag::COMPRESSION, SHORT, vec![self.compression]),
            (tag::SAMPLES_PER_PIXEL, SHORT, vec![samples as u32]),
            (tag::PLANAR_CONFIGURATION, SHORT, vec![1 + u32::from(self.is_planar)]),
            (tag::PREDICTOR, SHORT, vec![self.predictor]),
        ];
        fields.extend(match is_tiled {
            true => [tag::TILE_WIDTH, tag::TILE_LENGTH]
                .iter()
                .zip(self.part)
                .map(|(tag, side)| (*tag, LONG, vec![side as u32]))
                .collect(),
            false => vec![(tag::ROWS_PER_STRIP, LONG, vec![self.part[1] as u32])],
        });
        fields.extend_from_slice(more);
        file(self.is_big_endian, &fields, &parts, is_tiled)
    }

    /// Returns the bytes of a row after the predictor.
    fn row(&self, values: &[Vec<u8>], samples: usize, size: usize) -> Vec<u8> {
        if self.predictor == 3 {
            let mut bytes: Vec<u8> =
                (0..size).flat_map(|weight| values.iter().map(move |value| value[weight])).collect();
            for at in (samples..bytes.len()).rev() {
                bytes[at] = bytes[at].wrapping_sub(bytes[at - samples]);
            }
            return bytes;
        }
        let numbers: Vec<u32> =
            values.iter().map(|value| value.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte))).collect();
        let before = |at: usize| if self.predictor == 2 && at >= samples { numbers[at - samples] } else { 0 };
        let differences = numbers.iter().enumerate().map(|(at, number)| number.wrapping_sub(before(at)));
        differences.flat_map(|number| bytes(number, size, self.is_big_endian)).collect()
    }

    fn compressed(&self, part: &[u8]) -> Vec<u8> {
        match self.compression {
            5 => weezl::encode::Encoder::with_tiff_size_switch(BitOrder::Msb, 8).encode(part).expect("bytes"),
            8 => compress_to_vec_zlib(part, 6),
            32_773 => part.chunks(100).flat_map(|run| [&[run.len() as u8 - 1], run].concat()).collect(),
            _ => part.to_vec(),
        }
    }
}

/// Returns the last `size` bytes of a number.
fn bytes(number: u32, size: usize, is_big_endian: bool) -> Vec<u8> {
    let mut bytes = number.to_be_bytes()[4 - size..].to_vec();
    if !is_big_endian {
        bytes.reverse();
    }
    bytes
}

/// Returns a file with these fields, in any order, and these parts.
pub fn file(is_big_endian: bool, fields: &[Field], parts: &[Vec<u8>], is_tiled: bool) -> Vec<u8> {
    let mut file = if is_big_endian { b"MM\0*\0\0\0\0".to_vec() } else { b"II*\0\0\0\0\0".to_vec() };
    let mut offsets = Vec::new();
    for part in parts {
        offsets.push(file.len() as u32);
        file.extend(part);
        file.extend(vec![0; part.len() % 2]);
    }
    let (at, lengths) = match is_tiled {
        true => (tag::TILE_OFFSETS, tag::TILE_BYTE_COUNTS),
        false => (tag::STRIP_OFFSETS, tag::STRIP_BYTE_COUNTS),
    };
    let mut fields = fields.to_vec();
    fields.push((at, LONG, offsets));
    fields.push((lengths, LONG, parts.iter().map(|part| part.len() as u32).collect()));
    fields.sort();
    let number = |value: u32, size: usize| bytes(value, size, is_big_endian);
    let mut directory = number(fields.len() as u32, 2);
    for (tag, kind, values) in fields {
        let size = match kind {
            SHORT => 2,
            LONG => 4,
            _ => 1,
        };
        let mut contents: Vec<u8> = values.iter().flat_map(|value| number(*value, size)).collect();
        directory.extend([number(tag.into(), 2), number(kind.into(), 2), number(values.len() as u32, 4)].concat());
        if contents.len() <= 4 {
            contents.resize(4, 0);
            directory.extend(contents);
        } else {
            directory.extend(number(file.len() as u32, 4));
            contents.resize(contents.len().next_multiple_of(2), 0);
            file.extend(contents);
        }
    }
    let start = number(file.len() as u32, 4);
    file[4..8].copy_from_slice(&start);
    file.extend(directory);
    file.extend([0; 4]);
    file
}
