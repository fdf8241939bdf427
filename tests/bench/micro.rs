//! Measures each stage of a call by itself (decode, run, merge, encode) and a whole call with its report.
//!
//! It uses the page of `tests/bench/pages/redis.thrift`. Closures answer its seven lookups immediately, so the figures are
//! the program's own cost, without sockets and stores. `cargo bench` prints the table.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::error::Error;
use std::fmt::Write as _;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use thrift::protocol::TMessageType;
use tokio::runtime::{Builder, LocalOptions};
use tokio::time::Instant;
use tributary::config::LimitsConfig;
use tributary::context::Context;
use tributary::guard::Guards;
use tributary::idl::Type;
use tributary::metrics::{LoopMetrics, ProgramMetrics};
use tributary::plan::Plan;
use tributary::program::Program;
use tributary::random::Random;
use tributary::server::Server;
use tributary::service::{Arrival, Decision, MemoryPool, Service};
use tributary::thrift::{
    Body, HeadOut, Limits, Protocol, Transport, WireFormat, decode_struct, read_head, write_message,
};
use tributary::value::Value;
use tributary::view::{merge, run};

const PARTS: [&str; 7] = [
    "summary", "details", "prices", "stock", "reviews", "images", "related",
];
const VALUE_BYTES: usize = 200;
const CALLS: u32 = 20_000;
/// How many rounds are run; the fastest is reported, because slower ones were disturbed.
const ROUNDS: usize = 7;
const WIRE_FORMAT: WireFormat = WireFormat {
    transport: Transport::Framed,
    protocol: Protocol::Binary,
};
const FRAME_LENGTH: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let idl = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/bench/pages/redis.thrift"
    );
    let mut config = format!("[server]\nidl = \"{idl}\"\n[views.getPage]\nreport = true\n");
    config += "deadline = \"60s\"\n[views.getPage.lookups]\n";
    for part in PARTS {
        writeln!(config, "{part} = \"{part}\"")?;
    }
    let path = folder.path().join("page.toml");
    std::fs::write(&path, config)?;
    let value = Bytes::from(vec![b'x'; VALUE_BYTES]);
    let server = PARTS.iter().fold(Server::new(path), |server, part| {
        let value = value.clone();
        server.lookup(part, &["id"], move |_| {
            let value = value.clone();
            async move { Ok(Value::Bytes(value)) }
        })
    });
    let program = server
        .check()
        .map_err(|problems| format!("{} problems", problems.len()))?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    let program = Arc::new(program);
    let mut stages = runtime.block_on(stages(Arc::clone(&program)))?;
    let refused = runtime.block_on(refused(&program))?;
    stages.insert(0, ("a refused call, bytes to bytes", refused));
    let (_, whole) = stages.last().ok_or("no stages")?;
    for (name, time) in &stages {
        let share = 100.0 * time.as_secs_f64() / whole.as_secs_f64();
        println!(
            "{name:<28} {:>7.2} us  {share:>4.0} %",
            time.as_secs_f64() * 1e6
        );
    }
    Ok(())
}

