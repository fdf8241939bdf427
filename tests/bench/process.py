"""Starts the benchmark's processes: each runs on one core, logs to a file and ends with its owner."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
PATIENCE = 60
SERVER_CORE, LOAD_CORE = 0, 1


class Trouble(Exception):
    """Ends the benchmark with a message."""


class Missing(Trouble):
    """A program is not installed."""


def need(program, package):
    """The program's path, searched in PATH and in folders that some users' PATH lacks."""
    found = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if found is None:
        raise Missing(f"cannot find `{program}`: install the Debian package `{package}`")
    return found


def pinned(core, command):
    """Pins `command` to one core if the machine has more than one."""
    if len(os.sched_getaffinity(0)) < 2:
        return command
    return ["taskset", "-c", str(core), *map(str, command)]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Child:
    """A process that the benchmark started."""

    def __init__(self, core, command, folder, stop_signal=signal.SIGTERM):
        self.log, self.stop_signal = folder / "log.txt", stop_signal
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                pinned(core, command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                env={**os.environ, "TMPDIR": str(folder)})
        # taskset replaces itself with the command, so this is the server's own process id.
        self.pid = self.process.pid

    def wait_for(self, ready):
        """Waits until `ready` returns something, and returns it."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = ready()
            if found:
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        self.stop()
        raise Trouble(f"{self.process.args} did not start:\n{self.log.read_text(errors='replace')}")

    def said(self, words):
        return words in self.log.read_text(errors="replace")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
