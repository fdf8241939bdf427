//! What the keys change, and what the screen shows: sorting, filter, pause, the last figures and why there are no newer ones.

use std::cmp::Ordering;
use std::collections::VecDeque;

use ratatui::crossterm::event::{KeyCode, KeyModifiers};

use super::feed::Heard;
use super::figures::{Figures, MethodRow, StoreRow};
use super::sample::Sample;

/// Samples that are kept: rates are those of the last five seconds.
const SAMPLES: usize = 11;

/// A column by which methods are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Rate,
    Partial,
    Failed,
    P50,
    P99,
    Name,
}

impl Column {
    const ALL: [Column; 6] = [
        Column::Rate,
        Column::Partial,
        Column::Failed,
        Column::P50,
        Column::P99,
        Column::Name,
    ];

    pub(super) fn title(self) -> &'static str {
        match self {
            Column::Name => "method",
            Column::Rate => "calls/s",
            Column::Partial => "partial/s",
            Column::Failed => "failed/s",
            Column::P50 => "p50",
            Column::P99 => "p99",
        }
    }

    fn next(self) -> Self {
        let at = Column::ALL.iter().position(|column| *column == self);
        Column::ALL[(at.unwrap_or(0) + 1) % Column::ALL.len()]
    }

    /// The largest first; names from A.
    fn compare(self, a: &MethodRow, b: &MethodRow) -> Ordering {
        let by = |of: fn(&MethodRow) -> f64| of(b).total_cmp(&of(a));
        match self {
            Column::Name => a.name.cmp(&b.name),
            Column::Rate => by(|of| of.rate),
            Column::Partial => by(|of| of.partial),
            Column::Failed => by(|of| of.failed),
            Column::P50 => b.p50.cmp(&a.p50),
            Column::P99 => b.p99.cmp(&a.p99),
        }
    }
}

/// What keys mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Commands.
    Figures,
    /// Letters of the filter.
    Typing,
    /// The end of the help.
    Help,
}

/// The state of the screen.
pub(super) struct App {
    pub(super) addr: String,
    /// Whether colours are wanted.
    pub(super) color: bool,
    samples: VecDeque<Sample>,
    pub(super) figures: Option<Figures>,
    /// Why there are no newer figures.
    pub(super) trouble: Option<String>,
    pub(super) sort: Column,
    pub(super) is_reversed: bool,
    pub(super) filter: String,
    pub(super) mode: Mode,
    pub(super) is_paused: bool,
    /// Methods above the first one that is shown.
    pub(super) scroll: usize,
}

impl App {
    pub(super) fn new(addr: String, color: bool) -> Self {
        App {
            addr,
            color,
            samples: VecDeque::new(),
            figures: None,
            trouble: None,
            sort: Column::Rate,
            is_reversed: false,
            filter: String::new(),
            mode: Mode::Figures,
            is_paused: false,
            scroll: 0,
        }
    }

    /// Another sample has come, or none.
    pub(super) fn hear(&mut self, heard: Heard) {
        let sample = match heard {
            Ok(sample) => sample,
            Err(why) => {
                self.trouble = Some(why);
                return;
            }
        };
        self.trouble = None;
        if self
            .samples
            .back()
            .is_some_and(|last| is_another(last, &sample))
        {
            self.samples.clear();
        }
        self.samples.push_back(sample);
        if self.samples.len() > SAMPLES {
            self.samples.pop_front();
        }
        if self.is_paused {
            return;
        }
        if let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) {
            // A single sample tells what is in progress, and no rates.
            self.figures = Some(Figures::between(first, last));
        }
    }

    /// A key was pressed. Returns whether it ends the program.
    pub(super) fn press(&mut self, key: KeyCode, with: KeyModifiers) -> bool {
        if key == KeyCode::Char('c') && with.contains(KeyModifiers::CONTROL) {
            return true;
        }
        match self.mode {
            Mode::Figures => {}
            Mode::Typing => {
                self.type_filter(key);
                return false;
            }
            Mode::Help => {
                self.mode = Mode::Figures;
                return key == KeyCode::Char('q');
            }
        }
        match key {
            KeyCode::Char('q') | KeyCode::Esc => return true,
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('r') => self.is_reversed = !self.is_reversed,
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Char('?' | 'h') => self.mode = Mode::Help,
            KeyCode::Char('/') => self.mode = Mode::Typing,
            KeyCode::Down | KeyCode::Char('j') => self.scroll += 1,
            KeyCode::Up | KeyCode::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::PageDown => self.scroll += 10,
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(10),
            KeyCode::Home => self.scroll = 0,
            _ => {}
        }
        // Never beyond the last method.
        self.scroll = self.scroll.min(self.methods().len().saturating_sub(1));
        false
    }

    fn type_filter(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => self.mode = Mode::Figures,
            KeyCode::Esc => {
                self.mode = Mode::Figures;
                self.filter.clear();
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(c) => self.filter.push(c),
            _ => {}
        }
        self.scroll = 0;
    }

    /// The methods that are shown, in order.
    pub(super) fn methods(&self) -> Vec<&MethodRow> {
        let figures = self.figures.iter();
        let mut methods: Vec<&MethodRow> = figures
            .flat_map(|figures| &figures.methods)
            .filter(|of| self.takes(&of.name))
            .collect();
        methods.sort_by(|a, b| {
            let order = self.sort.compare(a, b);
            let order = if self.is_reversed {
                order.reverse()
            } else {
                order
            };
            order.then_with(|| a.name.cmp(&b.name))
        });
        methods
    }

    /// The stores that are shown. An endpoint is shown with its store.
    pub(super) fn stores(&self) -> Vec<&StoreRow> {
        let stores = self.figures.iter().flat_map(|figures| &figures.stores);
        // Without a match among the stores, the text is that of a method, whose stores are not known here.
        let matches = stores.clone().any(|of| self.takes(&of.backend));
        stores
            .filter(|of| !matches || self.takes(&of.backend))
            .collect()
    }

    fn takes(&self, name: &str) -> bool {
        name.to_lowercase().contains(&self.filter.to_lowercase())
    }
}

