//! Draws the screen: the state of the server, methods, stores, event loops, and the keys. It decides nothing.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Row, Table};

use super::app::{App, Column, Mode};
use super::figures::Figures;

/// Rows of stores and of loops, besides their heads; methods get the rest.
const STORES_MAX: usize = 14;
const LOOPS_MAX: usize = 8;

const KEYS: &str = "q end  s sort  r reverse  / filter  p pause  ? keys";
const HELP: &str = "\
s          sort methods by the next column
r          turn the order around
/          show only names with the text that you type
           (Enter keeps it, Esc removes it)
up, down   scroll the methods; page up, page down
p          pause
q, Esc     end
any other key closes this";

pub(super) fn draw(frame: &mut Frame<'_>, app: &App) {
    let area = frame.area();
    let Some(figures) = &app.figures else {
        let why = app.trouble.as_deref().unwrap_or("connecting");
        let text = format!("tributary at {}: {why}", app.addr);
        frame.render_widget(
            Paragraph::new(text).style(bad(app, app.trouble.is_some())),
            area,
        );
        return;
    };
    let stores = app.stores();
    let rows = |count: usize, most: usize| Constraint::Length(1 + narrow(count.min(most)));
    let [head, trouble, methods, of_stores, of_loops, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(2),
        rows(stores.len(), STORES_MAX),
        rows(figures.loops.len(), LOOPS_MAX),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(head_line(app, figures), head);
    frame.render_widget(trouble_line(app, figures), trouble);
    draw_methods(frame, app, methods);
    draw_stores(frame, app, of_stores);
    draw_loops(frame, app, (figures, of_loops));
    frame.render_widget(foot_line(app), foot);
    if app.mode == Mode::Help {
        draw_help(frame, area);
    }
}

fn narrow(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

/// The style of what is wrong.
fn bad(app: &App, is_bad: bool) -> Style {
    match (is_bad, app.color) {
        (false, _) => Style::new(),
        (true, true) => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
        (true, false) => Style::new().add_modifier(Modifier::BOLD),
    }
}

fn title() -> Style {
    Style::new().add_modifier(Modifier::REVERSED)
}

fn head_line<'a>(app: &App, figures: &'a Figures) -> Paragraph<'a> {
    let state = Span::styled(&*figures.state, bad(app, figures.state != "ready"));
    let numbers = format!(
        "  {} calls/s  {} in flight  {} connections",
        rate(figures.rate),
        figures.calls_in_flight,
        figures.connections
    );
    let mut line = vec![
        Span::raw(format!("tributary {} at {}  ", figures.version, app.addr)),
        state,
        Span::raw(numbers),
    ];
    if app.is_paused {
        line.push(Span::styled(
            "  paused",
            Style::new().add_modifier(Modifier::BOLD),
        ));
    }
    Paragraph::new(Line::from(line))
}

/// Why the figures are old; otherwise what is refused.
fn trouble_line<'a>(app: &App, figures: &Figures) -> Paragraph<'a> {
    let text = match &app.trouble {
        Some(why) => format!("no new figures: {why}"),
        None if figures.refused.is_empty() => String::new(),
        None => {
            let each = figures.refused.iter();
            let each = each.map(|(reason, of)| format!("{reason} {}/s", rate(*of)));
            format!(
                "refused or left out: {}",
                each.collect::<Vec<_>>().join(", ")
            )
        }
    };
    Paragraph::new(text).style(bad(app, true))
}

fn draw_methods(frame: &mut Frame<'_>, app: &App, area: Rect) {
    let methods = app.methods();
    let head = |column: Column| {
        let mark = match (column == app.sort, app.is_reversed) {
            (false, _) => "",
            (true, false) => " v",
            (true, true) => " ^",
        };
        format!("{}{mark}", column.title())
    };
    let columns = [
        Column::Rate,
        Column::Partial,
        Column::Failed,
        Column::P50,
        Column::P99,
    ];
    let mut heads = vec![Line::from(head(Column::Name))];
    heads.extend(columns.map(|column| right(head(column))));
    // Those that are scrolled away are above the first row.
    let room = usize::from(area.height.saturating_sub(1));
    let from = app.scroll.min(methods.len().saturating_sub(room));
    let rows = methods.iter().skip(from).map(|of| {
        Row::new([
            Line::from(of.name.clone()),
            right(rate(of.rate)),
            right(rate(of.partial)).style(bad(app, of.partial > 0.0)),
            right(rate(of.failed)).style(bad(app, of.failed > 0.0)),
            right(of.p50.map_or_else(|| "-".into(), ms)),
            right(of.p99.map_or_else(|| "-".into(), ms)),
        ])
    });
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(11),
        Constraint::Length(11),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Length(10),
    ];
    frame.render_widget(
        Table::new(rows, widths).header(Row::new(heads).style(title())),
        area,
    );
}

