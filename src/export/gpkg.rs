//! An OGC GeoPackage 1.3 for QGIS and other GIS: one SQLite file with the table `captures`, points in WGS 84.
//!
//! There is no spatial index. The extension requires triggers that only GIS programs can run, and these programs build
//! an index on request.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, params, params_from_iter};

use super::record::utc;
use super::{ExportError, FIELDS, Kind, Record, Value};
use crate::domain::Position;

const TABLE: &str = "captures";

/// EPSG code of WGS 84.
const SRS: i32 = 4326;

/// Pragmas that mark the file as "GPKG" of version 1.3.0 (requirement 2). They forgo durability: the file has no final
/// name yet, so a crash leaves nothing of value.
const SETTINGS: &str = "
    PRAGMA application_id = 0x47504B47;
    PRAGMA user_version = 10300;
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA locking_mode = EXCLUSIVE;
";

/// Tables as defined in annex C of the standard.
const TABLES: &str = "
    CREATE TABLE gpkg_spatial_ref_sys (
        srs_name TEXT NOT NULL,
        srs_id INTEGER PRIMARY KEY,
        organization TEXT NOT NULL,
        organization_coordsys_id INTEGER NOT NULL,
        definition TEXT NOT NULL,
        description TEXT
    );
    CREATE TABLE gpkg_contents (
        table_name TEXT NOT NULL PRIMARY KEY,
        data_type TEXT NOT NULL,
        identifier TEXT UNIQUE,
        description TEXT DEFAULT '',
        last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
        min_x DOUBLE,
        min_y DOUBLE,
        max_x DOUBLE,
        max_y DOUBLE,
        srs_id INTEGER,
        CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id)
    );
    CREATE TABLE gpkg_geometry_columns (
        table_name TEXT NOT NULL,
        column_name TEXT NOT NULL,
        geometry_type_name TEXT NOT NULL,
        srs_id INTEGER NOT NULL,
        z TINYINT NOT NULL,
        m TINYINT NOT NULL,
        CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name),
        CONSTRAINT uk_gc_table_name UNIQUE (table_name),
        CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
        CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id)
    );
";

/// Rows that requirement 11 demands of `gpkg_spatial_ref_sys`.
const REFERENCE_SYSTEMS: &str = r#"
    INSERT INTO gpkg_spatial_ref_sys VALUES
        ('Undefined cartesian SRS', -1, 'NONE', -1, 'undefined', 'undefined cartesian coordinate reference system'),
        ('Undefined geographic SRS', 0, 'NONE', 0, 'undefined', 'undefined geographic coordinate reference system'),
        ('WGS 84 geodetic', 4326, 'EPSG', 4326,
            'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563,AUTHORITY["EPSG","7030"]],' ||
            'AUTHORITY["EPSG","6326"]],PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],' ||
            'UNIT["degree",0.0174532925199433,AUTHORITY["EPSG","9122"]],AUTHORITY["EPSG","4326"]]',
            'longitude/latitude coordinates in decimal degrees on the WGS 84 spheroid');
"#;

/// Writes the package into the empty file at `path`, which no one else may have open.
pub fn write(path: &Path, records: impl Iterator<Item = Result<Record, ExportError>>) -> Result<(), ExportError> {
    let connection = Connection::open(path)?;
    connection.execute_batch(SETTINGS)?;
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(&format!("{TABLES}{REFERENCE_SYSTEMS}{}", captures_table()))?;
    let (mut extent, mut changed) = (None, Timestamp::UNIX_EPOCH);
    for record in records {
        let record = record?;
        insert(&transaction, &record)?;
        extent = record.capture.facts.position.as_ref().map(|position| widened(extent, position)).or(extent);
        changed = changed.max(last_change(&record));
    }
    describe(&transaction, extent, changed)?;
    Ok(transaction.commit()?)
}

/// Returns the statement that creates the table of captures. Its id column is the primary key that the standard
/// requires.
fn captures_table() -> String {
    let columns = FIELDS.iter().map(|field| match (field.name, field.kind) {
        ("id", _) => "id INTEGER PRIMARY KEY NOT NULL".to_owned(),
        (name, kind) => format!("{name} {}", sql_type(kind)),
    });
    format!("CREATE TABLE {TABLE} ({}, geom POINT);", columns.collect::<Vec<_>>().join(", "))
}

const fn sql_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Boolean => "BOOLEAN",
        Kind::Integer => "INTEGER",
        Kind::Real => "DOUBLE",
        Kind::Text => "TEXT",
        Kind::Time => "DATETIME",
    }
}

fn insert(connection: &Connection, record: &Record) -> rusqlite::Result<()> {
    let marks = "?, ".repeat(FIELDS.len());
    let cells = FIELDS.iter().map(|field| cell((field.value)(record)));
    let point = record.capture.facts.position.as_ref().map_or(SqlValue::Null, |position| point(position).into());
    let sql = format!("INSERT INTO {TABLE} VALUES ({marks}?)");
    connection.prepare_cached(&sql)?.execute(params_from_iter(cells.chain([point]))).map(drop)
}

fn cell(value: Value) -> SqlValue {
    match value {
        Value::None => SqlValue::Null,
        Value::Boolean(value) => value.into(),
        Value::Integer(value) => value.into(),
        Value::Real(value) => value.into(),
        Value::Text(value) => value.into(),
        Value::Time(at) => utc(at).into(),
    }
}

