"""The stores of the gevent peer: each fetches one part of one key, with a client that yields to other greenlets.

They are set up as the clients' documentation recommends for load. Pools are as large as the servers handle well.
"""

import sqlite3
from contextlib import contextmanager

import psycopg
import pymemcache
import pymysql
import redis
from gevent.queue import LifoQueue

CONNECTIONS = 64


class Pool:
    """A pool of connections, all made before the first call. A greenlet that finds none waits."""

    def __init__(self, connect):
        self.connect = connect
        self.idle = LifoQueue()
        for _ in range(CONNECTIONS):
            self.idle.put(connect())

    @contextmanager
    def connection(self):
        connection = self.idle.get()
        try:
            if connection is None:
                connection = self.connect()
            yield connection
        except BaseException:
            # The connection may hold an unread answer, so it is dropped and the next use opens a new one.
            if connection is not None:
                connection.close()
            connection = None
            raise
        finally:
            self.idle.put(connection)


class Redis:
    errors = redis.RedisError

    def __init__(self, port):
        # The page of seven gets uses only these.
        pool = redis.BlockingConnectionPool(host="127.0.0.1", port=port, max_connections=128, timeout=30, protocol=2)
        self.client = redis.Redis(connection_pool=pool)

    def get(self, part, id):
        return self.client.get(f"{part}:{id}")


class Memcached:
    errors = (pymemcache.MemcacheError, OSError)

    def __init__(self, port):
        self.pool = Pool(lambda: pymemcache.Client(("127.0.0.1", port), no_delay=True))

    def get(self, part, id):
        with self.pool.connection() as client:
            return client.get(f"{part}:{id}")


class Postgres:
    """psycopg 3 detects gevent's patches and yields while it waits. It prepares statements that it sends often."""

    errors = psycopg.Error

    def __init__(self, port):
        self.pool = Pool(lambda: psycopg.connect(
            host="127.0.0.1", port=port, user="postgres", dbname="postgres", autocommit=True))

    def get(self, part, id):
        with self.pool.connection() as connection:
            return connection.execute(f"select id, value from {part} where id = %s", (id,)).fetchone()


class MariaDb:
    errors = pymysql.MySQLError

    def __init__(self, port):
        self.pool = Pool(lambda: pymysql.connect(
            host="127.0.0.1", port=port, user="root", database="bench", autocommit=True))

    def get(self, part, id):
        with self.pool.connection() as connection, connection.cursor() as cursor:
            cursor.execute(f"select id, value from {part} where id = %s", (id,))
            return cursor.fetchone()


class Sqlite:
    """Queried directly: handing the query to another thread would take longer."""

    errors = sqlite3.Error

    def __init__(self, path):
        self.connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)

    def get(self, part, id):
        return self.connection.execute(f"select id, value from {part} where id = ?", (id,)).fetchone()


KINDS = {"redis": Redis, "memcached": Memcached, "postgres": Postgres, "mysql": MariaDb, "sqlite": Sqlite}
