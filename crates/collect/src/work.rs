//! A group of messages on its way into the database, and the search for the one to blame when that fails.
//!
//! A message that the database refuses is found by halving the group; it is set aside once the database has accepted
//! others. A message that breaks the connection, or whose error may come from the server's state, is only suspected: it
//! is set aside after three failures in a row by itself, on a database that otherwise works.

use std::collections::VecDeque;
use std::ops::Range;

use crate::error::{Blame, StoreError};
use crate::message::{Event, Message, Refused};
use crate::store::{Store, Stored};
use crate::tables;

/// Number of failures in a row, of unclear cause, after which a group is halved.
const STRIKES_OF_A_GROUP: u32 = 2;
/// Number of failures in a row, of unclear cause, after which a single message is set aside.
const STRIKES_ALONE: u32 = 3;

/// The event that tests the database: the last one that it accepted, or at first one that no device sends.
pub struct Sample(pub Event);

impl Default for Sample {
    fn default() -> Self {
        Sample(tables::sample())
    }
}

impl Sample {
    /// Takes the last event of stored messages as the sample. Returns false if there is no event among them.
    fn learn(&mut self, messages: &[Message]) -> bool {
        let event = messages.iter().rev().find_map(Message::as_event);
        event.map(|event| self.0.clone_from(event)).is_some()
    }
}

/// A group of messages, some of which may be stored already.
#[derive(Default)]
pub struct MessageGroup {
    messages: Vec<Message>,
    pieces: VecDeque<Piece>,
    /// Single messages that the database refused, as it refuses the sample.
    deferred: VecDeque<Piece>,
    /// Pieces that failed for unclear reasons in this round.
    suspects: VecDeque<Piece>,
    /// Result of the calls of [`MessageGroup::go_on`] since the caller last took it.
    pub stored: Stored,
}

/// A range of messages that are stored in one transaction.
#[derive(Clone, Debug)]
struct Piece {
    range: Range<usize>,
    /// Number of failures in a row.
    strikes: u32,
    /// The reason to set the message aside instead of storing it.
    condemned: Option<Reason>,
}

/// The database's reason for refusing a message.
#[derive(Clone, Debug)]
struct Reason {
    text: String,
    sqlstate: Option<String>,
}

impl Reason {
    fn of(error: &StoreError) -> Self {
        let text = format!("the database cannot store it: {}", error.reason());
        Reason { text, sqlstate: error.sqlstate().map(str::to_owned) }
    }
}

impl Piece {
    fn new(range: Range<usize>, strikes: u32) -> Self {
        Piece { range, strikes, condemned: None }
    }

    fn is_single(&self) -> bool {
        self.range.len() == 1
    }

    /// Halves the piece. Both halves start with `strikes`, those of a failed piece: they are halved again at their
    /// first failure.
    fn halves(self, strikes: u32) -> [Piece; 2] {
        let middle = self.range.start + self.range.len() / 2;
        [self.range.start..middle, middle..self.range.end].map(|range| Piece::new(range, strikes))
    }
}

impl MessageGroup {
    /// Starts with the given messages, none of which is stored.
    pub fn new(messages: Vec<Message>) -> Self {
        let mut work = MessageGroup::default();
        work.add(messages);
        work
    }

    /// Adds more messages to the group; they are stored first.
    pub fn add(&mut self, messages: Vec<Message>) {
        let begin = self.messages.len();
        self.messages.extend(messages);
        if begin < self.messages.len() {
            self.pieces.push_front(Piece::new(begin..self.messages.len(), 0));
        }
    }

    /// Stores the remaining messages. After an error, the caller must reopen the database and call this again.
    pub fn go_on(&mut self, store: &mut dyn Store, sample: &mut Sample) -> Result<(), StoreError> {
        // Time has passed since these were last tried.
        self.pieces.append(&mut self.suspects);
        self.pieces.append(&mut self.deferred);
        let mut doubt = None;
        while let Some(piece) = self.pieces.pop_front() {
            let done = match &piece.condemned {
                Some(reason) => self.set_aside(&piece, reason, store),
                None => store.write(&self.messages[piece.range.clone()]),
            };
            match done {
                Ok(stored) => self.note(&piece, stored, sample),
                Err(error) => doubt = self.failed(piece, error, store, sample)?.or(doubt),
            }
        }
        match doubt {
            Some(error) if !(self.suspects.is_empty() && self.deferred.is_empty()) => Err(error),
            _ => Ok(()),
        }
    }

