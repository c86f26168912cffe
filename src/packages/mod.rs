//! Model packages on a device: signed, transferred, tested before use, and given up when they fail.
//!
//! The package in use is `current`, a link in the store. Every step of an installation happens beside it and can be
//! interrupted at any point; `store.rs` gives the order.

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
pub use receive::{NewPackage, pack};
pub use signature::{SIGNATURE, TrustedKeys, new_key, sign};
pub use start::{Loaded, PackageSource, load, open, open_in_use};
pub use store::{GivenUp, Install, Installed, Role, Store};
pub use version::Version;
