//! Huffman codes of a JPEG (ITU-T T.81, annex C and F.2.2.3), decoded through tables indexed by the next bits.

use super::bits::{Bits, extended};

/// Maximum length in bits of a code that one table access finds.
const SHORT: u32 = 10;
/// Number of bits that one step looks ahead to pass over coefficients.
const AHEAD: u32 = 12;

/// Decoder for the codes of one Huffman table.
pub struct Codes {
    /// Entry for each value of the next [`SHORT`] bits: `length << 8 | symbol`, or 0 if the code is longer.
    short: Vec<u16>,
    /// Exclusive upper bound, for each length, of the next 16 bits if they begin with a code of that length or shorter.
    below: [u32; 17],
    /// First code of each length, and the index of its symbol.
    first: [(u32, usize); 17],
    symbols: Vec<u8>,
}

impl Codes {
    /// Builds the codes from the number of codes of each length, 1 to 16, and their symbols. `None` if more codes are
    /// announced than fit, or if the number of symbols differs.
    pub fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let (mut below, mut first) = ([0; 17], [(0, 0); 17]);
        let (mut code, mut place) = (0, 0);
        for (length, &count) in (1..).zip(counts) {
            first[length] = (code, place);
            code += u32::from(count);
            place += usize::from(count);
            if code > 1 << length {
                return None;
            }
            below[length] = code << (16 - length);
            code <<= 1;
        }
        let mut codes = Codes { short: Vec::new(), below, first, symbols: symbols.to_vec() };
        codes.short = (0..1 << SHORT).map(|bits| codes.short_entry(bits)).collect();
        (place == symbols.len()).then_some(codes)
    }

    fn short_entry(&self, bits: u32) -> u16 {
        let found = self.search(bits << (16 - SHORT)).filter(|(_, length)| *length <= SHORT);
        found.map_or(0, |(symbol, length)| (length as u16) << 8 | u16::from(symbol))
    }

    /// Returns symbol and length of the code at the top of the window.
    #[inline]
    fn find(&self, window: u64) -> Option<(u8, u32)> {
        match self.short[(window >> (64 - SHORT)) as usize] {
            0 => self.search((window >> 48) as u32),
            entry => Some((entry as u8, u32::from(entry >> 8))),
        }
    }

    #[cold]
    fn search(&self, next: u32) -> Option<(u8, u32)> {
        let length = (1..=16).find(|&length| next < self.below[length])?;
        let (code, place) = self.first[length];
        let symbol = self.symbols.get(place + ((next >> (16 - length)) - code) as usize)?;
        Some((*symbol, length as u32))
    }

    /// Reads the difference from the previous DC coefficient (F.2.2.1), at most 11 bits in a JPEG with 8-bit samples.
    #[inline]
    pub fn difference(&self, bits: &mut Bits) -> Option<i16> {
        bits.refill();
        let (size, length) = self.find(bits.window())?;
        bits.skip(length);
        match size {
            0 => Some(0),
            1..=11 => Some(bits.take_value(size.into()) as i16),
            _ => None,
        }
    }
}

/// Decoder for the codes of AC coefficients. Each code announces a run of zeros and the coefficient after it.
pub struct AcCodes {
    codes: Codes,
    /// Run and coefficient for each value of the next [`SHORT`] bits, if these hold both completely.
    values: Box<[Value; 1 << SHORT]>,
    /// All codes that are complete in each value of the next [`AHEAD`] bits, so that they can be passed over together.
    passes: Box<[Pass; 1 << AHEAD]>,
}

/// A run of zeros and the coefficient after it.
#[derive(Clone, Copy, Default)]
struct Value {
    /// Number of zeros, or [`END_OF_BLOCK`].
    zeros: u8,
    /// Length of code and value together, in bits; 0 if they are incomplete.
    bits: u8,
    value: i16,
}

/// Marks, in place of a number of zeros, that only zeros follow in the block.
const END_OF_BLOCK: u8 = 64;

/// Returns the number of zeros and the size of the value in bits that a symbol announces. `None` for symbols that a
/// sequential JPEG does not have.
#[inline]
fn meaning(symbol: u8) -> Option<(u8, u32)> {
    match (symbol >> 4, symbol & 15) {
        (0, 0) => Some((END_OF_BLOCK, 0)),
        (zeros, 0) if zeros < 15 => None,
        // The symbol for sixteen zeros (15, 0) reads as fifteen zeros and a value of 0.
        (zeros, size) => Some((zeros, size.into())),
    }
}

