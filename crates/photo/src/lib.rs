//! Turns the bytes of a photo file into the encoder's input, with pure functions.
//!
//! A walk over the file's own structure (`heif`, `jpeg`, `png`, `raw`, `tiff`, `webp`) refuses torn or unusual files before
//! a pixel is allocated. `decode` makes the raster and `tensor` the encoder's input. `metadata` reads what the camera
//! wrote, `quality` measures how well the photo shows its subject, and `code` finds a tag in the picture.

/// Bytes of a photo in the fuzz targets' corpus.
#[cfg(test)]
macro_rules! seed {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/photo/", $name)).as_slice()
    };
}

mod baseline;
mod boxes;
mod budget;
mod code;
mod decode;
mod error;
mod format;
mod guard;
mod heif;
mod jpeg;
mod libjpeg;
mod limits;
mod metadata;
mod others;
mod pixels;
mod png;
mod quality;
mod raster;
mod raw;
mod tensor;
mod thumbnail;
mod tiff;
mod webp;

pub use budget::{MemoryBudget, MemoryShare};
pub use code::read_tag;
pub use decode::{OpenPhoto, decode};
pub use error::PhotoError;
pub use limits::{Decoding, Limits};
pub use metadata::{
    CameraMoment, Metadata, MomentKind, Moments, Positions, orientation, parse_offset, read as read_metadata,
};
pub use quality::quality;
pub use raster::{Orientation, Raster};
pub use tensor::{EncoderInput, Preprocess, encoder_input, open, tensor};
pub use thumbnail::{picture, thumbnail};

/// Metadata blocks of a file, borrowed from its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Blocks<'a> {
    /// EXIF block, structured like a TIFF file.
    exif: Option<&'a [u8]>,
    /// XMP packet, an XML document.
    xmp: Option<&'a [u8]>,
}
