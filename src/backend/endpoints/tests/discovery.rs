//! Sources that name other servers, none, or nonsense; and name servers that follow a script.

use std::net::Ipv4Addr;
use std::path::Path;

use simple_dns::rdata::{A, AAAA, RData, SRV};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::backend::endpoints::resolve::Resolver;
use crate::backend::endpoints::source::Source;

/// What a name server answers.
#[derive(Clone, Debug)]
enum Says {
    Addresses(Vec<[u8; 4]>),
    /// Priority, weight, port and host.
    Services(Vec<(u16, u16, u16, &'static str)>),
    Code(RCODE),
    /// That the answer does not fit into a datagram; over TCP, these addresses.
    TooLong(Vec<[u8; 4]>),
}

struct NameServer {
    says: Rc<RefCell<Says>>,
    asked: Rc<Cell<usize>>,
    port: u16,
    _tasks: [AbortOnDropHandle<()>; 2],
}

fn answer(query: &[u8], says: &Says, over_tcp: bool) -> Vec<u8> {
    let query = Packet::parse(query).expect("a query");
    let question = query.questions[0].clone();
    let mut reply = Packet::new_reply(query.id());
    let name = question.qname.clone();
    let record = |data| ResourceRecord::new(name.clone(), CLASS::IN, 1, data);
    let addresses = |addresses: &[[u8; 4]]| {
        let addresses = addresses.iter().map(|octets| {
            let address = u32::from_be_bytes(*octets);
            record(RData::A(A { address }))
        });
        addresses.collect::<Vec<_>>()
    };
    let is_a = question.qtype == QTYPE::TYPE(TYPE::A);
    match says {
        Says::Addresses(all) if is_a => reply.answers = addresses(all),
        Says::Addresses(all) if !all.is_empty() => {
            let address = u128::from(std::net::Ipv6Addr::LOCALHOST);
            reply.answers.push(record(RData::AAAA(AAAA { address })));
        }
        Says::TooLong(_) if is_a && !over_tcp => reply.set_flags(PacketFlag::TRUNCATION),
        Says::TooLong(all) if is_a => reply.answers = addresses(all),
        Says::Services(services) => {
            for (priority, weight, port, host) in services {
                let target = Name::new(host).expect("a name");
                let (priority, weight, port) = (*priority, *weight, *port);
                let data = SRV {
                    priority,
                    weight,
                    port,
                    target,
                };
                reply.answers.push(record(RData::SRV(data)));
            }
        }
        Says::Code(code) => *reply.rcode_mut() = *code,
        Says::Addresses(_) | Says::TooLong(_) => {}
    }
    reply.questions.push(question);
    reply.build_bytes_vec().expect("a reply")
}

/// A port that is free for UDP is not always free for TCP.
async fn both_on_one_port() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let udp = udp.expect("a free port");
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("bound")).await {
            return (udp, tcp);
        }
    }
}

impl NameServer {
    async fn start(says: Says) -> Self {
        let (udp, tcp) = both_on_one_port().await;
        let port = udp.local_addr().expect("bound").port();
        let (says, asked) = (Rc::new(RefCell::new(says)), Rc::new(Cell::new(0)));
        let (said, counted) = (Rc::clone(&says), Rc::clone(&asked));
        let over_udp = tokio::task::spawn_local(async move {
            let mut buffer = [0; 512];
            loop {
                let (length, from) = udp.recv_from(&mut buffer).await.expect("a query");
                let query = &buffer[..length];
                // An answer to another question, which somebody has guessed, says nothing.
                let mut forged = answer(query, &Says::Addresses(vec![[6, 6, 6, 6]]), true);
                forged[0] ^= 1;
                udp.send_to(&forged, from).await.expect("sent");
                let reply = answer(query, &said.borrow(), false);
                udp.send_to(&reply, from).await.expect("sent");
                counted.set(counted.get() + 1);
            }
        });
        let said = Rc::clone(&says);
        let over_tcp = tokio::task::spawn_local(async move {
            loop {
                let (mut stream, _) = tcp.accept().await.expect("a client");
                let length = stream.read_u16().await.expect("a length");
                let mut query = vec![0; length.into()];
                stream.read_exact(&mut query).await.expect("a query");
                let reply = answer(&query, &said.borrow(), true);
                let length = u16::try_from(reply.len()).expect("it fits");
                stream.write_u16(length).await.expect("sent");
                stream.write_all(&reply).await.expect("sent");
            }
        });
        NameServer {
            says,
            asked,
            port,
            _tasks: [over_udp, over_tcp].map(AbortOnDropHandle::new),
        }
    }

