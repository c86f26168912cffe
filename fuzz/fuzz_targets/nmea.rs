//! Any bytes of a serial line, cut anywhere: no panic, and the same fixes however they were cut.
#![no_main]

use bridgeclip::position::{Arrival, nmea};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let whole = arrivals(&[bytes]);
    let cut = bytes.first().map_or(0, |first| usize::from(*first) % bytes.len());
    let (front, back) = bytes.split_at(cut);
    assert_eq!(whole, arrivals(&[front, back]));
});

fn arrivals(chunks: &[&[u8]]) -> Vec<Arrival> {
    let (mut decoder, mut arrivals) = (nmea::Decoder::default(), Vec::new());
    for chunk in chunks {
        decoder.push(chunk, 0, |arrival| arrivals.push(arrival));
    }
    arrivals
}
