//! Huffman codes of a lossless WebP (RFC 9649, sections 3.7.2 and 3.8): the memory that a decoder's tables of them
//! take.
//!
//! A picture may have 65,536 groups of five codes, whatever its size, and a table takes hundreds of times the bytes
//! that describe its code. The codes come before the pixels, behind a few small pictures: those of the transformations,
//! and one that gives the number of groups. This walk decodes none of them; it only passes over their symbols.

/// Number of codes in a group: for green, lengths and the cache; red; blue; alpha; distances.
const GROUP: usize = 5;
/// Number of symbols of each code of a group, without those of the cache.
const ALPHABETS: [usize; GROUP] = [256 + LENGTHS, 256, 256, 256, 40];
/// Number of symbols that stand for lengths, after those of green.
const LENGTHS: usize = 24;
/// Order in which the lengths of the code of lengths are stored.
const LENGTH_ORDER: [usize; 19] = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/// Maximum length of a code word in bits.
const BITS_MAX: usize = 15;

/// Bits by which the decoder's table of a code is indexed, at most. Longer words go on in a tree.
const TABLE_BITS: usize = 10;
/// Bytes of an entry of the table.
const ENTRY_BYTES: usize = 4;
/// Bytes of the tree for each word that is longer than the table's index: two nodes.
const TREE_BYTES: usize = 32;
/// Bytes of a group without tables: five codes, in a list that doubles as it grows.
const GROUP_BYTES: usize = 3 * GROUP * 56;
/// Bytes that the allocator adds to a table and a tree.
const ALLOCATED_BYTES: usize = 64;

/// Returns the bytes that the decoder's tables take for the contents of a `VP8L` chunk, or `None` if it would find no
/// pixels behind them.
pub fn memory(chunk: &[u8]) -> Option<u64> {
    let mut bits = Bits { bytes: chunk, at: 8 };
    let size = [bits.number(14)? + 1, bits.number(14)? + 1];
    // Whether alpha is used, and the version.
    bits.number(4)?;
    stream(bits, size)
}

/// Returns the bytes that the decoder's tables take for the lossless alpha of a picture of this size; `chunk` are the
/// contents of its `ALPH` chunk after the first byte.
pub fn alpha_memory(chunk: &[u8], size: [usize; 2]) -> Option<u64> {
    stream(Bits { bytes: chunk, at: 0 }, size)
}

/// Passes over the transformations and returns the bytes of the tables of the picture's own codes.
fn stream(mut bits: Bits, [mut width, height]: [usize; 2]) -> Option<u64> {
    let mut seen = [false; 4];
    while bits.flag()? {
        let kind = bits.number(2)?;
        if std::mem::replace(&mut seen[kind], true) {
            return None;
        }
        match kind {
            0 | 1 => {
                let shift = bits.number(3)? + 2;
                bits.pass_picture([width, height].map(|side| side.div_ceil(1 << shift)))?;
            }
            3 => {
                let colours = bits.number(8)? + 1;
                bits.pass_picture([colours, 1])?;
                width = width.div_ceil(pixels_in_one(colours));
            }
            _ => (),
        }
    }
    let cache = bits.cache()?;
    let groups = match bits.flag()? {
        true => {
            let shift = bits.number(3)? + 2;
            bits.pass_picture([width, height].map(|side| side.div_ceil(1 << shift)))? + 1
        }
        false => 1,
    };
    (0..groups)
        .try_fold(0, |sum, _| Some(sum + bits.group(cache)?.iter().map(Code::memory).sum::<u64>() + GROUP_BYTES as u64))
}

/// Returns the number of pixels of a palette of this size that are packed into one.
fn pixels_in_one(colours: usize) -> usize {
    match colours {
        0..=2 => 8,
        3..=4 => 4,
        5..=16 => 2,
        _ => 1,
    }
}

