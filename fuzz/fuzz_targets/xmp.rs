//! An XMP packet in a photo that is nothing else. WebP has room for packets of any size.

#![no_main]

use bridgeclip::photo::read_metadata;
use jiff::tz::Offset;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|packet: &[u8]| {
    let length = packet.len() as u32;
    let photo = [b"RIFF", &(length + 12).to_le_bytes()[..], b"WEBPXMP ", &length.to_le_bytes(), packet].concat();
    let metadata = read_metadata(&photo, Offset::UTC);
    let positions = [&metadata.positions.laser_target, &metadata.positions.rtk];
    for position in positions.into_iter().flatten() {
        assert!(position.latitude_deg.abs() <= 90.0 && position.longitude_deg.abs() <= 180.0);
    }
    serde_json::to_string(&(positions, &metadata.drone)).expect("JSON");
});
