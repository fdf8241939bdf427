//! Tests of templates: parsing, numbering, rendering, and what is refused.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::value::Record;

fn parse(text: &str) -> Template {
    Template::parse(text, &mut Vec::new()).expect("a template")
}

#[track_caller]
fn check(text: &str, params: &[Value], expected: &[u8]) {
    let mut out = b"kept ".to_vec();
    parse(text)
        .render(params, &Verbatim, &mut out)
        .expect("renders");
    assert_eq!(out.strip_prefix(b"kept ").expect("appends"), expected);
}

#[test]
fn parameters_and_braces() {
    check("plain", &[], b"plain");
    check("", &[], b"");
    check("airport:{code}", &["JFK".into()], b"airport:JFK");
    check("{a}{b}{a}", &["x".into(), 7.into()], b"x7x");
    check("{{a}}", &[], b"{a}");
    check("{{{a}}}", &["x".into()], b"{x}");
    check("é{_a1}é", &["ü".into()], "éüé".as_bytes());
}

#[test]
fn every_scalar_has_a_text() {
    check("{a}", &[i64::MIN.into()], b"-9223372036854775808");
    check("{a}", &[0.1.into()], b"0.1");
    check("{a}", &[3.0.into()], b"3");
    check("{a}", &[true.into()], b"true");
    check("{a}", &["".into()], b"");
    check(
        "{a}",
        &[Value::Bytes(Bytes::from_static(b"\xff\r\n"))],
        b"\xff\r\n",
    );
    check(
        "{a}",
        &[Value::Uuid([0xab; 16])],
        b"abababab-abab-abab-abab-abababababab",
    );
}

#[test]
fn only_scalars_are_allowed() {
    let record = Record {
        names: crate::value::FieldNames::new(["a"]),
        values: vec![1.into()],
    };
    for bad in [
        Value::Null,
        Value::List(vec![]),
        Value::Map(vec![]),
        Value::Record(record),
        f64::NAN.into(),
        f64::INFINITY.into(),
    ] {
        let err = parse("k:{code}").render(std::slice::from_ref(&bad), &Verbatim, &mut Vec::new());
        let err = err.expect_err("refused");
        assert_eq!(err.code, Code::LookupBadParam, "{bad:?}");
        assert!(err.detail.contains("`code`"), "{}", err.detail);
    }
    assert!(
        parse("{a}")
            .render(&[], &Verbatim, &mut Vec::new())
            .is_err(),
        "a value too few"
    );
}

#[test]
fn the_place_of_a_template_decides_its_encoding() {
    struct Letters;
    impl Encode for Letters {
        const BYTES: bool = false;
        fn encode(&self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
            if !raw.is_ascii() {
                return Err("only ASCII stands here");
            }
            out.extend(raw.to_ascii_uppercase());
            Ok(())
        }
    }
    let mut out = Vec::new();
    let render = |value: Value, out: &mut Vec<u8>| parse("a{x}").render(&[value], &Letters, out);
    render("b".into(), &mut out).unwrap();
    assert_eq!(out, b"aB", "literals are not encoded");
    let err = render("é".into(), &mut out).expect_err("refused");
    assert_eq!(
        err.to_string(),
        "lookup.bad_param: `x`: only ASCII stands here"
    );
    assert!(render(Value::Bytes(Bytes::from_static(b"b")), &mut out).is_err());
}

#[test]
fn templates_of_one_lookup_share_their_parameters() {
    let mut params = Vec::new();
    let key = Template::parse("{b}:{a}:{b}", &mut params).unwrap();
    let field = Template::parse("{c}{a}", &mut params).unwrap();
    assert_eq!(params, ["b".into(), "a".into(), Arc::<str>::from("c")]);
    assert_eq!(key.params(), ["b".into(), Arc::<str>::from("a")]);
    assert_eq!(field.params(), ["c".into(), Arc::<str>::from("a")]);
    assert_eq!(field.positions().collect::<Vec<_>>(), [2, 1]);
    assert_eq!(key.literals().collect::<Vec<_>>(), [":", ":"]);
}

#[test]
fn mistakes_in_templates_are_explained() {
    let bad = |text: &str| Template::parse(text, &mut Vec::new()).expect_err("no template");
    assert_eq!(bad("a{b"), TemplateError::Unclosed(2));
    assert_eq!(bad("é}"), TemplateError::Unopened(2));
    assert_eq!(bad("{a}}"), TemplateError::Unopened(4));
    assert_eq!(bad("a{}"), TemplateError::Empty(2));
    for name in ["a b", "1a", "a.b", "é", "a{b", "a-b", " "] {
        assert_eq!(
            bad(&format!("{{{name}}}")),
            TemplateError::BadName(name.into())
        );
    }
    assert_eq!(bad("a{b").to_string(), "`{` at character 2 is never closed");
    assert!(bad("a{}").help().contains("{code}"));
}

#[test]
fn problems_are_reported_at_their_key() {
    let document = crate::config::document("get = \"a{b\"");
    let mut section = crate::config::whole(&document);
    assert_eq!(Template::read(&mut section, "get", &mut Vec::new()), None);
    let problems = document.problems.into_vec();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].key, "get");
}

proptest! {
    #[test]
    fn any_text_can_be_written_as_a_literal(text in ".*") {
        let escaped = text.replace('{', "{{").replace('}', "}}");
        let mut out = Vec::new();
        parse(&escaped).render(&[], &Verbatim, &mut out).unwrap();
        prop_assert_eq!(out, text.into_bytes());
    }

    #[test]
    fn parsing_never_panics(text in "[{}a-z0-9é_ ]{0,20}") {
        if let Ok(template) = Template::parse(&text, &mut Vec::new()) {
            prop_assert!(template.params().len() <= text.len());
        }
    }
}
