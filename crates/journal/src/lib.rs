//! `device.db`: what this device has seen and what it still has to deliver. The only writer of that file; tags
//! and retries alone may come from another process.
//!
//! A result and its event are committed together (WAL, synchronous FULL): once `record` returns, no crash or power
//! cut loses either. A row leaves the outbox only when the broker has acknowledged it. Every row carries a checksum; a
//! damaged file is set aside, and what is whole in it goes into a new one. What is lost on the way is counted.

mod capture;
mod captures;
mod commit;
mod counters;
mod error;
mod examine;
mod imports;
mod judgement;
mod numbers;
mod packing;
mod quarantine;
mod queue;
mod reader;
mod results;
mod row;
mod salvage;
mod schema;
mod space;
mod start;
mod tag;
mod thumbnail;
mod topics;
mod writer;

pub use capture::{Expect, NewResult, Recorded, Superseded};
pub use captures::{CapturePage, StoredCapture, StoredPackage};
pub use commit::Report;
pub use counters::{CommandNote, OutboxDepth};
pub use error::JournalError;
pub use examine::{Condition, examine};
pub use imports::{ForeignEvent, Imported};
pub use queue::{EventClass, Refused};
pub use reader::{EventOutline, Fate, FileState, OutboxRow, Page, Reader, SetAsideRow};
pub use results::{StoredPlace, StoredResult};
pub use tag::set_tag;
pub use topics::{Topics, Which};
pub use writer::{DeviceIdentity, Journal, Params};

/// The file name of the database inside the data folder.
pub const FILE_NAME: &str = "device.db";

/// The topic of result events below the device's prefix.
pub const RESULT_TOPIC: &str = "capture/result";

/// Thumbnails go below this topic, each under the id of the event that it belongs to.
pub const THUMBNAIL_TOPIC: &str = "capture/thumb";
