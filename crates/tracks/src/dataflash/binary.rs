//! Binary messages: A3 95, the number of the kind, and the fields, little-endian and without gaps.

use std::io::Read;

use super::messages::{Ardupilot, Topic};
use crate::error::TrackError;
use crate::gather::Gather;
use crate::layout::{Column, Kind, Row};
use crate::pictures::Picture;
use crate::report::{Note, Skip};
use crate::sample::Sample;
use crate::window::Window;

const HEAD: [u8; 2] = [0xA3, 0x95];
/// Bytes before the fields: the head and the number of the kind.
const BEFORE: usize = 3;
/// Number of FMT, which defines the other kinds.
const FMT: u8 = 128;
/// Length of FMT: number and length of a kind, its name (4), its letters (16) and the names of its fields (64).
const FMT_LENGTH: usize = BEFORE + 2 + 4 + 16 + 64;

/// Reports whether a file that begins with `head` is a binary log.
pub fn is_binary(head: &[u8]) -> bool {
    head.starts_with(&HEAD) && head.get(BEFORE - 1) == Some(&FMT)
}

/// A kind of message.
struct Format {
    /// Bytes of a message with its head.
    length: usize,
    /// Meaning and columns, if the kind is of use.
    known: Option<(Topic, Vec<Column>)>,
}

impl Format {
    /// Reads the fields of an FMT message. `None` for a definition that cannot be.
    fn read(fields: &[u8]) -> Option<(u8, Self)> {
        let ([number, length], rest) = fields.split_first_chunk()?;
        let (name, rest) = rest.split_at_checked(4)?;
        let (letters, names) = rest.split_at_checked(16)?;
        let length = usize::from(*length);
        let known = Topic::named(text(name)).and_then(|topic| {
            let columns = columns(text(letters), text(names), length)?;
            Some((topic, columns))
        });
        (length >= BEFORE).then_some((*number, Format { length, known }))
    }
}

/// Returns a text up to its first zero byte.
fn text(bytes: &[u8]) -> &str {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    std::str::from_utf8(&bytes[..end]).unwrap_or_default()
}

/// Returns the columns that are numbers. `None` if letters and length of a message contradict each other.
fn columns(letters: &str, names: &str, length: usize) -> Option<Vec<Column>> {
    let mut offset = 0;
    let mut columns = Vec::new();
    for (letter, name) in letters.chars().zip(names.split(',')) {
        let (width, kind) = field(letter)?;
        if let Some((kind, divisor)) = kind {
            columns.push(Column { name: name.to_owned(), offset, kind, divisor });
        }
        offset += width;
    }
    (BEFORE + offset == length).then_some(columns)
}

/// Returns the width in bytes of a field by its letter and, for numbers, their type and the divisor of their unit: `c`,
/// `C`, `e` and `E` are hundredths, `L` is 10^-7 degrees.
fn field(letter: char) -> Option<(usize, Option<(Kind, f64)>)> {
    let number = |width, kind, divisor| Some((width, Some((kind, divisor))));
    match letter {
        'b' => number(1, Kind::I8, 1.0),
        'B' | 'M' => number(1, Kind::U8, 1.0),
        'h' => number(2, Kind::I16, 1.0),
        'H' => number(2, Kind::U16, 1.0),
        'i' => number(4, Kind::I32, 1.0),
        'I' => number(4, Kind::U32, 1.0),
        'q' => number(8, Kind::I64, 1.0),
        'Q' => number(8, Kind::U64, 1.0),
        'f' => number(4, Kind::F32, 1.0),
        'd' => number(8, Kind::F64, 1.0),
        'c' => number(2, Kind::I16, 100.0),
        'C' => number(2, Kind::U16, 100.0),
        'e' => number(4, Kind::I32, 100.0),
        'E' => number(4, Kind::U32, 100.0),
        'L' => number(4, Kind::I32, 1e7),
        // A half-precision number, three texts, and 32 16-bit numbers.
        'g' => Some((2, None)),
        'n' => Some((4, None)),
        'N' => Some((16, None)),
        'Z' | 'a' => Some((64, None)),
        _ => None,
    }
}

/// Reads a log.
pub fn read(window: &mut Window<impl Read>, gather: &mut Gather) -> Result<(Vec<Sample>, Vec<Picture>), TrackError> {
    let mut formats: Vec<Option<Format>> = (0..=u8::MAX).map(|_| None).collect();
    formats[usize::from(FMT)] = Some(Format { length: FMT_LENGTH, known: None });
    let mut log = Ardupilot::new(gather);
    let mut is_lost = false;
    loop {
        let bytes = window.peek(usize::from(u8::MAX))?;
        if bytes.is_empty() {
            break;
        }
        let Some(length) = length(bytes, &formats) else {
            // Space that was never written is zero or FF up to the end of a block.
            gather.skip_several(Skip::Unreadable, u64::from(!is_lost && !matches!(bytes[0], 0 | 0xFF)));
            is_lost = true;
            window.consume(1);
            continue;
        };
        is_lost = false;
        let Some(message) = bytes.get(..length) else {
            gather.note(Note::EndsEarly);
            break;
        };
        hear(message, &mut formats, &mut log, gather)?;
        window.consume(length);
    }
    log.finish(gather)
}

/// Returns the length of the message that begins here; `None` if none does.
fn length(bytes: &[u8], formats: &[Option<Format>]) -> Option<usize> {
    let number = bytes.strip_prefix(&HEAD)?.first()?;
    formats[usize::from(*number)].as_ref().map(|format| format.length)
}

fn hear(
    message: &[u8],
    formats: &mut [Option<Format>],
    log: &mut Ardupilot,
    gather: &mut Gather,
) -> Result<(), TrackError> {
    let (number, fields) = (message[BEFORE - 1], &message[BEFORE..]);
    if number == FMT {
        if let Some((number, format)) = Format::read(fields).filter(|(number, _)| *number != FMT) {
            formats[usize::from(number)] = Some(format);
        }
        return Ok(());
    }
    match &formats[usize::from(number)] {
        Some(Format { known: Some((topic, columns)), .. }) => log.hear(*topic, &Row::Bytes { columns, fields }, gather),
        _ => Ok(()),
    }
}