    /// Says something else, and waits until it was asked again.
    async fn says(&self, says: Says) {
        self.says.replace(says);
        let asked = self.asked.get();
        while self.asked.get() < asked + 4 {
            tokio::time::sleep(MS).await;
        }
    }
}

/// Waits until these are in use. Only a failing test waits for long.
async fn until(test: &Test, wanted: &[&str]) {
    let waiting = async {
        while test.endpoints.labels() != wanted {
            tokio::time::sleep(MS).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    assert!(waited.is_ok(), "{:?}", test.endpoints.labels());
}

fn by_name(source: &str, server: &NameServer) -> String {
    let port = server.port;
    format!(
        "endpoints = '{source}'\nnameserver = '127.0.0.1:{port}'\nrefresh = '1s'\nbalance = 'round_robin'"
    )
}

#[tokio::test(flavor = "local")]
async fn names_lead_to_all_their_addresses_and_an_empty_or_failed_answer_removes_nobody() {
    let server = NameServer::start(Says::Addresses(vec![[10, 0, 0, 1], [10, 0, 0, 2]])).await;
    let test = test(&by_name("dns:users.internal:9090", &server)).await;
    let both = ["10.0.0.1:9090", "10.0.0.2:9090", "[::1]:9090"];
    assert_eq!(
        test.endpoints.labels(),
        both,
        "known before the first question"
    );
    for nothing in [
        Says::Addresses(vec![]),
        Says::Code(RCODE::ServerFailure),
        Says::Code(RCODE::NameError),
        Says::Code(RCODE::Refused),
    ] {
        server.says(nothing.clone()).await;
        assert_eq!(test.endpoints.labels(), both, "{nothing:?}");
        assert!(test.ask().await.is_ok());
    }
    let [ok, empty, failed] = test.endpoints.board().discovery();
    assert!(
        ok >= 1 && empty >= 2 && failed >= 2,
        "{ok} {empty} {failed}"
    );
    server
        .says(Says::TooLong(vec![[10, 0, 0, 2], [10, 0, 0, 3]]))
        .await;
    until(&test, &["10.0.0.2:9090", "10.0.0.3:9090"]).await;
}

#[tokio::test(flavor = "local")]
async fn services_of_the_lowest_priority_are_asked_by_their_weights() {
    let server = NameServer::start(Says::Services(vec![
        (10, 3, 9090, "a.users.internal"),
        (10, 1, 9091, "b.users.internal"),
        (20, 9, 9092, "c.users.internal"),
    ]))
    .await;
    let test = test(&by_name("srv:_thrift._tcp.users.internal", &server)).await;
    let [a, b, c] = [
        "a.users.internal:9090",
        "b.users.internal:9091",
        "c.users.internal:9092",
    ];
    until(&test, &[a, b]).await;
    for _ in 0..400 {
        assert!(test.ask().await.is_ok());
    }
    let counts = test.counts();
    assert_eq!((counts[a], counts[b]), (300, 100));
    server
        .says(Says::Services(vec![(20, 0, 9092, "c.users.internal")]))
        .await;
    until(&test, &[c]).await;
}

#[tokio::test(flavor = "local")]
async fn a_name_that_leads_nowhere_from_the_start_says_why() {
    let server = NameServer::start(Says::Code(RCODE::ServerFailure)).await;
    let test = test(&by_name("dns:users.internal:9090", &server)).await;
    assert_eq!(test.ask().await, Err(Code::LookupUnavailable));
    server.says(Says::Addresses(vec![[10, 0, 0, 1]])).await;
    until(&test, &["10.0.0.1:9090", "[::1]:9090"]).await;
    assert!(test.ask().await.is_ok());
}

fn write(path: &Path, text: &str) {
    // As those who write such files do: whole, or not at all.
    let next = path.with_extension("next");
    std::fs::write(&next, text).expect("the folder is ours");
    std::fs::rename(&next, path).expect("the folder is ours");
}

#[tokio::test(flavor = "local")]
async fn a_file_that_changes_changes_the_endpoints_and_keeps_those_that_stay() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("users.json");
    write(&path, r#"[{"targets": ["10.0.0.1:1", "10.0.0.2:1"]}]"#);
    let test = test(&format!("endpoints = 'file:{}'", path.display())).await;
    until(&test, &["10.0.0.1:1", "10.0.0.2:1"]).await;
    let kept = async || {
        let now = Instant::now();
        let context = Context::new(now, now + 1000 * MS);
        let ask = Ask {
            params: &[],
            context: &context,
            deadline: now + 1000 * MS,
            allowed: 1000 * MS,
            step: 0,
        };
        let number = test.endpoints.ask(None, &ask, async |fake| {
            Ok(Answer::new(fake.number.to_string().into()))
        });
        let answer = number.await.expect("an answer");
        let asked = answer.endpoints().and_then(|asked| asked.last.clone());
        let label = asked.expect("it has endpoints").to_string();
        (label, answer.value)
    };
    let mut numbers = BTreeMap::new();
    while numbers.len() < 2 {
        let (label, number) = kept().await;
        numbers.insert(label, number);
    }
    write(
        &path,
        r#"[{"targets": ["10.0.0.2:1"], "labels": {"zone": "a"}}, {"targets": ["10.0.0.3:1"]}]"#,
    );
    until(&test, &["10.0.0.2:1", "10.0.0.3:1"]).await;
    loop {
        let (label, number) = kept().await;
        if label == "10.0.0.2:1" {
            assert_eq!(number, numbers[&label], "its connections are kept");
            break;
        }
    }
    for nothing in ["[]", "[{\"targets\": [\"10.0.0.9\"]}]", "no JSON"] {
        write(&path, nothing);
        let looked = test.endpoints.board().discovery();
        while test.endpoints.board().discovery()[1..] == looked[1..] {
            tokio::time::sleep(MS).await;
        }
        assert_eq!(
            test.endpoints.labels(),
            ["10.0.0.2:1", "10.0.0.3:1"],
            "{nothing}"
        );
    }
    std::fs::remove_file(&path).expect("it is ours");
    write(&path, r#"[{"targets": ["10.0.0.4:1"]}]"#);
    until(&test, &["10.0.0.4:1"]).await;
}

#[tokio::test(flavor = "local")]
async fn a_file_is_read_again_whenever_it_may_have_changed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("users.json");
    let old = std::time::SystemTime::now() - Duration::from_mins(1);
    let write = |text: &str| {
        std::fs::write(&path, text).expect("the folder is ours");
        let file = std::fs::File::options().write(true).open(&path);
        let aged = file.and_then(|file| file.set_modified(old));
        aged.expect("the file is ours");
    };
    let text = path.display().to_string();
    let source = Source::File {
        path: path.clone(),
        text,
    };
    let mut resolver = Resolver::new(None, 1);
    for port in ["1", "1", "2", "2", "3"] {
        // Of the same length, and as old as before.
        write(&format!(r#"[{{"targets": ["10.0.0.1:{port}"]}}]"#));
        for _ in 0..3 {
            let resolved = resolver.resolve(&source).await.expect("a list");
            let shown: Vec<String> = resolved.targets.iter().map(ToString::to_string).collect();
            assert_eq!(shown, [format!("10.0.0.1:{port}")]);
        }
    }
}

#[tokio::test(flavor = "local")]
async fn a_list_of_refused_addresses_alone_removes_nobody() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("users.json");
    let list = |targets: &str| format!(r#"[{{"targets": [{targets}]}}]"#);
    write(&path, &list(r#""10.0.0.1:1", "169.254.1.1:1""#));
    let keys = format!("endpoints = 'file:{}'", path.display());
    let test = test_of(read(&keys).expect("valid").expect("endpoints").guarded()).await;
    until(&test, &["10.0.0.1:1"]).await;
    write(&path, &list(r#""169.254.169.254:80", "[fe80::1]:80""#));
    let failed = || test.endpoints.board().discovery()[Discovery::Failed as usize];
    while failed() == 0 {
        tokio::time::sleep(10 * MS).await;
    }
    until(&test, &["10.0.0.1:1"]).await;
    write(&path, &list(r#""10.0.0.2:1""#));
    until(&test, &["10.0.0.2:1"]).await;
}

#[test]
fn a_list_that_cannot_be_used_is_a_warning() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("users.json");
    let warnings = || {
        let document = document(&format!("endpoints = 'file:{}'", path.display()));
        assert!(Config::read(&mut whole(&document)).is_ok());
        let warnings = document.warnings.into_vec().into_iter();
        warnings.map(|warning| warning.message).collect::<Vec<_>>()
    };
    assert!(warnings()[0].contains("No such file"));
    for (text, why) in [
        ("[]", "it names no endpoint"),
        ("[{\"targets\": [", "not a list of groups"),
        (r#"[{"targets": ["10.0.0.1"]}]"#, "not a host and a port"),
    ] {
        write(&path, text);
        assert!(warnings()[0].contains(why), "{text}");
    }
    write(&path, r#"[{"targets": ["10.0.0.1:1"]}]"#);
    assert!(warnings().is_empty());
    assert!(super::super::targets_file::read(Path::new("/dev/zero")).is_err());
}
