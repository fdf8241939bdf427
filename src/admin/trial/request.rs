//! Reads the body of a request: which method to call, with which parameters, and how.

use std::time::Duration;

use bytes::BytesMut;

use super::found::Found;
use crate::coerce::params_of_json;
use crate::context::Mode;
use crate::service::TRIAL_FORMAT;
use crate::value::Value;

/// The longest deadline of a call.
pub(super) const DEADLINE_MAX: Duration = Duration::from_secs(10);
/// A longer token is refused.
const TOKEN_BYTES_MAX: usize = 4096;

/// The call that an operator wants.
#[derive(Debug, PartialEq)]
pub(super) struct Wanted {
    pub(super) method: String,
    params: Value,
    mode: Option<Mode>,
    /// How long the call may take; the view's own deadline holds if it is earlier.
    pub(super) deadline: Duration,
    /// What the call presents, if the method is not for everybody.
    token: Option<String>,
}

impl Wanted {
    /// Reads `{"method": "..", "params": {..}, "mode": "SERIAL", "deadline_ms": 500, "token": ".."}`.
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        let body = Value::from_json(body).map_err(|err| format!("not JSON: {err}"))?;
        let Value::Map(pairs) = body else {
            return Err(format!("expected an object, found {}", body.kind()));
        };
        let mut wanted = Wanted {
            method: String::new(),
            params: Value::Map(Vec::new()),
            mode: None,
            deadline: DEADLINE_MAX,
            token: None,
        };
        for (name, value) in pairs {
            match (name.as_str().unwrap_or_default(), value) {
                ("method", Value::Text(text)) => text.as_str().clone_into(&mut wanted.method),
                ("params", params) => wanted.params = params,
                ("mode" | "deadline_ms" | "token", Value::Null) => {}
                ("mode", Value::Text(text)) => wanted.mode = Some(mode(text.as_str())?),
                ("deadline_ms", Value::I64(ms)) => wanted.deadline = deadline(ms)?,
                ("token", Value::Text(text)) => wanted.token = Some(token(text.as_str())?),
                (name @ ("method" | "mode" | "token"), _) => {
                    return Err(format!("`{name}` is a text"));
                }
                ("deadline_ms", _) => return Err("`deadline_ms` is a whole number".into()),
                (name, _) => {
                    return Err(format!(
                        "`{name}` is not known here: method, params, mode, deadline_ms and token are"
                    ));
                }
            }
        }
        if wanted.method.is_empty() {
            return Err("`method` is missing".into());
        }
        Ok(wanted)
    }

    /// The call as the bytes of a frame.
    pub(super) fn frame(&self, found: &Found<'_>) -> Result<BytesMut, String> {
        let schema = &found.of.schema;
        let params = params_of_json(schema, found.method, self.params.clone())?;
        let budget = self.deadline.as_millis().to_string();
        let token = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let pairs = [
            ("deadline-budget", Some(&*budget)),
            ("tributary-mode", self.mode.map(Mode::as_str)),
            ("authorization", token.as_deref()),
        ];
        let pairs = pairs.into_iter();
        let pairs: Vec<(&str, &[u8])> = pairs
            .filter_map(|(name, value)| Some((name, value?.as_bytes())))
            .collect();
        let mut frame = BytesMut::new();
        let written = found
            .call()
            .write(&mut frame, TRIAL_FORMAT, &params, &pairs);
        written.map_err(|err| format!("the call can't be written: {err}"))?;
        Ok(frame)
    }
}

fn mode(text: &str) -> Result<Mode, String> {
    let modes = [Mode::Evented, Mode::Serial];
    let mode = modes.into_iter().find(|mode| mode.as_str() == text);
    mode.ok_or_else(|| "`mode` is EVENTED or SERIAL".into())
}

fn deadline(ms: i64) -> Result<Duration, String> {
    let deadline = u64::try_from(ms).map(Duration::from_millis);
    let deadline = deadline.ok().filter(|deadline| !deadline.is_zero());
    let deadline = deadline.filter(|deadline| *deadline <= DEADLINE_MAX);
    deadline.ok_or_else(|| format!("`deadline_ms` is 1 to {}", DEADLINE_MAX.as_millis()))
}

fn token(text: &str) -> Result<String, String> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain && text.len() <= TOKEN_BYTES_MAX {
        return Ok(text.to_owned());
    }
    Err("`token` is not a token".into())
}
