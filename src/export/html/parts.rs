//! Pieces of the inspection sheet that its heading and its photos share.

use jiff::Timestamp;
use jiff::tz::Offset;

use crate::markup::escape;
use crate::texts::{Lang, Text};

/// Returns one row of a list of facts.
pub fn fact(name: Text, value: &str, lang: Lang) -> String {
    format!("<dt>{}</dt><dd>{}</dd>\n", escape(name.say(lang)), escape(value))
}

/// Formats a time, as in `2026-05-09 10:02:03 +09:00`.
pub fn clock(at: Timestamp, zone: Offset) -> String {
    at.to_zoned(zone.to_time_zone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}
