//! Everything about one bridge for whoever ordered the inspection: forms, photos by their numbers, a manifest with hashes,
//! a GeoPackage and JSON lines, as a folder or a zip archive.
//!
//! The same photos, facts and templates give the same bytes: nothing in a delivery depends on when it was made.

use std::fs::{self, File};
use std::io::{BufWriter, Read};
use std::path::{Path, PathBuf};

use super::content::{Content, Photo};
use super::gather::Gather;
use super::template::{Template, write as write_form};
use super::{FormError, Pictures};
use crate::domain::Sha256;
use crate::durable::{self, Draft};
use crate::export::{ExportError, Record, Records, gpkg, jsonl};
use crate::photo::MemoryBudget;
use crate::pipeline::{Limits, read_file};
use crate::texts::{Lang, Text};
use crate::workbook::{ArchiveWriter, MarkReport};

/// Maximum size of a zip archive with room for its directory, in bytes: its format counts in 32 bits.
const ZIP_BYTES_MAX: u64 = 4_200_000_000;
/// Mode of a file that a user makes, before the umask.
const USERS: u32 = 0o666;

/// Form of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Package {
    Folder,
    Zip,
}

/// What a delivery needs.
pub struct Delivery<'a> {
    pub gather: Gather<'a>,
    pub templates: &'a [Template],
    pub lang: Lang,
    pub limits: Limits,
    /// Memory budget for decoding photos.
    pub memory: &'a MemoryBudget,
    /// Called for each picture and each copied photo. If it returns an error, the delivery ends.
    pub step: &'a dyn Fn() -> Result<(), ExportError>,
}

/// What was delivered.
#[derive(Debug)]
pub struct Delivered {
    /// The folder or archive.
    pub path: PathBuf,
    pub photos: usize,
    /// Names of the forms.
    pub forms: Vec<String>,
    /// Photos whose file could not be delivered.
    pub skipped: Vec<SkippedFile>,
    /// Marks of the templates that no fact has.
    pub unknown: Vec<MarkReport>,
    /// Number of captures whose stored rows are damaged.
    pub damaged: u64,
}

/// Photo whose file could not be delivered.
#[derive(Debug)]
pub struct SkippedFile {
    pub number: u32,
    pub path: PathBuf,
    pub reason: String,
}

/// A file of the delivery: its name in it, where its bytes are, and their hash if it is a photo.
struct Item {
    name: String,
    from: PathBuf,
    photo: Option<Sha256>,
}

/// Delivers a bridge into the folder `out`. Replaces an earlier delivery only if `replace` is set. A delivery appears
/// complete or not at all.
pub fn deliver(
    delivery: &Delivery<'_>,
    bridge: &str,
    out: &Path,
    package: Package,
    replace: bool,
) -> Result<Delivered, FormError> {
    let target = out.join(match package {
        Package::Folder => safe_name(bridge),
        Package::Zip => safe_name(bridge) + ".zip",
    });
    if !replace && target.symlink_metadata().is_ok() {
        let reason = format!("{}: is there already; choose another folder, or add --force", target.display());
        return Err(FormError::Bound(reason));
    }
    let gathered = delivery.gather.of(bridge, delivery.lang)?;
    // The folder is on the same drive as the target, so that it can be renamed.
    let work = tempfile::Builder::new().prefix(".bridgeclip-").tempdir_in(out)?;
    let mut made = Made { delivery, content: &gathered.content, dir: work.path().join("delivery"), items: Vec::new() };
    fs::create_dir(&made.dir)?;
    let (forms, unknown) = made.forms(&work.path().join("pictures"))?;
    made.tables()?;
    let skipped = made.photos()?;
    made.manifest(&skipped)?;
    made.items.sort_by(|a, b| a.name.cmp(&b.name));
    match package {
        Package::Folder => made.publish_folder(&target, work.path())?,
        Package::Zip => made.publish_zip(&target, replace)?,
    }
    let photos = gathered.content.photos.len() - skipped.len();
    Ok(Delivered { path: target, photos, forms, skipped, unknown, damaged: gathered.damaged })
}

struct Made<'a> {
    delivery: &'a Delivery<'a>,
    content: &'a Content,
    dir: PathBuf,
    items: Vec<Item>,
}

