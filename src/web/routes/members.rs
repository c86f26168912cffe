//! Requests for one answer about a member, joined from its photos.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::query::Pairs;
use crate::export::TagFilter;
use crate::journal::Reader;
use crate::members::{MemberLine, answer, members};
use crate::web::access::Visitor;
use crate::web::pools::{Kind, Listener};
use crate::web::problem::Problem;
use crate::web::state::ApiState;

/// Maximum number of members that one request answers. Several spans may have members of the same name.
const MEMBERS_MAX: usize = 20;

/// Returns the answers about the members that the query names.
pub async fn list(
    State(site): State<Arc<ApiState>>,
    Extension(visitor): Extension<Visitor>,
    mut pairs: Pairs,
) -> Result<Json<Value>, Problem> {
    let place = pairs.place();
    pairs.end()?;
    if place.member.is_none() {
        return Err(Problem::bad_request("`member` is missing: the name of a member"));
    }
    site.work(Kind::Search, visitor.id, move |site, reader, listener| find(site, reader, &place, listener)).await
}

fn find(site: &ApiState, reader: &Reader, place: &TagFilter, listener: &Listener) -> Result<Json<Value>, Problem> {
    let found = members(reader, |tag| place.fits(Some(tag))).map_err(Problem::fault)?;
    if found.len() > MEMBERS_MAX {
        let count = found.len();
        return Err(Problem::bad_request(format!("{count} members have this name; name the bridge and the span too")));
    }
    let mut answers = Vec::new();
    let space = site.identity.embedding_space;
    for member in found.into_iter().take_while(|_| !listener.has_left()) {
        let answered = answer(reader, &site.searcher.classifier.answerer(), space, member).map_err(Problem::fault)?;
        answers.push(serde_json::to_value(MemberLine::of(&answered)).expect("plain values"));
    }
    Ok(Json(json!({ "members": answers })))
}
