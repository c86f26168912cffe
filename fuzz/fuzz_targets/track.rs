#![no_main]

#[path = "../track.rs"]
mod track;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| track::track(bytes));
