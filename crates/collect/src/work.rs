//! A group of messages on its way into the database, and which of them is to blame when that fails.
//!
//! A message that the database refuses is found by halving the group, and set aside once the database has been seen to take
//! others. A message at which the connection breaks, or whose error may as well come from the server's state, is only
//! suspected: it is set aside when it fails three times in a row by itself, on a database that works otherwise.

use std::collections::VecDeque;
use std::ops::Range;

use super::store::{Blame, Store, StoreError, Stored};
use super::{Event, Message, Refused, tables};

/// Failures in a row, of unclear cause, after which a group is halved.
const STRIKES_OF_A_GROUP: u32 = 2;
/// The same, after which a single message is set aside.
const STRIKES_ALONE: u32 = 3;

/// What the database is tried with: the last event that it took, or one that no device sends.
pub struct Sample(pub Event);

impl Default for Sample {
    fn default() -> Self {
        Sample(tables::sample())
    }
}

impl Sample {
    /// From messages that were stored; false if there is no event among them.
    fn learn(&mut self, messages: &[Message]) -> bool {
        let event = messages.iter().rev().find_map(Message::as_event);
        event.map(|event| self.0.clone_from(event)).is_some()
    }
}

/// Messages of which some may be stored.
#[derive(Default)]
pub struct Work {
    messages: Vec<Message>,
    pieces: VecDeque<Piece>,
    /// Single messages that the database refused, as it does the sample.
    deferred: VecDeque<Piece>,
    /// What failed for unclear reasons in this round.
    suspects: VecDeque<Piece>,
    pub stored: Stored,
}

#[derive(Clone, Debug)]
struct Piece {
    range: Range<usize>,
    strikes: u32,
    /// To be set aside instead of stored.
    condemned: Option<Reason>,
}

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

    /// Both with the strikes of a piece that has failed before: they are halved again at their first failure.
    fn halves(self, strikes: u32) -> [Piece; 2] {
        let middle = self.range.start + self.range.len() / 2;
        [self.range.start..middle, middle..self.range.end].map(|range| Piece::new(range, strikes))
    }
}

impl Work {
    pub fn new(messages: Vec<Message>) -> Self {
        let mut work = Work::default();
        work.add(messages);
        work
    }

    /// Takes more messages along.
    pub fn add(&mut self, messages: Vec<Message>) {
        let begin = self.messages.len();
        self.messages.extend(messages);
        if begin < self.messages.len() {
            self.pieces.push_front(Piece::new(begin..self.messages.len(), 0));
        }
    }

    /// Stores what is left. After an error the database is to be opened anew, and this to be called again.
    pub fn go_on(&mut self, store: &mut dyn Store, sample: &mut Sample) -> Result<(), StoreError> {
        // Some time has passed since these were tried.
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

    fn note(&mut self, piece: &Piece, stored: Stored, sample: &mut Sample) {
        let is_stored = piece.condemned.is_none() && stored.set_aside.is_empty();
        if is_stored && sample.learn(&self.messages[piece.range.clone()]) {
            // Now that another event was taken, those count as refused once more.
            let deferred = self.deferred.drain(..);
            self.pieces.extend(deferred.map(|piece| Piece { strikes: piece.strikes + 1, ..piece }));
        }
        self.stored.written += stored.written;
        self.stored.set_aside.extend(stored.set_aside);
    }

    /// Decides what becomes of a piece that was not stored. An error ends this round; one that is given back lets it go on.
    fn failed(
        &mut self,
        piece: Piece,
        error: StoreError,
        store: &mut dyn Store,
        sample: &Sample,
    ) -> Result<Option<StoreError>, StoreError> {
        if piece.condemned.is_some() {
            // Not even that could be stored: it is the database.
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

    /// The database refused values of this piece.
    fn refuse(
        &mut self,
        piece: Piece,
        error: &StoreError,
        store: &mut dyn Store,
        sample: &Sample,
    ) -> Result<Option<StoreError>, StoreError> {
        match store.probe(&sample.0) {
            // The owner's rules may refuse the sample and some of these, and take the others: that is to be seen first.
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

    /// The database may be to blame as well. Others go first, so that it is seen whether it takes them.
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

    /// Stores the refusal of a single message; if that cannot be stored either, what is known of it.
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

    /// What the database does at a message.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Manner {
        Takes,
        Refuses,
        /// A rule of its owner; the sample that no device sends meets it too.
        Rule,
        /// The connection breaks.
        Breaks,
        /// An error that the state of the server may have caused.
        Doubts,
    }

    /// A database whose manners are told by the ids of events.
    struct Fake {
        stored: BTreeSet<String>,
        refused: BTreeSet<String>,
        is_open: bool,
        random: Random,
        /// Of 100 calls, those that fail for reasons of the server.
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

    /// Calls until all is done; gives the number of calls that ended with an error.
    fn finish(work: &mut Work, fake: &mut Fake, sample: &mut Sample) -> u32 {
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
            let mut work = Work::new(messages.clone());
            if seed % 3 > 0 {
                messages.push(event("good", count));
                work.add(messages[count..].to_vec());
                finish(&mut work, &mut fake, &mut Sample::default());
            } else if !(0..200).any(|_| fake.opened(|fake| work.go_on(fake, &mut Sample::default()).is_ok())) {
                // Without an event that is taken, nobody knows whether any would be.
                continue;
            }
            for message in &messages {
                let event = message.as_event().expect("all are events");
                let (is_good, topic) = (event.id.starts_with("good"), format!("{}/capture/result", event.source));
                // Three outages in a row at one message cannot be told from its own fault: it is set aside with all it has.
                let is_kept = fake.stored.contains(&event.id) || (fake.outages > 0 && fake.refused.contains(&topic));
                assert!(if is_good { is_kept } else { fake.refused.contains(&topic) }, "seed {seed}: {}", event.id);
            }
        }
    }

    #[test]
    fn one_message_that_breaks_the_connection_costs_few_attempts() {
        let messages = (0..500).map(|number| event(if number == 333 { "breaks" } else { "good" }, number)).collect();
        let (mut work, mut fake) = (Work::new(messages), Fake::new(1, 0));
        let failures = finish(&mut work, &mut fake, &mut Sample::default());
        assert!(failures <= 13, "{failures} broken connections");
        assert_eq!((fake.stored.len(), fake.refused.len()), (499, 1));
    }

    #[test]
    fn a_database_that_takes_nothing_holds_everything() {
        let mut fake = Fake::new(1, 0);
        fake.takes_nothing = true;
        let (mut work, mut sample) =
            (Work::new((0..9).map(|number| event("good", number)).collect()), Sample::default());
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
            (Work::new((0..9).map(|number| event("rule", number)).collect()), Sample::default());
        for _ in 0..20 {
            work.go_on(&mut fake, &mut sample).expect_err("held");
        }
        assert!(fake.refused.is_empty());
        // Another event passes: it is not the database.
        work.add(vec![event("good", 10)]);
        finish(&mut work, &mut fake, &mut sample);
        assert_eq!((fake.stored.len(), fake.refused.len()), (1, 9));
    }

    #[test]
    fn what_cannot_even_be_stored_as_refused_is_kept_reduced() {
        let mut fake = Fake::new(1, 0);
        fake.takes_refused = false;
        let mut work = Work::new(vec![event("good", 1), event("refuses", 2)]);
        finish(&mut work, &mut fake, &mut Sample::default());
        assert_eq!((fake.stored.len(), fake.refused.len()), (1, 1));
    }
}
