//! The modules of the main crate that take bytes from outside, compiled on their own.

#[path = "../src/domain/mod.rs"]
pub mod domain;
#[path = "../src/photo/mod.rs"]
pub mod photo;
pub mod position {
    #[path = "../../src/position/arrival.rs"]
    mod arrival;
    pub use arrival::{Arrival, Fix, TakenImage};
    #[path = "../../src/position/mavlink/mod.rs"]
    pub mod mavlink;
    #[path = "../../src/position/nmea/mod.rs"]
    pub mod nmea;
}