    /// Records the result of a stored piece, and makes the sample from its last event.
    fn note(&mut self, piece: &Piece, stored: Stored, sample: &mut Sample) {
        let is_stored = piece.condemned.is_none() && stored.set_aside.is_empty();
        if is_stored && sample.learn(&self.messages[piece.range.clone()]) {
            // The database has accepted another event, so the deferred pieces count as refused again.
            let deferred = self.deferred.drain(..);
            self.pieces.extend(deferred.map(|piece| Piece { strikes: piece.strikes + 1, ..piece }));
        }
        self.stored.written += stored.written;
        self.stored.set_aside.extend(stored.set_aside);
    }

    /// Decides what happens to a piece that was not stored. `Err` ends this round; a returned error lets it continue.
    fn failed(
        &mut self,
        piece: Piece,
        error: StoreError,
        store: &mut dyn Store,
        sample: &Sample,
    ) -> Result<Option<StoreError>, StoreError> {
        if piece.condemned.is_some() {
            // Not even the refusal could be stored, so the database is to blame.
            self.pieces.push_back(Piece::new(piece.range, 1));
            return Err(error);
        }
        match error.blame() {
            Blame::Database => {
                self.pieces.push_front(piece);
                Err(error)
            }
            Blame::Unclear => self.suspect(piece, error, store, sample),
            Blame::Message => self.refuse(piece, &error, store, sample),
        }
    }

    /// Handles a piece whose values the database refused: halves it, defers it, or condemns its single message.
    fn refuse(
        &mut self,
        piece: Piece,
        error: &StoreError,
        store: &mut dyn Store,
        sample: &Sample,
    ) -> Result<Option<StoreError>, StoreError> {
        match store.probe(&sample.0) {
            // The owner's rules may refuse the sample and some of these messages, yet accept others: try those first.
            Err(probe) if probe.is_about_a_row() && piece.is_single() && piece.strikes < STRIKES_ALONE => {
                self.deferred.push_back(piece);
                return Ok(Some(probe));
            }
            Err(probe) if !probe.is_about_a_row() => {
                self.pieces.push_front(piece);
                return Err(probe.unsuitable());
            }
            _ if piece.is_single() => {
                self.pieces.push_front(Piece { condemned: Some(Reason::of(error)), ..piece });
            }
            _ => piece.halves(0).into_iter().rev().for_each(|half| self.pieces.push_front(half)),
        }
        Ok(None)
    }

    /// Handles a piece whose failure may be the database's fault. Other pieces go first, to show whether the database
    /// accepts them.
    fn suspect(
        &mut self,
        piece: Piece,
        error: StoreError,
        store: &mut dyn Store,
        sample: &Sample,
    ) -> Result<Option<StoreError>, StoreError> {
        let is_usable = error.is_usable_after();
        if is_usable
            && let Err(probe) = store.probe(&sample.0)
            && !probe.is_about_a_row()
        {
            self.pieces.push_front(piece);
            return Err(probe.unsuitable());
        }
        let strikes = piece.strikes + 1;
        let queue = if is_usable { &mut self.suspects } else { &mut self.pieces };
        match piece.is_single() {
            true if strikes >= STRIKES_ALONE => {
                queue.push_back(Piece { condemned: Some(Reason::of(&error)), ..piece });
            }
            false if strikes >= STRIKES_OF_A_GROUP => queue.extend(piece.halves(STRIKES_OF_A_GROUP - 1)),
            _ => queue.push_back(Piece { strikes, ..piece }),
        }
        if is_usable { Ok(Some(error)) } else { Err(error) }
    }

    /// Stores the refusal of a single message. If the database refuses that too, stores a reduced version.
    fn set_aside(&self, piece: &Piece, reason: &Reason, store: &mut dyn Store) -> Result<Stored, StoreError> {
        let refused = self.messages[piece.range.start].refused(&reason.text, reason.sqlstate.as_deref());
        let mut write = |refused: &Refused| store.write(&[Message::Refused(refused.clone())]);
        let written = match write(&refused) {
            Err(error) if error.blame() == Blame::Message => write(&refused.reduced())?.written,
            written => written?.written,
        };
        Ok(Stored { written, set_aside: vec![refused] })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;
    use std::time::Duration;

    use rusqlite::ffi;

    use bridgeclip_random::Random;

    use super::*;
    use crate::{Report, Written};

    /// Behaviour of the fake database for one message.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Manner {
        Takes,
        Refuses,
        /// Refuses it by a rule of the database's owner, which also refuses the sample.
        Rule,
        /// Breaks the connection.
        Breaks,
        /// Reports an error that the server's state may have caused.
        Doubts,
    }

