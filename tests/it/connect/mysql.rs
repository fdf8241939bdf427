//! MariaDB describes statements and columns, but not the types of parameters.

use super::{over, problems_of};
use crate::support::{Mysql, free_port};

const IDL: &str = "
struct Bird {
  1: required i16 id
  2: required string name
  3: optional i32 seen
  4: optional bool tame
  5: optional double weight
  6: optional list<string> tags
}
struct Reply { 1: optional Bird bird, 2: optional list<Bird> birds, 3: optional i64 count, 4: optional string note }
service S { Reply get(1: i32 id, 2: list<string> names) }
";

const TABLES: &str = "create or replace table birds (id int unsigned primary key, name varchar(20), seen bigint, \
 tame tinyint(1), weight decimal(6,2), hatched datetime, song blob, tags json);";

fn config(port: u16, rest: &str) -> String {
    over(
        "mysql",
        &format!("mysql://root@127.0.0.1:{port}/test"),
        rest,
    )
}

const WRONG: &str = r#"
[lookups.bird]
backend = "db"
sql = "select id, name, seen, tame, weight, hatched as tags from birds where id = :id"
rows = "one"

[lookups.by_name]
backend = "db"
sql = "select id, song as seen from birds where name in (:name)"
rows = "one"
batch = { key = "name" }

[lookups.count]
backend = "db"
sql = "select hatched, id from birds where id = :id"
rows = "value"

[lookups.broken]
backend = "db"
sql = "select nme frm birds where id = :id"
rows = "value"

[views.get.lookups]
bird = "bird"
birds = { use = "by_name", foreach = "names", with = { name = "item" } }
count = "count"
note = { use = "broken", with = { id = "bird.ident" } }
"#;

const GOOD: &str = r#"
[lookups.bird]
backend = "db"
sql = "select cast(1 as signed) as seen, name, 7 as id, tame, weight + 0.5e0 as weight, tags from birds where id = :id and name is not null"
rows = "one"

[lookups.by_name]
backend = "db"
sql = "select coalesce(name, '') as name, weight, 1 as id from birds where name in (:name)"
rows = "one"
parse_text = true
batch = { key = "name" }

[lookups.count]
backend = "db"
sql = "select count(*) from birds where id = :id"
rows = "value"

[lookups.note]
backend = "db"
sql = "select hatched from birds where id = :id"
rows = "one"

[views.get.lookups]
bird = "bird"
birds = { use = "by_name", foreach = "names", with = { name = "item" } }
count = "count"
note = { use = "note", with = { id = "bird.seen" } }
"#;

/// The expected output.
const TOLD: &str = r#"11 error config.type lookups.bird.sql
  column `weight` has the type `decimal`, which can't fill field `weight` of s.Bird, double
    (set `parse_text = true` on the lookup if the text holds one)
11 error config.type lookups.bird.sql
  column `tags` has the type `datetime`, which can't fill field `tags` of s.Bird, list<string>
    (cast it in the SQL, or change the field's type)
16 error config.type lookups.by_name.sql
  no column is called `name`, and field `name` of s.Bird is required
    (select one, or make the field optional; available: `id`, `seen`)
16 error config.type lookups.by_name.sql
  column `seen` has the type `blob`, which can't fill field `seen` of s.Bird, i32
    (cast it in the SQL, or change the field's type)
18 error config.unknown_name lookups.by_name.batch
  no column is called `name` (`batch.key`)
    (available: `id`, `seen`)
22 error config.type lookups.count.sql
  column `hatched` has the type `datetime`, which can't fill i64 in view `get`
    (set `parse_text = true` on the lookup if the text holds one)
27 error config.bad_value lookups.broken.sql
  MySQL: You have an error in your SQL syntax; check the manual that corresponds to your MariaDB server version for the right syntax to use near 'birds where id = ?' at line 1 (1064)
34 error config.reference views.get.lookups.note.with.id
  no column is called `ident`
    (available: `id`, `name`, `seen`, `tame`, `weight`, `tags`)
11 warning config.type lookups.bird.sql
  column `id` has the type `int unsigned`, which holds numbers that i16 does not (field `id` of s.Bird, i16)
    (such a row ends in `merge.type`; widen the field or cast the column)
11 warning config.type lookups.bird.sql
  column `name` may be null, and field `name` of s.Bird is required
    (use `coalesce` in the SQL, give the field a default, or make it optional)
11 warning config.type lookups.bird.sql
  column `seen` has the type `bigint`, which holds numbers that i32 does not (field `seen` of s.Bird, i32)
    (such a row ends in `merge.type`; widen the field or cast the column)
16 warning config.type lookups.by_name.sql
  column `id` has the type `int unsigned`, which holds numbers that i16 does not (field `id` of s.Bird, i16)
    (such a row ends in `merge.type`; widen the field or cast the column)
22 warning config.bad_value lookups.count.sql
  `rows = "value"` reads the first of 2 columns, `hatched`
    (select that one only, or use `rows = "one"`)
exit 2"#;

#[test]
fn every_mistake_is_reported_at_its_line_and_a_valid_file_passes() {
    let port = free_port();
    let Ok(server) = Mysql::start_on(port, Mysql::data(TABLES)) else {
        panic!("the port is still free")
    };
    assert_eq!(problems_of(&config(port, WRONG), IDL, port), TOLD);

    // A column that fits only for some values is not an error.
    let good = config(port, GOOD);
    insta::assert_snapshot!(problems_of(&good, IDL, port), @r##"
    11 warning config.type lookups.bird.sql
      column `id` has the type `int`, which holds numbers that i16 does not (field `id` of s.Bird, i16)
        (such a row ends in `merge.type`; widen the field or cast the column)
    11 warning config.type lookups.bird.sql
      column `name` may be null, and field `name` of s.Bird is required
        (use `coalesce` in the SQL, give the field a default, or make it optional)
    16 warning config.type lookups.by_name.sql
      column `id` has the type `int`, which holds numbers that i16 does not (field `id` of s.Bird, i16)
        (such a row ends in `merge.type`; widen the field or cast the column)
    exit 0
    "##);

    let nobody = good.replace("root@", "nobody:secret@");
    insta::assert_snapshot!(problems_of(&nobody, IDL, port), @r##"
    5 error config.bad_value backends.db
      the store refuses the connection: 127.0.0.1:PORT: MySQL: Access denied for user 'nobody'@'localhost' (using password: YES) (1045)
        (check the account and the database, and that the store admits them)
    exit 2
    "##);
    drop(server);
    insta::assert_snapshot!(problems_of(&good, IDL, port), @r##"
    5 error lookup.unavailable backends.db
      the store can't be reached: 127.0.0.1:PORT: MySQL: Connection refused (os error 111)
        (check that it runs, and that its address is right)
    exit 1
    "##);
}
