"""Calls the server without the service's IDL, with Apache's library or thriftpy2: `meta.py PORT TRANSPORT PROTOCOL LIBRARY`.

It knows idl/tributary.thrift only. Its replies are compared with those that `expected` computes for a client with the
IDL. With LIBRARY `apache` its stubs, generated from idl/tributary.thrift, are on PYTHONPATH.
"""

import sys
from pathlib import Path

import expected

IDL = Path(__file__).parents[2] / "idl"


def apache(port, transport, protocol):
    from thrift.protocol import TBinaryProtocol, TCompactProtocol, TMultiplexedProtocol
    from thrift.transport import TSocket, TTransport
    from tributary import Tributary, ttypes

    socket = TSocket.TSocket("127.0.0.1", port)
    socket.setTimeout(30_000)
    wrapped = {"framed": TTransport.TFramedTransport, "unframed": TTransport.TBufferedTransport}[transport](socket)
    protocols = {"binary": TBinaryProtocol.TBinaryProtocol, "compact": TCompactProtocol.TCompactProtocol}
    plain = protocols[protocol](wrapped)
    wrapped.open()
    client = Tributary.Client(TMultiplexedProtocol.TMultiplexedProtocol(plain, "Tributary"))
    # Servers reply with the bare method name.
    client._iprot = plain
    return client, ttypes


def thriftpy2(port, transport, protocol):
    import thriftpy2
    from thriftpy2.protocol import (
        TBinaryProtocolFactory,
        TCompactProtocolFactory,
        TMultiplexedProtocolFactory,
    )
    from thriftpy2.rpc import make_client
    from thriftpy2.transport import TBufferedTransportFactory, TFramedTransportFactory

    tributary = thriftpy2.load(str(IDL / "tributary.thrift"), module_name="tributary_thrift")
    plain = {"binary": TBinaryProtocolFactory, "compact": TCompactProtocolFactory}[protocol]()
    transports = {"framed": TFramedTransportFactory, "unframed": TBufferedTransportFactory}
    client = make_client(
        tributary.Tributary,
        "127.0.0.1",
        port,
        proto_factory=TMultiplexedProtocolFactory(plain, "Tributary"),
        trans_factory=transports[transport](),
        timeout=30_000,
    )
    return client, tributary


class Values:
    """Converts `tributary.Value`s to Python values and back."""

    def __init__(self, types):
        self.types = types

    def of(self, value):
        make = self.types.Value
        if value is None:
            return make(null_value=self.types.Null())
        if isinstance(value, bool):
            return make(bool_value=value)
        if isinstance(value, int):
            return make(i64_value=value)
        if isinstance(value, float):
            return make(double_value=value)
        if isinstance(value, str):
            return make(string_value=value)
        if isinstance(value, bytes):
            return make(binary_value=value)
        if isinstance(value, list):
            return make(list_value=[self.of(item) for item in value])
        return make(map_value={name: self.of(item) for name, item in value.items()})

    def plain(self, value):
        names = ["null", "bool", "i64", "double", "string", "binary", "list", "map"]
        fields = [(name, getattr(value, name + "_value")) for name in names]
        fields = [(name, held) for name, held in fields if held is not None]
        assert len(fields) == 1, value
        [(name, held)] = fields
        if name == "null":
            return None
        if name == "list":
            return [self.plain(item) for item in held]
        if name == "map":
            return {key: self.plain(item) for key, item in held.items()}
        return held


class Fetching:
    """The service's methods, with the names of their parameters from `describe`."""

    STATUS = {"ARRIVED": expected.ARRIVED, "DIVERTED": expected.DIVERTED, "CANCELLED": expected.CANCELLED}

    def __init__(self, client, values):
        self.client = client
        self.values = values
        methods = client.describe().methods
        self.names = {method.name: [param.name for param in method.params] for method in methods}

    def __getattr__(self, method):
        def fetch(*params):
            *params, context = params
            params = {name: self.values.of(param) for name, param in zip(self.names[method], params)}
            return self.client.fetch(method, params, context)

        return fetch

    def plain(self, value):
        return self.numbered(self.values.plain(value))

    def numbered(self, value):
        """Replaces the names of an enum by its numbers, as typed clients have them."""
        if isinstance(value, list):
            return [self.numbered(item) for item in value]
        if isinstance(value, dict):
            plain = {name: self.numbered(item) for name, item in value.items()}
            return {**plain, "status": self.STATUS[plain["status"]]} if "status" in plain else plain
        return value


def raised(kind, call, *params):
    try:
        reply = call(*params)
    except kind as error:
        return error
    raise AssertionError(f"expected {kind.__name__}, got {reply}")


