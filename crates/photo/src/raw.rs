//! Raw files of cameras. What the sensor saw is not developed here: the photo is the largest JPEG preview in the file,
//! which the camera developed itself.
//!
//! Most raw files are TIFFs (`tiff`). The others are read here, by the descriptions of ExifTool
//! (<https://exiftool.org/TagNames/>) and, for CR3, of L. Clévy (<https://github.com/lclevy/canon_cr3>).

mod cr3;
mod parts;

use super::tiff::directory::{Directory, Tiff, tag};
use super::{Blocks, PhotoError, jpeg};
use parts::{PREVIEWS_MAX, range, u32_at};

/// Kind of a raw file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raw {
    /// Adobe's digital negative, which drones and phones write.
    Dng,
    /// A TIFF of another maker, with the name of its kind.
    Tiff(&'static str),
    /// Fujifilm.
    Raf,
    /// Canon, in the structure of an ISO media file.
    Cr3,
    /// Panasonic and Leica.
    Rw2,
    /// Olympus and OM System.
    Orf,
}

/// Minimum short side of a preview in pixels: what is left of a photo's detail where it is decoded at a fraction of its
/// size ([`Decoding`](super::Decoding)). Smaller ones are made for the camera's screen. A DNG may have any, since that
/// of a phone or drone can itself be small.
const SHORT_SIDE_MIN: u32 = 448;

/// Maximum size of all previews together, in sizes of the file. Some cameras list a preview twice.
const OVERLAP_MAX: usize = 4;
/// Values of `PhotometricInterpretation` for the samples of a sensor (DNG 1.7, page 29).
const SENSOR: [u32; 2] = [32_803, 34_892];
/// Values of `Compression` of Sony, Nikon, Samsung and Pentax.
const SENSOR_COMPRESSION: [u32; 4] = [32_767, 34_713, 32_770, 65_535];
/// Flag of `NewSubfileType` for a smaller version of another picture in the file.
const REDUCED: u32 = 1;

/// Starts of the maker's name in a TIFF, and the kind of its raw files.
const MAKERS: [(&str, &str); 14] = [
    ("NIKON", "a Nikon raw file (NEF)"),
    ("SONY", "a Sony raw file (ARW)"),
    ("Canon", "a Canon raw file (CR2)"),
    ("PENTAX", "a Pentax raw file (PEF)"),
    ("RICOH", "a Pentax raw file (PEF)"),
    ("SAMSUNG", "a Samsung raw file (SRW)"),
    ("Hasselblad", "a Hasselblad raw file (3FR)"),
    ("Phase One", "a Phase One raw file (IIQ)"),
    ("Leaf", "a Leaf raw file (MOS)"),
    ("Mamiya", "a Mamiya raw file (MEF)"),
    ("SEIKO EPSON", "an Epson raw file (ERF)"),
    ("EASTMAN KODAK", "a Kodak raw file (DCR)"),
    ("Kodak", "a Kodak raw file (DCR)"),
    ("Panasonic", "a Panasonic raw file (RW2)"),
];

