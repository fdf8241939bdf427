"""Sends calls on each of many connections at the same moment, and looks at each reply.

`tributary bench` opens connections while it sends calls, and an empty part of a reply is no error to it.
"""

import selectors
import socket
import struct
import time
from dataclasses import dataclass

from process import Trouble
from stores import KEYS

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


def send(connections, method, part_bytes, parts, each=1):
    """Sends `each` calls on every connection, without waiting for replies in between. A reply is whole if it is long enough for
    `parts` values of `part_bytes` bytes."""
    outcome, times, unread = Outcome(), [], selectors.DefaultSelector()
    begun = last = time.monotonic()
    for at, connection in enumerate(connections):
        connection.sendall(b"".join(call(method, (at * each + nth) % KEYS) for nth in range(each)))
        unread.register(connection, selectors.EVENT_READ, [bytearray(), each])
    while unread.get_map() and time.monotonic() < last + PATIENCE:
        for key, _events in unread.select(1):
            some, (buffer, waiting) = key.fileobj.recv(1 << 18), key.data
            last = time.monotonic()
            buffer.extend(some)
            replies = take_replies(buffer)
            times += [(last - begun) * 1000] * len(replies)
            for reply in replies:
                count(outcome, reply, part_bytes * parts)
            key.data[1] = waiting = waiting - len(replies)
            if not waiting or not some:
                outcome.failed += waiting
                unread.unregister(key.fileobj)
    outcome.failed += sum(key.data[1] for key in unread.get_map().values())
    unread.close()
    if not times:
        raise Trouble("a burst got no reply")
    outcome.times = tuple(sorted(times))
    return outcome


def take_replies(buffer):
    """Takes the replies that have come whole, without their lengths."""
    replies, at = [], 0
    while len(buffer) >= at + 4 and len(buffer) >= (end := at + 4 + struct.unpack_from(">i", buffer, at)[0]):
        replies.append(buffer[at + 4:end])
        at = end
    del buffer[:at]
    return replies


def count(outcome, reply, bytes_min):
    if len(reply) > bytes_min:
        outcome.whole += 1
    elif b"server.overloaded" in reply:
        outcome.refused += 1
    elif reply[3] != REPLY:
        outcome.failed += 1
    else:
        outcome.partial += 1
