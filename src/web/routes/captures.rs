//! Requests for the photos that this device has classified.

use std::ffi::OsStr;
use std::fs::File;
use std::sync::Arc;

use axum::body::Body as Bytes;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::query::{Id, Pairs};
use super::stream::of_file;
use crate::domain::{Sha256, Tag};
use crate::export::{ExportLine, Filter, Record, Thumbnails};
use crate::journal::{Reader, StoredCapture, StoredPlace};
use crate::plain_file;
use crate::search::Nearest;
use crate::web::access::Visitor;
use crate::web::pools::{Kind, Listener};
use crate::web::problem::Problem;
use crate::web::state::ApiState;

/// Maximum number of captures that one request examines. A request that has found few matches by then returns where to
/// continue, so that no request takes long.
const LOOKED_AT_MAX: usize = 2_000;
/// Number of captures that are read at a time.
const PAGE: usize = 100;
/// Maximum number of points of a track.
const TRACK_MAX: usize = 2_000;
/// Distance in metres within which two photos count as the same place. It is the usual error of a receiver without
/// corrections.
const SAME_PLACE_M: f64 = 10.0;

/// Lists captures, the newest first. The answer has a `next` until the last capture has been examined, even if it lists
/// no capture.
pub async fn list(State(site): State<Arc<ApiState>>, mut pairs: Pairs) -> Result<Json<Value>, Problem> {
    let (limit, before) = (pairs.number("limit", 200, 50)? as usize, pairs.id("before")?);
    let filter = pairs.filter(site.zone)?;
    pairs.end()?;
    let found = site.look(move |site, reader| newest(site, reader, &filter, before, limit)).await?;
    Ok(Json(found))
}

fn newest(
    site: &ApiState,
    reader: &Reader,
    filter: &Filter,
    before: Option<i64>,
    limit: usize,
) -> Result<Value, Problem> {
    let (mut found, mut next, mut looked_at) = (Vec::new(), before.or(Some(i64::MAX)), 0);
    while let Some(before) = next.filter(|_| found.len() < limit && looked_at < LOOKED_AT_MAX) {
        let page = reader.captures_before(before, PAGE.min(limit)).map_err(Problem::fault)?;
        looked_at += page.captures.len();
        next = page.next;
        for capture in page.captures {
            if found.len() == limit {
                break;
            }
            next = next.map(|_| capture.id);
            if filter.wants(&capture) {
                found.push(line(site, capture));
            }
        }
        if found.len() < limit {
            next = page.next;
        }
    }
    Ok(json!({ "captures": found, "next": next }))
}

fn line(site: &ApiState, capture: StoredCapture) -> Value {
    let record = Record::new(capture, site.zone);
    serde_json::to_value(ExportLine::of(&record)).expect("plain values")
}

/// Returns everything known about one capture, with the neighbours that support its verdict.
pub async fn one(
    State(site): State<Arc<ApiState>>,
    Extension(visitor): Extension<Visitor>,
    Id(id): Id,
) -> Result<Json<Value>, Problem> {
    let work = move |site: &ApiState, reader: &Reader, _: &Listener| {
        let capture = find(reader, id)?;
        let has_original = capture.facts.image.path.is_file();
        let mut value = line(site, capture);
        let event = reader.event(id).map_err(Problem::fault)?;
        let event: Value = event.and_then(|event| serde_json::from_slice(&event).ok()).unwrap_or_default();
        value["verdict"]["neighbours"] = event["data"]["verdict"]["neighbours"].clone();
        for name in ["device_verdict", "history"] {
            if let Some(told) = event["data"].get(name) {
                value[name] = told.clone();
            }
        }
        value["has_original"] = has_original.into();
        Ok(Json(value))
    };
    site.work(Kind::Files, visitor.id, work).await
}

fn find(reader: &Reader, id: i64) -> Result<StoredCapture, Problem> {
    reader.capture(id).map_err(Problem::fault)?.ok_or_else(|| Problem::not_found(format!("there is no capture {id}")))
}

pub async fn thumbnail(
    State(site): State<Arc<ApiState>>,
    Extension(visitor): Extension<Visitor>,
    Id(id): Id,
) -> Result<Response, Problem> {
    let work = move |site: &ApiState, reader: &Reader, _: &Listener| {
        let record = Record::new(find(reader, id)?, site.zone);
        let thumbnails = Thumbnails { reader, limits: site.limits, memory: site.decoding_memory() };
        let jpeg = thumbnails.of(&record).map_err(Problem::fault)?;
        jpeg.ok_or_else(|| {
            Problem::not_found("its thumbnail gave way to the quota, and the photo is not there any more")
        })
    };
    let jpeg = site.work(Kind::Files, visitor.id, work).await?;
    // A capture's photo never changes.
    let cache = HeaderValue::from_static("private, max-age=86400, immutable");
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg")), (header::CACHE_CONTROL, cache)], jpeg)
        .into_response())
}

