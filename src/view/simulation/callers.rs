//! Callers of one view, some of whom hang up.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::history::{Call, Content, Part, Reply};
use super::nonce::Nonces;
use crate::context::Context;
use crate::guard::Guards;
use crate::metrics::{LoopMetrics, ProgramMetrics};
use crate::program::{Program, check};
use crate::random::Random;
use crate::value::Value;
use crate::view::{Execution, run};

pub(super) const STORES: [&str; 2] = ["redis", "memcached"];
pub(super) const DEADLINE: Duration = Duration::from_secs(1);
/// One in so many calls is dropped before it ends.
const HANGS_UP: u64 = 10;

const IDL: &str = "
struct Reply { 1: optional string redis, 2: optional string memcached }
service S { Reply all(1: string token) }
";

/// What the callers share.
pub(super) struct Callers {
    program: Arc<Program>,
    guards: Guards,
    nonces: Nonces,
    pub(super) made: Cell<u64>,
    pub(super) calls: RefCell<Vec<Call>>,
    pub(super) stop: Cell<bool>,
}

impl Callers {
    pub(super) async fn new(nonces: Nonces, random: Random) -> Self {
        let program = Arc::new(program());
        let metrics = ProgramMetrics::new(&LoopMetrics::unscraped(), &program);
        Callers {
            guards: Guards::connect(Arc::clone(&program), random, metrics, None).await,
            program,
            nonces,
            made: Cell::new(0),
            calls: RefCell::default(),
            stop: Cell::new(false),
        }
    }

    /// One caller, who waits up to 120 ms between calls.
    pub(super) async fn call_on(self: Rc<Self>, caller: usize, mut random: Random) {
        let mut sequence = 0;
        while !self.stop.get() {
            sleep(Duration::from_micros(random.draw() % 120_000)).await;
            let number = self.made.replace(self.made.get() + 1);
            sequence += 1;
            let sent = Instant::now();
            let patience = match random.draw() % HANGS_UP {
                0 => Duration::from_micros(random.draw() % 500_000),
                _ => Duration::MAX,
            };
            let Ok(ran) = timeout(patience, self.call(number)).await else {
                continue;
            };
            self.calls.borrow_mut().push(Call {
                number,
                connection: caller,
                sequence,
                sent,
                done: Instant::now(),
                reply: Ok(Reply {
                    sequence,
                    content: Content::Parts(parts(&ran)),
                }),
            });
        }
    }

    async fn call(&self, number: u64) -> Execution {
        let plan = self.program.plan("all").expect("a view");
        let now = Instant::now();
        let context = Context::new(now, now + DEADLINE);
        let params: Rc<[Value]> = [Value::from(self.nonces.token(number))].into();
        let schema = &self.program.services[0].schema;
        run(plan, schema, &self.guards, &params, &context).await
    }
}

fn parts(ran: &Execution) -> Vec<Part> {
    let tracks = ran.timeline.tracks.iter().zip(&*ran.timeline.lanes);
    let parts = tracks.zip(&ran.values).map(|((track, lane), value)| Part {
        store: lane.name.to_string(),
        fate: track.fate.as_str().to_owned(),
        code: track.code.map(|code| code.to_string()),
        value: value.as_str().map(str::to_owned),
        done: Duration::ZERO,
    });
    parts.collect()
}

fn program() -> Program {
    let sections = STORES.map(|name| {
        let place = format!("unix://{}", super::network::path(name));
        let server = match name {
            "redis" => format!("url = \"{place}\""),
            _ => format!("servers = [\"{place}\"]"),
        };
        format!(
            "[backends.{name}]\nkind = \"{name}\"\n{server}\nbreaker = {{}}\n\
             [lookups.{name}]\nbackend = \"{name}\"\nget = \"{{token}}\"\ntimeout = \"400ms\"\n"
        )
    });
    let folder = tempfile::tempdir().expect("a folder for the test");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("the folder is ours");
        path.display().to_string()
    };
    write("s.thrift", IDL);
    let uses = STORES.map(|name| format!("{name} = \"{name}\"\n")).concat();
    let view = format!("[views.all]\ndeadline = \"1s\"\n[views.all.lookups]\n{uses}");
    let config = format!("[server]\nidl = \"s.thrift\"\n{}{view}", sections.concat());
    let program = check(&write("tributary.toml", &config), &Vec::new());
    program.unwrap_or_else(|problems| panic!("{}", problems[0].render(false)))
}
