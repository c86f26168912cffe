//! Decompresses strips and tiles of a TIFF file into buffers whose size is known beforehand.

use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use weezl::BitOrder;
use weezl::LzwStatus;

use super::colour::Colour;
use super::compression::{Compression, Predictor};
use super::error::{broken, refused};
use super::picture::Picture;
use crate::{PhotoError, jpeg, libjpeg};

/// Adobe's segment, which tells libjpeg whether colours are YCbCr: version 100, flags, and the transformation (Adobe
/// technical note 5116, page 23).
const ADOBE: [u8; 15] = [0xFF, 0xEE, 0, 14, b'A', b'd', b'o', b'b', b'e', 0, 100, 0, 0, 0, 0];
/// Application segments 0 and 14, from which libjpeg concludes the colours; TIFF's own fields count instead.
const COLOUR_SEGMENTS: [u8; 2] = [0xE0, 0xEE];
/// Input beyond this multiple of the output is not read, and neither is what exceeds it by [`INPUT_BYTES`]. No
/// compression expands data to this, and so the time for a part depends on its size in pixels alone.
const INPUT_FACTOR: usize = 2;
const INPUT_BYTES: usize = 1024;

impl Picture<'_> {
    /// Decompresses a part of `height` pixels. Floats are in big-endian order afterwards.
    pub fn unpack(&self, index: usize, height: u32, to: &mut Vec<u8>) -> Result<(), PhotoError> {
        let data = self.parts[index];
        if let Compression::Jpeg { tables } = self.compression {
            let is_ycc = matches!(self.colour, Colour::Luma { .. });
            return self.unpack_jpeg(&stream(tables, data, is_ycc), height, to);
        }
        to.resize((self.row_bytes() * self.rows(height)) as usize, 0);
        let short = &data[..data.len().min(to.len().saturating_mul(INPUT_FACTOR).saturating_add(INPUT_BYTES))];
        let (is_whole, predictor) = match self.compression {
            Compression::None | Compression::Jpeg { .. } => (copy(data, to), Predictor::None),
            Compression::PackBits => (unpack_bits(short, to).is_some(), Predictor::None),
            Compression::Lzw(_) if matches!(data, [0, second, ..] if second & 1 == 1) => {
                return Err(refused("a TIFF with LZW of the old kind"));
            }
            Compression::Lzw(predictor) => (unpack_lzw(short, to), predictor),
            Compression::Deflate(predictor) => (inflate(short, to), predictor),
        };
        if !is_whole {
            return Err(damaged());
        }
        self.undo(predictor, to);
        self.check_floats(to)
    }

    /// Undoes the predictor, and brings floats to big-endian order.
    fn undo(&self, predictor: Predictor, bytes: &mut [u8]) {
        let (samples, is_big_endian) = (self.part_samples(), self.is_big_endian);
        let rows = bytes.chunks_exact_mut(self.row_bytes() as usize);
        match (predictor, self.bits) {
            (Predictor::None, 32) if !is_big_endian => rows.for_each(|row| {
                row.as_chunks_mut::<4>().0.iter_mut().for_each(|float| float.reverse());
            }),
            (Predictor::None, _) => (),
            (Predictor::Difference, 16) => rows.for_each(|row| add_words(row, samples, is_big_endian)),
            (Predictor::Difference, _) => rows.for_each(|row| add_bytes(row, samples)),
            (Predictor::Float, _) => rows.for_each(|row| {
                add_bytes(row, samples);
                let (sorted, count) = (row.to_vec(), row.len() / 4);
                let weights = row.as_chunks_mut::<4>().0.iter_mut().enumerate();
                weights.for_each(|(at, float)| *float = [0, 1, 2, 3].map(|weight| sorted[weight * count + at]));
            }),
        }
    }

    /// Returns an error if floats lie beyond black and white. Some programs write 0 to 255 or more, which the file does
    /// not tell; a little more than 0 to 1 comes from resampling.
    fn check_floats(&self, bytes: &[u8]) -> Result<(), PhotoError> {
        let is_usual = |bytes: &[u8; 4]| (-0.1..=1.1).contains(&float(bytes));
        match self.bits == 32 && !bytes.as_chunks().0.iter().all(is_usual) {
            true => Err(refused("a TIFF whose floating-point samples are not within 0 to 1")),
            false => Ok(()),
        }
    }

    /// Decodes a part that is a JPEG, whose last rows may lie beyond the picture.
    fn unpack_jpeg(&self, bytes: &[u8], height: u32, to: &mut Vec<u8>) -> Result<(), PhotoError> {
        let header = jpeg::inspect(bytes).map_err(|_| damaged())?;
        if let Some(refusal) = header.refusal() {
            return Err(refusal);
        }
        if header.coefficient_bytes > 0 {
            return Err(refused("a TIFF of progressive JPEGs"));
        }
        let fits = header.width == self.part[0] && (height..=self.part[1]).contains(&header.height);
        if !fits || usize::from(header.components) != self.samples {
            return Err(broken("the JPEG in a strip or tile has another size"));
        }
        *to = Vec::new();
        *to = libjpeg::decode(bytes, &header, 8).map_err(|_| damaged())?.2;
        Ok(())
    }
}

