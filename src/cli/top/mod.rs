//! `tributary top`: what a running server does, twice a second.
//!
//! A thread asks the admin port ([`feed`]). Two samples make [`figures`], which are drawn ([`view`]), printed ([`plain`]) or
//! written as JSON. [`app`] is what the keys change. Nothing but this file touches the terminal.

mod app; // sorting, filter, pause
mod feed; // asks the port
mod figures; // two samples become rates
mod plain; // one table, without a terminal
mod sample; // what the port says
mod view; // the screen

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use clap::Args;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use super::admin_port::AdminArgs;
use super::check::ConfigArg;
use super::error::CommandError;
use super::exit::ExitStatus;
use super::output::Output;
use app::App;
use feed::{Feed, PERIOD};
use figures::Figures;

/// Show what a running server does, twice a second
///
/// Methods, stores and event loops, from the server's admin port. Press `?` for the keys. If stdout is no terminal, it prints one
/// table.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Top {
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    admin: AdminArgs,
    /// Print one table of half a second, and end
    #[arg(long)]
    once: bool,
    /// Print that as JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  tributary top
  tributary top --admin 10.0.0.7:9091
  tributary top --json | jq '.stores[] | select(.state != \"up\")'";

/// How long to wait for a key before the screen is drawn again.
const KEY_WAIT: Duration = Duration::from_millis(100);

pub(super) fn run(options: &Top, out: &mut Output) -> Result<ExitStatus, CommandError> {
    let port = options.admin.port(&options.config)?;
    let is_screen = out.data_terminal() && io::stdin().is_terminal();
    if options.once || options.json || !is_screen {
        let (before, now) = feed::two_samples(&port)?;
        let figures = Figures::between(&before, &now);
        if options.json {
            out.data(&figures.json().to_string());
        } else {
            out.data(&plain::table(&figures));
        }
        return Ok(ExitStatus::Done);
    }
    let mut app = App::new(port.addr().to_owned(), out.data_color());
    let feed = Feed::start(port);
    let mut terminal = ratatui::try_init().map_err(|err| failed(&err))?;
    let shown = show(&mut terminal, &mut app, &feed);
    // Also after an error: the terminal belongs to the shell again.
    ratatui::restore();
    shown.map_err(|err| failed(&err))?;
    Ok(ExitStatus::Done)
}

fn failed(err: &io::Error) -> CommandError {
    CommandError::failed(format_args!("the terminal: {err}"))
        .help("`tributary top --once` needs none")
}

/// Draws and reads keys until the user ends it.
fn show(terminal: &mut DefaultTerminal, app: &mut App, feed: &Feed) -> io::Result<()> {
    loop {
        while let Some(sample) = feed.next() {
            app.hear(sample);
        }
        // A terminal that was resized is drawn in its new size.
        terminal.draw(|frame| view::draw(frame, app))?;
        if event::poll(KEY_WAIT.min(PERIOD))?
            && let Event::Key(key) = event::read()?
            && key.kind == KeyEventKind::Press
            && app.press(key.code, key.modifiers)
        {
            return Ok(());
        }
    }
}
