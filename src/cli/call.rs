//! `tributary call`: makes one call and prints its reply as JSON.

use std::io::Read as _;

use clap::Args;

use super::client::{ClientError, MethodCall, MethodReply};
use super::connect::{ConnectArgs, Target, on_loop};
use super::error::CommandError;
use super::exit::ExitStatus;
use super::listener::listener_of;
use super::method::{IdlArgs, ResolvedMethod, find};
use super::output::Output;
use super::params::ParamTree;
use super::reply;
use super::server_idl::META;
use crate::context::Mode;
use crate::timeline::{Look, Timeline, render};
use crate::value::Value;

/// Call a method of a server and print its reply as JSON
///
/// The server is asked for its IDL, unless `--idl` or `--config` names one. Parameters are read by the IDL's types: numbers
/// and bools as such, enums by name, strings as they are, and structs, lists and maps as JSON. A dotted name sets one
/// field of a struct.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CallCommand {
    #[command(flatten)]
    call: CallArgs,
    /// Ask for the call's report, and draw it as a waterfall on stderr
    ///
    /// Uses `THeader` frames, whose headers have the report also if the call fails or the IDL has no report. If the server
    /// does not accept them, the method needs a `tributary.Context` parameter and a `tributary.Report` in its reply.
    #[arg(long)]
    report: bool,
    /// Run the lookups one at a time, in plan order
    #[arg(long)]
    serial: bool,
}

const EXAMPLES: &str = "\
Examples:
  tributary call getAirport code=JFK
  tributary call getAirports codes='[\"JFK\", \"LGA\"]'
  tributary call --report getDeparture carrier=UA flight=1545 day=2013-01-01 origin=EWR dest=IAH hour=5
  tributary call --addr db1:9090 getAirport context.request_id=42 code=JFK
  tributary call --service Tributary health
  tributary call --addr db1:9443 --ca ca.pem --token env:BATCH_TOKEN getAirport code=JFK
  tributary call --report --inject 'weather=hang' getDeparture ...
  echo '{\"code\": \"JFK\"}' | tributary call getAirport --json -

Exit codes: 0 the method returned, 1 it threw or there was no reply, 2 bad usage";

/// The header of a call that asks for the report, and of the reply that has it.
const REPORT: &str = "tributary-report";

/// The header of a refusal that says how many milliseconds the caller should wait.
const RETRY_AFTER: &str = "tributary-retry-after";

/// The options of a call: method, parameters and server.
#[derive(Clone, Debug, Args)]
pub(super) struct CallArgs {
    #[command(flatten)]
    pub(super) connect: ConnectArgs,
    #[command(flatten)]
    pub(super) idl: IdlArgs,
    /// The call's id in the server's logs; needs a `tributary.Context` parameter
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// All parameters as one JSON object; `-` reads it from stdin
    #[arg(long, value_name = "JSON", conflicts_with = "params")]
    json: Option<String>,
    /// The method's name in the IDL, or `SERVICE:METHOD`, which multiplexed servers tell apart
    #[arg(value_name = "METHOD")]
    method: String,
    /// Parameters
    #[arg(value_name = "NAME=VALUE")]
    params: Vec<String>,
}

/// What is set in the call's context besides the typed parameters.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CallOptions {
    /// Ask for the report.
    pub(super) report: bool,
    /// Run the lookups in this mode.
    pub(super) mode: Option<Mode>,
}

impl CallArgs {
    /// The method. If the configuration is named, its listener is where the server is.
    pub(super) fn find(&mut self) -> Result<ResolvedMethod, CommandError> {
        let found = find(&self.idl, &self.connect, &self.method)?;
        // The server was asked for its IDL, and has answered.
        self.connect.is_thrift = self.idl.is_of_server() && *found.service().name != *META;
        if let (None, Some(config)) = (&self.connect.addr, self.idl.config()) {
            self.connect.addr = Some(listener_of(config, &found.service().name)?);
        }
        Ok(found)
    }

    /// Reads the parameters from stdin, if `--json -` was given.
    pub(super) fn read_stdin(&mut self) -> Result<(), CommandError> {
        if self.json.as_deref() == Some("-") {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|err| CommandError::failed(format_args!("can't read stdin: {err}")))?;
            self.json = Some(text);
        }
        Ok(())
    }

    /// The parameters, including the context.
    pub(super) fn params(
        &self,
        found: &ResolvedMethod,
        asked: CallOptions,
    ) -> Result<Value, CommandError> {
        let mut params = ParamTree::new(&found.schema, found.method());
        if let Some(text) = &self.json {
            params.json(text)?;
        }
        for word in &self.params {
            params.word(word)?;
        }
        let request_id = self.request_id.as_deref().map(Value::from);
        let fields = [
            (
                "want_report",
                "--report",
                asked.report.then_some(Value::Bool(true)),
            ),
            (
                "mode",
                "--serial",
                asked.mode.map(|mode| Value::from(mode.as_str())),
            ),
            ("request_id", "--request-id", request_id),
        ];
        for (field, option, value) in fields {
            if let Some(value) = value {
                let context = context_of(found, option)?;
                params.set(&format!("{context}.{field}"), value)?;
            }
        }
        params.finish()
    }

    /// Makes the call on a new connection.
    async fn call(
        &self,
        found: &ResolvedMethod,
        (server, params): (&Target, &Value),
        report: bool,
    ) -> Result<Made, ClientError> {
        let mut client = server.connect().await?;
        if report {
            client.send_header(REPORT, "1");
        }
        let call = MethodCall {
            schema: &found.schema,
            method: found.method(),
            service: found.prefix(),
            params,
            timeout: self.connect.timeout,
        };
        let reply = client.call(&call).await;
        let within = reply.as_ref().ok();
        let within = within.and_then(|reply| reply::timeline(found, reply));
        let report = within.or_else(|| reply::timeline_of_header(client.header(REPORT)?));
        let retry_after = client.header(RETRY_AFTER).map(str::to_owned);
        Ok(Made {
            reply,
            report,
            retry_after,
        })
    }
}

