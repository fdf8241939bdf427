//! Shows a text through the user's pager.
//!
//! `$PAGER` is a shell command, as it is for git and man; without it `less` is tried. The caller prints the text itself
//! if there is no pager.

use std::env;
use std::io::{ErrorKind, Write as _};
use std::process::{Command, Stdio};

/// Shows `text`; false if that was not possible.
pub(super) fn show(text: &str) -> bool {
    let named = env::var("PAGER").ok();
    let mut command = match named.as_deref() {
        Some("" | "cat") => return false,
        Some(pager) => {
            let mut shell = Command::new("sh");
            shell.args(["-c", pager]);
            shell
        }
        None => Command::new("less"),
    };
    if env::var_os("LESS").is_none() {
        // Exits immediately if the text fits the screen, passes colours on, leaves the text on the screen.
        command.env("LESS", "FRX");
    }
    let Ok(mut pager) = command.stdin(Stdio::piped()).spawn() else {
        return false;
    };
    if let Some(mut stdin) = pager.stdin.take()
        && let Err(err) = stdin.write_all(text.as_bytes())
        && err.kind() != ErrorKind::BrokenPipe
    {
        return false;
    }
    // The shell exits with 127 if there is no such command.
    pager.wait().is_ok_and(|status| status.code() != Some(127))
}
