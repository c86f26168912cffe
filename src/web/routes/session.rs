//! How a visitor comes in.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::access::{CODE_LIFE, Role, SESSION_LIFE, Visitor};
use super::super::guard::{COOKIE, Token};
use super::super::problem::Problem;
use super::super::site::Site;
use super::Body;
use crate::domain::TagText;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    code: String,
    /// Under which corrections will be kept.
    name: TagText,
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
    name: Option<TagText>,
    is_here: bool,
}

/// Who the device takes this visitor for.
pub async fn show(visitor: Option<Extension<Visitor>>) -> Json<Me> {
    Json(match visitor {
        Some(Extension(visitor)) => Me { role: Some(visitor.role), name: visitor.name, is_here: visitor.is_here },
        None => Me { role: None, name: None, is_here: false },
    })
}

/// Behind a proxy with TLS the cookie is for TLS alone.
pub async fn enter(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    Body(entry): Body<Entry>,
) -> Result<Response, Problem> {
    let paired = site.access.pair(&entry.code, entry.name, Timestamp::now());
    let paired = paired.map_err(|error| Problem::new(StatusCode::FORBIDDEN, error.to_string()))?;
    let (token, role) = paired.map_err(Problem::fault)?;
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let secure = if origin.is_some_and(|origin| origin.starts_with("https://")) { "; Secure" } else { "" };
    let life = SESSION_LIFE.as_secs();
    let cookie = format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={life}{secure}");
    Ok(([(header::SET_COOKIE, cookie)], Json(json!({ "role": role, "token": token }))).into_response())
}

pub async fn leave(State(site): State<Arc<Site>>, token: Option<Extension<Token>>) -> Result<Response, Problem> {
    if let Some(Extension(Token(token))) = token {
        site.access.leave(&token).map_err(Problem::fault)?;
    }
    let cookie = format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// A new code, for whoever is at the device.
pub async fn new_code(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    Body(pairing): Body<Pairing>,
) -> Result<Response, Problem> {
    if !visitor.is_here {
        return Err(Problem::new(StatusCode::FORBIDDEN, "codes are made at the device itself: `bridgeclip pair`"));
    }
    let code = site.access.new_code(pairing.role).map_err(Problem::fault)?;
    Ok(Json(json!({ "code": code, "seconds": CODE_LIFE.as_secs() })).into_response())
}
