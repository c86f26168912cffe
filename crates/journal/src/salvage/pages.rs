//! Pages of a database as its last commit left them: those of the file, or newer ones in its WAL.
//!
//! The formats are SQLite's: sqlite.org/fileformat2.html and sqlite.org/walformat.html.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::schema::PAGE_BYTES;

const WAL_HEADER_BYTES: u64 = 32;
const FRAME_HEADER_BYTES: u64 = 24;
const FRAME_BYTES: u64 = FRAME_HEADER_BYTES + PAGE_BYTES as u64;
/// Magic number of a WAL. Its last bit gives the byte order of the checksums.
const WAL_MAGIC: u32 = 0x377F_0682;

/// Pages of a database file and its WAL.
pub struct Pages {
    file: File,
    /// WAL, and the offset in it of the last committed version of each page.
    wal: Option<(File, HashMap<u32, u64>)>,
    count: u32,
    free: HashSet<u32>,
}

impl Pages {
    /// Opens a database, and its WAL if there is one.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let in_file = file.metadata()?.len().div_ceil(PAGE_BYTES as u64).min(u32::MAX.into()) as u32;
        let mut name = path.as_os_str().to_owned();
        name.push("-wal");
        let wal = File::open(name).ok().map(|wal| {
            let places = committed(&wal);
            (wal, places)
        });
        let in_wal = wal.as_ref().and_then(|(_, places)| places.keys().max().copied()).unwrap_or(0);
        let mut pages = Pages { file, wal, count: in_file.max(in_wal), free: HashSet::new() };
        pages.free = free_pages(&pages).unwrap_or_default();
        Ok(pages)
    }

    /// Returns the numbers of all pages that are in use, from 1. Free pages are left out if the list of them can be
    /// trusted.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        (1..=self.count).filter(|number| !self.free.contains(number))
    }

    /// Reads a page; `None` if there is none with this number or the drive cannot read it.
    pub fn read(&self, number: u32) -> Option<Vec<u8>> {
        if !(1..=self.count).contains(&number) {
            return None;
        }
        let mut page = vec![0; PAGE_BYTES];
        let place = self.wal.as_ref().and_then(|(wal, places)| Some((wal, *places.get(&number)?)));
        let (file, place) = place.unwrap_or((&self.file, u64::from(number - 1) * PAGE_BYTES as u64));
        file.read_exact_at(&mut page, place).ok()?;
        Some(page)
    }
}

/// Returns the offset in the WAL of the last committed version of each page. A frame counts if its checksum and those
/// of all frames before it are right, and if a commit follows.
fn committed(wal: &File) -> HashMap<u32, u64> {
    let mut places = HashMap::new();
    let Some((order, salts, mut sums)) = wal_header(wal) else { return places };
    let mut pending = Vec::new();
    let mut frame = vec![0; FRAME_BYTES as usize];
    for index in 0.. {
        let place = WAL_HEADER_BYTES + index * FRAME_BYTES;
        if wal.read_exact_at(&mut frame, place).is_err() || frame[8..16] != salts {
            break;
        }
        sums = checksum(order, sums, &frame[..8]);
        sums = checksum(order, sums, &frame[FRAME_HEADER_BYTES as usize..]);
        if [big_endian(&frame, 16), big_endian(&frame, 20)] != sums {
            break;
        }
        pending.push((big_endian(&frame, 0), place + FRAME_HEADER_BYTES));
        if big_endian(&frame, 4) > 0 {
            places.extend(pending.drain(..));
        }
    }
    places
}

type Order = fn([u8; 4]) -> u32;

fn wal_header(wal: &File) -> Option<(Order, [u8; 8], [u32; 2])> {
    let mut header = [0; WAL_HEADER_BYTES as usize];
    wal.read_exact_at(&mut header, 0).ok()?;
    let magic = big_endian(&header, 0);
    let order: Order = if magic & 1 == 1 { u32::from_be_bytes } else { u32::from_le_bytes };
    let sums = checksum(order, [0, 0], &header[..24]);
    let is_whole = magic & !1 == WAL_MAGIC
        && big_endian(&header, 8) == PAGE_BYTES as u32
        && [big_endian(&header, 24), big_endian(&header, 28)] == sums;
    is_whole.then(|| (order, header[16..24].try_into().expect("eight bytes"), sums))
}

fn checksum(order: Order, start: [u32; 2], bytes: &[u8]) -> [u32; 2] {
    let word = |bytes: &[u8]| order(bytes.try_into().expect("four bytes"));
    bytes.chunks_exact(8).fold(start, |[first, second], pair| {
        let first = first.wrapping_add(word(&pair[..4])).wrapping_add(second);
        [first, second.wrapping_add(word(&pair[4..])).wrapping_add(first)]
    })
}

/// Returns the free pages, whose rows have been deleted. They are trusted only if the whole list agrees with the file's
/// header: rows on a page that is wrongly considered free would be lost.
fn free_pages(pages: &Pages) -> Option<HashSet<u32>> {
    let head = pages.read(1)?;
    let (mut trunk, count) = (big_endian(&head, 32), big_endian(&head, 36));
    let mut free = HashSet::new();
    while trunk != 0 {
        let page = pages.read(trunk)?;
        let leaves = big_endian(&page, 4) as usize;
        if !free.insert(trunk) || leaves > PAGE_BYTES / 4 - 2 {
            return None;
        }
        for index in 0..leaves {
            if !free.insert(big_endian(&page, 8 + 4 * index)) {
                return None;
            }
        }
        trunk = big_endian(&page, 0);
    }
    let is_right = free.len() == count as usize && free.iter().all(|number| (2..=pages.count).contains(number));
    is_right.then_some(free)
}

/// Reads four big-endian bytes.
///
/// # Panics
/// If there are no four bytes at `offset`.
pub fn big_endian(bytes: &[u8], offset: usize) -> u32 {
    u32::from_be_bytes(bytes[offset..offset + 4].try_into().expect("four bytes"))
}
