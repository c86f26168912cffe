//! A broker with moods. It decides at once, but packets take time to reach it and to return.

use bridgeclip::random::Random;
use bridgeclip::uplink::{Answer, Loss, Signal};

use super::clock::{DAY, HOUR, MINUTE, SECOND};
use super::random::{below, chance};

/// A packet that a device sends.
#[derive(Clone, Debug)]
pub enum Packet {
    Connect,
    Publish {
        number: u16,
        topic: String,
        payload: bytes::Bytes,
    },
    Health,
    Subscribe(u16),
    Ping,
    Disconnect,
    /// The device has dropped the connection.
    Gone,
}

/// The broker's behaviour for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mood {
    Good,
    /// Nothing listens.
    Down,
    /// The broker reads and never answers.
    Silent,
    /// Each answer takes this many microseconds.
    Slow(u64),
    /// The broker denies part of the topics.
    Denies(Part, Way),
    /// Anything may happen to a packet.
    Moody,
    /// The broker accepts everything and forgets this many of a hundred answers.
    Forgetful(u64),
    /// The broker ends each connection after this many packets.
    Closing(u64),
    /// The broker refuses events with certain numbers as wrong, one by one.
    Picky,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part {
    Thumbnails,
    /// Results of this device.
    Results(usize),
    Status,
    Health,
    Everything,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    NotAuthorised,
    Nobody,
    Full,
    Later,
    TopicInvalid,
    Disconnects,
    Closes,
}

const WAYS: [Way; 7] =
    [Way::NotAuthorised, Way::Nobody, Way::Full, Way::Later, Way::TopicInvalid, Way::Disconnects, Way::Closes];

impl Way {
    pub fn ends_connections(self) -> bool {
        matches!(self, Way::Disconnects | Way::Closes)
    }

    fn reply(self, number: Option<u16>) -> Vec<Reply> {
        let answer = match self {
            Way::NotAuthorised => Answer::NotAuthorised,
            Way::Nobody => Answer::NoSubscriber,
            Way::Full => Answer::Busy("full".to_owned()),
            Way::Later => Answer::Later("later".to_owned()),
            Way::TopicInvalid => Answer::Unacceptable("the topic".to_owned()),
            Way::Disconnects => return vec![Reply::End(Loss::Denied("not authorised".to_owned()))],
            Way::Closes => return vec![Reply::End(closed())],
        };
        // Nobody is told that an unanswered message was not accepted.
        number.map(|number| Reply::Signal(Signal::Answered(number, answer))).into_iter().collect()
    }
}

impl Mood {
    /// Draws another mood and its duration in microseconds.
    pub fn draw(random: &mut Random, units: usize) -> (Mood, u64) {
        let mood = match below(random, 16) {
            0..=3 => Mood::Good,
            4 => Mood::Down,
            5 => Mood::Silent,
            6 => Mood::Slow(SECOND * (1 + below(random, 15))),
            7..=10 => Mood::Denies(Part::draw(random, units), WAYS[below(random, WAYS.len() as u64) as usize]),
            11 | 12 => Mood::Moody,
            13 => Mood::Forgetful(10 + below(random, 60)),
            14 => Mood::Closing(2 + below(random, 40)),
            _ => Mood::Picky,
        };
        let longest = if chance(random, 10) { DAY } else { 2 * HOUR };
        (mood, MINUTE + below(random, longest))
    }

    /// Returns how long an urgent result of `unit` may take once the mood is known; `None` if the mood may delay it.
    pub fn urgent_within(self, unit: usize) -> Option<u64> {
        match self {
            Mood::Good => Some(5 * SECOND),
            Mood::Denies(Part::Everything, _) => None,
            Mood::Denies(Part::Results(other), _) if other == unit => None,
            // A device may be offline for a second or two until it has found the cause again.
            Mood::Denies(_, way) if way.ends_connections() => Some(30 * SECOND),
            Mood::Denies(..) => Some(5 * SECOND),
            _ => None,
        }
    }
}

impl Part {
    fn draw(random: &mut Random, units: usize) -> Self {
        match below(random, 8) {
            0..=2 => Part::Thumbnails,
            3 | 4 => Part::Results(below(random, units as u64) as usize),
            5 => Part::Status,
            6 => Part::Health,
            _ => Part::Everything,
        }
    }

