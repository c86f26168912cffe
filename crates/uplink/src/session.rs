//! State that lives as long as one connection: the messages on their way, and the times at which something is due.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use bridgeclip_journal::{EventClass, OutboxRow};

use crate::action::{Action, Turn};
use crate::connection::{Answer, BrokerLimits, Loss, Message, Signal, packet_bytes};
use crate::dispatch::Dispatch;
use crate::messages;
use crate::own::OwnMessages;
use crate::params::Params;
use crate::rate::TokenBucket;
use crate::window::{Sent, Window};

/// Share of the ping interval after which an unanswered ping ends the link. As the interval begins with a ping, a dead
/// link is noticed within 1.4 times the interval.
const PING_SHARE: f64 = 0.4;
/// Rate in bytes per second of the slowest usable link: for a large message, the stall timer waits that much longer.
const SLOWEST_BYTES_PER_S: usize = 1024;
/// Time after a health report within which a broker that ends the connection does so because of the report, which it
/// never acknowledges.
const OVER_HEALTH: Duration = Duration::from_secs(5);

/// Delay after a health report from which on a ping is certain to follow the report, rather than to cross it in the
/// client library.
const PING_AFTER: Duration = Duration::from_secs(1);
/// Smallest step of time, for a deadline just after a moment.
const TICK: Duration = Duration::from_millis(1);
/// Longest time that a health report waits.
///
/// A report waits during the search for an event over which the broker ends connections, and while another of the
/// device's own messages is on its way: otherwise nobody could tell which of them is to blame.
const SEARCH_MAX: Duration = Duration::from_secs(60);
/// Pause before a waiting health report is considered again.
const HEALTH_AFTER_SEARCH: Duration = Duration::from_secs(1);

/// The state of one connection.
pub struct Session {
    window: Window,
    limits: BrokerLimits,
    /// The device's own messages that wait; they go before all events.
    control: VecDeque<Control>,
    rate: TokenBucket,
    /// Time at which the next health report is due.
    health_due: Instant,
    /// Time at which the next health report is considered; later than `health_due` while a search is under way.
    health_at: Instant,
    /// Time of the last health report, until something shows that it arrived.
    health_sent: Option<Instant>,
    /// First message after that report. Its answer shows that the broker has read the report.
    after_health: Option<Sent>,
    /// Time of the last ping, while nothing was heard from the broker since.
    ping_sent: Option<Instant>,
    /// Time of the last acknowledgement or sent packet.
    last_progress: Instant,
    /// Start of the connection.
    pub began: Instant,
    /// Number of events that the broker took on this connection.
    pub accepted: u64,
}

/// One of the device's own messages that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Control {
    Status,
    Subscribe,
    Reply(u64),
}

/// The messages with which a device introduces itself.
const INTRODUCTION: [(Sent, Control); 2] = [(Sent::Status, Control::Status), (Sent::Subscription, Control::Subscribe)];

impl Session {
    /// Starts a session on a new connection, and queues the device's introduction and its unacknowledged replies.
    pub fn new(limits: BrokerLimits, own: &OwnMessages, turn: &Turn) -> Self {
        let (now, in_flight) = (turn.now, usize::from(turn.params.in_flight));
        let mut session = Session {
            window: Window::new(in_flight.min(limits.receive_max)),
            limits,
            control: VecDeque::new(),
            rate: TokenBucket::new(turn.settings.bytes_per_s_max),
            health_due: now,
            health_at: now,
            health_sent: None,
            after_health: None,
            ping_sent: None,
            last_progress: now,
            began: now,
            accepted: 0,
        };
        session.introduce(own, turn);
        session.control.extend(own.replies.numbers().map(Control::Reply));
        session
    }

    /// Queues the device's status, and its subscription to commands if it takes any.
    fn introduce(&mut self, own: &OwnMessages, turn: &Turn) {
        for (sent, control) in INTRODUCTION {
            let is_wanted = control == Control::Status || turn.takes_commands;
            if is_wanted && own.may_send(sent, turn.now) {
                self.control.push_back(control);
            }
        }
    }

    /// Queues refused introductory messages that are due for another try.
    fn introduce_again(&mut self, own: &OwnMessages, now: Instant) {
        for (sent, control) in INTRODUCTION {
            if own.due(sent, now) && !self.control.contains(&control) {
                self.control.push_back(control);
            }
        }
    }

    /// Queues new replies to commands.
    pub fn add_replies(&mut self, numbers: Vec<u64>) {
        self.control.extend(numbers.into_iter().map(Control::Reply));
    }

    /// Reports whether none of the device's own messages waits, and no message at all is on its way.
    pub fn is_idle(&self) -> bool {
        self.control.is_empty() && self.window.is_empty()
    }

    /// Hands over everything for which there is room.
    pub fn fill(&mut self, dispatch: &mut Dispatch, own: &mut OwnMessages, turn: &mut Turn) {
        self.send_control(own, turn);
        self.rate.set_rate(turn.settings.bytes_per_s_max, turn.now);
        while self.may_send(dispatch, turn) && self.send_next(dispatch, turn) {}
    }

