-- The flights, in PostgreSQL. Its image runs this file once, as the superuser; /demo holds the CSV files.

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
    air_time integer,
    distance integer not null
);

copy flights from '/demo/flights.csv' with (format csv, header true, null 'NA');

alter table flights add status text;

-- An arrival earlier in the day than the departure is on the next day: no flight here takes half a day.
update flights set
    scheduled_departure = day || 'T' || scheduled_departure,
    scheduled_arrival = case
        when scheduled_arrival < scheduled_departure then (day::date + 1)::text else day
    end || 'T' || scheduled_arrival,
    status = case
        when departure_delay is null then 'CANCELLED' when arrival_delay is null then 'DIVERTED' else 'ARRIVED'
    end;

alter table flights alter status set not null;
alter table flights add primary key (carrier, number, day, origin);
create index flights_route on flights (day, origin, dest, scheduled_departure);

-- Reads and nothing else. The network between the containers is the only one that reaches it.
create role tributary login password 'flights';
grant select on flights to tributary;
