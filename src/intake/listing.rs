//! The photos among files and folders that a person names.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::side_files::{is_side_folder, side_file};
use super::watch::{DEPTH_MAX, is_hidden};

/// Most files that are listed.
const FILES_MAX: usize = 1_000_000;

/// Returns the named files, and the files in the named folders and below, in the order of their names. In folders, links,
/// hidden files, files that are still written and what lies beside photos are left out, as in watched folders. Fails if a
/// folder cannot be read, or lies too deep.
pub fn photo_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        let is_folder = fs::metadata(path).with_context(|| path.display().to_string())?.is_dir();
        if is_folder { below(path, path, 0, &mut found)? } else { found.push(path.clone()) }
    }
    Ok(found)
}

fn below(root: &Path, folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut entries = entries.with_context(|| folder.display().to_string())?;
    entries.sort_by_key(fs::DirEntry::file_name);
    ensure!(depth < DEPTH_MAX, "{}: deeper than {DEPTH_MAX} folders; name folders below it", folder.display());
    for entry in entries.iter().filter(|entry| !is_hidden(&entry.path())) {
        let (path, kind) = (entry.path(), entry.file_type().with_context(|| entry.path().display().to_string())?);
        if kind.is_dir() && !is_side_folder(root, &path) {
            below(root, &path, depth + 1, found)?;
        } else if kind.is_file() && side_file(root, &path).is_none() {
            found.push(path);
        }
        ensure!(found.len() <= FILES_MAX, "{}: more than {FILES_MAX} files; name folders below it", root.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_looked_through_and_side_files_left_out() {
        let card = tempfile::tempdir().expect("a folder");
        let put = |name: &str| {
            let path = card.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(&path, b"x").expect("a file");
            path
        };
        let photos = [put("DCIM/100MEDIA/DJI_0001.JPG"), put("DCIM/100MEDIA/DJI_0002.JPG"), put("b.jpg")];
        for name in
            ["DCIM/100MEDIA/DJI_0003.MP4", "MISC/THM/100/DJI_0001.SCR", ".trash/a.jpg", ".hidden.jpg", "c.jpg.part"]
        {
            put(name);
        }
        assert_eq!(photo_files(&[card.path().to_owned()]).expect("a list"), photos);
        let named = card.path().join(".hidden.jpg");
        assert_eq!(photo_files(std::slice::from_ref(&named)).expect("a list"), [named]);
        put(&format!("{}a.jpg", "x/".repeat(DEPTH_MAX)));
        assert!(photo_files(&[card.path().to_owned()]).expect_err("too deep").to_string().contains("deeper than"));
        assert!(photo_files(&[card.path().join("none")]).expect_err("nothing").to_string().contains("none"));
    }
}