impl AcCodes {
    /// Builds the tables for the codes.
    pub fn new(codes: Codes) -> Self {
        let mut values = Box::new([Value::default(); 1 << SHORT]);
        for (bits, value) in (0..).zip(values.iter_mut()) {
            *value = Value::of(&codes, bits << (64 - SHORT));
        }
        let mut passes = Box::new([Pass::default(); 1 << AHEAD]);
        for (bits, pass) in (0..).zip(passes.iter_mut()) {
            *pass = Pass::of(&codes, bits << (64 - AHEAD));
        }
        AcCodes { codes, values, passes }
    }

    /// Reads a block's coefficients in data order, from the second up to at least number `last`, and calls `keep` with
    /// number and value of those that are not 0. Passes over the remaining ones. `None` if the data is damaged.
    #[inline]
    pub fn coefficients(&self, bits: &mut Bits, last: usize, mut keep: impl FnMut(usize, i16)) -> Option<()> {
        // A local copy of the state stays in registers.
        let mut local = *bits;
        let mut number = 1;
        while number <= last {
            local.refill();
            let short = self.values[(local.window() >> (64 - SHORT)) as usize];
            let Value { zeros, value, .. } = if short.bits > 0 {
                local.skip(short.bits.into());
                short
            } else {
                self.long_value(&mut local)?
            };
            number += usize::from(zeros);
            if number >= 64 {
                *bits = local;
                return (zeros == END_OF_BLOCK).then_some(());
            }
            keep(number, value);
            number += 1;
        }
        *bits = self.pass(local, number)?;
        Some(())
    }

    #[inline]
    fn long_value(&self, bits: &mut Bits) -> Option<Value> {
        let (symbol, length) = self.codes.find(bits.window())?;
        let (zeros, size) = meaning(symbol)?;
        bits.skip(length);
        let value = if size > 0 { bits.take_value(size) as i16 } else { 0 };
        Some(Value { zeros, bits: 0, value })
    }

    /// Passes over the coefficients of a block from `number` to the end.
    #[inline(always)]
    fn pass<'a>(&self, mut bits: Bits<'a>, mut number: usize) -> Option<Bits<'a>> {
        while number < 64 {
            bits.refill();
            // One refill gives 56 bits, which are enough for two passes.
            for _ in 0..2 {
                let pass = self.passes[(bits.window() >> (64 - AHEAD)) as usize];
                let next = number + pass.coefficients();
                if pass.bits() == 0 || next >= 64 {
                    // Either the code is too long for the table, or the block ends here without an end-of-block symbol.
                    // In the second case, the codes after its last one belong to the next block.
                    bits.refill();
                    let Value { zeros, .. } = self.long_value(&mut bits)?;
                    if zeros == END_OF_BLOCK {
                        return Some(bits);
                    }
                    number += usize::from(zeros) + 1;
                    break;
                }
                bits.skip(pass.bits());
                if pass.ends() {
                    return Some(bits);
                }
                number = next;
            }
        }
        (number == 64).then_some(bits)
    }
}

impl Value {
    fn of(codes: &Codes, window: u64) -> Self {
        let whole = codes.find(window).and_then(|(symbol, length)| {
            let (zeros, size) = meaning(symbol)?;
            let value = if size > 0 { extended((window << length >> (64 - size)) as i32, size) } else { 0 };
            let bits = length + size;
            (bits <= SHORT).then_some(Value { zeros, bits: bits as u8, value: value as i16 })
        });
        whole.unwrap_or_default()
    }
}

/// Several codes with their values, to be passed over together. One number holds everything, so that all tables stay in
/// the fastest cache.
#[derive(Clone, Copy, Default)]
struct Pass(u16);

impl Pass {
    fn new(bits: u32, coefficients: u32, ends: bool) -> Self {
        Pass((bits | u32::from(ends) << 5 | coefficients << 8) as u16)
    }

    /// Number of bits to skip, at most 31; 0 if not even one code is complete.
    #[inline]
    fn bits(self) -> u32 {
        u32::from(self.0 & 31)
    }

