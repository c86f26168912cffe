//! Raw files of Canon in the structure of an ISO media file (L. Clévy, <https://github.com/lclevy/canon_cr3>).

use super::parts::{PREVIEWS_MAX, range, u32_at};
use crate::boxes::{Atom, Atoms};
use crate::tiff::kind;

/// Identifier of the box with the preview, and of the one with the metadata, in a Canon file.
pub const PREVIEW: [u8; 16] = *b"\xea\xf4\x2b\x5e\x1c\x98\x4b\x88\xb9\xfb\xb7\xdc\x40\x6e\x4d\x16";
pub const METADATA: [u8; 16] = *b"\x85\xc0\xb6\x87\x82\x0f\x11\xe0\x81\x11\xf4\xce\x46\x2b\x6a\x48";
/// Bytes between the start of a `PRVW` box's body and its JPEG.
pub const PREVIEW_HEADER: usize = 16;

/// Returns the body of the first box of this kind, or what there is of it.
fn find<'a>(bytes: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    Atoms::new(bytes).all().find(|atom| &atom.kind == kind).map(|atom| atom.body)
}

/// Returns what follows this identifier in the body of a box of Canon's own.
fn find_own<'a>(bytes: &'a [u8], identifier: &[u8; 16]) -> Option<&'a [u8]> {
    let own = |atom: Atom<'a>| atom.body.strip_prefix(identifier).filter(|_| &atom.kind == b"uuid");
    Atoms::new(bytes).all().find_map(own)
}

/// Finds the JPEGs of a Canon file: the preview, and the first sample of each track. `None` if the file is truncated.
pub fn previews(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    if Atoms::new(bytes).torn().is_some() {
        return None;
    }
    let preview = find_own(bytes, &PREVIEW).and_then(|own| find(own.get(8..)?, b"PRVW"));
    let preview = preview.and_then(|body| body.get(PREVIEW_HEADER..));
    let tracks = Atoms::new(find(bytes, b"moov").unwrap_or_default()).filter(|atom| &atom.kind == b"trak");
    let samples = tracks.take(PREVIEWS_MAX).filter_map(|track| first_sample(track.body));
    preview.map(Some).into_iter().chain(samples.map(|(at, length)| range(bytes, at, length))).collect()
}

/// Returns offset and length of the first sample of a track (ISO/IEC 14496-12, sections 8.7.3 and 8.7.5).
fn first_sample(track: &[u8]) -> Option<(usize, usize)> {
    let table = [b"mdia", b"minf", b"stbl"].iter().try_fold(track, |body, kind| find(body, kind))?;
    // Version and flags, the size of all samples or 0, and their number come before the sizes.
    let sizes = find(table, b"stsz")?;
    let size = u32_at(sizes, 4).filter(|size| *size > 0).or_else(|| u32_at(sizes, 12))?;
    let at = match find(table, b"co64") {
        Some(offsets) => usize::try_from(u64::from_be_bytes(*offsets.get(8..)?.first_chunk()?)).ok()?,
        None => u32_at(find(table, b"stco")?, 8)?,
    };
    Some((at, size))
}

/// Boxes with the first directory of the metadata, that of the exposure, and that of the position, each in a block like
/// a TIFF file of its own; and the tags that point to the second and the third one in an EXIF block (CIPA DC-008, 4.6.3).
const DIRECTORIES: [(&[u8; 4], u16); 3] = [(b"CMT1", 0), (b"CMT2", 0x8769), (b"CMT4", 0x8825)];
/// Maximum size of such a box in bytes, which is that of an EXIF block in a JPEG.
const DIRECTORY_BYTES_MAX: usize = 1 << 16;

/// Returns one EXIF block with the directories of the file, or `None` if it has no first one.
pub fn exif(bytes: &[u8]) -> Option<Vec<u8>> {
    let own = find_own(find(bytes, b"moov")?, &METADATA)?;
    let mut block = b"II*\0\0\0\0\0".to_vec();
    let mut first: Vec<[u8; 12]> = Vec::new();
    for (kind, pointer) in DIRECTORIES {
        let Some((at, entries)) = find(own, kind).and_then(|body| append(&mut block, body)) else {
            if first.is_empty() {
                return None;
            } else {
                continue;
            };
        };
        match pointer {
            0 => first = entries,
            tag => first.push(entry(tag, kind::LONG, 1, at as u32)),
        }
    }
    let at = write_directory(&mut block, &first);
    block[4..8].copy_from_slice(&(at as u32).to_le_bytes());
    Some(block)
}

/// Appends a block and, behind it, its directory with offsets that count from the start of the whole. Returns the
/// directory's offset and entries.
fn append(block: &mut Vec<u8>, body: &[u8]) -> Option<(usize, Vec<[u8; 12]>)> {
    let body = body.strip_prefix(b"II*\0").filter(|body| body.len() <= DIRECTORY_BYTES_MAX)?;
    let start = u32::from_le_bytes(*body.first_chunk()?) as usize;
    // Offsets count from the start of the block, whose first four bytes are cut off here.
    let directory = body.get(start.checked_sub(4)?..)?;
    let count = usize::from(u16::from_le_bytes(*directory.first_chunk()?));
    let base = block.len() as u32 - 4;
    let entries = directory[2..].as_chunks::<12>().0.iter().take(count).map(|entry| moved(*entry, base));
    let entries: Vec<[u8; 12]> = entries.collect();
    block.extend_from_slice(body);
    Some((write_directory(block, &entries), entries))
}

/// Returns an entry whose values, unless they are in the entry itself, are `base` bytes further on.
fn moved(mut entry: [u8; 12], base: u32) -> [u8; 12] {
    let [kind, count, value] =
        [2..4, 4..8, 8..12].map(|at| entry[at].iter().rfold(0, |sum, byte| sum << 8 | u64::from(*byte)));
    let size = u16::try_from(kind).ok().and_then(kind::size).unwrap_or(0) as u64;
    if count * size > 4 {
        entry[8..].copy_from_slice(&(value as u32).saturating_add(base).to_le_bytes());
    }
    entry
}

fn entry(tag: u16, kind: u16, count: u32, value: u32) -> [u8; 12] {
    let mut entry = [0; 12];
    entry[..2].copy_from_slice(&tag.to_le_bytes());
    entry[2..4].copy_from_slice(&kind.to_le_bytes());
    entry[4..8].copy_from_slice(&count.to_le_bytes());
    entry[8..].copy_from_slice(&value.to_le_bytes());
    entry
}

/// Writes a directory and returns its offset.
fn write_directory(block: &mut Vec<u8>, entries: &[[u8; 12]]) -> usize {
    let at = block.len();
    block.extend((entries.len() as u16).to_le_bytes());
    block.extend_from_slice(entries.as_flattened());
    block.extend([0; 4]);
    at
}