impl Raw {
    /// Returns the kind of a raw file that is no TIFF, by its first bytes.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            _ if bytes.starts_with(b"FUJIFILMCCD-RAW ") => Some(Raw::Raf),
            _ if bytes.get(4..12) == Some(b"ftypcrx ") => Some(Raw::Cr3),
            _ if bytes.starts_with(b"IIU\0") => Some(Raw::Rw2),
            _ if [b"IIRO", b"IIRS", b"MMOR"].iter().any(|mark| bytes.starts_with(*mark)) => Some(Raw::Orf),
            _ => None,
        }
    }

    /// Returns the kind of a TIFF that is a raw file.
    pub fn of_tiff(tiff: &Tiff, directories: &[Directory]) -> Option<Self> {
        let first = directories.first()?;
        if first.entry(tag::DNG_VERSION).is_some() {
            return Some(Raw::Dng);
        }
        match tiff.bytes.get(8..12) {
            Some([b'C', b'R', ..]) => return Some(Raw::Tiff("a Canon raw file (CR2)")),
            Some(b"IIII" | b"MMMM") => return Some(Raw::Tiff("a Phase One raw file (IIQ)")),
            _ => (),
        }
        let is = |directory, tag, values: &[u32]| tiff.number(directory, tag).is_some_and(|it| values.contains(&it));
        let is_raw = tiff.number(first, tag::NEW_SUBFILE_TYPE).unwrap_or(0) & REDUCED != 0
            || directories.iter().any(|directory| is(directory, tag::PHOTOMETRIC_INTERPRETATION, &SENSOR))
            || directories.iter().any(|directory| is(directory, tag::COMPRESSION, &SENSOR_COMPRESSION));
        let make = first.entry(tag::MAKE).and_then(|make| tiff.value(make)).unwrap_or_default();
        let kind = MAKERS.iter().find(|(maker, _)| make.starts_with(maker.as_bytes()));
        is_raw.then(|| Raw::Tiff(kind.map_or("a raw file other than DNG", |(_, kind)| kind)))
    }

    /// Returns the name of the kind, with its article.
    pub fn name(self) -> &'static str {
        match self {
            Raw::Dng => "a DNG",
            Raw::Tiff(name) => name,
            Raw::Raf => "a Fujifilm raw file (RAF)",
            Raw::Cr3 => "a Canon raw file (CR3)",
            Raw::Rw2 => "a Panasonic raw file (RW2)",
            Raw::Orf => "an Olympus raw file (ORF)",
        }
    }

    /// Returns the largest JPEG preview of a file that is no TIFF.
    pub fn preview(self, bytes: &[u8]) -> Result<&[u8], PhotoError> {
        let found = match self {
            Raw::Raf => raf(bytes),
            Raw::Cr3 => cr3::previews(bytes),
            Raw::Rw2 => rw2(bytes),
            Raw::Orf => orf(bytes),
            Raw::Dng | Raw::Tiff(_) => Some(Vec::new()),
        };
        let found = found.ok_or(PhotoError::Truncated { format: self.short_name(), end: bytes.len() })?;
        largest(found.into_iter(), self, bytes.len())
    }

    /// Returns the name of the format.
    pub fn short_name(self) -> &'static str {
        match self {
            Raw::Dng => "DNG",
            Raw::Tiff(_) => "TIFF",
            Raw::Raf => "Fujifilm raw file (RAF)",
            Raw::Cr3 => "Canon raw file (CR3)",
            Raw::Rw2 => "Panasonic raw file (RW2)",
            Raw::Orf => "Olympus raw file (ORF)",
        }
    }

    /// Returns the EXIF block of a file that keeps it in several pieces.
    pub fn assembled_exif(self, bytes: &[u8]) -> Option<Vec<u8>> {
        if self == Raw::Cr3 { cr3::exif(bytes) } else { None }
    }

    /// Returns the metadata blocks of a file that is no TIFF.
    pub fn blocks(self, bytes: &[u8]) -> Blocks<'_> {
        match self {
            // Its blocks have to be put together first; see `assembled_exif`.
            Raw::Cr3 => Blocks::default(),
            // It has the structure of a TIFF, and so serves as its own EXIF block.
            Raw::Orf => Blocks { exif: Some(bytes), xmp: None },
            // The preview has the camera's complete metadata, which precede its picture; the file may end after them.
            Raw::Raf => {
                u32_at(bytes, RAF_PARTS[0]).and_then(|at| bytes.get(at..)).map(jpeg::blocks).unwrap_or_default()
            }
            _ => self.preview(bytes).map(jpeg::blocks).unwrap_or_default(),
        }
    }
}