    /// Number of coefficients passed over, at most 16 per code.
    #[inline]
    fn coefficients(self) -> usize {
        usize::from(self.0 >> 8)
    }

    /// Reports whether the last code ends the block.
    #[inline]
    fn ends(self) -> bool {
        self.0 & 32 != 0
    }

    /// Collects all codes that are complete in the first [`AHEAD`] bits of a window. The value of the first one may end
    /// after these bits.
    fn of(codes: &Codes, window: u64) -> Self {
        let (mut pass, mut bits, mut coefficients) = (Pass::default(), 0, 0);
        while !pass.ends()
            && let Some((symbol, length)) = codes.find(window << bits)
            && let Some((zeros, size)) = meaning(symbol)
            && (bits + length + size <= AHEAD || (bits == 0 && length <= AHEAD))
        {
            let ends = zeros == END_OF_BLOCK;
            bits += length + size;
            coefficients += if ends { 0 } else { u32::from(zeros) + 1 };
            pass = Pass::new(bits, coefficients, ends);
        }
        pass
    }
}

#[cfg(test)]
mod tests {
    use bridgeclip_random::Random;

    use super::*;

    /// A complete code: 2 codes of each length up to 14 and the remainder at length 16, with symbols in mixed order.
    fn codes() -> Codes {
        let counts = [0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0, 7];
        let common = [0x01, 0x11, 0x02, 0x21, 0x03, 0x12, 0x00, 0x31, 0xF0, 0x41, 0x04, 0x51, 0x13, 0x05];
        let rare = (1..=15_u8).map(|size| 0xE0 | size).chain(0x61..);
        let symbols: Vec<u8> = common.into_iter().chain(rare).take(33).collect();
        Codes::new(&counts, &symbols).expect("a code")
    }

    #[test]
    fn codes_are_numbered_by_length_and_order() {
        let codes = codes();
        let find = |bits: u16| codes.find(u64::from(bits) << 48);
        // The first codes are 00, 01, 100, 101, 1100, ...
        assert_eq!([find(0), find(0x4000)], [Some((0x01, 2)), Some((0x11, 2))]);
        assert_eq!([find(0x8000), find(0xA000), find(0xC000)], [Some((0x02, 3)), Some((0x21, 3)), Some((0x03, 4))]);
        // ... and the last ones have 16 bits. Sixteen ones are not a code (C.2).
        assert_eq!(find(0xFFFE).map(|(_, length)| length), Some(16));
        assert_eq!(find(0xFFFF), None);
    }

    #[test]
    fn more_codes_than_fit_are_refused() {
        let with = |length: usize, count: u8| {
            let mut counts = [0; 16];
            counts[length - 1] = count;
            Codes::new(&counts, &vec![0; count.into()]).is_some()
        };
        assert_eq!([with(1, 2), with(1, 3), with(3, 8), with(3, 9), with(16, 255)], [true, false, true, false, true]);
        assert!(Codes::new(&[1; 16], &[0; 15]).is_none());
    }

    #[test]
    fn passing_over_coefficients_ends_where_reading_them_does() {
        let (ac, mut random) = (AcCodes::new(codes()), Random::new(&[3]));
        let (mut blocks, mut damaged) = (0, 0);
        while blocks < 20_000 {
            let data: Vec<u8> = (0..400).map(|_| (random.bits() % 255) as u8).collect();
            let mut all = Bits::new(&data);
            loop {
                let start = all;
                let mut kept = Vec::new();
                let read = ac.coefficients(&mut all, 63, |number, value| kept.push((number, value)));
                for last in [0, 4, 24] {
                    let (mut some, mut first) = (start, Vec::new());
                    let passed = ac.coefficients(&mut some, last, |number, value| first.push((number, value)));
                    assert_eq!(passed, read);
                    assert!(read.is_none() || some.position() == all.position());
                    let expected = kept.iter().filter(|(number, _)| *number <= last);
                    assert!(first.iter().filter(|(number, _)| *number <= last).eq(expected));
                }
                blocks += 1;
                if read.is_none() || all.is_overdrawn() {
                    damaged += u32::from(read.is_none());
                    break;
                }
            }
        }
        assert!(damaged > 100);
    }
}
