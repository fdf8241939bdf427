//! The `Tributary` service in a configuration: it needs no keys, and few mistakes are possible.

use super::{CONFIG, IDL, after, problems_of};

/// The IDL, whose service extends the standard include's.
fn extended() -> String {
    let idl = IDL.replace(
        "service Flights {",
        "service Flights extends tributary.Tributary {",
    );
    format!("include 'tributary.thrift'\n{idl}")
}

#[test]
fn inherited_methods_need_no_views_and_may_be_unserved() {
    assert_eq!(problems_of(CONFIG, &extended()), "");
    let unserved = CONFIG.replace("[server]", "[server]\nunserved = [\"fetch\"]");
    assert_eq!(problems_of(&unserved, &extended()), "");
}

#[test]
fn a_view_of_a_method_that_the_server_answers_itself() {
    let config = format!("{CONFIG}\n[views.health.lookups]\nstate = \"weather\"\n");
    insta::assert_snapshot!(problems_of(&config, &extended()), @"
    error[config.clash]: `views.health`: method `health` is served by the server itself
      --> tributary.toml:56:8
       |
    56 | [views.health.lookups]
       |        ^^^^^^
       |
       = help: remove the view
       = manual: tributary manual views
    ");
}

#[test]
fn a_switch_is_true_or_false() {
    let server = after("[server]", "[server]\nmeta = \"off\"");
    assert!(
        server.contains("`server.meta`: expected `true` or `false`, found a string"),
        "{server}"
    );
    let listener = "[[server.listeners]]\nlisten = \":::1\"\nmeta = 0\n\n[backends.ops]";
    let listener = after("[backends.ops]", listener);
    assert!(
        listener.contains("`server.listeners[0].meta`: expected"),
        "{listener}"
    );
}
