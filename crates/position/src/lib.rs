//! Finds out where and when a photo was taken.
//!
//! `line` reads a receiver or flight controller, on a serial line or in a network; `nmea` and `mavlink` decode its
//! bytes into fixes, and `calendar` judges a receiver's dates. `track` keeps the last fixes and interpolates the
//! position at a moment. `clock` knows how far the device's time can be trusted, and `camera` how far the clocks of
//! cameras are off. `claims` holds the evidence of one photo: `moment` weighs when it was taken, `shots` which report
//! of a flight controller it is, `place` where. `drift` bounds how far a device moves unseen, and `rounding` keeps
//! figures to the digits that they have. `view` combines all of it, `later` finds what a stored capture can learn
//! afterwards, `locator` shares it between threads, and `stored` packs fixes. Everything except `line`, `ntp` and the
//! reading of clocks is pure: moments are arguments.

mod arrival;

mod calendar;

pub mod nmea;

pub mod mavlink;

mod line;

mod clock;
mod ntp;

mod drift;
mod place;
mod rounding;
mod track;

mod claims;

mod camera;

mod moment;

mod shots;

mod view;

mod later;

mod locator;

pub mod stored;

pub use arrival::{Arrival, Fix, ImageReport, TakenImage};
pub use camera::{CameraClock, CameraName, Lead, LeadSource, zone_of};
pub use claims::{CameraReading, Claims, Origin, written_ns};
pub use clock::{Reading, boot_id, monotonic_ns};
pub use later::{Correction, LEARNERS_MAX, Stored};
pub use line::{
    BAUD_RATES, Endpoint, Line, LineEvent, LineParams, LineReport, LineState, LineTime, Protocol, Source, SourceError,
};
pub use locator::{ClockReader, Locator, LocatorParams, dated};
pub use ntp::Ntp;
pub use track::{Track, When};
pub use view::{History, Located, NoHistory, Photo};
