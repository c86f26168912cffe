//! Cuts sentences out of bytes: from `$` to the checksum.

use memchr::memchr2;

/// Maximum length in bytes of the text between `$` and `*` that is kept. The standard allows 82 bytes including the
/// line end; receivers that write centimetres or many satellites send up to about 115.
const LENGTH_MAX: usize = 120;

/// Maximum length in bytes of the text of a sentence. u-blox's list of satellites (PUBX,03) is longer than
/// [`LENGTH_MAX`]; it is checked, but only its beginning is kept.
const CHECKED_MAX: usize = 2_048;

/// Splitter that waits for `$` (or `!`), collects up to `*`, and verifies the checksum. A new start or a byte that is
/// not text drops the sentence in progress. The line end is not needed.
#[derive(Debug)]
pub struct Framer {
    text: [u8; LENGTH_MAX],
    /// Length of the sentence so far, of which the first `LENGTH_MAX` bytes are kept.
    length: usize,
    checksum: u8,
    state: State,
    broken: u64,
}

/// Text of a sentence between its start and `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    pub bytes: &'a [u8],
    /// Whether the bytes are the whole text. Otherwise they are its beginning.
    pub is_whole: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Outside,
    Text,
    /// Before the first digit of the checksum.
    First,
    /// Before the second digit of the checksum; the first one is the upper half.
    Second(u8),
}

enum Step {
    More,
    Done,
    Broken,
}

impl Default for Framer {
    fn default() -> Self {
        Framer { text: [0; LENGTH_MAX], length: 0, checksum: 0, state: State::Outside, broken: 0 }
    }
}

impl Framer {
    /// Calls `sentence` with the text of every sentence with a correct checksum.
    pub fn push(&mut self, bytes: &[u8], mut sentence: impl FnMut(Text)) {
        let mut rest = bytes;
        loop {
            if matches!(self.state, State::Outside) {
                let Some(start) = memchr2(b'$', b'!', rest) else { return };
                self.begin();
                rest = &rest[start + 1..];
            }
            let Some((&byte, after)) = rest.split_first() else { return };
            match self.step(byte) {
                Step::More => rest = after,
                Step::Done => {
                    sentence(self.text());
                    self.state = State::Outside;
                    rest = after;
                }
                // The same byte is examined again, because it may be the next start.
                Step::Broken => {
                    self.state = State::Outside;
                    self.broken += 1;
                }
            }
        }
    }

    /// Returns the number of sentences that were begun and dropped.
    pub fn broken(&self) -> u64 {
        self.broken
    }

    fn text(&self) -> Text<'_> {
        Text { bytes: &self.text[..self.length.min(LENGTH_MAX)], is_whole: self.length <= LENGTH_MAX }
    }

    fn begin(&mut self) {
        (self.length, self.checksum) = (0, 0);
        self.state = State::Text;
    }

    fn step(&mut self, byte: u8) -> Step {
        match self.state {
            State::Outside => Step::Broken,
            State::Text => self.collect(byte),
            State::First => match hex(byte) {
                Some(digit) => self.next(State::Second(digit << 4)),
                None => Step::Broken,
            },
            State::Second(upper) => match hex(byte) {
                Some(digit) if upper | digit == self.checksum => Step::Done,
                _ => Step::Broken,
            },
        }
    }

    fn collect(&mut self, byte: u8) -> Step {
        match byte {
            b'*' => self.next(State::First),
            b'$' | b'!' => Step::Broken,
            b' '..=b'~' if self.length < CHECKED_MAX => {
                if let Some(place) = self.text.get_mut(self.length) {
                    *place = byte;
                }
                self.length += 1;
                self.checksum ^= byte;
                Step::More
            }
            _ => Step::Broken,
        }
    }

    fn next(&mut self, state: State) -> Step {
        self.state = state;
        Step::More
    }
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(chunks: &[&[u8]]) -> (Vec<String>, u64) {
        let (mut framer, mut found) = (Framer::default(), Vec::new());
        for chunk in chunks {
            framer.push(chunk, |text| found.push(String::from_utf8(text.bytes.to_vec()).expect("text")));
        }
        (found, framer.broken())
    }

    #[test]
    fn finds_sentences_between_anything_else() {
        let cases: [(&[u8], &[&str], u64); 9] = [
            (b"$GPTXT,a*02\r\n", &["GPTXT,a"], 0),
            (b"$GPTXT,a*02$GPTXT,a*02", &["GPTXT,a", "GPTXT,a"], 0),
            (b"\xff\0noise*12$GPTXT,a*02", &["GPTXT,a"], 0),
            (b"!GPTXT,a*02", &["GPTXT,a"], 0),
            (b"$GPTX$GPTXT,a*02", &["GPTXT,a"], 1),
            (b"$GPTXT,a*03\r\n", &[], 1),
            (b"$GPTXT,a*0$GPTXT,a*02", &["GPTXT,a"], 1),
            (b"$GPTXT\x80,a*02", &[], 1),
            (b"$GPTXT,a\r\n", &[], 1),
        ];
        for (bytes, expected, broken) in cases {
            let text = String::from_utf8_lossy(bytes).into_owned();
            assert_eq!(sentences(&[bytes]), (expected.iter().map(ToString::to_string).collect(), broken), "{text}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_given_up() {
        let endless = [&b"$"[..], &vec![b'x'; 1_000_000]].concat();
        assert_eq!(sentences(&[&endless, b"$GPTXT,a*02"]), (vec!["GPTXT,a".to_owned()], 1));
    }
    #[test]
    fn a_long_sentence_is_checked_but_not_kept() {
        let long = |length: usize| {
            let text = "PUBX,03,".chars().chain(std::iter::repeat_n('7', length - 8)).collect::<String>();
            let sum = text.bytes().fold(0, |sum, byte| sum ^ byte);
            format!("${text}*{sum:02X}").into_bytes()
        };
        for (length, kept) in [(LENGTH_MAX, true), (LENGTH_MAX + 1, false), (CHECKED_MAX, false)] {
            let (mut framer, mut found) = (Framer::default(), Vec::new());
            framer.push(&long(length), |text| found.push((text.bytes.len(), text.is_whole)));
            assert_eq!((found, framer.broken()), (vec![(LENGTH_MAX, kept)], 0), "{length}");
        }
        assert_eq!(sentences(&[&long(CHECKED_MAX + 1)]), (vec![], 1));
    }
}
