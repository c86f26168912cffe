//! Recognises what arrives on a line while nothing on it is understood, so that the reason can be told.

use memchr::memmem;

use super::source::Source;

/// Bytes that arrived during a search.
#[derive(Debug, Default)]
pub struct Foreign {
    bytes: u64,
    /// Bytes at the present rate, and how often they begin a message of each protocol.
    here: (u64, [u64; PROTOCOLS.len()]),
    /// Name of a protocol that was recognised.
    spoken: Option<&'static str>,
}

/// Binary protocols of receivers, by the bytes that begin each message: u-blox, SiRF, NovAtel and Unicore, and
/// corrections by RTCM 3.
const PROTOCOLS: [(&[u8], &str); 4] = [
    (b"\xB5\x62", "UBX (u-blox)"),
    (b"\xA0\xA2", "SiRF binary"),
    (b"\xAA\x44\x12", "NovAtel binary"),
    (b"\xD3\x00", "RTCM 3"),
];

/// Number of beginnings that make a protocol recognised, and the most bytes for each of them. In noise, two certain
/// bytes follow each other once in 65,536 bytes.
const MESSAGES_MIN: u64 = 2;
const MESSAGE_BYTES: u64 = 1_000;

impl Foreign {
    /// Adds bytes that were received.
    pub fn note(&mut self, bytes: &[u8]) {
        let (count, begins) = &mut self.here;
        *count += bytes.len() as u64;
        self.bytes += bytes.len() as u64;
        for ((begin, _), found) in PROTOCOLS.iter().zip(begins) {
            *found += memmem::find_iter(bytes, begin).count() as u64;
        }
    }

    /// Ends the listening at one rate of a serial line.
    pub fn end_of_rate(&mut self) {
        let (count, begins) = std::mem::take(&mut self.here);
        let is_spoken = |found: u64| found >= MESSAGES_MIN && count <= found * MESSAGE_BYTES;
        let spoken = PROTOCOLS.iter().zip(begins).find(|(_, found)| is_spoken(*found));
        self.spoken = self.spoken.or(spoken.map(|((_, name), _)| *name));
    }

    /// Returns the reason in words why nothing on this source is understood.
    pub fn reason(&mut self, source: &Source) -> String {
        self.end_of_rate();
        match (self.bytes, self.spoken) {
            (0, _) => nothing(source).to_owned(),
            (_, Some(name)) => format!("no NMEA or MAVLink, but {name}; switch on NMEA in the receiver"),
            (bytes, None) => format!("no NMEA or MAVLink in {bytes} bytes; {}", noise(source)),
        }
    }
}

fn nothing(source: &Source) -> &'static str {
    match source {
        Source::Serial(_) => {
            "not a byte arrives; is it the right device, does the receiver have power, and is its TX connected to RX?"
        }
        Source::Udp { .. } => {
            "no datagram arrives; does the sender know this device's address and port, and is there a firewall?"
        }
        Source::Tcp(_) => "the server sends nothing",
        Source::Gpsd(_) => "gpsd sends no NMEA; does it have a receiver (gpsmon shows it)?",
    }
}

fn noise(source: &Source) -> &'static str {
    match source {
        Source::Serial(_) => "is it the right device, is the rate unusual, or the signal inverted or mixed up?",
        Source::Gpsd(_) => "gpsd answers, but its receiver says nothing (gpsmon shows it)",
        Source::Udp { .. } | Source::Tcp(_) => "is it the right port?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(source: &str, chunks: &[&[u8]]) -> String {
        let mut foreign = Foreign::default();
        chunks.iter().for_each(|chunk| foreign.note(chunk));
        foreign.reason(&source.parse().expect("a source"))
    }

    #[test]
    fn silence_noise_and_other_protocols_are_told_apart() {
        let ubx = [&b"\xB5\x62\x01\x07\x5C\x00"[..], &[7; 94]].concat();
        let sirf = [&b"\xA0\xA2\x00\x29"[..], &[7; 40]].concat();
        let cases: [(&str, &[&[u8]], &str); 9] = [
            ("/dev/gps", &[], "not a byte"),
            ("/dev/gps", &[b"\x80\xfe"], "in 2 bytes; is it the right device"),
            ("/dev/gps", &[&ubx, &ubx], "but UBX (u-blox); switch on NMEA"),
            ("/dev/gps", &[&sirf, &sirf, &sirf], "but SiRF binary"),
            ("/dev/gps", &[&ubx], "no NMEA or MAVLink in 100 bytes"),
            ("/dev/gps", &[&ubx, &ubx, &[0; 2_000]], "no NMEA or MAVLink in 2200 bytes"),
            ("udp:14550", &[], "no datagram arrives"),
            ("tcp:host:5760", &[], "the server sends nothing"),
            ("gpsd:host", &[b"{\"class\":\"VERSION\"}"], "its receiver says nothing"),
        ];
        for (source, chunks, expected) in cases {
            let reason = reason(source, chunks);
            assert!(reason.contains(expected), "{source}: {reason}");
        }
    }

    #[test]
    fn a_protocol_is_recognised_at_its_own_rate() {
        let mut foreign = Foreign::default();
        foreign.note(&[0x80; 5_000]);
        foreign.end_of_rate();
        foreign.note(&b"\xB5\x62\x01\x07".repeat(2));
        foreign.end_of_rate();
        foreign.note(&[0x80; 5_000]);
        assert!(foreign.reason(&"/dev/gps".parse().expect("a path")).contains("UBX"));
    }
}
