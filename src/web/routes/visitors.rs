//! Requests for the visitors who were admitted.

use std::sync::Arc;

use axum::Extension;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::web::access::Visitor;
use crate::web::problem::Problem;
use crate::web::state::ApiState;

/// Lists all visitors, the latest admitted first.
pub async fn list(State(site): State<Arc<ApiState>>) -> Json<Value> {
    Json(json!({ "visitors": site.access.list() }))
}

/// Sends a visitor away at once.
pub async fn revoke(
    State(site): State<Arc<ApiState>>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let was_known = site.change(visitor.id, move |site, _| site.access.revoke(&id).map_err(Problem::fault)).await?;
    match was_known {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("no visitor of that id is known; GET /api/v1/visitors lists them")),
    }
}
