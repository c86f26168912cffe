//! Requests for the device's condition, its tag and its settings, and the live stream.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::Serialize;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};

use super::query::Body;
use crate::domain::{Health, Tag};
use crate::journal::{JournalError, Reader};
use crate::uplink::{InForce, LinkState, SettingsChange};
use crate::web::access::Visitor;
use crate::web::live::Hint;
use crate::web::problem::Problem;
use crate::web::state::ApiState;

/// Interval at which a silent stream shows that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Summary of the device, the first thing that a technician looks at.
#[derive(Serialize)]
pub struct Status {
    version: &'static str,
    /// Site and name of the device.
    device: String,
    package: String,
    link: LinkState,
    /// Reason why there is no link, if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    link_trouble: Option<String>,
    pub captures: u64,
    /// Number of files that gave no result.
    pub failed: usize,
    #[serde(flatten)]
    pub health: Health,
}

pub async fn status(State(site): State<Arc<ApiState>>) -> Result<Json<Status>, Problem> {
    Ok(Json(site.look(status_of).await?))
}

pub fn status_of(site: &ApiState, reader: &Reader) -> Result<Status, Problem> {
    let time = Timestamp::now();
    let read = || {
        Ok(Status {
            version: env!("CARGO_PKG_VERSION"),
            device: site.device.clone(),
            package: site.identity.package.clone(),
            link: site.link.state(),
            link_trouble: site.link.trouble(),
            captures: reader.captures()?,
            failed: reader.failures()?.len(),
            health: Health {
                time,
                boot_id: site.identity.boot_id.clone(),
                queue: reader.outbox_depth()?.health(time),
                losses: reader.losses()?,
                full: reader.full()?,
                held: site.link.held_back(&site.identity.source),
                device: (site.health)(),
            },
        })
    };
    read().map_err(|error: JournalError| Problem::fault(error))
}

/// Returns the tag of the photos that follow.
pub async fn tag(State(site): State<Arc<ApiState>>) -> Result<Json<Tag>, Problem> {
    Ok(Json(site.look(|_, reader| reader.tag().map_err(Problem::fault)).await?.unwrap_or_default()))
}

/// Sets the tag of the photos that follow; an empty one removes it.
pub async fn set_tag(
    State(site): State<Arc<ApiState>>,
    Extension(visitor): Extension<Visitor>,
    Body(tag): Body<Tag>,
) -> Result<Json<Tag>, Problem> {
    site.change(visitor.id, move |site, _| {
        site.journal.set_tag(tag.clone(), &site.identity.boot_id, Timestamp::now()).map_err(Problem::fault)?;
        Ok(Json(tag))
    })
    .await
}

/// Returns the settings in force that can be changed while the daemon runs.
pub async fn settings(
    State(site): State<Arc<ApiState>>,
    Extension(visitor): Extension<Visitor>,
) -> Result<Json<InForce>, Problem> {
    change(site, visitor, SettingsChange::default()).await
}

/// Changes settings. A setting that is not named stays as it is; `null` restores the one in the settings file.
pub async fn set_settings(
    State(site): State<Arc<ApiState>>,
    Extension(visitor): Extension<Visitor>,
    Body(changes): Body<SettingsChange>,
) -> Result<Json<InForce>, Problem> {
    change(site, visitor, changes).await
}

async fn change(site: Arc<ApiState>, visitor: Visitor, changes: SettingsChange) -> Result<Json<InForce>, Problem> {
    site.change(visitor.id, move |site, _| (site.settings)(&changes).map(Json).map_err(Problem::fault)).await
}

/// Opens the live stream.
pub async fn events(
    State(site): State<Arc<ApiState>>,
    Extension(visitor): Extension<Visitor>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let hints = site.live.listen(visitor.id).ok_or_else(|| Problem::busy("too many pages listen", 30))?;
    let event = |hint: Hint| Ok(Event::default().data(serde_json::to_string(&hint).expect("plain values")));
    Ok(Sse::new(ReceiverStream::new(hints).map(event)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}