/// Bits of the data, the lowest of each byte first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn flag(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let flag = byte >> (self.at % 8) & 1 == 1;
        self.at += 1;
        Some(flag)
    }

    fn number(&mut self, count: usize) -> Option<usize> {
        (0..count).try_fold(0, |number, place| Some(number | usize::from(self.flag()?) << place))
    }

    /// Reads the number of symbols of the cache of colours.
    fn cache(&mut self) -> Option<usize> {
        if !self.flag()? {
            return Some(0);
        }
        let bits = self.number(4)?;
        (1..=11).contains(&bits).then(|| 1 << bits)
    }

    /// Reads a group of codes.
    fn group(&mut self, cache: usize) -> Option<[Code; GROUP]> {
        let mut codes: [Code; GROUP] = Default::default();
        for (index, code) in codes.iter_mut().enumerate() {
            *code = self.code(ALPHABETS[index] + if index == 0 { cache } else { 0 })?;
        }
        Some(codes)
    }

    /// Reads a code for symbols of an alphabet (section 3.7.2.1).
    fn code(&mut self, alphabet: usize) -> Option<Code> {
        if !self.flag()? {
            return self.long_code(alphabet);
        }
        let has_two = self.flag()?;
        let bits = if self.flag()? { 8 } else { 1 };
        let mut symbols = vec![self.number(bits)?];
        if has_two {
            symbols.push(self.number(8)?);
        }
        let is_inside = symbols.iter().all(|symbol| *symbol < alphabet);
        let mut counts = [0; BITS_MAX + 1];
        counts[usize::from(has_two)] = symbols.len();
        is_inside.then_some(Code { counts, symbols })
    }

    fn long_code(&mut self, alphabet: usize) -> Option<Code> {
        let mut lengths = [0; LENGTH_ORDER.len()];
        for place in LENGTH_ORDER.iter().take(4 + self.number(4)?) {
            lengths[*place] = self.number(3)?;
        }
        let code = Code::new(&lengths)?;
        let mut left = match self.flag()? {
            true => {
                let bits = 2 + 2 * self.number(3)?;
                2 + self.number(bits)?
            }
            false => alphabet,
        };
        let (mut lengths, mut last) = (Vec::with_capacity(alphabet), 8);
        while lengths.len() < alphabet && left > 0 {
            left -= 1;
            let (length, count) = match self.symbol(&code)? {
                16 => (last, 3 + self.number(2)?),
                17 => (0, 3 + self.number(3)?),
                18 => (0, 11 + self.number(7)?),
                length => (length, 1),
            };
            last = if length > 0 { length } else { last };
            lengths.resize(lengths.len() + count, length);
        }
        if lengths.len() <= alphabet { Code::new(&lengths) } else { None }
    }

    fn symbol(&mut self, code: &Code) -> Option<usize> {
        if let [symbol] = code.symbols[..] {
            return Some(symbol);
        }
        let (mut word, mut first, mut index) = (0, 0, 0);
        for count in &code.counts[1..] {
            word |= usize::from(self.flag()?);
            if word < first + count {
                return code.symbols.get(index + word - first).copied();
            }
            (index, first) = (index + count, (first + count) << 1);
            word <<= 1;
        }
        None
    }

    /// Passes over the pixels of a small picture and returns the largest number that red and green of one of them make.
    /// Repetitions and the cache add no other values.
    fn pass_picture(&mut self, [width, height]: [usize; 2]) -> Option<usize> {
        let cache = self.cache()?;
        let [green, red, blue, alpha, distance] = self.group(cache)?;
        let (mut left, mut largest) = (width * height, 0);
        let is_flat = [&green, &red, &blue, &alpha].iter().all(|code| code.symbols.len() == 1);
        while left > 0 {
            let symbol = self.symbol(&green)?;
            if symbol < 256 {
                let value = self.symbol(&red)? << 8 | symbol;
                self.symbol(&blue)?;
                self.symbol(&alpha)?;
                largest = value.max(largest);
                left = if is_flat { 0 } else { left - 1 };
            } else if symbol < 256 + LENGTHS {
                let length = self.prefixed(symbol - 256)?;
                let distance = self.symbol(&distance)?;
                self.prefixed(distance)?;
                left = left.checked_sub(length)?;
            } else {
                left -= 1;
            }
        }
        Some(largest)
    }

    /// Reads the rest of a length or distance (section 3.6.2.2).
    fn prefixed(&mut self, prefix: usize) -> Option<usize> {
        if prefix < 4 {
            return Some(prefix + 1);
        }
        let bits = (prefix - 2) >> 1;
        Some(((2 + (prefix & 1)) << bits) + self.number(bits)? + 1)
    }
}

/// A code: the number of words of each length, and the symbols in the order of their words.
#[derive(Default)]
struct Code {
    counts: [usize; BITS_MAX + 1],
    symbols: Vec<usize>,
}

impl Code {
    /// Makes a code of the lengths of its words, 0 for symbols without one. `None` if words are missing or too many.
    fn new(lengths: &[usize]) -> Option<Self> {
        let mut counts = [0; BITS_MAX + 1];
        lengths.iter().for_each(|length| counts[*length] += 1);
        counts[0] = 0;
        let mut symbols: Vec<usize> = (0..lengths.len()).filter(|symbol| lengths[*symbol] > 0).collect();
        symbols.sort_by_key(|symbol| lengths[*symbol]);
        let covered: usize = (1..=BITS_MAX).map(|length| counts[length] << (BITS_MAX - length)).sum();
        (symbols.len() == 1 || covered == 1 << BITS_MAX).then_some(Code { counts, symbols })
    }

