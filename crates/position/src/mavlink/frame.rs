//! Cuts frames out of bytes. Only frames of known messages can be verified, because each message has its own checksum
//! seed; all others are searched byte by byte, like noise.
//!
//! Version 1: FE, length, sequence, system, component, message, payload, checksum. Version 2: FD, length, flags, flags,
//! sequence, system, component, message (3 bytes), payload, checksum, and 13 bytes of signature if the first flags byte
//! announces one. Version 2 does not send trailing zeros of the payload. See
//! <https://mavlink.io/en/guide/serialization.html>.

use memchr::memchr2;

use super::message::{Kind, kind};

const MAGIC_1: u8 = 0xFE;
const MAGIC_2: u8 = 0xFD;
const HEADER_1: usize = 6;
const HEADER_2: usize = 10;
const CHECKSUM: usize = 2;
/// Flag of a signed frame. Frames with other flags have an unknown layout.
const SIGNED: u8 = 0x01;

/// Maximum length in bytes of a version 2 frame without its signature, which is ignored.
const FRAME_MAX: usize = HEADER_2 + 255 + CHECKSUM;

/// Splitter that keeps the bytes of the frame in progress.
#[derive(Debug)]
pub struct Framer {
    bytes: [u8; FRAME_MAX],
    length: usize,
}

/// Interpretation of the bytes that start with a magic byte.
enum Start {
    /// More bytes are needed to decide.
    Short,
    /// A frame of `end` bytes, without the signature.
    Frame { kind: &'static Kind, payload: std::ops::Range<usize>, end: usize },
    /// No frame of a known message.
    Other,
}

impl Default for Framer {
    fn default() -> Self {
        Framer { bytes: [0; FRAME_MAX], length: 0 }
    }
}

impl Framer {
    /// Calls `frame` with number and payload of every known message with a correct checksum.
    pub fn push(&mut self, mut bytes: &[u8], mut frame: impl FnMut(u32, &[u8])) {
        loop {
            let room = &mut self.bytes[self.length..];
            let taken = room.len().min(bytes.len());
            room[..taken].copy_from_slice(&bytes[..taken]);
            self.length += taken;
            bytes = &bytes[taken..];
            // A full buffer always holds enough bytes to decide, so this makes room.
            let used = take_frames(&self.bytes[..self.length], &mut frame);
            self.bytes.copy_within(used..self.length, 0);
            self.length -= used;
            if bytes.is_empty() {
                return;
            }
        }
    }
}

/// Reports the frames in `bytes` and returns how many bytes at the front are finished.
fn take_frames(bytes: &[u8], frame: &mut impl FnMut(u32, &[u8])) -> usize {
    let mut at = 0;
    loop {
        let Some(skipped) = memchr2(MAGIC_1, MAGIC_2, &bytes[at..]) else { return bytes.len() };
        at += skipped;
        match start(&bytes[at..]) {
            Start::Short => return at,
            Start::Other => at += 1,
            Start::Frame { kind, payload, end } => {
                frame(kind.id, &bytes[at..][payload]);
                at += end;
            }
        }
    }
}

fn start(bytes: &[u8]) -> Start {
    let header = if bytes[0] == MAGIC_1 { HEADER_1 } else { HEADER_2 };
    let Some(head) = bytes.get(..header) else { return Start::Short };
    let length = usize::from(head[1]);
    let Some(kind) = kind(number(head)).filter(|kind| kind.allows(head[0] == MAGIC_1, length)) else {
        return Start::Other;
    };
    if head[0] == MAGIC_2 && head[2] & !SIGNED != 0 {
        return Start::Other;
    }
    let payload = header..header + length;
    let end = payload.end + CHECKSUM;
    let Some(whole) = bytes.get(..end) else { return Start::Short };
    let sum = checksum(&whole[1..payload.end], kind.seed);
    match whole[payload.end..] == sum.to_le_bytes() {
        true => Start::Frame { kind, payload, end },
        false => Start::Other,
    }
}

fn number(head: &[u8]) -> u32 {
    match head[0] {
        MAGIC_1 => u32::from(head[5]),
        _ => u32::from_le_bytes([head[7], head[8], head[9], 0]),
    }
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
