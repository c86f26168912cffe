//! Starts the API with parts of the daemon.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use tokio::sync::Semaphore;

use super::event::{DaemonEvent, Observer};
use super::parts::Parts;
use crate::assembly;
use crate::domain::{Time, TimeQuality};
use crate::encoder::OnDemandTextEncoder;
use crate::intake::Arrivals;
use crate::kernels::Threads;
use crate::pipeline::Classifier;
use crate::position::{Locator, monotonic_ns};
use crate::web::{self, Access, ApiState, Clock, Live, Pace, Pools, RECEIVING_MAX, Searcher, Uploads, Web};

/// Idle time after which the text encoder is unloaded. It takes as much memory as the image encoder.
const TEXT_ENCODER_IDLE: Duration = Duration::from_secs(120);

/// Number of photos that may arrive from the network at once, before they are limited to one per [`UPLOADS_EACH`].
const UPLOADS_AT_ONCE: u32 = 60;
/// Time per photo from the network, once [`UPLOADS_AT_ONCE`] have arrived.
const UPLOADS_EACH: Duration = Duration::from_secs(1);

/// Returns an observer that passes events on to the pages as well as to `observer`, and the stream that the pages read.
pub fn heard_by_pages(observer: Observer) -> (Live, Observer) {
    let live = Live::default();
    let heard = live.clone();
    let both: Observer = Arc::new(move |event: DaemonEvent| {
        if let Some(hint) = hint(&event) {
            heard.tell(&hint);
        }
        observer(event);
    });
    (live, both)
}

fn hint(event: &DaemonEvent) -> Option<web::Hint> {
    let file = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match event {
        DaemonEvent::Started { .. } | DaemonEvent::PassedOver { .. } => None,
        DaemonEvent::Captured { path, capture, .. } => {
            Some(web::Hint::Captured { capture: *capture, file: file(path) })
        }
        DaemonEvent::Known { path } => Some(web::Hint::Known { file: file(path) }),
        DaemonEvent::Failed { path, reason } => Some(web::Hint::Failed { file: file(path), reason: reason.clone() }),
        DaemonEvent::Changed { captures } => Some(web::Hint::Changed { captures: captures.clone() }),
        DaemonEvent::QueueChanged | DaemonEvent::Link(_) => Some(web::Hint::Queue),
    }
}

/// Starts the API.
pub fn start(parts: &Parts, classifier: &Classifier, live: Live, arrivals: Arrivals) -> Result<Web> {
    let Parts { config, identity, package, link, journal, locator, vitals, settings, .. } = *parts;
    let data_dir = &config.device.data_dir;
    let threads = Threads::new(config.classify.threads.get() as usize)?;
    let (vitals, settings, closed) = (vitals.clone(), settings.clone(), vitals.closed_doors.clone());
    let web = config.web.as_ref();
    let site = ApiState {
        device: config.device.name(),
        zone: config.intake.camera_utc_offset.0,
        limits: assembly::limits(config),
        identity: Arc::clone(identity),
        journal: journal.clone(),
        link: link.clone(),
        live,
        access: Arc::new(Access::open(data_dir, clock(locator))),
        health: Box::new(move || vitals.now()),
        settings: Box::new(move |changes| settings.set(changes)),
        has_visitors: web.is_some_and(|web| web.listen.is_some()),
        viewers_export: web.is_some_and(|web| web.viewers_export),
        members: config.inspection.members.clone(),
        searcher: Searcher {
            classifier: classifier.clone(),
            text: OnDemandTextEncoder::new(package.clone(), threads, TEXT_ENCODER_IDLE),
        },
        uploads: Uploads {
            room: assembly::uploads_room(config),
            bytes_max: assembly::limits(config).bytes_max,
            pace: Pace::new(UPLOADS_AT_ONCE, UPLOADS_EACH),
            receiving: Arc::new(Semaphore::new(RECEIVING_MAX)),
            placing: Mutex::default(),
            arrivals,
        },
        pools: Pools::default(),
        readers: Mutex::default(),
    };
    Web::start(assembly::web(config), site, closed)
}

/// Returns the device's clock for access control. Of calendars, only those set by satellites or NTP are believed.
fn clock(locator: &Arc<Locator>) -> Clock {
    let (boot_id, locator) = (locator.boot_id().to_owned(), Arc::clone(locator));
    let calendar = move || {
        let Time { at, quality, .. } = locator.time();
        matches!(quality, TimeQuality::Gps | TimeQuality::Ntp).then_some(at)
    };
    Clock { boot_id, since_boot: Box::new(|| Duration::from_nanos(monotonic_ns())), calendar: Box::new(calendar) }
}