/// Returns the photo's original file, if it is still where the device found it.
pub async fn original(
    State(site): State<Arc<ApiState>>,
    Extension(visitor): Extension<Visitor>,
    Id(id): Id,
) -> Result<Response, Problem> {
    let work = move |_: &ApiState, reader: &Reader, _: &Listener| {
        let capture = find(reader, id)?;
        let gone = || Problem::not_found("the photo is not there any more, or another one has its name");
        let mut file = plain_file::open(&capture.facts.image.path).map_err(|_| gone())?;
        match sha256(&mut file).map_err(|_| gone())? == capture.facts.image.sha256 {
            true => Ok((file, capture)),
            false => Err(gone()),
        }
    };
    let (file, capture) = site.work(Kind::Files, visitor.id.clone(), work).await?;
    let content_type = match capture.facts.image.path.extension().map(OsStr::to_ascii_lowercase) {
        Some(extension) if extension == "jpg" || extension == "jpeg" => "image/jpeg",
        Some(extension) if extension == "png" => "image/png",
        Some(extension) if extension == "webp" => "image/webp",
        Some(extension) if extension == "heic" || extension == "heif" || extension == "hif" => "image/heic",
        _ => "application/octet-stream",
    };
    let headers = [(header::CONTENT_TYPE, content_type), (header::CONTENT_DISPOSITION, "inline")];
    Ok((headers, Bytes::from_stream(of_file(site, Kind::Files, visitor.id, file))).into_response())
}

/// Hashes a file to its end and rewinds it.
fn sha256(file: &mut File) -> std::io::Result<Sha256> {
    use std::io::{Seek, SeekFrom};
    let mut hasher = <sha2::Sha256 as sha2::Digest>::new();
    std::io::copy(file, &mut hasher)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(Sha256(sha2::Digest::finalize(hasher).into()))
}

/// Lists earlier captures of the same member or place, the most similar first.
pub async fn earlier(
    State(site): State<Arc<ApiState>>,
    Extension(visitor): Extension<Visitor>,
    Id(id): Id,
    mut pairs: Pairs,
) -> Result<Json<Value>, Problem> {
    let top = pairs.number("top", 50, 6)? as usize;
    pairs.end()?;
    let work = move |site: &ApiState, reader: &Reader, listener: &Listener| {
        let is_wanted = || !listener.has_left();
        let fault = Problem::fault;
        let this = find(reader, id)?;
        let is_same = |place: &StoredPlace| {
            place.capture < id
                && (is_same_member(this.facts.tag.as_ref(), place.tag.as_ref())
                    || this
                        .facts
                        .position
                        .as_ref()
                        .zip(place.position.as_ref())
                        .is_some_and(|(a, b)| a.distance_m(b) <= SAME_PLACE_M))
        };
        let Some(own) = reader.result(id).map_err(fault)? else {
            return Ok(Json(json!({ "captures": [] })));
        };
        let mut same = Vec::new();
        for page in reader.place_pages().take_while(|_| is_wanted()) {
            same.extend(page.map_err(fault)?.iter().filter(|place| is_same(place)).map(|place| place.capture));
        }
        let mut nearest = Nearest::new(top);
        for page in reader.results_of(&same).take_while(|_| is_wanted()) {
            for result in
                page.map_err(fault)?.into_iter().filter(|result| result.embedding_space == own.embedding_space)
            {
                nearest.offer(own.embedding.cosine(&result.embedding), || result.capture);
            }
        }
        let found = nearest.into_sorted().into_iter().map(|(similarity, capture)| {
            Ok(json!({ "similarity": similarity, "capture": line(site, find(reader, capture)?) }))
        });
        Ok(Json(json!({ "captures": found.collect::<Result<Vec<_>, Problem>>()? })))
    };
    site.work(Kind::Search, visitor.id, work).await
}

/// Reports whether both tags name the same member. Tags that name no member are never the same.
fn is_same_member(a: Option<&Tag>, b: Option<&Tag>) -> bool {
    a == b && a.is_some_and(|tag| tag.member.is_some())
}

/// Lists the positions of the latest photos since the machine started, oldest first.
pub async fn track(State(site): State<Arc<ApiState>>) -> Result<Json<Value>, Problem> {
    let work = |site: &ApiState, reader: &Reader| {
        let places = reader.last_places(&site.identity.boot_id, TRACK_MAX).map_err(Problem::fault)?;
        let point = |place: StoredPlace| {
            let position = place.position?;
            Some(json!({ "capture": place.capture, "taken": place.taken, "position": position }))
        };
        let points: Vec<Value> = places.into_iter().rev().filter_map(point).collect();
        Ok(Json(json!({ "points": points })))
    };
    site.look(work).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_the_same_if_bridge_span_and_member_are() {
        let tag = |text: &str| text.parse::<Tag>().expect("a tag");
        let (a, b) = (tag("bridgeclip:bridge=B;span=1;member=G2"), tag("bridgeclip:bridge=B;span=2;member=G2"));
        let bridge = tag("bridgeclip:bridge=B");
        assert!(is_same_member(Some(&a), Some(&a)));
        assert!(!is_same_member(Some(&a), Some(&b)));
        assert!(!is_same_member(Some(&bridge), Some(&bridge)));
        assert!(!is_same_member(None, None));
    }
}
