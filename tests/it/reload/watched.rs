//! `server.reload = "on_change"`: files that change are loaded without a signal, and broken ones are not.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::change;
use crate::admin::{get, patiently, scrape::Scrape};
use crate::secure::Secured;
use crate::support::Tributary;
use crate::support::airports::{CONFIG, FILES, IDL};
use crate::support::message::message;

const SERVES: &str = "serving the reloaded configuration";

/// The configuration of the airports, whose files are watched.
fn watched() -> String {
    let keys = "[server]\nreload = \"on_change\"\nreload_jitter = \"0s\"";
    let admin = "admin = { listen = \"127.0.0.1:0\" }\n";
    admin.to_owned() + &CONFIG.replace("[server]", keys)
}

fn write(server: &Tributary, name: &str, text: &str) {
    fs::write(server.folder().join(name), text).expect("the folder is ours");
}

/// What the server replies to `get`.
fn airport(server: &Tributary, code: &str) -> String {
    let mut wire = server.connect();
    wire.send_frame(&message(1, "get", 1, code));
    String::from_utf8_lossy(&wire.read_frame()).into_owned()
}

#[test]
fn each_file_of_the_configuration_is_loaded_when_it_changes() {
    let config = watched().replace("idl = ", "tokens = { batch = \"file:token\" }\nidl = ");
    let token = ("token", "0123456789abcdef\n");
    let idl = format!("include \"more.thrift\"\n{IDL}");
    let more = ("more.thrift", "struct More { 1: string x }\n");
    let files = [FILES[1], token, more, ("airports.thrift", &idl)];
    let mut server = Tributary::start(&config, &files);
    let admin = server.admin();

    change(
        &server,
        "key = { code = \"{code}\" }\nrows = \"one\"\ninject",
        "key = { code = \"LAX\" }\nrows = \"one\"\ninject",
    );
    server.wait_for_line(SERVES);
    for (name, text) in [
        ("token", "fedcba9876543210\n"),
        ("more.thrift", "struct More { 1: string y }\n"),
        ("airports.thrift", IDL),
    ] {
        write(&server, name, text);
        server.wait_for_line(SERVES);
    }
    // A table is not part of the configuration: it is read at the next reload.
    write(&server, "airports.csv", "code,name\nJFK,Idlewild\n");
    write(&server, "more.thrift", "struct More { 1: string z }\n");
    change(
        &server,
        "rows = \"one\"\ninject",
        "rows = \"one\"\n\ninject",
    );
    server.wait_for_line(SERVES);
    assert!(airport(&server, "JFK").contains("Idlewild"));
    let count = |name, labels: &[_]| Scrape::read(&get(admin, "/metrics").1).count(name, labels);
    let ok = [("outcome", "ok")];
    patiently(|| count("tributary_config_reloads_total", &ok) == 5);
    let (_, log) = server.stop("TERM");
    let changes = "a file of the configuration has changed";
    assert_eq!(log.matches(changes).count(), 5, "{log}");
}

#[test]
fn a_file_that_is_half_written_is_refused_once_and_loaded_when_it_is_complete() {
    let mut server = Tributary::start(&watched(), &FILES);
    let admin = server.admin();
    let path = server.folder().join("tributary.toml");
    let whole = fs::read_to_string(&path).expect("it is there");
    let whole = whole.replace("[lookups.airport]", "[lookups.airport]\nin_flight_max = 5");
    let (half, _) = whole.split_once("in_flight_max = 5").expect("it is there");

    fs::write(&path, format!("{half}in_flight")).expect("the folder is ours");
    server.wait_for_line("not reloaded: still serving the old configuration");
    assert!(airport(&server, "JFK").contains("Kennedy"));
    // What was refused is not tried again as long as it stays the same.
    let refused = || Scrape::read(&get(admin, "/metrics").1);
    let refused = || refused().count("tributary_config_reloads_total", &[("outcome", "refused")]);
    patiently(|| refused() == 1);
    fs::write(&path, &whole).expect("the folder is ours");
    server.wait_for_line(SERVES);
    assert_eq!(refused(), 1);
}

