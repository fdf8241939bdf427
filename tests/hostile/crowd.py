"""Keeps thousands of hostile connections open from one thread, and reconnects those that the server closes."""

import select
import socket
import time
from collections import deque

# Small socket buffers, so that bytes the server does not read stay in this process.
KERNEL_BYTES = 16 * 1024
PIECE = 64 * 1024


class Hostile:
    """One connection."""

    def __init__(self, sock):
        self.sock = sock
        # The bytes still to be sent.
        self.rest = memoryview(b"")
        self.connected = False


class Crowd:
    """Up to `size` connections of one kind."""

    def __init__(self, kind, port, size):
        self.kind, self.address, self.size = kind, ("127.0.0.1", port), size
        self.poll = select.epoll()
        self.members, self.due = {}, deque()
        self.counts = {"connected": 0, "closed": 0, "sent": 0, "received": 0, "acts": 0}
        self.started = self.connects_from = time.monotonic()
        self.connects = 0

    def turn(self):
        """Does everything that is due now."""
        now = time.monotonic()
        self.connect(now)
        for number, events in self.poll.poll(0.005, 512):
            self.handle(number, events)
        self.act(now)

    def connect(self, now):
        allowed = int((now - self.connects_from) * self.kind.connects) - self.connects
        for _ in range(min(allowed, self.size - len(self.members), 64)):
            sock = socket.socket()
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BYTES)
            try:
                sock.connect(self.address)
            except BlockingIOError:
                pass
            self.members[sock.fileno()] = Hostile(sock)
            self.poll.register(sock.fileno(), select.EPOLLOUT | select.EPOLLRDHUP)
            self.connects += 1

    def handle(self, number, events):
        member = self.members.get(number)
        if member is None:
            return
        try:
            if events & select.EPOLLIN:
                self.receive(member)
            if events & select.EPOLLOUT:
                self.send(member)
            elif events & (select.EPOLLHUP | select.EPOLLERR | select.EPOLLRDHUP) and not events & select.EPOLLIN:
                self.close(member)
        except OSError:
            self.close(member)

    def receive(self, member):
        received = member.sock.recv(PIECE)
        self.counts["received"] += len(received)
        if not received:
            self.close(member)

    def send(self, member):
        if not member.connected:
            member.connected = True
            self.counts["connected"] += 1
            if self.kind.name == "comes and goes":
                return self.close(member)
            self.begin(member, self.kind.first)
            if self.kind.every:
                self.due.append((time.monotonic() + self.kind.every, member))
            elif self.kind.per_second:
                self.due.append((0, member))
        while member.rest:
            try:
                sent = member.sock.send(member.rest[:PIECE])
            except BlockingIOError:
                break
            self.counts["sent"] += sent
            member.rest = member.rest[sent:]
        self.watch(member)

    def begin(self, member, message):
        member.rest = memoryview(message)

    def watch(self, member):
        wanted = select.EPOLLIN if self.kind.reads else 0
        if member.rest:
            wanted |= select.EPOLLOUT
        self.poll.modify(member.sock.fileno(), wanted | (select.EPOLLRDHUP if self.kind.reads else 0))

    def close(self, member):
        self.members.pop(member.sock.fileno(), None)
        member.sock.close()
        self.counts["closed"] += 1

    def act(self, now):
        """Makes the connections that are due send again."""
        acts = 64
        if self.kind.per_second:
            acts = min(acts, int((now - self.started) * self.kind.per_second) - self.counts["acts"])
        while acts > 0 and self.due and self.due[0][0] <= now:
            _, member = self.due.popleft()
            if member.sock.fileno() < 0:
                continue
            acts -= 1
            self.counts["acts"] += 1
            self.due.append((now + self.kind.every, member))
            if member.rest:
                continue
            self.begin(member, self.kind.again)
            try:
                self.send(member)
            except OSError:
                self.close(member)

    def leave(self):
        for member in list(self.members.values()):
            self.close(member)
        self.poll.close()
