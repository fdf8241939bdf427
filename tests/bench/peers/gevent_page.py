#!/usr/bin/env python3
"""Serves a page of the benchmark with gevent and thriftpy2: the lookups of a call in sequence, or one greenlet for each.

It replies as Tributary does, with the same IDL: seven parts and a report with measured times. It is set up as its
libraries recommend for load: Cython protocols, the hiredis parser, connection pools in which greenlets wait.
"""
from gevent import monkey

monkey.patch_all()

import argparse
import json
import socket
from time import monotonic

import gevent
import thriftpy2
from gevent.server import StreamServer
from thriftpy2.protocol.cybin import TCyBinaryProtocol
from thriftpy2.thrift import TProcessor
from thriftpy2.transport import TSocket, TTransportException
from thriftpy2.transport.framed import TCyFramedTransport

from gevent_stores import KINDS

SLOW_MS = (30, 50, 80, 120, 60, 90, 70)


def micros(since, until):
    return int((until - since) * 1_000_000)


class Pages:
    """The service: `way` runs the seven lookups of a call."""

    def __init__(self, idl, parts, stores, concurrent, slow):
        self.page_type = idl.Page
        self.row_type = getattr(idl, "Row", None)
        self.lookup_report = idl.tributary.LookupReport
        self.report_type = idl.tributary.Report
        # Each lookup's part, the name of its store, and the store.
        self.lookups = [(part, name, stores[name]) for part, name in parts.items()]
        self.delays = [ms / 1000 for ms in SLOW_MS] if slow else [0] * len(parts)
        self.way = self.concurrently if concurrent else self.serially
        self.mode = 0 if concurrent else 1

    def getPage(self, id):
        arrived = monotonic()
        found = self.way(id, arrived)
        page = self.page_type()
        for (part, _, _), (value, _) in zip(self.lookups, found):
            setattr(page, part, value)
        page.report = self.report([report for _, report in found], arrived)
        return page

    def serially(self, id, arrived):
        return [self.lookup(at, id, arrived) for at in range(len(self.lookups))]

    def concurrently(self, id, arrived):
        lookups = [gevent.spawn(self.lookup, at, id, arrived) for at in range(len(self.lookups))]
        gevent.joinall(lookups)
        return [lookup.value for lookup in lookups]

    def lookup(self, at, id, arrived):
        started = monotonic()
        part, name, store = self.lookups[at]
        code = value = None
        try:
            if self.delays[at]:
                gevent.sleep(self.delays[at])
            value = store.get(part, id)
            if isinstance(value, tuple):
                value = self.row_type(*value)
            fate = "empty" if value is None else "ok"
        except store.errors:
            fate, code = "error", "lookup.failed"
        begun = micros(arrived, started)
        done = micros(arrived, monotonic())
        report = self.lookup_report(
            name=part, backend=name, fate=fate, code=code, source="backend", planned_us=begun,
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
    parser.add_argument("--parts", type=json.loads, required=True, help="the store of each part, as JSON")
    parser.add_argument("--places", type=json.loads, required=True, help="each store's port or path, as JSON")
    parser.add_argument("--serial", action="store_true")
    parser.add_argument("--slow", action="store_true")
    options = parser.parse_args()

    idl = thriftpy2.load(options.idl, module_name="page_thrift")
    stores = {name: KINDS[name](place) for name, place in options.places.items()}
    pages = Pages(idl, options.parts, stores, not options.serial, options.slow)
    processor = TProcessor(idl.Pages, pages)

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
