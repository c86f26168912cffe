//! A connection to PostgreSQL on which every wait has a time limit.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use log::warn;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_postgres::{Client, Config, Error, NoTls};

use crate::error::StoreError;
use crate::store::{Bounds, Limits};

/// Interval between two checks whether to stop.
const TICK: Duration = Duration::from_millis(100);
/// Time that a running statement gets when the collector stops. Most statements end within it, and a stop takes at most
/// five seconds.
const GRACE: Duration = Duration::from_secs(2);
/// Time limit for taking leave of the server.
const GOODBYE: Duration = Duration::from_millis(200);
/// Number of unanswered keep-alive packets after which the connection is given up.
const KEEPALIVES: u32 = 3;

/// A connection's driver, which also limits every wait on it.
pub struct BoundedConnection {
    /// Address of the database without the password.
    pub name: String,
    /// Limits for every wait.
    pub bounds: Bounds,
    /// Runtime of the connection; `None` only while this is dropped.
    runtime: Option<Runtime>,
    /// Task that reads and writes the socket.
    connection: JoinHandle<()>,
}

impl BoundedConnection {
    /// Connects, and sets the session's limits on the server.
    pub fn open(address: &str, bounds: &Bounds) -> Result<(Self, Client), StoreError> {
        let (name, limits) = (without_password(address), &bounds.limits);
        let failed = |source| StoreError::Postgres { name: name.clone(), source };
        let config = config(address, limits).map_err(failed)?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| StoreError::Io { name: name.clone(), source })?;
        let mut link = BoundedConnection {
            name: name.clone(),
            bounds: bounds.clone(),
            connection: runtime.spawn(async {}),
            runtime: Some(runtime),
        };
        // The configuration's time limit covers only the socket; a server may accept it and then stay silent.
        let (client, connection) = link.wait(limits.connect, config.connect(NoTls))?;
        link.connection = link.runtime().spawn(async move {
            // Whoever waits for an answer receives the error.
            let _ = connection.await;
        });
        link.wait(limits.connect, client.batch_execute(&session(limits)))?;
        link.warn_of_lost_commits(&client)?;
        Ok((link, client))
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it is there until this is dropped")
    }

    /// Waits for an answer for at most `limit`. Once the collector stops, only [`GRACE`] remains.
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

    /// Fails if the server has ended the connection since its last use.
    pub fn look(&self, client: &Client) -> Result<(), StoreError> {
        self.runtime().block_on(async {
            // Yields twice: once for the socket's data, once for the task that reads it.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        });
        match client.is_closed() || self.connection.is_finished() {
            true => Err(StoreError::Lost(self.name.clone())),
            false => Ok(()),
        }
    }

    /// Logs a warning if the server may forget what it has confirmed.
    fn warn_of_lost_commits(&self, client: &Client) -> Result<(), StoreError> {
        let fsync = self.wait(self.bounds.limits.connect, client.query_one("SHOW fsync", &[]))?;
        if fsync.get::<_, &str>(0) == "off" {
            warn!("{}: fsync is off: a power cut can lose events that devices have deleted; set it to on", self.name);
        }
        Ok(())
    }
}

impl Drop for BoundedConnection {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        runtime.block_on(async {
            // The client is gone, so its connection takes leave of the server.
            let _ = tokio::time::timeout(GOODBYE, &mut self.connection).await;
        });
        // Does not wait for a pending name lookup.
        runtime.shutdown_background();
    }
}

/// Completes [`GRACE`] after the collector was told to stop.
async fn stopped(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        sleep(TICK).await;
    }
    sleep(GRACE).await;
}

/// Returns the connection's configuration. Settings in the address take precedence over the limits.
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

/// Returns the statements that set the session's limits on the server.
///
/// They also make a confirmed commit durable, whatever the server's settings say.
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

/// Returns an address for messages, without the password and without the options, which may contain it too.
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
