//! A server that speaks the protocol and answers every statement with a script.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

/// What the server says in a login, after our answer: packets, each of them after a packet of ours but the first.
pub(super) type Login = Vec<Vec<u8>>;
/// The bytes for the `n`th execution of a statement, with this parameter.
type Script = dyn Fn(usize, i64) -> Vec<u8>;

/// The server.
pub(super) struct Scripted {
    pub(super) port: u16,
    state: Rc<State>,
    _task: AbortOnDropHandle<()>,
}

struct State {
    greeting: Vec<u8>,
    login: Login,
    script: Box<Script>,
    /// How many connections there were, and how many executions.
    connections: Cell<usize>,
    executions: Cell<usize>,
    /// What the clients said in their logins.
    heard: RefCell<Vec<Vec<u8>>>,
    /// What it says of itself: the number of a session, and what tells it from others.
    identity: RefCell<String>,
    /// The statements that were to stop others.
    kills: RefCell<Vec<String>>,
    /// What is said next without being asked.
    unasked: RefCell<Vec<u8>>,
    speak: Notify,
}

/// A packet.
pub(super) fn packet(number: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_le_bytes();
    [&length[..3], &[number], payload].concat()
}

pub(super) const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];

/// A column without a name, of a type.
fn column(kind: u8) -> Vec<u8> {
    let mut column = b"\x03def\0\0\0\x01n\0\x0c".to_vec();
    column.extend_from_slice(&[63, 0, 20, 0, 0, 0, kind, 0, 0, 0, 0, 0]);
    column
}

/// A whole answer: a column of numbers, and these rows.
pub(super) fn rows(numbers: &[i64]) -> Vec<u8> {
    let mut answer = [packet(1, &[1]), packet(2, &column(8))].concat();
    let mut number = 3;
    for value in numbers {
        let row = [&[0, 0][..], &value.to_le_bytes()].concat();
        answer.extend(packet(number, &row));
        number += 1;
    }
    answer.extend(packet(number, &[0xfe, 0, 0, 2, 0, 0, 0]));
    answer
}

/// A whole answer to a statement that is not prepared: one row with one text.
fn text_row(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("short");
    let row = packet(3, &[&[length], text.as_bytes()].concat());
    let end = packet(4, &[0xfe, 0, 0, 2, 0, 0, 0]);
    [packet(1, &[1]), packet(2, &column(0xfd)), row, end].concat()
}

/// A greeting that names this plugin.
pub(super) fn greeting(plugin: &str) -> Vec<u8> {
    let mut greeting = b"\x0a8.0.99\0\x07\0\0\0abcdefgh\0".to_vec();
    // Everything but TLS and compression.
    let low: u16 = !(1 << 11 | 1 << 5);
    greeting.extend_from_slice(&low.to_le_bytes());
    greeting.extend_from_slice(&[45, 2, 0, 0xff, 0xff, 21]);
    greeting.extend_from_slice(&[0; 10]);
    greeting.extend_from_slice(b"ijklmnopqrst\0");
    greeting.extend_from_slice(plugin.as_bytes());
    greeting.push(0);
    greeting
}

impl Scripted {
    /// A server that lets everybody in.
    pub(super) async fn start(script: impl Fn(usize, i64) -> Vec<u8> + 'static) -> Self {
        let greeting = greeting("mysql_native_password");
        Scripted::with_login(greeting, vec![OK.to_vec()], script).await
    }

    pub(super) async fn with_login(
        greeting: Vec<u8>,
        login: Login,
        script: impl Fn(usize, i64) -> Vec<u8> + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let state = Rc::new(State {
            greeting,
            login,
            script: Box::new(script),
            connections: Cell::default(),
            executions: Cell::default(),
            heard: RefCell::default(),
            identity: RefCell::default(),
            kills: RefCell::default(),
            unasked: RefCell::default(),
            speak: Notify::new(),
        });
        let accepting = Rc::clone(&state);
        let accept = async move {
            loop {
                let (stream, _) = listener.accept().await.expect("accepts");
                let state = Rc::clone(&accepting);
                // It ends when the client hangs up, which any write may be the one to notice.
                tokio::task::spawn_local(async move { drop(serve(stream, &state).await) });
            }
        };
        Scripted {
            port,
            state,
            _task: AbortOnDropHandle::new(tokio::task::spawn_local(accept)),
        }
    }

    pub(super) fn connections(&self) -> usize {
        self.state.connections.get()
    }

    pub(super) fn identify(&self, identity: &str) {
        self.state.identity.replace(identity.to_owned());
    }

    pub(super) fn kills(&self) -> Vec<String> {
        self.state.kills.borrow().clone()
    }

    pub(super) fn heard(&self) -> Vec<Vec<u8>> {
        self.state.heard.borrow().clone()
    }

    /// Says something on the connection that is open, without being asked.
    pub(super) fn say(&self, bytes: Vec<u8>) {
        self.state.unasked.replace(bytes);
        self.state.speak.notify_one();
    }
}

async fn receive(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).await?;
    let [a, b, c, _] = header;
    let mut payload = vec![0; u32::from_le_bytes([a, b, c, 0]) as usize];
    stream.read_exact(&mut payload).await?;
    Ok(payload)
}

async fn serve(mut stream: TcpStream, state: &State) -> std::io::Result<()> {
    stream.write_all(&packet(0, &state.greeting)).await?;
    let mut number = 2;
    for said in &state.login {
        let heard = receive(&mut stream).await?;
        state.heard.borrow_mut().push(heard);
        stream.write_all(&packet(number, said)).await?;
        number += 2;
    }
    state.connections.set(state.connections.get() + 1);
    loop {
        let asked = tokio::select! {
            asked = receive(&mut stream) => asked?,
            () = state.speak.notified() => {
                let said = state.unasked.take();
                stream.write_all(&said).await?;
                continue;
            }
        };
        let answer = match asked[0] {
            3 if asked.ends_with(b"packet") => text_row("16777216"),
            3 if asked[1..].starts_with(b"select concat_ws") => text_row(&state.identity.borrow()),
            3 if asked[1..].starts_with(b"kill") => {
                let kill = String::from_utf8_lossy(&asked[1..]).into_owned();
                state.kills.borrow_mut().push(kill);
                packet(1, OK)
            }
            22 => {
                let prepared = packet(1, &[0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0]);
                [prepared, packet(2, &column(8)), packet(3, &column(8))].concat()
            }
            23 => {
                let execution = state.executions.replace(state.executions.get() + 1);
                let (_, param) = asked.split_last_chunk().expect("one number");
                (state.script)(execution, i64::from_le_bytes(*param))
            }
            1 => return Ok(()),
            _ => packet(1, OK),
        };
        stream.write_all(&answer).await?;
    }
}
