//! Numbers of the tags of the picture, the camera and the exposure (CIPA DC-008, 4.6.4 and 4.6.5).

use super::ifd::Directory::{Exif, Image};
use super::ifd::Tag;

pub const MAKE: Tag = Tag(Image, 0x010F);
pub const MODEL: Tag = Tag(Image, 0x0110);
pub const ORIENTATION: Tag = Tag(Image, 0x0112);
pub const EXPOSURE_TIME: Tag = Tag(Exif, 0x829A);
pub const F_NUMBER: Tag = Tag(Exif, 0x829D);
pub const SENSITIVITY: Tag = Tag(Exif, 0x8827);
pub const FOCAL_LENGTH: Tag = Tag(Exif, 0x920A);
pub const FOCAL_LENGTH_35MM: Tag = Tag(Exif, 0xA405);
pub const BODY_SERIAL: Tag = Tag(Exif, 0xA431);
pub const LENS_MODEL: Tag = Tag(Exif, 0xA434);
