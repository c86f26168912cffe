//! Reads the rows of a database page without trusting anything that the page says.

use rusqlite::types::Value;

use super::pages::{Pages, big_endian};
use crate::schema::PAGE_BYTES;

/// First byte of a page that holds rows of a table.
const TABLE_LEAF: u8 = 13;
/// Length in bytes of the file's header, which precedes the header of the first page.
const FILE_HEAD_BYTES: usize = 100;
/// Length in bytes of a leaf page's header.
const PAGE_HEAD_BYTES: usize = 8;
/// Maximum length in bytes of a row that is read.
const ROW_BYTES_MAX: usize = 8 << 20;

/// Returns the rows of a page that can be read: each row's id, and its values in the order of the columns.
pub fn of_page(pages: &Pages, number: u32) -> Vec<(i64, Vec<Value>)> {
    let Some(page) = pages.read(number) else { return Vec::new() };
    let head = if number == 1 { FILE_HEAD_BYTES } else { 0 };
    if page[head] != TABLE_LEAF {
        return Vec::new();
    }
    let pointers = page[head + PAGE_HEAD_BYTES..].chunks_exact(2).take(two_bytes(&page, head + 3));
    pointers.filter_map(|pointer| cell(pages, page.get(two_bytes(pointer, 0)..)?)).collect()
}

fn two_bytes(bytes: &[u8], offset: usize) -> usize {
    usize::from(u16::from_be_bytes([bytes[offset], bytes[offset + 1]]))
}

/// Reads a cell: the length of the record, the row's id, the first part of the record, and the number of the page where
/// the rest begins.
fn cell(pages: &Pages, bytes: &[u8]) -> Option<(i64, Vec<Value>)> {
    let (length, bytes) = varint(bytes)?;
    let (rowid, bytes) = varint(bytes)?;
    let length = usize::try_from(length).ok().filter(|length| *length <= ROW_BYTES_MAX)?;
    let local = local_bytes(length);
    let mut record = bytes.get(..local)?.to_vec();
    if local < length {
        read_overflow(pages, big_endian(bytes.get(local..local + 4)?, 0), length, &mut record)?;
    }
    Some((rowid, values(&record)?))
}

/// Returns how many bytes of a record of `length` bytes are on the row's own page rather than on overflow pages. The
/// formula is that of SQLite's file format.
fn local_bytes(length: usize) -> usize {
    let (most, least) = (PAGE_BYTES - 35, (PAGE_BYTES - 12) * 32 / 255 - 23);
    if length <= most {
        return length;
    }
    let fitting = least + (length - least) % (PAGE_BYTES - 4);
    if fitting <= most { fitting } else { least }
}

/// Appends the rest of a record from its chain of overflow pages. Each page holds the number of the next one and as
/// much of the record as fits. A chain that runs in a circle ends when the record is complete.
fn read_overflow(pages: &Pages, first: u32, length: usize, record: &mut Vec<u8>) -> Option<()> {
    let mut next = first;
    while record.len() < length {
        let page = pages.read(next)?;
        let part = (length - record.len()).min(PAGE_BYTES - 4);
        record.extend_from_slice(&page[4..4 + part]);
        next = big_endian(&page, 0);
    }
    Some(())
}

/// Reads a record: the length of its header, a type for each value, then the values.
fn values(record: &[u8]) -> Option<Vec<Value>> {
    let (head_length, after_length) = varint(record)?;
    let head_length = usize::try_from(head_length).ok()?;
    let mut head = after_length.get(..head_length.checked_sub(record.len() - after_length.len())?)?;
    let mut body = record.get(head_length..)?;
    let mut values = Vec::new();
    while !head.is_empty() {
        let (kind, rest) = varint(head)?;
        let (value, left) = value(kind, body)?;
        values.push(value);
        (head, body) = (rest, left);
    }
    Some(values)
}

fn value(kind: i64, body: &[u8]) -> Option<(Value, &[u8])> {
    let bytes = match kind {
        0 | 8 | 9 => 0,
        1..=4 => kind as usize,
        5 => 6,
        6 | 7 => 8,
        12.. => usize::try_from((kind - 12) / 2).ok()?,
        _ => return None,
    };
    let (bytes, rest) = body.split_at_checked(bytes)?;
    let value = match kind {
        0 => Value::Null,
        1..=6 => Value::Integer(integer(bytes)),
        7 => Value::Real(f64::from_bits(integer(bytes) as u64)),
        8 | 9 => Value::Integer(kind - 8),
        _ if kind % 2 == 0 => Value::Blob(bytes.to_vec()),
        _ => Value::Text(String::from_utf8(bytes.to_vec()).ok()?),
    };
    Some((value, rest))
}

/// Reads a signed big-endian integer of up to eight bytes.
fn integer(bytes: &[u8]) -> i64 {
    let sign = if bytes.first().is_some_and(|first| first & 0x80 != 0) { -1 } else { 0 };
    bytes.iter().fold(sign, |value, &byte| value << 8 | i64::from(byte))
}

/// Reads a varint, and returns it with the bytes after it. Each byte adds seven bits, and its highest bit is set if
/// another byte follows. A ninth byte is the last and adds all eight bits.
fn varint(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let mut value = 0_u64;
    for (index, &byte) in bytes.iter().take(9).enumerate() {
        if index == 8 {
            return Some(((value << 8 | u64::from(byte)) as i64, &bytes[9..]));
        }
        value = value << 7 | u64::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            return Some((value as i64, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_read_to_their_end() {
        let cases: [(&[u8], Option<i64>); 6] = [
            (&[0], Some(0)),
            (&[0x7F], Some(127)),
            (&[0x81, 0], Some(128)),
            (&[0xFF; 9], Some(-1)),
            (&[0x81], None),
            (&[], None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(varint(bytes).map(|(value, _)| value), expected, "{bytes:?}");
        }
    }

    #[test]
    fn integers_keep_their_sign() {
        assert_eq!([&[0x7F][..], &[0xFF], &[0xFF, 0x7F], &[0x01, 0x00]].map(integer), [127, -1, -129, 256]);
        assert_eq!(integer(&i64::MIN.to_be_bytes()), i64::MIN);
    }

    #[test]
    fn broken_records_are_left_out() {
        assert_eq!(values(&[3, 1, 15, 7, b'a']), Some(vec![Value::Integer(7), Value::Text("a".into())]));
        for broken in [&[][..], &[9, 1], &[3, 1, 15, 7], &[2, 10], &[3, 1, 15, 7, 0xFF], &[0], &[0xFF; 9]] {
            assert_eq!(values(broken), None, "{broken:?}");
        }
    }
}
