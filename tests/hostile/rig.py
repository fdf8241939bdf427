"""The server under attack, the clean client beside the others, and what is known of both."""

import json
import os
import resource
import shutil
import socket
import struct
import subprocess
import time
import urllib.request
from pathlib import Path

from kinds import CODE, call, lay_out
from process import LOAD_CORE, ROOT, SERVER_CORE, TARGET, Child, Trouble, accepts, free_port, pinned

TRIBUTARY = TARGET / "release" / "tributary"
# A clean client has so many connections.
CLEAN_CONNECTIONS = 8
TICKS = os.sysconf("SC_CLK_TCK")


def add_options(parser):
    parser.add_argument("--rate", type=int, default=500, help="clean calls a second")
    parser.add_argument("--no-build", action="store_true", help="take the release build as it is")
    parser.add_argument("--program", type=lambda path: Path(path).resolve(), default=TRIBUTARY, help="another build than the release in `target`")


def prepare(options, connections):
    """A release build, and as many open files on each side as the connections need, and as many again for the server's own."""
    if not options.no_build:
        subprocess.run(["cargo", "build", "--release"], cwd=ROOT, check=True)
    if not options.program.exists():
        raise Trouble(f"there is no {options.program}: `cargo build --release` makes it")
    wanted = 2 * connections + 1024
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise Trouble(f"{wanted} open files are needed, the system allows {hard}: raise `ulimit -Hn`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def first_in_turn():
    """What makes a command come before everything else on its core, where the system lets us."""
    command = ["chrt", "--rr", "1"]
    allowed = shutil.which("chrt") and subprocess.run([*command, "true"], stderr=subprocess.DEVNULL).returncode == 0
    return command if allowed else []


class Rig:
    """A server of the hostile kinds' configuration on one core."""

    def __init__(self, folder, options, connections, before=()):
        folder.mkdir(exist_ok=True)
        self.folder, self.options = folder, options
        self.port, self.admin = free_port(), free_port()
        lay_out(folder, self.port, self.admin, connections)
        self.hurry = first_in_turn()
        serve = [str(options.program), "serve", "-c", str(folder / "tributary.toml"), "--log", "warn"]
        self.server = Child(SERVER_CORE, [*self.hurry, *before, *serve], folder)
        self.server.wait_for(lambda: accepts(self.port))
        self.pid = self.server.pid
        # It serves on its loop, and it has everything open that it needs.
        client = Clean(self.port)
        client.call()
        client.sock.close()
        self.scrape()
        time.sleep(0.5)
        self.files_at_rest = self.files()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.stop()

    def clean(self, seconds):
        """Starts a client that means no harm: its calls are due by the clock, each reply is checked."""
        command = pinned(LOAD_CORE, [
            *self.hurry, str(self.options.program), "bench", "--addr", f"127.0.0.1:{self.port}",
            "--idl", str(self.folder / "airports.thrift"), "get", "code=JFK", "-c", str(CLEAN_CONNECTIONS),
            "--rate", str(self.options.rate), "-d", f"{int(seconds * 1000)}ms", "--warmup", "1s", "--format", "json"])
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def latency(self, seconds):
        """p50 and p99 of a clean client in milliseconds."""
        client = self.clean(seconds)
        said, trouble = client.communicate()
        if client.returncode:
            raise Trouble(f"the clean client failed: {said}{trouble}")
        found = json.loads(said)
        return found["latency_us"]["p50"] / 1000, found["latency_us"]["p99"] / 1000

    def resident(self, which):
        """`VmRSS`, or `VmHWM` for the most that there was, in MiB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(which):
                return int(line.split()[1]) / 1024
        raise Trouble("the server is gone")

    def files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def cpu_percent(self, seconds):
        """Of a core, over the next `seconds`."""
        before, begun = self.cpu_seconds(), time.monotonic()
        time.sleep(seconds)
        return 100 * (self.cpu_seconds() - before) / (time.monotonic() - begun)

    def scrape(self):
        """The metrics without labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=2) as page:
            lines = page.read().decode().splitlines()
        pairs = (line.split() for line in lines if not line.startswith("#") and "{" not in line)
        return {pair[0]: float(pair[1]) for pair in pairs}

    def comes_to_rest(self, seconds=20):
        """Waits until the server has as few files open as when nobody was there."""
        end = time.monotonic() + seconds
        # Its admin port may be busy with us.
        while self.files() > self.files_at_rest + 4:
            if time.monotonic() > end:
                raise Trouble(f"{self.files()} files are open {seconds} s after everybody left, at first there were {self.files_at_rest}")
            time.sleep(0.1)


class Clean:
    """One connection that makes calls one by one."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), 5)

    def call(self):
        self.sock.sendall(call(b"get", CODE))
        length, = struct.unpack(">i", self.take(4))
        if b"Kennedy" not in self.take(length):
            raise Trouble("a clean call had no good reply")

    def take(self, count):
        taken = b""
        while len(taken) < count:
            piece = self.sock.recv(count - len(taken))
            if not piece:
                raise Trouble("a clean connection was closed")
            taken += piece
        return taken
