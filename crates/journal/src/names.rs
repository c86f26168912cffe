//! Names that other programs rely on: the file and the topics.

/// The file name of the database inside the data folder.
pub const FILE_NAME: &str = "device.db";

/// The topic of result events below the device's prefix.
pub const RESULT_TOPIC: &str = "capture/result";

/// Thumbnails go below this topic, each under the id of the event that it belongs to.
pub const THUMBNAIL_TOPIC: &str = "capture/thumb";
