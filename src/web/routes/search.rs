//! Search for photos by a text or by a photo.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::query::Pairs;
use crate::domain::Embedding;
use crate::export::{ExportLine, Record};
use crate::journal::Reader;
use crate::search::{Filter, in_captures, in_reference};
use crate::web::access::Visitor;
use crate::web::pools::{Kind, Listener};
use crate::web::problem::Problem;
use crate::web::state::ApiState;

/// Maximum number of characters of a text; the tokenizer cuts off long before.
const TEXT_MAX: usize = 1_000;

/// Place for the photo of a search. Unlike an upload it is held in memory, so only one is admitted at a time.
static HELD: Semaphore = Semaphore::const_new(1);
/// Maximum size of a photo to search with, in bytes.
const PHOTO_BYTES_MAX: usize = 32_000_000;
/// Time limit for receiving a photo to search with.
const PHOTO_TIME_MAX: Duration = Duration::from_secs(60);

#[derive(Clone, Copy)]
enum Where {
    Captures,
    Reference,
}

struct Wanted {
    place: Where,
    top: usize,
    filter: Filter,
}

fn wanted(mut pairs: Pairs) -> Result<Wanted, Problem> {
    let place = match pairs.take("in").as_deref() {
        None | Some("captures") => Where::Captures,
        Some("reference") => Where::Reference,
        Some(other) => return Err(Problem::bad_request(format!("in={other}: captures or reference is expected"))),
    };
    let (top, filter) = (pairs.number("top", 100, 12)? as usize, Filter(pairs.conditions()?));
    pairs.end()?;
    Ok(Wanted { place, top, filter })
}

pub async fn by_text(
    State(site): State<Arc<ApiState>>,
    Extension(visitor): Extension<Visitor>,
    mut pairs: Pairs,
) -> Result<Json<Value>, Problem> {
    let text = pairs.take("text").filter(|text| !text.trim().is_empty());
    let text = text.ok_or_else(|| Problem::bad_request("`text` is missing: what to look for"))?;
    if text.chars().count() > TEXT_MAX {
        return Err(Problem::bad_request(format!("`text` has more than {TEXT_MAX} characters")));
    }
    let wanted = wanted(pairs)?;
    let find = move |site: &ApiState, reader: &Reader, listener: &Listener| {
        find(site, reader, &site.searcher.of_text(&text)?, &wanted, listener)
    };
    site.work(Kind::Search, visitor.id, find).await
}

/// Finds photos that resemble the one in the request's body, which is not kept.
pub async fn by_photo(
    State(site): State<Arc<ApiState>>,
    Extension(visitor): Extension<Visitor>,
    pairs: Pairs,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let wanted = wanted(pairs)?;
    let place = HELD.try_acquire().map_err(|_| Problem::busy("another photo is being searched with", 5))?;
    let bytes_max = PHOTO_BYTES_MAX.min(usize::try_from(site.uploads.bytes_max).unwrap_or(usize::MAX));
    let photo = tokio::time::timeout(PHOTO_TIME_MAX, to_bytes(body, bytes_max)).await;
    let photo = photo.map_err(|_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the photo did not come in time"))?;
    let photo = photo.map_err(|_| {
        let detail = format!("the photo has more than {} MB, or broke off", bytes_max / 1_000_000);
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    })?;
    let find = move |site: &ApiState, reader: &Reader, listener: &Listener| {
        let query = site.searcher.of_photo(&photo)?;
        drop((photo, place));
        find(site, reader, &query, &wanted, listener)
    };
    site.work(Kind::Search, visitor.id, find).await
}

fn find(
    site: &ApiState,
    reader: &Reader,
    query: &Embedding,
    wanted: &Wanted,
    listener: &Listener,
) -> Result<Json<Value>, Problem> {
    let Wanted { place, top, filter } = wanted;
    let found: Vec<Value> = match place {
        Where::Reference => {
            let answerer = site.searcher.classifier.answerer();
            let found = in_reference(&answerer.reference, query, *top, filter).map_err(Problem::fault)?;
            found.iter().map(|photo| json!(photo)).collect()
        }
        Where::Captures => {
            let pages = reader.result_pages().take_while(|_| !listener.has_left());
            let found = in_captures(pages, query, site.identity.embedding_space, *top, filter);
            let found = found.map_err(Problem::fault)?.into_iter().map(|found| {
                let capture = reader.capture(found.result.capture).map_err(Problem::fault)?;
                let record = capture.map(|capture| Record::new(capture, site.zone));
                Ok(record.map(|record| json!({ "similarity": found.similarity, "capture": ExportLine::of(&record) })))
            });
            found.collect::<Result<Vec<_>, Problem>>()?.into_iter().flatten().collect()
        }
    };
    Ok(Json(json!({ "found": found })))
}
