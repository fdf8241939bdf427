"""Calls a server of the demo's data with Apache's Python client: `apache.py PORT TRANSPORT PROTOCOL WEATHER`.

Its stubs, generated from idl/flights.thrift, are on PYTHONPATH. WEATHER is `up` or `down`.
"""

import json
import sys

import expected
from flights import Flights
from thrift.protocol import TBinaryProtocol, TCompactProtocol, THeaderProtocol, TMultiplexedProtocol
from thrift.Thrift import TApplicationException, TMessageType, TType
from thrift.transport import THeaderTransport, TSocket, TTransport
from tributary.ttypes import Context, DeadlineExceeded, LookupFailed, Mode

TRANSPORTS = {
    "framed": TTransport.TFramedTransport,
    "unframed": TTransport.TBufferedTransport,
    # THeaderProtocol makes its own frames.
    "header": TTransport.TBufferedTransport,
}
PROTOCOLS = {
    "binary": TBinaryProtocol.TBinaryProtocol,
    "old-binary": lambda transport: TBinaryProtocol.TBinaryProtocol(transport, strictWrite=False),
    "compact": TCompactProtocol.TCompactProtocol,
}
SUBPROTOCOLS = {
    "binary": THeaderTransport.THeaderSubprotocolID.BINARY,
    "compact": THeaderTransport.THeaderSubprotocolID.COMPACT,
}


def protocol_of(transport, name, protocol):
    if name != "header":
        return PROTOCOLS[protocol](transport)
    only_headers = [THeaderTransport.THeaderClientType.HEADERS]
    return THeaderProtocol.THeaderProtocol(transport, only_headers, SUBPROTOCOLS[protocol])


def plain(value):
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if hasattr(value, "thrift_spec"):
        return {name: plain(item) for name, item in vars(value).items() if item is not None}
    return value


def raised(kind, call, *params):
    try:
        reply = call(*params)
    except kind as error:
        return error
    raise AssertionError(f"expected {kind.__name__}, got {reply}")


def check_failures(client):
    """A call that can't be served raises the exception that the IDL declares, and the connection stays usable."""
    error = raised(LookupFailed, client.getDeparture, "UA", 1, "1999-12-31", "EWR", "IAH", 5, None)
    assert (error.code, error.lookup, error.fate) == ("call.required_empty", "flight", "empty"), error
    error = raised(LookupFailed, client.getAirport, "???", Context(request_id="r1"))
    assert (error.code, error.lookup, error.retryable) == ("call.required_empty", "airport", False), error
    assert client.getAirport("JFK", None).code == "JFK"


def check_unknown_method(client):
    """Calls a method that the IDL does not have, with a parameter that the server has to skip."""
    out = client._oprot
    out.writeMessageBegin("getNothing", TMessageType.CALL, 77)
    out.writeStructBegin("params")
    out.writeFieldBegin("codes", TType.LIST, 1)
    out.writeListBegin(TType.STRING, 2)
    out.writeString("JFK")
    out.writeString("LAX")
    out.writeListEnd()
    out.writeFieldEnd()
    out.writeFieldStop()
    out.writeStructEnd()
    out.writeMessageEnd()
    out.trans.flush()
    begin = client._iprot.readMessageBegin()
    assert begin == ("getNothing", TMessageType.EXCEPTION, 77), begin
    error = TApplicationException()
    error.read(client._iprot)
    client._iprot.readMessageEnd()
    assert error.type == TApplicationException.UNKNOWN_METHOD, error
    assert error.message.startswith("call.unknown_method"), error
    assert client.getAirport("LAX", None).code == "LAX"


def check_headers(client, protocol):
    """Headers can carry what the IDL's Context carries, and a frame that can't be read gets a reply."""
    ticket = expected.ticket(expected.chosen()[-1])
    protocol.set_header(b"tributary-report", b"1")
    protocol.set_header(b"tributary-mode", b"SERIAL")
    report = client.getDeparture(*ticket, None).report
    assert report.mode == Mode.SERIAL and report.lookups, report
    # Headers apply to one call only.
    assert client.getDeparture(*ticket, None).report is None
    protocol.set_header(b"Deadline-Budget", b"0")
    error = raised(DeadlineExceeded, client.getDeparture, *ticket, None)
    assert error.code == "call.deadline", error
    protocol.set_header(b"Deadline-Budget", b"soon")
    assert client.getDeparture(*ticket, None).flight
    protocol.add_transform(THeaderTransport.THeaderTransformID.ZLIB)
    error = raised(TApplicationException, client.getAirport, "LGA", None)
    assert error.type == TApplicationException.INVALID_TRANSFORM, error
    assert error.message.startswith("wire.unknown_transform"), error
    protocol.trans._write_transforms.clear()
    assert client.getAirport("LGA", None).code == "LGA"


def check_headers_of_replies(client, protocol, weather):
    """A client whose IDL has no field for the report finds it in the headers of the reply's frame."""
    ticket = expected.ticket(expected.chosen()[-1])
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    protocol.set_header(b"request-id", b"r-1")
    protocol.set_header(b"traceparent", trace)
    assert client.getDeparture(*ticket, None).flight
    whole = {b"request-id": b"r-1", b"traceparent": trace, b"tributary-complete": b"1"}
    lacking = {b"tributary-complete": b"0", b"tributary-incomplete": b"weather=error:lookup.unavailable"}
    said = whole if weather else whole | lacking
    assert protocol.get_headers() == said, protocol.get_headers()
    # A method without a field for its report sends it there.
    protocol.set_header(b"tributary-report", b"1")
    assert client.getAirport("JFK", Context(request_id="r-2")).code == "JFK"
    said = protocol.get_headers()
    assert said[b"request-id"] == b"r-2" and b"traceparent" not in said, said
    report = json.loads(said[b"tributary-report"])
    assert [lookup["name"] for lookup in report["lookups"]] == ["airport"] and report["complete"], report
    raised(LookupFailed, client.getAirport, "???", None)
    said = protocol.get_headers()
    assert len(said.pop(b"request-id")) == 16, said
    assert said == {b"tributary-code": b"call.required_empty"}, said
    check_unknown_method(client)


def main():
    port, transport, protocol, weather = sys.argv[1:]
    socket = TSocket.TSocket("127.0.0.1", int(port))
    socket.setTimeout(30_000)
    name, transport = transport, TRANSPORTS[transport](socket)
    transport.open()
    protocol = protocol_of(transport, name, protocol)
    client = Flights.Client(protocol)
    expected.check(client, plain, Context, weather == "up")
    check_failures(client)
    check_unknown_method(client)
    if name == "header":
        check_headers(client, protocol)
        check_headers_of_replies(client, protocol, weather == "up")
    multiplexed = Flights.Client(TMultiplexedProtocol.TMultiplexedProtocol(protocol, "Flights"))
    # Servers reply with the bare method name, so a reply is read without the service's name.
    multiplexed._iprot = protocol
    expected.same("multiplexed", expected.AIRPORTS["LGA"], plain(multiplexed.getAirport("LGA", None)))
    transport.close()


if __name__ == "__main__":
    main()
