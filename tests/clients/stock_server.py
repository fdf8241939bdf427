"""A service on Apache's Python library: `stock_server.py PORT TRANSPORT PROTOCOL PLAIN`.

Its stubs, generated from stock.thrift, are on PYTHONPATH. PLAIN is `plain` or `multiplexed`.
"""

import sys
import threading

from stock import Stock
from stock.ttypes import Book, Closed, NotFound, Size, State
from thrift.protocol import TBinaryProtocol, TCompactProtocol, THeaderProtocol
from thrift.server import TServer
from thrift.TMultiplexedProcessor import TMultiplexedProcessor
from thrift.transport import TSocket, TTransport
from thrift.transport.THeaderTransport import THeaderClientType, THeaderSubprotocolID

TRANSPORTS = {
    "framed": TTransport.TFramedTransportFactory,
    "unframed": TTransport.TBufferedTransportFactory,
    # The protocol's factory makes the transport as well.
    "header": TTransport.TTransportFactoryBase,
}
PROTOCOLS = {
    "binary": TBinaryProtocol.TBinaryProtocolFactory,
    "compact": TCompactProtocol.TCompactProtocolFactory,
}
SUBPROTOCOLS = {"binary": THeaderSubprotocolID.BINARY, "compact": THeaderSubprotocolID.COMPACT}
# The headers of the call that a thread serves.
CALL = threading.local()


def book(title):
    return Book(
        title=title,
        year=1815,
        state=State.USED,
        price=12.5,
        size=Size(words=f"{len(title)} letters"),
        tags=["novel", title],
        sold={"London": 3, title: 4},
    )


class Handler:
    def find(self, title):
        if title.startswith("no "):
            raise NotFound(title=title)
        if title.startswith("closed "):
            raise Closed(until="noon")
        return book(title)

    def all(self, state, limit):
        return [Book(title=f"{State._VALUES_TO_NAMES[state]} {n}") for n in range(limit)]

    def count(self, state):
        return 2**40 + state

    def cover(self, title):
        return None if title.startswith(" ") else f"cover of {title}"

    def touch(self, title):
        pass

    def header(self, name):
        value = CALL.protocol.get_headers().get(name.encode())
        return value and value.decode()

    def fail(self, title):
        raise ValueError(title)


class Processor(Stock.Processor):
    def process(self, iprot, oprot):
        CALL.protocol = iprot
        return super().process(iprot, oprot)


def protocols(transport, protocol):
    if transport == "header":
        only = (THeaderClientType.HEADERS,)
        return THeaderProtocol.THeaderProtocolFactory(only, SUBPROTOCOLS[protocol])
    return PROTOCOLS[protocol]()


class Listening(TSocket.TServerSocket):
    def listen(self):
        super().listen()
        print("listening", flush=True)


def main():
    port, transport, protocol, plain = sys.argv[1:]
    processor = Processor(Handler())
    if plain == "multiplexed":
        of_several, processor = processor, TMultiplexedProcessor()
        processor.registerProcessor("Stock", of_several)
    server = TServer.TThreadedServer(
        processor,
        Listening("127.0.0.1", int(port)),
        TRANSPORTS[transport](),
        protocols(transport, protocol),
        daemon=True,
    )
    server.serve()


if __name__ == "__main__":
    main()
