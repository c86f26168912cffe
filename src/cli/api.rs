//! Asks the daemon that runs on this machine, through its socket in the data folder.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::web::SOCKET_NAME;

/// Time limit for an answer. The daemon answers within milliseconds.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Maximum size of an answer.
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// Requests a path from the daemon and returns its answer. `None` if no daemon runs, or if this user may not ask it.
pub fn get(data_dir: &Path, path: &str) -> Result<Option<Value>> {
    match connect(data_dir) {
        Ok(socket) => exchange(socket, "GET", path, "").map(Some),
        Err(_) => Ok(None),
    }
}

/// Makes the daemon do something. Fails if no daemon answers.
pub fn post(data_dir: &Path, path: &str, body: &Value) -> Result<Value> {
    ask(data_dir, "POST", path, &body.to_string())
}

/// Sends any request to the daemon and returns its answer, `null` if that has no body. Fails if no daemon answers.
pub fn ask(data_dir: &Path, method: &str, path: &str, body: &str) -> Result<Value> {
    let socket = connect(data_dir).with_context(|| {
        let socket = data_dir.join(SOCKET_NAME);
        format!("{}: no daemon answers; start it, and ask as a user who may read this folder", socket.display())
    })?;
    exchange(socket, method, path, body)
}

fn connect(data_dir: &Path) -> io::Result<UnixStream> {
    let socket = UnixStream::connect(data_dir.join(SOCKET_NAME))?;
    socket.set_read_timeout(Some(TIME_MAX))?;
    socket.set_write_timeout(Some(TIME_MAX))?;
    Ok(socket)
}

/// Sends an HTTP/1.0 request, so that the answer ends with the connection.
fn exchange(mut socket: UnixStream, method: &str, path: &str, body: &str) -> Result<Value> {
    let length = body.len();
    let head = "Host: localhost\r\nContent-Type: application/json";
    write!(socket, "{method} {path} HTTP/1.0\r\n{head}\r\nContent-Length: {length}\r\n\r\n{body}")?;
    let mut answer = String::new();
    socket.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).context("the daemon does not answer")?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the daemon's answer is no HTTP")?;
    let status = head.split(' ').nth(1);
    if status == Some("204") {
        return Ok(Value::Null);
    }
    let body: Value = serde_json::from_str(body).context("the daemon's answer is no JSON")?;
    match status {
        Some(status) if status.starts_with('2') => Ok(body),
        _ => bail!("{}", body["detail"].as_str().unwrap_or("the daemon refuses")),
    }
}
