"""The page `observed`: what metrics, logs and traces cost in calls per second and in CPU.

The Redis page is served with and without them. A round measures every server once, in an order that turns, and compares each
with the one of the same round that has none of them. So what else the machine does affects both sides of a comparison.
"""

import json
import re
import statistics
import subprocess
import sys
import threading
import urllib.request

from pages import PAGES, Page
from process import LOAD_CORE, Trouble, pinned
from servers import KINDS, Server
from stores import Stores

PAGE = Page("observed", "Seven Redis gets per call, with and without metrics, logs and traces", ("redis",) * 7, str)
# All of them together, without the access log, may cost this share of the calls per second.
COST_MAX = 0.03
BASE, ALL = "tributary", "tributary-observed"
SERVERS = (BASE, "tributary-metrics", "tributary-log", "tributary-access", "tributary-traces", ALL)


class Scraper(threading.Thread):
    """Scrapes once a second until it is stopped."""

    def __init__(self, addr):
        super().__init__(daemon=True)
        self.addr, self.over = addr, threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(1):
            with urllib.request.urlopen(f"http://{self.addr}/metrics", timeout=10) as answer:
                answer.read()

    def stop(self):
        self.over.set()
        self.join()


def admin(server):
    log = server.log.read_text(errors="replace")
    found = re.search(r'addr=(\S+) port="admin"', log)
    if found is None:
        raise Trouble(f"no admin port:\n{log}")
    return found[1]


def measure(name, connections, stores, folder, options):
    server = Server(name, PAGES["redis"], stores.by_name, folder / name)
    scraper = None
    try:
        if "metrics" in KINDS[name].words:
            scraper = Scraper(admin(server))
        command = pinned(LOAD_CORE, server.ask(
            "bench", "getPage", "--json-lines", str(server.folder / "ids.jsonl"), "--connections", str(connections),
            "-d", f"{int(options.seconds * 1000)}ms", "--warmup", "500ms", "--pid", str(server.pid), "--format", "json"))
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode:
            raise Trouble(f"{' '.join(command)}:\n{run.stdout}{run.stderr}")
        return json.loads(run.stdout)
    finally:
        if scraper:
            scraper.stop()
        server.stop()


def compare(base, other):
    """The share of the calls per second that is lost, and of the CPU per call that is added."""
    lost = 1 - other["calls_per_second"] / base["calls_per_second"]
    return lost, other["server"]["cpu_us_per_call"] / base["server"]["cpu_us_per_call"] - 1


def spread(values):
    return f"{statistics.median(values):+.1%} ({min(values):+.1%} to {max(values):+.1%})"


def table(rounds, servers):
    rows = [("server", "calls/s", "CPU us/call", "calls/s lost (range)", "CPU added (range)"), ("---", *("---:",) * 4)]
    for name in servers:
        runs = [of[name] for of in rounds]
        costs = zip(*(compare(of[BASE], of[name]) for of in rounds))
        costs = [spread(each) for each in costs] if name != BASE else ["", ""]
        rate = statistics.median(run["calls_per_second"] for run in runs)
        cpu = statistics.median(run["server"]["cpu_us_per_call"] for run in runs)
        rows.append((name, f"{rate:,.0f}", f"{cpu:.2f}", *costs))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def verdict(rounds):
    losses = [compare(of[BASE], of[ALL])[0] for of in rounds]
    lost = statistics.median(losses)
    said = "holds" if lost <= COST_MAX else "does not hold"
    if len(losses) < 3 or max(losses) - min(losses) > 2 * COST_MAX:
        said = "cannot be told: the rounds differ too much, or are too few"
    return f"At most {COST_MAX:.0%} of the calls per second for all of them {said}: {lost:+.1%}"


def page(folder, options):
    """Measures and prints; returns the results. The one with which the others are compared is always measured."""
    connections = options.connections[len(options.connections) // 2]
    servers = [name for name in SERVERS if name == BASE or name in options.names]
    stores = Stores(folder, ["redis"])
    rounds = []
    try:
        for number in range(options.runs):
            turn = number % len(servers)
            of = {}
            for name in (*servers[turn:], *servers[:turn]):
                of[name] = measure(name, connections, stores, folder, options)
                print(f"round {number + 1}: {PAGE.name}, {name}: {of[name]['calls_per_second']:,.0f} calls/s", file=sys.stderr)
            rounds.append(of)
    finally:
        stores.stop()
    said = f"{verdict(rounds)}\n\n" if ALL in servers else ""
    print(f"{PAGE.title}, {connections} connections\n\n{table(rounds, servers)}\n\n{said}", end="", flush=True)
    return [{"server": name, "page": PAGE.name, "connections": connections, "runs": [of[name] for of in rounds]}
            for name in servers]
