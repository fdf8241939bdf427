"""The benchmark's pages: which store each part of a page comes from, and what a right reply looks like."""

import base64
import json
from dataclasses import dataclass

from process import HERE, ROOT, Trouble
from stores import KEYS, PARTS, value

# Their lookups answer with a row that has its key; those of the others with a value.
ROWS = ("postgres", "mysql", "sqlite")


@dataclass(frozen=True)
class Page:
    name: str
    title: str
    # By part, in the order of PARTS.
    stores: tuple[str, ...]
    # The type of a key.
    key: type
    # Each lookup waits first, as the lines of the configuration that end in `# slow` say.
    slow: bool = False

    @property
    def idl(self):
        return f"{self.file}.thrift"

    @property
    def file(self):
        return "redis" if self.slow else self.name

    def lay_out(self, folder):
        """Puts the IDLs and the calls of a run into `folder`: every key once, in an order that no cache could know."""
        for idl in (HERE / "pages" / self.idl, ROOT / "idl" / "tributary.thrift"):
            (folder / idl.name).write_text(idl.read_text())
        keys = sorted(range(KEYS), key=lambda key: key * 7919 % KEYS)
        (folder / "ids.jsonl").write_text("".join(json.dumps({"id": self.key(key)}) + "\n" for key in keys))

    def check(self, server, key, reply):
        """The reply has the values that the stores hold, and a whole report."""
        for part, store in zip(PARTS, self.stores):
            text = value(part, key)
            # Binary that is no text comes as base64.
            right = [{"id": key, "value": text}] if store in ROWS else [text, base64.b64encode(text.encode()).decode()]
            if reply.get(part) not in right:
                raise Trouble(f"{server} answers {part} of {key} with {reply.get(part)!r}")
        report = reply["report"]
        if not report["complete"] or [lookup["name"] for lookup in report["lookups"]] != list(PARTS):
            raise Trouble(f"{server} reports {report}")


PAGES = {page.name: page for page in (
    Page("redis", "Seven Redis gets per call", ("redis",) * 7, str),
    Page("slow", "The same, each lookup waits 30 to 120 ms first", ("redis",) * 7, str, slow=True),
    Page("postgres", "A row of each of seven PostgreSQL tables per call", ("postgres",) * 7, int),
    Page("mixed", "Two PostgreSQL rows, two Redis gets, one of memcached, a row of SQLite and one of MariaDB per call",
         ("postgres", "postgres", "redis", "redis", "memcached", "sqlite", "mysql"), int),
)}
