//! Requests for the visitors who were admitted.

use std::sync::Arc;

use axum::Extension;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::super::access::Visitor;
use super::super::problem::Problem;
use super::super::site::Site;

/// Lists all visitors, the latest admitted first.
pub async fn list(State(site): State<Arc<Site>>) -> Json<Value> {
    Json(json!({ "visitors": site.access.list() }))
}

/// Sends a visitor away at once.
pub async fn revoke(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let was_known = site.change(visitor.id, move |site, _| site.access.revoke(&id).map_err(Problem::fault)).await?;
    match was_known {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("no visitor of that id is known; GET /api/v1/visitors lists them")),
    }
}
