//! Creates missing tables in PostgreSQL, and checks all tables before anything is stored.

use tokio_postgres::{Client, Error, GenericClient};

use crate::error::StoreError;
use crate::postgres::link::BoundedConnection;
use crate::tables::{ADDED, FIRST, VERSION, lacking};

/// Statement that keeps two collectors from creating the same tables at the same time. No other program uses this
/// number.
const LOCK: &str = "SELECT pg_advisory_xact_lock(4723519301)";

/// Statements that create the tables of the current version, or bring older ones up to it.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS bridgeclip_version (version bigint NOT NULL);
    CREATE TABLE IF NOT EXISTS event (
        source text NOT NULL,          -- the device
        id text NOT NULL,
        kind text NOT NULL,
        sequence bigint NOT NULL,
        subject text NOT NULL,         -- SHA-256 of the photo
        time timestamptz NOT NULL,     -- the device's clock
        supersedes text,
        body jsonb NOT NULL,           -- the whole CloudEvent
        received timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (source, id)
    );
    CREATE INDEX IF NOT EXISTS event_sequence ON event (source, sequence);
    CREATE INDEX IF NOT EXISTS event_subject ON event (subject);
    CREATE TABLE IF NOT EXISTS thumbnail (
        source text NOT NULL,
        event_id text NOT NULL,
        jpeg bytea NOT NULL,
        received timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (source, event_id)
    );
    CREATE TABLE IF NOT EXISTS refused (
        topic text NOT NULL,
        reason text NOT NULL,
        payload bytea NOT NULL,        -- its first bytes; all of it, if it has the form of an event or a thumbnail
        received timestamptz NOT NULL DEFAULT now()
    );
    ALTER TABLE refused
        ADD COLUMN IF NOT EXISTS sqlstate text,    -- the database's code, if it was the database that refused
        ADD COLUMN IF NOT EXISTS sha256 text,      -- of topic, NUL and whole payload
        ADD COLUMN IF NOT EXISTS bytes bigint;     -- of the whole payload
    CREATE UNIQUE INDEX IF NOT EXISTS refused_sha256 ON refused (sha256);
    DELETE FROM bridgeclip_version;
";

/// Statement that creates the view of each photo's current state: its result, or the latest correction of that result.
const VIEW: &str = "
    CREATE VIEW capture AS
        SELECT DISTINCT ON (source, subject) source, id, kind, sequence, subject, time, supersedes, body, received
        FROM event WHERE kind = 'bridgeclip.capture.result.v1'
        ORDER BY source, subject, sequence DESC";

/// Creates missing tables and columns. A user who may not create tables can use existing ones.
pub fn prepare(link: &BoundedConnection, client: &mut Client) -> Result<(), StoreError> {
    let limit = link.bounds.limits.statement;
    let suited = |lacking: Option<String>| match lacking {
        Some(reason) => Err(StoreError::Unsuitable { name: link.name.clone(), reason }),
        None => Ok(()),
    };
    let version = link.wait(limit, version(client))?;
    if let Some(newer) = version.filter(|version| *version > VERSION) {
        return Err(StoreError::Newer(link.name.clone(), newer));
    }
    let found = link.wait(limit, columns(client))?;
    if version != Some(VERSION) || FIRST.iter().any(|(table, _)| found.iter().all(|(name, _)| name != table)) {
        // A foreign table may happen to have one of these names, and must never be altered.
        suited(lacking(&FIRST, &found))?;
        link.wait(limit, make(client)).map_err(StoreError::unsuitable)?;
    }
    let needed = [&FIRST[..], &ADDED[..]].concat();
    suited(lacking(&needed, &link.wait(limit, columns(client))?))
}

/// Returns the version of the tables, or `None` if there are none.
async fn version(client: &impl GenericClient) -> Result<Option<i64>, Error> {
    let is_there = client.query_one("SELECT to_regclass('bridgeclip_version') IS NOT NULL", &[]).await?;
    if !is_there.get::<_, bool>(0) {
        return Ok(None);
    }
    Ok(client.query_one("SELECT max(version) FROM bridgeclip_version", &[]).await?.get(0))
}

/// Creates or updates the tables in one transaction.
async fn make(client: &mut Client) -> Result<(), Error> {
    let change = client.transaction().await?;
    change.batch_execute(LOCK).await?;
    // Another collector may have been first, and may be newer.
    if version(&change).await?.is_none_or(|found| found <= VERSION) {
        change.batch_execute(TABLES).await?;
        change.execute("INSERT INTO bridgeclip_version VALUES ($1)", &[&VERSION]).await?;
        let has_view = change.query_one("SELECT to_regclass('capture') IS NOT NULL", &[]).await?;
        if !has_view.get::<_, bool>(0) {
            change.batch_execute(VIEW).await?;
        }
    }
    change.commit().await
}

/// Returns (table, column) for every column of the existing tables that have one of the names in `FIRST`.
async fn columns(client: &impl GenericClient) -> Result<Vec<(String, String)>, Error> {
    let sql = "SELECT name, attname::text FROM unnest($1::text[]) AS name
               JOIN pg_attribute ON attrelid = to_regclass(name)
               WHERE attnum > 0 AND NOT attisdropped";
    let names: Vec<&str> = FIRST.iter().map(|(name, _)| *name).collect();
    let rows = client.query(sql, &[&names]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
