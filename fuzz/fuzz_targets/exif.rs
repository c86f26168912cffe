//! An EXIF block in a photo that is nothing else.

#![no_main]

use bridgeclip::photo::{orientation, read_metadata};
use jiff::tz::Offset;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|block: &[u8]| {
    let Ok(length) = u16::try_from(block.len() + 8) else { return };
    let mut photo = b"\xff\xd8\xff\xe1".to_vec();
    photo.extend(length.to_be_bytes());
    photo.extend(b"Exif\0\0");
    photo.extend(block);
    let metadata = read_metadata(&photo, Offset::UTC);
    assert_eq!(metadata.orientation, orientation(&photo));
    if let Some(position) = &metadata.positions.exif {
        assert!(position.latitude_deg.abs() <= 90.0 && position.longitude_deg.abs() <= 180.0);
        serde_json::to_string(position).expect("JSON");
    }
    serde_json::to_string(&(&metadata.camera, &metadata.exposure)).expect("JSON");
});
