//! The receiving side for a central system: events of many devices from the broker into a database, each one once.
//!
//! A message is acknowledged only when it is in the database; what the broker sends again is recognised by its id. Several
//! collectors share the work by one shared subscription. They share nothing else but the database.

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