    /// A database that treats each event as its id says.
    struct Fake {
        stored: BTreeSet<String>,
        refused: BTreeSet<String>,
        is_open: bool,
        random: Random,
        /// Percentage of calls that fail for reasons of the server.
        outages: usize,
        takes_refused: bool,
        takes_nothing: bool,
        calls: u32,
    }

    impl Fake {
        fn new(seed: u64, outages: usize) -> Self {
            let (takes_refused, takes_nothing) = (true, false);
            let random = Random::new(&[seed]);
            let (stored, refused) = Default::default();
            Fake { stored, refused, is_open: true, random, outages, takes_refused, takes_nothing, calls: 0 }
        }

        fn opened<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
            self.is_open = true;
            work(self)
        }

        fn take(&mut self, messages: &[Message]) -> Result<(), StoreError> {
            self.calls += 1;
            assert!(self.is_open, "a connection that is broken is not used on");
            if self.random.below(100) < self.outages {
                return Err(match self.random.below(3) {
                    0 => sqlite(ffi::SQLITE_BUSY),
                    1 => sqlite(ffi::SQLITE_FULL),
                    _ => self.lost(),
                });
            }
            for message in messages {
                match message {
                    Message::Event(event) => match manner(&event.id, &event.source) {
                        _ if self.takes_nothing => return Err(sqlite(ffi::SQLITE_ERROR)),
                        Manner::Takes => (),
                        Manner::Refuses => return Err(sqlite(ffi::SQLITE_TOOBIG)),
                        Manner::Rule => return Err(sqlite(ffi::SQLITE_CONSTRAINT_TRIGGER)),
                        Manner::Breaks => return Err(self.lost()),
                        Manner::Doubts => return Err(sqlite(ffi::SQLITE_IOERR)),
                    },
                    Message::Refused(refused) if !self.takes_refused && !refused.payload.is_empty() => {
                        return Err(sqlite(ffi::SQLITE_TOOBIG));
                    }
                    _ => (),
                }
            }
            Ok(())
        }

