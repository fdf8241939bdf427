//! PostgreSQL describes statements, parameters and columns.

use super::{check, folder, over, problems_of};
use crate::support::Postgres;

const IDL: &str = "
enum Color { RED = 1 }
struct Owner { 1: required string name, 2: optional i64 age }
struct Bird {
  1: required i32 id
  2: required string name
  3: optional Owner owner
  4: optional i32 seen
  5: optional double weight
  6: optional Color color
  7: required i64 wings
}
struct Reply {
  1: optional Bird bird
  2: optional list<Bird> birds
  3: optional i64 count
  4: optional list<Owner> owners
  5: optional string note
  6: optional Owner owner
}
service S { Reply get(1: i32 id, 2: string name, 3: list<string> names, 4: Owner who) }
";

const TABLES: &str = "
create table birds (id int8 primary key, name text, owner timestamptz, seen int8 not null, weight numeric, color bool, tag uuid);
create table owners (name text not null, age int4 not null, born date);
create type shape as (a int, b int);
";

fn config(port: u16, rest: &str) -> String {
    let url = format!("postgresql://connect_tests@127.0.0.1:{port}/postgres");
    over("postgres", &url, rest)
}

/// Every mistake in one file.
const WRONG: &str = r#"
[lookups.bird]
backend = "db"
sql = "select id, name, owner, seen, weight, color from birds where id = :id"
rows = "one"

[lookups.birds]
backend = "db"
sql = "select * from birds where tag = :tag and id = :other"

[lookups.misspelt]
backend = "db"
sql = "select nme, age from owners where name = :name"
rows = "one"

[lookups.count]
backend = "db"
sql = "select name, count(*) from birds group by name having count(*) > :least"
rows = "value"

[lookups.strange]
backend = "db"
sql = "select row(1, 2)::shape as pair, point(1, 2) as name"
rows = "one"

[lookups.by_name]
backend = "db"
sql = "select age from owners where name = any(:names)"
rows = "one"
batch = { key = "name" }

[lookups.twice]
backend = "db"
sql = "select name, name from owners where age = :age"

[lookups.writes]
backend = "db"
sql = "delete from owners"

[views.get.lookups]
bird = "bird"
birds = { use = "birds", with = { tag = "bird.seen", other = "who" } }
count = { use = "count", with = { least = { value = "many" } } }
owner = { use = "misspelt", with = { name = "bird.nmae" } }
note = { use = "strange" }
owners = { use = "by_name", foreach = "names", with = { names = "item" } }
twice = { use = "twice", with = { age = { value = true } }, emit = false }
writes = { use = "writes", emit = false }
"#;

/// Lookups that fit in less obvious ways.
const GOOD: &str = r#"
[lookups.bird]
backend = "db"
sql = "select id::int4, name || '' as name, json_build_object('name', owner) as owner, weight, wings from birds, lateral (select 2::int8 as wings) w where id = :id"
rows = "one"
parse_text = true

[lookups.birds]
backend = "db"
sql = "select json_agg(b) as birds from birds b where :tag::uuid is null or tag = :tag or name = any(:names)"
rows = "value"

[lookups.count]
backend = "db"
sql = "select count(*) from birds where weight > :least and owner < :until"
rows = "value"

[lookups.owner]
backend = "db"
sql = "select name, age from owners where name = any(:name)"
rows = "one"
batch = { key = "name" }

[lookups.note]
backend = "db"
sql = "select born from owners where name = :name"
rows = "one"

[views.get.lookups]
bird = "bird"
birds = { use = "birds", with = { tag = "name", names = "names" } }
count = { use = "count", with = { least = "bird.weight", until = { value = "2013-01-01" } } }
owner = { use = "owner", with = { name = "bird.name" } }
owners = { use = "owner", foreach = "names", with = { name = "item" } }
note = { use = "note", with = { name = "owner.name" } }
"#;

/// Tables in a separate schema, which only the account `connect_tests` uses.
async fn tables(url: &str) {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .expect("it runs");
    tokio::task::spawn_local(connection);
    let sql = format!(
        "create schema connect; create role connect_tests login; \
         alter role connect_tests set search_path = connect; set search_path = connect; {TABLES} \
         grant usage on schema connect to connect_tests; \
         grant select on all tables in schema connect to connect_tests"
    );
    client.batch_execute(&sql).await.expect("good SQL");
}

