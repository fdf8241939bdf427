//! Exceptions thrown by closures: those that the method declares reach the client, others are failures.

use bytes::BytesMut;
use tributary::backend::LookupError;
use tributary::server::{Running, Server};
use tributary::thrift::{
    ClientCall, Limits, Protocol, ReplyContent, ReplyError, Transport, WireFormat,
};
use tributary::value::{Record, Value};

use crate::support::Wire;

const IDL: &str = "
exception Wrong { 1: required i32 number, 2: string words }
exception Other { 1: i32 number }
struct Reply { 1: i32 number }
service Throws {
  i32 declared(1: i32 number) throws (1: Other other, 2: Wrong wrong)
  i32 undeclared(1: i32 number) throws (1: Other other)
  i32 misfit(1: i32 number) throws (1: Wrong wrong)
  Reply left_out(1: i32 number) throws (1: Wrong wrong)
  list<i32> elements(1: list<i32> numbers) throws (1: Wrong wrong)
  void nothing(1: i32 number) throws (1: Wrong wrong)
}
";

const CONFIG: &str = r#"
[server]
idl = "throws.thrift"
listen = "127.0.0.1:0"
[views.declared]
lookups = { number = "wrong" }
[views.undeclared]
lookups = { number = "wrong" }
[views.misfit]
lookups = { number = "empty" }
[views.left_out]
lookups = { number = "wrong" }
[views.elements]
lookups = { number = { use = "wrong", foreach = "numbers", with = { number = "item" } } }
[views.nothing]
lookups = { number = { use = "wrong", required = true } }
"#;

struct Throws {
    running: Running,
    _folder: tempfile::TempDir,
}

impl Throws {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("the folder is ours");
        };
        write("throws.thrift", IDL);
        write("tributary.toml", CONFIG);
        let server = Server::new(folder.path().join("tributary.toml"))
            .lookup("wrong", &["number"], async |input| {
                let fields = vec![
                    (Value::from("number"), input.get("number").clone()),
                    (Value::from("words"), Value::from("as it was asked to")),
                ];
                Err(LookupError::thrown("Wrong", Value::Map(fields)))
            })
            .lookup("empty", &["number"], async |_input| {
                Err(LookupError::thrown("Wrong", Value::Map(Vec::new())))
            });
        let running = server
            .spawn()
            .unwrap_or_else(|err| panic!("the server does not start: {err}"));
        Throws {
            running,
            _folder: folder,
        }
    }

    /// The reply to a call with one parameter.
    fn call(&self, method: &str, param: Value) -> Result<ReplyContent, ReplyError> {
        let schema = &self.running.program().services[0].schema;
        let method = schema.services[0].method(method).expect("it is there");
        let outgoing = ClientCall {
            schema,
            method,
            name: &method.name,
            sequence: 1,
        };
        let wire_format = WireFormat {
            transport: Transport::Framed,
            protocol: Protocol::Binary,
        };
        let params = Value::Record(Record {
            names: schema.get(method.params).names.clone(),
            values: vec![param],
        });
        let mut call = BytesMut::new();
        outgoing
            .write(&mut call, wire_format, &params, &[])
            .expect("the parameters fit");
        let mut wire = Wire::connect(self.running.addr());
        wire.send(&call);
        let reply = wire.read_frame().into();
        outgoing.read(wire_format.protocol, &reply, &Limits::default())
    }

    /// The number in the exception that it throws.
    #[track_caller]
    fn thrown(&self, method: &str, param: Value) -> Option<Value> {
        match self.call(method, param) {
            Ok(ReplyContent::Threw { of, value }) => {
                let name = &self.running.program().services[0].schema.get(of).name;
                assert_eq!(&**name, "throws.Wrong");
                assert_eq!(value.get("words"), Some(&Value::from("as it was asked to")));
                value.get("number").cloned()
            }
            other => panic!("{method}: {other:?}"),
        }
    }
}

#[test]
fn a_declared_exception_reaches_the_client_with_its_fields() {
    let throws = Throws::start();
    assert_eq!(throws.thrown("declared", 7.into()), Some(7.into()));
    assert_eq!(throws.thrown("nothing", 8.into()), Some(8.into()));
    let list = Value::from(vec![9, 10]);
    assert_eq!(throws.thrown("elements", list), Some(9.into()));
    throws.running.stop().expect("it ends well");
}

#[test]
fn an_undeclared_exception_or_one_that_does_not_fit_is_a_failure() {
    let throws = Throws::start();
    for method in ["undeclared", "misfit"] {
        match throws.call(method, 7.into()) {
            Err(ReplyError::Application {
                kind: 6,
                message,
                in_step: true,
            }) => {
                let words = message.as_str();
                assert!(words.starts_with("call.required_failed"), "{words}");
            }
            other => panic!("{method}: {other:?}"),
        }
    }
    throws.running.stop().expect("it ends well");
}

#[test]
fn an_exception_of_an_optional_lookup_costs_only_its_field() {
    let throws = Throws::start();
    match throws.call("left_out", 7.into()) {
        Ok(ReplyContent::Returned(reply)) => assert_eq!(reply.get("number"), Some(&Value::Null)),
        other => panic!("{other:?}"),
    }
    throws.running.stop().expect("it ends well");
}
