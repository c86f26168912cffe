//! Photos that arrive from a browser or a program.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::http::StatusCode;
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::Serialize;
use sha2::Digest;
use tempfile::NamedTempFile;
use tokio::sync::OwnedSemaphorePermit;

use crate::domain::Sha256;
use crate::durable;
use crate::web::access::Visitor;
use crate::web::problem::Problem;
use crate::web::state::{ApiState, Uploads};
use crate::web::uploads::{NoRoom, UPLOAD_PREFIX, name_of};

/// Maximum number of photos that are received at the same time.
pub const RECEIVING_MAX: usize = 4;
/// Number of bytes of a photo that are written at a time.
const PART_BYTES: usize = 256 << 10;
/// Time limit for receiving a part of a photo.
const PART_TIME_MAX: Duration = Duration::from_secs(30);
/// Maximum number of characters that are kept of a file's own name.
const NAME_MAX: usize = 60;

/// Outcome of an upload.
#[derive(Serialize)]
pub struct Received {
    sha256: Sha256,
    /// Name of the photo's file on this device.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// Capture of the same photo, if it was classified before.
    #[serde(skip_serializing_if = "Option::is_none")]
    capture: Option<i64>,
}

/// Takes in one photo, from the form's field `photo`. The live stream reports its result.
pub async fn upload(
    State(site): State<Arc<ApiState>>,
    Extension(visitor): Extension<Visitor>,
    form: Result<Multipart, axum::extract::multipart::MultipartRejection>,
) -> Result<(StatusCode, Json<Received>), Problem> {
    let mut form = form.map_err(|error| Problem::bad_request(error.body_text()))?;
    if !visitor.is_here() {
        let late = |wait: Duration| Problem::busy("too many photos at once", wait.as_secs() as u32 + 1);
        site.uploads.pace.pass(Instant::now()).map_err(late)?;
    }
    let place = Arc::clone(&site.uploads.receiving).try_acquire_owned();
    let place = place.map_err(|_| Problem::busy("other photos are being received", 5))?;
    while let Some(field) = in_time(form.next_field()).await? {
        if field.name() == Some("photo") {
            let name = plain_name(field.file_name().unwrap_or_default());
            let draft = receive(field, &site.uploads, place).await?;
            return site.change(visitor.id, move |site, _| keep(site, draft, &name)).await;
        }
    }
    Err(Problem::bad_request("the form has no field `photo` with a file"))
}

async fn in_time<T>(part: impl Future<Output = Result<T, MultipartError>>) -> Result<T, Problem> {
    match tokio::time::timeout(PART_TIME_MAX, part).await {
        Ok(part) => part.map_err(|error| Problem::new(error.status(), error.body_text())),
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the photo stopped coming")),
    }
}

/// Photo that is being received, in a hidden file.
struct Draft {
    file: NamedTempFile,
    hasher: sha2::Sha256,
    bytes: u64,
    /// Place that is freed when the last byte is written, even if nobody waits for that any more.
    _place: OwnedSemaphorePermit,
}

impl Draft {
    fn create(dir: &Path, place: OwnedSemaphorePermit) -> io::Result<Self> {
        durable::create_folders(dir)?;
        let file = tempfile::Builder::new().prefix(UPLOAD_PREFIX).tempfile_in(dir)?;
        Ok(Draft { file, hasher: sha2::Sha256::new(), bytes: 0, _place: place })
    }

    fn add(mut self, part: &[u8]) -> io::Result<Self> {
        self.hasher.update(part);
        self.bytes += part.len() as u64;
        self.file.write_all(part)?;
        Ok(self)
    }
}

/// Waits for the drive on another thread.
async fn written(write: impl FnOnce() -> io::Result<Draft> + Send + 'static) -> Result<Draft, Problem> {
    tokio::task::spawn_blocking(write).await.map_err(Problem::fault)?.map_err(Problem::fault)
}

