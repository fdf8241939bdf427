"""Plays systemd: opens sockets, and runs a program with them, once or again and again.

    manager.py GATE NAME=unix:PATH|tcp ... -- PROGRAM ARGUMENT ...

Prints the ports, then for each run the process id and, after it, the status. Each further run waits until a line
can be read from the FIFO called GATE; the word `end` ends it. The program is killed when this one ends in any way.
"""

import ctypes
import os
import signal
import socket
import sys

FIRST = 3
# From linux/prctl.h.
PR_SET_PDEATHSIG = 1

at = sys.argv.index("--")
gate, specs, program = sys.argv[1], sys.argv[2:at], sys.argv[at + 1 :]
names, sockets = [], []
for spec in specs:
    name, _, where = spec.partition("=")
    if where == "tcp":
        opened = socket.create_server(("127.0.0.1", 0))
        print("port", name, opened.getsockname()[1], flush=True)
    elif where == "udp":
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    else:
        opened = socket.socket(socket.AF_UNIX)
        opened.bind(where.removeprefix("unix:"))
        opened.listen()
    names.append(name)
    # Out of the way of the numbers that the program gets.
    sockets.append(os.dup(opened.fileno()))
    os.set_inheritable(sockets[-1], False)
high = [os.dup2(fd, 100 + at, inheritable=False) for at, fd in enumerate(sockets)]

while True:
    child = os.fork()
    if child == 0:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for at, fd in enumerate(high):
            os.dup2(fd, FIRST + at, inheritable=True)
        os.environ["LISTEN_FDS"] = str(len(high))
        os.environ["LISTEN_FDNAMES"] = ":".join(names)
        os.environ["LISTEN_PID"] = str(os.getpid())
        os.execv(program[0], program)
    print("runs", child, flush=True)
    _, status = os.waitpid(child, 0)
    print("ended", os.waitstatus_to_exitcode(status), flush=True)
    with open(gate) as opened:
        if opened.read().strip() == "end":
            break
