//! Plain values that pass between the stages. They know no engine, no database and no network.

mod caption;
mod capture;
mod embedding;
mod event;
mod fix;
mod health;
mod labels;
mod quality;
mod scores;
mod spellings;
mod time;
mod verdict;

pub use caption::{CaptionError, caption, parse_caption};
pub use capture::{Camera, Capture, Failure, FileStamp, NotSha256, Sha256};
pub use embedding::{Embedding, EmbeddingError};
pub use event::{EVENT_FORMAT, EventContext, capture_result};
pub use fix::{Position, PositionSource};
pub use health::{DeviceHealth, Drops, Health, QueueHealth};
pub use labels::{Category, CategoryLabels, Class, LABEL_VERSION, Labels, UnknownLabel};
pub use quality::PhotoQuality;
pub use scores::Scores;
pub use time::{Time, TimeQuality};
pub use verdict::{CategoryVerdict, Evidence, ScoredClass, Verdict};