async fn stages(program: Arc<Program>) -> Result<Vec<(&'static str, Duration)>, Box<dyn Error>> {
    let schema = &program.services[0].schema;
    let plan = program.plan("getPage").expect("a view");
    let message = call(&program, plan)?;
    let limits = Limits::default();
    let counting = LoopMetrics::unscraped();
    let metrics = ProgramMetrics::new(&counting, &program);
    let guards = Guards::connect(Arc::clone(&program), Random::seeded(1), metrics, None).await;
    let decode = || {
        let (_, body) = read_head(WIRE_FORMAT.protocol, &message)?;
        decode_struct(schema, plan.params, WIRE_FORMAT.protocol, &body, &limits)
    };
    let Value::Record(params) = decode()? else {
        return Err("parameters are a record".into());
    };
    let context = Context::new(Instant::now(), Instant::now() + Duration::from_hours(1));
    let params = params.values.into();
    let ran = run(plan, schema, &guards, &params, &context).await;
    let merged = merge(plan, schema, ran.values.clone()).map_err(|err| err.detail)?;
    let reply = merged;
    let ty = plan_result(&program)?;
    let encode = || {
        let head = HeadOut {
            name: "getPage",
            kind: TMessageType::Reply,
            sequence: 1,
        };
        let fields = &[(0, &ty, &reply)];
        let mut out = BytesMut::new();
        write_message(&mut out, WIRE_FORMAT, head, Body::Fields { schema, fields }).map(|()| out)
    };
    let copy = time(async || ran.values.clone()).await;
    let merging = time(async || merge(plan, schema, ran.values.clone())).await;
    let mut stages = vec![
        ("decode", time(async || decode()).await),
        (
            "run, with instant closures",
            time(async || run(plan, schema, &guards, &params, &context).await).await,
        ),
        // Merging consumes the values, so each run copies them; the cost of the copy is subtracted.
        ("merge", merging.saturating_sub(copy)),
        ("encode", time(async || encode()).await),
    ];
    let service = Rc::new(
        Service::open(
            Arc::clone(&program),
            LimitsConfig::default(),
            Random::seeded(1),
            &counting,
            None,
        )
        .await,
    );
    let memory = MemoryPool::new(&LimitsConfig::default(), &counting).connection();
    let whole = time(async || {
        let arrival = Arrival {
            memory: Some(&memory),
            ..Arrival::from_anybody(WIRE_FORMAT)
        };
        match service.admit(arrival, &message) {
            Ok(Decision::Serve(call)) => Rc::clone(&service).serve(call).await,
            _ => None,
        }
    });
    stages.push(("a call with its report, bytes to bytes", whole.await));
    Ok(stages)
}

/// How long it takes to refuse a call because the server is overloaded.
async fn refused(program: &Arc<Program>) -> Result<Duration, Box<dyn Error>> {
    let message = call(program, program.plan("getPage").expect("a view"))?;
    let full = LimitsConfig {
        calls_max: 0,
        ..LimitsConfig::default()
    };
    let counting = LoopMetrics::unscraped();
    let random = Random::seeded(1);
    let service = Service::open(Arc::clone(program), full, random, &counting, None).await;
    let refuse = || service.admit(Arrival::from_anybody(WIRE_FORMAT), &message);
    if !matches!(refuse(), Ok(Decision::Reply(_))) {
        return Err("the call is not refused".into());
    }
    Ok(time(async || refuse()).await)
}

/// The message of `getPage("4711")`, without its frame's length.
fn call(program: &Program, plan: &Plan) -> Result<Bytes, Box<dyn Error>> {
    let head = HeadOut {
        name: "getPage",
        kind: TMessageType::Call,
        sequence: 1,
    };
    let record = Value::Record(tributary::value::Record {
        names: program.services[0].schema.get(plan.params).names.clone(),
        values: vec![Value::from("4711")],
    });
    let body = Body::Params {
        schema: &program.services[0].schema,
        id: plan.params,
        record: &record,
    };
    let mut out = BytesMut::new();
    write_message(&mut out, WIRE_FORMAT, head, body).map_err(|err| err.detail)?;
    Ok(out.freeze().slice(FRAME_LENGTH..))
}

fn plan_result(program: &Program) -> Result<Type, Box<dyn Error>> {
    let method = program.services[0]
        .service()
        .method("getPage")
        .ok_or("getPage")?;
    Ok(method.result.clone().ok_or("it returns")?)
}

/// How long one `work` takes.
async fn time<T, F: Future<Output = T>>(work: impl Fn() -> F) -> Duration {
    let mut fastest = Duration::MAX;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..CALLS {
            std::hint::black_box(work().await);
        }
        fastest = fastest.min(begun.elapsed() / CALLS);
    }
    fastest
}
