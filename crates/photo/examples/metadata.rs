//! Prints what the program reads from photos: one JSON object a line for each file named on standard input.
//! `benches/metadata/compare` holds it against exiftool.

use std::io::{self, BufRead, Write};

use bridgeclip_photo::{Metadata, read_metadata};
use jiff::tz::Offset;
use serde_json::{Value, json};

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for path in io::stdin().lock().lines() {
        let path = path?;
        let line = match std::fs::read(&path) {
            Ok(bytes) => describe(&path, &read_metadata(&bytes)),
            Err(error) => json!({ "file": path, "error": error.to_string() }),
        };
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn describe(path: &str, metadata: &Metadata) -> Value {
    let moments = &metadata.moments;
    let seconds = |offset: Option<Offset>| offset.map(Offset::seconds);
    let camera = moments.camera.map(|moment| {
        json!({
            "civil": moment.civil.to_string(),
            "offset_s": seconds(moment.offset),
            "has_fraction": moment.has_fraction,
            "kind": format!("{:?}", moment.kind),
        })
    });
    let positions = &metadata.positions;
    json!({
        "file": path,
        "camera": camera,
        "zone_s": seconds(moments.zone()),
        "gps": moments.gps.map(|moment| moment.to_string()),
        "utc": moments.utc.map(|moment| moment.to_string()),
        "exif": positions.exif,
        "xmp": positions.xmp,
        "rtk": positions.rtk,
        "laser_target": positions.laser_target,
        "speed_mps": metadata.speed_mps,
        "heading_deg": metadata.heading_deg,
        "make": metadata.camera.make,
        "model": metadata.camera.model,
        "exposure": metadata.exposure,
        "drone": metadata.drone,
    })
}
