#![no_main]

#[allow(dead_code)]
#[path = "../position.rs"]
mod position;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| position::nmea(bytes));
