//! A connection to PostgreSQL on which nothing waits without a bound.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use log::warn;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_postgres::{Client, Config, Error, NoTls};

use crate::store::{Bounds, Limits, StoreError};

/// How often is looked whether to stop.
const TICK: Duration = Duration::from_millis(100);
/// What a statement still gets when the collector stops: most end within it, and a stop takes five seconds at most.
const GRACE: Duration = Duration::from_secs(2);
/// For the goodbye to the server.
const GOODBYE: Duration = Duration::from_millis(200);
/// Packets without an answer before the connection is given up.
const KEEPALIVES: u32 = 3;

/// What drives a connection and bounds what is waited for.
pub struct Link {
    /// The address without a password.
    pub name: String,
    pub bounds: Bounds,
    /// `None` while this is dropped.
    runtime: Option<Runtime>,
    connection: JoinHandle<()>,
}

impl Link {
    /// Connects and sets what bounds the session.
    pub fn open(address: &str, bounds: &Bounds) -> Result<(Self, Client), StoreError> {
        let (name, limits) = (without_password(address), &bounds.limits);
        let failed = |source| StoreError::Postgres { name: name.clone(), source };
        let config = config(address, limits).map_err(failed)?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| StoreError::Io { name: name.clone(), source })?;
        let mut link = Link {
            name: name.clone(),
            bounds: bounds.clone(),
            connection: runtime.spawn(async {}),
            runtime: Some(runtime),
        };
        // The time limit of the configuration ends with the socket; a server may accept it and say nothing.
        let (client, connection) = link.wait(limits.connect, config.connect(NoTls))?;
        link.connection = link.runtime().spawn(async move {
            // Whoever waits for an answer has the error.
            let _ = connection.await;
        });
        link.wait(limits.connect, client.batch_execute(&session(limits)))?;
        link.warn_of_lost_commits(&client)?;
        Ok((link, client))
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it is there until this is dropped")
    }

    /// Waits for an answer, no longer than `limit`, and only a moment more once the collector stops.
    pub fn wait<T>(&self, limit: Duration, answer: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
        let name = || self.name.clone();
        self.runtime().block_on(async {
            tokio::select! {
                done = answer => done.map_err(|source| StoreError::Postgres { name: name(), source }),
                () = sleep(limit) => Err(StoreError::TimedOut { name: name(), limit }),
                () = stopped(&self.bounds.stop) => Err(StoreError::Stopped(name())),
            }
        })
    }

    /// Fails if the server has ended the connection since it was last used.
    pub fn look(&self, client: &Client) -> Result<(), StoreError> {
        self.runtime().block_on(async {
            // Twice: for what the socket has, and for the task that reads it.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        });
        match client.is_closed() || self.connection.is_finished() {
            true => Err(StoreError::Lost(self.name.clone())),
            false => Ok(()),
        }
    }

    /// Of a server that may forget what it has confirmed.
    fn warn_of_lost_commits(&self, client: &Client) -> Result<(), StoreError> {
        let fsync = self.wait(self.bounds.limits.connect, client.query_one("SHOW fsync", &[]))?;
        if fsync.get::<_, &str>(0) == "off" {
            warn!("{}: fsync is off: a power cut can lose events that devices have deleted; set it to on", self.name);
        }
        Ok(())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        runtime.block_on(async {
            // The client is gone, and its connection says goodbye.
            let _ = tokio::time::timeout(GOODBYE, &mut self.connection).await;
        });
        // A name that is being looked up is not waited for.
        runtime.shutdown_background();
    }
}

async fn stopped(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        sleep(TICK).await;
    }
    sleep(GRACE).await;
}

/// What the address says goes before the limits.
fn config(address: &str, limits: &Limits) -> Result<Config, Error> {
    let mut config: Config = address.parse()?;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(limits.connect);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(limits.silence);
    }
    if config.get_keepalives_interval().is_none() {
        let interval = limits.silence / (KEEPALIVES + 1);
        config.keepalives_idle(interval).keepalives_interval(interval).keepalives_retries(KEEPALIVES);
    }
    if config.get_application_name().is_none() {
        config.application_name("bridgeclip collect");
    }
    Ok(config)
}

/// Bounds on the server's side; and a commit is on its drive when it is confirmed, whatever its settings say.
fn session(limits: &Limits) -> String {
    let Limits { statement, lock, idle, .. } = limits;
    format!(
        "SET statement_timeout = {}; SET lock_timeout = {}; SET idle_in_transaction_session_timeout = {};
         SET client_min_messages = warning;
         SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
        statement.as_millis(),
        lock.as_millis(),
        idle.as_millis()
    )
}

/// For messages: the password of an address is nobody's business. Options may hold it too.
fn without_password(address: &str) -> String {
    let shown = address.split_once('?').map_or(address, |(shown, _)| shown);
    let Some((scheme, rest)) = shown.split_once("://") else { return shown.to_owned() };
    match rest.rsplit_once('@') {
        Some((login, place)) => format!("{scheme}://{}@{place}", login.split(':').next().unwrap_or_default()),
        None => shown.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let cases = [
            ("postgresql://a:secret@host/db", "postgresql://a@host/db"),
            ("postgresql://a:s@cret@host/db", "postgresql://a@host/db"),
            ("postgresql://host/db", "postgresql://host/db"),
            ("postgresql://host/db?user=a&password=secret", "postgresql://host/db"),
        ];
        for (address, shown) in cases {
            assert_eq!(without_password(address), shown);
        }
    }

    #[test]
    fn the_address_goes_before_the_limits() {
        let seconds = Duration::from_secs;
        let limits = Limits {
            connect: seconds(7),
            statement: seconds(1),
            lock: seconds(1),
            idle: seconds(1),
            silence: seconds(8),
        };
        let plain = config("postgresql://host/db", &limits).expect("an address");
        assert_eq!((plain.get_connect_timeout(), plain.get_tcp_user_timeout()), (Some(&seconds(7)), Some(&seconds(8))));
        assert_eq!((plain.get_keepalives_idle(), plain.get_keepalives_retries()), (seconds(2), Some(3)));
        let own = config("postgresql://host/db?connect_timeout=3&application_name=mine", &limits).expect("an address");
        assert_eq!((own.get_connect_timeout(), own.get_application_name()), (Some(&seconds(3)), Some("mine")));
    }
}
