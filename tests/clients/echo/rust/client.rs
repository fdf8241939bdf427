//! Apache's Rust client: `client PLACE TRANSPORT PROTOCOL NAMES`, as for Python's client. The library checks the sequence
//! id of every reply.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Debug;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use thrift::protocol::{
    TBinaryInputProtocol, TBinaryOutputProtocol, TCompactInputProtocol, TCompactOutputProtocol, TInputProtocol,
    TMultiplexedOutputProtocol, TOutputProtocol,
};
use thrift::transport::{
    TBufferedReadTransport, TBufferedWriteTransport, TFramedReadTransport, TFramedWriteTransport, TIoChannel,
    TTlsClientChannel,
};
use thrift::{ApplicationErrorKind, OrderedFloat};

mod echo;

use echo::{Branch, Choice, Everything, Insanity, Leaf, Sad, Season, Sorry, TEchoSyncClient, Tree};

type Client = echo::EchoSyncClient<Box<dyn TInputProtocol>, Box<dyn TOutputProtocol>>;
type Done = Result<(), Box<dyn Error>>;

struct Checker {
    client: Client,
    calls: usize,
}

impl Checker {
    fn call<T>(&mut self, call: impl FnOnce(&mut Client) -> thrift::Result<T>) -> thrift::Result<T> {
        self.calls += 1;
        call(&mut self.client)
    }

    /// Checks that each value comes back unchanged.
    fn same<T: Clone + Debug + PartialEq>(
        &mut self,
        method: fn(&mut Client, T) -> thrift::Result<T>,
        values: impl IntoIterator<Item = T>,
    ) -> Done {
        for value in values {
            let got = self.call(|client| method(client, value.clone()))?;
            assert_eq!(got, value, "after {} calls", self.calls);
        }
        Ok(())
    }

    fn base_types(&mut self) -> Done {
        self.call(Client::test_void)?;
        let long = "0123456789abcdef".repeat(1 << 16);
        let texts = ["", "x", "nul\0\t\n\"\\", "Grüße, 世界 🎈", &"ü".repeat(127), &"ü".repeat(128), &long];
        self.same(Client::test_string, texts.map(String::from))?;
        self.same(Client::test_bool, [true, false])?;
        self.same(Client::test_byte, [i8::MIN, -1, 0, 1, 63, 64, i8::MAX])?;
        self.same(Client::test_short, [i16::MIN, -1, 0, 1, 63, 64, i16::MAX])?;
        self.same(Client::test_int, [i32::MIN, -1, 0, 1, 63, 64, i32::MAX])?;
        self.same(Client::test_long, [i64::MIN, -1, 0, 1, 63, 64, i64::MAX])?;
        for value in [0.0, -0.0, 1.5, -1.0, 5e-324, f64::MAX, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            let got = self.call(|client| client.test_double(OrderedFloat(value)))?;
            assert_eq!(got.0.to_bits(), value.to_bits(), "{value}");
        }
        let every_byte: Vec<u8> = (0..=255).collect();
        self.same(Client::test_binary, [vec![], vec![0], every_byte.clone(), every_byte.repeat(1 << 12)])?;
        self.same(Client::test_enum, [Season::SPRING, Season::AUTUMN, Season::WINTER])?;
        self.same(Client::test_typedef, [i64::MIN, 0, i64::MAX])
    }

    fn structs(&mut self) -> Done {
        let empty = Leaf::new(String::new(), 0, 0, 0);
        self.same(Client::test_struct, [leaf("leaf"), leaf("世界"), empty.clone()])?;
        self.same(Client::test_nest, [Branch::new(1, leaf("leaf"), -1), Branch::new(0, empty, 0)])?;
        let given = Everything { absent: Some(String::new()), given: Some(0), last: Some(false), ..everything() };
        self.same(Client::test_everything, [everything(), given])?;
        let mut deep = Tree::new("leaf".to_string(), vec![]);
        for level in 0..25 {
            deep = Tree::new(format!("level {level}"), vec![Box::new(deep)]);
        }
        let leaves = (0..1000).map(|at| Box::new(Tree::new(at.to_string(), vec![])));
        let wide = Tree::new("wide".to_string(), leaves.collect::<Vec<_>>());
        self.same(Client::test_tree, [deep, wide])?;
        self.same(Client::test_union, [Choice::Number(-1), Choice::Text(String::new()), Choice::Leaf(leaf("leaf"))])?;
        let names = BTreeMap::from([(0, String::new()), (-1, "ü".to_string())]);
        let got = self.call(|client| {
            client.test_multi("Grüße".to_string(), i8::MIN, i32::MIN, i64::MAX, names, Season::WINTER)
        })?;
        assert_eq!(got, leaf("Grüße"));
        Ok(())
    }