impl Made<'_> {
    fn step(&self) -> Result<(), FormError> {
        (self.delivery.step)().map_err(|_| FormError::Stopped)
    }

    /// Creates a file of the delivery that is made for it.
    fn create(&mut self, name: &str) -> Result<PathBuf, FormError> {
        let path = self.dir.join(name);
        fs::create_dir_all(durable::folder(&path))?;
        self.items.push(Item { name: name.to_owned(), from: path.clone(), photo: None });
        Ok(path)
    }

    /// Fills all templates. Pictures are made once.
    fn forms(&mut self, cache: &Path) -> Result<(Vec<String>, Vec<MarkReport>), FormError> {
        fs::create_dir(cache)?;
        let Delivery { gather, limits, memory, step, .. } = self.delivery;
        let mut pictures = Pictures::new(gather.reader, *limits, memory, step);
        pictures.cache = Some(cache.to_owned());
        let (mut names, mut unknown) = (Vec::new(), Vec::new());
        for template in self.delivery.templates {
            let name = format!("forms/{}.{}", safe_name(&template.name), template.extension);
            let path = self.create(&name)?;
            let out = BufWriter::new(File::create(path)?);
            unknown.extend(write_form(template, self.content, &mut pictures, out)?.unknown);
            names.push(name);
        }
        Ok((names, unknown))
    }

    /// Writes GeoPackage and JSON lines.
    fn tables(&mut self) -> Result<(), FormError> {
        let path = self.create("photos.gpkg")?;
        File::create(&path)?;
        gpkg::write(&path, self.records())?;
        let path = self.create("photos.jsonl")?;
        Ok(jsonl::write(BufWriter::new(File::create(path)?), self.records())?)
    }

    fn records(&self) -> impl Iterator<Item = Result<Record, ExportError>> + '_ {
        let Gather { reader, filter, zone, .. } = &self.delivery.gather;
        let bridge = &self.content.bridge;
        Records::new(reader, filter, *zone).filter(move |record| {
            record.as_ref().map_or(true, |record| record.facility_id().unwrap_or_default() == bridge)
        })
    }

    /// Notes the photos' files. Returns those that cannot be delivered.
    fn photos(&mut self) -> Result<Vec<SkippedFile>, FormError> {
        let mut skipped = Vec::new();
        for photo in &self.content.photos {
            self.step()?;
            let image = &photo.record.facts().image;
            match self.original(&image.path, image.sha256) {
                Ok(_) => self.items.push(Item {
                    name: photo_name(photo),
                    from: image.path.clone(),
                    photo: Some(image.sha256),
                }),
                Err(reason) => {
                    skipped.push(SkippedFile { number: photo.number, path: image.path.clone(), reason });
                }
            }
        }
        Ok(skipped)
    }

    /// Reads a photo's file if it still is that photo: cameras reuse names.
    fn original(&self, path: &Path, sha256: Sha256) -> Result<Vec<u8>, String> {
        let bytes = read_file(path, &self.delivery.limits).map_err(|error| error.to_string())?;
        match Sha256::of(&bytes) == sha256 {
            true => Ok(bytes),
            false => Err("the file is another photo by now".to_owned()),
        }
    }

    /// Writes the list of photos, what a delivery is, and the hashes of all files.
    fn manifest(&mut self, skipped: &[SkippedFile]) -> Result<(), FormError> {
        let list = manifest_csv(self.content, skipped)?;
        fs::write(self.create("photos.csv")?, list)?;
        let note = Text::SheetNotice.say(self.content.lang).to_owned() + "\n";
        fs::write(self.create("README.txt")?, note)?;
        let mut sums: Vec<(String, String)> = Vec::new();
        for item in &self.items {
            self.step()?;
            let sum = match item.photo {
                Some(sha256) => sha256.to_string(),
                None => hash_of(&item.from)?.to_string(),
            };
            sums.push((item.name.clone(), sum));
        }
        sums.sort();
        let text: String = sums.iter().map(|(name, sum)| format!("{sum}  {name}\n")).collect();
        Ok(fs::write(self.create("SHA256SUMS")?, text)?)
    }

    fn publish_folder(&self, target: &Path, work: &Path) -> Result<(), FormError> {
        for item in &self.items {
            let path = self.dir.join(&item.name);
            if let Some(sha256) = item.photo {
                self.step()?;
                fs::create_dir_all(durable::folder(&path))?;
                fs::write(&path, self.content_of(item, sha256)?)?;
            }
            durable::sync(&path)?;
        }
        for dir in ["forms", "photos"].map(|name| self.dir.join(name)).iter().filter(|dir| dir.is_dir()) {
            durable::sync(dir)?;
        }
        durable::sync(&self.dir)?;
        // An earlier delivery is set aside, and deleted with the working folder.
        if target.symlink_metadata().is_ok() {
            fs::rename(target, work.join("replaced"))?;
        }
        fs::rename(&self.dir, target)?;
        Ok(durable::sync(durable::folder(target))?)
    }

    fn publish_zip(&self, target: &Path, replace: bool) -> Result<(), FormError> {
        let sizes = self.items.iter().map(|item| fs::metadata(&item.from).map(|file| file.len() + 1_000));
        let total: u64 = sizes.sum::<Result<u64, _>>()?;
        if total > ZIP_BYTES_MAX {
            let reason = format!("{} MB are too much for a zip archive; leave out --zip", total / 1_000_000);
            return Err(FormError::Bound(reason));
        }
        let mut draft = Draft::create(target, USERS)?;
        let mut archive = ArchiveWriter::new(BufWriter::new(draft.file()));
        for item in &self.items {
            match item.photo {
                Some(sha256) => {
                    self.step()?;
                    archive.store(&item.name, &self.content_of(item, sha256)?)?;
                }
                None if item.name.ends_with(".xlsx") || item.name.ends_with(".xlsm") => {
                    archive.store(&item.name, &fs::read(&item.from)?)?;
                }
                None => archive.deflate(&item.name, &fs::read(&item.from)?)?,
            }
        }
        drop(archive.finish()?);
        if replace {
            draft.publish()?;
        } else {
            draft.publish_new()?;
        }
        Ok(())
    }

    fn content_of(&self, item: &Item, sha256: Sha256) -> Result<Vec<u8>, FormError> {
        let changed = |reason| FormError::Bound(format!("{}: {reason}; deliver again", item.from.display()));
        self.original(&item.from, sha256).map_err(changed)
    }
}