/// Returns the float with which unpacked bytes begin; see [`Picture::unpack`] for their order.
pub fn float(bytes: &[u8]) -> f32 {
    bytes.first_chunk().map_or(0.0, |bytes| f32::from_be_bytes(*bytes))
}

fn damaged() -> PhotoError {
    PhotoError::Undecodable { format: "TIFF", reason: "a strip or tile is damaged or incomplete".to_owned() }
}

fn copy(data: &[u8], to: &mut [u8]) -> bool {
    let whole = data.get(..to.len());
    whole.is_some_and(|whole| {
        to.copy_from_slice(whole);
        true
    })
}

/// Unpacks runs of bytes (TIFF 6.0, section 9). `None` if the data end before the result.
fn unpack_bits(data: &[u8], to: &mut [u8]) -> Option<()> {
    let (mut data, mut at) = (data.iter().copied(), 0);
    while at < to.len() {
        let count = data.next()?;
        // 0 to 127 precede one byte more than that, -1 to -127 stand for one repetition more; -128 means nothing.
        let length = usize::from(if count < 128 { count } else { count.wrapping_neg() }) + 1;
        let end = to.len().min(at + length);
        match count {
            128 => continue,
            0..128 => {
                for byte in &mut to[at..end] {
                    *byte = data.next()?;
                }
            }
            _ => to[at..end].fill(data.next()?),
        }
        at = end;
    }
    Some(())
}

fn unpack_lzw(data: &[u8], to: &mut [u8]) -> bool {
    let mut decoder = weezl::decode::Decoder::with_tiff_size_switch(BitOrder::Msb, 8);
    let (mut read, mut written) = (0, 0);
    while written < to.len() {
        let step = decoder.decode_bytes(&data[read..], &mut to[written..]);
        (read, written) = (read + step.consumed_in, written + step.consumed_out);
        if !matches!(step.status, Ok(LzwStatus::Ok)) {
            break;
        }
    }
    written == to.len()
}

fn inflate(data: &[u8], to: &mut [u8]) -> bool {
    let flags = inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let (_, _, written) = decompress(&mut DecompressorOxide::new(), data, to, 0, flags);
    written == to.len()
}

fn add_bytes(row: &mut [u8], samples: usize) {
    for at in samples..row.len() {
        row[at] = row[at].wrapping_add(row[at - samples]);
    }
}

fn add_words(row: &mut [u8], samples: usize, is_big_endian: bool) {
    let words = row.as_chunks_mut::<2>().0;
    for at in samples..words.len() {
        let [sum, difference] = [words[at - samples], words[at]].map(|bytes| match is_big_endian {
            true => u16::from_be_bytes(bytes),
            false => u16::from_le_bytes(bytes),
        });
        let sum = sum.wrapping_add(difference);
        words[at] = if is_big_endian { sum.to_be_bytes() } else { sum.to_le_bytes() };
    }
}

/// Returns a complete JPEG from the shared tables and the rest of it, in which Adobe's segment states the colours.
fn stream(tables: &[u8], part: &[u8], is_ycc: bool) -> Vec<u8> {
    let mut stream = Vec::with_capacity(2 + ADOBE.len() + 1 + tables.len() + part.len());
    stream.extend([0xFF, 0xD8]);
    stream.extend(ADOBE);
    stream.push(u8::from(is_ycc));
    let is_kept = |segment: &jpeg::Segment| !COLOUR_SEGMENTS.contains(&segment.marker);
    let shared = jpeg::segments(tables).filter(|segment| segment.marker != jpeg::START_OF_SCAN);
    shared.filter(is_kept).for_each(|segment| segment.write(&mut stream));
    for segment in jpeg::segments(part).filter(is_kept) {
        segment.write(&mut stream);
        if segment.marker == jpeg::START_OF_SCAN {
            stream.extend_from_slice(&part[segment.end..]);
        }
    }
    stream
}