    /// Returns the bytes of the decoder's table and tree.
    fn memory(&self) -> u64 {
        if self.symbols.len() < 2 {
            return 0;
        }
        let longest = (1..=BITS_MAX).rfind(|length| self.counts[*length] > 0).unwrap_or(0);
        let beyond: usize = self.counts[TABLE_BITS + 1..].iter().sum();
        ((ENTRY_BYTES << longest.min(TABLE_BITS)) + TREE_BYTES * beyond.max(2) + ALLOCATED_BYTES) as u64
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Writes bits, the lowest of each byte first.
    #[derive(Default)]
    struct Writer {
        bytes: Vec<u8>,
        count: usize,
    }

    impl Writer {
        fn put(&mut self, number: usize, count: usize) {
            for place in 0..count {
                if self.count.is_multiple_of(8) {
                    self.bytes.push(0);
                }
                self.bytes[self.count / 8] |= ((number >> place & 1) as u8) << (self.count % 8);
                self.count += 1;
            }
        }

        /// Writes a word, whose highest bit comes first.
        fn word(&mut self, word: usize, count: usize) {
            (0..count).rev().for_each(|place| self.put(word >> place & 1, 1));
        }

        /// Writes a code of one symbol.
        fn one(&mut self, symbol: usize) {
            self.put(0b101, 3);
            self.put(symbol, 8);
        }

        /// Writes a code of 11 symbols with words of 1 to 10 bits, which has the largest table.
        fn long(&mut self) {
            self.put(0, 1);
            self.put(14 - 4, 4);
            let length_of_length = |length| match length {
                1..=6 => 3,
                7..=10 => 4,
                _ => 0,
            };
            LENGTH_ORDER.iter().take(14).for_each(|length| self.put(length_of_length(*length), 3));
            // Eleven lengths follow.
            self.put(1, 1);
            self.put(1, 3);
            self.put(11 - 2, 4);
            for length in (1..=10).chain([10]) {
                match length {
                    1..=6 => self.word(length - 1, 3),
                    _ => self.word(12 + length - 7, 4),
                }
            }
        }
    }

    /// The contents of a `VP8L` chunk: one pixel, and this number of groups with the largest tables.
    fn chunk(groups: usize) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.put(0x2F, 8);
        writer.put(0, 14 + 14 + 4);
        // No transformation and no cache, but groups: a picture of one pixel, without a cache.
        writer.put(0, 2);
        writer.put(1, 1);
        writer.put(0, 3);
        writer.put(0, 1);
        [(groups - 1) & 255, (groups - 1) >> 8, 0, 0, 0].iter().for_each(|symbol| writer.one(*symbol));
        (0..GROUP * groups).for_each(|_| writer.long());
        // The pixel's four words, each of the first symbol.
        writer.put(0, 4);
        writer.put(0, 64);
        writer.bytes
    }

    /// A WebP whose pixel takes the largest tables of this number of groups.
    pub fn groups(groups: usize) -> Vec<u8> {
        let chunk = chunk(groups);
        let chunk = [&b"VP8L"[..], &(chunk.len() as u32).to_le_bytes(), &chunk, &[0][..chunk.len() % 2]].concat();
        [&b"RIFF"[..], &(chunk.len() as u32 + 4).to_le_bytes(), b"WEBP", &chunk].concat()
    }

    #[test]
    fn tables_are_counted_by_the_lengths_of_their_words() {
        let table = (4 << 10) + 2 * TREE_BYTES + ALLOCATED_BYTES;
        for groups in [1, 2, 300, 65_536] {
            let expected = groups * (GROUP * table + GROUP_BYTES);
            assert_eq!(memory(&chunk(groups)), Some(expected as u64), "{groups}");
        }
        let whole = chunk(3);
        for length in 0..whole.len() - 9 {
            assert_eq!(memory(&whole[..length]), None, "{length}");
        }
    }

    #[test]
    fn codes_are_whole() {
        let symbols = |lengths: &[usize]| Code::new(lengths).map(|code| code.symbols);
        assert_eq!(symbols(&[2, 0, 1, 2]), Some(vec![2, 0, 3]));
        assert_eq!(symbols(&[0, 5]), Some(vec![1]));
        for broken in [&[][..], &[0, 0], &[1, 1, 1], &[2, 2, 2], &[15; 3]] {
            assert_eq!(symbols(broken), None, "{broken:?}");
        }
        let mut bits = Bits { bytes: &[0b0101_1010], at: 0 };
        let code = Code::new(&[2, 0, 1, 2]).expect("whole");
        assert_eq!([0; 5].map(|_| bits.symbol(&code)), [2, 0, 3, 2, 0].map(Some));
    }
}
