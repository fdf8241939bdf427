"""Starts the server under attack and the clean client, and measures both."""

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

TRIBUTARY = TARGET / "dist" / "tributary"
# The connections of a clean client.
CLEAN_CONNECTIONS = 8
TICKS = os.sysconf("SC_CLK_TCK")


def add_options(parser):
    parser.add_argument("--rate", type=int, default=500, help="clean calls a second")
    parser.add_argument("--no-build", action="store_true", help="use the program without building it")
    parser.add_argument("--program", type=lambda path: Path(path).resolve(), default=TRIBUTARY,
                        help="the program to test, instead of target/dist/tributary")


def prepare(options, connections):
    """Builds the program, and raises the limit of open files to what both sides' connections and the server itself need."""
    if not options.no_build:
        subprocess.run(["cargo", "build", "--profile", "dist"], cwd=ROOT, check=True)
    if not options.program.exists():
        raise Trouble(f"{options.program} does not exist: build it with `cargo build --profile dist`")
    wanted = 2 * connections + 1024
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise Trouble(f"the test needs {wanted} open files, and the system allows {hard}: raise `ulimit -Hn`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def first_in_turn():
    """The prefix that gives a command priority over everything else on its core, if the system permits that."""
    command = ["chrt", "--rr", "1"]
    allowed = shutil.which("chrt") and subprocess.run([*command, "true"], stderr=subprocess.DEVNULL).returncode == 0
    return command if allowed else []


class Rig:
    """A server on one core, with the configuration for the hostile kinds."""

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
        # The server answers calls, so it has opened every file that it needs.
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
        """Starts a well-behaved client: it makes calls at a fixed rate and checks each reply."""
        command = pinned(LOAD_CORE, [
            *self.hurry, str(self.options.program), "bench", "--addr", f"127.0.0.1:{self.port}",
            "--idl", str(self.folder / "airports.thrift"), "get", "code=JFK", "--connections", str(CLEAN_CONNECTIONS),
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
        """The server's memory in MiB: `VmRSS` is the current size, `VmHWM` the peak."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(which):
                return int(line.split()[1]) / 1024
        raise Trouble("the server has ended")

    def files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def cpu_percent(self, seconds):
        """How much of a core the server uses over the next `seconds`."""
        before, begun = self.cpu_seconds(), time.monotonic()
        time.sleep(seconds)
        return 100 * (self.cpu_seconds() - before) / (time.monotonic() - begun)

    def scrape(self):
        """The metrics that have no labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=2) as page:
            lines = page.read().decode().splitlines()
        pairs = (line.split() for line in lines if not line.startswith("#") and "{" not in line)
        return {pair[0]: float(pair[1]) for pair in pairs}

    def comes_to_rest(self, seconds=20):
        """Waits until the server has no more files open than before any client connected."""
        end = time.monotonic() + seconds
        # The admin port may still hold our last connection.
        while self.files() > self.files_at_rest + 4:
            if time.monotonic() > end:
                raise Trouble(f"{self.files()} files are open {seconds} s after all clients left; at the start there were {self.files_at_rest}")
            time.sleep(0.1)


class Clean:
    """One connection that makes calls one after the other."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), 5)

    def call(self):
        self.sock.sendall(call(b"get", CODE))
        length, = struct.unpack(">i", self.take(4))
        if b"Kennedy" not in self.take(length):
            raise Trouble("a clean call got a wrong reply")

    def take(self, count):
        taken = b""
        while len(taken) < count:
            piece = self.sock.recv(count - len(taken))
            if not piece:
                raise Trouble("a clean connection was closed")
            taken += piece
        return taken
