//! A device: a mounted drive, settings, and the program that runs on it.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::central::Central;
use crate::disk::Disk;
use crate::kit::Kit;
use crate::mount::Mounted;
use crate::promises::Mark;
use crate::recorder::Recorder;
use crate::support::{ANSWER_TIME, soon};

/// Folder where the drive is mounted, and for the files beside it.
pub struct Place {
    dir: PathBuf,
}

/// Device whose drive is recorded. Dropping it kills the program if that runs.
pub struct Device<'a> {
    pub kit: &'a Kit,
    pub central: &'a Central,
    pub recorder: Recorder,
    place: &'a Place,
    daemon: Option<Child>,
    mounted: Option<Mounted>,
}

/// Answer of the API.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    pub fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Place {
    /// Makes the folders of a place below `dir`.
    ///
    /// # Errors
    /// If they cannot be made.
    pub fn new(dir: &Path) -> io::Result<Self> {
        for name in ["drive", "camera"] {
            fs::create_dir_all(dir.join(name))?;
        }
        Ok(Place { dir: dir.to_owned() })
    }

    fn drive(&self) -> PathBuf {
        self.dir.join("drive")
    }

    fn data(&self) -> PathBuf {
        self.drive().join("data")
    }

    pub fn camera(&self) -> PathBuf {
        self.dir.join("camera")
    }

    pub fn config(&self) -> PathBuf {
        self.dir.join("config.toml")
    }

    fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    fn write_settings(&self, kit: &Kit, port: u16) -> io::Result<()> {
        let (drive, camera, package) = (self.drive(), self.camera(), &kit.package);
        let text = format!(
            "[device]\nsite = \"bench\"\nid = \"unit\"\ndata_dir = {:?}\n\
             [package]\ndir = {package:?}\nstore = {:?}\n\
             [intake]\nfolders = [{camera:?}]\nrescan_s = 1\nsettle_ms = 50\nincomplete_s = 1\n\
             [photo]\nthumbnail_px = 160\n\
             [storage]\nkeep_free_megabytes = 0\nreserve_megabytes = 1\ngroup_ms = 20\ntries_max = 2\n\
             [mqtt]\nbroker = \"127.0.0.1:{port}\"\nretry_s_max = 1\nstall_s = 5\n\
             [commands]\npublic_key = {:?}\ntrust_clock = true\n\
             [web]\nlisten = \"127.0.0.1:0\"\n",
            drive.join("data"),
            drive.join("packages"),
            kit.secrets.command_key,
        );
        fs::write(self.config(), text)
    }
}

impl<'a> Device<'a> {
    /// Mounts a drive in this state.
    ///
    /// # Errors
    /// If the drive cannot be mounted.
    pub fn new(
        kit: &'a Kit,
        place: &'a Place,
        central: &'a Central,
        disk: Disk,
        before: Vec<Mark>,
    ) -> io::Result<Self> {
        place.write_settings(kit, central.port())?;
        let recorder = Recorder::new(disk, before);
        central.record_into(&recorder);
        let mounted = Some(Mounted::new(&recorder, &place.drive())?);
        Ok(Device { kit, central, recorder, place, daemon: None, mounted })
    }

    pub fn mark(&self, mark: Mark) {
        self.recorder.mark(mark);
    }

    /// Starts the daemon and waits until it answers.
    ///
    /// # Errors
    /// If it ends or does not answer in time, in words.
    pub fn start(&mut self) -> Result<(), String> {
        let log = fs::File::create(self.place.log()).map_err(|error| error.to_string())?;
        let mut command = self.command(&["run"]);
        let daemon = command.env("RUST_LOG", "info").stderr(log).spawn().map_err(|error| error.to_string())?;
        let daemon = self.daemon.insert(daemon);
        let (socket, mut end) = (self.place.data().join("api.sock"), None);
        let is_decided = || {
            end = daemon.try_wait().ok().flatten();
            end.is_some() || ask(&socket, "GET", "/api/v1/status", "", b"").is_ok_and(|answer| answer.is_good())
        };
        match (soon(is_decided), end) {
            (true, None) => Ok(()),
            (true, Some(status)) => {
                self.daemon = None;
                Err(format!("the daemon ended at its start ({status}):\n{}", self.log()))
            }
            (false, _) => Err(format!("the daemon does not answer:\n{}", self.log())),
        }
    }

