//! Events in PostgreSQL.

use postgres::{Client, NoTls};

use super::report::{GAPS_SQL, Totals, report, totals_sql};
use super::store::{Store, StoreError, Written};
use super::{Event, Gap, Message, Refused, Report, Thumbnail};

/// Of the tables below, in `bridgeclip_version`.
const VERSION: i64 = 1;

/// The lock keeps two collectors that start together from making the same tables; the number is ours alone.
const TABLES: &str = "
    SELECT pg_advisory_xact_lock(4723519301);
    CREATE TABLE IF NOT EXISTS bridgeclip_version (version bigint NOT NULL);
    INSERT INTO bridgeclip_version SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM bridgeclip_version);
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
        payload bytea NOT NULL,        -- its first bytes
        received timestamptz NOT NULL DEFAULT now()
    );
    -- What is known of each photo now: its result, or the last correction of it.
    CREATE OR REPLACE VIEW capture AS
        SELECT DISTINCT ON (source, subject) * FROM event WHERE kind = 'bridgeclip.capture.result.v1'
        ORDER BY source, subject, sequence DESC;
";

const PUT_EVENTS: &str = "
    INSERT INTO event (source, id, kind, sequence, subject, time, supersedes, body)
    SELECT source, id, kind, sequence, subject, time::timestamptz, supersedes, body::jsonb
    FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[])
        AS new (source, id, kind, sequence, subject, time, supersedes, body)
    ON CONFLICT DO NOTHING";

const PUT_THUMBNAILS: &str = "
    INSERT INTO thumbnail (source, event_id, jpeg) SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[])
    ON CONFLICT DO NOTHING";

const PUT_REFUSED: &str =
    "INSERT INTO refused (topic, reason, payload) SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[])";

/// A connection. After an error it is of no further use.
pub struct Postgres {
    /// Without a password.
    name: String,
    client: Client,
}

impl Postgres {
    pub fn open(address: &str) -> Result<Self, StoreError> {
        let name = without_password(address);
        let failed = |error| StoreError::Postgres(name.clone(), error);
        let mut client = Client::connect(address, NoTls).map_err(failed)?;
        let version = prepare(&mut client).map_err(failed)?;
        if version > VERSION {
            return Err(StoreError::Newer(name, version));
        }
        Ok(Postgres { name, client })
    }
}

fn prepare(client: &mut Client) -> Result<i64, postgres::Error> {
    let mut change = client.transaction()?;
    change.batch_execute(TABLES)?;
    let version = change.query_one("SELECT max(version) FROM bridgeclip_version", &[])?.get(0);
    change.commit()?;
    Ok(version)
}

/// For messages: the password of an address is nobody's business.
fn without_password(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    match rest.rsplit_once('@') {
        Some((login, place)) => format!("{scheme}://{}@{place}", login.split(':').next().unwrap_or_default()),
        None => address.to_owned(),
    }
}

impl Store for Postgres {
    fn write(&mut self, messages: &[Message]) -> Result<Written, StoreError> {
        match write(&mut self.client, messages) {
            // A value that PostgreSQL cannot store: the message that has it must not hold up the others.
            Err(error) if is_about_a_value(&error) => self.write_singly(messages),
            written => written.map_err(|error| StoreError::Postgres(self.name.clone(), error)),
        }
    }

    fn report(&mut self) -> Result<Report, StoreError> {
        read_report(&mut self.client).map_err(|error| StoreError::Postgres(self.name.clone(), error))
    }
}

impl Postgres {
    fn write_singly(&mut self, messages: &[Message]) -> Result<Written, StoreError> {
        let mut all = Written::default();
        for message in messages {
            let one = match write(&mut self.client, std::slice::from_ref(message)) {
                Err(error) if is_about_a_value(&error) => {
                    write(&mut self.client, &[refusal(message, &error.to_string())])
                }
                written => written,
            };
            let one = one.map_err(|error| StoreError::Postgres(self.name.clone(), error))?;
            all += one;
        }
        Ok(all)
    }
}

/// SQLSTATE class 22: data exception.
fn is_about_a_value(error: &postgres::Error) -> bool {
    error.code().is_some_and(|code| code.code().starts_with("22"))
}

