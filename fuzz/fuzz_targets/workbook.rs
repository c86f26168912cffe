#![no_main]

#[path = "../workbook.rs"]
mod workbook;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| workbook::workbook(bytes));
