//! `tributary demo`: runs the server on real data, with nothing to install or configure.
//!
//! Unpacks the embedded data into a temporary folder, starts the weather service and a server over them, makes one call
//! in both modes through the socket as any client would, draws both, and continues to serve. Its configuration is
//! `docker/demo/tributary.toml` with the addresses, and with `--even` the delays, replaced.

pub mod data;
pub mod weather;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::client::{Client, MethodCall, MethodReply};
use super::compare::{Measured, measure};
use super::connect::on_loop;
use super::error::CommandError;
use super::exit::ExitStatus;
use super::method::ResolvedMethod;
use super::output::Output;
use super::params::ParamTree;
use super::reply;
use crate::server::{Running, Server, StartError};
use crate::thrift::{Limits, Protocol, Transport, WireFormat};
use crate::value::Value;

/// Show what it does, on real data: flights from New York in 2013
///
/// Starts the server over SQLite, CSV files and a local HTTP service, with artificial delays that imitate a
/// network. Makes one call with its lookups one at a time and all at once, prints both waterfalls, the ratio and the
/// critical path, then serves until Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Demo {
    /// End after the comparison instead of serving
    #[arg(long)]
    once: bool,
    /// Give every lookup the same delay, which shows the most that starting them together can gain
    #[arg(long)]
    even: bool,
    /// Write its files, with the configuration, into this folder and leave them there [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The port to serve on; 0 takes a free one [default: 9090, or a free one if that is taken]
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
}

const EXAMPLES: &str = "\
Examples:
  tributary demo --once
  tributary demo --once --even
  tributary demo --dir demo
  tributary demo --port 0";

const METHOD: &str = "getDeparture";
/// A flight for which every lookup finds something: a registered plane, both airports, weather, alternatives.
const PARAMS: &str = "carrier=UA flight=1545 day=2013-01-01 origin=EWR dest=IAH hour=5";
const DEFAULT_PORT: u16 = 9090;
/// The delay of each lookup with `--even`.
const EVEN_DELAY: &str = "140ms";
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn run(options: &Demo, out: &mut Output) -> Result<ExitStatus, CommandError> {
    on_loop(show(options, out))?
}

async fn show(options: &Demo, out: &mut Output) -> Result<ExitStatus, CommandError> {
    let folder = Folder::make(options.dir.as_deref())?;
    let dir = folder.path();
    data::unpack(dir)?;
    let weather = weather::serve(data::WEATHER)
        .await
        .context("can't start the weather service")?;
    let config = data::CONFIG.replace("env:WEATHER_URL", &format!("http://{}", weather.addr));
    let config = if options.even {
        evened(&config)
    } else {
        config
    };
    let server = start(dir, &config, options.port)?;

    let program = server.program();
    let found = ResolvedMethod::of_program(program, METHOD)
        .ok_or_else(|| CommandError::failed("the demo's IDL has no such method"))?;
    out.data(&about(&folder, options));
    let shown = compare(&found, &server, out).await?;
    if options.once {
        server.stop().context("can't stop the server")?;
        return Ok(shown);
    }
    out.data(&next_steps(dir, &server));
    until_interrupted()
        .await
        .context("can't wait for signals")?;
    server.stop().context("can't stop the server")?;
    Ok(shown)
}

/// Serves `config` from `dir`, on the given port, or on the default port or a free one.
fn start(dir: &Path, config: &str, port: Option<u16>) -> Result<Running, CommandError> {
    let path = dir.join("tributary.toml");
    let serve = |port: u16| {
        let listen = format!("127.0.0.1:{port}");
        let config = config.replace("127.0.0.1:9090", &listen);
        std::fs::write(&path, config).map_err(StartError::Io)?;
        Server::new(&path).spawn()
    };
    let served = match (serve(port.unwrap_or(DEFAULT_PORT)), port) {
        (Err(StartError::Io(err)), None) if err.kind() == io::ErrorKind::AddrInUse => serve(0),
        (served, _) => served,
    };
    served.map_err(|err| match err {
        StartError::Problems(problems) => problems.into(),
        StartError::Io(err) => CommandError::failed(format_args!("can't serve: {err}")),
    })
}

/// The configuration with one delay for every lookup; none for the plane, which waits for the flight.
fn evened(config: &str) -> String {
    let mut lookup = "";
    let mut lines = Vec::new();
    for line in config.lines() {
        if let Some(name) = line.strip_prefix("[lookups.") {
            lookup = name;
        }
        let delay = if lookup == "plane]" {
            "0ms"
        } else {
            EVEN_DELAY
        };
        if line.starts_with("inject = { delay = ") {
            lines.push(format!("inject = {{ delay = \"{delay}\" }}"));
        } else {
            lines.push(line.to_owned());
        }
    }
    lines.join("\n")
}

/// Calls in both modes, draws both and prints the comparison.
async fn compare(
    found: &ResolvedMethod,
    server: &Running,
    out: &mut Output,
) -> Result<ExitStatus, CommandError> {
    let wire_format = WireFormat {
        transport: Transport::Framed,
        protocol: Protocol::Binary,
    };
    let addr = server.addr().to_string();
    let mut client = Client::connect(&addr, wire_format, Limits::default(), TIMEOUT).await?;
    let params = [params(found, "SERIAL")?, params(found, "EVENTED")?];
    // The first call opens the database and the connections, which should not be measured.
    let warm_up = MethodCall {
        schema: &found.schema,
        method: found.method(),
        service: found.prefix(),
        params: &params[1],
        timeout: TIMEOUT,
    };
    let reply = client.call(&warm_up).await?;
    out.data(&outline(found, &reply, out.data_width()));
    match measure(&mut client, found, &params, (1, TIMEOUT)).await? {
        Measured::Both(comparison) => Ok(comparison.show(METHOD, out)),
        Measured::Threw(reply) => Ok(reply::show(found, &reply, out)),
    }
}

