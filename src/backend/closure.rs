//! Runs a Rust closure as a lookup, for programs that use this crate as a library.
//!
//! An async closure runs on the loop, in the call's own task. A blocking one runs on the runtime's bounded
//! thread pool; how many run and wait at a time is limited as for any backend.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::lookup::owned;
use super::{Answer, Ask, LookupError};
use crate::error::Code;
use crate::value::Value;

/// The input of a closure: its parameters by name and the call's context, as owned values.
#[derive(Clone, Debug)]
pub struct Input {
    names: Arc<[Arc<str>]>,
    values: Vec<Value>,
    /// The call's context.
    pub context: crate::context::Context,
}

impl Input {
    /// The parameter called `name`; null if it was not sent or is not declared.
    pub fn get(&self, name: &str) -> &Value {
        let at = self.names.iter().position(|have| &**have == name);
        at.and_then(|at| self.values.get(at))
            .unwrap_or(&Value::Null)
    }
}

type Future_ = Pin<Box<dyn Future<Output = Result<Value, LookupError>>>>;
type AsyncCall = dyn Fn(Input) -> Future_ + Send + Sync;
type BlockingCall = dyn Fn(Input) -> Result<Value, LookupError> + Send + Sync;

#[derive(Clone)]
enum Function {
    Async(Arc<AsyncCall>),
    Blocking(Arc<BlockingCall>),
}

/// A registered closure.
#[derive(Clone)]
pub struct Closure {
    params: Arc<[Arc<str>]>,
    call: Function,
}

impl Closure {
    /// A closure that answers on the loop. It must not block.
    pub fn new<F, R>(params: &[&str], call: F) -> Self
    where
        F: Fn(Input) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Value, LookupError>> + 'static,
    {
        let call = move |input| -> Future_ { Box::pin(call(input)) };
        Closure {
            params: names(params),
            call: Function::Async(Arc::new(call)),
        }
    }

    /// A closure that may block: it runs on the thread pool, off the loop.
    pub fn blocking<F>(params: &[&str], call: F) -> Self
    where
        F: Fn(Input) -> Result<Value, LookupError> + Send + Sync + 'static,
    {
        Closure {
            params: names(params),
            call: Function::Blocking(Arc::new(call)),
        }
    }

    /// The names of its parameters, in the order of [`Ask::params`].
    pub fn params(&self) -> &[Arc<str>] {
        &self.params
    }

    /// Whether it runs on the thread pool.
    pub fn is_blocking(&self) -> bool {
        matches!(self.call, Function::Blocking(_))
    }

    /// Runs it.
    pub async fn lookup(&self, ask: Ask<'_>) -> Result<Answer, LookupError> {
        let input = Input {
            names: Arc::clone(&self.params),
            values: owned(ask.params).await,
            context: ask.context.clone(),
        };
        let value = match &self.call {
            Function::Async(call) => call(input).await?,
            Function::Blocking(call) => {
                let call = Arc::clone(call);
                let done = tokio::task::spawn_blocking(move || call(input)).await;
                done.map_err(|err| LookupError::new(Code::LookupFailed, err.to_string()))??
            }
        };
        Ok(Answer::new(value))
    }
}

impl std::fmt::Debug for Closure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Closure")
            .field("params", &self.params)
            .finish_non_exhaustive()
    }
}

fn names(params: &[&str]) -> Arc<[Arc<str>]> {
    params.iter().map(|name| Arc::from(*name)).collect()
}
