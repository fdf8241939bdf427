//! Which stream gets which text, in colour or not, and what happens if a stream can't be written.

use super::testing::{captured, failing};
use super::*;

#[test]
fn data_and_messages_go_to_different_streams() {
    let (mut out, data, rest) = captured();
    out.data("{}");
    out.note("a note\n");
    out.error("no such thing", Some("name another"));
    assert_eq!(out.finish(ExitStatus::Done), ExitStatus::Done);
    assert_eq!(data.text(), "{}\n");
    assert_eq!(
        rest.text(),
        "a note\nerror: no such thing\n  help: name another\n"
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let (mut out, rest) = failing(io::ErrorKind::BrokenPipe);
    out.data("one");
    out.data("two");
    assert_eq!(out.finish(ExitStatus::Done), ExitStatus::Done);
    assert_eq!(rest.text(), "");
}

#[test]
fn a_full_disk_is_an_error() {
    let (mut out, rest) = failing(io::ErrorKind::StorageFull);
    out.data("one");
    assert_eq!(out.finish(ExitStatus::Done), ExitStatus::Failed);
    assert!(
        rest.text().starts_with("error: can't write to stdout: "),
        "{}",
        rest.text()
    );
}

#[test]
fn color_follows_the_option_before_anything_else() {
    let (mut out, _, rest) = captured();
    out.set_color(Color::Auto);
    assert!(!out.data_color(), "not a terminal");
    out.set_color(Color::Always);
    assert!(out.data_color() && out.note_color());
    out.error("red", None);
    assert_eq!(rest.text(), "\x1b[1;31merror\x1b[0m: red\n");
}

#[test]
fn width_comes_from_columns_and_then_from_the_terminal() {
    assert_eq!(width_of(Some("132"), Some(80)), 132);
    assert_eq!(width_of(Some("3"), None), WIDTH_MIN);
    assert_eq!(width_of(Some("wide"), Some(80)), 80);
    assert_eq!(width_of(None, Some(80)), 80);
    assert_eq!(width_of(None, None), WIDTH);
}
