//! Walks the directories of an EXIF block, which is structured like a TIFF file (CIPA DC-008, 4.6.2; TIFF 6.0, section
//! 2). It is tolerant of types: a number is read from every numeric type, and a text from every type of bytes.
//!
//! Nothing is copied or allocated by the lengths that the block states.

use std::ops::Range;

use crate::tiff::kind;

/// Directory of a block in which a tag belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directory {
    /// The first directory: the picture and the camera.
    Image,
    /// The exposure.
    Exif,
    /// The position.
    Gps,
}

/// Directory and number of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(pub Directory, pub u16);

/// Number of entries that are read of a directory. Cameras write fewer than 100.
const ENTRIES_MAX: usize = 1024;
/// Number of values that are read of a tag. No tag that is read here has more.
const NUMBERS_MAX: usize = 3;
/// Length in bytes at which texts are cut. Names and dates are shorter.
const TEXT_BYTES_MAX: usize = 128;
/// Number of bytes that are read of a tag's values. A TIFF file is its own EXIF block, so a value can be as long as the
/// file.
const VALUE_BYTES_MAX: usize = 4096;
/// Pointers to the other directories (CIPA DC-008, 4.6.3).
const POINTERS: [(u16, Directory); 2] = [(0x8769, Directory::Exif), (0x8825, Directory::Gps)];

/// EXIF block, or as much of it as is intelligible.
pub struct Block<'a> {
    bytes: &'a [u8],
    little_endian: bool,
    entries: Vec<Entry>,
}

struct Entry {
    tag: Tag,
    kind: u16,
    /// Place of the values in the block.
    values: Range<usize>,
}

