//! Where and when a photo was taken.
//!
//! `line` reads a serial receiver; `nmea` and `mavlink` make fixes of its bytes; `track` keeps the last ones and says
//! where the device was at a moment. `clock` knows how far the device's time can be trusted, `exposure` when a photo
//! was taken. `locator` brings all of it together for a capture, `trust` chooses between what disagrees, and `later`
//! finds what a stored capture can learn afterwards. All but `line` and the reading of clocks is pure: moments come in
//! as arguments.

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
pub use line::{Line, LineEvent, Params, Protocol};
pub use locator::{Clock, Located, Locator};
pub use ntp::Ntp;
pub use track::{Track, When};
pub use trust::most_trusted;
