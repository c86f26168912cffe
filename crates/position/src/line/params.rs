//! How a line is followed, and what it tells.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::source::Source;
use crate::{Arrival, mavlink};

/// Parameters of the line to a receiver or flight controller.
#[derive(Clone, Debug)]
pub struct LineParams {
    /// Serial line, or address in a network.
    pub source: Source,
    /// Protocol on the line. gpsd always sends NMEA.
    pub protocol: Protocol,
    /// Bits per second of a serial line; `None` tries [`BAUD_RATES`]. Other sources have no rate.
    pub baud: Option<u32>,
    /// Flight controller to follow, where the line speaks MAVLink.
    pub mavlink: mavlink::Params,
}

/// Protocol on a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// The protocol of the first valid message.
    #[default]
    Auto,
    /// NMEA 0183 sentences, as satellite receivers send.
    Nmea,
    /// MAVLink 1 or 2, as flight controllers send.
    Mavlink,
}

/// Rates of receivers and flight controllers, in bits per second and in the order of the search: the most common ones
/// first. A search listens for 1.5 seconds at each, 16.5 seconds in all.
pub const BAUD_RATES: [u32; 11] =
    [9_600, 115_200, 38_400, 57_600, 4_800, 921_600, 230_400, 460_800, 19_200, 500_000, 1_500_000];

/// An event of a line.
#[derive(Clone, Debug, PartialEq)]
pub enum LineEvent {
    /// Valid messages arrive.
    Found {
        protocol: Protocol,
        /// Bits per second of a serial line; `None` for other sources.
        baud: Option<u32>,
    },
    /// The line is gone or silent, for the reason in the text.
    Lost(String),
    /// A fix or a picture arrived.
    Arrived(Box<Arrival>),
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Auto => "NMEA or MAVLink",
            Protocol::Nmea => "NMEA",
            Protocol::Mavlink => "MAVLink",
        })
    }
}
