//! Storage of events in PostgreSQL.

mod link;
mod tables;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, IsolationLevel, Statement, Transaction};

use self::link::BoundedConnection;
use crate::error::StoreError;
use crate::message::{Event, Message, Refused, Thumbnail};
use crate::report::{GAPS_SQL, Gap, Report, Totals, report, totals_sql};
use crate::store::{Bounds, Store, Stored, why_not_stored};
use crate::tables::probes;

/// Inserts events, and skips those whose id is stored already.
const PUT_EVENTS: &str = "
    INSERT INTO event (source, id, kind, sequence, subject, time, supersedes, body)
    SELECT source, id, kind, sequence, subject, time::timestamptz, supersedes, body::jsonb
    FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[])
        AS new (source, id, kind, sequence, subject, time, supersedes, body)
    ON CONFLICT (source, id) DO NOTHING";

/// Inserts thumbnails, and skips those whose event has one already.
const PUT_THUMBNAILS: &str = "
    INSERT INTO thumbnail (source, event_id, jpeg) SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[])
    ON CONFLICT (source, event_id) DO NOTHING";

/// Inserts refused messages, and skips those whose hash is stored already.
const PUT_REFUSED: &str = "
    INSERT INTO refused (topic, reason, payload, sqlstate, sha256, bytes)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::text[], $6::bigint[])
    ON CONFLICT (sha256) DO NOTHING";

/// Query for the events that are not stored as received: index in the arguments, from 1, and whether nothing is stored
/// under the event's id.
const OTHER_EVENTS: &str = "
    SELECT new.place, old.id IS NULL
    FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS new (source, id, body, place)
    LEFT JOIN event AS old ON old.source = new.source AND old.id = new.id
    WHERE old.body::jsonb IS DISTINCT FROM new.body::jsonb";

/// Query for the thumbnails that are not stored as received: index in the arguments, from 1, and whether nothing is
/// stored under the event's id.
const OTHER_THUMBNAILS: &str = "
    SELECT new.place, old.event_id IS NULL
    FROM unnest($1::text[], $2::text[], $3::bytea[]) WITH ORDINALITY AS new (source, event_id, jpeg, place)
    LEFT JOIN thumbnail AS old ON old.source = new.source AND old.event_id = new.event_id
    WHERE old.jpeg IS DISTINCT FROM new.jpeg";

/// A connection to a PostgreSQL database.
pub struct Postgres {
    // Must be dropped before `link`: the connection ends with its client.
    client: Client,
    statements: Statements,
    link: BoundedConnection,
}

/// Prepared statements; each is sent and planned once.
struct Statements {
    put_events: Statement,
    put_thumbnails: Statement,
    put_refused: Statement,
    other_events: Statement,
    other_thumbnails: Statement,
}

impl Statements {
    async fn prepare(client: &Client) -> Result<Self, Error> {
        Ok(Statements {
            put_events: client.prepare(PUT_EVENTS).await?,
            put_thumbnails: client.prepare(PUT_THUMBNAILS).await?,
            put_refused: client.prepare(PUT_REFUSED).await?,
            other_events: client.prepare(OTHER_EVENTS).await?,
            other_thumbnails: client.prepare(OTHER_THUMBNAILS).await?,
        })
    }
}

impl Postgres {
    /// Connects and creates missing tables. `address` is a connection string or URL.
    pub fn open(address: &str, bounds: &Bounds) -> Result<Self, StoreError> {
        let (link, mut client) = BoundedConnection::open(address, bounds)?;
        tables::prepare(&link, &mut client)?;
        let statements = link.wait(bounds.limits.statement, Statements::prepare(&client));
        Ok(Postgres { client, statements: statements.map_err(StoreError::unsuitable)?, link })
    }
}

impl Store for Postgres {
    fn write(&mut self, messages: &[Message]) -> Result<Stored, StoreError> {
        self.link.look(&self.client)?;
        // The server limits each statement; a frozen server limits nothing.
        let limit = self.link.bounds.limits.statement * 2;
        self.link.wait(limit, write(&mut self.client, &self.statements, messages))
    }

    fn probe(&mut self, sample: &Event) -> Result<(), StoreError> {
        let limit = self.link.bounds.limits.statement * 2;
        self.link.wait(limit, probe(&mut self.client, &self.statements, sample))
    }

    fn report(&mut self) -> Result<Report, StoreError> {
        self.link.wait(self.link.bounds.limits.statement, read_report(&mut self.client))
    }
}

/// The messages of a transaction, by kind.
struct Sorted<'a> {
    events: Vec<&'a Event>,
    thumbnails: Vec<&'a Thumbnail>,
    refused: Vec<&'a Refused>,
}

impl<'a> Sorted<'a> {
    fn of(messages: &'a [Message]) -> Self {
        let mut events: Vec<&Event> = messages.iter().filter_map(Message::as_event).collect();
        let mut thumbnails: Vec<&Thumbnail> = messages.iter().filter_map(Message::as_thumbnail).collect();
        // Two collectors that store the same rows in the same order cannot deadlock.
        events.sort_by_key(|event| (&event.source, &event.id));
        thumbnails.sort_by_key(|thumbnail| (&thumbnail.source, &thumbnail.event_id));
        Sorted { events, thumbnails, refused: messages.iter().filter_map(Message::as_refused).collect() }
    }
}

async fn write(client: &mut Client, statements: &Statements, messages: &[Message]) -> Result<Stored, Error> {
    let change = client.transaction().await?;
    let stored = put(&change, statements, &Sorted::of(messages)).await?;
    change.commit().await?;
    Ok(stored)
}

