"""A store that is a Thrift service: `thrift_store.py PORT GENERATION` answers `get` with a text that names the key."""

import sys
from pathlib import Path

import thriftpy2
from thriftpy2.protocol import TBinaryProtocolFactory
from thriftpy2.rpc import make_server
from thriftpy2.transport import TFramedTransportFactory

IDL = thriftpy2.load(str(Path(__file__).with_name("store.thrift")), module_name="store_thrift")


class Handler:
    def get(self, key):
        return f"thrift:{key}:{sys.argv[2]}"


if __name__ == "__main__":
    server = make_server(
        IDL.Store,
        Handler(),
        "127.0.0.1",
        int(sys.argv[1]),
        proto_factory=TBinaryProtocolFactory(),
        trans_factory=TFramedTransportFactory(),
    )
    # `serve` listens and says nothing.
    server.trans.listen()
    server.trans.listen = lambda: None
    server.daemon = True
    print("ready", flush=True)
    server.serve()
