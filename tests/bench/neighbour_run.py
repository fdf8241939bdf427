"""Runs quick calls on a server of the page `neighbours`, alone or beside other work."""

import json
import re
import signal
import subprocess
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

from neighbour_stores import KEYS as MEMCACHED_KEYS
from pages import Page
from process import LOAD_CORE, Trouble, free_port, need, pinned
from servers import Server
from stores import KEYS

PAGE = Page("neighbours", "Quick calls beside a neighbour", (), int)
# Quick calls per second, and their connections.
RATE, CONNECTIONS = 500, 16


def by_id(key):
    return {"id": key}


class Run:
    """A server for one measurement, and what is asked of it."""

    def __init__(self, stores, folder, options, case):
        self.options, self.case, self.folder = options, case, folder
        self.admin = free_port()
        addresses = {**stores.addresses(), "admin": SimpleNamespace(address=f"127.0.0.1:{self.admin}")}
        self.server = Server("tributary", PAGE, addresses, folder, case.words)
        self.load = None

    def parameters(self, name, keys):
        path = self.folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(key) + "\n" for key in keys))
        return path

    def bench(self, method, connections, parameters, duration, rate=None, yields=False):
        """Starts a load. One that `yields` shares the core with the quick calls' client, and must not delay it."""
        command = self.server.ask(
            "bench", method, "--connections", str(connections), "--json-lines", str(parameters),
            "--format", "json", "-d", f"{int(duration * 1000)}ms", "--warmup", "500ms", *(("--rate", str(rate)) if rate else ()))
        if yields:
            command = (need("chrt", "util-linux"), "--idle", "0", *command)
        return subprocess.Popen(pinned(LOAD_CORE, command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def start_quick_calls(self, keys, duration):
        self.load = self.bench(self.case.quick, CONNECTIONS, self.parameters("quick", keys), duration, RATE)

    def finish(self):
        """Ends the quick calls."""
        if self.load.poll() is None:
            self.load.send_signal(signal.SIGINT)
            self.load.wait()

    def metric(self, name):
        """The values of a metric, over all its labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=30) as said:
            return list(map(float, re.findall(rf"^{name}(?:{{.*}})? (\S+)", said.read().decode(), re.MULTILINE)))

    def sockets(self):
        """The server's sockets: a connection that is made again is another one."""
        return {link for fd in Path(f"/proc/{self.server.pid}/fd").iterdir() if (link := target(fd)).startswith("socket:")}

    def resident_mib(self):
        found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{self.server.pid}/status").read_text(), re.MULTILINE)
        return int(found[1]) / 1024

    def loop(self):
        return {"lag_ms": max(self.metric("tributary_loop_lag_max_seconds")) * 1000,
                "stalls": int(sum(self.metric("tributary_loop_stalls_total")))}


def target(link):
    try:
        return str(link.readlink())
    except OSError:
        # The file was closed meanwhile.
        return ""


def results(load):
    """What a load printed. Calls that failed are results too."""
    out, error = load.communicate(timeout=120)
    if not out.startswith("{"):
        raise Trouble(f"{' '.join(load.args)}:\n{out}{error}")
    return json.loads(out)


def failed(result):
    return sum(result["errors"].values())


def keys_of(case, run):
    """The keys of the quick calls and of the neighbour. Those of memcached are on the running and on the stopped server."""
    if case.quick != "quickMemcached":
        everything = [key * 7919 % KEYS for key in range(KEYS)]
        return everything[:KEYS // 2], everything[KEYS // 2:]
    places = {"memcached": [], "stopped": []}
    for key in range(0, MEMCACHED_KEYS, 50):
        said = subprocess.run(run.server.ask("call", case.quick, f"id={key}"), capture_output=True, text=True)
        if said.returncode:
            raise Trouble(f"{said.stderr}{run.server.log.read_text(errors='replace')}")
        places[json.loads(said.stdout)["text"]].append(key)
    return places["memcached"], places["stopped"]


def alone(case, run, keys):
    run.start_quick_calls(map(by_id, keys), run.options.seconds)
    return {**results(run.load), **run.loop()}


def beside(case, run, stores, keys, others):
    """The quick calls while the neighbour works."""
    said, neighbour = "", None
    with ExitStack() as after:
        if case.stopped:
            after.enter_context(stores.stopped(case.stopped))
        if case.callers:
            method, connections, parameters = case.callers
            # Begins before the quick calls and ends after them.
            path = run.parameters("neighbour", map(parameters, others))
            neighbour = run.bench(method, connections, path, run.options.seconds + 600, yields=True)
            time.sleep(0.5)
        run.start_quick_calls(map(by_id, keys), 600 if case.work else run.options.seconds)
        try:
            if case.work:
                time.sleep(0.5)
                said = case.work(run)
            result = {**results(run.load), **run.loop()}
        finally:
            if neighbour:
                neighbour.send_signal(signal.SIGINT)
                made = results(neighbour)
    if neighbour:
        said = f"{made['calls']:,} calls" + (f", p99 {made['latency_us']['p99'] / 1000:.0f} ms" if made["calls"] else "")
        said += f", {failed(made):,} failed" if made["errors"] else ""
    return {**result, "neighbour": said}
