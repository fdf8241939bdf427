"""Counts the system calls of a server under load with strace. This slows the server down, so nothing else is measured."""

import signal
import subprocess

from process import LOAD_CORE, PATIENCE, Trouble, need, pinned

WHAT = "system calls"


def count(server, load):
    """System calls per call, by name. `load` calls the server and returns how often."""
    table = server.folder / "strace.txt"
    command = [need("strace", "strace"), "-c", "-f", "-o", str(table), "-p", str(server.pid)]
    with subprocess.Popen(pinned(LOAD_CORE, command), stderr=subprocess.PIPE, text=True) as strace:
        try:
            attached = strace.stderr.readline()
            if "attached" not in attached:
                raise Trouble(f"strace can't look at {server.name}: {attached.strip()}")
            calls = load()
        finally:
            strace.send_signal(signal.SIGINT)
            strace.communicate(timeout=PATIENCE)
    return {name: number / calls for name, number in read(table.read_text()).items()}


def read(table):
    """Parses `  37.93    0.002201           1      1234        12 epoll_wait`; the column of errors may be empty."""
    counts = {}
    for line in table.splitlines():
        fields = line.split()
        if len(fields) >= 5 and fields[3].isdigit() and fields[-1] != "total":
            counts[fields[-1]] = int(fields[3])
    return counts


def table(counted, loads, names):
    """A Markdown table: the total, and the most frequent system calls by name."""
    rows = [("connections", "server", "system calls per call", "of them"), ("---:", "---", "---:", "---")]
    for connections in loads:
        for name in names:
            counts = counted[name, connections]
            most = sorted(counts.items(), key=lambda item: -item[1])[:6]
            words = ", ".join(f"{syscall} {number:.2f}" for syscall, number in most if number >= 0.005)
            rows.append((str(connections), name, f"{sum(counts.values()):.2f}", words))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
