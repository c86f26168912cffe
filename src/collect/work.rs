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
pub struct Work {
    messages: Vec<Message>,
    pieces: VecDeque<Piece>,
    /// Single messages that the database refused, as it does the sample.
    deferred: VecDeque<Piece>,
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
        let pieces = VecDeque::from([Piece::new(0..messages.len(), 0)]);
        Work { messages, pieces, deferred: VecDeque::new(), stored: Stored::default() }
    }

    /// Stores what is left. After an error the database is to be opened anew, and this to be called again.
    pub fn go_on(&mut self, store: &mut dyn Store, sample: &mut Sample) -> Result<(), StoreError> {
        while let Some(piece) = self.pieces.pop_front() {
            let done = match &piece.condemned {
                Some(reason) => self.set_aside(&piece, reason, store),
                None => store.write(&self.messages[piece.range.clone()]),
            };
            match done {
                Ok(stored) => self.note(&piece, stored, sample),
                Err(error) => self.failed(piece, error, store, sample)?,
            }
        }
        Ok(())
    }

    fn note(&mut self, piece: &Piece, stored: Stored, sample: &mut Sample) {
        let is_stored = piece.condemned.is_none() && stored.set_aside.is_empty();
        if is_stored && sample.learn(&self.messages[piece.range.clone()]) {
            self.pieces.append(&mut self.deferred);
        }
        self.stored.written += stored.written;
        self.stored.set_aside.extend(stored.set_aside);
    }

    fn failed(
        &mut self,
        piece: Piece,
        error: StoreError,
        store: &mut dyn Store,
        sample: &Sample,
    ) -> Result<(), StoreError> {
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
    ) -> Result<(), StoreError> {
        let tried = store.probe(&sample.0);
        match tried {
            Ok(()) if piece.is_single() => {
                self.pieces.push_front(Piece { condemned: Some(Reason::of(error)), ..piece });
                Ok(())
            }
            // The owner's rules may refuse the sample and some of these, and take the others.
            Err(probe) if probe.is_about_a_row() && piece.is_single() => self.defer(piece, probe),
            Err(probe) if !probe.is_about_a_row() => {
                self.pieces.push_front(piece);
                Err(probe.unsuitable())
            }
            _ => {
                piece.halves(0).into_iter().rev().for_each(|half| self.pieces.push_front(half));
                Ok(())
            }
        }
    }

    /// Waits until it is known whether the database takes any event.
    fn defer(&mut self, piece: Piece, error: StoreError) -> Result<(), StoreError> {
        self.deferred.push_back(piece);
        match self.pieces.is_empty() {
            false => Ok(()),
            true => {
                self.pieces.append(&mut self.deferred);
                Err(error)
            }
        }
    }

    /// The database may be to blame as well. Others go first, so that it is seen whether it takes them.
    fn suspect(
        &mut self,
        piece: Piece,
        error: StoreError,
        store: &mut dyn Store,
        sample: &Sample,
    ) -> Result<(), StoreError> {
        if error.is_usable_after()
            && let Err(probe) = store.probe(&sample.0)
        {
            self.pieces.push_front(piece);
            return Err(probe.unsuitable());
        }
        let strikes = piece.strikes + 1;
        match piece.is_single() {
            true if strikes >= STRIKES_ALONE => {
                self.pieces.push_back(Piece { condemned: Some(Reason::of(&error)), ..piece });
            }
            false if strikes >= STRIKES_OF_A_GROUP => self.pieces.extend(piece.halves(STRIKES_OF_A_GROUP - 1)),
            _ => self.pieces.push_back(Piece { strikes, ..piece }),
        }
        Err(error)
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
