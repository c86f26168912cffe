//! Files that lie beside photos and are no photos of their own.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Kind of a file beside photos that is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SideKind {
    /// Small copy of a photo or a video, made by a camera or a file server for its own screens.
    Thumbnail,
    /// Video, or its copy in a low resolution.
    Video,
    /// Sound recording.
    Sound,
    /// Flight log, track, satellite data or subtitles with positions.
    Telemetry,
    /// Metadata or editing steps of a photo or video in a file of its own.
    Sidecar,
    /// What a camera, an operating system or a file server keeps for its own bookkeeping.
    System,
    /// The same exposure in a second format: a raw file beside its JPEG or HEIC, or a HEIC beside its JPEG.
    Twin,
}

impl SideKind {
    /// Returns the word for one such file, and the word for several.
    fn words(self) -> [&'static str; 2] {
        match self {
            SideKind::Thumbnail => ["thumbnail", "thumbnails"],
            SideKind::Video => ["video", "videos"],
            SideKind::Sound => ["sound recording", "sound recordings"],
            SideKind::Telemetry => ["telemetry file", "telemetry files"],
            SideKind::Sidecar => ["sidecar file", "sidecar files"],
            SideKind::System => ["system file", "system files"],
            SideKind::Twin => ["twin of a photo", "twins of photos"],
        }
    }
}

/// Number of files that were passed over, by kind. A kind without files is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PassedOver(BTreeMap<SideKind, u64>);

impl PassedOver {
    /// Counts one more file.
    pub fn add(&mut self, kind: SideKind) {
        *self.0.entry(kind).or_default() += 1;
    }

    /// Returns the number of files of all kinds.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Reports whether no file was passed over.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for PassedOver {
    /// Writes a list such as `6 thumbnails, 1 video`, and nothing if no file was passed over.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (kind, &count)) in self.0.iter().enumerate() {
            let [one, several] = kind.words();
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{count} {}", if count == 1 { one } else { several })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_told_in_words_and_by_name() {
        let mut passed_over = PassedOver::default();
        assert_eq!((passed_over.to_string().as_str(), passed_over.total(), passed_over.is_empty()), ("", 0, true));
        for (kind, count) in [(SideKind::Twin, 1), (SideKind::Thumbnail, 6), (SideKind::Telemetry, 3)] {
            (0..count).for_each(|_| passed_over.add(kind));
        }
        assert_eq!(passed_over.to_string(), "6 thumbnails, 3 telemetry files, 1 twin of a photo");
        assert_eq!((passed_over.total(), passed_over.is_empty()), (10, false));
        let json = serde_json::to_string(&passed_over).expect("string keys");
        assert_eq!(json, r#"{"thumbnail":6,"telemetry":3,"twin":1}"#);
        assert_eq!(serde_json::from_str::<PassedOver>(&json).expect("its own JSON"), passed_over);
    }
}
