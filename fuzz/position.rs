//! Bodies of the position fuzz targets. A test of the main crate runs them on every file of the corpus.

use bridgeclip::position::{Arrival, mavlink, nmea};

/// Fuzzes the bytes of a satellite receiver's line: the fixes must not depend on how they are split.
pub fn nmea(bytes: &[u8]) {
    check(bytes, |chunks| {
        let mut decoder = nmea::Decoder::default();
        collect(chunks, |chunk, arrival| decoder.push(chunk, 0, arrival))
    });
}

/// Fuzzes the bytes of a flight controller's line: the arrivals must not depend on how they are split. A system that is
/// named is followed without a heartbeat.
pub fn mavlink(bytes: &[u8]) {
    for system in [None, Some(1)] {
        check(bytes, |chunks| {
            let mut decoder = mavlink::Decoder::new(mavlink::Params { system });
            collect(chunks, |chunk, arrival| decoder.push(chunk, 0, arrival))
        });
    }
}

fn check(bytes: &[u8], arrivals: impl Fn(&[&[u8]]) -> Vec<Arrival>) {
    let whole = arrivals(&[bytes]);
    let cut = bytes.first().map_or(0, |first| usize::from(*first) % bytes.len());
    let (front, back) = bytes.split_at(cut);
    assert_eq!(whole, arrivals(&[front, back]));
    for arrival in &whole {
        if let Arrival::Fix(fix) = arrival {
            assert!(fix.position.latitude_deg.abs() <= 90.0 && fix.position.longitude_deg.abs() <= 180.0);
        }
    }
}

fn collect(chunks: &[&[u8]], mut push: impl FnMut(&[u8], &mut dyn FnMut(Arrival))) -> Vec<Arrival> {
    let mut arrivals = Vec::new();
    chunks.iter().for_each(|chunk| push(chunk, &mut |arrival| arrivals.push(arrival)));
    arrivals
}
