"""The benchmark's servers: one line for each, and how to start it for a page."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import collector
from process import HERE, ROOT, SERVER_CORE, TARGET, Child, Trouble, accepts, free_port, need
from stores import PARTS

# Another build can be measured, such as one that was built faster.
TRIBUTARY = Path(os.environ.get("TRIBUTARY_PROGRAM", TARGET / "dist" / "tributary"))
PYTHON = TARGET / "bench-venv" / "bin" / "python"
FLOOR = TARGET / "bench" / "floor"


def tributary(page, stores, folder, port, words):
    """The page's configuration, without the lines whose word is not among `words`."""
    def kept(line):
        word = line.rpartition(" # ")[2] if " # " in line and not line.startswith("#") else None
        return word is None or word in words or (word == "slow" and page.slow)
    config = "\n".join(filter(kept, (HERE / "pages" / f"{page.file}.toml").read_text().splitlines()))
    config = config.replace("127.0.0.1:0", f"127.0.0.1:{port}")
    for name, store in stores.items():
        config = config.replace(f"BENCH_{name.upper()}", store.address)
    if "BENCH_COLLECTOR" in config:
        config = config.replace("BENCH_COLLECTOR", collector.address())
    (folder / "page.toml").write_text(config)
    return [TRIBUTARY, "serve", "-c", folder / "page.toml"]


def gevent(page, stores, folder, port, words):
    parts = json.dumps(dict(zip(PARTS, page.stores)))
    places = json.dumps({name: stores[name].place for name in set(page.stores)})
    slow = ("slow",) if page.slow else ()
    return [PYTHON, HERE / "peers" / "gevent_page.py", "--idl", folder / page.idl, "--port", port, "--parts", parts,
            "--places", places, *(f"--{word}" for word in (*words, *slow))]


def floor(page, stores, _folder, port, _words):
    return [FLOOR, port, stores["redis"].place, *(("slow",) if page.slow else ())]


@dataclass(frozen=True)
class Kind:
    command: Callable
    # The pages that it can serve.
    pages: tuple[str, ...]
    words: tuple[str, ...] = ()


KINDS = {
    "tributary": Kind(tributary, ("redis", "slow", "postgres", "mixed"), ("batched", "unguarded")),
    # With every guard that leaves the store to answer: breaker, permits, `else`, brownout, the limits of callers.
    "tributary-guarded": Kind(tributary, ("redis",), ("guarded",)),
    # The same, with a cache that has no answer, keeps one and lets equal questions join: the longest way through it.
    "tributary-cached": Kind(tributary, ("redis",), ("guarded", "cached")),
    # With the admin port and its sample of calls; lines of calls in the log; a line of every call in a file; traces; and all of
    # them but the lines of every call.
    "tributary-metrics": Kind(tributary, ("redis",), ("batched", "unguarded", "metrics")),
    "tributary-log": Kind(tributary, ("redis",), ("batched", "unguarded", "log")),
    "tributary-access": Kind(tributary, ("redis",), ("batched", "unguarded", "access")),
    "tributary-traces": Kind(tributary, ("redis",), ("batched", "unguarded", "traces")),
    "tributary-observed": Kind(tributary, ("redis",), ("batched", "unguarded", "metrics", "log", "traces")),
    # Sends each lookup on its own, never in a batch.
    "tributary-unbatched": Kind(tributary, ("redis", "postgres"), ("batched", "unbatched", "unguarded")),
    # The SQL as one would write it without batches in mind.
    "tributary-plain": Kind(tributary, ("postgres",), ("plain",)),
    "floor": Kind(floor, ("redis", "slow")),
    "gevent": Kind(gevent, ("redis", "slow", "postgres", "mixed")),
    "gevent-serial": Kind(gevent, ("redis", "slow", "postgres", "mixed"), ("serial",)),
}


class Server(Child):
    """A server that serves one page."""

    def __init__(self, name, page, stores, folder, words=(), within=()):
        folder.mkdir(parents=True, exist_ok=True)
        page.lay_out(folder)
        self.port, self.folder, self.page, self.name = free_port(), folder, page, name
        kind = KINDS[name]
        command = kind.command(page, stores, folder, self.port, (*kind.words, *words))
        # `within` is a program that runs the server and looks at it.
        super().__init__(SERVER_CORE, list(map(str, (*within, *command))), folder)
        self.wait_for(lambda: accepts(self.port))

    def ask(self, command, *words):
        """The command line of `tributary COMMAND` against this server."""
        return [str(TRIBUTARY), command, "--addr", f"127.0.0.1:{self.port}", "--idl", str(self.folder / self.page.idl), *words]


def prepare(names, build):
    """Builds what the given servers need."""
    need("taskset", "util-linux")
    if build:
        subprocess.run(["cargo", "build", "--profile", "dist"], cwd=ROOT, check=True)
    if not TRIBUTARY.exists():
        raise Trouble(f"{TRIBUTARY} does not exist: build it with `cargo build --profile dist`")
    if "floor" in names:
        FLOOR.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([need("gcc", "gcc"), "-O2", "-Wall", "-o", FLOOR, HERE / "peers" / "floor.c"], check=True)
    if any(name.startswith("gevent") for name in names):
        make_venv()


def make_venv():
    """The virtual environment of the gevent peers, created again when the list of packages changes."""
    lists = [ROOT / "tests" / "requirements.txt", HERE / "requirements.txt"]
    wanted = "".join(path.read_text() for path in lists)
    venv = PYTHON.parent.parent
    seal = venv / "requirements.txt"
    if seal.exists() and seal.read_text() == wanted:
        return
    print(f"tests/bench/run: installing the peers' packages into {venv}", file=sys.stderr)
    shutil.rmtree(venv, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    install = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, *(word for path in lists for word in ("-r", path))], check=True)
    seal.write_text(wanted)
