//! Devices that speak on a line: the first letters of a sentence name one.

/// Kind of device that sent a sentence, the most trusted for a position first.
///
/// If two talkers report the same moment, the position of the more trusted one counts. A navigation computer or an
/// instrument (IN, II, ...) repeats what a receiver said, later and rounded, or adds its own guesses; it counts only
/// while no receiver has a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Talker {
    /// GN: a receiver's solution from several satellite systems.
    Combined,
    /// GP, and u-blox's own sentences.
    Gps,
    /// Another single satellite system.
    System,
    /// Any other device.
    Other,
}

/// Talkers of satellite systems beside GN and GP: GLONASS, Galileo, BeiDou, QZSS, NavIC.
const SYSTEMS: [&[u8; 2]; 7] = [b"GL", b"GA", b"GB", b"BD", b"GQ", b"QZ", b"GI"];

impl Talker {
    /// Returns the talker with these two letters. `None` for letters that begin a manufacturer's own sentence (P), and
    /// for what is no talker at all. A user may give a device U0 to U9.
    pub fn named(letters: &[u8]) -> Option<Self> {
        match letters {
            b"GN" => Some(Talker::Combined),
            b"GP" => Some(Talker::Gps),
            [b'P', _] => None,
            [b'U', b'0'..=b'9'] => Some(Talker::Other),
            [b'A'..=b'Z', b'A'..=b'Z'] if SYSTEMS.iter().any(|known| *known == letters) => Some(Talker::System),
            [b'A'..=b'Z', b'A'..=b'Z'] => Some(Talker::Other),
            _ => None,
        }
    }

    /// Returns the talker of a sentence. u-blox's own sentences are those of a receiver.
    pub fn of(text: &[u8]) -> Option<Self> {
        match text {
            [b'P', b'U', b'B', b'X', ..] => Some(Talker::Gps),
            [first, second, ..] => Self::named(&[*first, *second]),
            _ => None,
        }
    }

    /// Reports whether the talker is a satellite receiver.
    pub fn is_receiver(self) -> bool {
        self != Talker::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_letters_but_those_of_manufacturers_is_a_talker() {
        let cases: [(&[u8], Option<Talker>); 12] = [
            (b"GN", Some(Talker::Combined)),
            (b"GP", Some(Talker::Gps)),
            (b"BD", Some(Talker::System)),
            (b"GI", Some(Talker::System)),
            (b"IN", Some(Talker::Other)),
            (b"II", Some(Talker::Other)),
            (b"U7", Some(Talker::Other)),
            (b"PU", None),
            (b"PG", None),
            (b"G1", None),
            (b"gp", None),
            (b"G", None),
        ];
        for (letters, expected) in cases {
            assert_eq!(Talker::named(letters), expected, "{}", String::from_utf8_lossy(letters));
        }
        assert!(Talker::Gps.is_receiver() && !Talker::Other.is_receiver());
        assert!(Talker::Combined < Talker::Gps && Talker::Gps < Talker::System && Talker::System < Talker::Other);
    }
}