impl<'a> Block<'a> {
    /// Reads the directories. `None` if the block has no TIFF header.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        // The name that a block has in JPEG is repeated in some WebP and PNG files.
        let bytes = bytes.strip_prefix(b"Exif\0\0").unwrap_or(bytes);
        // The number 42 that follows is damaged in some files that are read well otherwise.
        let little_endian = match bytes.get(..2)? {
            b"II" => true,
            b"MM" => false,
            _ => return None,
        };
        let mut block = Block { bytes, little_endian, entries: Vec::new() };
        block.read(Directory::Image, block.long(4)? as usize);
        for (number, directory) in POINTERS {
            if let Some(start) = block.pointer(number) {
                block.read(directory, start);
            }
        }
        Some(block)
    }

    /// Reads a directory, without the entries that are cut off or of an unknown type.
    fn read(&mut self, directory: Directory, start: usize) {
        let Some(count) = self.short(start) else { return };
        for index in 0..usize::from(count).min(ENTRIES_MAX) {
            let entry = self.entry(directory, start.saturating_add(2 + 12 * index));
            self.entries.extend(entry);
        }
    }

    fn entry(&self, directory: Directory, at: usize) -> Option<Entry> {
        let (number, kind, count) = (self.short(at)?, self.short(at + 2)?, self.long(at + 4)? as usize);
        let bytes = kind::size(kind)?.checked_mul(count)?;
        // Values of up to four bytes are in the entry itself.
        let start = if bytes <= 4 { at + 8 } else { self.long(at + 8)? as usize };
        let values = start..start.checked_add(bytes)?;
        self.bytes.get(values.clone())?;
        Some(Entry { tag: Tag(directory, number), kind, values })
    }

    /// Returns where a directory starts. Some cameras write pointers with other types than LONG.
    fn pointer(&self, number: u16) -> Option<usize> {
        let entry = self.entries.iter().find(|entry| entry.tag.1 == number)?;
        let start = self.all_numbers(entry)?.next()?;
        (start.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&start)).then_some(start as usize)
    }

    fn short(&self, at: usize) -> Option<u16> {
        self.bytes.get(at..)?.first_chunk().map(|bytes| self.ordered(*bytes)).map(u16::from_le_bytes)
    }

    fn long(&self, at: usize) -> Option<u32> {
        self.bytes.get(at..)?.first_chunk().map(|bytes| self.ordered(*bytes)).map(u32::from_le_bytes)
    }

    /// Returns the bytes of a number, the least significant one first.
    fn ordered<const N: usize>(&self, mut bytes: [u8; N]) -> [u8; N] {
        if !self.little_endian {
            bytes.reverse();
        }
        bytes
    }

    /// Returns the entry of a tag. TIFF files and some cameras keep tags of the exposure in the first directory, or the
    /// reverse.
    fn find(&self, tag: Tag) -> Option<&Entry> {
        let other = match tag.0 {
            Directory::Image => Directory::Exif,
            Directory::Exif => Directory::Image,
            Directory::Gps => Directory::Gps,
        };
        let mut places = [tag, Tag(other, tag.1)].into_iter();
        places.find_map(|place| self.entries.iter().find(|entry| entry.tag == place))
    }

    /// Returns the first bytes of a tag's values.
    pub fn bytes(&self, tag: Tag) -> Option<&'a [u8]> {
        let bytes = self.bytes.get(self.find(tag)?.values.clone())?;
        Some(&bytes[..bytes.len().min(VALUE_BYTES_MAX)])
    }

    /// Returns the text of a tag up to its first NUL, without control characters and the spaces around it. `None` if
    /// nothing remains.
    pub fn text(&self, tag: Tag) -> Option<String> {
        let bytes = self.text_bytes(tag)?;
        let start = bytes.iter().position(|byte| !matches!(byte, 0 | b' '))?;
        let text = bytes[start..].split(|byte| *byte == 0).next()?;
        Some(clean(text)).filter(|text| !text.is_empty())
    }

    /// Returns the text of a tag with NUL read as a space. Some cameras separate numbers by NUL.
    pub fn numerals(&self, tag: Tag) -> Option<String> {
        let bytes = self.text_bytes(tag)?;
        let bytes: Vec<u8> =
            bytes.iter().take(TEXT_BYTES_MAX).map(|byte| if *byte == 0 { b' ' } else { *byte }).collect();
        Some(clean(&bytes)).filter(|text| !text.is_empty())
    }

    fn text_bytes(&self, tag: Tag) -> Option<&'a [u8]> {
        let is_text = matches!(self.find(tag)?.kind, kind::BYTE | kind::ASCII | kind::UNDEFINED | kind::UTF8);
        self.bytes(tag).filter(|_| is_text)
    }

    /// Returns up to three values of a tag, of whatever type; NaN for a fraction of zero over zero. A text gives the
    /// numbers in it if it has nothing else.
    pub fn numbers(&self, tag: Tag) -> Option<Vec<f64>> {
        let entry = self.find(tag)?;
        if is_text(entry.kind, self.bytes(tag)?) {
            return parse_numbers(&self.numerals(tag)?);
        }
        Some(self.all_numbers(entry)?.take(NUMBERS_MAX).collect()).filter(|numbers: &Vec<f64>| !numbers.is_empty())
    }

    /// Returns the first value of a tag if it is finite.
    pub fn number(&self, tag: Tag) -> Option<f64> {
        self.numbers(tag)?.first().copied().filter(|value| value.is_finite())
    }

    /// Returns the first value of a tag if it is positive. Zero means unknown in tags where it makes no sense.
    pub fn positive(&self, tag: Tag) -> Option<f64> {
        self.number(tag).filter(|value| *value > 0.0)
    }

    /// Returns the first value of a tag if it is a whole number that is not negative.
    pub fn whole(&self, tag: Tag) -> Option<u32> {
        let value = self.number(tag)?;
        (value.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&value)).then_some(value as u32)
    }

    fn all_numbers(&self, entry: &Entry) -> Option<impl Iterator<Item = f64>> {
        let values = self.bytes.get(entry.values.clone())?.chunks_exact(kind::size(entry.kind)?);
        let kind = entry.kind;
        Some(values.filter_map(move |value| self.value(kind, value)))
    }

    fn value(&self, kind: u16, bytes: &[u8]) -> Option<f64> {
        let long = |at: usize| bytes.get(at..)?.first_chunk().map(|bytes| self.ordered(*bytes));
        let unsigned = |at| long(at).map(u32::from_le_bytes).map(f64::from);
        let signed = |at| long(at).map(i32::from_le_bytes).map(f64::from);
        let short = || bytes.first_chunk().map(|bytes| self.ordered(*bytes));
        match kind {
            kind::BYTE | kind::UNDEFINED => bytes.first().copied().map(f64::from),
            kind::SBYTE => bytes.first().map(|byte| f64::from(byte.cast_signed())),
            kind::SHORT => short().map(u16::from_le_bytes).map(f64::from),
            kind::SSHORT => short().map(i16::from_le_bytes).map(f64::from),
            kind::LONG | kind::IFD => unsigned(0),
            kind::SLONG => signed(0),
            kind::RATIONAL => Some(unsigned(0)? / unsigned(4)?),
            kind::SRATIONAL => Some(signed(0)? / signed(4)?),
            kind::FLOAT => long(0).map(f32::from_le_bytes).map(f64::from),
            kind::DOUBLE => bytes.first_chunk().map(|bytes| f64::from_le_bytes(self.ordered(*bytes))),
            _ => None,
        }
    }
}

/// Reports whether values are the letters of a text. Bytes of no declared meaning are letters unless they are control
/// characters.
fn is_text(kind: u16, bytes: &[u8]) -> bool {
    match kind {
        kind::ASCII | kind::UTF8 => true,
        kind::UNDEFINED => {
            bytes.iter().all(|byte| *byte == 0 || byte.is_ascii_graphic() || *byte == b' ') && bytes != [0]
        }
        _ => false,
    }
}

