//! Finds out where and when a photo was taken.
//!
//! `line` reads a serial receiver; `nmea` and `mavlink` decode its bytes into fixes. `track` keeps the last fixes and
//! interpolates the position at a moment. `clock` knows how far the device's time can be trusted, and `exposure` when a
//! photo was taken. `locator` combines all of it for a capture, `trust` chooses between contradicting positions, and
//! `later` finds what a stored capture can learn afterwards. Everything except `line` and the reading of clocks is
//! pure: moments are arguments.

mod arrival;

pub mod nmea;

pub mod mavlink;

mod line;

mod track;

mod clock;
mod ntp;

mod exposure;

mod trust;

mod locator;

mod later;

pub use arrival::{Arrival, Fix, TakenImage};
pub use clock::{GpsTime, Reading, boot_id, monotonic_ns, time_at};
pub use exposure::{Exposure, Sighting, exposure};
pub use later::{Correction, LEARNERS_MAX, Stored};
pub use line::{Protocol, SerialEvent, SerialLine, SerialParams};
pub use locator::{ClockReader, Located, Locator};
pub use ntp::Ntp;
pub use track::{Track, When};
pub use trust::most_trusted;
