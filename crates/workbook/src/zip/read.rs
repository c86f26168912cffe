//! Reads an archive from outside: every offset and length is checked before it is used, and nothing is inflated further
//! than the archive says and the bounds allow.

use std::collections::BTreeMap;
use std::ops::Range;

use miniz_oxide::inflate::decompress_to_vec_with_limit;

use super::{CENTRAL, CENTRAL_BYTES, DEFLATED, END, END_BYTES, LOCAL, LOCAL_BYTES, STORED};
use crate::error::WorkbookError;
use crate::limits::Limits;

/// An archive in memory.
pub struct Archive {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// Index of each entry by its name in lower case: names of parts differ in more than case.
    index: BTreeMap<String, usize>,
}

/// An entry of an archive.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Path inside the archive, without a leading slash.
    pub name: String,
    /// Whether the content is deflated.
    pub deflated: bool,
    /// CRC-32 of the content.
    pub crc: u32,
    /// Size of the content in bytes.
    pub size: u64,
    data: Range<usize>,
}

impl Archive {
    /// Reads the directory of an archive.
    ///
    /// # Errors
    /// If the archive is damaged, exceeds a bound, or has entries that are encrypted, overlap, or have names that lead
    /// out of it or occur twice.
    pub fn open(bytes: Vec<u8>, limits: &Limits) -> Result<Self, WorkbookError> {
        let (directory, count) = directory(&bytes)?;
        if count > limits.entries_max {
            return Err(too_large("the number of its entries", limits.entries_max as u64));
        }
        let mut entries = Vec::new();
        let mut at = directory.start;
        for _ in 0..count {
            let (entry, next) = central(&bytes, at, directory.clone())?;
            if !entry.name.ends_with('/') {
                bounded(&entry, limits)?;
                entries.push(entry);
            }
            at = next;
        }
        disjoint(&entries)?;
        total(&entries, limits)?;
        let index = index(&entries)?;
        Ok(Archive { bytes, entries, index })
    }

    /// Returns all entries in the order of the directory.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the entry of a name, in any case; `None` if there is none.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.index.get(&name.to_lowercase()).map(|index| &self.entries[*index])
    }

    /// Returns the bytes of an entry as they are stored, compressed or not.
    pub fn raw(&self, entry: &Entry) -> &[u8] {
        &self.bytes[entry.data.clone()]
    }

    /// Returns the content of an entry.
    ///
    /// # Errors
    /// If the content is damaged or has another size than the archive says.
    pub fn content(&self, entry: &Entry) -> Result<Vec<u8>, WorkbookError> {
        let raw = self.raw(entry);
        let size = usize::try_from(entry.size).map_err(|_| damaged(&entry.name, "its size"))?;
        let content = match entry.deflated {
            true => decompress_to_vec_with_limit(raw, size)
                .map_err(|_| damaged(&entry.name, "its compressed data are damaged or longer than stated"))?,
            false => raw.to_vec(),
        };
        if content.len() != size {
            return Err(damaged(&entry.name, "it is shorter than stated"));
        }
        if crc32fast::hash(&content) != entry.crc {
            return Err(damaged(&entry.name, "its checksum is wrong"));
        }
        Ok(content)
    }
}

/// Finds the central directory and the number of its entries.
fn directory(bytes: &[u8]) -> Result<(Range<usize>, usize), WorkbookError> {
    const COMMENT_MAX: usize = 65_535;
    let last = bytes.len().checked_sub(END_BYTES).ok_or_else(|| archive("it is shorter than an empty archive"))?;
    let first = last.saturating_sub(COMMENT_MAX);
    let end = (first..=last).rev().find(|at| u32_at(bytes, *at) == Some(END) && comment_ends(bytes, *at));
    let end = end.ok_or_else(|| archive("the end of its directory is missing; the file may be cut off"))?;
    let field = |offset| u16_at(bytes, end + offset).unwrap_or_default();
    if field(4) != 0 || field(6) != 0 || field(8) != field(10) {
        return Err(archive("it spans several disks"));
    }
    let size = u32_at(bytes, end + 12).unwrap_or_default();
    let start = u32_at(bytes, end + 16).unwrap_or_default();
    if size == u32::MAX || start == u32::MAX || field(10) == u16::MAX {
        return Err(archive("it has a directory of more than 4 GB or 65,534 entries"));
    }
    let (start, size) = (start as usize, size as usize);
    match start.checked_add(size).filter(|directory_end| *directory_end <= end) {
        Some(directory_end) => Ok((start..directory_end, usize::from(field(10)))),
        None => Err(archive("its directory lies outside of the file")),
    }
}

