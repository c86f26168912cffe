"""The daemon under test: its settings, its photos, and the kernel's figures on its process."""

import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time


def settings(folder: pathlib.Path, package: str, port: int = 0) -> pathlib.Path:
    (folder / "camera").mkdir(exist_ok=True)
    path = folder / "config.toml"
    path.write_text(
        f"""[device]\nsite = "bench"\nid = "unit"\ndata_dir = "data"\n[package]\ndir = "{os.path.abspath(package)}"\n
store = "store"\n[intake]\nfolders = ["camera"]\n[mqtt]\nbroker = "127.0.0.1:9"\n[web]\nlisten_here = "127.0.0.1:{port}"\n"""
    )
    return path


def numbered(photo: bytes, number: int) -> bytes:
    """Returns the photo with a comment segment (T.81, B.2.4.5) after its start, so that it counts as a new one."""
    comment = str(number).encode()
    return photo[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + photo[2:]


def make_old(path: pathlib.Path) -> None:
    """Sets the file's time an hour back, as on a card: the daemon reads a file at once if it has long been at rest."""
    an_hour_ago = time.time() - 3600
    os.utime(path, (an_hour_ago, an_hour_ago))


class Daemon:
    def __init__(self, program: str, config: pathlib.Path, before: tuple[str, ...] = ()):
        """Starts the daemon and waits until it is ready. `before` precedes the command, as in `taskset -c 0`."""
        name = tempfile.mktemp()
        self.service = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.service.bind(name)
        self.begin = time.monotonic()
        command = [*before, program, "run", "--config", str(config)]
        pipe = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=os.environ | {"NOTIFY_SOCKET": name}, **pipe)
        self.service.settimeout(60)
        try:
            while self.service.recv(64) != b"READY=1":
                pass
        except TimeoutError:
            self.process.kill()
            raise SystemExit(f"the daemon does not start: {self.process.stderr.read()}") from None
        self.ready_s = time.monotonic() - self.begin
        os.unlink(name)

    def wait_for(self, results: int) -> None:
        """Waits until the log shows this many results, one per line."""
        for line in self.process.stderr:
            results -= "(event " in line
            if results == 0:
                return
        raise SystemExit("the daemon ended")

    def number(self, file: str, key: str) -> int:
        text = pathlib.Path(f"/proc/{self.process.pid}/{file}").read_text()
        return int(next(line for line in text.splitlines() if line.startswith(key)).split()[1])

    def cpu_s(self) -> float:
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def switches(self) -> int:
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task").iterdir()
        lines = [line for task in tasks for line in (task / "status").read_text().splitlines()]
        return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt"))

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
