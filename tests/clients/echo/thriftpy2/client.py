"""thriftpy2, which loads echo.thrift itself: `client.py PLACE TRANSPORT PROTOCOL NAMES`, as for Apache's client.

A protocol's name may end in `-c` for the Cython one, `-aio` for asyncio.
"""

import asyncio
import os
import ssl
import sys
from pathlib import Path

import edges
import thriftpy2
from thriftpy2.contrib.aio.protocol import TAsyncBinaryProtocolFactory, TAsyncCompactProtocolFactory
from thriftpy2.contrib.aio.transport import TAsyncBufferedTransportFactory, TAsyncFramedTransportFactory
from thriftpy2.protocol import (
    TBinaryProtocolFactory,
    TCompactProtocolFactory,
    TCyBinaryProtocolFactory,
    TMultiplexedProtocolFactory,
)
from thriftpy2.rpc import make_aio_client, make_client
from thriftpy2.thrift import TApplicationException
from thriftpy2.transport import (
    TBufferedTransportFactory,
    TCyBufferedTransportFactory,
    TCyFramedTransportFactory,
    TFramedTransportFactory,
)

echo = thriftpy2.load(str(Path(__file__).parents[1] / "echo.thrift"), module_name="echo_thrift")

# By protocol: its factories, framed and unframed.
WAYS = {
    "binary": (TBinaryProtocolFactory, TFramedTransportFactory, TBufferedTransportFactory),
    "old-binary": (
        lambda: TBinaryProtocolFactory(strict_read=False, strict_write=False),
        TFramedTransportFactory,
        TBufferedTransportFactory,
    ),
    "compact": (TCompactProtocolFactory, TFramedTransportFactory, TBufferedTransportFactory),
    "binary-c": (TCyBinaryProtocolFactory, TCyFramedTransportFactory, TCyBufferedTransportFactory),
    "binary-aio": (TAsyncBinaryProtocolFactory, TAsyncFramedTransportFactory, TAsyncBufferedTransportFactory),
    "compact-aio": (TAsyncCompactProtocolFactory, TAsyncFramedTransportFactory, TAsyncBufferedTransportFactory),
}


def where(place):
    kind, place = place.split(":", 1)
    if kind == "unix":
        return {"unix_socket": place}
    at = {"host": "localhost", "port": int(place)}
    if kind == "tls":
        at["ssl_context"] = ssl.create_default_context(cafile=os.environ["ECHO_CA"])
    return at


class Awaiting:
    """An asyncio client that awaits each call immediately."""

    def __init__(self, options):
        self.loop = asyncio.new_event_loop()
        self.client = self.loop.run_until_complete(make_aio_client(echo.Echo, **options))

    def __getattr__(self, method):
        call = getattr(self.client, method)
        return lambda *params: self.loop.run_until_complete(call(*params))

    def close(self):
        self.client.close()
        self.loop.close()


def main():
    place, transport, protocol, names = sys.argv[1:]
    make_protocol, framed, unframed = WAYS[protocol]
    factory = make_protocol()
    if names == "multiplexed":
        factory = TMultiplexedProtocolFactory(factory, "Echo")
    options = {
        **where(place),
        "proto_factory": factory,
        "trans_factory": (framed if transport == "framed" else unframed)(),
        "timeout": 60_000,
    }
    client = Awaiting(options) if protocol.endswith("-aio") else make_client(echo.Echo, **options)
    # A flaw of the library: here it reads every map that contains text as empty.
    text_maps = protocol != "compact-aio"
    calls = edges.check(client, echo, TApplicationException, text_maps)
    client.close()
    print(f"{calls} calls")


if __name__ == "__main__":
    main()
