//! What is on the screen, in every state and in small terminals.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyModifiers};

use super::super::figures::tests::sample;
use super::*;

fn app(color: bool) -> App {
    let mut app = App::new("127.0.0.1:9091".into(), color);
    app.hear(Ok(sample(0)));
    app.hear(Ok(sample(2)));
    app
}

/// The screen of a terminal of this size.
fn screen(app: &App, (width, height): (u16, u16)) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    terminal.draw(|frame| draw(frame, app)).expect("it draws");
    terminal
}

fn text(app: &App, size: (u16, u16)) -> String {
    screen(app, size).backend().to_string()
}

#[test]
fn methods_stores_and_loops_are_on_one_screen() {
    insta::assert_snapshot!(text(&app(false), (84, 18)), @r#"
    "tributary 0.1.0 at 127.0.0.1:9091  ready  1110 calls/s  12 in flight  4 connections "
    "refused or left out: overloaded: waiting 14/s                                       "
    "method                        calls/s v   partial/s   failed/s        p50        p99"
    "getAirport                          800           0          0    0.50 ms    0.99 ms"
    "getBoard                            200          20          0    55.0 ms    99.1 ms"
    "getDeparture                        110           0         10    5.50 ms    9.91 ms"
    "neverCalled                           0           0          0          -          -"
    "                                                                                    "
    "                                                                                    "
    "                                                                                    "
    "store                  state          lookups/s  failed/s  in flight  waiting  cache"
    "ops                    up                  2400         0          3        0   75 %"
    "weather                down                 620        20          3        0       "
    "  10.0.0.1:80          up                   300         0                           "
    "  10.0.0.2:80          not asked            320        20                           "
    "loop                                                 busy          lag   largest lag"
    "0                                                    42 %      0.12 ms       4.30 ms"
    "q end  s sort  r reverse  / filter  p pause  ? keys                                 "
    "#);
}

#[test]
fn keys_are_explained_above_the_figures() {
    let mut app = app(false);
    app.press(KeyCode::Char('?'), KeyModifiers::NONE);
    insta::assert_snapshot!(text(&app, (84, 18)), @r#"
    "tributary 0.1.0 at 127.0.0.1:9091  ready  1110 calls/s  12 in flight  4 connections "
    "refused or left out: overloaded: waiting 14/s                                       "
    "method                        calls/s v   partial/s   failed/s        p50        p99"
    "getAirport                          800           0          0    0.50 ms    0.99 ms"
    "getBoard     ┌ keys ──────────────────────────────────────────────────┐ms    99.1 ms"
    "getDeparture │s          sort methods by the next column              │ms    9.91 ms"
    "neverCalled  │r          turn the order around                        │ -          -"
    "             │/          show only names with the text that you type  │             "
    "             │           (Enter keeps it, Esc removes it)             │             "
    "             │up, down   scroll the methods; page up, page down       │             "
    "store        │p          pause                                        │aiting  cache"
    "ops          │q, Esc     end                                          │     0   75 %"
    "weather      │any other key closes this                               │     0       "
    "  10.0.0.1:80└────────────────────────────────────────────────────────┘             "
    "  10.0.0.2:80          not asked            320        20                           "
    "loop                                                 busy          lag   largest lag"
    "0                                                    42 %      0.12 ms       4.30 ms"
    "q end  s sort  r reverse  / filter  p pause  ? keys                                 "
    "#);
}

#[test]
fn a_server_that_is_gone_leaves_its_last_figures_and_says_so() {
    let mut app = app(false);
    app.hear(Err(
        "the admin port 127.0.0.1:9091: Connection refused".into()
    ));
    let text = text(&app, (84, 18));
    let why = "no new figures: the admin port 127.0.0.1:9091: Connection refused";
    assert!(text.contains(why) && text.contains("getAirport"), "{text}");
    let mut never = App::new("127.0.0.1:9091".into(), false);
    assert!(self::text(&never, (84, 18)).contains("tributary at 127.0.0.1:9091: connecting"));
    never.hear(Err("needs a token".into()));
    assert!(self::text(&never, (84, 18)).contains("tributary at 127.0.0.1:9091: needs a token"));
}

#[test]
fn only_what_is_wrong_is_red_and_nothing_without_colours() {
    let red = |color: bool| {
        let terminal = screen(&app(color), (84, 18));
        let buffer = terminal.backend().buffer().clone();
        let cells = buffer.content.iter().filter(|cell| cell.fg != Color::Reset);
        let text: String = cells.map(ratatui::buffer::Cell::symbol).collect();
        text.replace(' ', "")
    };
    assert_eq!(red(false), "");
    let shown = red(true);
    for wrong in ["down", "notasked", "refused", "20"] {
        assert!(shown.contains(wrong), "{wrong}: {shown}");
    }
    assert!(
        !shown.contains("ready") && !shown.contains("getAirport"),
        "{shown}"
    );
}

#[test]
fn any_size_of_terminal_is_drawn() {
    let mut app = app(true);
    app.press(KeyCode::Char('?'), KeyModifiers::NONE);
    for width in [1, 2, 20, 80, 300] {
        for height in [1, 2, 5, 24, 100] {
            let _drawn = text(&app, (width, height));
        }
    }
}

#[test]
fn methods_scroll_as_far_as_the_last_one() {
    let mut app = app(false);
    for _ in 0..20 {
        app.press(KeyCode::Down, KeyModifiers::NONE);
    }
    let text = text(&app, (84, 13));
    assert!(
        text.contains("neverCalled") && !text.contains("getAirport"),
        "{text}"
    );
}
