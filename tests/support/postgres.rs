//! A real PostgreSQL with a data folder of its own, as Debian's package `postgresql` installs it.

use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::{eventually, free_port};

/// A running server, which is killed when this is dropped.
pub struct PostgresServer {
    dir: TempDir,
    programs: PathBuf,
    port: u16,
    process: Option<Child>,
}

impl PostgresServer {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut server = PostgresServer { dir, programs: programs(), port: free_port(), process: None };
        if let Some((user, group)) = other_user() {
            chown(server.dir.path(), Some(user), Some(group)).expect("a folder for the user postgres");
        }
        let mut initdb = server.command("initdb");
        initdb.args(["--auth=trust", "--username=test", "--no-sync", "-D"]).arg(server.data());
        let made = initdb.stdout(Stdio::null()).status().expect("initdb starts");
        assert!(made.success(), "initdb failed");
        server.resume();
        server
    }

    /// Starts the server again after `kill`.
    pub fn resume(&mut self) {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(self.dir.path());
        command.args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        self.process = Some(command.stderr(Stdio::null()).spawn().expect("postgres starts"));
        eventually("postgres answers", || postgres::Client::connect(&self.address(), postgres::NoTls).is_ok());
    }

    /// Shuts the server down at once: it cuts connections and tidies up nothing.
    pub fn kill(&mut self) {
        if self.process.is_some() {
            self.thaw();
        }
        let Some(mut process) = self.process.take() else { return };
        let stop = self.command("pg_ctl").args(["stop", "-m", "immediate", "-D"]).arg(self.data()).output();
        assert!(stop.expect("pg_ctl starts").status.success());
        process.wait().expect("an end");
    }

    /// Stops all the server's processes where they are, like a machine that swaps or a drive that hangs.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets the processes go on.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Sends a signal to the server first, so that it has no more children. A process that ends meanwhile does not
    /// matter.
    fn signal(&self, name: &str) {
        let server = self.process.as_ref().expect("it runs").id();
        let send = |processes: &str| {
            let kill = Command::new("sh").args(["-c", &format!("kill {name} {processes}")]).output();
            kill.expect("sh starts");
        };
        send(&server.to_string());
        let children = fs::read_to_string(format!("/proc/{server}/task/{server}/children")).expect("its processes");
        children.split_whitespace().for_each(send);
    }

    pub fn address(&self) -> String {
        format!("postgresql://test@127.0.0.1:{}/postgres", self.port)
    }

    pub fn client(&self) -> postgres::Client {
        postgres::Client::connect(&self.address(), postgres::NoTls).expect("a connection")
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Returns a command for PostgreSQL's programs. PostgreSQL does not run as root, so it runs as the user that its
    /// package made.
    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        if other_user().is_none() {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
        command.current_dir("/");
        command
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders = versions.map(|version| version.path().join("bin")).chain(env::split_paths(&path));
    let programs = folders.find(|folder| folder.join("initdb").exists());
    programs.expect("PostgreSQL is not installed; run tests/check, which installs it")
}

/// Returns user and group of PostgreSQL if the tests run as root.
fn other_user() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").expect("a process").uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("users");
    let fields = users.lines().find(|line| line.starts_with("postgres:")).expect("a user postgres");
    let ids: Vec<u32> = fields.split(':').skip(2).take(2).filter_map(|id| id.parse().ok()).collect();
    Some((ids[0], ids[1]))
}
