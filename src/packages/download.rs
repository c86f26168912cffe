//! Downloads a package archive from a web server. An incomplete download stays on the drive, and the next attempt
//! resumes it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::Agent;
use ureq::http::{Response, StatusCode};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::InstallError;
use crate::domain::Sha256;
use crate::durable;

/// Time without a byte after which a connection is abandoned.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Number of consecutive attempts without a new byte after which a download fails.
const ATTEMPTS_MAX: u32 = 5;

/// A file to be downloaded.
#[derive(Clone, Debug)]
pub struct Download {
    /// Address of the file. Must be https, unless the content is signed.
    pub url: String,
    /// Maximum size of the file.
    pub bytes_max: u64,
    /// PEM file of the authorities that are trusted instead of the public ones.
    pub ca: Option<PathBuf>,
    /// Whether the content is signed, and may therefore be downloaded without TLS.
    pub signed: bool,
}

/// Downloads the archive into `folder`, or the missing rest of it, and returns its path.
pub fn fetch(download: &Download, folder: &Path) -> Result<PathBuf, InstallError> {
    if !(download.url.starts_with("https://") || download.signed && download.url.starts_with("http://")) {
        return Err(download.failed("use https://; http:// is for signed packages, with [package] trusted_keys"));
    }
    durable::create_folders(folder).map_err(InstallError::io(folder))?;
    let name = Sha256::of(download.url.as_bytes()).to_string();
    let path = folder.join(format!("{}.partial", &name[..16]));
    let agent = download.agent()?;
    let mut idle = 0;
    loop {
        let before = length(&path);
        match download.attempt(&agent, &path) {
            Ok(()) => return Ok(path),
            Err(Attempt::Useless(reason)) => return Err(download.failed(&reason)),
            Err(Attempt::Broken(reason)) => {
                idle = if length(&path) > before { 0 } else { idle + 1 };
                if idle >= ATTEMPTS_MAX {
                    return Err(download.failed(&format!("{reason}; what has arrived is kept, try again")));
                }
                std::thread::sleep(Duration::from_secs(u64::from(idle)));
            }
        }
    }
}

/// Reason why an attempt did not complete the file.
enum Attempt {
    /// Another attempt may succeed.
    Broken(String),
    /// Another attempt would fail too.
    Useless(String),
}

impl Download {
    fn failed(&self, reason: &str) -> InstallError {
        InstallError::Download { url: self.url.clone(), reason: reason.to_owned() }
    }

    fn agent(&self) -> Result<Agent, InstallError> {
        let mut tls = TlsConfig::builder();
        if let Some(ca) = &self.ca {
            let pem = fs::read(ca).map_err(InstallError::io(ca))?;
            let certificates: Vec<Certificate<'static>> = parse_pem(&pem)
                .filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                })
                .collect();
            tls = tls.root_certs(RootCerts::new_with_certs(&certificates));
        }
        let config = Agent::config_builder()
            .tls_config(tls.build())
            .https_only(!self.signed)
            .http_status_as_error(false)
            .timeout_connect(Some(SILENCE_MAX))
            .timeout_recv_response(Some(SILENCE_MAX))
            .timeout_per_read(Some(SILENCE_MAX));
        Ok(config.build().new_agent())
    }

    fn attempt(&self, agent: &Agent, path: &Path) -> Result<(), Attempt> {
        let broken = |error: &dyn std::fmt::Display| Attempt::Broken(error.to_string());
        let have = length(path);
        let mut request = agent.get(&self.url).header("accept-encoding", "identity");
        if have > 0 {
            request = request.header("range", format!("bytes={have}-"));
        }
        let response = request.call().map_err(|error| broken(&error))?;
        let (start, total) = match response.status() {
            StatusCode::OK => (0, header(&response, "content-length").and_then(|length| length.parse().ok())),
            StatusCode::PARTIAL_CONTENT => content_range(header(&response, "content-range").unwrap_or_default())
                .filter(|(start, _)| *start == have)
                .ok_or_else(|| Attempt::Useless("the server sends another part than was asked for".to_owned()))?,
            StatusCode::RANGE_NOT_SATISFIABLE => return self.complete_or_again(&response, path, have),
            status if status.is_server_error() => return Err(broken(&status)),
            status => return Err(Attempt::Useless(format!("the server answers {status}"))),
        };
        if total.unwrap_or(0) > self.bytes_max {
            return Err(Attempt::Useless(format!("more than the {} bytes of [package] megabytes_max", self.bytes_max)));
        }
        let file = open_at(path, start).map_err(|error| Attempt::Useless(error.to_string()))?;
        self.copy(response.into_body().into_reader(), file, start, total)
    }

    fn copy(&self, mut from: impl Read, mut file: File, start: u64, total: Option<u64>) -> Result<(), Attempt> {
        let copied = io::copy(&mut from.by_ref().take(self.bytes_max.saturating_sub(start) + 1), &mut file);
        file.sync_all().map_err(|error| Attempt::Useless(error.to_string()))?;
        let end = start + copied.map_err(|error| Attempt::Broken(error.to_string()))?;
        match total {
            _ if end > self.bytes_max => Err(Attempt::Useless(format!("more than {} bytes", self.bytes_max))),
            Some(total) if end != total => Err(Attempt::Broken(format!("{end} of {total} bytes arrived"))),
            _ => Ok(()),
        }
    }

    /// Handles a server that has nothing from byte `have` on: either the file is complete, or the server now has
    /// another file and the download starts again.
    fn complete_or_again<T>(&self, response: &Response<T>, path: &Path, have: u64) -> Result<(), Attempt> {
        let total = header(response, "content-range").and_then(|range| range.strip_prefix("bytes */")?.parse().ok());
        if total == Some(have) {
            return Ok(());
        }
        let _ = fs::remove_file(path);
        Err(Attempt::Broken("the server has another file than before".to_owned()))
    }
}

fn header<'a, T>(response: &'a Response<T>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// Parses `bytes 100-199/1000` or `bytes 100-199/*` into the first byte and the total.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, total.parse().ok()))
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn open_at(path: &Path, start: u64) -> io::Result<File> {
    use std::io::Seek;
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    file.set_len(start)?;
    file.seek(io::SeekFrom::Start(start))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        assert_eq!(content_range("bytes 100-199/1000"), Some((100, Some(1000))));
        assert_eq!(content_range("bytes 0-0/*"), Some((0, None)));
        for wrong in ["", "bytes", "bytes */10", "lines 1-2/3", "bytes a-b/c"] {
            assert_eq!(content_range(wrong), None, "{wrong}");
        }
    }
}
