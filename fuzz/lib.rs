//! The crates that read bytes from outside, under the names that the main crate gives them.

pub use bridgeclip_domain as domain;
pub use bridgeclip_photo as photo;
pub use bridgeclip_position as position;
pub use bridgeclip_tracks as tracks;