/// Cuts a text at the last character that ends within the limit.
fn clean(bytes: &[u8]) -> String {
    // Four bytes more than the limit, so that a character that the cut divides lies beyond the limit.
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(TEXT_BYTES_MAX + 4)]);
    let text = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
    text.trim_matches(['\0', ' ']).chars().filter(|letter| !letter.is_control()).collect()
}

/// Parses up to three numbers, which may be fractions such as `1800/100`, and are separated by spaces, colons or a
/// comma with a space.
fn parse_numbers(text: &str) -> Option<Vec<f64>> {
    if let Some(numbers) = parse_decimal_commas(text) {
        return Some(numbers);
    }
    let words = text.split([' ', ':']).map(|word| word.trim_end_matches(',')).filter(|word| !word.is_empty());
    let numbers: Vec<f64> = words.take(NUMBERS_MAX + 1).map(parse_number).collect::<Option<_>>()?;
    (1..=NUMBERS_MAX).contains(&numbers.len()).then_some(numbers)
}

/// Parses three numbers with decimal commas that commas separate too, such as `52,00000,50,00000,34,01180`. Phones
/// that format numbers by their language write them.
fn parse_decimal_commas(text: &str) -> Option<Vec<f64>> {
    let parts: Vec<&str> = text.trim().split(',').take(2 * NUMBERS_MAX + 1).collect();
    let is_form = parts.len() == 2 * NUMBERS_MAX
        && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_digit()));
    is_form.then(|| parts.chunks_exact(2).map(|pair| pair.join(".").parse().ok()).collect::<Option<_>>())?
}

