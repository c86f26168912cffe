//! The receiving side at a central system: moves the events of many devices from the broker into a database, each event
//! once.
//!
//! A collector acknowledges a message only when it is in the database; a message that the broker sends again is
//! recognised by its id. Several collectors share the messages of one shared subscription, and have only the database
//! in common.

mod collector;
mod database;
mod error;
mod form;
mod message;
mod postgres;
mod refusal_log;
mod report;
mod sqlite;
mod store;
mod subscription;
mod tables;
mod work;

pub use collector::{CollectError, Collected, Collector, Params};
pub use database::{Database, DatabaseError};
pub use error::{Blame, StoreError};
pub use message::{Event, Message, Refused, Thumbnail};
pub use report::{DeviceReport, Gap, Report};
pub use store::{Bounds, Limits, Store, Stored, Written};
