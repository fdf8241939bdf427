"""The benchmark's processes: Redis with its keys, and each server of the page. All of them end with their owner."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
TRIBUTARY = TARGET / "release" / "tributary"
PARTS = ("summary", "details", "prices", "stock", "reviews", "images", "related")
KEYS = 10_000
VALUE_BYTES = 200
PATIENCE = 30
SERVER_CORE, LOAD_CORE = 0, 1


class Trouble(Exception):
    """Something that ends the benchmark, in a sentence."""


def need(program, package):
    if shutil.which(program) is None:
        raise Trouble(f"there is no `{program}`: install the Debian package `{package}`")


def pinned(core, command):
    """`command` on one core, where there is more than one."""
    if len(os.sched_getaffinity(0)) < 2:
        return command
    return ["taskset", "-c", str(core), *map(str, command)]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Child:
    """A process of ours, its words in a file."""

    def __init__(self, core, command, folder, env=None):
        self.log = folder / "log.txt"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                pinned(core, command), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **(env or {})})
        # taskset replaces itself with the command, so this is the server's own number.
        self.pid = self.process.pid

    def wait_for(self, ready):
        """What `ready` says once it says something."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = ready()
            if found:
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        self.stop()
        raise Trouble(f"{self.process.args} does not serve:\n{self.log.read_text(errors='replace')}")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def value(part, key):
    """What Redis holds: it names its key, so that no value passes for another."""
    return f"{part}:{key}:".ljust(VALUE_BYTES, "x")


class Redis(Child):
    """A Redis that keeps nothing, with the keys of all pages."""

    def __init__(self, folder):
        self.port = free_port()
        super().__init__(
            LOAD_CORE, ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly",
                        "no", "--dir", str(folder)], folder)
        self.wait_for(lambda: accepts(self.port))
        self.load()

    def load(self):
        with socket.create_connection(("127.0.0.1", self.port)) as stream:
            replies = stream.makefile("rb")
            for part in PARTS:
                pairs = [(f"{part}:{key}", value(part, key)) for key in range(KEYS)]
                for at in range(0, KEYS, 1000):
                    some = pairs[at:at + 1000]
                    stream.sendall("".join(
                        f"*3\r\n$3\r\nSET\r\n${len(k)}\r\n{k}\r\n${len(v)}\r\n{v}\r\n" for k, v in some).encode())
                    for _ in some:
                        if replies.readline() != b"+OK\r\n":
                            raise Trouble("Redis did not take a key")


class Server(Child):
    """One server of the page."""

    def __init__(self, name, redis, folder, slow):
        folder.mkdir(exist_ok=True)
        self.port = free_port()
        command, env = getattr(self, name.replace("-", "_"))(redis, folder, slow)
        super().__init__(SERVER_CORE, command, folder, env)
        self.wait_for(lambda: accepts(self.port))

    def tributary(self, redis, folder, slow):
        lines = (HERE / "page.toml").read_text().splitlines()
        if not slow:
            lines = [line for line in lines if not line.endswith("# slow")]
        config = folder / "page.toml"
        config.write_text("\n".join(lines).replace("127.0.0.1:0", f"127.0.0.1:{self.port}"))
        shutil.copy(HERE / "page.thrift", folder)
        env = {"PAGE_REDIS": f"redis://127.0.0.1:{redis.port}/0"}
        return [str(TRIBUTARY), "serve", "-c", str(config)], env

    def gevent(self, redis, folder, slow, *more):
        # thriftpy2 looks for includes beside the file.
        shutil.copy(HERE / "page.thrift", folder)
        shutil.copy(ROOT / "idl" / "tributary.thrift", folder)
        command = [str(python()), str(HERE / "peers" / "gevent_page.py"), "--idl", str(folder / "page.thrift"),
                   "--port", str(self.port), "--redis-port", str(redis.port), *more]
        return command + (["--slow"] if slow else []), None

    def gevent_serial(self, redis, folder, slow):
        return self.gevent(redis, folder, slow, "--serial")

    def floor(self, redis, _folder, slow):
        command = [str(TARGET / "bench" / "floor"), str(self.port), str(redis.port)]
        return command + (["slow"] if slow else []), None


SERVERS = ("tributary", "floor", "gevent", "gevent-serial")


def python():
    return TARGET / "bench-venv" / "bin" / "python"


def prepare(names, build):
    """Builds what the named servers need."""
    need("redis-server", "redis-server")
    need("taskset", "util-linux")
    if build:
        subprocess.run(["cargo", "build", "--release"], cwd=ROOT, check=True)
    if not TRIBUTARY.exists():
        raise Trouble(f"there is no {TRIBUTARY}: `cargo build --release` makes it")
    if "floor" in names:
        need("gcc", "gcc")
        (TARGET / "bench").mkdir(parents=True, exist_ok=True)
        subprocess.run(["gcc", "-O2", "-Wall", "-o", TARGET / "bench" / "floor", HERE / "peers" / "floor.c"], check=True)
    if any(name.startswith("gevent") for name in names):
        make_venv()


def make_venv():
    """The Python of the gevent peers; made again when a list of packages changes."""
    lists = [ROOT / "tests" / "requirements.txt", HERE / "requirements.txt"]
    wanted = "".join(path.read_text() for path in lists)
    venv = TARGET / "bench-venv"
    seal = venv / "requirements.txt"
    if seal.exists() and seal.read_text() == wanted:
        return
    print(f"tests/bench/run: installing gevent and redis into {venv}", file=sys.stderr)
    shutil.rmtree(venv, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    install = [python(), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, *(word for path in lists for word in ("-r", path))], check=True)
    seal.write_text(wanted)
