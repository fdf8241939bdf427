//! What is said of a store that can't be reached: its address, and which side has to change what.

use super::{check, folder, over, problems_of};
use crate::support::{Mysql, Postgres, free_port};

const IDL: &str = "service S { list<string> get(1: i32 id) }";

/// A lookup that selects something.
const REST: &str = "[lookups.get]\nbackend = \"db\"\nsql = \"select 'x' as x where 1 = :id\"\n\
                    [views.get.lookups]\nget = \"get\"\n";

#[test]
fn the_address_of_a_database_that_is_down_is_told_and_never_the_password() {
    let port = free_port();
    for (kind, url) in [
        (
            "postgres",
            format!("postgresql://me:secret@127.0.0.1:{port}/ops"),
        ),
        ("mysql", format!("mysql://me:secret@127.0.0.1:{port}/ops")),
    ] {
        let told = problems_of(&over(kind, &url, REST), IDL, port);
        assert!(told.contains("127.0.0.1:PORT: "), "{told}");
        assert!(told.contains("Connection refused"), "{told}");
        assert!(!told.contains("secret"), "{told}");
    }
    let hosts = format!("postgresql://me:secret@127.0.0.1:{port},localhost:{port}/ops");
    let told = problems_of(&over("postgres", &hosts, REST), IDL, port);
    assert!(told.contains("127.0.0.1:PORT, localhost:PORT: "), "{told}");
}

#[test]
fn a_server_without_tls_refuses_it() {
    let server = Postgres::create();
    server.start();
    let url = format!("{}?sslmode=require", server.url());
    let told = problems_of(&over("postgres", &url, REST), IDL, server.port);
    insta::assert_snapshot!(told, @r##"
    5 error lookup.unavailable backends.db
      the store can't be reached: 127.0.0.1:PORT: error performing TLS handshake: server does not support TLS
        (turn on TLS at the server (`ssl = on`), or connect without it (`sslmode=disable` in the URL))
    exit 1
    "##);

    let port = free_port();
    let Ok(_server) = Mysql::start_on(port, Mysql::data("")) else {
        panic!("the port is still free")
    };
    let url = format!("mysql://root@127.0.0.1:{port}/test?ssl-mode=REQUIRED");
    let told = problems_of(&over("mysql", &url, REST), IDL, port);
    insta::assert_snapshot!(told, @r##"
    5 error lookup.unavailable backends.db
      the store can't be reached: 127.0.0.1:PORT: TLS was asked for, and the server does not have this capability
        (turn on TLS at the server, or connect without it (`ssl-mode=DISABLED` in the URL))
    exit 1
    "##);
}

#[test]
fn a_missing_file_is_told_with_the_place_where_it_was_looked_for() {
    let config = format!(
        "[server]\nidl = \"s.thrift\"\n[backends.db]\nkind = \"sqlite\"\npath = \"data/birds.db\"\n{REST}"
    );
    let folder = folder(&config, IDL, &[]);
    // The test removes the folder from the path.
    let told = check(&folder, 0, &["--format", "json"]).lines();
    insta::assert_snapshot!(told, @r##"
    3 error lookup.unavailable backends.db
      the store can't be reached: there is no file data/birds.db
        (create it, or correct `path`, which begins at the folder of the configuration)
    exit 1
    "##);
}

#[test]
fn a_password_that_has_to_be_encoded_is_not_taken_for_a_host() {
    for (kind, url) in [
        ("postgres", "postgresql://me:s3cr@t@db/ops"),
        ("postgres", "postgresql://me:s3cr/t@db/ops"),
        ("mysql", "mysql://me:s3cr/t@db/ops"),
        ("redis", "redis://:s3cr/t@db/0"),
    ] {
        let told = problems_of(&over(kind, url, ""), IDL, u16::MAX);
        assert!(told.contains("config.bad_value backends.db.url"), "{told}");
        assert!(told.contains("percent-encode them"), "{told}");
        assert!(!told.contains("s3cr"), "{told}");
    }
}
