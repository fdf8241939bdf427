//! Services whose IDL is newer than ours.

use super::*;
use crate::coerce::Coercion;
use crate::idl::load_from;

/// Answers `getUser` as a service does whose IDL has more colors, and one more kind of `Either`.
fn newer_user(wire_format: WireFormat, json: &'static str) -> Act {
    Act::Write(Box::new(move |head| {
        let idl = IDL
            .replace("GREEN = 2", "GREEN = 2, BLUE = 3")
            .replace("2: string text }", "2: string text, 3: bool new }");
        let schema = load_from("users.thrift", &|path| {
            path.ends_with("users.thrift").then(|| idl.clone())
        });
        let schema = schema.expect("a newer IDL");
        let ty = Type::Struct(schema.id_of("users.User"));
        let value = Value::from_json(json.as_bytes()).expect("JSON");
        let value = Coercion::new(&schema, false)
            .value(value, &ty)
            .expect("a user");
        let head = HeadOut {
            name: head.name.as_str(),
            kind: TMessageType::Reply,
            sequence: head.sequence,
        };
        let fields = &[(0, &ty, &value)];
        written(
            wire_format,
            head,
            Body::Fields {
                schema: &schema,
                fields,
            },
        )
    }))
}

#[tokio::test(flavor = "local")]
async fn replies_of_a_newer_service_are_read_in_every_wire_format() {
    for &transport in Transport::ALL {
        for protocol in [Protocol::Binary, Protocol::Compact] {
            let wire_format = WireFormat {
                transport,
                protocol,
            };
            let acts = vec![
                newer_user(
                    wire_format,
                    r#"{"id":1,"name":"Ann","color":"BLUE","either":{"new":true}}"#,
                ),
                newer_user(
                    wire_format,
                    r#"{"id":2,"name":"Bob","either":{"number":5}}"#,
                ),
            ];
            let service = Scripted::speaking(wire_format, acts).await;
            let keys = format!(
                "transport = '{}'
protocol = '{}'",
                match transport {
                    Transport::Framed => "framed",
                    Transport::Unframed => "unframed",
                    Transport::Header => "header",
                },
                match protocol {
                    Protocol::Compact => "compact",
                    _ => "binary",
                }
            );
            let config = config_of(std::slice::from_ref(&service.url), &format!("{ONE}{keys}"));
            let backend = Thrift::connect(&config, &[], &crate::backend::OnLoop::default()).await;
            let call = testing::lookup::<Thrift>(&config, "call = 'getUser'").expect("a lookup");
            let user = async |id: i64| {
                let params = [("id", id.into())];
                let user = testing::ask_within(&backend, &call, &params, PATIENCE).await;
                user.expect("a reply that is understood")
            };
            let ann = user(1).await;
            assert_eq!(ann.get("name"), Some(&Value::from("Ann")));
            assert_eq!(ann.get("color"), Some(&Value::I64(3)), "the number is kept");
            assert_eq!(ann.get("either"), Some(&Value::Null));
            let bob = user(2).await;
            let number = bob.get("either").and_then(|either| either.get("number"));
            assert_eq!(number, Some(&Value::I64(5)));
        }
    }
}