fn refusal(message: &Message, reason: &str) -> Message {
    let (topic, payload) = match message {
        Message::Event(event) => (format!("{}/capture/result", event.source), event.body.as_bytes()),
        Message::Thumbnail(thumbnail) => {
            (format!("{}/capture/thumb/{}", thumbnail.source, thumbnail.event_id), thumbnail.jpeg.as_slice())
        }
        Message::Refused(refused) => (refused.topic.replace('\0', ""), refused.payload.as_slice()),
    };
    Message::refused(&topic, payload, format!("PostgreSQL cannot store it: {reason}"))
}

fn write(client: &mut Client, messages: &[Message]) -> Result<Written, postgres::Error> {
    let mut events: Vec<&Event> = messages.iter().filter_map(Message::as_event).collect();
    // Two collectors that store the same events in one order cannot wait for each other.
    events.sort_by_key(|event| (&event.source, &event.id));
    let thumbnails: Vec<&Thumbnail> = messages.iter().filter_map(Message::as_thumbnail).collect();
    let refused: Vec<&Refused> = messages.iter().filter_map(Message::as_refused).collect();
    let mut change = client.transaction()?;
    let new = put_events(&mut change, &events)? + put_thumbnails(&mut change, &thumbnails)?;
    put_refused(&mut change, &refused)?;
    change.commit()?;
    Ok(Written { new, known: (events.len() + thumbnails.len()) as u64 - new, refused: refused.len() as u64 })
}

fn put_events(change: &mut postgres::Transaction, events: &[&Event]) -> Result<u64, postgres::Error> {
    if events.is_empty() {
        return Ok(0);
    }
    let texts = |of: fn(&Event) -> &str| events.iter().map(|event| of(event)).collect::<Vec<_>>();
    let sequences: Vec<i64> = events.iter().map(|event| event.sequence).collect();
    let times: Vec<String> = events.iter().map(|event| event.time.to_string()).collect();
    let supersedes: Vec<Option<&str>> = events.iter().map(|event| event.supersedes.as_deref()).collect();
    let statement = change.prepare(PUT_EVENTS)?;
    change.execute(
        &statement,
        &[
            &texts(|event| &event.source),
            &texts(|event| &event.id),
            &texts(|event| &event.kind),
            &sequences,
            &texts(|event| &event.subject),
            &times,
            &supersedes,
            &texts(|event| &event.body),
        ],
    )
}

fn put_thumbnails(change: &mut postgres::Transaction, thumbnails: &[&Thumbnail]) -> Result<u64, postgres::Error> {
    if thumbnails.is_empty() {
        return Ok(0);
    }
    let sources: Vec<&str> = thumbnails.iter().map(|thumbnail| thumbnail.source.as_str()).collect();
    let ids: Vec<&str> = thumbnails.iter().map(|thumbnail| thumbnail.event_id.as_str()).collect();
    let jpegs: Vec<&[u8]> = thumbnails.iter().map(|thumbnail| thumbnail.jpeg.as_slice()).collect();
    change.execute(PUT_THUMBNAILS, &[&sources, &ids, &jpegs])
}

fn put_refused(change: &mut postgres::Transaction, refused: &[&Refused]) -> Result<(), postgres::Error> {
    if refused.is_empty() {
        return Ok(());
    }
    let topics: Vec<&str> = refused.iter().map(|refused| refused.topic.as_str()).collect();
    let reasons: Vec<&str> = refused.iter().map(|refused| refused.reason.as_str()).collect();
    let payloads: Vec<&[u8]> = refused.iter().map(|refused| refused.payload.as_slice()).collect();
    change.execute(PUT_REFUSED, &[&topics, &reasons, &payloads]).map(drop)
}

fn read_report(client: &mut Client) -> Result<Report, postgres::Error> {
    // One view for all three, while others write.
    let mut view = client.build_transaction().isolation_level(postgres::IsolationLevel::RepeatableRead).start()?;
    let last_received = "(extract(epoch FROM max(received)) * 1000000)::bigint";
    let totals = view.query(&totals_sql(last_received), &[])?.into_iter().map(|row| Totals {
        source: row.get(0),
        events: row.get(1),
        distinct: row.get(2),
        last_sequence: row.get(3),
        last_received_us: row.get(4),
    });
    let gaps = view.query(GAPS_SQL, &[])?;
    let gap = |row: &postgres::Row| (row.get(0), Gap { first: row.get(1), last: row.get(2) });
    let gaps: Vec<_> = gaps.iter().map(gap).collect();
    let refused = view.query_one("SELECT count(*) FROM refused", &[])?.get(0);
    Ok(report(totals.collect(), &gaps, refused))
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
        ];
        for (address, shown) in cases {
            assert_eq!(without_password(address), shown);
        }
    }
}