/// Returns a GeoPackage header (version 0, little-endian, no envelope) and a point as well-known binary.
fn point(position: &Position) -> Vec<u8> {
    let mut bytes = b"GP\0\x01".to_vec();
    bytes.extend(SRS.to_le_bytes());
    bytes.extend(b"\x01\x01\0\0\0");
    bytes.extend(position.longitude_deg.to_le_bytes());
    bytes.extend(position.latitude_deg.to_le_bytes());
    bytes
}

/// Smallest and largest longitude and latitude, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Extent {
    min: [f64; 2],
    max: [f64; 2],
}

fn widened(extent: Option<Extent>, position: &Position) -> Extent {
    let point = [position.longitude_deg, position.latitude_deg];
    let Extent { min, max } = extent.unwrap_or(Extent { min: point, max: point });
    Extent { min: [0, 1].map(|axis| min[axis].min(point[axis])), max: [0, 1].map(|axis| max[axis].max(point[axis])) }
}

/// Returns when something was last said about a capture. The package names the latest of these moments and not that of
/// the export, so that the same captures give the same bytes.
fn last_change(record: &Record) -> Timestamp {
    let capture = &record.capture;
    let judged = capture.inspection.as_ref().map(|inspection| inspection.at);
    [capture.stored_at, judged].into_iter().flatten().fold(Timestamp::UNIX_EPOCH, Timestamp::max)
}

fn describe(connection: &Connection, extent: Option<Extent>, changed: Timestamp) -> rusqlite::Result<()> {
    let [min_x, min_y] = extent.map_or([None; 2], |extent| extent.min.map(Some));
    let [max_x, max_y] = extent.map_or([None; 2], |extent| extent.max.map(Some));
    let contents = "INSERT INTO gpkg_contents
        (table_name, data_type, identifier, description, min_x, min_y, max_x, max_y, srs_id, last_change)
        VALUES (?1, 'features', ?1, 'Inspection photos and what they show', ?2, ?3, ?4, ?5, ?6, ?7)";
    connection.execute(contents, params![TABLE, min_x, min_y, max_x, max_y, SRS, utc(changed)])?;
    let column = "INSERT INTO gpkg_geometry_columns VALUES (?1, 'geom', 'POINT', ?2, 0, 0)";
    connection.execute(column, params![TABLE, SRS]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::record::{bare_example, example};

    fn written(records: Vec<Record>) -> (tempfile::NamedTempFile, Connection) {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        write(file.path(), records.into_iter().map(Ok)).expect("written");
        let connection = Connection::open(file.path()).expect("a database");
        (file, connection)
    }

    fn placed(id: i64, longitude_deg: f64, latitude_deg: f64) -> Record {
        let mut record = example(id);
        let position = record.capture.facts.position.as_mut().expect("a position");
        (position.longitude_deg, position.latitude_deg) = (longitude_deg, latitude_deg);
        record
    }

    #[test]
    fn the_file_is_what_the_standard_asks_for() {
        let (file, connection) = written(vec![placed(1, 139.25, 35.5), bare_example(2), placed(3, -70.5, -33.25)]);
        let header = std::fs::read(file.path()).expect("read");
        assert!(header.starts_with(b"SQLite format 3\0") && &header[68..72] == b"GPKG");
        assert_eq!(header[60..64], 10_300_u32.to_be_bytes());
        let text = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0)).expect(sql);
        assert_eq!(text("PRAGMA integrity_check"), "ok");
        let change = "SELECT last_change FROM gpkg_contents";
        assert_eq!(text(change), "2026-05-09T01:02:05.000Z", "of the captures, not of the export");
        assert_eq!(text("SELECT group_concat(srs_id) FROM gpkg_spatial_ref_sys"), "-1,0,4326");
        let extent = "SELECT min_x || ' ' || min_y || ' ' || max_x || ' ' || max_y FROM gpkg_contents";
        assert_eq!(text(extent), "-70.5 -33.25 139.25 35.5");
        let faults: i64 = connection
            .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))
            .expect("a count");
        assert_eq!(faults, 0);
    }

    #[test]
    fn a_row_for_each_photo_with_its_point() {
        let (_file, connection) = written(vec![example(1), bare_example(2)]);
        let row = |id: i64| {
            let sql =
                "SELECT nullif(hex(geom), ''), taken_at, review_urgent, damage_type_ja FROM captures WHERE id = ?1";
            let read = |row: &rusqlite::Row| {
                Ok((row.get::<_, Option<String>>(0)?, row.get(1)?, row.get(2)?, row.get::<_, Option<String>>(3)?))
            };
            let (point, at, urgent, damage): (_, String, bool, _) =
                connection.query_row(sql, [id], read).expect("a row");
            (point, at, urgent, damage)
        };
        let (point, at, urgent, damage) = row(1);
        // The header, then 139.25 and 35.5 as little-endian doubles.
        assert_eq!(point.as_deref(), Some("47500001E6100000010100000000000000006861400000000000C04140"));
        assert_eq!(
            (at.as_str(), urgent, damage.as_deref()),
            ("2026-05-09T01:02:03.120Z", true, Some("ひびわれ; 腐食"))
        );
        assert_eq!(row(2).0, None);
    }

    #[test]
    fn without_positions_there_is_no_extent() {
        for records in [vec![], vec![bare_example(1)]] {
            let (_file, connection) = written(records);
            let extent = "SELECT min_x IS NULL AND max_y IS NULL FROM gpkg_contents";
            assert!(connection.query_row(extent, [], |row| row.get::<_, bool>(0)).expect("a row"));
        }
    }
}
