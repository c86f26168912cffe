//! From the bytes of a photo file to the encoder's input, as pure functions.
//!
//! `inspect` refuses what is torn or too large before a pixel is allocated, `decode` makes the raster, `tensor` the
//! encoder's input, `metadata` reads where and when, `code` finds a tag in the picture.

mod code;
mod decode;
mod jpeg;
mod metadata;
mod tensor;

pub use code::read_tag;
pub use decode::{Limits, PhotoError, Raster, decode};
pub use metadata::{Metadata, parse_offset, read as read_metadata};
pub use tensor::{Preprocess, tensor};
