//! Writes the demo's files into a folder: configuration, IDL, tables, and the flights as an SQLite database.
//!
//! The files are embedded in the program (`docker/demo` and `idl`), so the demo runs from any folder. The flights' clock times
//! are turned into full timestamps and a status when they are inserted: a real store would have those, and the
//! embedded table stays small.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use rusqlite::Connection;

/// `tributary.toml`; with `--even` its delays are replaced.
pub const CONFIG: &str = include_str!("../../../docker/demo/tributary.toml");
/// The weather by the hour, which [`super::weather::serve`] serves.
pub const WEATHER: &[u8] = include_bytes!("../../../docker/demo/weather.csv");

const FLIGHTS: &[u8] = include_bytes!("../../../docker/demo/flights.csv");

/// Files that are copied unchanged.
const FILES: &[(&str, &[u8])] = &[
    ("tributary.toml", CONFIG.as_bytes()),
    (
        "flights.thrift",
        include_bytes!("../../../idl/flights.thrift"),
    ),
    (
        "tributary.thrift",
        include_bytes!("../../../idl/tributary.thrift"),
    ),
    (
        "airlines.csv",
        include_bytes!("../../../docker/demo/airlines.csv"),
    ),
    (
        "airports.csv",
        include_bytes!("../../../docker/demo/airports.csv"),
    ),
    (
        "planes.csv",
        include_bytes!("../../../docker/demo/planes.csv"),
    ),
];

/// The columns have the names and the order of the fields of `flights.Flight`.
const SCHEMA: &str = "
    create table flights (
        carrier text not null,
        number integer not null,
        day text not null,
        origin text not null,
        dest text not null,
        tailnum text,
        scheduled_departure text not null,
        scheduled_arrival text not null,
        departure_delay integer,
        arrival_delay integer,
        status text not null,
        air_time integer,
        distance integer not null
    );
";

/// Created after the rows are inserted, which is faster than updating them with each row.
const INDEXES: &str = "
    create index flights_number on flights (carrier, number, day, origin);
    create index flights_route on flights (day, origin, dest, scheduled_departure);
    analyze;
";

/// Parameters are the columns of `flights.csv`. An arrival earlier in the day than the departure is on the
/// next day: no flight in the table takes half a day.
const INSERT: &str = "
    insert into flights values (
        ?1, ?2, ?3, ?4, ?5, ?6,
        ?3 || 'T' || ?7,
        case when ?8 < ?7 then date(?3, '+1 day') else ?3 end || 'T' || ?8,
        ?9, ?10,
        case when ?9 is null then 'CANCELLED' when ?10 is null then 'DIVERTED' else 'ARRIVED' end,
        ?11, ?12
    )
";

/// Writes all of the demo's files into the folder `into`, which has to exist.
pub fn unpack(into: &Path) -> anyhow::Result<()> {
    for (name, bytes) in FILES {
        let path = into.join(name);
        fs::write(&path, bytes).with_context(|| format!("can't write `{}`", path.display()))?;
    }
    let path = into.join("flights.sqlite");
    build(&path).with_context(|| format!("can't make `{}`", path.display()))
}

