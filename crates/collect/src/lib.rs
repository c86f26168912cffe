//! The receiving side at a central system: moves the events of many devices from the broker into a database, each event
//! once.
//!
//! A collector acknowledges a message only when it is in the database; a message that the broker sends again is
//! recognised by its id. Several collectors share the messages of one shared subscription, and have only the database
//! in common.

mod collector;
mod form;
mod message;
mod notices;
mod postgres;
mod report;
mod sqlite;
mod store;
mod subscription;
mod tables;
mod work;

pub use collector::{CollectError, Collected, Collector, Params};
pub use message::{Event, Message, Refused, Thumbnail};
pub use report::{DeviceReport, Gap, Report};
pub use store::{Blame, Bounds, Database, DatabaseError, Limits, Store, StoreError, Stored, Written};