/// Whether the comment of the directory's end leads exactly to the end of the file.
fn comment_ends(bytes: &[u8], at: usize) -> bool {
    u16_at(bytes, at + 20).is_some_and(|length| at + END_BYTES + usize::from(length) == bytes.len())
}

/// Reads an entry of the central directory; returns it and where the next one begins.
fn central(bytes: &[u8], at: usize, directory: Range<usize>) -> Result<(Entry, usize), WorkbookError> {
    if u32_at(bytes, at) != Some(CENTRAL) || at + CENTRAL_BYTES > directory.end {
        return Err(archive("its directory is damaged"));
    }
    let short = |offset| usize::from(u16_at(bytes, at + offset).unwrap_or_default());
    let long = |offset| u64::from(u32_at(bytes, at + offset).unwrap_or_default());
    let name_end = at + CENTRAL_BYTES + short(28);
    let extra_end = name_end + short(30);
    let next = extra_end + short(32);
    if next > directory.end {
        return Err(archive("its directory is damaged"));
    }
    let name = name(&bytes[at + CENTRAL_BYTES..name_end])?;
    if short(8) & 0x2041 != 0 {
        return Err(damaged(&name, "it is encrypted; remove the password in Excel and save again"));
    }
    let deflated = match short(10) as u16 {
        STORED => false,
        DEFLATED => true,
        method => return Err(damaged(&name, &format!("its compression method {method} is not one of OOXML"))),
    };
    let mut wide = Wide { extra: &bytes[name_end..extra_end], used: 0 };
    let (size, stored) = (wide.or(long(24))?, wide.or(long(20))?);
    let offset = wide.or(long(42))?;
    let data = data(bytes, &name, offset, stored, directory.start)?;
    Ok((Entry { name, deflated, crc: long(16) as u32, size, data }, next))
}

/// The 64-bit numbers that replace those of 32 bits (extra field 1), in their order.
struct Wide<'a> {
    extra: &'a [u8],
    used: usize,
}

impl Wide<'_> {
    /// Returns a number of 32 bits, or the next one of 64 bits that stands for it.
    fn or(&mut self, number: u64) -> Result<u64, WorkbookError> {
        if number != u64::from(u32::MAX) {
            return Ok(number);
        }
        let field = self.field().and_then(|field| field.get(self.used..self.used + 8));
        let bytes: [u8; 8] =
            field.and_then(|field| field.try_into().ok()).ok_or_else(|| archive("a size is missing"))?;
        self.used += 8;
        Ok(u64::from_le_bytes(bytes))
    }

    fn field(&self) -> Option<&[u8]> {
        let mut at = 0;
        loop {
            let (id, length) = (u16_at(self.extra, at)?, usize::from(u16_at(self.extra, at + 2)?));
            let field = self.extra.get(at + 4..at + 4 + length)?;
            if id == 1 {
                return Some(field);
            }
            at += 4 + length;
        }
    }
}

