//! Decodes photos with every pixel, for comparisons with other decoders (`benches/tiff`, `benches/jpeg`).
//!
//! Reads paths from standard input, one a line, and writes one line for each: `ok WIDTH HEIGHT`, with the rows in RGB
//! in the file PATH.rgb, or `refused REASON`.

use std::fs;
use std::io::{self, BufRead, Write};

use bridgeclip_photo::{Decoding, Limits, PhotoError, Raster, decode};

fn main() -> io::Result<()> {
    let limits = Limits { decoding: Decoding::Exact, ..Limits::default() };
    let mut out = io::stdout().lock();
    for path in io::stdin().lock().lines() {
        let path = path?;
        match decode(&fs::read(&path)?, &limits) {
            Ok(Raster { width, height, rgb, .. }) => {
                fs::write(format!("{path}.rgb"), rgb)?;
                writeln!(out, "ok {width} {height}")?;
            }
            Err(error) => writeln!(out, "refused {}", told(&error))?,
        }
    }
    Ok(())
}

/// Returns the reason on one line.
fn told(error: &PhotoError) -> String {
    error.to_string().replace('\n', " ")
}