fn context_of<'a>(found: &'a ResolvedMethod, option: &str) -> Result<&'a str, CommandError> {
    found.context_param().ok_or_else(|| {
        CommandError::misuse(format_args!(
            "`{option}`: method `{}` has no parameter of type `tributary.Context`",
            found.method().name
        ))
        .help("include \"tributary.thrift\" in the IDL and give the method such a parameter")
    })
}

/// Checks that the method takes a context and its reply has a field for the report.
pub(super) fn can_report(found: &ResolvedMethod, option: &str) -> Result<(), CommandError> {
    context_of(found, option)?;
    match found.report_field() {
        Some(_) => Ok(()),
        None => Err(CommandError::misuse(format_args!(
            "`{option}`: the reply of `{}` has no field of type `tributary.Report`",
            found.method().name
        ))
        .help("include \"tributary.thrift\" in the IDL and give the reply's struct such a field")),
    }
}

pub(super) fn run(options: &CallCommand, out: &mut Output) -> Result<ExitStatus, CommandError> {
    let mut args = options.call.clone();
    let found = args.find()?;
    args.read_stdin()?;
    let chooses = options.report && args.connect.may_choose_transport();
    if chooses {
        let with_headers = args.connect.with_headers();
        let plain = std::mem::replace(&mut args.connect, with_headers);
        match make(options, &args, &found) {
            // A listener that does not accept this transport closes the connection.
            Err(CallFailure::Client(ClientError::Closed | ClientError::Io(_))) => {
                args.connect = plain;
            }
            made => return show(&found, options, made, out),
        }
    }
    let made = make(options, &args, &found);
    show(&found, options, made, out)
}

/// What a call that was made has brought.
struct Made {
    /// A reply, or an error, which may be one that the server reported.
    reply: Result<MethodReply, ClientError>,
    /// Whether the call returns or fails.
    report: Option<Timeline>,
    /// In milliseconds, as the server said it.
    retry_after: Option<String>,
}

/// Why a call was not made, or has neither.
enum CallFailure {
    Command(CommandError),
    Client(ClientError),
}

fn make(
    options: &CallCommand,
    args: &CallArgs,
    found: &ResolvedMethod,
) -> Result<Made, CallFailure> {
    let in_reply = options.report && found.context_param().is_some();
    if options.report && !args.connect.has_headers() {
        can_report(found, "--report").map_err(CallFailure::Command)?;
    }
    let asked = CallOptions {
        report: in_reply,
        mode: options.serial.then_some(Mode::Serial),
    };
    let params = args.params(found, asked).map_err(CallFailure::Command)?;
    let server = args.connect.calling().map_err(CallFailure::Command)?;
    let called = on_loop(args.call(found, (&server, &params), options.report));
    let made = called.map_err(CallFailure::Command)?;
    match made.map_err(CallFailure::Client)? {
        Made {
            reply: Err(err), ..
        } if !matches!(err, ClientError::Application { .. }) => Err(CallFailure::Client(err)),
        made => Ok(made),
    }
}

fn show(
    found: &ResolvedMethod,
    options: &CallCommand,
    made: Result<Made, CallFailure>,
    out: &mut Output,
) -> Result<ExitStatus, CommandError> {
    let Made {
        reply,
        report,
        retry_after,
    } = match made {
        Ok(made) => made,
        Err(CallFailure::Command(err)) => return Err(err),
        Err(CallFailure::Client(err)) => return Err(err.into()),
    };
    if options.report {
        draw(found, report, out);
    }
    let reply = reply.map_err(|err| {
        let err = at_service(found, err);
        match retry_after {
            Some(ms) => err.help(format!("the server takes the next call in {ms} ms")),
            None => err,
        }
    })?;
    Ok(reply::show(found, &reply, out))
}

/// Puts the service's name before an error that the service itself reported.
pub(super) fn at_service(found: &ResolvedMethod, err: ClientError) -> CommandError {
    match err {
        ClientError::Application { .. } => {
            CommandError::failed(format_args!("{}: {err}", found.service().name))
        }
        other => other.into(),
    }
}

fn draw(found: &ResolvedMethod, report: Option<Timeline>, out: &mut Output) {
    let Some(timeline) = report else {
        return out.note("the reply has no report");
    };
    let look = Look {
        title: reply::title(&found.method().name, timeline.mode),
        width: out.note_width(),
        color: out.note_color(),
        ..Look::default()
    };
    let picture = render(&timeline, &look);
    out.note(&picture);
}
