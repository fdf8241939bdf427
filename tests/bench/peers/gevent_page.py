#!/usr/bin/env python3
"""The benchmark's page on gevent, thriftpy2 and redis-py: the lookups of a call one after the other, or a greenlet each.

It answers as Tributary does, with the same IDL: seven values and a report whose times are really taken. It is set up as
its libraries recommend for load: Cython protocols, the hiredis parser, a pool of connections that makes greenlets wait.
"""
from gevent import monkey

monkey.patch_all()

import argparse
import socket
from time import monotonic

import gevent
import redis
import thriftpy2
from gevent.server import StreamServer
from thriftpy2.protocol.cybin import TCyBinaryProtocol
from thriftpy2.thrift import TProcessor
from thriftpy2.transport import TSocket, TTransportException
from thriftpy2.transport.framed import TCyFramedTransport

PARTS = ("summary", "details", "prices", "stock", "reviews", "images", "related")
SLOW_MS = (30, 50, 80, 120, 60, 90, 70)


def micros(since, until):
    return int((until - since) * 1_000_000)


class Pages:
    """The service: `way` runs the seven lookups of a call."""

    def __init__(self, idl, store, concurrent, slow):
        self.page_type = idl.Page
        self.lookup_report = idl.tributary.LookupReport
        self.report_type = idl.tributary.Report
        self.store = store
        self.delays = [ms / 1000 for ms in SLOW_MS] if slow else [0] * len(PARTS)
        self.way = self.concurrently if concurrent else self.serially
        self.mode = 0 if concurrent else 1

    def getPage(self, id):
        arrived = monotonic()
        found = self.way(id, arrived)
        page = self.page_type()
        for part, (value, _) in zip(PARTS, found):
            setattr(page, part, value)
        page.report = self.report([report for _, report in found], arrived)
        return page

    def serially(self, id, arrived):
        return [self.lookup(at, id, arrived) for at in range(len(PARTS))]

    def concurrently(self, id, arrived):
        lookups = [gevent.spawn(self.lookup, at, id, arrived) for at in range(len(PARTS))]
        gevent.joinall(lookups)
        return [lookup.value for lookup in lookups]

    def lookup(self, at, id, arrived):
        started = monotonic()
        code = value = None
        try:
            if self.delays[at]:
                gevent.sleep(self.delays[at])
            value = self.store.get(f"{PARTS[at]}:{id}")
            fate = "empty" if value is None else "ok"
        except redis.RedisError:
            fate, code = "error", "lookup.failed"
        begun = micros(arrived, started)
        done = micros(arrived, monotonic())
        report = self.lookup_report(
            name=PARTS[at], backend="pages", fate=fate, code=code, source="backend", planned_us=begun,
            started_us=begun, first_answer_us=done, done_us=done, after=[], slack_us=0)
        return value, report

    def report(self, lookups, arrived):
        elapsed = micros(arrived, monotonic())
        costs = [lookup.done_us - lookup.started_us for lookup in lookups]
        last = max(lookups, key=lambda lookup: lookup.done_us)
        for lookup in lookups:
            lookup.slack_us = last.done_us - lookup.done_us
        return self.report_type(
            complete=all(lookup.fate == "ok" for lookup in lookups), mode=self.mode, lookups=lookups,
            critical_path=[last.name], elapsed_us=elapsed, serial_us=sum(costs), bound=sum(costs) / max(max(costs), 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--idl", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--redis-port", type=int, required=True)
    parser.add_argument("--serial", action="store_true")
    parser.add_argument("--slow", action="store_true")
    options = parser.parse_args()

    idl = thriftpy2.load(options.idl, module_name="page_thrift")
    pool = redis.BlockingConnectionPool(
        host="127.0.0.1", port=options.redis_port, max_connections=128, timeout=30, protocol=2)
    processor = TProcessor(idl.Pages, Pages(idl, redis.Redis(connection_pool=pool), not options.serial, options.slow))

    def serve(connection, _address):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        protocol = TCyBinaryProtocol(TCyFramedTransport(TSocket(sock=connection)))
        try:
            while True:
                processor.process(protocol, protocol)
        except (TTransportException, OSError):
            pass
        finally:
            protocol.trans.close()

    StreamServer(("127.0.0.1", options.port), serve, backlog=1024).serve_forever()


if __name__ == "__main__":
    main()
