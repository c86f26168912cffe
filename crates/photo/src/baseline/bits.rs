//! Bit reader for a JPEG's entropy-coded data (ITU-T T.81, F.2.2.5) that fetches many bits at a time.

/// Reader of the bits between two markers. It delivers zeros after the last bit; [`Bits::is_overdrawn`] reports whether
/// any of them were read.
#[derive(Clone, Copy)]
pub struct Bits<'a> {
    data: &'a [u8],
    /// Offset of the next byte that is not in the window yet.
    at: usize,
    /// Offset of the next `FF`, or the end of the data.
    plain_end: usize,
    /// Next bits of the data, the first one at the top. Below the `left` valid bits are zeros or the first bits of the
    /// next byte.
    window: u64,
    /// Number of bits fetched into the window and not read yet. It is negative after reading past the end of the data.
    left: i32,
}

impl<'a> Bits<'a> {
    /// Creates a reader of `data`, which may go on after the first marker.
    pub fn new(data: &'a [u8]) -> Self {
        Bits { data, at: 0, plain_end: 0, window: 0, left: 0 }.starting_at(0)
    }

    /// Continues at the byte at `at` with the same window.
    fn starting_at(self, at: usize) -> Self {
        let plain = memchr::memchr(0xFF, self.data.get(at..).unwrap_or_default());
        Bits { at, plain_end: plain.map_or(self.data.len(), |length| at + length), ..self }
    }

    /// Returns the next bits, the first one at the top. After [`Bits::refill`], at least 56 of them are valid, or all
    /// that the data still has.
    #[inline]
    pub fn window(&self) -> u64 {
        self.window
    }

    /// Refills the window, after which up to 56 bits may be skipped or taken.
    #[inline]
    pub fn refill(&mut self) {
        match self.data.get(self.at..).and_then(<[u8]>::first_chunk) {
            Some(eight) if self.at + 8 <= self.plain_end => {
                // Takes as many complete bytes as fit, without a branch (F. Giesen, "Reading bits in far too many
                // ways", part 2, variant 4).
                self.window |= u64::from_be_bytes(*eight) >> self.left;
                self.at += (63 - self.left as usize) / 8;
                self.left |= 56;
            }
            _ => *self = self.refilled_by_bytes(),
        }
    }

    /// Refills the window byte by byte. `FF 00` stands for `FF`; any other byte after `FF` makes a marker, which ends
    /// the data.
    #[cold]
    fn refilled_by_bytes(mut self) -> Self {
        while self.left < 56 {
            let byte = match self.data.get(self.at..).unwrap_or_default() {
                [0xFF, 0, ..] => {
                    self = self.starting_at(self.at + 2);
                    0xFF
                }
                [0xFF, ..] | [] => break,
                [byte, ..] => {
                    self.at += 1;
                    *byte
                }
            };
            self.window |= u64::from(byte) << (56 - self.left);
            self.left += 8;
        }
        self
    }

    /// Skips `count` bits of the window, at most 56 after a refill.
    #[inline]
    pub fn skip(&mut self, count: u32) {
        self.window <<= count;
        self.left -= count as i32;
    }

    /// Takes the next `size` bits, 1 to 15, and returns their value.
    #[inline]
    pub fn take_value(&mut self, size: u32) -> i32 {
        let bits = (self.window >> (64 - size)) as i32;
        self.skip(size);
        extended(bits, size)
    }

    /// Returns the number of bits read so far, for data without `FF`.
    #[cfg(test)]
    pub fn position(&self) -> i64 {
        8 * self.at as i64 - i64::from(self.left)
    }

    /// Reports whether bits were read past the end of the data.
    pub fn is_overdrawn(&self) -> bool {
        self.left < 0
    }

    /// Returns the marker after the data if only the padding bits of the last byte are left unread.
    pub fn marker(&self) -> Option<u8> {
        match self.data.get(self.at..)? {
            [0xFF, marker @ 1..=0xFE, ..] if (0..8).contains(&self.left) => Some(*marker),
            _ => None,
        }
    }

    /// Continues after the marker.
    pub fn pass_marker(&mut self) {
        *self = Bits { window: 0, left: 0, ..*self }.starting_at(self.at + 2);
    }
}

/// Returns the value that `size` bits, 1 to 15, stand for. Negative values begin with 0 (F.2.2.1, figure F.12).
#[inline]
pub fn extended(bits: i32, size: u32) -> i32 {
    if bits >> (size - 1) == 0 { bits - (1 << size) + 1 } else { bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_in_order_and_stuffing_is_taken_out() {
        let data = [0x12, 0x34, 0xFF, 0x00, 0x56, 0x78, 0x9A, 0xBC, 0xDE, 0xF0, 0xFF, 0x00, 0x11, 0xFF, 0xD3, 0x80];
        let plain = [0x12_u8, 0x34, 0xFF, 0x56, 0x78, 0x9A, 0xBC, 0xDE, 0xF0, 0xFF, 0x11];
        for step in 1..=31 {
            let (mut bits, mut read) = (Bits::new(&data), 0);
            while read + step <= 88 {
                bits.refill();
                let found = (bits.window() >> (64 - step)) as u32;
                let bit = |n: u32| u32::from(plain[n as usize / 8]) >> (7 - n % 8) & 1;
                let expected = (read..read + step).fold(0, |value, n| value << 1 | bit(n));
                assert_eq!(found, expected, "{step} bits at {read}");
                bits.skip(step);
                read += step;
            }
            bits.refill();
            bits.skip(88 - read);
            assert_eq!((bits.marker(), bits.is_overdrawn()), (Some(0xD3), false));
            bits.pass_marker();
            bits.refill();
            assert_eq!((bits.window() >> 56, bits.marker()), (0x80, None));
            bits.skip(9);
            assert!(bits.is_overdrawn());
        }
    }

    #[test]
    fn a_marker_counts_only_behind_the_last_byte() {
        let mut bits = Bits::new(&[0xAB, 0xCD, 0xFF, 0xD0]);
        assert_eq!(bits.marker(), None);
        bits.refill();
        bits.skip(8);
        assert_eq!(bits.marker(), None);
        bits.skip(1);
        assert_eq!(bits.marker(), Some(0xD0));
        let mut without = Bits::new(&[0xAB]);
        without.refill();
        without.skip(8);
        assert_eq!(without.marker(), None);
    }

    #[test]
    fn values_are_extended() {
        // Size 1: -1, 1; size 3: -7..-4, 4..7 (table F.1).
        for (bits, size, value) in [(0, 1, -1), (1, 1, 1), (0, 3, -7), (3, 3, -4), (4, 3, 4), (7, 3, 7), (0, 11, -2047)]
        {
            let data = ((bits as u32) << (32 - size)).to_be_bytes();
            let mut reader = Bits::new(&data);
            reader.refill();
            assert_eq!(reader.take_value(size), value);
        }
    }
}
