"""Sends one call on each of many connections at the same moment, and looks at each reply.

`tributary bench` opens connections while it sends calls, and an empty part of a reply is no error to it.
"""

import selectors
import socket
import struct
import time
from dataclasses import dataclass

from process import Trouble

VERSION_1, CALL, REPLY = 0x80010000, 1, 2
PATIENCE = 10


@dataclass
class Outcome:
    """The calls of a burst by what became of them, and when their replies came, in milliseconds."""
    whole: int = 0
    partial: int = 0
    # `server.overloaded`.
    refused: int = 0
    failed: int = 0
    times: tuple[float, ...] = ()


def call(method, key):
    """A framed binary call with one i32 parameter, the field 1."""
    name = method.encode()
    message = struct.pack(f">Ii{len(name)}sibhib", VERSION_1 | CALL, len(name), name, 1, 8, 1, key, 0)
    return struct.pack(">i", len(message)) + message


def connect(port, count):
    return [socket.create_connection(("127.0.0.1", port), 10) for _ in range(count)]


def send(connections, method, part_bytes, parts):
    """Sends the calls. A reply is whole if it is long enough for `parts` values of `part_bytes` bytes."""
    frames = [call(method, key) for key in range(len(connections))]
    begun = time.monotonic()
    outcome, times, unread = Outcome(), [], selectors.DefaultSelector()
    for connection, frame in zip(connections, frames):
        connection.sendall(frame)
        unread.register(connection, selectors.EVENT_READ, bytearray())
    while unread.get_map() and time.monotonic() < begun + PATIENCE:
        for key, _events in unread.select(1):
            some = key.fileobj.recv(65536)
            key.data.extend(some)
            if some and len(key.data) < 4 or len(key.data) < 4 + struct.unpack_from(">i", key.data)[0]:
                continue
            unread.unregister(key.fileobj)
            times.append((time.monotonic() - begun) * 1000)
            if b"server.overloaded" in key.data:
                outcome.refused += 1
            elif not some or key.data[7] != REPLY:
                outcome.failed += 1
            elif len(key.data) > part_bytes * parts:
                outcome.whole += 1
            else:
                outcome.partial += 1
    outcome.failed += len(unread.get_map())
    unread.close()
    if not times:
        raise Trouble("a burst got no reply")
    outcome.times = tuple(sorted(times))
    return outcome
