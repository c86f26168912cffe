//! Reads the EXIF block (CIPA DC-008): moments, position, camera and exposure.

mod ifd;
mod moments;
mod place;
mod tag;

use jiff::Timestamp;

use bridgeclip_domain::{Camera, Exposure};

use super::moments::CameraMoment;
use super::values::{Metadata, Positions};
use crate::Orientation;
use ifd::Block;

/// What a block says about times. They are weighed together with those of the XMP packet.
#[derive(Default)]
pub struct Times {
    /// Moments by the camera's clock, the most trusted first.
    pub camera: Vec<CameraMoment>,
    pub gps: Option<Timestamp>,
}

/// Reads as much of the block as is intelligible. The moments of the metadata stay empty; they are returned beside it.
pub fn read(block: &[u8]) -> (Metadata, Times) {
    let Some(block) = Block::parse(block) else { return Default::default() };
    let camera = moments::camera(&block);
    let times = Times { gps: moments::gps(&block, camera.first()), camera };
    let metadata = Metadata {
        positions: Positions { exif: place::position(&block), ..Positions::default() },
        speed_mps: place::speed(&block),
        heading_deg: place::heading(&block),
        orientation: orientation_of(&block),
        camera: camera_of(&block),
        exposure: exposure(&block),
        ..Metadata::default()
    };
    (metadata, times)
}

/// Returns the orientation of the stored pixels, upright if the block does not give one.
pub fn orientation(block: &[u8]) -> Orientation {
    Block::parse(block).as_ref().map(orientation_of).unwrap_or_default()
}

fn orientation_of(block: &Block) -> Orientation {
    Orientation::from_exif(block.whole(tag::ORIENTATION).unwrap_or(1))
}

fn camera_of(block: &Block) -> Camera {
    Camera {
        make: block.text(tag::MAKE),
        model: block.text(tag::MODEL),
        serial: block.text(tag::BODY_SERIAL),
        lens: block.text(tag::LENS_MODEL),
    }
}

fn exposure(block: &Block) -> Exposure {
    let focal_length_35mm = block.whole(tag::FOCAL_LENGTH_35MM).filter(|length| *length > 0);
    Exposure {
        time_s: block.positive(tag::EXPOSURE_TIME),
        f_number: block.positive(tag::F_NUMBER),
        iso: block.whole(tag::SENSITIVITY).filter(|iso| *iso > 0),
        focal_length_mm: block.positive(tag::FOCAL_LENGTH),
        focal_length_35mm_mm: focal_length_35mm.map(f64::from),
    }
}

#[cfg(test)]
pub mod tests;