fn parse_number(word: &str) -> Option<f64> {
    let decimal = |word: &str| {
        let has_only_digits = word.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+'));
        has_only_digits.then(|| word.parse::<f64>().ok())?
    };
    match word.split_once('/') {
        Some((numerator, denominator)) => Some(decimal(numerator)? / decimal(denominator)?),
        None => decimal(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAKE: Tag = Tag(Directory::Image, 0x010F);

    /// Block whose first directory has one entry, with the values behind the directory.
    fn one(kind: u16, count: u32, values: &[u8], little_endian: bool) -> Vec<u8> {
        let order = |bytes: &[u8]| -> Vec<u8> {
            if little_endian { bytes.to_vec() } else { bytes.iter().rev().copied().collect() }
        };
        let mut block = if little_endian { b"II*\0".to_vec() } else { b"MM\0*".to_vec() };
        block.extend(order(&8_u32.to_le_bytes()));
        for short in [1, MAKE.1, kind] {
            block.extend(order(&short.to_le_bytes()));
        }
        block.extend(order(&count.to_le_bytes()));
        if values.len() <= 4 {
            block.extend(values);
            block.resize(26, 0);
        } else {
            block.extend(order(&26_u32.to_le_bytes()));
            block.extend([0; 4]); // no next directory
            block.extend(values);
        }
        block
    }

    fn numbers(kind: u16, count: u32, values: &[u8], little_endian: bool) -> Option<Vec<f64>> {
        Block::parse(&one(kind, count, values, little_endian)).expect("a header").numbers(MAKE)
    }

    fn text(kind: u16, value: &[u8]) -> Option<String> {
        Block::parse(&one(kind, value.len() as u32, value, true)).expect("a header").text(MAKE)
    }

    #[test]
    fn numbers_of_every_type() {
        let cases: [(u16, u32, &[u8], &[f64]); 13] = [
            (kind::BYTE, 2, &[1, 255], &[1.0, 255.0]),
            (kind::SBYTE, 1, &[255], &[-1.0]),
            (kind::UNDEFINED, 1, &[2], &[2.0]),
            (kind::UNDEFINED, 1, &[0], &[0.0]),
            (kind::UNDEFINED, 1, b"2", &[2.0]),
            (kind::SHORT, 2, &[1, 2, 3, 4], &[513.0, 1027.0]),
            (kind::SSHORT, 1, &[0xFE, 0xFF], &[-2.0]),
            (kind::LONG, 1, &[1, 0, 0, 1], &[16_777_217.0]),
            (kind::IFD, 1, &[8, 0, 0, 0], &[8.0]),
            (kind::SLONG, 1, &[0xFF, 0xFF, 0xFF, 0xFF], &[-1.0]),
            (kind::RATIONAL, 1, &[7, 0, 0, 0, 2, 0, 0, 0], &[3.5]),
            (kind::SRATIONAL, 1, &[0xF9, 0xFF, 0xFF, 0xFF, 2, 0, 0, 0], &[-3.5]),
            (kind::ASCII, 5, b"35.5\0", &[35.5]),
        ];
        for (kind, count, values, expected) in cases {
            assert_eq!(numbers(kind, count, values, true).as_deref(), Some(expected), "type {kind}");
        }
        assert_eq!(numbers(kind::FLOAT, 1, &1.5_f32.to_le_bytes(), true), Some(vec![1.5]));
        assert_eq!(numbers(kind::DOUBLE, 1, &(-1.5_f64).to_be_bytes(), false), Some(vec![-1.5]));
        assert_eq!(numbers(kind::SHORT, 1, &[1, 2], false), Some(vec![258.0]));
        assert_eq!(numbers(kind::RATIONAL, 1, &[0, 0, 0, 7, 0, 0, 0, 2], false), Some(vec![3.5]));
        assert_eq!(numbers(kind::BYTE, 4, &[1, 2, 3, 4], true).map(|numbers| numbers.len()), Some(NUMBERS_MAX));
        assert_eq!(numbers(kind::SHORT, 0, &[], true), None);
        assert_eq!(numbers(99, 1, &[1], true), None, "an unknown type");
        assert!(numbers(kind::RATIONAL, 1, &[0; 8], true).expect("a value")[0].is_nan());
    }

    #[test]
    fn numbers_in_words() {
        let cases: [(&str, &[f64]); 6] = [
            ("52,00000,50,00000,34,01180", &[52.0, 50.0, 34.0118]),
            ("35 30 18.0", &[35.0, 30.0, 18.0]),
            ("35/1, 30/1, 1800/100", &[35.0, 30.0, 18.0]),
            ("10:11:12.5", &[10.0, 11.0, 12.5]),
            ("-35.505", &[-35.505]),
            ("+12", &[12.0]),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_numbers(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            "35,505",
            "52,0,50,0",
            "52,,50,0,34,0",
            "52,0,50,0,34,0,1",
            "35 N",
            "inf",
            "NaN",
            "1e5",
            "1 2 3 4",
            "/",
            "1/",
            "--1",
            "35°",
        ] {
            assert_eq!(parse_numbers(text), None, "{text}");
        }
    }

    #[test]
    fn texts_of_every_type_of_bytes_are_cut_between_characters() {
        for kind in [kind::BYTE, kind::ASCII, kind::UNDEFINED, kind::UTF8] {
            assert_eq!(text(kind, b" DJI \0rest").as_deref(), Some("DJI"), "type {kind}");
        }
        assert_eq!(text(kind::SHORT, b"DJI "), None);
        assert_eq!(text(kind::ASCII, b"\0\0   \0"), None);
        assert_eq!(text(kind::ASCII, b"\0DJI").as_deref(), Some("DJI"));
        assert_eq!(text(kind::ASCII, "ニコン".as_bytes()).as_deref(), Some("ニコン"));
        for padding in 0..4 {
            let long = "x".repeat(padding) + &"橋".repeat(100);
            let cut = text(kind::UTF8, long.as_bytes()).expect("a text");
            assert!(long.starts_with(&cut), "{cut}");
            assert_eq!(cut.len(), padding + (TEXT_BYTES_MAX - padding) / 3 * 3);
        }
        assert_eq!(text(kind::ASCII, &[b'x'; 5000]).map(|text| text.len()), Some(TEXT_BYTES_MAX));
    }

    #[test]
    fn no_more_of_a_value_is_read_than_a_tag_needs() {
        let long = [&[b' '; VALUE_BYTES_MAX][..], b"DJI"].concat();
        assert_eq!((text(kind::ASCII, &long), text(kind::ASCII, &long[1..])), (None, Some("D".to_owned())));
        let block = one(kind::UNDEFINED, long.len() as u32, &long, true);
        assert_eq!(Block::parse(&block).expect("a header").bytes(MAKE).map(<[u8]>::len), Some(VALUE_BYTES_MAX));
    }

    #[test]
    fn lengths_and_starts_beyond_the_block_end_well() {
        let mut huge = one(kind::ASCII, 1 << 30, b"12345", true);
        assert_eq!(Block::parse(&huge).expect("a header").text(MAKE), None);
        huge[14..18].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Block::parse(&huge).expect("a header").bytes(MAKE), None);
        huge[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Block::parse(&huge).expect("a header").bytes(MAKE), None);
        for bytes in [&b""[..], b"II*", b"XX*\0\x08\0\0\0", b"II*\0\x08\0\0\0", b"II*\0\x08\0\0"] {
            assert!(Block::parse(bytes).is_none_or(|block| block.entries.is_empty()));
        }
        let mut damaged = one(kind::ASCII, 5, b"Nikon", true);
        damaged[2] = 0;
        assert_eq!(Block::parse(&damaged).expect("a header").text(MAKE).as_deref(), Some("Nikon"));
    }
}