/// A table that does not fit is why the reading fails: its file counts until the reading succeeds.
#[test]
fn a_configuration_that_came_before_its_other_files_is_loaded_once_they_are_there() {
    let mut server = Tributary::start(&watched(), &FILES);
    let next = fs::read_to_string(server.folder().join("tributary.toml")).expect("it is there");
    let next = next.replace("airports.", "next.");
    write(&server, "tributary.toml", &next);
    server.wait_for_line("not reloaded");
    write(&server, "next.thrift", IDL);
    server.wait_for_line("not reloaded");
    write(&server, "next.csv", "code,name\nJFK,Idlewild\n");
    server.wait_for_line(SERVES);
    assert!(airport(&server, "JFK").contains("Idlewild"));
}

/// Kubernetes mounts a folder whose files are links through the link `..data`, which it swaps.
#[test]
fn files_behind_a_link_that_is_swapped_are_loaded_together() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let lay_out = |version: &str, name: &str| {
        fs::create_dir(at(version)).expect("the folder is ours");
        let csv = format!("code,name\nJFK,{name}\n");
        let config = watched().replace("airports.csv", &format!("{name}.csv"));
        let files = [("airports.thrift", IDL), (&format!("{name}.csv"), &csv)];
        for (file, text) in files.into_iter().chain([("tributary.toml", &*config)]) {
            fs::write(at(version).join(file), text).expect("the folder is ours");
        }
    };
    let swap = |version: &str| {
        symlink(version, at("..next")).expect("the folder is ours");
        fs::rename(at("..next"), at("..data")).expect("the folder is ours");
    };
    lay_out("..v1", "Idlewild");
    swap("..v1");
    for file in [
        "airports.thrift",
        "Idlewild.csv",
        "Kennedy.csv",
        "tributary.toml",
    ] {
        symlink(Path::new("..data").join(file), at(file)).expect("the folder is ours");
    }
    let mut server = Tributary::serve(folder, &[]);
    assert!(airport(&server, "JFK").contains("Idlewild"));

    let port = fs::read_to_string(server.folder().join("tributary.toml")).expect("it is there");
    let at = |name: &str| server.folder().join(name);
    fs::create_dir(at("..v2")).expect("the folder is ours");
    for (file, text) in [
        ("airports.thrift", IDL),
        ("Kennedy.csv", "code,name\nJFK,Kennedy\n"),
        ("tributary.toml", &port.replace("Idlewild", "Kennedy")),
    ] {
        fs::write(at("..v2").join(file), text).expect("the folder is ours");
    }
    symlink("..v2", at("..next")).expect("the folder is ours");
    fs::rename(at("..next"), at("..data")).expect("the folder is ours");
    fs::remove_dir_all(at("..v1")).expect("the folder is ours");
    server.wait_for_line(SERVES);
    assert!(airport(&server, "JFK").contains("Kennedy"));
    let (_, log) = server.stop("TERM");
    assert!(!log.contains("not reloaded"), "{log}");
}

#[test]
fn certificates_that_change_are_served_to_new_connections() {
    let mut secured = Secured::serve(&watched(), "");
    let call = message(1, "get", 1, "JFK");
    let mut old = secured.client(None).connect(secured.addr);
    old.send_frame(&call);
    old.read_frame();

    let next = secured.authority.issue("next.test");
    next.write(secured.server.folder(), "server");
    secured.server.wait_for_line(SERVES);
    old.send_frame(&call);
    assert!(String::from_utf8_lossy(&old.read_frame()).contains("Kennedy"));
    // The new certificate is for another name.
    let mut new = secured.client(None).connect(secured.addr);
    let refused = new
        .try_send_frame(&call)
        .and_then(|()| new.try_read_frame());
    let why = refused.expect_err("another name").to_string();
    assert!(
        why.contains("next.test") || why.contains("certificate"),
        "{why}"
    );
}

#[test]
fn a_reload_by_signal_starts_and_ends_the_watch() {
    let mut server = Tributary::start(CONFIG, &FILES);
    let on = "[server]\nreload = \"on_change\"\nreload_jitter = \"0s\"";
    change(&server, "[server]", on);
    server.reload(SERVES);
    change(&server, on, "[server]\nreload = \"on_signal\"");
    server.wait_for_line(SERVES);
    change(&server, "on_signal", "on_signal\" # ");
    server.reload(SERVES);
    let (_, log) = server.stop("TERM");
    assert_eq!(log.matches("has changed").count(), 1, "{log}");
}
