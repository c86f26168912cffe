//! Writes an archive whose bytes depend on nothing but its entries: no clock, no owner, one order.

use std::io::Write;

use miniz_oxide::deflate::compress_to_vec;

use super::{CENTRAL, DEFLATED, END, LOCAL, STORED, UTF8};
use crate::error::WorkbookError;

/// Level of compression, as in zlib.
const LEVEL: u8 = 6;
/// Version of the format that deflate needs, times ten.
const VERSION: u16 = 20;
/// 1 January 1980, the first day that a zip archive can name.
const FIRST_DAY: u16 = 0x21;

/// An archive that is written entry by entry.
pub struct ArchiveWriter<W> {
    out: W,
    written: u64,
    directory: Vec<u8>,
    count: u16,
}

/// What the headers say about an entry.
struct Header<'a> {
    name: &'a str,
    method: u16,
    crc: u32,
    size: u64,
}

impl<W: Write> ArchiveWriter<W> {
    /// Begins an archive.
    pub fn new(out: W) -> Self {
        ArchiveWriter { out, written: 0, directory: Vec::new(), count: 0 }
    }

    /// Adds a content and compresses it.
    pub fn deflate(&mut self, name: &str, content: &[u8]) -> Result<(), WorkbookError> {
        let (crc, size) = (crc32fast::hash(content), content.len() as u64);
        self.add(&Header { name, method: DEFLATED, crc, size }, &compress_to_vec(content, LEVEL))
    }

    /// Adds a content as it is.
    pub fn store(&mut self, name: &str, content: &[u8]) -> Result<(), WorkbookError> {
        let (crc, size) = (crc32fast::hash(content), content.len() as u64);
        self.add(&Header { name, method: STORED, crc, size }, content)
    }

    /// Adds an entry of another archive without inflating it.
    pub(crate) fn copy(&mut self, entry: &super::read::Entry, raw: &[u8]) -> Result<(), WorkbookError> {
        let method = if entry.deflated { DEFLATED } else { STORED };
        self.add(&Header { name: &entry.name, method, crc: entry.crc, size: entry.size }, raw)
    }

    /// Ends the archive and returns what it was written to.
    pub fn finish(mut self) -> Result<W, WorkbookError> {
        let size = narrow(self.directory.len() as u64)?;
        let mut end = END.to_le_bytes().to_vec();
        put16(&mut end, &[0, 0, self.count, self.count]);
        put32(&mut end, &[size, narrow(self.written)?]);
        put16(&mut end, &[0]);
        self.out.write_all(&self.directory)?;
        self.out.write_all(&end)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn add(&mut self, header: &Header<'_>, data: &[u8]) -> Result<(), WorkbookError> {
        let fields = fields(header, data.len() as u64)?;
        let mut local = LOCAL.to_le_bytes().to_vec();
        local.extend(&fields);
        put16(&mut local, &[0]);
        local.extend(header.name.as_bytes());
        let offset = narrow(self.written)?;
        self.directory.extend(CENTRAL.to_le_bytes());
        put16(&mut self.directory, &[VERSION]);
        self.directory.extend(&fields);
        put16(&mut self.directory, &[0, 0, 0, 0]);
        put32(&mut self.directory, &[0, offset]);
        self.directory.extend(header.name.as_bytes());
        self.count = self.count.checked_add(1).ok_or_else(|| full("65,535 entries"))?;
        self.out.write_all(&local)?;
        self.out.write_all(data)?;
        self.written += (local.len() + data.len()) as u64;
        Ok(())
    }
}

/// Returns the fields that both headers of an entry share, from the version to the length of the name.
fn fields(header: &Header<'_>, stored: u64) -> Result<Vec<u8>, WorkbookError> {
    let mut fields = Vec::new();
    let flags = if header.name.is_ascii() { 0 } else { UTF8 };
    put16(&mut fields, &[VERSION, flags, header.method, 0, FIRST_DAY]);
    put32(&mut fields, &[header.crc, narrow(stored)?, narrow(header.size)?]);
    let length = u16::try_from(header.name.len()).map_err(|_| full("a name of 65,535 bytes"))?;
    put16(&mut fields, &[length]);
    Ok(fields)
}

fn put16(to: &mut Vec<u8>, numbers: &[u16]) {
    to.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

fn put32(to: &mut Vec<u8>, numbers: &[u32]) {
    to.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

/// Returns a size or an offset in 32 bits.
fn narrow(number: u64) -> Result<u32, WorkbookError> {
    u32::try_from(number).map_err(|_| full("4 GB"))
}

fn full(what: &str) -> WorkbookError {
    WorkbookError::Archive(format!("the archive would exceed {what}; choose fewer photos or smaller ones"))
}
