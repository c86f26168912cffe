//! Paths of the API, as `deploy/openapi.json` describes them.

mod captures;
mod device;
mod export;
mod judge;
mod members;
mod metrics;
mod page;
mod photos;
mod query;
mod queue;
mod search;
mod session;
mod stream;
mod visitors;

pub use self::photos::RECEIVING_MAX;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};

use super::guard::{Guard, guard};
use super::params::Params;
use super::problem::Problem;
use super::state::ApiState;

/// Maximum size of a request that carries no photo, in bytes.
const BODY_BYTES_MAX: usize = 64 << 10;
/// Time limit for an answer to begin. A photo may arrive over a slow radio link.
const TIME_MAX: Duration = Duration::from_secs(300);

pub fn router(site: Arc<ApiState>, params: &Params) -> Router {
    let guarding = Arc::new(Guard::new(Arc::clone(&site.access), params));
    Router::new()
        .route("/", get(page::index))
        .route("/page/{name}", get(page::file))
        .route("/page/words/{lang}", get(page::words))
        .route("/api/v1/status", get(device::status))
        .route("/api/v1/events", get(device::events))
        .route("/api/v1/captures", get(captures::list))
        .route("/api/v1/captures/{id}", get(captures::one))
        .route("/api/v1/captures/{id}/thumbnail", get(captures::thumbnail))
        .route("/api/v1/captures/{id}/original", get(captures::original))
        .route("/api/v1/captures/{id}/earlier", get(captures::earlier))
        .route("/api/v1/captures/{id}/inspection", post(judge::inspect))
        .route("/api/v1/captures/{id}/tag", put(judge::retag))
        .route("/api/v1/track", get(captures::track))
        .route("/api/v1/coverage", get(export::coverage))
        .route("/api/v1/members", get(members::list))
        .route("/api/v1/export", get(export::export))
        .route("/api/v1/search", get(search::by_text).post(search::by_photo).layer(DefaultBodyLimit::disable()))
        .route("/metrics", get(metrics::metrics))
        .route("/api/v1/tag", get(device::tag).put(device::set_tag))
        .route("/api/v1/settings", get(device::settings).patch(device::set_settings))
        .route("/api/v1/queue", get(queue::show))
        .route("/api/v1/queue/retry", post(queue::retry))
        .route("/api/v1/openapi.json", get(page::openapi))
        .route("/api/v1/session", get(session::show).post(session::enter).delete(session::leave))
        .route("/api/v1/pairing", post(session::new_code))
        .route("/api/v1/visitors", get(visitors::list))
        .route("/api/v1/visitors/{id}", delete(visitors::revoke))
        .route("/api/v1/photos", post(photos::upload).layer(DefaultBodyLimit::disable()))
        .fallback(async || Problem::not_found("there is nothing here; /api/v1/openapi.json lists what there is"))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take that method")
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(in_time))
        .layer(middleware::from_fn_with_state(guarding, guard))
        .with_state(site)
}

async fn in_time(request: Request, next: Next) -> Response {
    let late = || Problem::new(StatusCode::REQUEST_TIMEOUT, "the request took too long").into_response();
    tokio::time::timeout(TIME_MAX, next.run(request)).await.unwrap_or_else(|_| late())
}
