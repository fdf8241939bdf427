"""The stores of the page `neighbours`: those of the other pages, and some that are slow, hung or large."""

import signal
import socket
import sys
from contextlib import contextmanager
from types import SimpleNamespace

from process import LOAD_CORE, Child, Missing, accepts, free_port
from stores import MariaDb, Memcached, Postgres, Redis

ROWS = 100_000
FIELDS = 200_000
JSON_BYTES = 14_000_000
CSV_BYTES = 80_000_000
# Keys that tell which memcached server they are on.
KEYS = 2000


class RowsOfPostgres(Postgres):
    def __init__(self, folder):
        super().__init__(folder)
        self.run(f"create table many as select id::int4 as id, rpad('many:' || id || ':', 50, 'x') as value "
                 f"from generate_series(0, {ROWS - 1}) id")
        self.run("vacuum analyze many")


class HashesOfRedis(Redis):
    """Also holds a large hash."""

    def __init__(self, folder):
        super().__init__(folder)
        with socket.create_connection(("127.0.0.1", self.place)) as stream:
            replies = stream.makefile("rb")
            for at in range(0, FIELDS, 1000):
                words = ["HSET", "hash", *(word for field in range(at, at + 1000) for word in (f"f{field}", f"value {field}"))]
                stream.sendall("".join([f"*{len(words)}\r\n", *(f"${len(word)}\r\n{word}\r\n" for word in words)]).encode())
                replies.readline()


class NamedMemcached(Memcached):
    """Its values say which server holds them."""

    def __init__(self, folder):
        super().__init__(folder)
        name = folder.name
        with socket.create_connection(("127.0.0.1", self.place)) as stream:
            replies = stream.makefile("rb")
            for key in range(KEYS):
                stream.sendall(f"set who:{key} 0 0 {len(name)}\r\n{name}\r\n".encode())
                replies.readline()


class Http(Child):
    """Serves a large JSON document whose members before the last are of no interest."""

    def __init__(self, folder):
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        item = '{"name": "item", "sizes": [1, 2, 3], "text": "' + "x" * 40 + '"}'
        items = ",".join([item] * (JSON_BYTES // (len(item) + 1)))
        (folder / "large.json").write_text(f'{{"items": [{items}], "total": 42}}')
        super().__init__(
            LOAD_CORE, [sys.executable, "-m", "http.server", "--protocol", "HTTP/1.1", "--bind", "127.0.0.1", "-d", str(folder),
                        str(port)], folder)
        self.wait_for(lambda: accepts(port))


class Csv:
    """A table of 80 MB, which only the server that needs it reads."""

    def __init__(self, folder):
        self.address = str(folder / "table.csv")
        line = 80
        with open(self.address, "w", encoding="ascii") as table:
            table.write("id,value\n")
            table.writelines(f"{row},".ljust(line - 1, "x") + "\n" for row in range(CSV_BYTES // line))

    def stop(self):
        pass


# Each with an address at which nothing listens, for a configuration without it.
KINDS = {
    "postgres": (RowsOfPostgres, "postgresql://nobody@127.0.0.1:1/none"),
    "mysql": (MariaDb, "mysql://nobody@127.0.0.1:1/none"),
    "memcached": (NamedMemcached, "127.0.0.1:1"),
    "stopped": (NamedMemcached, "127.0.0.1:2"),
    "redis": (Redis, "redis://127.0.0.1:1/0"),
    "hung": (Redis, "redis://127.0.0.1:1/0"),
    "hashes": (HashesOfRedis, "redis://127.0.0.1:1/0"),
    "http": (Http, "http://127.0.0.1:1"),
    "csv": (Csv, "none.csv"),
}


class NeighbourStores:
    """The stores by name, started when they are first needed. One that cannot be started has its reason in `missing`."""

    def __init__(self, folder):
        self.folder, self.started, self.missing = folder, {}, {}

    def need(self, name):
        """The store. Raises Missing if its program is not installed."""
        if name in self.missing:
            raise Missing(self.missing[name])
        if name not in self.started:
            own = self.folder / name
            own.mkdir()
            try:
                self.started[name] = KINDS[name][0](own)
            except Missing as missing:
                self.missing[name] = str(missing)
                raise
        return self.started[name]

    def addresses(self):
        return {name: self.started.get(name, SimpleNamespace(address=nowhere)) for name, (_kind, nowhere) in KINDS.items()}

    @contextmanager
    def stopped(self, name):
        """The process does not run, but its connections stay open."""
        process = self.started[name].process
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def stop(self):
        for store in self.started.values():
            store.stop()
