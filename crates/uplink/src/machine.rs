//! The uplink as a function of its state, an event and the time.
//!
//! Its output is a list of actions; its only other input is the rows of the outbox. `driver.rs` supplies sockets and
//! clocks, tests supply their own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{info, warn};

use bridgeclip_random::Random;

use crate::action::{Action, Event, Queue, Turn};
use crate::command::Reply;
use crate::connection::{BrokerLimits, Loss, Signal};
use crate::dispatch::{Blame, Dispatch};
use crate::endpoint::Endpoint;
use crate::link::{LinkEvent, LinkState, Settings};
use crate::own::OwnMessages;
use crate::params::Params;
use crate::session::Session;
use crate::window::Sent;
use crate::{backoff, messages};

/// Time limit for connecting. It includes the name look-up, which the client library does not limit.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Time limit for leaving the broker.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause after the first failed attempt.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Duration after which a connection counts as stable, even if nothing had to be sent.
const GOOD_CONNECTION: Duration = Duration::from_secs(60);
/// Number of groups in which answers are stored at the end: the one under way, and the rest. A row that remains is sent
/// again, and its receiver ignores the known id.
const LAST_GROUPS: u32 = 2;

/// State machine of the uplink.
pub struct Machine {
    params: Arc<Params>,
    settings: Settings,
    takes_commands: bool,
    random: Random,
    phase: Phase,
    /// Number of attempts since the broker last took something. A broker that accepts connections and drops them at
    /// once does not reset the pauses.
    attempts: u32,
    dispatch: Dispatch,
    own: OwnMessages,
    /// Reason why the last connection ended or could not be established; `None` while connected.
    trouble: Option<String>,
    /// The state shown last, and the count of changes in the held parts at that time.
    shown: (LinkState, u64),
}

/// A phase of the link; its time is when the phase ends at the latest.
enum Phase {
    /// Waiting for the next attempt.
    Offline(Instant),
    /// Waiting for the next attempt, which is useless until somebody changes something.
    Refused(Instant),
    /// Connecting, until the time limit.
    Connecting(Instant),
    /// A connection is established.
    Online(Box<Session>),
    /// Leaving the broker, until the time limit.
    Leaving(Box<Session>, Instant),
    /// Storing the last answers, in at most this many groups.
    Storing(u32),
    /// Everything is done.
    Ended,
}

impl Machine {
    /// Creates a machine that starts to connect with the first event, which should be [`Event::Time`].
    ///
    /// `seed` determines how pauses vary.
    pub fn new(params: Params, settings: Settings, takes_commands: bool, seed: u64, now: Instant) -> Self {
        Machine {
            params: Arc::new(params),
            settings,
            takes_commands,
            random: Random::new(&[seed]),
            phase: Phase::Offline(now),
            attempts: 0,
            dispatch: Dispatch::new(),
            own: OwnMessages::default(),
            trouble: None,
            shown: (LinkState::Offline, 0),
        }
    }

    /// Handles an event and returns the resulting actions. `now` must never decrease.
    pub fn handle(&mut self, event: Event, now: Instant, queue: &dyn Queue) -> Vec<Action> {
        let params = Arc::clone(&self.params);
        let mut turn = Turn {
            now,
            params: &params,
            settings: self.settings,
            takes_commands: self.takes_commands,
            queue,
            random: self.random.clone(),
            actions: Vec::new(),
        };
        self.take(event, &mut turn);
        self.proceed(&mut turn);
        self.show(&mut turn);
        self.random = turn.random;
        turn.actions
    }

