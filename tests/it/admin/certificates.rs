//! A scrape tells when certificates expire, and a reload changes that.

use std::fs;

use super::get;
use super::scrape::Scrape;
use crate::support::{Authority, Tributary};

#[test]
fn a_scrape_tells_when_the_served_certificates_expire() {
    let authority = Authority::new();
    let old = authority.issue_expired("localhost");
    let config = r#"
admin = { listen = "127.0.0.1:0" }
[server]
idl = "s.thrift"
unserved = "*"
listeners = [{ listen = "127.0.0.1:0", tls = { certificate = "server.pem", key = "server.key", client_ca = "clients.pem" } }]
"#;
    let two = format!("{}{}", authority.pem, Authority::new().pem);
    let files = [
        ("s.thrift", "service S { void ping() }"),
        ("server.pem", &*old.certificate),
        ("server.key", &*old.key),
        ("clients.pem", &*two),
    ];
    let mut server = Tributary::start(config, &files);
    let admin = server.admin();
    let name = "tributary_certificate_expiry_timestamp_seconds";
    let expiry = || {
        let scrape = Scrape::read(&get(admin, "/metrics").1);
        assert_eq!(scrape.series(name, &[]), 1, "of many authorities, none");
        scrape.count(name, &[("file", "server.pem")])
    };
    assert_eq!(expiry(), 946_684_800, "the first day of 2000");

    let new = authority.issue("localhost");
    for (file, content) in [("server.pem", &new.certificate), ("server.key", &new.key)] {
        fs::write(server.folder().join(file), content).expect("the folder is ours");
    }
    server.reload("serving the reloaded");
    assert!(expiry() > 4_000_000_000, "a date far away");
}
