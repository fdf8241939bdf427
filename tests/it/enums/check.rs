//! An enum that can't match, or that is bound without saying how, is found by `check`.

use super::{IDL, config, database};
use crate::connect::{check, folder, problems_of};
use crate::support::{Mysql, Postgres, free_port};

/// A lookup for each field of the reply.
fn all(one: &str, among: &str, batched: &str, by_number: &str) -> String {
    let value = "backend = \"db\"\nsql = \"select 7 as id\"\nrows = \"value\"";
    format!(
        r#"
[lookups.one]
backend = "db"
rows = "one"
{one}
[lookups.among]
backend = "db"
{among}
[lookups.batched]
backend = "db"
rows = "one"
{batched}
[lookups.by_number]
backend = "db"
rows = "value"
{by_number}
[lookups.by_path]
{value}
[lookups.by_json]
{value}"#
    )
}

/// What `check --connect` says about parameters.
fn told(config: &str, port: u16) -> String {
    let config = config.replace("with = { kind = \"want.kind\" }", "emit = true");
    problems_of(&config, IDL, port)
}

#[test]
fn postgres_refuses_what_never_matches_and_warns_of_missing_labels() {
    let server = Postgres::create();
    server.start();
    server.run(
        "create type lower as enum ('cargo', 'mail'); create type part as enum ('CARGO', 'MAIL')",
    );
    server.run("create table flights (id int, kind lower, sort part, code int)");
    let lookups = all(
        "sql = 'select id, sort as kind from flights where kind = :kind'",
        "sql = 'select id, sort as kind from flights where sort = any(:kinds)'",
        "sql = 'select id, sort as kind from flights where sort = any(:kinds)'\n\
         enums = 'number'\nbatch = { key = 'kind' }",
        "sql = 'select id from flights where code = :kind'\nenums = 'name'",
    );
    let backend = format!("kind = \"postgres\"\nurl = \"{}\"", server.url());
    insta::assert_snapshot!(told(&config(&backend, &lookups), server.port), @r##"
    37 error config.type views.get.lookups.one
      parameter `kind` of lookup `one` has the type `lower`, which s.Kind can't be
        (`MAIL` is not one of its labels: `cargo`, `mail`; bind something else, or cast the parameter in the SQL)
    39 error config.type views.get.lookups.each.with.kind
      parameter `kind` of lookup `one` has the type `lower`, which s.Kind can't be
        (`MAIL` is not one of its labels: `cargo`, `mail`; bind something else, or cast the parameter in the SQL)
    40 error config.type views.get.lookups.batched.with.kinds
      parameter `kinds` of lookup `batched` has the type `part`, which s.Kind can't be
        (`1` is not one of its labels: `CARGO`, `MAIL`; bind something else, or cast the parameter in the SQL)
    42 error config.type views.get.lookups.by_number
      parameter `kind` of lookup `by_number` has the type `int4`, which s.Kind can't be
        (it takes the number, and `enums` says `"name"`; bind something else, or cast the parameter in the SQL)
    12 warning config.type lookups.one.sql
      column `id` may be null, and field `id` of s.Flight is required
        (use `coalesce` in the SQL, give the field a default, or make it optional)
    12 warning config.type lookups.one.sql
      column `kind` may be null, and field `kind` of s.Flight is required
        (use `coalesce` in the SQL, give the field a default, or make it optional)
    15 warning config.type lookups.among.sql
      column `id` may be null, and field `id` of s.Flight is required
        (use `coalesce` in the SQL, give the field a default, or make it optional)
    15 warning config.type lookups.among.sql
      column `kind` may be null, and field `kind` of s.Flight is required
        (use `coalesce` in the SQL, give the field a default, or make it optional)
    19 warning config.type lookups.batched.sql
      column `id` may be null, and field `id` of s.Flight is required
        (use `coalesce` in the SQL, give the field a default, or make it optional)
    19 warning config.type lookups.batched.sql
      column `kind` may be null, and field `kind` of s.Flight is required
        (use `coalesce` in the SQL, give the field a default, or make it optional)
    38 warning config.type views.get.lookups.among
      parameter `kinds` of lookup `among` has the type `_part`, which has no value for `PEOPLE`
        (a lookup with such a value ends in `lookup.bad_param`; add it to the type, or cast the parameter)
    exit 2
    "##);
}

#[test]
fn mysql_has_to_be_told_and_compares_the_key_of_a_batch() {
    let port = free_port();
    let tables = "create or replace table flights (id int not null, kind enum('CARGO', 'MAIL') not null, code int not null);";
    let Ok(_server) = Mysql::start_on(port, Mysql::data(tables)) else {
        panic!("the port is still free")
    };
    let backend = format!("kind = \"mysql\"\nurl = \"mysql://root@127.0.0.1:{port}/test\"");
    let of_batch = |batched: &str| {
        let lookups = all(
            "sql = 'select id, kind from flights where kind = :kind'\nenums = 'name'",
            "sql = 'select id, kind from flights where json_contains(:kinds, json_quote(kind))'\nenums = 'name'",
            batched,
            "sql = 'select id from flights where code = :kind'\nenums = 'number'",
        );
        told(&config(&backend, &lookups), port)
    };
    let by_kind =
        "sql = 'select id, kind from flights where kind in (:kinds)'\nbatch = { key = 'kind' }";
    insta::assert_snapshot!(of_batch(&format!("{by_kind}\nenums = 'number'")), @r##"
    42 error config.type views.get.lookups.batched.with.kinds
      parameter `kinds` of lookup `batched` can't be s.Kind: column `kind` is an enum, which has names (`enums = "name"`)
        (bind something else)
    exit 2
    "##);
    let by_code = "sql = 'select id, kind, code from flights where code in (:kinds)'\nbatch = { key = 'code' }";
    insta::assert_snapshot!(of_batch(&format!("{by_code}\nenums = 'name'")), @r##"
    42 error config.type views.get.lookups.batched.with.kinds
      parameter `kinds` of lookup `batched` can't be s.Kind: column `code` holds numbers, and `enums` says `"name"`
        (bind something else)
    exit 2
    "##);
    insta::assert_snapshot!(of_batch(&format!("{by_kind}\nenums = 'name'")), @r##"
    exit 0
    "##);
    insta::assert_snapshot!(of_batch(by_kind), @r##"
    41 error config.missing_key views.get.lookups.batched.with.kinds
      parameter `kinds` of lookup `batched` gets values of the enum s.Kind, and the store does not tell whether it is compared with names or with numbers
        (add `enums = "name"` or `enums = "number"` to `[lookups.batched]`)
    exit 2
    "##);
}

/// SQLite compares a name with a number without a word, and finds nothing.
#[test]
fn sqlite_has_to_be_told() {
    let lookups = all(
        "sql = 'select id, kind from flights where kind = :kind'",
        "sql = 'select id, kind from flights where id in (select value from json_each(:kinds))'",
        "sql = 'select id, kind from flights where kind = :kinds'\nenums = 'name'",
        "sql = 'select id from flights where code = :kind'\nenums = 'numbr'",
    );
    let config = config("kind = \"sqlite\"\npath = \"flights.db\"", &lookups);
    let folder = folder(
        &config.replace("with = { kind = \"want.kind\" }", "emit = true"),
        IDL,
        &[],
    );
    database(&folder);
    insta::assert_snapshot!(check(&folder, 0, &["--format", "json"]).lines(), @r##"
    25 error config.bad_value lookups.by_number.enums
      `numbr` is not known here
        (did you mean `"number"`?)
    36 error config.missing_key views.get.lookups.one
      parameter `kind` of lookup `one` gets values of the enum s.Kind, and the store does not tell whether it is compared with names or with numbers
        (add `enums = "name"` or `enums = "number"` to `[lookups.one]`)
    37 error config.missing_key views.get.lookups.among
      parameter `kinds` of lookup `among` gets values of the enum s.Kind, and the store does not tell whether it is compared with names or with numbers
        (add `enums = "name"` or `enums = "number"` to `[lookups.among]`)
    38 error config.missing_key views.get.lookups.each.with.kind
      parameter `kind` of lookup `one` gets values of the enum s.Kind, and the store does not tell whether it is compared with names or with numbers
        (add `enums = "name"` or `enums = "number"` to `[lookups.one]`)
    exit 2
    "##);
}