/// Writes the photo while it arrives.
async fn receive(mut field: Field<'_>, uploads: &Uploads, place: OwnedSemaphorePermit) -> Result<Draft, Problem> {
    let dir = uploads.room.dir.clone();
    let mut draft = written(move || Draft::create(&dir, place)).await?;
    let mut is_whole = false;
    while !is_whole {
        let mut part = Vec::new();
        while part.len() < PART_BYTES && !is_whole {
            match in_time(field.chunk()).await? {
                Some(chunk) => part.extend_from_slice(&chunk),
                None => is_whole = true,
            }
        }
        check_size(draft.bytes + part.len() as u64, uploads.bytes_max)?;
        draft = written(move || draft.add(&part)).await?;
    }
    if draft.bytes == 0 { Err(Problem::bad_request("the photo is empty")) } else { Ok(draft) }
}

fn check_size(bytes: u64, max: u64) -> Result<(), Problem> {
    match bytes <= max {
        true => Ok(()),
        false => Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the photo has more than {} MB ([intake] photo_megabytes_max)", max / 1_000_000),
        )),
    }
}

/// Stores the photo under its name, unless it was classified before. The photo is durable before the answer says so.
fn keep(site: &ApiState, draft: Draft, name: &str) -> Result<(StatusCode, Json<Received>), Problem> {
    let Draft { file, hasher, .. } = draft;
    let sha256 = Sha256(hasher.finalize().into());
    let reader = site.journal.reader().map_err(Problem::fault)?;
    if let Some(capture) = reader.capture_of(&sha256).map_err(Problem::fault)? {
        return Ok((StatusCode::OK, Json(Received { sha256, file: None, capture: Some(capture) })));
    }
    site.journal.admit().map_err(|error| Problem::new(StatusCode::INSUFFICIENT_STORAGE, error.to_string()))?;
    let bytes = file.as_file().metadata().map_err(Problem::fault)?.len();
    let placing = site.uploads.placing.lock().unwrap_or_else(PoisonError::into_inner);
    site.uploads.room.make(&site.journal, &reader, bytes).map_err(no_room)?;
    let path = path_of(&site.uploads.room.dir, &sha256, name);
    store(file, &path).map_err(Problem::fault)?;
    drop(placing);
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned());
    site.uploads.arrivals.arrived(path);
    Ok((StatusCode::ACCEPTED, Json(Received { sha256, file, capture: None })))
}

fn no_room(error: NoRoom) -> Problem {
    match error {
        NoRoom::Full { .. } | NoRoom::Drive { .. } => Problem::new(StatusCode::INSUFFICIENT_STORAGE, error.to_string()),
        NoRoom::Io(error) => Problem::fault(error),
        NoRoom::Journal(error) => Problem::fault(error),
    }
}

fn store(file: NamedTempFile, path: &Path) -> std::io::Result<()> {
    durable::create_folders(durable::folder(path))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    durable::sync(durable::folder(path))
}

/// Returns a path in the day's folder. The hash in the name keeps photos of the same name apart.
fn path_of(dir: &Path, sha256: &Sha256, name: &str) -> PathBuf {
    let day = Timestamp::now().strftime("%Y-%m-%d").to_string();
    dir.join(day).join(name_of(sha256, name))
}

/// Returns the harmless characters of a name that came from elsewhere, or `photo` if none are left.
fn plain_name(name: &str) -> String {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
    let plain: String = name.chars().rev().filter(is_plain).take(NAME_MAX).collect();
    let plain: String = plain.chars().rev().collect();
    // Programs give such endings to files that they are still writing, so the intake would ignore the photo.
    let plain =
        [".tmp", ".part", ".crdownload"].into_iter().fold(plain.as_str(), |name, end| name.trim_end_matches(end));
    let plain = plain.to_owned();
    if plain.trim_matches('.').is_empty() { "photo".to_owned() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_elsewhere_are_harmless() {
        let cases = [
            ("IMG_0001.JPG", "IMG_0001.JPG"),
            ("../../etc/passwd", "....etcpasswd"),
            ("橋 1.jpg", "1.jpg"),
            ("", "photo"),
            ("..", "photo"),
            ("a.jpg.part", "a.jpg"),
            ("a\u{0}b\n.png", "ab.png"),
        ];
        for (name, expected) in cases {
            assert_eq!(plain_name(name), expected);
        }
        assert_eq!(plain_name(&"x".repeat(500)).len(), NAME_MAX);
    }
}
