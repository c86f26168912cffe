//! Parameters of a baseline JPEG's only scan, read from its segments (ITU-T T.81, annex B.2).

use std::rc::Rc;

use super::huffman::{AcCodes, Codes};
use crate::jpeg::{START_OF_SCAN, segments};

/// Frame markers of sequential JPEGs with Huffman codes (SOF0, SOF1).
const FRAMES: [u8; 2] = [0xC0, 0xC1];
const HUFFMAN_TABLES: u8 = 0xC4;
const QUANTIZATION_TABLES: u8 = 0xDB;
const RESTART_INTERVAL: u8 = 0xDD;
const APP14: u8 = 0xEE;
/// Maximum number of blocks in a unit (B.2.3).
const UNIT_BLOCKS_MAX: usize = 10;

/// A scan with the three components of a colour photo.
pub struct Scan<'a> {
    /// Y, Cb and Cr.
    pub components: [Component; 3],
    /// Units between two restarts; 0 if there are none.
    pub restart_interval: u32,
    /// Bytes from the start of the entropy-coded data to the end of the file.
    pub data: &'a [u8],
}

/// One of the components Y, Cb and Cr.
pub struct Component {
    /// Blocks in a unit (MCU), across and down, each 1 to 4.
    pub sampling: [usize; 2],
    /// Factors of the coefficients, in zigzag order.
    pub quantization: [u8; 64],
    /// Codes of the DC coefficients; Cb and Cr mostly share them.
    pub dc: Rc<Codes>,
    /// Codes of the AC coefficients; Cb and Cr mostly share them.
    pub ac: Rc<AcCodes>,
}

/// Tables and parameters from the segments before the scan.
#[derive(Default)]
struct Tables<'a> {
    quantization: [Option<&'a [u8; 64]>; 4],
    dc: [Option<Definition<'a>>; 4],
    ac: [Option<Definition<'a>>; 4],
    restart_interval: u32,
    /// Identifier, sampling factors and quantisation table of each component.
    frame: Option<&'a [[u8; 3]; 3]>,
}

/// Number of Huffman codes of each length, and their symbols.
type Definition<'a> = (&'a [u8; 16], &'a [u8]);

impl<'a> Scan<'a> {
    /// Reads the segments up to the data. `None` unless this is the usual case: Huffman codes, YCbCr, all components in
    /// one scan.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut tables = Tables::default();
        for segment in segments(bytes) {
            let body = segment.body;
            match segment.marker {
                START_OF_SCAN => return tables.scan(body, &bytes[segment.end..]),
                HUFFMAN_TABLES => tables.add_huffman(body)?,
                QUANTIZATION_TABLES => tables.add_quantization(body)?,
                RESTART_INTERVAL => tables.restart_interval = u16::from_be_bytes(*body.first_chunk()?).into(),
                marker if FRAMES.contains(&marker) => tables.set_frame(body)?,
                APP14 if is_other_colour(body) => return None,
                _ => (),
            }
        }
        None
    }
}

/// Reports whether Adobe's segment names another colour space than YCbCr, which is 1 (Adobe technical note 5116).
fn is_other_colour(body: &[u8]) -> bool {
    body.starts_with(b"Adobe") && body.get(11) != Some(&1)
}

impl<'a> Tables<'a> {
    fn add_quantization(&mut self, mut body: &'a [u8]) -> Option<()> {
        while let Some((&place, rest)) = body.split_first() {
            // The upper half of the byte is the precision, 0 for bytes; the lower half is the table's number.
            let (table, rest) = rest.split_first_chunk()?;
            *self.quantization.get_mut(usize::from(place))? = Some(table);
            body = rest;
        }
        Some(())
    }

    fn add_huffman(&mut self, mut body: &'a [u8]) -> Option<()> {
        while let Some((&place, rest)) = body.split_first() {
            // The upper half of the byte is the class, 0 for DC; the lower half is the table's number.
            let (counts, rest) = rest.split_first_chunk()?;
            let (symbols, rest) = rest.split_at_checked(counts.iter().map(|&count| usize::from(count)).sum())?;
            let (class, number) = if place < 0x10 { (&mut self.dc, place) } else { (&mut self.ac, place - 0x10) };
            *class.get_mut(usize::from(number))? = Some((counts, symbols));
            body = rest;
        }
        Some(())
    }

    /// Reads the frame header: precision, size, number of components, then three bytes for each of them.
    fn set_frame(&mut self, body: &'a [u8]) -> Option<()> {
        let (components, rest) = body.get(6..)?.as_chunks();
        let is_second = self.frame.replace(components.try_into().ok()?).is_some();
        (rest.is_empty() && !is_second).then_some(())
    }

    /// Reads the scan header: number of components, two bytes for each of them, then three bytes that only vary in
    /// progressive files.
    fn scan(&self, header: &[u8], data: &'a [u8]) -> Option<Scan<'a>> {
        let [3, choices @ .., 0, 63, 0] = header else { return None };
        let choices: &[[u8; 2]; 3] = match choices.as_chunks() {
            (choices, []) => choices.try_into().ok()?,
            _ => return None,
        };
        let frame = self.frame?;
        let names @ [y, cb, cr] = frame.map(|[name, ..]| name);
        let is_ycc = names != *b"RGB" && y != cb && cb != cr && cr != y;
        if !is_ycc || names != choices.map(|[name, _]| name) {
            return None;
        }
        let [y, cb, cr] = choices.map(|[_, tables]| [tables >> 4, tables & 15]);
        let (y_codes, cb_codes) = (self.codes(y)?, self.codes(cb)?);
        let cr_codes = if cr == cb { cb_codes.clone() } else { self.codes(cr)? };
        let components = [
            self.component(&frame[0], y_codes)?,
            self.component(&frame[1], cb_codes)?,
            self.component(&frame[2], cr_codes)?,
        ];
        let blocks: usize = components.iter().map(|component| component.sampling.iter().product::<usize>()).sum();
        (blocks <= UNIT_BLOCKS_MAX).then_some(Scan { components, restart_interval: self.restart_interval, data })
    }

    /// Builds the decoders of DC and AC coefficients from the tables with these numbers.
    fn codes(&self, [dc, ac]: [u8; 2]) -> Option<(Rc<Codes>, Rc<AcCodes>)> {
        let codes = |tables: &[Option<Definition>; 4], number: u8| {
            let (counts, symbols) = (*tables.get(usize::from(number))?)?;
            Codes::new(counts, symbols)
        };
        Some((Rc::new(codes(&self.dc, dc)?), Rc::new(AcCodes::new(codes(&self.ac, ac)?))))
    }

    fn component(&self, frame: &[u8; 3], (dc, ac): (Rc<Codes>, Rc<AcCodes>)) -> Option<Component> {
        let [_, sampling, quantization] = *frame;
        let sampling = [sampling >> 4, sampling & 15];
        let is_valid = sampling.iter().all(|factor| (1..=4).contains(factor));
        let quantization = *(*self.quantization.get(usize::from(quantization))?)?;
        is_valid.then_some(Component { sampling: sampling.map(usize::from), quantization, dc, ac })
    }
}
