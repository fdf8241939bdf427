"""Calls a server of the demo's data with thriftpy2, which loads idl/flights.thrift itself: `thriftpy.py PORT TRANSPORT PROTOCOL WEATHER`.

WEATHER is `up` or `down`.
"""

import sys
from pathlib import Path

import expected
import thriftpy2
from thriftpy2.protocol import TBinaryProtocolFactory, TCompactProtocolFactory, TCyBinaryProtocolFactory
from thriftpy2.rpc import make_client
from thriftpy2.thrift import TPayload
from thriftpy2.transport import (
    TBufferedTransportFactory,
    TCyBufferedTransportFactory,
    TCyFramedTransportFactory,
    TFramedTransportFactory,
)

IDL = Path(__file__).parents[2] / "idl"
flights = thriftpy2.load(str(IDL / "flights.thrift"), module_name="flights_thrift", include_dirs=[str(IDL)])
tributary = flights.tributary

TRANSPORTS = {"framed": TFramedTransportFactory, "unframed": TBufferedTransportFactory}
CYTHON_TRANSPORTS = {"framed": TCyFramedTransportFactory, "unframed": TCyBufferedTransportFactory}
PROTOCOLS = {"binary": TBinaryProtocolFactory, "compact": TCompactProtocolFactory, "cython": TCyBinaryProtocolFactory}


def plain(value):
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, TPayload):
        return {name: plain(item) for name, item in vars(value).items() if item is not None}
    return value


def main():
    port, transport, protocol, weather = sys.argv[1:]
    transports = CYTHON_TRANSPORTS if protocol == "cython" else TRANSPORTS
    client = make_client(
        flights.Flights,
        "127.0.0.1",
        int(port),
        proto_factory=PROTOCOLS[protocol](),
        trans_factory=transports[transport](),
        timeout=30_000,
    )
    expected.check(client, plain, tributary.Context, weather == "up")
    try:
        reply = client.getDeparture("UA", 1, "1999-12-31", "EWR", "IAH", 5, None)
        raise AssertionError(f"expected LookupFailed, got {reply}")
    except tributary.LookupFailed as error:
        assert (error.code, error.lookup, error.fate) == ("call.required_empty", "flight", "empty"), error
    assert client.getAirport("JFK", None).code == "JFK"
    client.close()


if __name__ == "__main__":
    main()
