//! A view of fixed size that moves over a source.

use std::io::{self, Read};

/// Size of the view in bytes. The longest record is a ULog message of 65,538 bytes.
pub const CAPACITY: usize = 128 * 1024;
/// Longest line in bytes that is handed out whole. DataFlash text and NMEA have lines of some hundred bytes.
const LINE_MAX: usize = 4 * 1024;

/// Bytes of a source that are next.
pub struct Window<R> {
    source: R,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    has_ended: bool,
    position: u64,
}

impl<R: Read> Window<R> {
    pub fn new(source: R) -> Self {
        Window { source, bytes: vec![0; CAPACITY], start: 0, end: 0, has_ended: false, position: 0 }
    }

    /// Returns the next bytes: `count` or more, and fewer only at the end of the source. `count` is at most
    /// [`CAPACITY`].
    pub fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.end - self.start < count.min(CAPACITY) && !self.has_ended {
            self.fill()?;
        }
        Ok(&self.bytes[self.start..self.end])
    }

    fn fill(&mut self) -> io::Result<()> {
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        match self.source.read(&mut self.bytes[self.end..]) {
            Ok(0) => self.has_ended = true,
            Ok(count) => self.end += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Moves past bytes that were peeked.
    pub fn consume(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.position += count as u64;
    }

    /// Returns the number of bytes consumed so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Returns the length of the next line with its end, or of a piece of a line that is too long; 0 at the end of the
    /// source.
    pub fn line(&mut self) -> io::Result<usize> {
        if let (Some(end), _) = line_end(self.peek(1)?) {
            return Ok(end);
        }
        let (end, piece) = line_end(self.peek(LINE_MAX)?);
        Ok(end.unwrap_or(piece))
    }
}

/// Returns where the next line ends, if it is not too long, and where a piece of it would end.
fn line_end(bytes: &[u8]) -> (Option<usize>, usize) {
    let piece = &bytes[..bytes.len().min(LINE_MAX)];
    (memchr::memchr(b'\n', piece).map(|end| end + 1), piece.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source that gives one byte a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(1);
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    #[test]
    fn bytes_come_in_order_whatever_the_source_gives() {
        let mut window = Window::new(Slow(b"abcdef"));
        assert_eq!(window.peek(2).expect("read"), b"ab");
        window.consume(1);
        assert_eq!(window.peek(3).expect("read"), b"bcd");
        window.consume(9);
        assert_eq!((window.position(), window.peek(9).expect("read")), (4, &b"ef"[..]));
    }

    #[test]
    fn lines_end_at_their_end_or_are_cut() {
        let text = [&b"ab\n\n"[..], &[b'x'; LINE_MAX + 10], b"\nlast"].concat();
        let mut window = Window::new(Slow(&text));
        let mut lengths = Vec::new();
        loop {
            let length = window.line().expect("read");
            lengths.push(length);
            window.consume(length);
            if length == 0 {
                break;
            }
        }
        assert_eq!(lengths, [3, 1, LINE_MAX, 11, 4, 0]);
    }

    #[test]
    fn a_long_source_takes_no_more_memory() {
        let mut window = Window::new(io::repeat(7).take(10 * CAPACITY as u64));
        let mut total = 0;
        loop {
            let count = window.peek(CAPACITY).expect("read").len();
            assert!(count <= CAPACITY);
            total += count;
            window.consume(count);
            if count == 0 {
                break;
            }
        }
        assert_eq!((total, window.bytes.len()), (10 * CAPACITY, CAPACITY));
    }
}
