"""Serves stock.thrift with Apache's Python library: `stock_server.py PORT TRANSPORT PROTOCOL PLAIN [CERTIFICATE ROOTS]`.

Its stubs, generated from stock.thrift, are on PYTHONPATH. PLAIN is `plain` or `multiplexed`. With CERTIFICATE, a file with
a key as well, it speaks TLS, to clients whose certificate one of ROOTS signed.
"""

import ssl
import sys
import threading

from stock import Stock
from stock.ttypes import Book, Closed, NotFound, Size, State
from thrift.protocol import TBinaryProtocol, TCompactProtocol, THeaderProtocol
from thrift.server import TServer
from thrift.TMultiplexedProcessor import TMultiplexedProcessor
from thrift.transport import TSocket, TSSLSocket, TTransport
from thrift.transport.THeaderTransport import THeaderClientType, THeaderSubprotocolID

TRANSPORTS = {
    "framed": TTransport.TFramedTransportFactory,
    "unframed": TTransport.TBufferedTransportFactory,
    # The protocol's factory also makes the transport.
    "header": TTransport.TTransportFactoryBase,
}
PROTOCOLS = {
    "binary": TBinaryProtocol.TBinaryProtocolFactory,
    "compact": TCompactProtocol.TCompactProtocolFactory,
}
SUBPROTOCOLS = {"binary": THeaderSubprotocolID.BINARY, "compact": THeaderSubprotocolID.COMPACT}
# The call that a thread serves: its protocol, and the socket that it arrived on.
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

    def caller(self):
        return dict(pair for (pair,) in CALL.socket.handle.getpeercert()["subject"])["commonName"]

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


class Remembering:
    """A transport factory that remembers the underlying socket."""

    def __init__(self, factory):
        self.factory = factory

    def getTransport(self, socket):
        CALL.socket = socket
        return self.factory.getTransport(socket)


class Listening(TSocket.TServerSocket):
    def listen(self):
        super().listen()
        print("listening", flush=True)


class ListeningSecured(Listening, TSSLSocket.TSSLServerSocket):
    pass


def listening(port, certificate, roots):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate)
    context.load_verify_locations(roots)
    any_name = {"validate_callback": lambda certificate, address: None}
    return ListeningSecured("127.0.0.1", port, ssl_context=context, **any_name)


def main():
    port, transport, protocol, plain, *tls = sys.argv[1:]
    processor = Processor(Handler())
    if plain == "multiplexed":
        of_several, processor = processor, TMultiplexedProcessor()
        processor.registerProcessor("Stock", of_several)
    server = TServer.TThreadedServer(
        processor,
        listening(int(port), *tls) if tls else Listening("127.0.0.1", int(port)),
        Remembering(TRANSPORTS[transport]()),
        protocols(transport, protocol),
        daemon=True,
    )
    server.serve()


if __name__ == "__main__":
    main()
