//! Checks delivery to a broker that does what a seed says, over real sockets.
//!
//! The treatment of an event depends only on the seed, the event and how often it has arrived, not on the time or on
//! pauses. A seed that failed therefore treats every event in the same way again. The order in which threads and
//! sockets run differs from run to run; `simulated.rs` makes that repeatable too.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use bridgeclip::journal::EventClass::{Result as Results, Urgent};
use bridgeclip::random::Random;
use serde_json::Value;

use crate::support::{Act, FaultyBroker, Heard, Publish, Station, politely, reason};

const IN_FLIGHT: usize = 16;

struct Moody {
    seed: u64,
    /// Number of times that each message has arrived, by a hash of its topic and bytes.
    seen: HashMap<u64, u64>,
    /// Packets to acknowledge while nothing arrives, in an order that drawn numbers decide.
    held: BTreeMap<u64, u16>,
    connection: usize,
}

fn sum(publish: &Publish) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&publish.topic, &publish.payload).hash(&mut hasher);
    hasher.finish()
}

impl Moody {
    fn new(seed: u64) -> Self {
        Moody { seed, seen: HashMap::new(), held: BTreeMap::new(), connection: 0 }
    }

    fn react(&mut self, connection: usize, heard: &Heard) -> Vec<Act> {
        if self.connection != connection {
            self.connection = connection;
            self.held.clear();
        }
        match heard {
            Heard::Connect { .. } => match Random::new(&[self.seed, connection as u64]).bits() % 20 {
                0..2 => vec![Act::Refuse(reason::SERVER_BUSY), Act::Close],
                2 => vec![Act::Close],
                _ => politely(heard),
            },
            Heard::Publish(publish) if publish.qos == 1 => {
                let drawn = self.draw(publish);
                self.answer(publish.packet, drawn)
            }
            Heard::Idle => self.held.pop_first().map(|(_, packet)| Act::Ack(packet)).into_iter().collect(),
            _ => politely(heard),
        }
    }

    /// Draws what happens to the message this time.
    fn draw(&mut self, publish: &Publish) -> Random {
        let sum = sum(publish);
        let times = self.seen.entry(sum).or_default();
        *times += 1;
        Random::new(&[self.seed, sum, *times])
    }

    /// Draws what happens to the message this time, and returns whether it is refused.
    fn refuses(&mut self, publish: &Publish) -> bool {
        let drawn = self.draw(publish);
        let acts = self.answer(publish.packet, drawn);
        acts.iter().any(|act| matches!(act, Act::Answer(_, reason) if *reason >= reason::UNSPECIFIED))
    }

    fn answer(&mut self, packet: u16, mut drawn: Random) -> Vec<Act> {
        let mut below = |end: u64| drawn.bits() % end;
        match below(100) {
            0 => Vec::new(),
            1..20 => {
                self.held.insert(below(u64::MAX), packet);
                Vec::new()
            }
            20 => vec![Act::Ack(packet), Act::Ack(packet)],
            21 => vec![Act::Ack(1 + below(65_535) as u16)],
            22 => vec![Act::Answer(packet, reason::QUOTA_EXCEEDED)],
            23 => vec![Act::Answer(packet, reason::UNSPECIFIED)],
            24 => vec![Act::Answer(packet, reason::NO_SUBSCRIBER)],
            25 => vec![Act::Disconnect(reason::SERVER_BUSY)],
            26 => vec![Act::Ack(packet), Act::Close],
            27 => vec![Act::Close],
            28 if below(4) == 0 => vec![Act::Freeze],
            29..35 => vec![Act::Wait(Duration::from_millis(below(20))), Act::Ack(packet)],
            _ => vec![Act::Ack(packet)],
        }
    }
}

/// Tests many seeds. BRIDGECLIP_FAULT_SEED sets the first one, BRIDGECLIP_FAULT_ROUNDS how many.
#[test]
fn broker_in_every_mood() {
    let variable = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let first = variable("BRIDGECLIP_FAULT_SEED").unwrap_or(1);
    let rounds = variable("BRIDGECLIP_FAULT_ROUNDS").unwrap_or(4);
    for seed in first..first + rounds {
        println!("BRIDGECLIP_FAULT_SEED={seed}");
        survive(seed);
    }
}

#[test]
fn what_befalls_an_event_depends_on_nothing_but_the_seed_and_the_event() {
    let publish = |name: &str, packet| Publish {
        connection: 0,
        topic: "t".to_owned(),
        payload: name.as_bytes().to_vec(),
        qos: 1,
        retain: false,
        packet,
    };
    let names: Vec<String> = (0..200).map(|number| format!("event-{number}")).collect();
    let fate =
        |moody: &mut Moody, name: &str, packet| format!("{:?}", moody.react(0, &Heard::Publish(publish(name, packet))));
    let (mut first, mut second) = (Moody::new(7), Moody::new(7));
    let in_order: HashMap<&String, String> = names.iter().map(|name| (name, fate(&mut first, name, 9))).collect();
    for name in names.iter().rev() {
        // Other events arrive in between, and so do pauses.
        second.react(0, &Heard::Idle);
        second.react(0, &Heard::Publish(publish("other", 3)));
        assert_eq!(fate(&mut second, name, 9), in_order[name], "{name}");
    }
    assert!(in_order.values().collect::<HashSet<_>>().len() > 5, "there are faults among them");
}

/// Returns the id of an event, or `None` for a status or health message.
fn event(publish: &Publish) -> Option<String> {
    let payload: Value = serde_json::from_slice(&publish.payload).ok()?;
    Some(payload["id"].as_str()?.to_owned())
}

fn survive(seed: u64) {
    let mut station = Station::new();
    station.queue(Results, "result", 300, 300);
    station.queue(Urgent, "urgent", 5, 200);
    let mut moody = Moody::new(seed);
    let broker = FaultyBroker::start(move |connection, heard| moody.react(connection, heard));
    station.start(Station::params(broker.port));
    station.wait_until_delivered();
    assert_eq!(station.depth().set_aside, 0);
    let received = broker.received();
    let distinct: HashSet<_> = received.iter().filter_map(event).collect();
    assert_eq!(distinct.len(), 305, "every event arrived");
    expect_few_twice(seed, &received);
}

/// Checks that each connection repeats no more events than were in flight when the previous one broke. Events that the
/// broker refused when they last arrived are repeated in addition: the device holds them and tries again.
fn expect_few_twice(seed: u64, received: &[Publish]) {
    let mut moody = Moody::new(seed);
    let mut twice: HashMap<usize, usize> = HashMap::new();
    let mut here: HashSet<(usize, String)> = HashSet::new();
    let mut refused_last: HashMap<String, bool> = HashMap::new();
    for publish in received {
        let refused = moody.refuses(publish);
        let Some(event) = event(publish) else { continue };
        let first_here = here.insert((publish.connection, event.clone()));
        if refused_last.insert(event, refused) == Some(false) && first_here {
            *twice.entry(publish.connection).or_default() += 1;
        }
    }
    let most = twice.values().max().copied().unwrap_or(0);
    assert!(most <= IN_FLIGHT, "{most} events arrived twice after one break");
}