    fn containers(&mut self) -> Done {
        let edges = [i32::MIN, -1, 0, 1, 63, 64, i32::MAX];
        let lists = [vec![], vec![0], edges.to_vec(), (0..10_000).collect(), vec![5; 14], vec![5; 15]];
        self.same(Client::test_list, lists)?;
        let bits = [vec![], vec![true], vec![false, true, true, false], [true, false].repeat(1000)];
        self.same(Client::test_bits, bits)?;
        self.same(Client::test_set, [BTreeSet::new(), BTreeSet::from([0]), BTreeSet::from(edges)])?;
        let pairs = edges.map(|edge| (edge, -1 - edge));
        self.same(Client::test_map, [BTreeMap::new(), BTreeMap::from([(0, 0)]), BTreeMap::from(pairs)])?;
        let texts = [("a", "2"), ("ü", "世界"), ("blank", ""), ("", "")];
        let texts = texts.map(|(key, value)| (key.to_string(), value.to_string()));
        self.same(Client::test_string_map, [BTreeMap::new(), BTreeMap::from(texts)])?;
        let one = BTreeMap::from([("b".to_string(), -1), (String::new(), 0)]);
        self.same(Client::test_list_of_maps, [vec![], vec![BTreeMap::new()], vec![one, BTreeMap::new()]])?;
        for number in [1, -5, i32::MAX] {
            let got = self.call(|client| client.test_map_map(number))?;
            let inner = BTreeMap::from([(number, number), (-number, -number)]);
            assert_eq!(got, BTreeMap::from([(number, inner)]));
        }
        let moments = BTreeMap::from([(Season::SPRING, 5), (Season::WINTER, -8)]);
        let insanity = Insanity::new(moments, vec![leaf("leaf"), leaf("")]);
        let got = self.call(|client| client.test_insanity(insanity.clone()))?;
        let both = BTreeMap::from([(Season::SPRING, insanity.clone()), (Season::SUMMER, insanity)]);
        assert_eq!(got[&1], both);
        // A field that was not sent is read as the type's default.
        assert_eq!(got[&2][&Season::AUTUMN], Insanity::default());
        Ok(())
    }

    /// Checks the exceptions that the method declares.
    fn thrown<T, E: Error + Clone + 'static>(&mut self, call: impl FnOnce(&mut Client) -> thrift::Result<T>) -> E {
        match self.call(call).err() {
            Some(thrift::Error::User(error)) => error.downcast_ref::<E>().expect("the right exception").clone(),
            other => panic!("{other:?}"),
        }
    }

    fn exceptions(&mut self) -> Done {
        let text = String::from;
        let sorry: Sorry = self.thrown(|client| client.test_exception(text("sorry")));
        assert_eq!(sorry, Sorry::new(1001, text("sorry")));
        match self.call(|client| client.test_exception(text("broken"))) {
            Err(thrift::Error::Application(error)) => {
                assert_eq!(error.kind, ApplicationErrorKind::InternalError);
                assert!(error.message.starts_with("call.required_failed"), "{}", error.message);
            }
            other => panic!("{other:?}"),
        }
        self.call(|client| client.test_exception(text("fine")))?;
        let sorry: Sorry = self.thrown(|client| client.test_multi_exception(text("sorry"), text("words")));
        assert_eq!(sorry, Sorry::new(1001, text("This is a sorry")));
        let sad: Sad = self.thrown(|client| client.test_multi_exception(text("sad"), text("words")));
        assert_eq!(sad.number, Some(2002));
        assert_eq!(sad.leaf.and_then(|leaf| leaf.text), Some(text("This is a sad")));
        let got = self.call(|client| client.test_multi_exception(text("fine"), text("words")))?;
        assert_eq!(got.text, Some(text("words")));
        Ok(())
    }

    fn oneway(&mut self) -> Done {
        let token = format!("Rust {} {:?}", std::process::id(), std::time::SystemTime::now());
        assert!(!self.call(|client| client.test_arrived(token.clone()))?);
        self.call(|client| client.test_oneway(token.clone()))?;
        self.same(Client::test_int, [42])?;
        // The oneway call started before the next calls, but need not have ended.
        for _ in 0..100 {
            if self.call(|client| client.test_arrived(token.clone()))? {
                return Ok(());
            }
        }
        Err("testOneway never arrived".into())
    }
}

