#!/usr/bin/env python3
"""Loads the demo's airlines and airports into Redis, and its weather into memcached.

    load.py REDIS_HOST:PORT MEMCACHED_HOST:PORT FOLDER

FOLDER holds the CSV files. Airlines and airports are hashes, `airline:UA` and `airport:JFK`; the weather is JSON,
`weather:JFK:2013-01-01:5`. Uses nothing but the standard library, so that any image of Python runs it.
"""

import csv
import json
import socket
import sys
from pathlib import Path


def connect(address):
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=30)


def rows(path):
    """The rows of a file, without the columns that are `NA` in them."""
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            yield {name: text for name, text in row.items() if text != "NA"}


def number(text):
    return float(text) if "." in text else int(text)


def load_redis(address, tables):
    """One HSET for each row of each table: (prefix, key column, rows)."""
    commands = [
        ["HSET", f"{prefix}:{row[key]}", *(text for pair in row.items() for text in pair)]
        for prefix, key, table in tables
        for row in table
    ]
    with connect(address) as redis, redis.makefile("rwb") as stream:
        for command in commands:
            words = [word.encode() for word in command]
            stream.write(b"*%d\r\n" % len(words))
            stream.writelines(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        stream.flush()
        for command in commands:
            reply = stream.readline()
            if not reply.startswith(b":"):
                sys.exit(f"{command[1]}: {reply.decode().strip()}")
    return len(commands)


def load_memcached(address, table):
    words = {"origin", "day"}
    count = 0
    with connect(address) as memcached, memcached.makefile("rwb") as stream:
        for row in table:
            key = "weather:{origin}:{day}:{hour}".format(**row)
            value = {name: text if name in words else number(text) for name, text in row.items()}
            data = json.dumps(value).encode()
            stream.write(b"set %s 0 0 %d\r\n%s\r\n" % (key.encode(), len(data), data))
            count += 1
        stream.flush()
        for _ in range(count):
            reply = stream.readline()
            if reply != b"STORED\r\n":
                sys.exit(f"memcached: {reply.decode().strip()}")
    return count


def main():
    redis, memcached, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    tables = [
        ("airline", "carrier", rows(folder / "airlines.csv")),
        ("airport", "code", rows(folder / "airports.csv")),
    ]
    print(f"redis: {load_redis(redis, tables)} hashes", flush=True)
    print(f"memcached: {load_memcached(memcached, rows(folder / 'weather.csv'))} values", flush=True)


if __name__ == "__main__":
    main()
