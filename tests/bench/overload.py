"""The page `overload`: how many calls a server serves whole when it gets many times more than it can serve.

The calls ask a table in the server's memory, so the server's core is all that limits them. `peers/offer.c` makes them on the
other core, at a rate that does not depend on what the server does. It says itself whether it kept to that rate.
"""

import json
import re
import struct
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

from pages import Page
from process import HERE, LOAD_CORE, TARGET, Trouble, free_port, need, pinned
from servers import Server

PAGE = Page("overload", "More calls than one event loop can serve, with a deadline of 500 ms", (), int)
OFFER = TARGET / "bench" / "offer"
# Of a call: its lookups, its deadline, and how long its caller waits.
LOOKUPS, DEADLINE_MS, TIMEOUT_MS = 100, 500, 600
KEYS, VALUE_BYTES = 1000, 20
# Times the capacity, and the least share of it that has to be served whole.
FACTORS = {2: 0.90, 5: 0.75, 10: 0.50}
# The connections of many callers, of one that is greedy, and of one that does nothing wrong.
MANY, GREEDY, POLITE, POLITE_RATE = 256, 4, 4, 100
# Beside the greedy caller, the polite one gets at least this share of its replies whole. What the greedy one gets is its own
# affair: its calls wait in its sockets, where the server does not see how long.
POLITE_LEAST = 0.99
REASONS = ("calls_max", "waiting", "loop", "memory")
VERSION_1, CALL = 0x80010000, 1


def build():
    OFFER.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([need("gcc", "gcc"), "-O2", "-Wall", "-o", OFFER, HERE / "peers" / "offer.c"], check=True)


def frame(method, ids):
    """A framed binary call with one list of i32, the field 1."""
    name = method.encode()
    message = struct.pack(f">Ii{len(name)}sibhbi{len(ids)}ib", VERSION_1 | CALL, len(name), name, 0, 15, 1, 8, len(ids), *ids, 0)
    return struct.pack(">i", len(message)) + message


class Run:
    """A new server for one measurement."""

    def __init__(self, folder, options):
        self.options, self.admin = options, free_port()
        folder.mkdir(parents=True)
        (folder / "rows.csv").write_text("id,value\n" + "".join(f"{key},{'x' * VALUE_BYTES}\n" for key in range(KEYS)))
        self.frame = folder / "call.bin"
        self.frame.write_bytes(frame("rows", [key * 7919 % KEYS for key in range(LOOKUPS)]))
        admin = {"admin": SimpleNamespace(address=f"127.0.0.1:{self.admin}")}
        self.server = Server("tributary", PAGE, admin, folder)

    def offer(self, connections, rate, seconds):
        """Starts a load; a rate of 0 is a closed loop."""
        words = [OFFER, self.server.port, self.frame, connections, rate, seconds, TIMEOUT_MS, LOOKUPS * VALUE_BYTES]
        return subprocess.Popen(pinned(LOAD_CORE, [str(word) for word in words]), stdout=subprocess.PIPE, text=True)

    def cpu(self):
        """CPU time of the server so far, in seconds."""
        fields = Path(f"/proc/{self.server.pid}/schedstat").read_text().split()
        others = [Path(task / "schedstat").read_text().split()[0] for task in Path(f"/proc/{self.server.pid}/task").iterdir()]
        return max(int(fields[0]), sum(map(int, others))) / 1e9

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=30) as said:
            text = said.read().decode()
        return {reason: int(sum(float(found) for found in re.findall(
            rf'^tributary_calls_overloaded_total{{reason="{reason}"}} (\S+)', text, re.MULTILINE))) for reason in REASONS}


def said(load):
    out, _ = load.communicate(timeout=300)
    if load.returncode:
        raise Trouble(f"{load.args}: exit {load.returncode}")
    return json.loads(out)


