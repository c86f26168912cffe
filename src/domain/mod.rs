//! Plain values that pass between the stages. They know no engine, no database and no network.

mod caption;
mod capture;
mod embedding;
mod event;
mod fix;
mod labels;
mod quality;
mod scores;
mod spellings;
mod time;
mod verdict;

pub use caption::{CaptionError, caption, parse_caption};
pub use capture::{Camera, Capture, Failure, FileStamp, NotSha256, Sha256};
pub use embedding::{Embedding, EmbeddingError};
pub use event::{Change, EVENT_FORMAT, EventContext, SUMMARY_FORMAT, capture_result, capture_summary, correction};
pub use fix::{Position, PositionSource};
pub use labels::{Category, CategoryLabels, Class, LABEL_VERSION, Labels, UnknownLabel};
pub use quality::PhotoQuality;
pub use scores::Scores;
pub use time::{Time, TimeQuality};
pub use verdict::{CategoryVerdict, Evidence, ScoredClass, Verdict};