    fn send_control(&mut self, own: &mut OwnMessages, turn: &mut Turn) {
        // One of them ended the connection: send one at a time, to find out which.
        while let Some(next) = self.control.front().copied()
            && (self.window.is_empty() || !own.is_careful)
        {
            let Some((message, sent)) = self.message(next, own, turn) else {
                self.control.pop_front();
                continue;
            };
            if !self.window.takes(message.as_ref().map_or(0, Message::packet_bytes)) {
                return;
            }
            self.control.pop_front();
            own.sends(sent);
            match message {
                Some(message) => self.publish(message, sent, turn),
                None => self.subscribe(turn),
            }
        }
    }

    /// Returns a control message and its identity; the message is `None` for a subscription, which is no PUBLISH.
    fn message(&self, control: Control, own: &OwnMessages, turn: &Turn) -> Option<(Option<Message>, Sent)> {
        Some(match control {
            Control::Status => (Some(messages::online(turn.params, turn.settings, turn.queue.depth())), Sent::Status),
            Control::Subscribe => (None, Sent::Subscription),
            Control::Reply(number) => {
                let reply = own.replies.get(number)?;
                let message = messages::reply(turn.params, &reply.topic, reply.payload.clone());
                (Some(message), Sent::Reply(number))
            }
        })
    }

    fn subscribe(&mut self, turn: &mut Turn) {
        self.hand_over(Sent::Subscription, 0, turn.now);
        turn.actions.push(Action::Subscribe(format!("{}/cmd/+/+", turn.params.prefix)));
    }

    fn may_send(&self, dispatch: &Dispatch, turn: &Turn) -> bool {
        dispatch.open() < usize::from(turn.params.in_flight)
            && self.control.is_empty()
            && !dispatch.is_one_alone()
            && self.rate.wait(turn.now).is_zero()
    }

    /// Hands over the next event. Returns false if there is none, or no room for it.
    fn send_next(&mut self, dispatch: &mut Dispatch, turn: &mut Turn) -> bool {
        let (window, limit, is_clear) = (&self.window, self.limits.packet_bytes_max, !self.is_health_open(turn.now));
        let fits = |row: &OutboxRow, alone: bool| {
            let bytes = event_bytes(&turn.params.prefix, row);
            bytes > limit || (window.takes(bytes) && (!alone || (window.is_empty() && is_clear)))
        };
        let Some((row, alone)) = dispatch.next(turn, self.is_health_open(turn.now), fits) else { return false };
        let bytes = event_bytes(&turn.params.prefix, &row);
        if bytes > limit {
            dispatch.too_large(&row, bytes, limit, turn);
            return true;
        }
        dispatch.sends(&row, alone);
        self.rate.take(bytes, turn.now);
        self.send(row, turn);
        true
    }

    fn send(&mut self, row: OutboxRow, turn: &mut Turn) {
        let message = Message {
            topic: row.whole_topic(&turn.params.prefix),
            retain: row.is_retained(),
            payload: Bytes::from(row.payload),
            content_type: content_type(row.class),
        };
        self.publish(message, Sent::Event(row.id), turn);
    }

    /// Hands over a message for the broker.
    pub fn publish(&mut self, message: Message, sent: Sent, turn: &mut Turn) {
        self.hand_over(sent, message.packet_bytes(), turn.now);
        turn.actions.push(Action::Publish { message, sent });
    }

    fn hand_over(&mut self, sent: Sent, bytes: usize, now: Instant) {
        if self.window.is_empty() {
            self.last_progress = now;
        }
        if self.health_sent.is_some() {
            self.after_health.get_or_insert(sent);
        }
        self.window.handed_over(sent, bytes);
    }

    /// Handles a signal of the connection. An error is the end of the connection.
    pub fn handle(
        &mut self,
        signal: Signal,
        dispatch: &mut Dispatch,
        own: &mut OwnMessages,
        turn: &mut Turn,
    ) -> Result<(), Loss> {
        match signal {
            Signal::Sent(packet) => {
                self.window.numbered(packet);
                self.last_progress = turn.now;
                return Ok(());
            }
            Signal::PingSent => {
                self.ping_sent = Some(turn.now);
                return Ok(());
            }
            Signal::Lost(loss) => return Err(loss),
            Signal::Connected(_) => return Err(Loss::Broken("the broker connected twice".to_owned())),
            Signal::Answered(packet, answer) => self.answered(packet, answer, dispatch, own, turn),
            Signal::Subscribed(packet, granted) => self.subscribed(packet, granted, own, turn),
            Signal::Incoming(incoming) => turn.actions.push(Action::HandIn(incoming)),
            Signal::Pong => self.ponged(own, turn),
        }
        self.ping_sent = None;
        Ok(())
    }

    fn subscribed(&mut self, packet: u16, granted: bool, own: &mut OwnMessages, turn: &mut Turn) {
        self.last_progress = turn.now;
        if self.window.acknowledged(packet).is_some() {
            let answer = if granted { Answer::Accepted } else { Answer::NotAuthorised };
            own.answered(Sent::Subscription, &answer, turn);
        }
    }