/// Stores the sample's messages and rolls back.
async fn probe(client: &mut Client, statements: &Statements, sample: &Event) -> Result<(), Error> {
    let change = client.transaction().await?;
    put(&change, statements, &Sorted::of(&probes(sample))).await?;
    change.rollback().await
}

async fn put(change: &Transaction<'_>, statements: &Statements, messages: &Sorted<'_>) -> Result<Stored, Error> {
    let mut stored = Stored::default();
    let new = put_events(change, statements, &messages.events, &mut stored.set_aside).await?
        + put_thumbnails(change, statements, &messages.thumbnails, &mut stored.set_aside).await?;
    let set_aside = stored.set_aside.iter().collect::<Vec<_>>();
    let refused: Vec<&Refused> = messages.refused.iter().copied().chain(set_aside).collect();
    put_refused(change, &statements.put_refused, &refused).await?;
    stored.written.new = new;
    stored.written.refused = refused.len() as u64;
    let taken = messages.events.len() + messages.thumbnails.len() - stored.set_aside.len();
    stored.written.known = taken as u64 - new;
    Ok(stored)
}

/// Parameters of a statement.
type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

async fn put_events(
    change: &Transaction<'_>,
    statements: &Statements,
    events: &[&Event],
    set_aside: &mut Vec<Refused>,
) -> Result<u64, Error> {
    if events.is_empty() {
        return Ok(0);
    }
    let texts = |of: fn(&Event) -> &str| events.iter().map(|event| of(event)).collect::<Vec<_>>();
    let (sources, ids) = (texts(|event| &event.source), texts(|event| &event.id));
    let (kinds, subjects) = (texts(|event| &event.kind), texts(|event| &event.subject));
    let sequences: Vec<i64> = events.iter().map(|event| event.sequence).collect();
    let times: Vec<String> = events.iter().map(|event| event.time.to_string()).collect();
    let supersedes: Vec<Option<&str>> = events.iter().map(|event| event.supersedes.as_deref()).collect();
    let bodies = texts(|event| &event.body);
    let values: Values = &[&sources, &ids, &kinds, &sequences, &subjects, &times, &supersedes, &bodies];
    let new = change.execute(&statements.put_events, values).await?;
    if new < events.len() as u64 {
        for (place, is_absent) in others(change, &statements.other_events, &[&sources, &ids, &bodies]).await? {
            set_aside.push(events[place].refused(why_not_stored(is_absent)));
        }
    }
    Ok(new)
}

async fn put_thumbnails(
    change: &Transaction<'_>,
    statements: &Statements,
    thumbnails: &[&Thumbnail],
    set_aside: &mut Vec<Refused>,
) -> Result<u64, Error> {
    if thumbnails.is_empty() {
        return Ok(0);
    }
    let sources: Vec<&str> = thumbnails.iter().map(|thumbnail| thumbnail.source.as_str()).collect();
    let ids: Vec<&str> = thumbnails.iter().map(|thumbnail| thumbnail.event_id.as_str()).collect();
    let jpegs: Vec<&[u8]> = thumbnails.iter().map(|thumbnail| thumbnail.jpeg.as_slice()).collect();
    let values: Values = &[&sources, &ids, &jpegs];
    let new = change.execute(&statements.put_thumbnails, values).await?;
    if new < thumbnails.len() as u64 {
        for (place, is_absent) in others(change, &statements.other_thumbnails, values).await? {
            set_aside.push(thumbnails[place].refused(why_not_stored(is_absent)));
        }
    }
    Ok(new)
}

/// Returns the indices, from 0, of messages that are not stored as received, and whether nothing is stored under their
/// ids.
async fn others(
    change: &Transaction<'_>,
    statement: &Statement,
    values: Values<'_>,
) -> Result<Vec<(usize, bool)>, Error> {
    let rows = change.query(statement, values).await?;
    Ok(rows.iter().map(|row| (row.get::<_, i64>(0) as usize - 1, row.get(1))).collect())
}

async fn put_refused(change: &Transaction<'_>, statement: &Statement, refused: &[&Refused]) -> Result<(), Error> {
    if refused.is_empty() {
        return Ok(());
    }
    let topics: Vec<&str> = refused.iter().map(|refused| refused.topic.as_str()).collect();
    let reasons: Vec<&str> = refused.iter().map(|refused| refused.reason.as_str()).collect();
    let payloads: Vec<&[u8]> = refused.iter().map(|refused| refused.payload.as_slice()).collect();
    let states: Vec<Option<&str>> = refused.iter().map(|refused| refused.sqlstate.as_deref()).collect();
    let hashes: Vec<String> = refused.iter().map(|refused| refused.sha256.to_string()).collect();
    let bytes: Vec<i64> = refused.iter().map(|refused| refused.bytes as i64).collect();
    change.execute(statement, &[&topics, &reasons, &payloads, &states, &hashes, &bytes]).await.map(drop)
}

async fn read_report(client: &mut Client) -> Result<Report, Error> {
    // One transaction gives all three queries the same view while others write.
    let view = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    let view = view.start().await?;
    let last_received = "(extract(epoch FROM max(received)) * 1000000)::bigint";
    let totals = view.query(&totals_sql(last_received), &[]).await?.into_iter().map(|row| Totals {
        source: row.get(0),
        events: row.get(1),
        distinct: row.get(2),
        last_sequence: row.get(3),
        last_received_us: row.get(4),
    });
    let gaps = view.query(GAPS_SQL, &[]).await?;
    let gap = |row: &tokio_postgres::Row| (row.get(0), Gap { first: row.get(1), last: row.get(2) });
    let gaps: Vec<_> = gaps.iter().map(gap).collect();
    let refused = view.query_one("SELECT count(*) FROM refused", &[]).await?.get(0);
    Ok(report(totals.collect(), &gaps, refused))
}
