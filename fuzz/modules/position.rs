//! What of the position stage decodes bytes of a serial line.

#[path = "../../src/position/arrival.rs"]
mod arrival;
pub use arrival::{Arrival, Fix, TakenImage};
#[path = "../../src/position/mavlink/mod.rs"]
pub mod mavlink;
#[path = "../../src/position/nmea/mod.rs"]
pub mod nmea;
