"""Calls two services of one server, told apart by their multiplexed names: `multiplexed.py PORT LIBRARY FOLDER`.

LIBRARY is `apache` or `thriftpy2`; FOLDER has the IDLs. Both services have a method `get`, and a type `Item` of their own.
"""

import sys
from pathlib import Path


def apache(port):
    from catalog import Catalog
    from orders import Orders
    from thrift.protocol.TBinaryProtocol import TBinaryProtocol
    from thrift.protocol.TMultiplexedProtocol import TMultiplexedProtocol
    from thrift.Thrift import TApplicationException
    from thrift.transport.TSocket import TSocket
    from thrift.transport.TTransport import TFramedTransport

    transport = TFramedTransport(TSocket("127.0.0.1", port))
    transport.open()
    protocol = TBinaryProtocol(transport)

    def client(of, name):
        return of.Client(TMultiplexedProtocol(protocol, name))

    return client(Catalog, "Catalog"), client(Orders, "Orders"), client(Orders, "Nobody"), TApplicationException


def thriftpy2(port, folder):
    import thriftpy2
    from thriftpy2.protocol import TBinaryProtocol, TMultiplexedProtocol
    from thriftpy2.thrift import TApplicationException, TClient
    from thriftpy2.transport import TFramedTransport, TSocket

    def load(name):
        return thriftpy2.load(str(Path(folder) / f"{name}.thrift"), module_name=f"{name}_thrift")

    catalog, orders = load("catalog"), load("orders")
    transport = TFramedTransport(TSocket("127.0.0.1", port))
    transport.open()
    protocol = TBinaryProtocol(transport)

    def client(of, name):
        return TClient(of, TMultiplexedProtocol(protocol, name))

    return (
        client(catalog.Catalog, "Catalog"),
        client(orders.Orders, "Orders"),
        client(orders.Orders, "Nobody"),
        TApplicationException,
    )


def main():
    port, library, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    catalog, orders, nobody, application = apache(port) if library == "apache" else thriftpy2(port, folder)
    # One connection, the services in turn.
    for _ in range(3):
        item = catalog.get(7, None)
        assert (item.id, item.title) == (7, "lamp"), item
        item = orders.get("a1")
        assert (item.code, item.count) == ("a1", 3), item
    try:
        nobody.get("a1")
    except application as err:
        assert err.type == application.UNKNOWN_METHOD, err
    else:
        raise AssertionError("a service that is not served answered")
    print("6 replies compared")


main()
