"""The page `neighbours`: what slow, hung and large work costs the quick calls beside it.

Each case is measured twice, each time with a new server: the quick calls alone, then beside their neighbour. Quick calls are
due on a schedule, so that a pause of the server counts against all calls that were due in it.
"""

import math
import signal
import sys
import time
from dataclasses import dataclass
from typing import Callable

import burst
from neighbour_run import PAGE, RATE, Run, alone, beside, by_id, failed, keys_of, results
from neighbour_stores import ROWS, NeighbourStores
from process import Missing
from stores import PARTS, VALUE_BYTES

# Beside a neighbour, no quick call may be lost and p99 may be at most twice that of the quick calls alone and this.
MARGIN_MS = 5


@dataclass(frozen=True)
class Case:
    title: str
    # The method of the quick calls, and the stores that the case needs.
    quick: str
    stores: tuple[str, ...]
    # Does the neighbour's work, and returns what to say about it. Without, `callers` call.
    work: Callable = None
    # Of the neighbour: method, number of connections, parameters by key.
    callers: tuple = None
    # A store that does not run beside the quick calls.
    stopped: str = None
    # Further lines of the configuration.
    words: tuple[str, ...] = ()


def impatient(key):
    return {"id": key, "context": {"budget_ms": 50}}


def rows(count):
    return lambda _key: {"count": count}


def reloads(count):
    """Reloads the unchanged configuration, spread over a run."""
    def work(run):
        times = count if not run.options.quick else min(count, 20)
        pause = run.options.seconds / times
        sockets, memory = run.sockets(), run.resident_mib()
        for _ in range(times):
            done = run.metric(RELOADED)
            run.server.process.send_signal(signal.SIGHUP)
            run.server.wait_for(lambda: run.metric(RELOADED) > done)
            time.sleep(pause)
        run.finish()
        run.server.wait_for(lambda: not sum(run.metric("tributary_connections_open")))
        return (f"{times} reloads, {len(run.sockets() - sockets)} new connections to stores, "
                f"{memory:.0f} MiB before and {run.resident_mib():.0f} MiB after")
    return work


