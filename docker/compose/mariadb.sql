-- The planes, in MariaDB. Its image runs this file once, as root; /demo holds the CSV files.

create database fleet character set utf8mb4;

create table fleet.planes (
    tailnum varchar(16) not null primary key,
    year integer,
    type text,
    manufacturer text,
    model text,
    engines integer,
    seats integer,
    engine text
);

load data infile '/demo/planes.csv' into table fleet.planes
    character set utf8mb4
    fields terminated by ',' optionally enclosed by '"'
    lines terminated by '\n'
    ignore 1 lines
    (tailnum, @year, @type, @manufacturer, @model, @engines, @seats, @engine)
    set year = nullif(@year, 'NA'), type = nullif(@type, 'NA'), manufacturer = nullif(@manufacturer, 'NA'),
        model = nullif(@model, 'NA'), engines = nullif(@engines, 'NA'), seats = nullif(@seats, 'NA'),
        engine = nullif(@engine, 'NA');

-- Reads and nothing else.
create user tributary@'%' identified by 'flights';
grant select on fleet.planes to tributary@'%';