def check_descriptions(client, types):
    """The server describes itself."""
    description = client.describe()
    assert description.service_name == "Flights", description
    methods = {method.name: method for method in description.methods}
    departure = methods["getDeparture"]
    assert [param.name for param in departure.params][:3] == ["carrier", "flight", "day"], departure
    assert departure.result == "flights.Departure" and departure.is_oneway is False, departure
    assert departure.stages[0][0] == "flight" and ["plane"] in departure.stages, departure
    described = {of.name: of for of in description.types}
    assert described["flights.Status"].numbers == {"ARRIVED": 1, "DIVERTED": 2, "CANCELLED": 3}
    assert description.doc == "Flights from New York.", description
    idl = client.idl()
    assert idl.root == "flights.thrift" and idl.service_name == "Flights"
    assert idl.files["flights.thrift"] == (IDL / "flights.thrift").read_text()
    assert idl.files["tributary.thrift"] == (IDL / "tributary.thrift").read_text()
    explanation = client.explain("getDeparture")
    assert explanation.longest_chain == ["flight", "plane"], explanation
    assert explanation.text.startswith(explanation.signature), explanation
    plane = [lookup for stage in explanation.stages for lookup in stage if lookup.name == "plane"]
    assert plane[0].after == ["flight"] and plane[0].bindings[0].bound_to == "flight.tailnum", plane
    error = raised(types.InvalidRequest, client.explain, "getDepature")
    assert error.code == "call.unknown_method" and "getDeparture" in error.message, error
    health = client.health()
    assert health.state == types.ServerState.SERVING and health.version, health
    assert {backend.kind for backend in health.backends} == {"sqlite", "file", "http"}, health
    assert all(backend.is_answering for backend in health.backends), health
    assert 0 <= health.loop_lag_us <= health.loop_lag_max_us or health.loop_lag_max_us == 0, health


def check_replies(client, types, values):
    """Fetches the views by name: every field of every reply is what a typed client gets."""
    fetching = Fetching(client, values)
    expected.check(fetching, fetching.plain, types.Context, True)
    ticket = expected.ticket(expected.chosen()[-1])
    params = {name: values.of(value) for name, value in zip(fetching.names["getDeparture"], ticket)}
    context = types.Context(request_id="r1", want_report=True, mode=types.Mode.SERIAL)
    report = values.plain(client.fetch("getDeparture", params, context))["report"]
    assert report["mode"] == "SERIAL" and len(report["lookups"]) == 8, report
    assert report["lookups"][0]["fate"] == "ok", report
    # The context is also a parameter of the view.
    params["context"] = values.of({"want_report": True})
    assert values.plain(client.fetch("getDeparture", params, None))["report"]["mode"] == "EVENTED"
    error = raised(types.InvalidRequest, client.fetch, "getDeparture", params, context)
    assert "context: it is given twice" in error.message, error
    del params["context"]
    error = raised(types.DeadlineExceeded, client.fetch, "getDeparture", params, types.Context(budget_ms=0))
    assert error.code == "call.deadline", error
    params["day"] = values.of("1999-12-31")
    error = raised(types.LookupFailed, client.fetch, "getDeparture", params, None)
    assert (error.code, error.lookup, error.fate) == ("call.required_empty", "flight", "empty"), error


def check_errors(client, types, values, deep):
    """A call that can't be served gets an error, and the connection stays usable."""
    nested = None
    for _ in range(12):
        nested = [nested]
    if deep:
        deepest = None
        for _ in range(60):
            deepest = [deepest]
        params = {"code": values.of(deepest)}
        error = raised(types.InvalidRequest, client.fetch, "getAirport", params, None)
        assert error.code == "call.bad_params" and "nested deeper" in error.message, error
    for view, params, code, says in [
        ("getAirprt", {}, "call.unknown_method", "did you mean `getAirport`?"),
        ("", {}, "call.unknown_method", "there is no view ``"),
        ("getAirport", {"code": 5}, "call.bad_params", "code: an integer can't fill string"),
        ("getAirport", {"cod": "JFK"}, "call.bad_params", "cod: there is no such field; did you mean `code`?"),
        ("getAirport", {"code": nested}, "call.bad_params", "code: a list can't fill string"),
        ("getAirport", {"context": {"mode": "FAST"}}, "call.bad_params", "context.mode: tributary.Mode has no"),
        ("getAirport", {"context": {"baggage": {"a": 1}}}, "call.bad_params", "context.baggage.a: an integer"),
        ("getDeparture", {"flight": 2**40}, "call.bad_params", "flight: 1099511627776 is out of range for i32"),
        ("getDeparture", {"flight": 1.5}, "call.bad_params", "flight: 1.5 is not a whole number"),
    ]:
        params = {name: values.of(value) for name, value in params.items()}
        error = raised(types.InvalidRequest, client.fetch, view, params, None)
        assert error.code == code and says in error.message, (view, error)
    unset = {"code": types.Value()}
    error = raised(types.InvalidRequest, client.fetch, "getAirport", unset, None)
    assert error.code == "call.bad_params" and "has no field set" in error.message, error
    both = {"code": types.Value(string_value="JFK", bool_value=True)}
    error = raised(types.InvalidRequest, client.fetch, "getAirport", both, None)
    assert error.code == "call.bad_params" and "several fields" in error.message, error
    # A call without any parameters gets an error that names the missing one.
    error = raised(types.InvalidRequest, client.fetch, None, None, None)
    assert "`view` is missing" in error.message, error
    assert values.plain(client.fetch("getAirport", {"code": values.of("JFK")}, None))["code"] == "JFK"


def main():
    port, transport, protocol, library = sys.argv[1:]
    client, types = {"apache": apache, "thriftpy2": thriftpy2}[library](int(port), transport, protocol)
    values = Values(types)
    check_descriptions(client, types)
    check_replies(client, types, values)
    # thriftpy2 can't send values nested so deeply. Without frames the end of a message that is nested too deeply is
    # unknown, so the connection closes.
    check_errors(client, types, values, deep=library == "apache" and transport == "framed")


if __name__ == "__main__":
    main()
