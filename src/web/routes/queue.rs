//! Requests for the events that wait for the broker.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::query::{Body, Pairs};
use crate::journal::Reader;
use crate::web::access::Visitor;
use crate::web::problem::Problem;
use crate::web::state::ApiState;

/// Selection of events that were set aside.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// Ids of the events; all if not given.
    ids: Option<Vec<i64>>,
}

/// Returns the state of the outbox: its size, what the broker does not accept for now, the first events in the order of
/// delivery, and those that it refused for good.
pub async fn show(State(site): State<Arc<ApiState>>, mut pairs: Pairs) -> Result<Json<Value>, Problem> {
    let limit = pairs.number("limit", 1_000, 50)? as usize;
    pairs.end()?;
    let work = move |site: &ApiState, reader: &Reader| {
        let health = reader.outbox_depth().map_err(Problem::fault)?.health(Timestamp::now());
        let waiting: Result<Vec<Value>, _> =
            reader.waiting().take(limit).map(|row| Ok(json!(row.map_err(Problem::fault)?.outline()))).collect();
        let set_aside = reader.set_aside(limit).map_err(Problem::fault)?;
        let held = site.link.held_back(&site.identity.source).parts;
        Ok(Json(json!({ "queue": health, "held": held, "waiting": waiting?, "set_aside": set_aside })))
    };
    site.look(work).await
}

/// Puts events that were set aside back into the queue.
pub async fn retry(
    State(site): State<Arc<ApiState>>,
    Extension(visitor): Extension<Visitor>,
    Body(which): Body<Which>,
) -> Result<Json<Value>, Problem> {
    let work = move |site: &ApiState, _: &Reader| {
        let count = site.journal.retry(which.ids).map_err(Problem::fault)?;
        Ok(Json(json!({ "retried": count })))
    };
    site.change(visitor.id, work).await
}