fn hash_of(path: &Path) -> Result<Sha256, FormError> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    Ok(Sha256::of(&bytes))
}

/// Returns the name of a photo in a delivery, with the extension that it has: `photos/0007.jpg`.
fn photo_name(photo: &Photo) -> String {
    let end = photo.record.facts().image.path.extension().and_then(|end| end.to_str()).unwrap_or("jpg");
    let is_plain = end.len() <= 5 && end.bytes().all(|letter| letter.is_ascii_alphanumeric());
    format!("photos/{:04}.{}", photo.number, if is_plain { end.to_ascii_lowercase() } else { "jpg".to_owned() })
}

/// Returns the list of photos.
fn manifest_csv(content: &Content, skipped: &[SkippedFile]) -> Result<Vec<u8>, FormError> {
    let mut rows = csv::Writer::from_writer(b"\xef\xbb\xbf".to_vec());
    let failed = |error: csv::Error| FormError::Write(std::io::Error::other(error));
    let head = [
        "number",
        "file",
        "sha256",
        "original_name",
        "taken",
        "span",
        "member",
        "element",
        "damage",
        "soundness",
        "judged_by",
    ];
    rows.write_record(head).map_err(failed)?;
    for photo in &content.photos {
        let is_skipped = skipped.iter().any(|skipped| skipped.number == photo.number);
        let record = &photo.record;
        let row = [
            photo.number.to_string(),
            if is_skipped { String::new() } else { photo_name(photo) },
            record.facts().image.sha256.to_string(),
            record.file().unwrap_or_default(),
            record.taken_local(),
            photo.place.span.clone(),
            photo.place.member.clone(),
            photo.place.element.clone(),
            content.draft(content.damage_text(&photo.damages()), !photo.is_judged()),
            content.draft(content.grade_text(photo.grade()), !photo.is_judged()),
            record.inspection().map(|(inspection, _)| inspection.by.as_str().to_owned()).unwrap_or_default(),
        ];
        rows.write_record(row.map(|cell| plain_cell(&cell))).map_err(failed)?;
    }
    rows.into_inner().map_err(|error| FormError::Write(error.into_error()))
}

/// Returns a text that no spreadsheet takes for a formula.
fn plain_cell(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

/// Returns a name that every file system takes; that of photos without a bridge is `no-bridge`.
fn safe_name(name: &str) -> String {
    let is_unsafe = |letter: char| letter.is_control() || "/\\:*?\"<>|".contains(letter);
    let safe: String = name.chars().map(|letter| if is_unsafe(letter) { '_' } else { letter }).collect();
    let safe = safe.trim_matches([' ', '.']);
    if safe.is_empty() { "no-bridge".to_owned() } else { safe.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forms::content::example;

    #[test]
    fn names_are_those_that_every_system_takes() {
        for (name, expected) in
            [("B-12", "B-12"), ("../etc", "_etc"), ("新橋/上り", "新橋_上り"), ("", "no-bridge"), ("a:b ", "a_b")]
        {
            assert_eq!(safe_name(name), expected, "{name}");
        }
    }

    #[test]
    fn the_list_of_photos_has_a_row_for_each_and_no_formula() {
        let mut content = example(Lang::Ja);
        content.photos[0].place.member = "=1+1".to_owned();
        let skipped = [SkippedFile { number: 2, path: PathBuf::new(), reason: String::new() }];
        let text = String::from_utf8(manifest_csv(&content, &skipped).expect("a list")).expect("UTF-8");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[1].starts_with("1,photos/0001.jpg,") && lines[1].contains(",'=1+1,"), "{text}");
        assert!(lines[2].starts_with("2,,") && lines[2].ends_with(",Ⅳ,A. Sato"), "{text}");
        assert!(lines[3].contains("Ⅲ（案）"), "{text}");
    }
}
