//! Turns a `script` block into lookups that answer as scripted.
//!
//! ```text
//! plane(tailnum) = 20ms {"seats": 182}      after 20 ms of paused time, this JSON
//! plane(tailnum) = empty                    at once, nothing
//! plane(tailnum) = 5ms error lookup.shed    this stable code; it decides the fate
//! plane(tailnum) = never                    no answer at all
//! plane(tailnum) = 5ms echo                 its own parameters, as an object
//! airport(code) = by code                   an answer per value of that parameter, on indented lines;
//!   JFK = 10ms {"name": "Kennedy"}          `*` stands for every other value
//!   * = empty
//! ```

use std::sync::Arc;
use std::time::Duration;

use tributary::backend::LookupError;
use tributary::backend::closure::{Closure, Input};
use tributary::error::Code;
use tributary::program::Registry;
use tributary::value::{FieldNames, Record, Value};

use super::page::{Page, duration, json_value, split_json};

/// One answer.
#[derive(Clone)]
struct Answer {
    after: Duration,
    said: Said,
}

#[derive(Clone)]
enum Said {
    Value(Value),
    Error(Code),
    Never,
    Echo,
}

/// How a lookup chooses its answer.
enum Behaviour {
    Always(Answer),
    By(String, Vec<(String, Answer)>),
}

/// The page's lookups, ready to be registered.
pub(super) fn registry(page: &Page) -> Registry {
    let mut registry = Registry::new();
    let mut lines = page
        .script
        .lines()
        .filter(|line| !line.trim().is_empty())
        .peekable();
    while let Some(line) = lines.next() {
        let (head, said) = line
            .split_once(" = ")
            .unwrap_or_else(|| panic!("{}: `{line}`", page.name));
        let (name, params) = head
            .strip_suffix(')')
            .and_then(|head| head.split_once('('))
            .unwrap_or_else(|| panic!("{}: `{head}` is not `name(params)`", page.name));
        let params: Vec<String> = params
            .split(',')
            .map(|param| param.trim().to_owned())
            .collect();
        let behaviour = match said.strip_prefix("by ") {
            None => Behaviour::Always(answer(page, said)),
            Some(param) => {
                let mut answers = Vec::new();
                while let Some(line) = lines.next_if(|line| line.starts_with(' ')) {
                    let (key, said) = line
                        .trim()
                        .split_once(" = ")
                        .unwrap_or_else(|| panic!("{}: `{line}`", page.name));
                    answers.push((key.to_owned(), answer(page, said)));
                }
                Behaviour::By(param.to_owned(), answers)
            }
        };
        registry.push((Arc::from(name), closure(params, behaviour)));
    }
    registry
}

fn answer(page: &Page, text: &str) -> Answer {
    let first = text.split(' ').next().unwrap_or_default();
    let timed = first.starts_with(|c: char| c.is_ascii_digit()) && first.ends_with('s');
    let (after, rest) = if timed {
        (duration(&page.name, first), text[first.len()..].trim())
    } else {
        (Duration::ZERO, text)
    };
    let said = match rest {
        "empty" => Said::Value(Value::Null),
        "never" => Said::Never,
        "echo" => Said::Echo,
        _ => match rest.strip_prefix("error ") {
            Some(code) => Said::Error(
                Code::parse(code).unwrap_or_else(|| panic!("{}: no code `{code}`", page.name)),
            ),
            None => Said::Value(json_value(&split_json(&page.name, rest).0)),
        },
    };
    Answer { after, said }
}

fn closure(params: Vec<String>, behaviour: Behaviour) -> Closure {
    let names: Vec<String> = params
        .into_iter()
        .filter(|param| !param.is_empty())
        .collect();
    let declared = names.clone();
    let declared: Vec<&str> = declared.iter().map(String::as_str).collect();
    let echoed = FieldNames::new(declared.iter().copied());
    Closure::new(&declared, move |input| {
        let answer = behaviour.choose(&input);
        let values = names.iter().map(|name| input.get(name).clone()).collect();
        let echo = Record {
            names: echoed.clone(),
            values,
        };
        async move {
            tokio::time::sleep(answer.after).await;
            match answer.said {
                Said::Value(value) => Ok(value),
                Said::Error(code) => Err(LookupError::new(code, "as the script says")),
                Said::Never => std::future::pending().await,
                Said::Echo => Ok(Value::Record(echo)),
            }
        }
    })
}

impl Behaviour {
    fn choose(&self, input: &Input) -> Answer {
        let (param, answers) = match self {
            Behaviour::Always(answer) => return answer.clone(),
            Behaviour::By(param, answers) => (param, answers),
        };
        let asked = match input.get(param) {
            Value::I64(number) => number.to_string(),
            value => value.as_str().unwrap_or_default().to_owned(),
        };
        let found = answers.iter().find(|(key, _)| *key == asked || key == "*");
        match found {
            Some((_, answer)) => answer.clone(),
            None => panic!("the script has no answer for `{asked}`"),
        }
    }
}
