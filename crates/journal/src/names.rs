//! Names that other programs rely on: the file and its topics.

/// Name of the database file in the data folder.
pub const FILE_NAME: &str = "device.db";

/// Topic of result events below the device's prefix.
pub const RESULT_TOPIC: &str = "capture/result";

/// Parent topic of the answers about members, below the device's prefix. The last level is the key of the member's tag.
/// The broker keeps the last answer of each topic for those who subscribe later.
pub const MEMBER_TOPIC: &str = "member/result";

/// Parent topic of all thumbnails, below the device's prefix. The last level of a thumbnail's topic is the id of the
/// event that it belongs to.
pub const THUMBNAIL_TOPIC: &str = "capture/thumb";