/// Returns where the data of an entry lie, by its local header.
fn data(bytes: &[u8], name: &str, offset: u64, stored: u64, end: usize) -> Result<Range<usize>, WorkbookError> {
    let lost = || damaged(name, "its data are not where the directory says");
    let at = usize::try_from(offset).ok().filter(|at| *at < end).ok_or_else(lost)?;
    if u32_at(bytes, at) != Some(LOCAL) {
        return Err(lost());
    }
    let length = |offset| u16_at(bytes, at + offset).map(usize::from).ok_or_else(lost);
    let (name_length, extra_length) = (length(26)?, length(28)?);
    if bytes.get(at + LOCAL_BYTES..at + LOCAL_BYTES + name_length) != Some(name.as_bytes()) {
        return Err(damaged(name, "it has another name in the directory"));
    }
    let start = at + LOCAL_BYTES + name_length + extra_length;
    let stored = usize::try_from(stored).map_err(|_| lost())?;
    let data_end = start.checked_add(stored).filter(|data_end| *data_end <= end).ok_or_else(lost)?;
    Ok(start..data_end)
}

/// Returns the name of an entry if it stays inside the archive.
fn name(bytes: &[u8]) -> Result<String, WorkbookError> {
    const LENGTH_MAX: usize = 512;
    let name = str::from_utf8(bytes).map_err(|_| archive("the name of an entry is not UTF-8"))?;
    let is_inside = !name.starts_with('/')
        && !name.contains(['\\', ':', '\0'])
        && name.split('/').all(|piece| piece != ".." && piece != ".")
        && !name.trim_end_matches('/').split('/').any(str::is_empty)
        && name.len() <= LENGTH_MAX;
    match is_inside {
        true => Ok(name.to_owned()),
        false => Err(archive(&format!("the name of an entry is not acceptable: {:?}", shortened(name)))),
    }
}

fn shortened(name: &str) -> String {
    name.chars().take(80).collect()
}

fn bounded(entry: &Entry, limits: &Limits) -> Result<(), WorkbookError> {
    const SMALL: u64 = 1 << 20;
    if entry.size > limits.entry_bytes_max {
        return Err(too_large(&format!("{} (bytes)", entry.name), limits.entry_bytes_max));
    }
    let stored = entry.data.len() as u64;
    if !entry.deflated && stored != entry.size {
        return Err(damaged(&entry.name, "its two sizes differ"));
    }
    if entry.size > SMALL && entry.size > stored.saturating_mul(limits.ratio_max) {
        return Err(too_large(&format!("{} (size divided by compressed size)", entry.name), limits.ratio_max));
    }
    Ok(())
}

/// Checks that no two entries share data, as those of some zip bombs do.
fn disjoint(entries: &[Entry]) -> Result<(), WorkbookError> {
    let mut ranges: Vec<(usize, usize, &str)> =
        entries.iter().map(|entry| (entry.data.start, entry.data.end, entry.name.as_str())).collect();
    ranges.sort_unstable();
    match ranges.windows(2).find(|pair| pair[1].0 < pair[0].1 || (pair[1].0 == pair[0].0)) {
        Some(pair) => Err(damaged(pair[1].2, "it shares data with another entry")),
        None => Ok(()),
    }
}

fn total(entries: &[Entry], limits: &Limits) -> Result<(), WorkbookError> {
    let total = entries.iter().fold(0_u64, |sum, entry| sum.saturating_add(entry.size));
    match total > limits.total_bytes_max {
        true => Err(too_large("the size of all entries (bytes)", limits.total_bytes_max)),
        false => Ok(()),
    }
}

fn index(entries: &[Entry]) -> Result<BTreeMap<String, usize>, WorkbookError> {
    let mut index = BTreeMap::new();
    for (position, entry) in entries.iter().enumerate() {
        if index.insert(entry.name.to_lowercase(), position).is_some() {
            return Err(damaged(&entry.name, "it occurs twice"));
        }
    }
    Ok(index)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

fn archive(reason: &str) -> WorkbookError {
    WorkbookError::Archive(reason.to_owned())
}

fn damaged(name: &str, reason: &str) -> WorkbookError {
    WorkbookError::part(name, reason)
}

fn too_large(what: &str, max: u64) -> WorkbookError {
    WorkbookError::TooLarge { what: what.to_owned(), max }
}
