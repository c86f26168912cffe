//! Plain values that pass between the stages. They know no engine, no database and no network.

mod caption;
mod capture;
mod embedding;
mod event;
mod fix;
mod labels;
mod method;
mod quality;
mod review;
mod scores;
mod spellings;
mod time;
mod verdict;

pub use caption::{CaptionError, caption, parse_caption};
pub use capture::{Camera, Capture, Failure, FileStamp, NotSha256, Sha256};
pub use embedding::{Embedding, EmbeddingError};
pub use event::{EVENT_FORMAT, EventContext, capture_result};
pub use fix::{Position, PositionSource};
pub use labels::{Category, CategoryLabels, Class, LABEL_VERSION, Labels, UnknownLabel};
pub use method::{Method, Rule, UnknownName};
pub use quality::PhotoQuality;
pub use review::{SecondLook, Urgency, UrgentSign};
pub use scores::Scores;
pub use time::{Time, TimeQuality};
pub use verdict::{CategoryVerdict, Evidence, ScoredClass, Verdict};