def capacity_of(run, options):
    """Calls per second over 64 connections with one call each at a time, and CPU time per call in us."""
    before = run.cpu()
    calls = said(run.offer(64, 0, options.seconds))["whole"] / options.seconds
    # The time without load, in which replies are waited for, costs no CPU time to speak of.
    return calls, (run.cpu() - before) / (calls * (options.seconds + 1)) * 1e6


def measure(factor, connections, folder, options):
    """The load at `factor` times the capacity, over so many connections, and the polite caller meanwhile."""
    run = Run(folder, options)
    try:
        begun, first = time.monotonic(), capacity_of(run, options)
        before = run.cpu()
        load = run.offer(connections, int(factor * first[0]), options.seconds)
        polite = said(run.offer(POLITE, POLITE_RATE, options.seconds))
        greedy = said(load)
        used = run.cpu() - before
        last = capacity_of(run, options)
        # A machine whose speed drifts would otherwise make calls look cheap or dear.
        capacity, served_us = [(a + b) / 2 for a, b in zip(first, last)]
        # Both loads had a second to warm up.
        times = (options.seconds + 1) / options.seconds
        whole = greedy["whole"] + polite["whole"]
        refused = max(1, greedy["refused"] + polite["refused"])
        refused_us = (used / times - whole * served_us / 1e6) / refused * 1e6
        return {"capacity": capacity, "drift": last[0] / first[0] - 1, "factor": factor, "connections": connections, "greedy": greedy, "polite": polite,
                "whole": whole / options.seconds, "served_us": served_us, "refused_us": refused_us, "cpu_share": used / (options.seconds + 1),
                "reasons": run.metrics(), "wall": time.monotonic() - begun}
    finally:
        run.server.stop()


HEAD = ("calls", "connections", "capacity/s", "drift", "offered/s", "whole/s", "share", "at least", "refused/s", "late/s", "lost/s", "unsent/s",
        "p99 ms of whole", "polite whole", "at least", "polite p99 ms", "server's CPU", "us a served call", "us a refused call", "load's CPU",
        "sent late by ms", "holds")


def row(found):
    greedy, polite = found["greedy"], found["polite"]
    seconds, factor = greedy["seconds"], found["factor"]
    share, kept = found["whole"] / found["capacity"], polite["whole"] / max(1, polite["due"])
    is_greedy = found["connections"] == GREEDY
    holds = kept >= POLITE_LEAST if is_greedy else share >= FACTORS[factor]
    a_second = {name: f"{greedy[name] / seconds:,.0f}" for name in ("due", "refused", "late", "lost", "unsent")}
    return (f"{factor} x", f"{found['connections']}", f"{found['capacity']:,.0f}", f"{found['drift']:+.0%}", a_second["due"], f"{found['whole']:,.0f}", f"{share:.2f}",
            "" if is_greedy else f"{FACTORS[factor]:.2f}", a_second["refused"], a_second["late"], a_second["lost"], a_second["unsent"],
            f"{greedy['us']['p99'] / 1000:.0f}", f"{kept:.3f}", f"{POLITE_LEAST:.2f}" if is_greedy else "", f"{polite['us']['p99'] / 1000:.0f}", f"{found['cpu_share']:.2f}",
            f"{found['served_us']:.1f}", f"{found['refused_us']:.1f}", f"{greedy['cpu_s'] / (seconds + 1):.2f}",
            f"{greedy['behind_us'] / 1000:.0f}", "yes" if holds else "**no**")


def page(folder, options):
    """Prints the table, once for each run, and returns its figures."""
    build()
    report = []
    for number in range(options.runs):
        rows = [HEAD, ("---:",) * len(HEAD)]
        for connections in (MANY, GREEDY):
            for factor in FACTORS:
                found = measure(factor, connections, folder / f"run-{number}-{connections}-{factor}", options)
                rows.append(row(found))
                print(f"overload: {' | '.join(rows[-1])} {found['reasons']}", file=sys.stderr)
                report.append({"page": PAGE.name, "runs": [found]})
        print(f"{PAGE.title}\n\n" + "\n".join(f"| {' | '.join(cells)} |" for cells in rows) + "\n", flush=True)
    return report