/// Returns the JPEG with the most pixels among these pieces of a file of `length` bytes. Raw pictures may also be
/// JPEGs, but of a lossless kind. The pieces are walked through, so those that overlap beyond [`OVERLAP_MAX`] are left
/// out.
pub fn largest<'a>(pieces: impl Iterator<Item = &'a [u8]>, raw: Raw, length: usize) -> Result<&'a [u8], PhotoError> {
    let short_side_min = if raw == Raw::Dng { 0 } else { SHORT_SIDE_MIN };
    let pixels = |piece: &[u8]| {
        let header = jpeg::inspect(piece).ok().filter(|header| header.refusal().is_none())?;
        let is_large = header.width.min(header.height) >= short_side_min;
        is_large.then_some(u64::from(header.width) * u64::from(header.height))
    };
    let mut left = OVERLAP_MAX * length;
    let jpegs = pieces.filter(|piece| piece.starts_with(&[0xFF, 0xD8])).take(PREVIEWS_MAX).take_while(|piece| {
        let rest = left.checked_sub(piece.len());
        left = rest.unwrap_or(left);
        rest.is_some()
    });
    let sized = jpegs.filter_map(|piece| Some((pixels(piece)?, piece)));
    sized.max_by_key(|(pixels, _)| *pixels).map(|it| it.1).ok_or(PhotoError::NoPreview { what: raw.name() })
}

/// Offsets of the fields for the JPEG, the metadata of the sensor, and its samples, each an offset and a length.
const RAF_PARTS: [usize; 3] = [84, 92, 100];

/// Finds the JPEG of a Fujifilm file, which must have all its parts. `None` if it is truncated.
fn raf(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let part = |at: usize| range(bytes, u32_at(bytes, at)?, u32_at(bytes, at + 4)?);
    let [jpeg, _, _] = RAF_PARTS.map(part);
    RAF_PARTS.iter().all(|at| part(*at).is_some()).then_some(jpeg.into_iter().collect())
}

/// Tags of a Panasonic file: its JPEG, and the offset of the sensor's samples.
const JPG_FROM_RAW: u16 = 0x2E;
const RAW_DATA_OFFSET: u16 = 0x118;

/// Finds the JPEG of a Panasonic file. `None` if it is truncated.
fn rw2(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let tiff = Tiff::new(bytes);
    let (directory, _) = tiff.directory(tiff.u32(4)?).ok()?;
    let samples = tiff.number(&directory, RAW_DATA_OFFSET).unwrap_or(0);
    let is_whole = samples as usize <= bytes.len();
    is_whole.then(|| directory.entry(JPG_FROM_RAW).and_then(|entry| tiff.value(entry)).into_iter().collect())
}

/// Starts of the maker's note of Olympus and OM System, and the offset of the directory in it.
const OLYMPUS_NOTES: [(&[u8], u32); 2] = [(b"OLYMPUS\0", 12), (b"OM SYSTEM\0", 16)];
/// Tag of the camera's settings in that note.
const CAMERA_SETTINGS: u16 = 0x2020;
/// Tags of the preview's offset and length in the settings.
const PREVIEW_START: u16 = 0x101;
const PREVIEW_LENGTH: u16 = 0x102;

/// Finds the preview of an Olympus file, whose offsets count from the start of the maker's note. `None` if the file is
/// truncated.
fn orf(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let directories = Tiff::new(bytes).directories().ok()?;
    let note = directories.iter().find_map(|directory| directory.entry(tag::MAKER_NOTE));
    Some(note.and_then(|note| olympus_preview(bytes.get(note.at..)?)).into_iter().collect())
}

