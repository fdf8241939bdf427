"""Apache's Python client: `client.py PLACE TRANSPORT PROTOCOL NAMES`, its stubs of echo.thrift on PYTHONPATH.

PLACE is `tcp:PORT`, `unix:PATH` or `tls:PORT` (the authority's certificate is the file ECHO_CA); NAMES is `bare` or
`multiplexed`.
"""

import os
import ssl
import sys
import uuid

import edges
from echo import Echo, ttypes
from thrift.protocol import TBinaryProtocol, TCompactProtocol, THeaderProtocol, TMultiplexedProtocol
from thrift.Thrift import TApplicationException, TMessageType, TType
from thrift.transport import THeaderTransport, TSocket, TSSLSocket, TTransport

PROTOCOLS = {
    "binary": TBinaryProtocol.TBinaryProtocol,
    "binary-c": lambda transport: TBinaryProtocol.TBinaryProtocolAccelerated(transport, fallback=False),
    "old-binary": lambda transport: TBinaryProtocol.TBinaryProtocol(transport, strictWrite=False),
    "compact": TCompactProtocol.TCompactProtocol,
    "compact-c": lambda transport: TCompactProtocol.TCompactProtocolAccelerated(transport, fallback=False),
}
SUBPROTOCOLS = {
    "binary": THeaderTransport.THeaderSubprotocolID.BINARY,
    "compact": THeaderTransport.THeaderSubprotocolID.COMPACT,
}


def socket_to(place):
    kind, where = place.split(":", 1)
    if kind == "unix":
        return TSocket.TSocket(unix_socket=where)
    if kind == "tcp":
        return TSocket.TSocket("localhost", int(where))
    context = ssl.create_default_context(cafile=os.environ["ECHO_CA"])
    return TSSLSocket.TSSLSocket("localhost", int(where), ssl_context=context, server_hostname="localhost")


def protocol_over(socket, transport, protocol):
    if transport == "header":
        only_headers = [THeaderTransport.THeaderClientType.HEADERS]
        # THeaderProtocol makes its own frames.
        buffered = TTransport.TBufferedTransport(socket)
        return THeaderProtocol.THeaderProtocol(buffered, only_headers, SUBPROTOCOLS[protocol])
    framing = TTransport.TFramedTransport if transport == "framed" else TTransport.TBufferedTransport
    return PROTOCOLS[protocol](framing(socket))


def check_uuids(written, read):
    """Written by hand, because the stubs' compiler does not support the type."""
    for value in (uuid.UUID(int=0), uuid.UUID(int=(1 << 128) - 1), uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")):
        written.writeMessageBegin("testUuid", TMessageType.CALL, 7)
        written.writeStructBegin("params")
        written.writeFieldBegin("thing", TType.UUID, 1)
        written.writeUuid(value)
        written.writeFieldEnd()
        written.writeFieldStop()
        written.writeStructEnd()
        written.writeMessageEnd()
        written.trans.flush()
        assert read.readMessageBegin() == ("testUuid", TMessageType.REPLY, 7)
        read.readStructBegin()
        _, kind, field = read.readFieldBegin()
        assert (kind, field) == (TType.UUID, 0), (kind, field)
        assert read.readUuid() == value
        read.readFieldEnd()
        assert read.readFieldBegin()[1] == TType.STOP
        read.readStructEnd()
        read.readMessageEnd()
    return 3


def main():
    place, transport, protocol, names = sys.argv[1:]
    socket = socket_to(place)
    socket.setTimeout(60_000)
    protocol = protocol_over(socket, transport, protocol)
    protocol.trans.open()
    written = TMultiplexedProtocol.TMultiplexedProtocol(protocol, "Echo") if names == "multiplexed" else protocol
    # Servers reply with the bare method name.
    client = Echo.Client(protocol, written)
    calls = edges.check(client, ttypes, TApplicationException)
    calls += check_uuids(written, protocol)
    protocol.trans.close()
    print(f"{calls} calls")


if __name__ == "__main__":
    main()
