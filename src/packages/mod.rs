//! Model packages on a device: signed, carried over, tested before they are used, and given up when they fail.
//!
//! What is used is `current`, a link in the store. Everything that leads to it is done beside it, and can be cut off at
//! any point: `store.rs` says in which order.

mod download;
mod error;
mod golden;
mod receive;
mod record;
mod signature;
mod start;
mod store;
mod version;

pub use download::{Download, fetch};
pub use error::InstallError;
pub use golden::{GOLDEN, GoldenError, add_golden, self_test};
pub use receive::{Source, pack};
pub use signature::{SIGNATURE, TrustedKeys, new_key, sign};
pub use start::{Loaded, Place, load, open, open_in_use};
pub use store::{GivenUp, Install, Installed, Role, Store};
pub use version::Version;