    fn answered(
        &mut self,
        packet: u16,
        answer: Answer,
        dispatch: &mut Dispatch,
        own: &mut OwnMessages,
        turn: &mut Turn,
    ) {
        let Some(sent) = self.window.acknowledged(packet) else { return };
        self.last_progress = turn.now;
        if self.after_health == Some(sent) {
            self.health_arrived(own, turn);
        }
        match sent {
            Sent::Event(row) => self.accepted += u64::from(dispatch.answered(row, answer, turn)),
            Sent::Reply(number) => own.replies.answered(number, &answer),
            Sent::Status | Sent::Subscription | Sent::Health => own.answered(sent, &answer, turn),
        }
    }

    /// Handles the answer to a ping. If the ping followed a health report, the broker has read that report.
    fn ponged(&mut self, own: &mut OwnMessages, turn: &mut Turn) {
        if let (Some(health), Some(ping)) = (self.health_sent, self.ping_sent)
            && health + PING_AFTER <= ping
        {
            self.health_arrived(own, turn);
        }
    }

    fn health_arrived(&mut self, own: &mut OwnMessages, turn: &mut Turn) {
        (self.health_sent, self.after_health) = (None, None);
        own.taken(Sent::Health, turn);
    }

    /// Reports whether the broker may still end the connection over a health report.
    fn is_health_open(&self, now: Instant) -> bool {
        self.health_sent.is_some_and(|sent| now <= sent + OVER_HEALTH)
    }

    /// Returns the messages other than events on their way, over which the broker may end the connection.
    pub fn own_on_way(&self, now: Instant) -> Vec<Sent> {
        let health = self.is_health_open(now).then_some(Sent::Health);
        self.window.open().filter(|sent| !matches!(sent, Sent::Event(_))).chain(health).collect()
    }

    /// Returns the time at which `on_time` is due.
    pub fn deadline(&self, own: &OwnMessages, params: &Params, now: Instant) -> Instant {
        let stall = (!self.window.is_empty()).then(|| self.last_progress + self.stall_limit(params.stall));
        let ping = self.ping_sent.map(|sent| sent + self.ping_limit());
        let rate = Some(self.rate.wait(now)).filter(|wait| !wait.is_zero()).map(|wait| now + wait);
        let health = self.health_sent.map(|sent| sent + OVER_HEALTH + TICK).filter(|until| *until > now);
        [stall, ping, rate, health, own.next_due(now)].into_iter().flatten().fold(self.health_at, Instant::min)
    }

    /// Does what is due. An error is the end of the connection.
    pub fn on_time(&mut self, dispatch: &Dispatch, own: &mut OwnMessages, turn: &mut Turn) -> Result<(), Loss> {
        let now = turn.now;
        let stall = self.stall_limit(turn.params.stall);
        if !self.window.is_empty() && now >= self.last_progress + stall {
            return Err(Loss::Dead(format!("no acknowledgement for {:.1} s", stall.as_secs_f64())));
        }
        if self.ping_sent.is_some_and(|sent| now >= sent + self.ping_limit()) {
            return Err(Loss::Dead(format!("no answer to a ping for {:.1} s", self.ping_limit().as_secs_f64())));
        }
        self.introduce_again(own, now);
        if self.health_at <= now {
            self.report_health(dispatch, own, turn);
        }
        Ok(())
    }

    fn report_health(&mut self, dispatch: &Dispatch, own: &mut OwnMessages, turn: &mut Turn) {
        let now = turn.now;
        let has_own = self.window.open().any(|sent| !matches!(sent, Sent::Event(_)));
        let is_unclear = dispatch.searches(now) || !self.control.is_empty() || has_own;
        if is_unclear && now < self.health_due + SEARCH_MAX {
            self.health_at = now + HEALTH_AFTER_SEARCH;
            return;
        }
        self.health_due = now + turn.params.health;
        self.health_at = self.health_due;
        if own.may_send(Sent::Health, now) {
            (self.health_sent, self.after_health) = (Some(now), None);
            own.sends(Sent::Health);
            turn.actions.push(Action::PublishHealth);
        }
    }

    /// Returns how long the connection may go without progress: longer with a large message on its way, but never
    /// longer than the time within which pings reveal a dead link.
    fn stall_limit(&self, stall: Duration) -> Duration {
        let allowance = Duration::from_secs((self.window.bytes_largest() / SLOWEST_BYTES_PER_S) as u64);
        (stall + allowance).min(self.limits.keep_alive.mul_f64(1.0 + PING_SHARE))
    }

    /// Returns how long a ping may remain unanswered.
    fn ping_limit(&self) -> Duration {
        self.limits.keep_alive.mul_f64(PING_SHARE)
    }
}

fn content_type(class: EventClass) -> &'static str {
    match class {
        EventClass::Thumbnail => "image/jpeg",
        _ => "application/cloudevents+json",
    }
}

fn event_bytes(prefix: &str, row: &OutboxRow) -> usize {
    let topic = row.whole_topic(prefix).len();
    packet_bytes(topic, content_type(row.class).len(), row.payload.len())
}