fn olympus_preview(note: &[u8]) -> Option<&[u8]> {
    let (_, start) = OLYMPUS_NOTES.iter().find(|(name, _)| note.starts_with(name))?;
    let big_endian = note.get(*start as usize - 4..)?.starts_with(b"MM");
    let tiff = Tiff { bytes: note, big_endian };
    let (directory, _) = tiff.directory(*start).ok()?;
    let (settings, _) = tiff.directory(tiff.number(&directory, CAMERA_SETTINGS)?).ok()?;
    let [at, length] = [PREVIEW_START, PREVIEW_LENGTH].map(|tag| tiff.number(&settings, tag));
    tiff.slice(at? as usize, length? as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiff::sample::{Field, LONG, SHORT, file};
    use crate::{Limits, decode, libjpeg, orientation, read_metadata};

    const BYTES: u16 = 7;

    fn jpeg(width: u32, height: u32) -> Vec<u8> {
        let rgb =
            (0..width * height).flat_map(|at| [(at % width / 4) as u8, (at / width / 4) as u8, 90]).collect::<Vec<_>>();
        libjpeg::encode(width, height, &rgb, 90)
    }

    fn large() -> Vec<u8> {
        jpeg(800, 600)
    }

    /// Checks that a file is the large preview, and that it is waited for while a part is missing.
    fn assert_is_preview(bytes: &[u8], kind: &str) {
        let decoded = |bytes: &[u8]| decode(bytes, &Limits::default());
        assert_eq!(decoded(bytes), decoded(&large()), "{kind}");
        for length in (64..bytes.len()).step_by(bytes.len() / 50).chain([bytes.len() - 1]) {
            let error = decoded(&bytes[..length]).expect_err("truncated");
            assert!(error.may_be_incomplete(), "{kind}, {length} bytes: {error}");
        }
    }

    fn assert_has_none(bytes: &[u8], kind: &str) {
        let message = decode(bytes, &Limits::default()).expect_err("refused").to_string();
        assert!(message.contains(kind) && message.ends_with("export it as a JPEG"), "{message}");
    }

    fn text(text: &str) -> Vec<u32> {
        text.bytes().map(u32::from).collect()
    }

    /// A TIFF by a maker, with a preview in the place of its pixels.
    fn of_maker(make: &str, preview: Vec<u8>) -> Vec<u8> {
        let fields =
            [(tag::NEW_SUBFILE_TYPE, LONG, vec![1]), (tag::COMPRESSION, SHORT, vec![6]), (tag::MAKE, 2, text(make))];
        file(false, &fields, &[preview], false)
    }

    #[test]
    fn previews_that_are_each_most_of_the_file_are_not_all_walked_through() {
        let (small, large) = (jpeg(500, 460), large());
        let found = |count: usize, length: usize| {
            let pieces = std::iter::repeat_n(&small[..], count).chain([&large[..]]);
            super::largest(pieces, Raw::Dng, length)
        };
        let whole = small.len() + large.len();
        assert_eq!(found(2, whole), Ok(&large[..]));
        assert_eq!(found(40, 10 * small.len()), Ok(&small[..]));
    }

    #[test]
    fn raw_files_in_tiff_are_named_by_their_maker() {
        for (make, kind) in [
            ("NIKON CORPORATION", "a Nikon raw file (NEF)"),
            ("SONY", "a Sony raw file (ARW)"),
            ("PENTAX", "a Pentax raw file (PEF)"),
            ("SAMSUNG", "a Samsung raw file (SRW)"),
            ("Nobody", "a raw file other than DNG"),
        ] {
            assert_is_preview(&of_maker(make, large()), kind);
            assert_has_none(&of_maker(make, jpeg(600, 447)), kind);
            assert_has_none(&of_maker(make, vec![0; 100]), kind);
        }
    }

    #[test]
    fn other_marks_of_raw_files_are_known() {
        let page = |fields: &[Field]| {
            let size = [(tag::IMAGE_WIDTH, LONG, vec![1]), (tag::IMAGE_LENGTH, LONG, vec![1])];
            file(false, &[&size, fields].concat(), &[vec![0; 3]], false)
        };
        assert_has_none(&page(&[(tag::PHOTOMETRIC_INTERPRETATION, SHORT, vec![32_803])]), "a raw file");
        assert_has_none(&page(&[(tag::COMPRESSION, SHORT, vec![34_713]), (tag::MAKE, 2, text("NIKON"))]), "(NEF)");
        // The first page of Phase One's files has one pixel, which is no photo.
        let (mut phase_one, canon) = (page(&[]), page(&[]));
        let start = u32::from_le_bytes(*phase_one[4..].first_chunk().expect("a header")) + 8;
        phase_one.splice(8..8, *b"IIIIwaR\0");
        phase_one[4..8].copy_from_slice(&start.to_le_bytes());
        // The offsets in the page still lead into the file.
        assert_has_none(&phase_one, "a Phase One raw file (IIQ)");
        let mut canon_raw = canon;
        canon_raw[8..10].copy_from_slice(b"CR");
        assert_has_none(&canon_raw, "a Canon raw file (CR2)");
    }

    #[test]
    fn a_fujifilm_file_is_its_jpeg() {
        let raf = |jpeg: &[u8]| {
            let mut bytes = [b"FUJIFILMCCD-RAW 0201".as_slice(), &[0; 128]].concat();
            for (at, (offset, length)) in
                RAF_PARTS.into_iter().zip([(148, jpeg.len()), (148 + jpeg.len(), 10), (158 + jpeg.len(), 50)])
            {
                bytes[at..at + 4].copy_from_slice(&(offset as u32).to_be_bytes());
                bytes[at + 4..at + 8].copy_from_slice(&(length as u32).to_be_bytes());
            }
            [&bytes, jpeg, &[7; 60]].concat()
        };
        let with_exif = [&[0xFF, 0xD8][..], &EXIF, &large()[2..]].concat();
        assert_is_preview(&raf(&large()), "RAF");
        assert_eq!(orientation(&raf(&with_exif)), crate::Orientation::from_exif(6));
        assert_eq!(orientation(&raf(&with_exif)[..300]), crate::Orientation::from_exif(6), "the head is enough");
        assert_has_none(&raf(&jpeg(320, 240)), "a Fujifilm raw file (RAF)");
        assert_has_none(&[b"FUJIFILMCCD-RAW 0201".as_slice(), &[0; 100]].concat(), "a Fujifilm raw file (RAF)");
    }

    /// A segment with an EXIF block of one field: orientation 6.
    const EXIF: [u8; 36] = *b"\xFF\xE1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";

    #[test]
    fn a_panasonic_file_is_its_jpeg() {
        let rw2 = |jpeg: &[u8]| {
            let jpeg: Vec<u32> = jpeg.iter().map(|byte| u32::from(*byte)).collect();
            let mut bytes =
                file(false, &[(JPG_FROM_RAW, BYTES, jpeg), (RAW_DATA_OFFSET, LONG, vec![8])], &[vec![1; 9]], false);
            bytes[..4].copy_from_slice(b"IIU\0");
            bytes
        };
        assert_is_preview(&rw2(&large()), "RW2");
        assert_has_none(&rw2(&jpeg(320, 240)), "a Panasonic raw file (RW2)");
    }

    #[test]
    fn an_olympus_file_is_the_preview_in_its_makers_note() {
        for (name, start) in [(&b"OLYMPUS\0II\x03\0"[..], 12_u32), (b"OM SYSTEM\0\0\0II\x04\0", 16)] {
            let directory = |fields: &[(u16, u32)]| {
                let entry = |&(tag, value): &(u16, u32)| {
                    [&tag.to_le_bytes()[..], &LONG.to_le_bytes(), &1_u32.to_le_bytes(), &value.to_le_bytes()].concat()
                };
                let entries: Vec<u8> = fields.iter().flat_map(entry).collect();
                [&(fields.len() as u16).to_le_bytes()[..], &entries, &[0; 4]].concat()
            };
            let orf = |jpeg: &[u8]| {
                // 18 bytes for a directory of one field, and 30 for one of two.
                let settings = directory(&[(PREVIEW_START, start + 48), (PREVIEW_LENGTH, jpeg.len() as u32)]);
                let note = [name, &directory(&[(CAMERA_SETTINGS, start + 18)]), &settings, jpeg].concat();
                let note: Vec<u32> = note.iter().map(|byte| u32::from(*byte)).collect();
                let fields = [(tag::MAKER_NOTE, BYTES, note), (0x112, SHORT, vec![6])];
                let mut bytes = file(false, &fields, &[vec![1; 9]], false);
                bytes[..4].copy_from_slice(b"IIRO");
                bytes
            };
            assert_is_preview(&orf(&large()), "ORF");
            assert_eq!(orientation(&orf(&large())), crate::Orientation::from_exif(6));
            assert_has_none(&orf(&jpeg(320, 240)), "an Olympus raw file (ORF)");
        }
    }

    fn atom(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
    }

    /// A Canon file with a preview, a JPEG as the sample of its first track, and EXIF in three blocks.
    fn canon(preview: &[u8], sample: &[u8], wide: bool) -> Vec<u8> {
        let block = |kind, fields: &[Field]| atom(kind, &file(false, fields, &[vec![0; 2]], false));
        let blocks = [
            atom(b"CMT1", &EXIF[10..]),
            block(b"CMT2", &[(0x9003, 2, text("2026:05:09 10:11:12\0"))]),
            block(
                b"CMT4",
                &[
                    (1, 2, text("N\0")),
                    (2, SHORT, vec![35, 30, 18]),
                    (3, 2, text("E\0")),
                    (4, SHORT, vec![139, 45, 36]),
                ],
            ),
        ];
        let start = atom(b"ftyp", b"crx \0\0\0\x01crx isom");
        let own =
            [&cr3::PREVIEW[..], &[0; 8], &atom(b"PRVW", &[&[0; cr3::PREVIEW_HEADER][..], preview].concat())].concat();
        let own = atom(b"uuid", &own);
        let sizes = atom(b"stsz", &[&[0; 4][..], &(sample.len() as u32).to_be_bytes(), &1_u32.to_be_bytes()].concat());
        let metadata = atom(b"uuid", &[&cr3::METADATA[..], &blocks.concat()].concat());
        let moov = |at: u32| {
            let offsets = match wide {
                true => atom(b"co64", &[&[0; 7][..], &[1], &u64::from(at).to_be_bytes()].concat()),
                false => atom(b"stco", &[&[0; 7][..], &[1], &at.to_be_bytes()].concat()),
            };
            let table = atom(b"stbl", &[&sizes[..], &offsets].concat());
            let track = atom(b"trak", &atom(b"mdia", &atom(b"minf", &table)));
            atom(b"moov", &[&metadata[..], &track].concat())
        };
        let at = start.len() + own.len() + moov(0).len() + 8;
        [start, moov(at as u32), own, atom(b"mdat", sample)].concat()
    }

    #[test]
    fn a_canon_file_is_its_largest_jpeg() {
        let (small, none) = (jpeg(640, 480), [0; 100]);
        for wide in [false, true] {
            assert_is_preview(&canon(&small, &large(), wide), "CR3");
            assert_is_preview(&canon(&large(), &small, wide), "CR3");
            assert_is_preview(&canon(&large(), &none, wide), "CR3");
            assert_has_none(&canon(&none, &jpeg(320, 240), wide), "a Canon raw file (CR3)");
        }
        assert_eq!(orientation(&canon(&small, &large(), true)), crate::Orientation::from_exif(6));
        let whole = canon(&small, &large(), true);
        let place = read_metadata(&whole).positions.exif.expect("a place");
        assert_eq!((place.latitude_deg, place.longitude_deg), (35.505, 139.76));
        let exif = cr3::exif(&whole).expect("EXIF");
        let in_jpeg =
            [&[0xFF, 0xD8, 0xFF, 0xE1][..], &(exif.len() as u16 + 8).to_be_bytes(), b"Exif\0\0", &exif].concat();
        assert_eq!(read_metadata(&whole), read_metadata(&in_jpeg));
        assert!(exif.windows(19).any(|text| text == b"2026:05:09 10:11:12"));
        assert_ne!(read_metadata(&whole).moments, crate::Metadata::default().moments, "the second block is found");
        assert_has_none(&[b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom".as_slice(), &[0; 64]].concat(), "(CR3)");
    }

    #[test]
    fn damage_never_panics() {
        let whole = canon(&[0; 30], &[0; 30], true);
        for at in 0..whole.len() {
            for value in [0, 1, 0xFF] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                assert!(decode(&damaged, &Limits::default()).is_err());
                read_metadata(&damaged);
            }
        }
    }
}
