"""Apache's Python client against a server of the demo's data: `apache.py PORT TRANSPORT PROTOCOL WEATHER`.

Its stubs, generated from idl/flights.thrift, are on PYTHONPATH. WEATHER is `up` or `down`.
"""

import sys

import expected
from flights import Flights
from thrift.protocol import TBinaryProtocol, TCompactProtocol, TMultiplexedProtocol
from thrift.Thrift import TApplicationException, TMessageType, TType
from thrift.transport import TSocket, TTransport
from tributary.ttypes import Context, LookupFailed

TRANSPORTS = {"framed": TTransport.TFramedTransport, "unframed": TTransport.TBufferedTransport}
PROTOCOLS = {
    "binary": TBinaryProtocol.TBinaryProtocol,
    "old-binary": lambda transport: TBinaryProtocol.TBinaryProtocol(transport, strictWrite=False),
    "compact": TCompactProtocol.TCompactProtocol,
}


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
    """What can't be served raises what the IDL declares, and the connection goes on."""
    error = raised(LookupFailed, client.getDeparture, "UA", 1, "1999-12-31", "EWR", "IAH", 5, None)
    assert (error.code, error.lookup, error.fate) == ("call.required_empty", "flight", "empty"), error
    error = raised(LookupFailed, client.getAirport, "???", Context(request_id="r1"))
    assert (error.code, error.lookup, error.retryable) == ("call.required_empty", "airport", False), error
    assert client.getAirport("JFK", None).code == "JFK"


def check_unknown_method(client):
    """A method that the IDL does not have, with a parameter that has to be skipped."""
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


def main():
    port, transport, protocol, weather = sys.argv[1:]
    socket = TSocket.TSocket("127.0.0.1", int(port))
    socket.setTimeout(30_000)
    transport = TRANSPORTS[transport](socket)
    transport.open()
    protocol = PROTOCOLS[protocol](transport)
    client = Flights.Client(protocol)
    expected.check(client, plain, Context, weather == "up")
    check_failures(client)
    check_unknown_method(client)
    multiplexed = Flights.Client(TMultiplexedProtocol.TMultiplexedProtocol(protocol, "Flights"))
    # Servers answer with the bare name, so a reply is read without the service's.
    multiplexed._iprot = protocol
    expected.same("multiplexed", expected.AIRPORTS["LGA"], plain(multiplexed.getAirport("LGA", None)))
    transport.close()


if __name__ == "__main__":
    main()
