"""Starts the benchmark's stores. Each holds every part of every page and ends with its owner.

A store has an `address` for Tributary's configuration, and a `place` for the peers: a port or a path.
"""

import glob
import os
import shutil
import signal
import socket
import sqlite3
import subprocess

from process import LOAD_CORE, Child, Trouble, accepts, free_port, need

PARTS = ("summary", "details", "prices", "stock", "reviews", "images", "related")
KEYS = 10_000
VALUE_BYTES = 200


def value(part, key):
    """The value of a key. It contains the part and the key, so that no value can be mistaken for another."""
    return f"{part}:{key}:".ljust(VALUE_BYTES, "x")


def pairs(part):
    return [(f"{part}:{key}", value(part, key)) for key in range(KEYS)]


def send_all(port, encode, taken):
    """Stores all pairs over a pipelined text protocol that confirms each with the line `taken`."""
    with socket.create_connection(("127.0.0.1", port)) as stream:
        replies = stream.makefile("rb")
        for part in PARTS:
            everything = pairs(part)
            for at in range(0, KEYS, 1000):
                some = everything[at:at + 1000]
                stream.sendall("".join(encode(key, text) for key, text in some).encode())
                for _ in some:
                    if (line := replies.readline()) != taken:
                        raise Trouble(f"a store rejected a key: {line!r}")


class Redis(Child):
    def __init__(self, folder):
        self.place = free_port()
        self.address = f"redis://127.0.0.1:{self.place}/0"
        super().__init__(
            LOAD_CORE, [need("redis-server", "redis-server"), "--bind", "127.0.0.1", "--port", str(self.place), "--save", "",
                        "--appendonly", "no", "--dir", str(folder)], folder)
        self.wait_for(lambda: accepts(self.place))
        send_all(self.place, lambda key, text: f"*3\r\n$3\r\nSET\r\n${len(key)}\r\n{key}\r\n${len(text)}\r\n{text}\r\n",
                 b"+OK\r\n")


class Memcached(Child):
    def __init__(self, folder):
        self.place = free_port()
        self.address = f"127.0.0.1:{self.place}"
        super().__init__(
            LOAD_CORE, [need("memcached", "memcached"), "-l", "127.0.0.1", "-p", str(self.place), "-U", "0", "-u", "root",
                        "-t", "1", "-m", "128", "-c", "2048"], folder)
        self.wait_for(lambda: accepts(self.place))
        send_all(self.place, lambda key, text: f"set {key} 0 0 {len(text)}\r\n{text}\r\n", b"STORED\r\n")


class Postgres(Child):
    """A new database cluster. PostgreSQL refuses to run as root, so root runs it as Debian's user `postgres`."""

    def __init__(self, folder):
        self.place = free_port()
        self.address = f"postgresql://postgres@127.0.0.1:{self.place}/postgres"
        data = folder / "data"
        data.mkdir()
        if os.getuid() == 0:
            shutil.chown(data, "postgres", "postgres")
        subprocess.run([*self.program("initdb"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D",
                        str(data)], check=True, stdout=subprocess.DEVNULL, cwd="/")
        settings = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "max_connections=200",
                    "shared_buffers=256MB")
        # SIGINT requests a fast shutdown, which does not wait for connections.
        super().__init__(
            LOAD_CORE, [*self.program("postgres"), "-D", str(data), "-p", str(self.place),
                        *(word for setting in settings for word in ("-c", setting))], folder, signal.SIGINT)
        self.wait_for(lambda: self.said("ready to accept connections"))
        for part in PARTS:
            self.run(f"create table {part} as select id::int4 as id, rpad('{part}:' || id || ':', {VALUE_BYTES}, 'x') as value "
                     f"from generate_series(0, {KEYS - 1}) id")
            self.run(f"alter table {part} add primary key (id)")
        self.run("vacuum analyze")

    def run(self, sql):
        subprocess.run([*self.program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.address, "-c", sql], check=True,
                       cwd="/")

    @staticmethod
    def program(name):
        # Debian installs them outside PATH, in a folder per version.
        found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
        program = found[-1] if found else need(name, "postgresql")
        if os.getuid() != 0:
            return [program]
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", program]


class MariaDb(Child):
    def __init__(self, folder):
        self.place = free_port()
        self.address = f"mysql://root@127.0.0.1:{self.place}/bench"
        user = ["--user=root"] if os.getuid() == 0 else []
        subprocess.run([need("mariadb-install-db", "mariadb-server"), "--no-defaults", *user, "--skip-test-db",
                        "--auth-root-authentication-method=normal", f"--datadir={folder}/data"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, env={**os.environ, "TMPDIR": str(folder)})
        lines = ["create database bench;", "use bench;"]
        for part in PARTS:
            lines += [f"create table {part} (id int primary key, value varchar({VALUE_BYTES}));",
                      f"insert into {part} select seq, rpad(concat('{part}:', seq, ':'), {VALUE_BYTES}, 'x') "
                      f"from seq_0_to_{KEYS - 1};"]
        (folder / "init.sql").write_text("\n".join(lines) + "\n")
        super().__init__(
            LOAD_CORE, [need("mariadbd", "mariadb-server"), "--no-defaults", *user, "--bind-address=127.0.0.1",
                        f"--port={self.place}", f"--datadir={folder}/data", f"--socket={folder}/socket",
                        f"--pid-file={folder}/pid", f"--init-file={folder}/init.sql", "--max-connections=300"], folder)
        self.wait_for(lambda: self.said("ready for connections"))


class Sqlite:
    """A file, which each server reads itself."""

    def __init__(self, folder):
        self.place = self.address = str(folder / "pages.db")
        with sqlite3.connect(self.place) as database:
            for part in PARTS:
                database.execute(f"create table {part} (id integer primary key, value text)")
                database.executemany(f"insert into {part} values (?, ?)", ((key, value(part, key)) for key in range(KEYS)))
        database.close()

    def stop(self):
        pass


KINDS = {"redis": Redis, "memcached": Memcached, "postgres": Postgres, "mysql": MariaDb, "sqlite": Sqlite}


class Stores:
    """The named stores, each started in its own folder and all stopped together."""

    def __init__(self, folder, names):
        self.by_name = {}
        try:
            for name in names:
                own = folder / name
                own.mkdir()
                self.by_name[name] = KINDS[name](own)
        except BaseException:
            self.stop()
            raise

    def stop(self):
        for store in self.by_name.values():
            store.stop()
