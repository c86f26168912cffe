//! Logs of PX4 flight controllers (<https://docs.px4.io/main/en/dev_log/ulog_file_format>).
//!
//! A file begins with a header. Messages follow, each after its length and a letter: definitions of topics (F),
//! subscriptions that give a topic a number (A), and data (D). `topics` says what the data mean.

mod format;
mod topics;

use std::collections::BTreeMap;
use std::io::Read;

use format::{Format, Subscription};
use topics::{Px4, Topic};

use crate::error::TrackError;
use crate::gather::Gather;
use crate::layout::Row;
use crate::pictures::Picture;
use crate::report::{Note, Skip};
use crate::sample::Sample;
use crate::window::Window;

/// First bytes of a file; the version follows.
pub const MAGIC: [u8; 7] = [0x55, 0x4C, 0x6F, 0x67, 0x01, 0x12, 0x35];
/// Length in bytes of the header: the magic bytes, the version and the time of the start.
const HEADER: usize = 16;
/// Bytes before a message: its length (2) and its letter.
const BEFORE: usize = 3;
/// A complete sync message. It stands in the log about every half second, so that a reader finds back.
const SYNC: [u8; 11] = [0x08, 0x00, b'S', 0x2F, 0x73, 0x13, 0x20, 0x25, 0x0C, 0xBB, 0x12];
/// Letters of all messages.
const LETTERS: &[u8] = b"ABCDFILMOPQRS";
/// Number of subscriptions that are kept. Only instances of the few known topics are.
const SUBSCRIPTIONS_MAX: usize = 64;

/// Reads a log.
pub fn read(window: &mut Window<impl Read>, gather: &mut Gather) -> Result<(Vec<Sample>, Vec<Picture>), TrackError> {
    let mut log = Log::new(gather);
    if window.peek(HEADER)?.len() < HEADER {
        gather.note(Note::EndsEarly);
    }
    window.consume(HEADER);
    while log.step(window, gather)? {}
    log.px4.finish(gather)
}

struct Log {
    formats: BTreeMap<Topic, Format>,
    subscriptions: BTreeMap<u16, Subscription>,
    /// Places in the file where data were appended, after a message that may be torn.
    appended: [u64; 3],
    px4: Px4,
}

impl Log {
    fn new(gather: &Gather) -> Self {
        Log { formats: BTreeMap::new(), subscriptions: BTreeMap::new(), appended: [0; 3], px4: Px4::new(gather) }
    }

    /// Reads the next message. Returns whether there may be more.
    fn step(&mut self, window: &mut Window<impl Read>, gather: &mut Gather) -> Result<bool, TrackError> {
        let position = window.position();
        let Some(&[low, high, letter]) = window.peek(BEFORE)?.first_chunk() else {
            if !window.peek(1)?.is_empty() {
                gather.note(Note::EndsEarly);
            }
            return Ok(false);
        };
        let end = BEFORE + usize::from(u16::from_le_bytes([low, high]));
        if let Some(torn) = self.appended_within(position, end) {
            window.consume(torn);
            return Ok(true);
        }
        if !LETTERS.contains(&letter) {
            gather.skip(Skip::Unreadable);
            return find_sync(window);
        }
        let Some(message) = window.peek(end)?.get(BEFORE..end) else {
            gather.note(Note::EndsEarly);
            return Ok(false);
        };
        self.hear(letter, message, gather)?;
        window.consume(end);
        Ok(true)
    }

    /// Returns the bytes before appended data that begin within a message of `length` bytes, which is torn then.
    fn appended_within(&self, position: u64, length: usize) -> Option<usize> {
        let starts = self.appended.iter().filter_map(|start| start.checked_sub(position));
        let torn = starts.filter(|bytes| *bytes > 0 && *bytes < length as u64).min()?;
        usize::try_from(torn).ok()
    }

    fn hear(&mut self, letter: u8, message: &[u8], gather: &mut Gather) -> Result<(), TrackError> {
        match letter {
            b'B' => self.hear_flags(message, gather)?,
            b'F' => self.hear_format(message),
            b'A' => self.hear_subscription(message),
            b'R' => self.hear_removal(message),
            b'D' => self.hear_data(message, gather)?,
            _ => (),
        }
        Ok(())
    }

    /// Reads the flags: 8 bytes that a reader may ignore, 8 bytes that it may not, and three places of appended data.
    fn hear_flags(&mut self, message: &[u8], gather: &Gather) -> Result<(), TrackError> {
        const APPENDED: u8 = 1;
        let Some((flags, places)) = message.split_at_checked(16) else { return Ok(()) };
        let is_unknown = flags[8] & !APPENDED != 0 || flags[9..].iter().any(|byte| *byte != 0);
        if is_unknown {
            return Err(gather.malformed("a newer version of the format, which this program does not know"));
        }
        for (start, place) in self.appended.iter_mut().zip(places.as_chunks::<8>().0) {
            *start = u64::from_le_bytes(*place);
        }
        Ok(())
    }

    fn hear_format(&mut self, message: &[u8]) {
        let text = str::from_utf8(message).unwrap_or_default();
        if let Some((topic, format)) = text.split_once(':').and_then(|(name, fields)| {
            let topic = Topic::named(name)?;
            Some((topic, Format::read(fields)))
        }) {
            self.formats.insert(topic, format);
        }
    }

    /// Reads a subscription: instance, number, and name of the topic. Only the first instance of a topic is read.
    fn hear_subscription(&mut self, message: &[u8]) {
        let Some(([instance, low, high], name)) = message.split_first_chunk() else { return };
        let number = u16::from_le_bytes([*low, *high]);
        self.subscriptions.remove(&number);
        let topic = str::from_utf8(name).ok().and_then(Topic::named).filter(|_| *instance == 0);
        if let Some(format) = topic.and_then(|topic| self.formats.get(&topic).cloned().map(|format| (topic, format)))
            && self.subscriptions.len() < SUBSCRIPTIONS_MAX
        {
            self.subscriptions.insert(number, Subscription { topic: format.0, format: format.1 });
        }
    }

    fn hear_removal(&mut self, message: &[u8]) {
        if let Some(number) = message.first_chunk() {
            self.subscriptions.remove(&u16::from_le_bytes(*number));
        }
    }

    fn hear_data(&mut self, message: &[u8], gather: &mut Gather) -> Result<(), TrackError> {
        let Some((number, fields)) = message.split_first_chunk() else { return Ok(()) };
        match self.subscriptions.get(&u16::from_le_bytes(*number)) {
            Some(Subscription { topic, format }) => {
                self.px4.hear(*topic, &Row::Bytes { columns: format.columns(), fields }, gather)
            }
            None => Ok(()),
        }
    }
}

/// Moves after the next sync message. Returns whether there is one.
fn find_sync(window: &mut Window<impl Read>) -> Result<bool, TrackError> {
    loop {
        let bytes = window.peek(4 * 1024)?;
        if let Some(at) = memchr::memmem::find(bytes, &SYNC) {
            window.consume(at + SYNC.len());
            return Ok(true);
        }
        let count = bytes.len();
        if count < SYNC.len() {
            window.consume(count);
            return Ok(false);
        }
        // The last bytes may be the beginning of one.
        window.consume(count - (SYNC.len() - 1));
    }
}

#[cfg(test)]
mod tests;