fn build(path: &Path) -> anyhow::Result<()> {
    let mut database = Connection::open(path)?;
    // The file is created for each demo, so a crash can't damage anything of value.
    database.pragma_update(None, "synchronous", "off")?;
    let transaction = database.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    {
        let mut insert = transaction.prepare(INSERT)?;
        let mut table = csv::Reader::from_reader(FLIGHTS);
        let mut row = csv::StringRecord::new();
        while table.read_record(&mut row)? {
            // Text that looks like a number becomes one by the column's affinity.
            let values = row.iter().map(|text| (text != "NA").then_some(text));
            insert.execute(rusqlite::params_from_iter(values))?;
        }
    }
    transaction.execute_batch(INDEXES)?;
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked() -> (tempfile::TempDir, Connection) {
        let folder = tempfile::tempdir().unwrap();
        unpack(folder.path()).unwrap();
        let database = Connection::open(folder.path().join("flights.sqlite")).unwrap();
        (folder, database)
    }

    #[track_caller]
    fn check(database: &Connection, sql: &str, expected: &str) {
        let mut query = database.prepare(sql).unwrap();
        let columns = query.column_count();
        let rows = query.query_map([], |row| {
            let cells = (0..columns).map(|at| match row.get_ref(at).unwrap() {
                rusqlite::types::ValueRef::Null => "null".to_owned(),
                rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                other => other.as_str().unwrap().to_owned(),
            });
            Ok(cells.collect::<Vec<String>>().join(" "))
        });
        let rows: Vec<String> = rows.unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.join("\n"), expected, "{sql}");
    }

    #[test]
    fn every_flight_appears_once_with_its_status() {
        let (_folder, database) = unpacked();
        let statuses = "select status, count(*) from flights group by status order by status";
        check(
            &database,
            statuses,
            "ARRIVED 8757\nCANCELLED 47\nDIVERTED 28",
        );
        let keys =
            "select count(*) from (select distinct carrier, number, day, origin from flights)";
        check(&database, keys, "8832");
    }

    #[test]
    fn times_are_timestamps_and_numbers_are_numbers() {
        let (_folder, database) = unpacked();
        let first = "select * from flights
            where carrier = 'UA' and number = 1545 and day = '2013-01-01' and origin = 'EWR'";
        check(
            &database,
            first,
            "UA 1545 2013-01-01 EWR IAH N14228 2013-01-01T05:15 2013-01-01T08:19 2 11 ARRIVED 227 1400",
        );
        let odd = "select count(*) from flights where scheduled_arrival < scheduled_departure
            or typeof(number) <> 'integer' or typeof(distance) <> 'integer'
            or typeof(departure_delay) not in ('integer', 'null')";
        check(&database, odd, "0");
    }

    #[test]
    fn the_questions_of_the_configuration_use_the_indexes() {
        let (_folder, database) = unpacked();
        let config: toml::Table = CONFIG.parse().unwrap();
        for (lookup, index) in [
            ("flight", "flights_number"),
            ("punctuality", "flights_number"),
            ("alternatives", "flights_route"),
            ("board", "flights_route"),
        ] {
            let sql = config["lookups"][lookup]["sql"].as_str().unwrap();
            let mut query = database
                .prepare(&format!("explain query plan {sql}"))
                .unwrap();
            let mut rows = query.raw_query();
            let plan: String = rows.next().unwrap().unwrap().get("detail").unwrap();
            assert!(plan.contains(index), "{lookup}: {plan}");
        }
    }

    #[test]
    fn the_tables_are_where_the_configuration_looks_for_them() {
        let (folder, _database) = unpacked();
        let table: toml::Table = CONFIG.parse().unwrap();
        let backends = table["backends"].as_table().unwrap();
        let paths = backends.values().filter_map(|backend| backend.get("path"));
        for path in paths.chain([&table["server"]["idl"]]) {
            let path = folder.path().join(path.as_str().unwrap());
            assert!(path.exists(), "{}", path.display());
        }
    }

    #[test]
    fn the_stated_delays_add_up_to_one_second_and_chain_to_half() {
        let table: toml::Table = CONFIG.parse().unwrap();
        let delay = |name: &str| {
            let text = table["lookups"][name]["inject"]["delay"].as_str().unwrap();
            humantime::parse_duration(text).unwrap().as_millis()
        };
        let uses = table["views"]["getDeparture"]["lookups"]
            .as_table()
            .unwrap();
        let total: u128 = uses
            .values()
            .map(|lookup| delay(lookup["use"].as_str().unwrap()))
            .sum();
        assert_eq!(total, 1000);
        assert_eq!(delay("flight") + delay("plane"), 500);
    }
}