    /// Returns the time at which the next [`Event::Time`] is due, or `None` if nothing depends on time.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let phase = match &self.phase {
            Phase::Offline(until) | Phase::Refused(until) | Phase::Connecting(until) | Phase::Leaving(_, until) => {
                Some(*until)
            }
            Phase::Online(session) => {
                let session = session.deadline(&self.own, &self.params, now);
                self.dispatch.deadline(now).into_iter().chain([session]).min()
            }
            Phase::Storing(_) | Phase::Ended => None,
        };
        phase.into_iter().chain(self.dispatch.settlement.due()).min()
    }

    fn take(&mut self, event: Event, turn: &mut Turn) {
        match event {
            Event::Time => self.on_time(turn),
            Event::Woken { settings, replies } => self.woken(settings, replies, turn),
            Event::Signal(signal) => self.signal(signal, turn),
            Event::Settled(settled) => self.dispatch.settled(settled, turn),
            Event::Stop => self.stop(turn),
        }
    }

    fn woken(&mut self, settings: Settings, replies: Vec<Reply>, turn: &mut Turn) {
        (self.settings, turn.settings) = (settings, settings);
        self.dispatch.woken();
        let numbers = self.own.replies.add(replies);
        if let Phase::Online(session) = &mut self.phase {
            session.add_replies(numbers);
        }
    }

    fn on_time(&mut self, turn: &mut Turn) {
        let outcome = match &mut self.phase {
            Phase::Offline(until) | Phase::Refused(until) if *until <= turn.now => {
                self.connect(turn);
                Ok(())
            }
            Phase::Connecting(until) if *until <= turn.now => {
                Err(Loss::Broken(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs())))
            }
            Phase::Online(session) => session.on_time(&self.dispatch, &mut self.own, turn),
            Phase::Leaving(_, until) if *until <= turn.now => {
                self.leave(turn);
                Ok(())
            }
            _ => Ok(()),
        };
        outcome.unwrap_or_else(|loss| self.lost(&loss, turn));
    }

    fn connect(&mut self, turn: &mut Turn) {
        turn.actions.push(Action::Open { will: messages::offline(turn.params, None) });
        self.phase = Phase::Connecting(turn.now + CONNECT_TIMEOUT);
    }

    fn signal(&mut self, signal: Signal, turn: &mut Turn) {
        let outcome = match &mut self.phase {
            Phase::Connecting(_) => match signal {
                Signal::Connected(limits) => {
                    self.connected(limits, turn);
                    Ok(())
                }
                Signal::Lost(loss) => Err(loss),
                unexpected => Err(Loss::Broken(format!("the broker began with {unexpected:?}"))),
            },
            Phase::Online(session) | Phase::Leaving(session, _) => {
                session.handle(signal, &mut self.dispatch, &mut self.own, turn)
            }
            _ => Ok(()),
        };
        outcome.unwrap_or_else(|loss| self.lost(&loss, turn));
    }

    fn connected(&mut self, limits: BrokerLimits, turn: &mut Turn) {
        let Endpoint { host, port, .. } = &turn.params.endpoint;
        info!("connected to {host}:{port}");
        self.phase = Phase::Online(Box::new(Session::new(limits, &self.own, turn)));
        self.trouble = None;
        turn.report(LinkEvent::Online);
    }

    /// Handles the end of a connection, or a failed attempt.
    fn lost(&mut self, loss: &Loss, turn: &mut Turn) {
        turn.actions.push(Action::Cut);
        let is_over = match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Leaving(..) => return self.store(),
            Phase::Online(session) => self.is_over_a_message(&session, loss, turn),
            _ => false,
        };
        match loss {
            Loss::Refused(reason) => self.refused(reason, turn),
            Loss::Denied(reason) if !is_over => self.refused(reason, turn),
            Loss::Denied(reason)
            | Loss::Broken(reason)
            | Loss::Closed(reason)
            | Loss::Dead(reason)
            | Loss::Unacceptable(reason) => self.offline(reason, turn),
        }
    }

    /// Reports whether the broker ended the connection because of a message, or may have.
    fn is_over_a_message(&mut self, session: &Session, loss: &Loss, turn: &mut Turn) -> bool {
        let own = session.own_on_way(turn.now);
        let blame = match self.dispatch.lost(loss, !own.is_empty(), turn) {
            Blame::None => self.own.lost(loss, &own, turn),
            blame => {
                self.own.lost(loss, &[], turn);
                blame
            }
        };
        let is_good = session.accepted > 0 || turn.now >= session.began + GOOD_CONNECTION;
        if is_good || blame == Blame::Found {
            self.attempts = 0;
        }
        blame != Blame::None
    }

    fn refused(&mut self, reason: &str, turn: &mut Turn) {
        let Endpoint { host, port, .. } = &turn.params.endpoint;
        warn!("no link to {host}:{port}: {reason}");
        self.trouble = Some(reason.to_owned());
        turn.report(LinkEvent::Refused(reason.to_owned()));
        // Neither the broker nor a certificate will change soon.
        let pause = turn.params.refused_pause;
        self.phase = Phase::Refused(turn.now + backoff::pause(pause, pause, 0, turn.random.unit()));
    }

    fn offline(&mut self, reason: &str, turn: &mut Turn) {
        let Endpoint { host, port, .. } = &turn.params.endpoint;
        if self.attempts == 0 {
            warn!("no link to {host}:{port}: {reason}");
        }
        self.trouble = Some(reason.to_owned());
        turn.report(LinkEvent::Offline(reason.to_owned()));
        let pause = backoff::pause(FIRST_PAUSE, turn.params.retry_max, self.attempts, turn.random.unit());
        self.attempts = self.attempts.saturating_add(1);
        self.phase = Phase::Offline(turn.now + pause);
    }

    fn stop(&mut self, turn: &mut Turn) {
        match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Online(mut session) => {
                let goodbye = messages::offline(turn.params, turn.queue.depth());
                session.publish(goodbye, Sent::Status, turn);
                // The broker closes the connection once it has read everything; closing it here could discard messages.
                turn.actions.push(Action::Disconnect);
                self.phase = Phase::Leaving(session, turn.now + GOODBYE_TIMEOUT);
            }
            Phase::Leaving(session, until) => self.phase = Phase::Leaving(session, until),
            Phase::Storing(left) => self.phase = Phase::Storing(left),
            Phase::Ended => (),
            Phase::Offline(_) | Phase::Refused(_) | Phase::Connecting(_) => self.leave(turn),
        }
    }

    /// Cuts the connection. A broker that has not closed it by now publishes the will instead.
    fn leave(&mut self, turn: &mut Turn) {
        turn.actions.push(Action::Cut);
        self.store();
    }

    fn store(&mut self) {
        self.phase = Phase::Storing(LAST_GROUPS);
    }

    /// Sends, subscribes and stores whatever is possible now.
    fn proceed(&mut self, turn: &mut Turn) {
        if let Phase::Online(session) = &mut self.phase {
            session.fill(&mut self.dispatch, &mut self.own, turn);
        }
        if let Phase::Storing(left) = self.phase {
            return self.store_the_rest(left, turn);
        }
        let full = usize::from(turn.params.in_flight).div_ceil(2);
        turn.actions.extend(self.dispatch.settlement.group(full, turn.now).map(Action::Settle));
    }

    /// Stores the remaining answers, then ends.
    fn store_the_rest(&mut self, left: u32, turn: &mut Turn) {
        if self.dispatch.settlement.is_running() {
            return;
        }
        match self.dispatch.settlement.all(true) {
            Some(group) if left > 0 => {
                self.phase = Phase::Storing(left - 1);
                turn.actions.push(Action::Settle(group));
            }
            _ => {
                self.phase = Phase::Ended;
                turn.actions.push(Action::End);
            }
        }
    }

    /// Shows the state to observers if it has changed.
    fn show(&mut self, turn: &mut Turn) {
        let now = (self.state(turn), self.dispatch.changes() + self.own.changes());
        if now != self.shown {
            self.shown = now;
            let held = self.dispatch.held().chain(self.own.held()).collect();
            turn.actions.push(Action::Show { state: now.0, trouble: self.trouble.clone(), held });
        }
    }

    fn state(&self, turn: &Turn) -> LinkState {
        match &self.phase {
            Phase::Connecting(_) => LinkState::Connecting,
            Phase::Refused(_) => LinkState::Refused,
            Phase::Online(session) => self.online_state(session, turn),
            Phase::Offline(_) | Phase::Leaving(..) | Phase::Storing(_) | Phase::Ended => LinkState::Offline,
        }
    }

    fn online_state(&self, session: &Session, turn: &Turn) -> LinkState {
        let dispatch = &self.dispatch;
        let has_work = dispatch.has_work(turn.settings.last_class(), turn.now);
        if has_work || !session.is_idle() || !dispatch.is_settled() {
            LinkState::Draining
        } else if dispatch.holds_back() {
            LinkState::Held
        } else {
            LinkState::Live
        }
    }
}