fn params(found: &ResolvedMethod, mode: &str) -> Result<Value, CommandError> {
    let mut params = ParamTree::new(&found.schema, found.method());
    for word in PARAMS.split(' ') {
        params.word(word)?;
    }
    params.word(&format!("context.mode={mode}"))?;
    params.word("context.want_report=true")?;
    params.finish()
}

/// What is called, and where it is configured.
fn about(folder: &Folder, options: &Demo) -> String {
    let config = match folder {
        Folder::Temporary(_) if options.once => "`--dir DIR` keeps it.".to_owned(),
        folder => format!("{}/tributary.toml", folder.path().display()),
    };
    format!(
        "Flights that left New York in January 2013: one call, eight lookups.\n\
         {METHOD} {PARAMS}\n\
         The demo adds artificial delays to imitate a network.\n\
         Its configuration: {config}\n\n"
    )
}

/// The reply without its report: a line per field, cut to `width`.
fn outline(found: &ResolvedMethod, reply: &MethodReply, width: usize) -> String {
    let MethodReply::Returned(value) = reply else {
        return String::new();
    };
    let json = reply::result_json(found, value);
    let fields = json.as_object().into_iter().flatten();
    let fields = fields.filter(|(name, _)| Some(name.as_str()) != found.report_field());
    let lines = fields.map(|(name, value)| {
        let line = format!("  {name:<12} {value}");
        if line.chars().count() <= width {
            return line + "\n";
        }
        let kept: String = line.chars().take(width - 1).collect();
        kept + "…\n"
    });
    format!("The reply:\n{}\n", lines.collect::<String>())
}

/// Where the demo's files are.
enum Folder {
    /// Removed at the end.
    Temporary(tempfile::TempDir),
    /// Named by the user, and left there.
    Kept(PathBuf),
}

impl Folder {
    /// Makes the folder. Without a name it is a temporary one; a container may have only shared memory to write to.
    fn make(named: Option<&Path>) -> Result<Self, CommandError> {
        if let Some(dir) = named {
            return Folder::keep(dir);
        }
        let shared_memory = Path::new("/dev/shm");
        match tempfile::tempdir()
            .or_else(|err| tempfile::tempdir_in(shared_memory).map_err(|_| err))
        {
            Ok(dir) => Ok(Folder::Temporary(dir)),
            Err(err) => Err(CommandError::failed(format_args!(
                "can't make a temporary folder: {err}"
            ))
            .help("name a folder that can be written with `--dir DIR` or `TMPDIR`")),
        }
    }

    fn keep(dir: &Path) -> Result<Self, CommandError> {
        let shown = dir.display();
        let made = std::fs::create_dir_all(dir).and_then(|()| std::fs::read_dir(dir));
        let mut files =
            made.map_err(|err| CommandError::failed(format_args!("can't use `{shown}`: {err}")))?;
        if files.next().is_some() {
            let message = format!("there are files in `{shown}` already");
            return Err(CommandError::failed(message).help("name a new or an empty folder"));
        }
        let absolute = dir.canonicalize();
        Ok(Folder::Kept(absolute.unwrap_or_else(|_| dir.to_owned())))
    }

    fn path(&self) -> &Path {
        match self {
            Folder::Temporary(dir) => dir.path(),
            Folder::Kept(dir) => dir,
        }
    }
}

/// What to try next, in another terminal.
fn next_steps(dir: &Path, server: &Running) -> String {
    let program = std::env::current_exe().ok();
    let program = program
        .as_deref()
        .map_or_else(|| "tributary".into(), |path| path.display().to_string());
    let idl = dir.join("flights.thrift");
    let idl = idl.display();
    let (addr, port) = (server.addr(), server.addr().port());
    format!(
        "\nServing on {addr} until Ctrl-C. In another terminal:\n\n  \
         {program} call --addr {addr} --report {METHOD} {PARAMS}\n  \
         {program} compare --addr {addr} {METHOD} {PARAMS}\n\n\
         or from Python, after `pip install thriftpy2`:\n\n  \
         import thriftpy2, thriftpy2.rpc\n  \
         flights = thriftpy2.load(\"{idl}\", module_name=\"flights_thrift\")\n  \
         client = thriftpy2.rpc.make_client(flights.Flights, \"127.0.0.1\", {port})\n  \
         departure = client.getDeparture(\"UA\", 1545, \"2013-01-01\", \"EWR\", \"IAH\", 5)\n  \
         print(departure.airline.name, \"to\", departure.destination.name)\n"
    )
}

async fn until_interrupted() -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_delays_are_the_same_for_all_lookups_except_the_plane() {
        let even = evened(data::CONFIG);
        let delays = even.lines().filter(|line| line.starts_with("inject"));
        let (none, same): (Vec<&str>, Vec<&str>) =
            delays.partition(|line| line.contains("\"0ms\""));
        assert_eq!((none.len(), same.len()), (1, 6));
        assert!(same.iter().all(|line| line.contains(EVEN_DELAY)));
    }
}
