//! Which files beside photos are no photos of their own, and why.
//!
//! A file is known by the folders that it lies in and by its kind, the part of its name after the last dot. Neither is
//! case-sensitive, because cards are formatted as FAT or exFAT. The content is not read: most thumbnails are JPEGs that
//! only their place tells from photos. Hidden files and folders (`.thumbnails`, `.DS_Store`, `._IMG_0001.JPG`) never
//! get here.

use std::borrow::Cow;
use std::fs;
use std::path::{Component, Path, PathBuf};

use self::table::{PAIRS, Pair, RULES, Rule};
use crate::domain::SideKind;

mod table;

/// A file that is passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideFile {
    pub kind: SideKind,
    /// What the file is, in words.
    pub reason: Cow<'static, str>,
}

/// Returns what a file is that a search of `root` has found. `None` for a photo, and for a file of an unknown kind.
///
/// Only folders below the root count: a folder that a person names is searched, whatever it is.
pub fn side_file(root: &Path, path: &Path) -> Option<SideFile> {
    let place = Place::of(root, path)?;
    let rule = RULES.iter().find(|rule| rule.matches(&place));
    rule.map(|rule| SideFile { kind: rule.kind, reason: rule.reason.into() }).or_else(|| twin(path))
}

/// Returns what a file is that shows the same as a file beside it. The answer changes when that file comes or goes.
pub fn twin(path: &Path) -> Option<SideFile> {
    let pair = pair(path)?;
    let name = partner(path, pair)?.file_name()?.to_string_lossy().into_owned();
    Some(SideFile { kind: pair.kind, reason: format!("{} {name}", pair.reason).into() })
}

/// Reports whether a file of this kind is passed over once another one lies beside it.
pub fn may_be_twin(path: &Path) -> bool {
    pair(path).is_some()
}

/// Reports whether every file in a folder is passed over, whatever its kind.
pub fn is_side_folder(root: &Path, folder: &Path) -> bool {
    let photo = folder.join("photo.jpg");
    Place::of(root, &photo).is_some_and(|place| RULES.iter().any(|rule| rule.matches(&place)))
}

fn pair(path: &Path) -> Option<&'static Pair> {
    let kind = path.extension()?.to_str()?;
    PAIRS.iter().find(|pair| is_one_of(kind, pair.kinds))
}

/// Returns the file that makes `path` a twin. An empty file makes none: a camera that lost power leaves some.
fn partner(path: &Path, pair: &Pair) -> Option<PathBuf> {
    let spellings = pair.beside.iter().flat_map(|kind| [kind.to_ascii_uppercase(), (*kind).to_owned()]);
    let is_file = |path: &PathBuf| fs::symlink_metadata(path).is_ok_and(|file| file.is_file() && file.len() > 0);
    spellings.map(|kind| path.with_extension(kind)).find(is_file)
}

fn is_one_of(word: &str, words: &[&str]) -> bool {
    words.iter().any(|other| word.eq_ignore_ascii_case(other))
}

/// Where a file lies, and its name.
struct Place<'a> {
    /// Names of the folders from the start of the path, the file's own folder last.
    folders: Vec<Cow<'a, str>>,
    /// Number of folders that lead to the root.
    above: usize,
    name: Cow<'a, str>,
    kind: Cow<'a, str>,
}

impl<'a> Place<'a> {
    fn of(root: &Path, path: &'a Path) -> Option<Self> {
        Some(Place {
            folders: path.parent()?.components().map(name_of).collect(),
            above: root.components().count(),
            name: path.file_name()?.to_string_lossy(),
            kind: path.extension().unwrap_or_default().to_string_lossy(),
        })
    }
}

