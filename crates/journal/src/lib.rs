//! `device.db`: everything that this device has seen and still has to deliver. Only this crate writes the file. Besides
//! the daemon, commands such as `bridgeclip tag`, `queue retry` and `reclassify` write through it from processes of
//! their own.
//!
//! A result and its event are committed together (WAL, synchronous FULL): once [`Journal::record`] returns, no crash or
//! power cut loses either. A row leaves the outbox only when the broker has acknowledged its event. Every row carries a
//! checksum. A damaged file is set aside, and its intact rows go into a new one. Everything that is lost on the way is
//! counted.

mod bridges;
mod capture;
mod captures;
mod commit;
mod counters;
mod error;
mod event_class;
mod examine;
mod facts;
mod files;
mod handle;
mod imports;
mod judgement;
mod members;
mod names;
mod numbers;
mod outbox;
mod packing;
mod params;
mod places;
mod quarantine;
mod reader;
mod results;
mod retention;
mod row;
mod salvage;
mod schema;
mod space;
mod start;
mod tables;
mod tag;
mod thumbnail;
mod topics;
mod transaction;

pub use bridges::{BridgeNote, LastEntry, PICTURE_BYTES_MAX, StoredEntry};
pub use capture::{Expect, NewResult, Recorded, StoredPackage, Superseded};
pub use captures::{CapturePage, StoredCapture};
pub use commit::Report;
pub use counters::{CommandNote, OutboxDepth};
pub use error::JournalError;
pub use event_class::EventClass;
pub use examine::{Condition, examine};
pub use handle::Journal;
pub use imports::{ForeignEvent, Imported};
pub use members::{NewMemberAnswer, StoredMemberAnswer, TaggedCaptures};
pub use names::{FILE_NAME, MEMBER_TOPIC, RESULT_TOPIC, THUMBNAIL_TOPIC};
pub use outbox::Refused;
pub use params::{DeviceIdentity, Params};
pub use places::{CameraNote, TrackPiece, TrackSource};
pub use reader::{EventOutline, Fate, FileState, OutboxRow, Page, Reader, SetAsideRow};
pub use results::{StoredPlace, StoredResult};
pub use tag::set_tag;
pub use topics::{Topics, Which};
