//! The driver of the state machine: sockets, threads and clocks of the uplink.

use std::future::pending;
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep_until;

use bridgeclip_domain::{DeviceHealth, Health};
use bridgeclip_journal::{Journal, JournalError, Reader};

use crate::action::{Action, Event};
use crate::command::Desk;
use crate::connection::{Connection, Loss, Signal};
use crate::link::{Link, LinkEvent};
use crate::machine::Machine;
use crate::messages;
use crate::params::Params;
use crate::settlement::{Group, Settled};

/// Maximum number of signals that are handled before anything else.
const SIGNALS_MAX: usize = 256;

/// The device's side of the uplink: the parts of the program with which it works.
pub struct DeviceSide {
    /// State and settings that the uplink shares with the rest of the program.
    pub link: Link,
    /// Reader of the outbox and of the counters.
    pub reader: Reader,
    /// Journal that stores the answers.
    pub journal: Journal,
    /// Receiver of commands; without it, the uplink subscribes to none.
    pub desk: Option<Desk>,
    /// Returns the device's current health. Called on the uplink's thread.
    pub health: Box<dyn Fn() -> DeviceHealth + Send>,
    /// Receives the events of the link. Called on the uplink's thread.
    pub report: Box<dyn Fn(LinkEvent) + Send>,
}

/// Runs until `stopped` becomes true and the device has left the broker.
pub async fn run(params: Params, device: DeviceSide, seed: u64, stopped: watch::Receiver<bool>) {
    let (settings, takes_commands) = (device.link.settings(), device.desk.is_some());
    let machine = Machine::new(params.clone(), settings, takes_commands, seed, Instant::now());
    let mut driver = Driver { params, device, machine, connection: None, storing: None, is_over: false };
    driver.run(stopped).await;
}

struct Driver {
    params: Params,
    device: DeviceSide,
    machine: Machine,
    connection: Option<Connection>,
    /// The task that stores a group of answers.
    storing: Option<JoinHandle<Settled>>,
    /// Whether the machine has ended.
    is_over: bool,
}

impl Driver {
    async fn run(&mut self, mut stopped: watch::Receiver<bool>) {
        let mut is_stopping = false;
        self.tell(Event::Time);
        while !self.is_over {
            let deadline = self.machine.deadline(Instant::now());
            let event = tokio::select! {
                signal = signal(&mut self.connection) => Event::Signal(signal),
                () = self.device.link.woken() => self.woken(),
                settled = stored(&mut self.storing) => {
                    self.storing = None;
                    Event::Settled(settled)
                }
                () = sleep(deadline) => Event::Time,
                _ = stopped.wait_for(|stopped| *stopped), if !is_stopping => {
                    is_stopping = true;
                    Event::Stop
                }
            };
            self.tell(event);
            self.tell_what_came_with_it();
        }
    }

    fn woken(&self) -> Event {
        let replies = self.device.desk.as_ref().map(Desk::take_replies).unwrap_or_default();
        Event::Woken { settings: self.device.link.settings(), replies }
    }

    /// Handles the signals that have arrived already: one TCP segment brings many acknowledgements.
    fn tell_what_came_with_it(&mut self) {
        for _ in 0..SIGNALS_MAX {
            match self.connection.as_mut().and_then(Connection::signal_now) {
                Some(signal) => self.tell(Event::Signal(signal)),
                None => return,
            }
        }
    }

    /// Passes an event to the machine, and carries out the resulting actions.
    fn tell(&mut self, event: Event) {
        let mut next = Some(event);
        while let Some(event) = next.take() {
            for action in self.machine.handle(event, Instant::now(), &self.device.reader) {
                // The remaining actions are carried out anyway: the machine would wait for a group that is never
                // stored.
                next = self.perform(action).err().map(|loss| Event::Signal(Signal::Lost(loss))).or(next);
            }
            next = next.filter(|_| self.connection.is_some());
        }
    }

    /// Carries out an action. An error is the end of the connection.
    fn perform(&mut self, action: Action) -> Result<(), Loss> {
        match action {
            Action::Open { will } => self.connection = Some(Connection::open(&self.params, will)),
            Action::Publish { message, .. } => return self.with_connection(|connection| connection.publish(message)),
            Action::Subscribe(filter) => return self.with_connection(|connection| connection.subscribe(filter)),
            Action::PublishHealth => self.publish_health(),
            Action::Disconnect => self.connection.iter().for_each(Connection::disconnect),
            Action::Cut => self.connection = None,
            Action::Settle(group) => self.store(group),
            Action::HandIn(incoming) => self.device.desk.iter().for_each(|desk| desk.hand_in(incoming.clone())),
            Action::Report(event) => (self.device.report)(event),
            Action::Show { state, trouble, held } => self.device.link.show(state, trouble, held),
            Action::End => self.is_over = true,
        }
        Ok(())
    }

    fn with_connection(&self, work: impl FnOnce(&Connection) -> Result<(), Loss>) -> Result<(), Loss> {
        self.connection.as_ref().map_or(Ok(()), work)
    }

    fn store(&mut self, group: Group) {
        let journal = self.device.journal.clone();
        self.storing = Some(tokio::task::spawn_blocking(move || group.settle(&journal)));
    }

    fn publish_health(&self) {
        let (Some(connection), Some(health)) = (&self.connection, self.health()) else { return };
        connection.publish_once(messages::health(&self.params, &health));
    }

    fn health(&self) -> Option<Health> {
        let DeviceSide { reader, .. } = &self.device;
        let time = Timestamp::now();
        let mut health = (self.device.health)();
        health.drops.commands_refused = self.device.desk.as_ref().map_or(0, Desk::refused);
        Some(Health {
            time,
            boot_id: self.params.boot_id.clone(),
            queue: reader.outbox_depth().ok()?.health(time),
            losses: reader.losses().ok()?,
            full: reader.full().ok()?,
            held: self.device.link.held_back(&self.params.prefix),
            device: health,
        })
    }
}

/// Waits for the next signal of the connection; for ever if there is no connection.
async fn signal(connection: &mut Option<Connection>) -> Signal {
    match connection {
        Some(connection) => connection.signal().await,
        None => pending().await,
    }
}

/// Waits for the result of the group that is being stored; for ever if there is none.
async fn stored(storing: &mut Option<JoinHandle<Settled>>) -> Settled {
    match storing {
        Some(task) => task.await.unwrap_or_else(|_| Settled::failed(JournalError::Stopped)),
        None => pending().await,
    }
}

/// Waits for the deadline; for ever if there is none.
async fn sleep(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => pending().await,
    }
}
