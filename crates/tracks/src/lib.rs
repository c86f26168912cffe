//! Reads track files of receivers and flight controllers into fixes: GPX, NMEA logs, MAVLink telemetry logs, ArduPilot
//! DataFlash logs and PX4 ULog files.
//!
//! `detect` recognises the format by its content. Each reader streams through a `window` of fixed size, so that a file
//! of any length takes a bounded amount of memory, and keeps `sample`s, which are thinned when there are too many.
//! `clock` gives UTC to moments that a flight controller counts from its start; `flight` combines it with what a
//! controller logs. `layout` reads the records of self-describing logs, and `finish` puts everything in order.

mod window;

mod error;
mod gather;
mod report;

mod clock;
mod finish;
mod flight;
mod gps_time;
mod layout;
mod pictures;
mod sample;

mod dataflash;
mod gpx;
mod nmea;
mod tlog;
mod ulog;

mod detect;

#[cfg(test)]
mod testing;

use std::io::Read;

pub use error::TrackError;
pub use gather::ReadParams;
pub use report::{Note, Skip, TrackFile, TrackFix, TrackFormat, TrackImage};

use gather::Gather;
use window::Window;

/// Reads a track file. The content decides the format. A damaged or shortened file gives what can be read, with a note.
///
/// # Errors
/// If the format is unknown or not supported, if there is no fix with a time and a place, or if reading fails.
pub fn read(source: impl Read, params: &ReadParams) -> Result<TrackFile, TrackError> {
    let mut window = Window::new(source);
    let format = detect::format(window.peek(detect::HEAD)?)?;
    let mut gather = Gather::new(format, params);
    let (samples, pictures) = match format {
        TrackFormat::Gpx => gpx::read(&mut window, &mut gather)?,
        TrackFormat::Nmea => nmea::read(&mut window, &mut gather)?,
        TrackFormat::Tlog => tlog::read(&mut window, &mut gather)?,
        TrackFormat::DataFlash => dataflash::read_binary(&mut window, &mut gather)?,
        TrackFormat::DataFlashText => dataflash::read_text(&mut window, &mut gather)?,
        TrackFormat::Ulog => ulog::read(&mut window, &mut gather)?,
    };
    finish::file(&samples, pictures, gather)
}