fn leaf(text: &str) -> Leaf {
    Leaf::new(text.to_string(), i8::MIN, i32::MIN, i64::MAX)
}

fn everything() -> Everything {
    Everything {
        yes: true,
        no: Some(false),
        tiny: Some(-1),
        small: Some(i16::MIN),
        number: Some(1 << 30),
        wide: Some(i64::MIN),
        ratio: Some(OrderedFloat(-0.5)),
        text: Some("Grüße".to_string()),
        bytes: Some(vec![0, 0xff]),
        season: Some(Season::WINTER),
        moment: Some(1 << 40),
        leaf: Some(leaf("leaf")),
        bits: Some(vec![true, false, true]),
        words: Some(BTreeSet::from(["a", "", "ü"].map(String::from))),
        lists: Some(BTreeMap::from([("none".to_string(), vec![]), ("some".to_string(), vec![1, -1])])),
        absent: None,
        given: None,
        last: None,
    }
}

type Halves = (Box<dyn Read>, Box<dyn Write>);

fn connection_to(place: &str) -> Result<Halves, Box<dyn Error>> {
    let (kind, place) = place.split_once(':').expect("KIND:WHERE");
    if kind == "unix" {
        let stream = UnixStream::connect(place)?;
        return Ok((Box::new(stream.try_clone()?), Box::new(stream)));
    }
    let stream = TcpStream::connect(("localhost", place.parse::<u16>()?))?;
    if kind == "tcp" {
        return Ok((Box::new(stream.try_clone()?), Box::new(stream)));
    }
    let mut trusted = RootCertStore::empty();
    trusted.add(CertificateDer::from_pem_file(std::env::var("ECHO_CA")?)?)?;
    let config = ClientConfig::builder().with_root_certificates(trusted).with_no_client_auth();
    let channel = TTlsClientChannel::with_stream(stream, "localhost".try_into()?, Arc::new(config))?;
    let (read, write) = channel.split()?;
    Ok((Box::new(read), Box::new(write)))
}

fn main() -> Done {
    let options: Vec<String> = std::env::args().skip(1).collect();
    let [place, transport, protocol, names] = &options[..] else {
        return Err("PLACE TRANSPORT PROTOCOL NAMES".into());
    };
    let (read, write) = connection_to(place)?;
    let (read, write): Halves = match &**transport {
        "framed" => (Box::new(TFramedReadTransport::new(read)), Box::new(TFramedWriteTransport::new(write))),
        _ => (Box::new(TBufferedReadTransport::new(read)), Box::new(TBufferedWriteTransport::new(write))),
    };
    let strict = protocol == "binary";
    let (input, output): (Box<dyn TInputProtocol>, Box<dyn TOutputProtocol>) = match &**protocol {
        "compact" => (Box::new(TCompactInputProtocol::new(read)), Box::new(TCompactOutputProtocol::new(write))),
        _ => (Box::new(TBinaryInputProtocol::new(read, strict)), Box::new(TBinaryOutputProtocol::new(write, strict))),
    };
    // Servers reply with the bare method name.
    let output: Box<dyn TOutputProtocol> = match &**names {
        "multiplexed" => Box::new(TMultiplexedOutputProtocol::new("Echo", output)),
        _ => output,
    };
    let mut checker = Checker { client: Client::new(input, output), calls: 0 };
    checker.base_types()?;
    checker.structs()?;
    checker.containers()?;
    checker.exceptions()?;
    checker.oneway()?;
    println!("{} calls", checker.calls);
    Ok(())
}