fn name_of(part: Component<'_>) -> Cow<'_, str> {
    part.as_os_str().to_string_lossy()
}

impl Rule {
    fn matches(&self, place: &Place<'_>) -> bool {
        let is_kind = self.kinds.is_empty() || is_one_of(&place.kind, self.kinds);
        let is_name = self.names.is_empty() || is_one_of(&place.name, self.names);
        is_kind && is_name && self.is_around(place)
    }

    /// Reports whether the rule's folders contain the file. They follow each other in its path, and the last of them
    /// lies below the root.
    fn is_around(&self, place: &Place<'_>) -> bool {
        let levels = self.folders.len();
        let is_it = |names: &[Cow<'_, str>]| names.iter().zip(self.folders).all(|(a, b)| a.eq_ignore_ascii_case(b));
        let first = (place.above + 1).saturating_sub(levels);
        levels == 0 || place.folders.get(first..).is_some_and(|below| below.windows(levels).any(is_it))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "/media/card";

    fn found(path: &str) -> Option<(SideKind, Cow<'static, str>)> {
        side_file(Path::new(ROOT), &Path::new(ROOT).join(path)).map(|side| (side.kind, side.reason))
    }

    /// Returns a path for each name and kind of a rule, below the rule's folders.
    fn examples(rule: &Rule) -> Vec<String> {
        let mut files: Vec<String> = rule.names.iter().map(|name| (*name).to_owned()).collect();
        files.extend(rule.kinds.iter().map(|kind| format!("DJI_0001.{kind}")));
        if files.is_empty() {
            files.push("DJI_0001.jpg".to_owned());
        }
        let folders: String = rule.folders.iter().map(|folder| format!("{folder}/")).collect();
        files.into_iter().map(|file| format!("{folders}{file}")).collect()
    }

    #[test]
    fn every_rule_of_the_table_is_in_force_in_upper_and_lower_case() {
        for rule in &RULES {
            assert!(rule.names.is_empty() || rule.kinds.is_empty(), "{}: names or kinds", rule.reason);
            for example in examples(rule) {
                for path in [example.to_lowercase(), example.to_uppercase(), format!("below/{example}")] {
                    assert_eq!(found(&path), Some((rule.kind, rule.reason.into())), "{path}");
                }
            }
        }
    }

    #[test]
    fn a_folder_contains_what_lies_at_any_depth_below_it() {
        for path in ["MISC/THM/100/DJI_0001.JPG", "MISC/THM/a/b/DJI_0001", "@eaDir/a.jpg/SYNOPHOTO_THUMB_XL.jpg"] {
            assert_eq!(found(path).map(|(kind, _)| kind), Some(SideKind::Thumbnail), "{path}");
        }
    }

    #[test]
    fn photos_and_unknown_kinds_are_left_to_their_content() {
        for path in [
            "DCIM/100MEDIA/DJI_0001.JPG",
            "DCIM/PANORAMA/100_0001/DJI_0001.JPG",
            "DCIM/100GOPRO/GOPR0001",
            "IMG_0001.JPG_",
            "IMG_0001.JPG.bak",
            "misc/bridge.jpg",
            "misc/old/THM/bridge.jpg",
            "thm/bridge.jpg",
            "thumb/bridge.jpg",
            "private/bridge.jpg",
            "THMBNL/bridge.jpg",
            "thm",
            "mp4",
            "MISC",
            "DJI_0001.SCR",
            "IMG_0001.ARW",
            "IMG_0001.HEIC",
            "IMG_0001.TIF",
            "IMG_0001.insp",
            "report.pdf",
            "readme.txt",
        ] {
            assert_eq!(found(path), None, "{path}");
        }
    }

    #[test]
    fn a_folder_that_a_person_names_is_searched() {
        let path = Path::new("/card/MISC/THM/100/DJI_0001.SCR");
        for (root, expected) in [("/card", true), ("/card/MISC", true), ("/card/MISC/THM", false)] {
            assert_eq!(side_file(Path::new(root), path).is_some(), expected, "{root}");
        }
        let relative = |root: &str, path: &str| side_file(Path::new(root), Path::new(path)).is_some();
        assert!(
            relative("", "MISC/THM/1.SCR") && relative("MISC", "MISC/THM/1.SCR") && relative(".", "./@eaDir/1.jpg")
        );
        assert!(!relative("MISC/THM", "MISC/THM/1.SCR") && !relative("@eaDir", "@eaDir/1.jpg"));
        assert!(relative("MISC/THM", "MISC/THM/1.THM"), "a kind counts everywhere");
    }

    #[test]
    fn names_that_are_not_text_are_compared_as_well_as_they_can_be() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let path = |bytes: &'static [u8]| Path::new(ROOT).join(Path::new(OsStr::from_bytes(bytes)));
        let kind = |bytes| side_file(Path::new(ROOT), &path(bytes)).map(|side| side.kind);
        assert_eq!(kind(b"DCIM\xff/DJI\xfe.MP4"), Some(SideKind::Video));
        assert_eq!(kind(b"DCIM/DJI\xfe.JPG"), None);
        assert_eq!(kind(b"DCIM/DJI.ARW\xff"), None);
    }

    #[test]
    fn folders_that_hold_no_photos_are_known() {
        let is_side = |folder: &str| is_side_folder(Path::new(ROOT), &Path::new(ROOT).join(folder));
        assert!(is_side("System Volume Information") && is_side("x/@eadir/y") && is_side("lost+found"));
        assert!(!is_side("DCIM/100MEDIA") && !is_side("MISC") && !is_side(""));
    }

    #[test]
    fn a_raw_file_is_the_twin_of_the_photo_beside_it() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str| dir.path().join(name);
        let side = |name: &str| side_file(dir.path(), &file(name)).map(|side| (side.kind, side.reason.into_owned()));
        let write = |name: &str, text: &str| fs::write(file(name), text).expect("written");
        write("DSC0001.JPG", "photo");
        let reason = "shows the same as DSC0001.JPG".to_owned();
        for pair in PAIRS.iter().filter(|pair| pair.kind == SideKind::Twin) {
            for kind in pair.kinds.iter().flat_map(|kind| [kind.to_ascii_uppercase(), (*kind).to_owned()]) {
                assert_eq!(side(&format!("DSC0001.{kind}")), Some((SideKind::Twin, reason.clone())), "{kind}");
                assert!(may_be_twin(&file(&format!("DSC0002.{kind}"))), "{kind}");
                assert_eq!(side(&format!("DSC0002.{kind}")), None, "{kind}: no photo beside it");
            }
        }
        for kind in ["HEIC", "heif", "HIF"] {
            write(&format!("IMG_{kind}.{kind}"), "photo");
            let reason = format!("shows the same as IMG_{kind}.{kind}");
            assert_eq!(side(&format!("IMG_{kind}.DNG")), Some((SideKind::Twin, reason)));
            assert_eq!(side(&format!("IMG_{kind}.{kind}")), None, "{kind}: the photo itself");
        }
        write("DSC0001.HEIC", "photo");
        assert_eq!(side("DSC0001.ARW"), Some((SideKind::Twin, reason)), "the JPEG comes first");
        write("lower.jpeg", "photo");
        assert_eq!(side("lower.dng").map(|(kind, _)| kind), Some(SideKind::Twin));
        write("empty.JPG", "");
        fs::create_dir(file("folder.JPG")).expect("a folder");
        assert_eq!((side("empty.DNG"), side("folder.DNG"), side("DSC0001.TIF")), (None, None, None));
    }

    #[test]
    fn a_screen_nail_is_known_by_the_photo_beside_it_outside_its_folder() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let side = || side_file(dir.path(), &dir.path().join("DJI_0001.SCR")).map(|side| side.kind);
        assert_eq!(side(), None, "its content decides");
        fs::write(dir.path().join("DJI_0001.MP4"), "video").expect("written");
        assert_eq!(side(), Some(SideKind::Thumbnail));
    }
}
