//! Requests for exports, and for the photos that exist of each member.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use axum::body::Body as Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::query::Pairs;
use super::stream::of_file;
use crate::domain::Category;
use crate::durable;
use crate::export::html::Group;
use crate::export::{ExportError, Filter, Job, Progress, Stream};
use crate::journal::Reader;
use crate::texts::Lang;
use crate::web::access::Visitor;
use crate::web::pools::{Kind, Listener};
use crate::web::problem::Problem;
use crate::web::state::ApiState;
use crate::web::uploads::EXPORT_PREFIX;

#[derive(Clone, Copy)]
enum Format {
    Stream(Stream),
    Geopackage,
}

/// Exports the captures that match the conditions, as a file.
pub async fn export(
    State(site): State<Arc<ApiState>>,
    Extension(visitor): Extension<Visitor>,
    mut pairs: Pairs,
) -> Result<Response, Problem> {
    let name = pairs.take("format").unwrap_or_default();
    let lang = lang(pairs.take("lang").as_deref())?;
    let bom = pairs.flag("bom")?;
    let (format, content_type) = match name.as_str() {
        "csv" => (Format::Stream(Stream::Csv { bom }), "text/csv; charset=utf-8"),
        "geojson" => (Format::Stream(Stream::Geojson), "application/geo+json"),
        "jsonl" => (Format::Stream(Stream::Jsonl), "application/jsonl"),
        "gpx" => (Format::Stream(Stream::Gpx), "application/gpx+xml"),
        "kml" => (Format::Stream(Stream::Kml), "application/vnd.google-earth.kml+xml"),
        "odm" => (Format::Stream(Stream::Odm), "text/plain; charset=utf-8"),
        "html" => (Format::Stream(Stream::Html(lang)), "text/html; charset=utf-8"),
        "gpkg" => (Format::Geopackage, "application/geopackage+sqlite3"),
        _ => return Err(Problem::bad_request("format: csv, geojson, gpkg, gpx, html, jsonl, kml or odm is expected")),
    };
    let filter = pairs.filter(site.zone)?;
    pairs.end()?;
    let write = move |site: &ApiState, reader: &Reader, listener: &Listener| {
        let progress = while_somebody_waits(listener);
        write(&site.uploads.room.dir, &job(site, reader, filter, &progress), format)
    };
    let file = site.work(Kind::Export, visitor.id.clone(), write).await?;
    let day = Timestamp::now().to_zoned(site.zone.to_time_zone()).strftime("%Y-%m-%d").to_string();
    let suffix = if name == "odm" { "txt" } else { &name };
    let disposition = format!("attachment; filename=\"bridgeclip-{day}.{suffix}\"");
    let headers = [(header::CONTENT_TYPE, content_type), (header::CONTENT_DISPOSITION, &disposition)];
    Ok((headers, Bytes::from_stream(of_file(site, Kind::Quick, visitor.id, file))).into_response())
}

pub fn lang(tag: Option<&str>) -> Result<Lang, Problem> {
    let Some(tag) = tag else { return Ok(Lang::default()) };
    let lang = Lang::ALL.into_iter().find(|lang| lang.tag() == tag);
    lang.ok_or_else(|| Problem::bad_request(format!("lang={tag}: en or ja is expected")))
}

/// Writes an export to a temporary file, which is removed when the answer has been sent. Only a GeoPackage has a name
/// while it is written.
fn write(dir: &Path, job: &Job, format: Format) -> Result<File, Problem> {
    durable::create_folders(dir).map_err(Problem::fault)?;
    let mut file = match format {
        Format::Stream(form) => {
            let mut file = tempfile::tempfile_in(dir).map_err(Problem::fault)?;
            job.write(form, &mut file).map_err(fault)?;
            file
        }
        Format::Geopackage => {
            let file = tempfile::Builder::new().prefix(EXPORT_PREFIX).tempfile_in(dir).map_err(Problem::fault)?;
            job.write_geopackage(file.path()).map_err(fault)?;
            file.reopen().map_err(Problem::fault)?
        }
    };
    file.seek(SeekFrom::Start(0)).map_err(Problem::fault)?;
    Ok(file)
}

/// Returns a progress function that stops the export when nobody waits for it any more.
fn while_somebody_waits(listener: &Listener) -> impl Fn(Progress) -> Result<(), ExportError> {
    |_| if listener.has_left() { Err(ExportError::Stopped) } else { Ok(()) }
}

fn job<'a>(
    site: &'a ApiState,
    reader: &'a Reader,
    filter: Filter,
    progress: &'a dyn Fn(Progress) -> Result<(), ExportError>,
) -> Job<'a> {
    let (members, device) = (site.members.as_deref(), site.device.clone());
    Job {
        reader,
        filter,
        zone: site.zone,
        limits: site.limits,
        memory: site.decoding_memory(),
        device,
        members,
        progress,
    }
}

/// Converts an export's error. Errors that the person at the page can act on keep their message.
fn fault(error: ExportError) -> Problem {
    match error {
        error @ ExportError::Members(_) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        error @ ExportError::Stopped => Problem::new(StatusCode::REQUEST_TIMEOUT, error.to_string()),
        error => Problem::fault(error),
    }
}

/// Lists all members, with the damage that their photos show.
pub async fn coverage(
    State(site): State<Arc<ApiState>>,
    Extension(visitor): Extension<Visitor>,
    mut pairs: Pairs,
) -> Result<Json<Value>, Problem> {
    let filter = pairs.filter(site.zone)?;
    pairs.end()?;
    site.work(Kind::Search, visitor.id, move |site, reader, listener| {
        let progress = while_somebody_waits(listener);
        let plan = job(site, reader, filter, &progress).plan().map_err(fault)?;
        let members: Vec<Value> = plan.groups().iter().map(member).collect();
        Ok(Json(json!({ "members": members })))
    })
    .await
}

fn member(group: &Group) -> Value {
    let Group { bridge, span, member, photos, urgent, doubtful, damage, worst_soundness, answer } = group;
    let label = |category: Category, index: u8| category.class(index).en;
    let damage: serde_json::Map<String, Value> =
        damage.iter().map(|(index, count)| (label(Category::DamageType, *index).to_owned(), json!(count))).collect();
    json!({
        "bridge": bridge, "span": span, "member": member,
        "photos": photos.len(), "last": photos.last().map(|(at, _)| at), "urgent": urgent, "second_look": doubtful,
        "damage": damage, "worst_soundness": worst_soundness.map(|index| label(Category::Soundness, index)),
        "rating": answer.as_ref().and_then(|answer| answer.rating()).map(|index| label(Category::Soundness, index)),
    })
}
