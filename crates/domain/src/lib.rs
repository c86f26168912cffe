//! Plain values that pass between the stages. They depend on no engine, database or network.

/// Name and version of this software, as given in status messages and command answers.
pub const SOFTWARE: &str = concat!("bridgeclip-edge ", env!("CARGO_PKG_VERSION"));

mod burst;
mod caption;
mod capture;
mod draft;
mod drone;
mod embedding;
mod event;
mod finding;
mod fix;
mod health;
mod inspection;
mod labels;
mod member;
mod method;
mod name;
mod person;
mod quality;
mod review;
mod scores;
mod sha256;
mod side_file;
mod spellings;
mod tag;
pub mod testing;
mod time;
mod verdict;
mod verdict_json;

pub use burst::Burst;
pub use caption::caption;
pub use capture::{Camera, Capture, Exposure, Failure, FileStamp, Image};
pub use draft::{Clause, Draft};
pub use drone::{Attitude, Drone};
pub use embedding::{Embedding, EmbeddingError};
pub use event::{
    Change, EVENT_FORMAT, EventContext, MEMBER_FORMAT, MemberResult, SUMMARY_FORMAT, THUMBNAIL_BYTES_MAX,
    capture_result, capture_summary, correction, member_result,
};
pub use finding::{Finding, Unknown, Word, read_finding};
pub use fix::{AltitudeAbove, FixQuality, PlaceConflict, Position, PositionSource, wrap_longitude};
pub use health::{
    ClosedDoor, DeviceHealth, Drops, Health, HeldBack, HeldPart, Losses, QueueHealth, ReceiverHealth, Unreadable,
};
pub use inspection::{Act, History, Inspection, Judgement, Saying, Statement, StatementError};
pub use labels::{Category, CategoryLabels, Class, LABEL_VERSION, Labels, UnknownLabel};
pub use member::{MemberAnswer, MemberPhoto};
pub use method::{Method, Rule, UnknownName};
pub use name::is_name;
pub use person::PersonName;
pub use quality::PhotoQuality;
pub use review::{SecondLook, Urgency, UrgentSign};
pub use scores::Scores;
pub use sha256::{NotSha256, Sha256};
pub use side_file::{PassedOver, SideKind};
pub use spellings::{Reading, Spelling, class_of};
pub use tag::{Tag, TagError, TagOrder, TagText};
pub use time::{Time, TimeBasis, TimeConflict, TimeConflictReason, TimeQuality};
pub use verdict::{CategoryVerdict, Evidence, PredictionSets, ScoredClass, Verdict};
pub use verdict_json::Answer;
