//! Ways in which the strips and tiles of a TIFF file are compressed.

use super::directory::{Directory, Tiff, tag};
use super::error::refused;
use crate::{PhotoError, libjpeg};

/// How the bytes of a part are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression<'a> {
    None,
    PackBits,
    Lzw(Predictor),
    Deflate(Predictor),
    /// A JPEG in each part. The tables that all of them share are in a JPEG without a picture (TIFF's second technical
    /// note).
    Jpeg {
        tables: &'a [u8],
    },
}

/// How a row was changed before it was compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predictor {
    None,
    /// Each sample is the difference from the one before (TIFF 6.0, section 14).
    Difference,
    /// The bytes of floats are sorted by their weight, and each is the difference from the one before (TIFF's third
    /// technical note).
    Float,
}

impl<'a> Compression<'a> {
    pub fn read(tiff: &Tiff<'a>, directory: &Directory, bits: usize) -> Result<Self, PhotoError> {
        let predictor = || Predictor::of(tiff.number(directory, tag::PREDICTOR).unwrap_or(1), bits);
        Ok(match tiff.number(directory, tag::COMPRESSION).unwrap_or(1) {
            1 => Compression::None,
            5 => Compression::Lzw(predictor()?),
            7 => Compression::Jpeg {
                tables: directory.entry(tag::JPEG_TABLES).and_then(|entry| tiff.value(entry)).unwrap_or_default(),
            },
            8 | 32_946 => Compression::Deflate(predictor()?),
            32_773 => Compression::PackBits,
            2..=4 | 32_771 => return Err(refused("a TIFF that is compressed like a fax")),
            6 => return Err(refused("a TIFF with JPEG of the old kind (compression 6)")),
            34_887 => return Err(refused("a TIFF with LERC compression")),
            34_925 => return Err(refused("a TIFF with LZMA compression")),
            33_003 | 33_004 | 33_005 | 34_712 => return Err(refused("a TIFF with JPEG 2000 compression")),
            34_926 | 50_000 => return Err(refused("a TIFF with ZSTD compression")),
            34_927 | 50_001 => return Err(refused("a TIFF with WebP compression")),
            50_002 | 52_546 => return Err(refused("a TIFF with JPEG XL compression")),
            _ => return Err(refused("a TIFF with an unusual compression")),
        })
    }

    pub fn has_predictor(self) -> bool {
        matches!(self, Compression::Lzw(predictor) | Compression::Deflate(predictor) if predictor != Predictor::None)
    }

    /// Returns the bytes that decompressing a part takes beside its result.
    pub fn memory(self, parts: &[&[u8]], width: u32) -> u64 {
        match self {
            Compression::Jpeg { tables } => {
                let longest = parts.iter().map(|part| part.len()).max().unwrap_or(0);
                (longest + tables.len()) as u64 + 3 * libjpeg::COLUMN_BYTES * u64::from(width)
            }
            // The tables of codes; those of LZW and deflate have at most this size.
            _ => 1 << 17,
        }
    }
}

impl Predictor {
    fn of(value: u32, bits: usize) -> Result<Self, PhotoError> {
        match (value, bits) {
            (1, _) => Ok(Predictor::None),
            (2, 8 | 16) => Ok(Predictor::Difference),
            (3, 32) => Ok(Predictor::Float),
            _ => Err(refused("a TIFF with an unusual predictor")),
        }
    }
}
