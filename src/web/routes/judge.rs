//! Judgements and tags that people add to a capture.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::query::{Body, Id};
use crate::domain::{Category, Change, Labels, PersonName, Saying, Statement, Tag, TagText};
use crate::journal::{Expect, JournalError, Superseded};
use crate::web::access::Visitor;
use crate::web::problem::Problem;
use crate::web::state::ApiState;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgementRequest {
    /// Number of the event that the inspector has seen. If the verdict has changed since, they must look at it again.
    sequence: i64,
    /// Correct labels; without them the verdict that is shown is accepted.
    labels: Option<Labels>,
    /// Whether to take back the last judgement that still applies.
    #[serde(default)]
    undo: bool,
    /// Name of the inspector, if they are at the device itself. A visitor from the network has a name already.
    name: Option<PersonName>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTag {
    tag: Tag,
}

impl JudgementRequest {
    fn saying(self) -> Result<Saying, Problem> {
        match (self.labels, self.undo) {
            (None, false) => Ok(Saying::Accept),
            (Some(labels), false) => check(&labels).map(|()| Saying::Correct(labels)),
            (None, true) => Ok(Saying::Undo),
            (Some(_), true) => Err(Problem::bad_request("give either `labels` or `undo`")),
        }
    }
}

/// Accepts or corrects a verdict, or takes back the last such judgement.
pub async fn inspect(
    State(site): State<Arc<ApiState>>,
    Id(id): Id,
    Extension(visitor): Extension<Visitor>,
    Body(word): Body<JudgementRequest>,
) -> Result<Json<Value>, Problem> {
    let by = visitor.name.or(word.name.clone()).map(TagText::from);
    let by = by.ok_or_else(|| Problem::bad_request("`name` is missing: who has inspected the photo"))?;
    let (seen, saying) = (word.sequence, word.saying()?);
    site.change(visitor.id, move |site, _| {
        let statement = Statement { by, at: Timestamp::now(), saying };
        let ApiState { journal, identity, link, .. } = site;
        let made = journal.judge(identity, id, statement, Expect::VerdictOf(seen), !link.is_online());
        made.map(|made| told(&made)).map_err(problem)
    })
    .await
}

/// Checks that the labels name exactly one soundness and one measure, as a bridge inspector must.
fn check(labels: &Labels) -> Result<(), Problem> {
    for category in Category::ALL.into_iter().filter(|category| !category.is_multi()) {
        if labels.get(category).indexes().len() != 1 {
            return Err(Problem::bad_request(format!("{} has exactly one label", category.id())));
        }
    }
    Ok(())
}

/// Changes the tag of a capture: the member that its photo shows.
pub async fn retag(
    State(site): State<Arc<ApiState>>,
    Extension(visitor): Extension<Visitor>,
    Id(id): Id,
    Body(place): Body<NewTag>,
) -> Result<Json<Value>, Problem> {
    site.change(visitor.id, move |site, _| {
        let ApiState { journal, identity, link, .. } = site;
        let change = Change::Tag(place.tag);
        let made = journal.supersede(identity, id, change, Expect::Any, !link.is_online(), Timestamp::now());
        made.map(|made| told(&made)).map_err(problem)
    })
    .await
}

fn problem(error: JournalError) -> Problem {
    match error {
        error @ JournalError::UnknownCapture(_) => Problem::not_found(error.to_string()),
        error @ (JournalError::NoEvent(_) | JournalError::Changed { .. } | JournalError::Statement(_)) => {
            Problem::new(StatusCode::CONFLICT, error.to_string())
        }
        error => Problem::fault(error),
    }
}

/// Returns the change to whoever made it; the journal has notified the pages.
fn told(made: &Superseded) -> Json<Value> {
    let Superseded { capture, sequence, event_id } = made;
    Json(json!({ "capture": capture, "sequence": sequence, "event_id": event_id }))
}
