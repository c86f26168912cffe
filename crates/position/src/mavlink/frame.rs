//! Cuts frames out of bytes. Only frames of known messages can be verified, because each message has its own checksum
//! seed; all others are searched byte by byte, like noise.
//!
//! Version 1: FE, length, sequence, system, component, message, payload, checksum. Version 2: FD, length, flags, flags,
//! sequence, system, component, message (3 bytes), payload, checksum, and 13 bytes of signature if the first flags byte
//! announces one. Version 2 does not send trailing zeros of the payload. See
//! <https://mavlink.io/en/guide/serialization.html>.

use memchr::memchr2;

use super::kinds::{KINDS, find};

const MAGIC_1: u8 = 0xFE;
const MAGIC_2: u8 = 0xFD;
const HEADER_1: usize = 6;
const HEADER_2: usize = 10;
const CHECKSUM: usize = 2;
const SIGNATURE: usize = 13;
/// Flag of a signed frame. Frames with other flags have an unknown layout.
const SIGNED: u8 = 0x01;

/// Maximum length in bytes of a version 2 frame without its signature, which is ignored.
const FRAME_MAX: usize = HEADER_2 + 255 + CHECKSUM;

/// Sender of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Number of the vehicle or station.
    pub system: u8,
    /// Number of the device within the system.
    pub component: u8,
}

/// Frame of a known message with a correct checksum.
#[derive(Debug)]
pub struct Frame<'a> {
    /// Place of the message in [`KINDS`].
    pub kind: usize,
    pub sender: Sender,
    pub payload: &'a [u8],
}

/// Splitter that keeps the bytes of the frame in progress.
#[derive(Debug)]
pub struct Framer {
    bytes: [u8; FRAME_MAX],
    length: usize,
    strangers: Strangers,
}

/// Counter of frames whose message is unknown. They cannot be verified, so only those count that begin exactly where
/// another frame has ended.
#[derive(Debug)]
struct Strangers {
    /// Bytes from the front of the buffer to the place where the next frame should begin.
    next: Option<usize>,
    count: u32,
}

/// Interpretation of the bytes that start with a magic byte.
enum Start {
    /// More bytes are needed to decide.
    Short,
    /// A frame of a known message.
    Known { kind: usize, shape: Shape },
    /// A header of an unknown message.
    Unknown(Shape),
    /// No frame.
    Other,
}

/// Lengths of the parts of a frame, which its header tells.
struct Shape {
    header: usize,
    payload: usize,
    signature: usize,
}

impl Shape {
    /// Bytes up to the end of the payload.
    fn body(&self) -> usize {
        self.header + self.payload
    }

    /// Bytes up to the end of the checksum.
    fn end(&self) -> usize {
        self.body() + CHECKSUM
    }
}

impl Default for Framer {
    fn default() -> Self {
        Framer { bytes: [0; FRAME_MAX], length: 0, strangers: Strangers { next: None, count: 0 } }
    }
}

impl Framer {
    /// Calls `frame` for every frame of a known message with a correct checksum.
    pub fn push(&mut self, mut bytes: &[u8], mut frame: impl FnMut(Frame)) {
        loop {
            let room = &mut self.bytes[self.length..];
            let taken = room.len().min(bytes.len());
            room[..taken].copy_from_slice(&bytes[..taken]);
            self.length += taken;
            bytes = &bytes[taken..];
            // A full buffer always holds enough bytes to decide, so this makes room.
            let used = take_frames(&self.bytes[..self.length], &mut self.strangers, &mut frame);
            self.bytes.copy_within(used..self.length, 0);
            self.length -= used;
            self.strangers.next = self.strangers.next.and_then(|next| next.checked_sub(used));
            if bytes.is_empty() {
                return;
            }
        }
    }

    /// Returns how many frames of unknown messages followed other frames.
    pub fn unknown(&self) -> u32 {
        self.strangers.count
    }
}

/// Reports the frames in `bytes` and returns how many bytes at the front are finished.
fn take_frames(bytes: &[u8], strangers: &mut Strangers, frame: &mut impl FnMut(Frame)) -> usize {
    let mut at = 0;
    loop {
        let Some(magic) = next_magic(bytes, at) else { return bytes.len() };
        at = magic;
        let rest = &bytes[at..];
        match start(rest) {
            Start::Short => return at,
            Start::Other => at += 1,
            Start::Unknown(shape) => {
                strangers.note(at, &shape);
                at += 1;
            }
            Start::Known { kind, shape } => {
                frame(Frame { kind, sender: sender(rest), payload: &rest[shape.header..shape.body()] });
                at += shape.end();
                strangers.next = Some(at + shape.signature);
            }
        }
    }
}

/// Returns the place of the next magic byte. Frames mostly follow each other without a gap, so the search can be
/// spared.
fn next_magic(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at) {
        Some(&(MAGIC_1 | MAGIC_2)) => Some(at),
        _ => memchr2(MAGIC_1, MAGIC_2, &bytes[at..]).map(|skipped| at + skipped),
    }
}

impl Strangers {
    /// Counts a header of an unknown message that begins at a place of the buffer.
    fn note(&mut self, at: usize, shape: &Shape) {
        if self.next == Some(at) {
            self.count = self.count.saturating_add(1);
            self.next = Some(at + shape.end() + shape.signature);
        }
    }
}

fn start(bytes: &[u8]) -> Start {
    let is_first = bytes[0] == MAGIC_1;
    let header = if is_first { HEADER_1 } else { HEADER_2 };
    let Some(head) = bytes.get(..header) else { return Start::Short };
    let flags = if is_first { 0 } else { head[2] };
    if flags & !SIGNED != 0 {
        return Start::Other;
    }
    let shape = Shape { header, payload: usize::from(head[1]), signature: usize::from(flags) * SIGNATURE };
    let Some(kind) = find(number(head)) else { return Start::Unknown(shape) };
    if !KINDS[kind].allows(is_first, shape.payload) {
        return Start::Other;
    }
    let Some(whole) = bytes.get(..shape.end()) else { return Start::Short };
    let sum = checksum(&whole[1..shape.body()], KINDS[kind].seed);
    match whole[shape.body()..] == sum.to_le_bytes() {
        true => Start::Known { kind, shape },
        false => Start::Other,
    }
}

fn number(head: &[u8]) -> u32 {
    match head[0] {
        MAGIC_1 => u32::from(head[5]),
        _ => u32::from_le_bytes([head[7], head[8], head[9], 0]),
    }
}

fn sender(head: &[u8]) -> Sender {
    let at = if head[0] == MAGIC_1 { 3 } else { 5 };
    Sender { system: head[at], component: head[at + 1] }
}

/// Computes CRC-16/MCRF4XX over the frame after its magic byte and the message's seed.
pub fn checksum(bytes: &[u8], seed: u8) -> u16 {
    bytes.iter().chain([&seed]).fold(0xFFFF, |sum: u16, byte| {
        let mut low = byte ^ sum as u8;
        low ^= low << 4;
        let low = u16::from(low);
        (sum >> 8) ^ (low << 8) ^ (low << 3) ^ (low >> 4)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_catalogued_one() {
        // CRC-16/MCRF4XX of "123456789" is 6F91 (<https://reveng.sourceforge.io/crc-catalogue/16.htm>).
        assert_eq!(checksum(b"12345678", b'9'), 0x6F91);
    }
}
