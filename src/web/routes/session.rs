//! Requests to pair, to leave, and to see one's own role.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::query::Body;
use crate::domain::PersonName;
use crate::journal::Reader;
use crate::web::access::{CODE_LIFE, PairError, Role, SESSION_LIFE_S, Visitor};
use crate::web::guard::{COOKIE, Origin};
use crate::web::problem::Problem;
use crate::web::state::ApiState;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    code: String,
    /// Name under which the visitor's corrections are stored.
    name: PersonName,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pairing {
    role: Role,
}

#[derive(Serialize)]
pub struct Me {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<PersonName>,
    is_here: bool,
    /// Whether a code made here can admit anybody: true at the device itself, if it has a door for the network.
    lets_in: bool,
    may_export: bool,
}

/// Returns what the device knows about this visitor.
pub async fn show(State(site): State<Arc<ApiState>>, visitor: Option<Extension<Visitor>>) -> Json<Me> {
    let Some(Extension(visitor)) = visitor else {
        return Json(Me { role: None, name: None, is_here: false, lets_in: false, may_export: false });
    };
    let is_here = visitor.is_here();
    let may_export = visitor.role == Role::Inspector || site.viewers_export;
    Json(Me {
        role: Some(visitor.role),
        name: visitor.name,
        is_here,
        lets_in: is_here && site.has_visitors,
        may_export,
    })
}

/// Admits a visitor and sets their cookie, which is limited to TLS if the page was loaded over TLS, through a proxy.
pub async fn enter(
    State(site): State<Arc<ApiState>>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    Body(Entry { code, name }): Body<Entry>,
) -> Result<Response, Problem> {
    let pair = move |site: &ApiState, _: &Reader| site.access.pair(&code, name, origin.address).map_err(problem);
    let (token, role) = site.change(None, pair).await?.map_err(Problem::fault)?;
    let page = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let is_secure = origin.is_secure || page.is_some_and(|page| page.starts_with("https://"));
    let (secure, life) = (if is_secure { "; Secure" } else { "" }, SESSION_LIFE_S);
    let cookie = format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={life}{secure}");
    Ok(([(header::SET_COOKIE, cookie)], Json(json!({ "role": role, "token": token }))).into_response())
}

fn problem(error: PairError) -> Problem {
    match error {
        PairError::Wrong => Problem::new(StatusCode::FORBIDDEN, error.to_string()),
        PairError::TooMany(wait) => Problem::busy(error.to_string(), wait.as_secs() as u32 + 1),
    }
}

pub async fn leave(
    State(site): State<Arc<ApiState>>,
    visitor: Option<Extension<Visitor>>,
) -> Result<Response, Problem> {
    if let Some(id) = visitor.and_then(|Extension(visitor)| visitor.id) {
        site.change(None, move |site, _| site.access.revoke(&id).map_err(Problem::fault)).await?;
    }
    let cookie = format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// Makes a pairing code, for people at the device only.
pub async fn new_code(
    State(site): State<Arc<ApiState>>,
    Extension(visitor): Extension<Visitor>,
    Body(pairing): Body<Pairing>,
) -> Result<Response, Problem> {
    if !visitor.is_here() {
        return Err(Problem::new(StatusCode::FORBIDDEN, "codes are made at the device itself: `bridgeclip pair`"));
    }
    let code = site.access.new_code(pairing.role).map_err(Problem::fault)?;
    Ok(Json(json!({ "code": code, "seconds": CODE_LIFE.as_secs() })).into_response())
}