CASES = (
    Case("8 callers of a 300 ms statement of PostgreSQL, batched", "quickPostgres", ("postgres",),
         callers=("slowPostgres", 8, by_id)),
    Case("the same, not batched", "quickPostgres", ("postgres",), callers=("slowPostgresPlain", 8, by_id)),
    Case("8 callers of a 300 ms statement of MariaDB, batched", "quickMysql", ("mysql",), callers=("slowMysql", 8, by_id)),
    Case("the same, not batched", "quickMysql", ("mysql",), callers=("slowMysqlPlain", 8, by_id)),
    Case("16 callers with a budget of 50 ms of a 300 ms statement of PostgreSQL, batched", "quickPostgres", ("postgres",),
         callers=("slowPostgres", 16, impatient)),
    Case("the same, not batched", "quickPostgres", ("postgres",), callers=("slowPostgresPlain", 16, impatient)),
    Case("16 callers with a budget of 50 ms of a 300 ms statement of MariaDB, batched", "quickMysql", ("mysql",),
         callers=("slowMysql", 16, impatient)),
    Case("the same, not batched", "quickMysql", ("mysql",), callers=("slowMysqlPlain", 16, impatient)),
    Case("8 callers of keys of a stopped memcached server, one of two", "quickMemcached", ("memcached", "stopped"),
         callers=("quickMemcached", 8, by_id), stopped="stopped"),
    Case("8 callers of a page with an optional lookup of a stopped Redis", "quickRedis", ("redis", "hung"),
         callers=("withHung", 8, by_id), stopped="hung"),
    Case("a caller of 10,000 rows of PostgreSQL", "quickPostgres", ("postgres",), callers=("manyRows", 1, rows(ROWS // 10))),
    Case("a caller of 100,000 rows of PostgreSQL", "quickPostgres", ("postgres",), callers=("manyRows", 1, rows(ROWS))),
    Case("a caller of a number in 14 MB of JSON over HTTP", "quickRedis", ("redis", "http"), callers=("largeJson", 1, by_id)),
    Case("a caller of a hash of 200,000 fields on another Redis", "quickRedis", ("redis", "hashes"),
         callers=("largeHash", 1, lambda _key: {"name": "hash"})),
    Case("SIGHUP, with an 80 MB CSV file, nothing changed", "quickRedis", ("redis", "csv"), work=reloads(10), words=("csv",)),
    Case("1,000 times SIGHUP, nothing changed", "quickRedis", ("redis",), work=reloads(1000)),
)
# How many connections, and how many calls on each of them.
BURSTS = ((1000, 1), (4000, 1), (1000, 1000))
BURST_TITLE = "Calls of seven Redis gets on each connection at the same moment"
STEPS = ("alone", "beside")
RELOADED = 'tributary_config_reloads_total{outcome="ok"}'


def measure(case, stores, folder, options):
    for name in case.stores:
        stores.need(name)
    found = []
    for step in STEPS:
        run = Run(stores, folder / step, options, case)
        try:
            keys, others = keys_of(case, run)
            found.append(alone(case, run, keys) if step == "alone" else beside(case, run, stores, keys, others))
            for kind, times in found[-1]["errors"].items():
                print(f"neighbours: quick calls {step}: {times} x {kind}", file=sys.stderr)
        finally:
            if run.load:
                run.finish()
            run.server.stop()
    return dict(zip(STEPS, found))


def measure_burst(count, each, stores, folder, options):
    stores.need("redis")
    run = Run(stores, folder, options, Case("burst", "burst", ("redis",)))
    connections = []
    try:
        connections = burst.connect(run.server.port, count)
        run.server.wait_for(lambda: sum(run.metric("tributary_connections_open")) >= count)
        return {**vars(burst.send(connections, "burst", VALUE_BYTES, len(PARTS), each)), **run.loop()}
    finally:
        for connection in connections:
            connection.close()
        run.server.stop()


def case_row(case, found):
    first, then = found["alone"], found["beside"]
    # Without any reply there are no latencies.
    ms = {(name, at): found[name]["latency_us"].get(at, math.inf) / 1000 for name in found for at in ("p50", "p99")}
    most, lost = 2 * ms["alone", "p99"] + MARGIN_MS, failed(then)
    holds = "yes" if not lost and ms["beside", "p99"] <= most else "**no**"
    return (case.title, then["neighbour"], f"{ms['alone', 'p50']:.2f}", f"{ms['beside', 'p50']:.2f}",
            f"{ms['alone', 'p99']:.2f}", f"{ms['beside', 'p99']:.2f}", f"{most:.2f}",
            f"{lost} of {then['calls'] + lost}", f"{first['lag_ms']:.1f}", f"{then['lag_ms']:.1f}", str(then["stalls"]), holds)


def burst_row(count, each, found):
    times = found["times"]
    return (f"{count:,}", f"{each:,}", *(f"{found[name]:,}" for name in ("whole", "partial", "refused", "failed")),
            f"{times[len(times) // 2]:.0f}", f"{times[-1]:.0f}", f"{found['lag_ms']:.1f}", str(found["stalls"]))


CASE_HEAD = ("beside", "the neighbour", "p50 ms alone", "p50 ms beside", "p99 ms alone", "p99 ms beside", "p99 at most", "lost",
             "lag ms alone", "lag ms beside", "stalls", "holds")
BURST_HEAD = ("connections", "calls on each", "whole", "partial", "refused", "failed", "p50 ms", "last ms", "lag ms", "stalls")


def table(head, found):
    """A Markdown table. A case without figures has a reason instead."""
    rows = [head, ("---",) + ("---:",) * (len(head) - 1)]
    rows += [(*row, *[""] * (len(head) - len(row))) for row in found]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def measured(title, measure_it, row):
    """A row of a table and its figures, or of the reason why there are none."""
    try:
        found = measure_it()
    except Missing as missing:
        return (title, f"not measured: {missing}"), None
    print(f"neighbours: {' | '.join(row(found))}", file=sys.stderr)
    return row(found), found


def page(folder, options):
    """Prints the tables, once for each run, and returns their figures."""
    stores, report = NeighbourStores(folder), []
    try:
        for number in range(options.runs):
            own = folder / f"run-{number}"
            report += tables(stores, own, options)
    finally:
        stores.stop()
    return report


def tables(stores, folder, options):
    rows, bursts, report = [], [], []
    for number, case in enumerate(CASES):
        if options.cases not in case.title:
            continue
        row, found = measured(case.title, lambda: measure(case, stores, folder / f"case-{number}", options),
                              lambda found: case_row(case, found))
        rows.append(row)
        report.append({"page": PAGE.name, "beside": case.title, "runs": [found]})
    for count, each in BURSTS if options.cases in BURST_TITLE else ():
        each = min(each, 10) if options.quick else each
        row, found = measured(f"{count:,}", lambda: measure_burst(count, each, stores, folder / f"burst-{count}-{each}", options),
                              lambda found: burst_row(count, each, found))
        bursts.append(row)
        report.append({"page": PAGE.name, "burst": count, "each": each, "runs": [found]})
    print(f"{PAGE.title}: {RATE} quick calls per second\n\n{table(CASE_HEAD, rows)}\n\n"
          f"{BURST_TITLE}\n\n{table(BURST_HEAD, bursts)}\n", flush=True)
    return report
