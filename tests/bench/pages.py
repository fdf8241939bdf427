"""The benchmark's pages: the store of each part of a page, and the check of a reply."""

import base64
import json
from dataclasses import dataclass

from process import HERE, ROOT, Trouble
from stores import KEYS, PARTS, value

# A lookup of these stores returns a row with its key; a lookup of the others returns a value.
ROWS = ("postgres", "mysql", "sqlite")


@dataclass(frozen=True)
class Page:
    name: str
    title: str
    # By part, in the order of PARTS.
    stores: tuple[str, ...]
    # The type of the keys.
    key: type
    # Each lookup waits first, as set by the configuration's lines that end in `# slow`.
    slow: bool = False

    @property
    def idl(self):
        return f"{self.file}.thrift"

    @property
    def file(self):
        return "redis" if self.slow else self.name

    def lay_out(self, folder):
        """Writes the IDLs and the calls of a run into `folder`: every key once, in an order that no cache can predict."""
        for idl in (HERE / "pages" / self.idl, ROOT / "idl" / "tributary.thrift"):
            (folder / idl.name).write_text(idl.read_text())
        keys = sorted(range(KEYS), key=lambda key: key * 7919 % KEYS)
        (folder / "ids.jsonl").write_text("".join(json.dumps({"id": self.key(key)}) + "\n" for key in keys))

    def check(self, server, key, reply):
        """Checks that the reply has the values that the stores hold, and a complete report."""
        for part, store in zip(PARTS, self.stores):
            text = value(part, key)
            # Bytes that are not valid text arrive as base64.
            right = [{"id": key, "value": text}] if store in ROWS else [text, base64.b64encode(text.encode()).decode()]
            if reply.get(part) not in right:
                raise Trouble(f"{server} returned {reply.get(part)!r} as {part} of {key}")
        report = reply["report"]
        if not report["complete"] or [lookup["name"] for lookup in report["lookups"]] != list(PARTS):
            raise Trouble(f"{server} returned an incomplete report: {report}")


PAGES = {page.name: page for page in (
    Page("redis", "Seven Redis gets per call", ("redis",) * 7, str),
    Page("slow", "The same, each lookup waits 30 to 120 ms first", ("redis",) * 7, str, slow=True),
    Page("postgres", "A row of each of seven PostgreSQL tables per call", ("postgres",) * 7, int),
    Page("mixed", "Two PostgreSQL rows, two Redis gets, one of memcached, a row of SQLite and one of MariaDB per call",
         ("postgres", "postgres", "redis", "redis", "memcached", "sqlite", "mysql"), int),
)}
