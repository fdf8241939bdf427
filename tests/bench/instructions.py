"""Counts the instructions of a server under load with callgrind. This slows the server down, so nothing else is measured.

Only those of the server's own code count, not the kernel's. Two servers that differ in one thing differ by what that costs,
also on a machine that does something else as well.
"""

import os
import re
import subprocess

from process import LOAD_CORE, Trouble, need, pinned
from stores import PARTS

WHAT = "instructions"


def within(folder):
    """The program that runs the server, and counts nothing at first."""
    return (need("valgrind", "valgrind"), "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder}/callgrind.out")


def count(server, load):
    """Instructions per call. `load` calls the server and returns how often."""
    command = [need("callgrind_control", "valgrind"), "--instr=on", str(server.pid)]
    # It finds the server by a file in the server's folder for temporary files.
    subprocess.run(pinned(LOAD_CORE, command), check=True, capture_output=True, env={**os.environ, "TMPDIR": str(server.folder)})
    calls = load()
    # The counts are written when the server ends, which takes few instructions.
    server.stop()
    counted = re.search(r"^(?:summary|totals): (\d+)", (server.folder / "callgrind.out").read_text(), re.MULTILINE)
    if not int(counted[1]):
        raise Trouble(f"callgrind did not count the instructions of {server.name}")
    return {"instructions": int(counted[1]) / calls}


def table(counted, loads, names):
    """A Markdown table: instructions per call, and how many more a lookup costs than without guards."""
    rows = [("connections", "server", "instructions per call", "more per lookup"), ("---:", "---", "---:", "---:")]
    for connections in loads:
        for name in names:
            here, base = (counted.get((of, connections), {}).get("instructions") for of in (name, "tributary"))
            more = f"{(here - base) / len(PARTS):,.0f}" if base and name != "tributary" else ""
            rows.append((str(connections), name, f"{here:,.0f}", more))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