/// The expected output.
const TOLD: &str = r#"11 error config.type lookups.bird.sql
  column `owner` has the type `timestamptz`, which can't fill field `owner` of s.Bird, s.Owner
    (cast it in the SQL, or change the field's type)
11 error config.type lookups.bird.sql
  column `weight` has the type `numeric`, which can't fill field `weight` of s.Bird, double
    (set `parse_text = true` on the lookup if the text holds one)
11 error config.type lookups.bird.sql
  column `color` has the type `bool`, which can't fill field `color` of s.Bird, s.Color
    (cast it in the SQL, or change the field's type)
11 error config.type lookups.bird.sql
  no column is called `wings`, and field `wings` of s.Bird is required
    (select one, or make the field optional; available: `id`, `name`, `owner`, `seen`, `weight`, `color`)
16 error config.type lookups.birds.sql
  column `owner` has the type `timestamptz`, which can't fill field `owner` of s.Bird, s.Owner
    (cast it in the SQL, or change the field's type)
16 error config.type lookups.birds.sql
  column `weight` has the type `numeric`, which can't fill field `weight` of s.Bird, double
    (set `parse_text = true` on the lookup if the text holds one)
16 error config.type lookups.birds.sql
  column `color` has the type `bool`, which can't fill field `color` of s.Bird, s.Color
    (cast it in the SQL, or change the field's type)
16 error config.type lookups.birds.sql
  no column is called `wings`, and field `wings` of s.Bird is required
    (select one, or make the field optional; available: `id`, `name`, `owner`, `seen`, `weight`, `color`, `tag`)
20 error config.bad_value lookups.misspelt.sql
  PostgreSQL: column "nme" does not exist (42703), at character 8: `nme, age from owners where nam`
    (Perhaps you meant to reference the column "owners.name".)
25 error config.type lookups.count.sql
  column `name` has the type `text`, which can't fill i64 in view `get`
    (set `parse_text = true` on the lookup if the text holds one)
30 error config.type lookups.strange.sql
  column `pair` has the type `connect.shape`, which is not understood: select `pair::text`
30 error config.type lookups.strange.sql
  column `name` has the type `point`, which is not understood: select `name::text`
30 error config.type lookups.strange.sql
  a row of 2 columns can't fill string in view `get`: only one of a single column can
    (select one column)
35 error config.type lookups.by_name.sql
  no column is called `name`, and field `name` of s.Owner is required
    (select `age as name`)
37 error config.unknown_name lookups.by_name.batch
  no column is called `name` (`batch.key`)
    (available: `age`)
41 error config.clash lookups.twice.sql
  two columns are called `name`
    (name one of them with `as`: `t.name as t_name`)
45 error config.bad_value lookups.writes.sql
  the statement returns no columns
    (a lookup is one `select` statement)
49 error config.type views.get.lookups.birds.with.tag
  parameter `tag` of lookup `birds` has the type `uuid`, which an integer can't be
    (bind something else, or cast the parameter in the SQL)
49 error config.type views.get.lookups.birds.with.other
  parameter `other` of lookup `birds` has the type `int8`, which s.Owner can't be
    (bind something else, or cast the parameter in the SQL)
50 error config.type views.get.lookups.count.with.least
  parameter `least` of lookup `count` has the type `int8`, which text can't be
    (bind something else, or cast the parameter in the SQL)
51 error config.reference views.get.lookups.owner.with.name
  no column is called `nmae`
    (did you mean `name`?)
54 error config.type views.get.lookups.twice.with.age
  parameter `age` of lookup `twice` has the type `int4`, which a bool can't be
    (bind something else, or cast the parameter in the SQL)
11 warning config.type lookups.bird.sql
  column `id` has the type `int8`, which holds numbers that i32 does not (field `id` of s.Bird, i32)
    (such a row ends in `merge.type`; widen the field or cast the column)
11 warning config.type lookups.bird.sql
  column `name` may be null, and field `name` of s.Bird is required
    (use `coalesce` in the SQL, give the field a default, or make it optional)
11 warning config.type lookups.bird.sql
  column `seen` has the type `int8`, which holds numbers that i32 does not (field `seen` of s.Bird, i32)
    (such a row ends in `merge.type`; widen the field or cast the column)
16 warning config.type lookups.birds.sql
  column `id` has the type `int8`, which holds numbers that i32 does not (field `id` of s.Bird, i32)
    (such a row ends in `merge.type`; widen the field or cast the column)
16 warning config.type lookups.birds.sql
  column `name` may be null, and field `name` of s.Bird is required
    (use `coalesce` in the SQL, give the field a default, or make it optional)
16 warning config.type lookups.birds.sql
  column `seen` has the type `int8`, which holds numbers that i32 does not (field `seen` of s.Bird, i32)
    (such a row ends in `merge.type`; widen the field or cast the column)
25 warning config.bad_value lookups.count.sql
  `rows = "value"` reads the first of 2 columns, `name`
    (select that one only, or use `rows = "one"`)
exit 2"#;

#[tokio::test(flavor = "local")]
async fn every_mistake_is_reported_at_its_line() {
    let server = Postgres::create();
    server.start();
    tables(&server.url()).await;
    let wrong = config(server.port, WRONG);
    assert_eq!(problems_of(&wrong, IDL, server.port), TOLD);
}

#[tokio::test(flavor = "local")]
async fn a_valid_file_passes_and_a_server_that_is_down_is_not_a_mistake() {
    let server = Postgres::create();
    server.start();
    tables(&server.url()).await;
    let good = folder(&config(server.port, GOOD), IDL, &[]);
    let checked = check(&good, server.port, &[]);
    assert_eq!(checked.stderr, "");
    assert_eq!(checked.code, 0);
    insta::assert_snapshot!(checked.stdout, @r##"
    db: connected, 5 statements prepared
    get: 6 lookups in 3 stages, deadline 1s
    "##);

    let nobody = config(server.port, GOOD).replace("connect_tests@", "nobody@");
    insta::assert_snapshot!(problems_of(&nobody, IDL, server.port), @r##"
    5 error config.bad_value backends.db
      the store refuses the connection: 127.0.0.1:PORT: role "nobody" does not exist (28000)
        (check the account and the database, and that the store admits them)
    exit 2
    "##);
    server.stop();
    let away = check(&good, server.port, &[]);
    insta::assert_snapshot!(format!("{}{}exit {}", away.stdout, away.stderr, away.code), @r##"
    error[lookup.unavailable]: `backends.db`: the store can't be reached: 127.0.0.1:PORT: error connecting to server: Connection refused (os error 111)
     --> tributary.toml:5:1
      |
    5 | [backends.db]
      | ^^^^^^^^^^^^^
      |
      = help: check that it runs, and that its address is right
      = manual: tributary manual postgres

    1 problem
    exit 1
    "##);
}