    /// Returns the daemon's log since its start.
    pub fn log(&self) -> String {
        fs::read_to_string(self.place.log()).unwrap_or_default()
    }

    /// Kills the daemon (SIGKILL), so that it can finish nothing.
    pub fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }

    /// Asks the daemon to stop (SIGTERM), and waits until it has ended.
    pub fn stop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = Command::new("sh").args(["-c", "kill -TERM $0", &daemon.id().to_string()]).status();
            let _ = daemon.wait();
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.kit.program);
        command.args(args).arg("--config").arg(self.place.config()).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end, and returns its output.
    ///
    /// # Errors
    /// If the command fails, with its error output.
    pub fn run(&self, args: &[&str]) -> Result<String, String> {
        let output = self.command(args).output().map_err(|error| error.to_string())?;
        said(args, &output)
    }

    /// Sends a request to the API through the socket in the data folder.
    ///
    /// # Errors
    /// If there is no complete answer.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Answer, String> {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, "Content-Type: application/json\r\n", text.as_bytes())
    }

    /// Uploads a photo over the API.
    ///
    /// # Errors
    /// If there is no complete answer.
    pub fn upload(&self, name: &str, photo: &[u8]) -> Result<Answer, String> {
        let head = format!("--line\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"{name}\"\r\n\r\n");
        let form = [head.as_bytes(), photo, b"\r\n--line--\r\n"].concat();
        self.send("POST", "/api/v1/photos", "Content-Type: multipart/form-data; boundary=line\r\n", &form)
    }

    fn send(&self, method: &str, path: &str, head: &str, body: &[u8]) -> Result<Answer, String> {
        let answer = ask(&self.place.data().join("api.sock"), method, path, head, body);
        answer.map_err(|error| format!("{method} {path}: {error}\n{}", self.log()))
    }

    /// Puts a photo into the watched folder.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn take(&self, name: &str, photo: &[u8]) -> io::Result<()> {
        let hidden = self.place.camera().join(format!(".{name}"));
        fs::write(&hidden, photo)?;
        fs::rename(&hidden, self.place.camera().join(name))
    }

    /// Replaces the photos in the watched folder, as another memory card would.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn change_card(&self, photos: impl Iterator<Item = (String, Vec<u8>)>) -> io::Result<()> {
        fs::remove_dir_all(self.place.camera())?;
        fs::create_dir(self.place.camera())?;
        photos.into_iter().try_for_each(|(name, photo)| fs::write(self.place.camera().join(name), photo))
    }

    /// Makes a folder with these photos beside the drive, which the device does not watch, and returns its path.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn card(&self, photos: &[(String, Vec<u8>)]) -> io::Result<String> {
        let dir = self.place.dir.join("card");
        fs::create_dir_all(&dir)?;
        for (name, photo) in photos {
            fs::write(dir.join(name), photo)?;
        }
        Ok(dir.to_string_lossy().into_owned())
    }

    /// Flips bits of one byte of a file on the drive, as decay does.
    ///
    /// # Errors
    /// If the file is too short.
    pub fn flip(&self, name: &str, offset: u64) -> io::Result<()> {
        use std::os::unix::fs::FileExt;
        let file = fs::File::options().read(true).write(true).open(self.place.drive().join(name))?;
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset)?;
        file.write_all_at(&[byte[0] ^ 0x55], offset)
    }

    /// Ends everything at once, as a loss of power does, and returns the recorder.
    ///
    /// # Errors
    /// If the drive is still in use.
    pub fn cut(mut self) -> io::Result<Recorder> {
        self.kill();
        let recorder = self.recorder.clone();
        self.mounted.take().map_or(Ok(()), Mounted::end)?;
        Ok(recorder)
    }
}

impl Drop for Device<'_> {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns the output of a command that succeeded.
///
/// # Errors
/// If it failed, with its error output.
pub fn said(args: &[&str], output: &Output) -> Result<String, String> {
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("{}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr))),
    }
}

fn ask(socket: &Path, method: &str, path: &str, head: &str, body: &[u8]) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER_TIME))?;
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{head}Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    parse(&answer).ok_or_else(|| io::Error::other("no whole answer"))
}

fn parse(answer: &[u8]) -> Option<Answer> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let status = String::from_utf8_lossy(&answer[..end]).split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, body: serde_json::from_slice(&answer[end + 4..]).unwrap_or_default() })
}