    fn holds(self, unit: usize, topic: &str) -> bool {
        match self {
            Part::Thumbnails => topic.contains("/capture/thumb/"),
            Part::Results(only) => unit == only && topic.ends_with("/capture/result"),
            Part::Status => topic.ends_with("/status"),
            Part::Health => topic.ends_with("/health"),
            Part::Everything => true,
        }
    }
}

/// Packet that returns from the broker.
#[derive(Debug)]
pub enum Reply {
    Signal(Signal),
    /// The message goes to all subscribers.
    Take,
    End(Loss),
}

pub fn closed() -> Loss {
    Loss::Closed("the broker closed the connection".to_owned())
}

fn answered(number: u16) -> Reply {
    Reply::Signal(Signal::Answered(number, Answer::Accepted))
}

/// Returns the broker's reaction to the `count`th packet of an open connection.
pub fn react(mood: Mood, unit: usize, packet: &Packet, count: u64, random: &mut Random) -> Vec<Reply> {
    if let Mood::Closing(after) = mood
        && count > after
    {
        return vec![Reply::End(closed())];
    }
    match packet {
        Packet::Publish { number, topic, payload } => published(mood, unit, *number, topic, payload, random),
        Packet::Health => match mood {
            Mood::Denies(part, way) if part.holds(unit, "/health") => way.reply(None),
            _ => Vec::new(),
        },
        Packet::Subscribe(number) => {
            let granted = !matches!(mood, Mood::Denies(Part::Everything, _));
            vec![Reply::Signal(Signal::Subscribed(*number, granted))]
        }
        Packet::Ping => vec![Reply::Signal(Signal::Pong)],
        Packet::Disconnect => vec![Reply::End(closed())],
        Packet::Connect | Packet::Gone => Vec::new(),
    }
}

fn published(mood: Mood, unit: usize, number: u16, topic: &str, payload: &[u8], random: &mut Random) -> Vec<Reply> {
    match mood {
        Mood::Denies(part, way) if part.holds(unit, topic) => way.reply(Some(number)),
        Mood::Picky if is_picked(topic, payload) => {
            vec![Reply::Signal(Signal::Answered(number, Answer::Unacceptable("the payload".to_owned())))]
        }
        Mood::Forgetful(percent) if chance(random, percent) => vec![Reply::Take],
        Mood::Moody => moody(number, random),
        _ => vec![Reply::Take, answered(number)],
    }
}

/// Reports whether a message is a result whose sequence number is 7 more than a multiple of 20.
pub fn is_picked(topic: &str, payload: &[u8]) -> bool {
    topic.ends_with("/capture/result") && sequence(payload).is_some_and(|sequence| sequence % 20 == 7)
}

/// Returns the sequence number of an event.
pub fn sequence(payload: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(payload).ok()?;
    let digits = text.split("\"sequence\":\"").nth(1)?;
    digits[..digits.find('"')?].parse().ok()
}

fn moody(number: u16, random: &mut Random) -> Vec<Reply> {
    let answer = |answer| vec![Reply::Signal(Signal::Answered(number, answer))];
    match below(random, 200) {
        // Accepted, but nobody is told.
        0 => vec![Reply::Take],
        // Lost on the way.
        1 => Vec::new(),
        2 | 3 => vec![Reply::Take, answered(number), answered(number)],
        // An answer to another message.
        4 => vec![Reply::Take, answered(1 + below(random, 65_535) as u16)],
        5 => answer(Answer::Busy("the quota".to_owned())),
        6 => answer(Answer::Later("unspecified".to_owned())),
        7 => answer(Answer::NoSubscriber),
        8 => answer(Answer::NotAuthorised),
        9 => vec![Reply::End(Loss::Broken("the broker is busy".to_owned()))],
        10 => vec![Reply::Take, answered(number), Reply::End(closed())],
        11 => vec![Reply::Take, Reply::End(closed())],
        12 => vec![Reply::End(Loss::Denied("not authorised".to_owned()))],
        13 => vec![Reply::End(Loss::Unacceptable("too large".to_owned()))],
        _ => vec![Reply::Take, answered(number)],
    }
}