        fn lost(&mut self) -> StoreError {
            self.is_open = false;
            StoreError::TimedOut { name: "fake".to_owned(), limit: Duration::ZERO }
        }
    }

    impl Store for Fake {
        fn write(&mut self, messages: &[Message]) -> Result<Stored, StoreError> {
            self.take(messages)?;
            for message in messages {
                match message {
                    Message::Event(event) => _ = self.stored.insert(event.id.clone()),
                    Message::Refused(refused) => _ = self.refused.insert(refused.topic.clone()),
                    Message::Thumbnail(_) => unreachable!("none is sent"),
                }
            }
            Ok(Stored { written: Written { new: messages.len() as u64, ..Written::default() }, ..Stored::default() })
        }

        fn probe(&mut self, sample: &Event) -> Result<(), StoreError> {
            self.take(&[Message::Event(sample.clone())])
        }

        fn report(&mut self) -> Result<Report, StoreError> {
            unreachable!("not asked for")
        }
    }

    fn sqlite(code: i32) -> StoreError {
        let source = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        StoreError::Sqlite { path: PathBuf::from("fake"), source }
    }

    fn manner(id: &str, source: &str) -> Manner {
        match id.split('-').next() {
            Some("refuses") => Manner::Refuses,
            Some("breaks") => Manner::Breaks,
            Some("doubts") => Manner::Doubts,
            Some("rule") => Manner::Rule,
            _ if source == tables::sample().source => Manner::Rule,
            _ => Manner::Takes,
        }
    }

    fn event(kind: &str, number: usize) -> Message {
        let source = format!("bridge/v1/{kind}/{number}");
        Message::Event(Event { id: format!("{kind}-{number}"), source, ..tables::sample() })
    }

    /// Repeats the work until all is done, and returns the number of rounds that ended with an error.
    fn finish(work: &mut MessageGroup, fake: &mut Fake, sample: &mut Sample) -> u32 {
        for round in 0..10_000 {
            if fake.opened(|fake| work.go_on(fake, sample).is_ok()) {
                return round;
            }
        }
        panic!("it goes on for ever: {:?}", work.pieces);
    }

    #[test]
    fn whatever_the_poison_the_others_are_stored_and_it_is_set_aside() {
        for seed in 0..300 {
            let mut random = Random::new(&[seed]);
            let mut fake = Fake::new(seed + 1_000, seed as usize % 30);
            let kinds = ["good", "good", "good", "refuses", "breaks", "doubts", "rule"];
            let count = 1 + random.below(if seed % 2 == 0 { 500 } else { 8 });
            let poison = 1 + random.below(4) * random.below(100);
            let kind = |random: &mut Random| match random.below(poison) {
                0 => kinds[random.below(kinds.len())],
                _ => "good",
            };
            let mut messages: Vec<Message> = (0..count).map(|number| event(kind(&mut random), number)).collect();
            let mut work = MessageGroup::new(messages.clone());
            if seed % 3 > 0 {
                messages.push(event("good", count));
                work.add(messages[count..].to_vec());
                finish(&mut work, &mut fake, &mut Sample::default());
            } else if !(0..200).any(|_| fake.opened(|fake| work.go_on(fake, &mut Sample::default()).is_ok())) {
                // Without an accepted event, nobody knows whether the database would accept any.
                continue;
            }
            for message in &messages {
                let event = message.as_event().expect("all are events");
                let (is_good, topic) = (event.id.starts_with("good"), format!("{}/capture/result", event.source));
                // Three outages in a row at one message look like the message's own fault: it is set aside with its
                // complete payload.
                let is_kept = fake.stored.contains(&event.id) || (fake.outages > 0 && fake.refused.contains(&topic));
                assert!(if is_good { is_kept } else { fake.refused.contains(&topic) }, "seed {seed}: {}", event.id);
            }
        }
    }

    #[test]
    fn one_message_that_breaks_the_connection_costs_few_attempts() {
        let messages = (0..500).map(|number| event(if number == 333 { "breaks" } else { "good" }, number)).collect();
        let (mut work, mut fake) = (MessageGroup::new(messages), Fake::new(1, 0));
        let failures = finish(&mut work, &mut fake, &mut Sample::default());
        assert!(failures <= 13, "{failures} broken connections");
        assert_eq!((fake.stored.len(), fake.refused.len()), (499, 1));
    }

    #[test]
    fn a_database_that_takes_nothing_holds_everything() {
        let mut fake = Fake::new(1, 0);
        fake.takes_nothing = true;
        let (mut work, mut sample) =
            (MessageGroup::new((0..9).map(|number| event("good", number)).collect()), Sample::default());
        for _ in 0..100 {
            work.go_on(&mut fake, &mut sample).expect_err("held");
        }
        assert!(fake.refused.is_empty() && fake.calls < 1_000, "{} calls", fake.calls);
        fake.takes_nothing = false;
        finish(&mut work, &mut fake, &mut sample);
        assert_eq!(fake.stored.len(), 9);
    }

    #[test]
    fn a_rule_that_refuses_everything_holds_everything() {
        let mut fake = Fake::new(1, 0);
        let (mut work, mut sample) =
            (MessageGroup::new((0..9).map(|number| event("rule", number)).collect()), Sample::default());
        for _ in 0..20 {
            work.go_on(&mut fake, &mut sample).expect_err("held");
        }
        assert!(fake.refused.is_empty());
        // Another event passes, so the database is not to blame.
        work.add(vec![event("good", 10)]);
        finish(&mut work, &mut fake, &mut sample);
        assert_eq!((fake.stored.len(), fake.refused.len()), (1, 9));
    }

    #[test]
    fn what_cannot_even_be_stored_as_refused_is_kept_reduced() {
        let mut fake = Fake::new(1, 0);
        fake.takes_refused = false;
        let mut work = MessageGroup::new(vec![event("good", 1), event("refuses", 2)]);
        finish(&mut work, &mut fake, &mut Sample::default());
        assert_eq!((fake.stored.len(), fake.refused.len()), (1, 1));
    }
}