fn draw_stores(frame: &mut Frame<'_>, app: &App, area: Rect) {
    let heads =
        ["lookups/s", "failed/s", "in flight", "waiting", "cache"].map(|of| right(of.into()));
    let mut head = vec![Line::from("store"), Line::from("state")];
    head.extend(heads);
    let number = |of: Option<u64>| right(of.map(|of| of.to_string()).unwrap_or_default());
    let rows = app.stores().into_iter().map(|of| {
        let name = match &of.endpoint {
            Some(endpoint) => format!("  {endpoint}"),
            None => of.backend.clone(),
        };
        let cached = of.cached.map(|share| format!("{:.0} %", share * 100.0));
        Row::new([
            Line::from(name),
            Line::styled(of.state, bad(app, of.state != "up")),
            right(rate(of.rate)),
            right(rate(of.failed)).style(bad(app, of.failed > 0.0)),
            number(of.in_flight),
            number(of.waiting).style(bad(app, of.waiting > Some(0))),
            right(cached.unwrap_or_default()),
        ])
    });
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(13),
        Constraint::Length(10),
        Constraint::Length(9),
        Constraint::Length(10),
        Constraint::Length(8),
        Constraint::Length(6),
    ];
    frame.render_widget(
        Table::new(rows, widths).header(Row::new(head).style(title())),
        area,
    );
}

fn draw_loops(frame: &mut Frame<'_>, app: &App, (figures, area): (&Figures, Rect)) {
    let mut head = vec![Line::from("loop")];
    head.extend(["busy", "lag", "largest lag"].map(|of| right(of.into())));
    let rows = figures.loops.iter().map(|of| {
        Row::new([
            Line::from(of.number.clone()),
            right(format!("{:.0} %", of.busy * 100.0)).style(bad(app, of.busy > 0.85)),
            right(ms(of.lag_us)),
            right(ms(of.lag_max_us)),
        ])
    });
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(8),
        Constraint::Length(12),
        Constraint::Length(13),
    ];
    frame.render_widget(
        Table::new(rows, widths).header(Row::new(head).style(title())),
        area,
    );
}

fn foot_line(app: &App) -> Paragraph<'static> {
    let text = match (&app.filter, app.mode == Mode::Typing) {
        (filter, true) => format!("/{filter}_  (Enter keeps it, Esc removes it)"),
        (filter, false) if !filter.is_empty() => format!("{KEYS}  only /{filter}"),
        _ => KEYS.to_owned(),
    };
    Paragraph::new(text)
}

fn draw_help(frame: &mut Frame<'_>, area: Rect) {
    let lines = HELP.lines().count();
    let width = HELP.lines().map(str::len).max().unwrap_or(0);
    let (width, height) = (
        narrow(width + 4).min(area.width),
        narrow(lines + 2).min(area.height),
    );
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    frame.render_widget(Clear, place);
    let block = Block::bordered().title(" keys ");
    frame.render_widget(Paragraph::new(HELP).block(block), place);
}

fn right(text: String) -> Line<'static> {
    Line::from(text).alignment(Alignment::Right)
}

/// Few digits: `0`, `0.4`, `12`, `40735`.
pub(super) fn rate(of: f64) -> String {
    if of == 0.0 || of >= 10.0 {
        format!("{of:.0}")
    } else {
        format!("{of:.1}")
    }
}

/// `0.12 ms`, `12.3 ms`, `1.20 s`
pub(super) fn ms(micros: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let ms = micros as f64 / 1000.0;
    match ms {
        1000.0.. => format!("{:.2} s", ms / 1000.0),
        100.0.. => format!("{ms:.0} ms"),
        10.0.. => format!("{ms:.1} ms"),
        _ => format!("{ms:.2} ms"),
    }
}

#[cfg(test)]
mod tests;
