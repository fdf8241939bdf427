//! Stores that describe less: SQLite files, Redis, memcached, HTTP servers and tables.

use std::net::TcpListener;

use super::{check, folder};
use crate::support::{Memcached, Redis, free_port};

const IDL: &str = "
struct Bird { 1: required string name, 2: optional i32 seen, 3: optional i32 weight, 4: optional list<i32> years }
struct Reply {
  1: optional Bird bird
  2: optional string note
  3: optional map<string, string> tags
  4: optional string song
  5: optional string page
  6: optional Bird nest
}
service S { Reply get(1: i32 id) }
";

const SQLITE: &str = r#"
[server]
idl = "s.thrift"

[backends.db]
kind = "sqlite"
path = "birds.db"

[lookups.bird]
backend = "db"
sql = "select nme, seen, weight, hatched as years from birds where id = :id"
rows = "one"

[lookups.note]
backend = "db"
sql = "select seen from birds where id = :id"
rows = "value"

[views.get.lookups]
bird = "bird"
note = { use = "note", with = { id = "bird.name" } }
"#;

fn sqlite(folder: &tempfile::TempDir) {
    let database = rusqlite::Connection::open(folder.path().join("birds.db")).expect("a file");
    let tables = "create table birds (id integer primary key, nme text, seen bigint, weight varchar(9), hatched)";
    database.execute_batch(tables).expect("good SQL");
}

#[test]
fn sqlite_describes_names_and_declared_types() {
    let folder = folder(SQLITE, IDL, &[]);
    sqlite(&folder);
    let checked = check(&folder, 0, &["--format", "json"]);
    insta::assert_snapshot!(checked.lines(), @r##"
    11 error config.type lookups.bird.sql
      no column is called `name`, and field `name` of s.Bird is required
        (select `nme as name`)
    11 error config.type lookups.bird.sql
      column `weight` has the type `varchar(9)`, which can't fill field `weight` of s.Bird, i32
        (set `parse_text = true` on the lookup if the text holds one)
    21 error config.reference views.get.lookups.note.with.id
      no column is called `name`
        (did you mean `nme`?)
    16 warning config.type lookups.note.sql
      column `seen` has the type `bigint`, which can't fill string in view `get`
        (cast it in the SQL, or change the field's type)
    exit 2
    "##);
    std::fs::remove_file(folder.path().join("birds.db")).expect("it is there");
    let away = check(&folder, 0, &["--format", "json"]);
    insta::assert_snapshot!(away.lines(), @r##"
    5 error lookup.unavailable backends.db
      the store can't be reached: there is no file birds.db
        (create it, or correct `path`, which begins at the folder of the configuration)
    exit 1
    "##);
}

fn config(redis: &str, memcached: u16, http: u16) -> String {
    format!(
        r#"
[server]
idl = "s.thrift"
[backends.cache]
kind = "redis"
url = "redis://{redis}"
[backends.songs]
kind = "memcached"
servers = ["127.0.0.1:{memcached}"]
[backends.pages]
kind = "http"
url = "http://127.0.0.1:{http}/v1"
[backends.nests]
kind = "file"
path = "nests.csv"
[lookups.note]
backend = "cache"
get = "note:{{id}}"
[lookups.tags]
backend = "cache"
hgetall = "tags:{{id}}"
[lookups.song]
backend = "songs"
get = "song:{{id}}"
[lookups.page]
backend = "pages"
get = "/bird/{{id}}"
format = "text"
[lookups.nest]
backend = "nests"
key = {{ id = "{{id}}" }}
rows = "one"
[views.get.lookups]
note = "note"
tags = "tags"
song = "song"
page = "page"
nest = "nest"
"#
    )
}

#[test]
fn stores_without_statements_are_reached_and_asked_nothing() {
    let redis = Redis::start();
    let memcached = Memcached::start();
    let http = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let http_port = http.local_addr().expect("it is bound").port();
    let files = [("nests.csv", "id,name\n1,oak\n")];
    let all = |redis: &str, memcached| folder(&config(redis, memcached, http_port), IDL, &files);
    let good = check(&all(&redis.addr.to_string(), memcached.addr.port()), 0, &[]);
    assert_eq!((good.code, &*good.stderr), (0, ""));
    insta::assert_snapshot!(good.stdout, @r##"
    cache: connected, permissions of the commands read
    songs: the server answered
    pages: connected, no request was made
    nests: read with the configuration
    get: 5 lookups in 1 stage, deadline 1s
    "##);
    assert_eq!(redis.asked("get") + redis.asked("hgetall"), 0);

    // A user who may not run every command, and a server that is down.
    redis
        .run("acl setuser reader on >secret ~* +get +ping +hello +acl|whoami +acl|dryrun +command");
    let gone = free_port();
    let url = format!("reader:secret@{}", redis.addr);
    let checked = check(&all(&url, gone), gone, &["--format", "json"]);
    insta::assert_snapshot!(checked.lines(), @r##"
    7 error lookup.unavailable backends.songs
      the store can't be reached: 127.0.0.1:PORT: Connection refused (os error 111)
        (check that it runs, and that its address is right)
    21 error config.bad_value lookups.tags.hgetall
      Redis: This user has no permissions to run the 'hgetall' command
    exit 2
    "##);
    let url = format!("reader:wrong@{}", redis.addr);
    let refused = check(&all(&url, memcached.addr.port()), 0, &["--format", "json"]);
    insta::assert_snapshot!(refused.lines(), @r##"
    4 error config.bad_value backends.cache
      the store refuses the connection: 127.0.0.1:PORT: WRONGPASS invalid username-password pair or user is disabled.
        (check the account and the database, and that the store admits them)
    exit 2
    "##);
    drop(http);
    drop(redis);
    let away = check(
        &all(&format!("127.0.0.1:{gone}"), gone),
        gone,
        &["--format", "json"],
    );
    insta::assert_snapshot!(away.lines(), @r##"
    4 error lookup.unavailable backends.cache
      the store can't be reached: 127.0.0.1:PORT: Connection refused (os error 111)
        (check that it runs, and that its address is right)
    7 error lookup.unavailable backends.songs
      the store can't be reached: 127.0.0.1:PORT: Connection refused (os error 111)
        (check that it runs, and that its address is right)
    10 error lookup.unavailable backends.pages
      the store can't be reached: 127.0.0.1:PORT: tcp connect error: Connection refused (os error 111)
        (check that it runs, and that its address is right)
    exit 1
    "##);
}
