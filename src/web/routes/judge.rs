//! What people add to a capture.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::access::Visitor;
use super::super::live::Notice;
use super::super::problem::Problem;
use super::super::site::Site;
use super::Body;
use super::query::Id;
use crate::domain::{Category, Change, Inspection, Labels, Tag, TagText};
use crate::journal::{JournalError, Reader};
use crate::learn::Rated;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Word {
    /// Of the event that the inspector has seen: what has changed meanwhile must be seen first.
    sequence: i64,
    /// What is right; what is shown is accepted if not given.
    labels: Option<Labels>,
    /// Who says so, at the device itself; on the network it is the visitor's own name.
    name: Option<TagText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    tag: Tag,
}

/// Accepts or corrects a verdict.
pub async fn inspect(
    State(site): State<Arc<Site>>,
    Id(id): Id,
    Extension(visitor): Extension<Visitor>,
    Body(word): Body<Word>,
) -> Result<Json<Value>, Problem> {
    let by = visitor.name.or(word.name.clone());
    let by = by.ok_or_else(|| Problem::bad_request("`name` is missing: who has inspected the photo"))?;
    word.labels.iter().try_for_each(check)?;
    site.work(move |site, reader| {
        let shown = reader.capture(id).map_err(Problem::fault)?;
        let shown = shown.ok_or_else(|| Problem::not_found(format!("there is no capture {id}")))?;
        if shown.sequence != Some(word.sequence) {
            return Err(Problem::new(StatusCode::CONFLICT, "the verdict has changed meanwhile; look at it again"));
        }
        let was = shown.verdict.labels();
        let labels = word.labels.unwrap_or_else(|| was.clone());
        let inspection = Inspection { by, at: Timestamp::now(), was, labels };
        let answer = supersede(site, id, &Change::Inspected(inspection))?;
        if site.learn {
            learn(site, reader, id).map_err(Problem::fault)?;
        }
        Ok(answer)
    })
    .await
}

/// The photo votes from now on, as it was judged last.
fn learn(site: &Site, reader: &Reader, id: i64) -> Result<(), JournalError> {
    if let Some(rated) = reader.result(id)?.and_then(|result| Rated::of(result, site.identity.embedding_space)) {
        site.searcher.classifier.answerer().rated.put(rated);
    }
    Ok(())
}

/// A bridge inspector gives one soundness and one measure.
fn check(labels: &Labels) -> Result<(), Problem> {
    for category in Category::ALL.into_iter().filter(|category| !category.is_multi()) {
        if labels.get(category).indexes().len() != 1 {
            return Err(Problem::bad_request(format!("{} has exactly one label", category.id())));
        }
    }
    Ok(())
}

/// Says afterwards which member a photo shows.
pub async fn retag(
    State(site): State<Arc<Site>>,
    Id(id): Id,
    Body(place): Body<Place>,
) -> Result<Json<Value>, Problem> {
    site.work(move |site, _| supersede(site, id, &Change::Tag(place.tag))).await
}

fn supersede(site: &Site, capture: i64, change: &Change) -> Result<Json<Value>, Problem> {
    let Site { journal, identity, link, .. } = site;
    let made = journal.supersede(identity, capture, change.clone(), !link.is_online(), Timestamp::now());
    let made = made.map_err(|error| match error {
        JournalError::UnknownCapture(_) => Problem::not_found(format!("there is no capture {capture}")),
        error @ JournalError::NoEvent(_) => Problem::new(StatusCode::CONFLICT, error.to_string()),
        error => Problem::fault(error),
    })?;
    site.live.tell(&Notice::Changed { captures: vec![capture] });
    Ok(Json(json!({ "capture": capture, "sequence": made.sequence, "event_id": made.event_id })))
}
