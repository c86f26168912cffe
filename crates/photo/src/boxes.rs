//! Boxes of an ISO media file (ISO/IEC 14496-12, section 4.2), and the fields inside them.

/// A box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Atom<'a> {
    /// Type of the box, such as `meta`.
    pub kind: [u8; 4],
    /// Bytes after the box's size and type.
    pub body: &'a [u8],
}

/// Reads boxes one after the other. Ends at the first one that is not whole.
#[derive(Clone, Debug)]
pub struct Atoms<'a> {
    rest: &'a [u8],
}

impl<'a> Atoms<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Atoms { rest: bytes }
    }

    /// Returns the first box of this type.
    pub fn find(mut self, kind: &[u8; 4]) -> Option<&'a [u8]> {
        Iterator::find(&mut self, |atom| &atom.kind == kind).map(|atom| atom.body)
    }

    /// Returns the box that the bytes end in if it is not whole, with what there is of its body.
    pub fn torn(mut self) -> Option<Atom<'a>> {
        while self.next().is_some() {}
        let mut fields = Fields::new(self.rest);
        let (size, kind) = (fields.u32()?, fields.array()?);
        // A long size comes after the type.
        let header = if size == 1 { 8 } else { 0 };
        Some(Atom { kind, body: fields.rest().get(header..).unwrap_or_default() })
    }

    /// Iterates over all boxes, the one that is not whole included.
    pub fn all(self) -> impl Iterator<Item = Atom<'a>> {
        self.clone().chain(self.torn())
    }
}

impl<'a> Iterator for Atoms<'a> {
    type Item = Atom<'a>;

    fn next(&mut self) -> Option<Atom<'a>> {
        let mut fields = Fields::new(self.rest);
        let (size, kind) = (fields.uint(4)?, fields.array()?);
        let (header, size) = match size {
            0 => (8, self.rest.len()),
            1 => (16, usize::try_from(fields.uint(8)?).ok()?),
            _ => (8, usize::try_from(size).ok()?),
        };
        let body = self.rest.get(header..size)?;
        self.rest = &self.rest[size..];
        Some(Atom { kind, body })
    }
}

/// Reads big-endian fields one after the other. A field that is not there gives `None`.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Fields { rest: bytes }
    }

    /// Reads the version and the flags that a full box starts with.
    pub fn full(bytes: &'a [u8]) -> Option<(u8, u32, Self)> {
        let mut fields = Fields::new(bytes);
        let word = fields.u32()?;
        Some(((word >> 24) as u8, word & 0x00FF_FFFF, fields))
    }

    /// Returns the bytes that have not been read yet.
    pub fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// Reads an unsigned number of 0 to 8 bytes. A number of no bytes is 0.
    pub fn uint(&mut self, bytes: usize) -> Option<u64> {
        if bytes > 8 {
            return None;
        }
        Some(self.take(bytes)?.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Reads the identifier of an item, which has two or four bytes.
    pub fn id(&mut self, long: bool) -> Option<u32> {
        if long { self.u32() } else { self.u16().map(u32::from) }
    }

    /// Reads a text that ends with a zero byte.
    pub fn text(&mut self) -> Option<&'a [u8]> {
        let end = memchr::memchr(0, self.rest)?;
        let text = self.take(end)?;
        self.take(1)?;
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_have_short_long_and_open_sizes() {
        let bytes = b"\0\0\0\x09free1\0\0\0\x01wide\0\0\0\0\0\0\0\x1222\0\0\0\0mdatrest";
        let expected: [(&[u8; 4], &[u8]); 3] = [(b"free", b"1"), (b"wide", b"22"), (b"mdat", b"rest")];
        let found: Vec<Atom> = Atoms::new(bytes).collect();
        assert_eq!(found, expected.map(|(&kind, body)| Atom { kind, body }));
        assert_eq!(Atoms::new(bytes).find(b"mdat"), Some(b"rest".as_slice()));
        assert_eq!(Atoms::new(bytes).torn(), None);
    }

    #[test]
    fn a_box_that_is_not_whole_is_the_end() {
        type Case = (&'static [u8], Option<(&'static [u8; 4], &'static [u8])>);
        let cases: [Case; 7] = [
            (b"\0\0\0\x0ameta1", Some((b"meta", b"1"))),
            (b"\0\0\0\x07meta1", Some((b"meta", b"1"))),
            (b"\0\0\0\x01mdat\xff\xff\xff\xff\xff\xff\xff\xff12", Some((b"mdat", b"12"))),
            (b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x0f", Some((b"mdat", b""))),
            (b"\0\0\0\x01mdat\0\0", Some((b"mdat", b""))),
            (b"\0\0\0\x09", None),
            (b"", None),
        ];
        for (bytes, torn) in cases {
            let torn = torn.map(|(&kind, body)| Atom { kind, body });
            assert_eq!((Atoms::new(bytes).next(), Atoms::new(bytes).torn()), (None, torn), "{bytes:?}");
            let whole = b"\0\0\0\x09free1";
            let both = [whole, bytes].concat();
            let expected = [Some(Atom { kind: *b"free", body: b"1" }), torn];
            assert!(Atoms::new(&both).all().eq(expected.into_iter().flatten()), "{bytes:?}");
        }
    }

    #[test]
    fn fields_end_with_the_bytes() {
        let (version, flags, mut fields) = Fields::full(b"\x02\0\0\x01\x12\x34\x56name\0\x78").expect("whole");
        assert_eq!((version, flags, fields.uint(0), fields.uint(3)), (2, 1, Some(0), Some(0x12_3456)));
        assert_eq!(
            (fields.text(), fields.u16(), fields.u8(), fields.u8()),
            (Some(b"name".as_slice()), None, Some(0x78), None)
        );
        assert_eq!((fields.text(), fields.uint(9), fields.rest()), (None, None, b"".as_slice()));
    }
}
