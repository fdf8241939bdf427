//! A bad configuration is deployed; a certificate is about to expire.

use std::time::Duration;

use rustls::version::TLS13;

use super::{IDL, Incident, prints};
use crate::reload::change;
use crate::support::message::message;
use crate::support::{Authority, Redis, TlsClient, Tributary};

#[test]
fn a_bad_configuration_is_refused_and_the_old_one_stays_in_use() {
    let redis = Redis::start();
    let store = format!("kind = \"redis\"\nurl = \"redis://{}\"", redis.addr);
    let title = "A bad configuration is deployed";
    let mut incident = Incident::start(title, [&store, "get = \"page:{id}\""], "");
    let before = incident.of_port("/config?format=text");
    change(&incident.server, "kind = \"redis\"", "kind = \"rediss\"");
    let log = "not reloaded: still serving the old configuration";
    incident.assert_says(log);
    incident.server.reload(log);
    let path = incident.server.folder().join("tributary.toml");
    let path = path.to_string_lossy();
    incident.assert_quotes("error[config.bad_value]: `backends.pages.kind`", || {
        prints(&["check", "-c", &path])
    });
    incident.assert_quotes(
        "tributary_config_reloads_total{outcome=\"refused\"} 1",
        || incident.of_port("/metrics"),
    );
    assert_eq!(incident.of_port("/config?format=text"), before);
    assert_eq!(incident.text(), "none");
    incident.assert_alert(
        "TributaryConfigRefused",
        "refused a new configuration",
        || (),
    );

    change(&incident.server, "kind = \"rediss\"", "kind = \"redis\"");
    incident.server.reload("serving the reloaded configuration");
    incident.assert_quotes("tributary_config_reloads_total{outcome=\"ok\"} 1", || {
        incident.of_port("/metrics")
    });
}

#[test]
fn a_certificate_about_to_expire_is_replaced_without_a_restart() {
    let (old, new) = (Authority::new(), Authority::new());
    let week = Duration::from_hours(7 * 24);
    let expiring = old.issue_for("server.test", week);
    let config = r#"
admin = { listen = "127.0.0.1:0" }
[server]
idl = "pages.thrift"
listeners = [{ listen = "127.0.0.1:0", tls = { certificate = "server.pem", key = "server.key" } }]
[backends.pages]
kind = "file"
path = "pages.csv"
[lookups.page]
backend = "pages"
key = { id = "{id}" }
columns = ["text"]
rows = "value"
[views.page.lookups]
text = { use = "page", default = "none" }
"#;
    let files = [
        ("pages.thrift", IDL),
        ("pages.csv", "id,text\n1,text\n"),
        ("server.pem", &*expiring.certificate),
        ("server.key", &*expiring.key),
    ];
    let mut server = Tributary::start(config, &files);
    let secure = server.next_port();
    let title = "A certificate is about to expire";
    let mut incident = Incident::of(title, server);
    let mut open = TlsClient::new(&old, None, &TLS13).connect(secure);
    open.send_frame(&message(1, "page", 1, "1"));
    open.read_frame();

    incident.assert_alert(
        "TributaryCertificateExpires",
        "server.pem expires in 6d 23h",
        || (),
    );
    let metric = "tributary_certificate_expiry_timestamp_seconds{file=\"server.pem\"}";
    incident.assert_quotes(metric, || incident.of_port("/metrics"));
    let place = "server.listeners[0].tls.certificate = \"server.pem\"";
    incident.assert_quotes(place, || incident.of_port("/config?format=text"));

    // A certificate without its key is refused, and the old one is still served.
    new.issue("server.test")
        .write(incident.server.folder(), "server");
    let key = incident.server.folder().join("server.key");
    let fitting = std::fs::read(&key).expect("it was written");
    std::fs::write(&key, &*expiring.key).expect("the folder is ours");
    let path = incident.server.folder().join("tributary.toml");
    let path = path.to_string_lossy().into_owned();
    let said = prints(&["check", "-c", &path]);
    assert!(said.contains("server.key"), "{said}");
    incident.server.reload("not reloaded");
    std::fs::write(&key, fitting).expect("the folder is ours");
    assert!(
        prints(&["check", "-c", &path]).contains("ok"),
        "it is whole"
    );
    incident.server.reload("serving the reloaded configuration");
    incident.assert_no_alert("TributaryCertificateExpires", || ());
    assert_eq!(incident.text(), "text");
    let mut wire = TlsClient::new(&new, None, &TLS13).connect(secure);
    for wire in [&mut wire, &mut open] {
        wire.send_frame(&message(1, "page", 1, "1"));
        let reply = String::from_utf8_lossy(&wire.read_frame()).into_owned();
        assert!(reply.contains("text"), "{reply}");
    }
}