/// Whether a sample is of another process than the one before it: its counts began anew.
fn is_another(before: &Sample, now: &Sample) -> bool {
    let calls = |of: &Sample| {
        let each = of.methods.iter().map(|of| of.ok + of.partial + of.failed);
        each.sum::<u64>()
    };
    now.at_ms <= before.at_ms || calls(now) < calls(before)
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::sample;
    use super::*;

    fn app() -> App {
        let mut app = App::new("127.0.0.1:9091".into(), false);
        for half in 0..4 {
            app.hear(Ok(sample(half)));
        }
        app
    }

    fn names(app: &App) -> Vec<&str> {
        app.methods().iter().map(|of| &*of.name).collect()
    }

    fn press(app: &mut App, keys: &str) {
        for key in keys.chars() {
            assert!(!app.press(KeyCode::Char(key), KeyModifiers::NONE));
        }
    }

    #[test]
    fn methods_are_sorted_by_the_chosen_column_either_way() {
        let mut app = app();
        assert_eq!(names(&app)[0], "getAirport");
        press(&mut app, "s");
        assert_eq!((app.sort, names(&app)[0]), (Column::Partial, "getBoard"));
        press(&mut app, "s");
        assert_eq!((app.sort, names(&app)[0]), (Column::Failed, "getDeparture"));
        press(&mut app, "sssr");
        assert_eq!((app.sort, names(&app)[0]), (Column::Name, "neverCalled"));
    }

    #[test]
    fn a_filter_is_typed_kept_and_removed() {
        let mut app = app();
        press(&mut app, "/DEP");
        assert_eq!(names(&app), ["getDeparture"]);
        assert_eq!(app.stores().len(), 4, "no store is called so");
        assert!(!app.press(KeyCode::Enter, KeyModifiers::NONE));
        press(&mut app, "s");
        assert_eq!(app.filter, "DEP");
        press(&mut app, "/");
        assert!(!app.press(KeyCode::Esc, KeyModifiers::NONE));
        assert_eq!(names(&app).len(), 4);
        press(&mut app, "/weath");
        assert_eq!(app.stores().len(), 3);
    }

    #[test]
    fn a_pause_keeps_the_figures_and_an_error_keeps_the_last_ones() {
        let mut app = app();
        press(&mut app, "p");
        let before = app.figures.clone();
        app.hear(Ok(Sample {
            calls_in_flight: 99,
            ..sample(5)
        }));
        assert_eq!(app.figures, before);
        press(&mut app, "p");
        app.hear(Err("it is gone".into()));
        assert_eq!(
            (app.figures.clone(), app.trouble.as_deref()),
            (before, Some("it is gone"))
        );
        app.hear(Ok(sample(6)));
        assert_eq!(app.trouble, None);
    }

    #[test]
    fn a_server_that_has_restarted_has_no_rates_of_the_one_before() {
        let mut app = app();
        app.hear(Ok(Sample {
            at_ms: 2_000_000,
            ..sample(1)
        }));
        assert_eq!(app.figures.as_ref().map(|of| of.rate), Some(0.0));
    }

    #[test]
    fn q_escape_and_control_c_end_it() {
        let mut app = app();
        press(&mut app, "?");
        assert!(app.mode == Mode::Help && !app.press(KeyCode::Char('x'), KeyModifiers::NONE));
        assert_eq!(app.mode, Mode::Figures);
        assert!(app.press(KeyCode::Char('q'), KeyModifiers::NONE));
        assert!(app.press(KeyCode::Esc, KeyModifiers::NONE));
        assert!(app.press(KeyCode::Char('c'), KeyModifiers::CONTROL));
    }
}
