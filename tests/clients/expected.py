"""Computes what the flights service should reply, from the demo's CSV files and nothing else.

`check` calls a client of any library and compares every field of every reply. Replies are compared as plain
dictionaries without their unset fields.
"""

import csv
from collections import Counter
from pathlib import Path

DEMO = Path(__file__).parents[2] / "docker" / "demo"


def table(name):
    with (DEMO / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def convert(row, kinds):
    """The columns that have a value, converted as `kinds` says; all others are text."""
    return {name: kinds.get(name, str)(text) for name, text in row.items() if text not in ("NA", "")}


MEASURED = ["temperature", "dew_point", "humidity", "wind_speed", "wind_gust", "precipitation", "pressure", "visibility"]

FLIGHTS = table("flights")
AIRLINES = {row["carrier"]: row for row in table("airlines")}
AIRPORTS = {
    row["code"]: convert(row, {"latitude": float, "longitude": float, "altitude": int}) for row in table("airports")
}
PLANES = {row["tailnum"]: convert(row, dict.fromkeys(["year", "engines", "seats"], int)) for row in table("planes")}
WEATHER = {
    (row["origin"], row["day"], int(row["hour"])): convert(
        row, {**dict.fromkeys(MEASURED, float), "hour": int, "wind_direction": int}
    )
    for row in table("weather")
}

ARRIVED, DIVERTED, CANCELLED = 1, 2, 3


def number(row, name):
    return None if row[name] == "NA" else int(row[name])


def mean(values):
    return sum(values) / len(values) if values else None


def present(fields):
    return {name: value for name, value in fields.items() if value is not None}


def hour(row):
    return int(row["scheduled_departure"][:2])


def by_departure(row):
    return row["scheduled_departure"], row["carrier"], int(row["number"])


def flight(row):
    """A row as the service's Flight."""
    day, leaves, lands = row["day"], row["scheduled_departure"], row["scheduled_arrival"]
    # No flight takes half a day, so a flight whose landing time is earlier in the day lands on the next day.
    arrival_day = f"{day[:8]}{int(day[8:]) + 1:02}" if lands < leaves else day
    status = ARRIVED
    if row["arrival_delay"] == "NA":
        status = DIVERTED
    if row["departure_delay"] == "NA":
        status = CANCELLED
    numbers = ("number", "departure_delay", "arrival_delay", "air_time", "distance")
    return present(
        {
            **{name: row[name] for name in ("carrier", "day", "origin", "dest")},
            **{name: number(row, name) for name in numbers},
            "tailnum": None if row["tailnum"] in ("NA", "") else row["tailnum"],
            "scheduled_departure": f"{day}T{leaves}",
            "scheduled_arrival": f"{arrival_day}T{lands}",
            "status": status,
        }
    )


def punctuality(row):
    rows = [other for other in FLIGHTS if all(other[name] == row[name] for name in ("carrier", "number"))]
    departures = [number(other, "departure_delay") for other in rows if other["departure_delay"] != "NA"]
    arrivals = [number(other, "arrival_delay") for other in rows if other["arrival_delay"] != "NA"]
    return present(
        {
            "flights": len(rows),
            "cancelled": len(rows) - len(departures),
            "mean_departure_delay": mean(departures),
            "mean_arrival_delay": mean(arrivals),
            "on_time": mean([delay < 15 for delay in arrivals]),
        }
    )


def departure(row, weather):
    """A row as the service's Departure; `weather` says whether the weather store is running."""
    route = [other for other in FLIGHTS if all(other[name] == row[name] for name in ("day", "origin", "dest"))]
    return present(
        {
            "flight": flight(row),
            "plane": PLANES.get(row["tailnum"]),
            "airline": AIRLINES.get(row["carrier"]),
            "origin": AIRPORTS.get(row["origin"]),
            "destination": AIRPORTS.get(row["dest"]),
            "weather": WEATHER.get((row["origin"], row["day"], hour(row))) if weather else None,
            "punctuality": punctuality(row),
            "alternatives": [flight(other) for other in sorted(route, key=by_departure)],
        }
    )


def chosen():
    """Every 500th flight, and one flight of each kind with missing or unusual data."""

    def name(row):
        return row["carrier"], row["number"], row["day"], row["origin"]

    seen = Counter(map(name, FLIGHTS))
    rows = [row for row in FLIGHTS if seen[name(row)] == 1]
    kinds = [
        lambda row: row["departure_delay"] == "NA",
        lambda row: row["departure_delay"] != "NA" and row["arrival_delay"] == "NA",
        lambda row: row["tailnum"] in ("NA", ""),
        lambda row: row["tailnum"] not in PLANES and row["tailnum"] not in ("NA", ""),
        lambda row: row["dest"] not in AIRPORTS,
        lambda row: row["scheduled_arrival"] < row["scheduled_departure"],
        lambda row: (row["origin"], row["day"], hour(row)) not in WEATHER,
    ]
    odd = [next((row for row in rows if kind(row)), None) for kind in kinds]
    return [row for row in odd if row] + rows[::500]


def differences(expected, got, path=""):
    """The paths at which two plain values differ, in value or in type."""
    if isinstance(expected, dict) and isinstance(got, dict):
        for name in sorted(expected.keys() | got.keys(), key=str):
            yield from differences(expected.get(name), got.get(name), f"{path}.{name}")
    elif isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        for at, pair in enumerate(zip(expected, got)):
            yield from differences(*pair, f"{path}[{at}]")
    elif expected != got or type(expected) is not type(got):
        yield f"{path}: expected {expected!r}, got {got!r}"


def same(what, expected, got):
    found = list(differences(expected, got))
    assert not found, f"{what}:\n  " + "\n  ".join(found)


def leaves(value):
    """How many single values a plain value contains."""
    if isinstance(value, dict):
        return sum(map(leaves, value.values()))
    return sum(map(leaves, value)) if isinstance(value, list) else 1


def ticket(row):
    return row["carrier"], int(row["number"]), row["day"], row["origin"], row["dest"], hour(row)


def check(client, plain, context, weather):
    """Calls every method and compares every field. `plain` makes a dictionary of a library's struct, and
    `context` is its tributary.Context."""
    fields = 0
    rows = chosen()
    for row in rows:
        expected = departure(row, weather)
        same(f"getDeparture{ticket(row)}", expected, plain(client.getDeparture(*ticket(row), context())))
        fields += leaves(expected)
    reply = plain(client.getDeparture(*ticket(rows[-1]), context(want_report=True)))
    check_report(reply.pop("report"), weather)
    same("getDeparture with its report", departure(rows[-1], weather), reply)

    codes = ["JFK", "???", "LAX", "HNL"]
    expected = {code: AIRPORTS[code] for code in codes if code in AIRPORTS}
    same("getAirports", expected, plain(client.getAirports(codes, None)))
    same("getAirport", AIRPORTS["EWR"], plain(client.getAirport("EWR", None)))

    day = [row for row in FLIGHTS if (row["origin"], row["day"]) == ("LGA", "2013-01-02")]
    day.sort(key=by_departure)
    morning = [flight(row) for row in day if 6 <= hour(row) <= 8]
    same("getBoard of a morning", morning, plain(client.getBoard("LGA", "2013-01-02", 6, 8, None)))
    # Hours that are not sent take the IDL's defaults.
    whole = [flight(row) for row in day]
    same("getBoard of a day", whole, plain(client.getBoard("LGA", "2013-01-02", None, None, None)))
    fields += leaves(morning) + leaves(whole)
    print(f"{len(rows)} departures, {fields} fields compared")


def check_report(report, weather):
    fates = {lookup["name"]: lookup["fate"] for lookup in report["lookups"]}
    names = ["flight", "plane", "airline", "origin", "destination", "weather", "punctuality", "alternatives"]
    assert sorted(fates) == sorted(names), fates
    assert fates["flight"] == "ok", fates
    assert (fates["weather"] == "error") == (not weather), fates
    assert report["complete"] == all(fate == "ok" for fate in fates.values()), report
    assert report["elapsed_us"] > 0 and report["critical_path"], report
