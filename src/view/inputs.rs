//! Copies large inputs of a step in pieces, so that the loop goes on meanwhile.
//!
//! Nearly all inputs are small, and are copied where the step starts. A large one is a list of the call or of another lookup
//! that is bound as a whole, or whose elements are.

use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use futures_util::future::LocalBoxFuture;

use super::large::Kept;
use super::step::{CallScope, Values, of_row};
use crate::backend::LookupError;
use crate::coerce::with_names;
use crate::coop::{Breaks, copy};
use crate::guard::{Params, Time};
use crate::idl::{Schema, Type};
use crate::offload::{LARGE_VALUES, offload};
use crate::plan::{Binding, Reference, Root, Step};
use crate::value::Value;

/// The inputs of a step, on their way to its questions.
pub(super) struct Inputs<'a> {
    work: LocalBoxFuture<'a, Result<Copied<'a>, LookupError>>,
    /// That of the questions.
    pub(super) time: Time,
}

/// The inputs of a step.
pub(super) struct Copied<'a> {
    /// Those of each question.
    pub(super) params: Vec<Params<'a>>,
    /// If the answers of a `foreach` are a map.
    pub(super) keys: Option<Vec<Value>>,
}

impl<'a> Inputs<'a> {
    pub(super) fn poll(
        &mut self,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<Copied<'a>, LookupError>> {
        self.work.as_mut().poll(cx)
    }
}

impl Step {
    /// Whether a value that it binds takes long to copy.
    pub(super) fn has_large_inputs(&self, scope: CallScope<'_>, values: &Values) -> bool {
        let is_large = |reference: &Reference| {
            matches!(reference.root, Root::Param(_) | Root::Lookup(_))
                && scope
                    .get(reference, values, None)
                    .is_some_and(|value| value.is_more_than(LARGE_VALUES))
        };
        let mut references = self.bindings.iter().filter_map(Binding::reference);
        self.shared_param().is_none() && references.any(is_large)
    }

    /// Copies its inputs. It must have those that it needs.
    pub(super) fn copy_inputs<'a>(
        &'a self,
        scope: CallScope<'a>,
        values: &Values,
        time: Time,
    ) -> Inputs<'a> {
        let values = self.referred_in(values);
        let work = async move {
            let mut breaks = Breaks::default();
            let Some(foreach) = &self.foreach else {
                let params = self.copy_params(scope, &values, None, &mut breaks).await?;
                let (params, keys) = (vec![params], None);
                return Ok(Copied { params, keys });
            };
            let over = scope.get(&foreach.over, &values, None).unwrap_or_default();
            let items = self.items(foreach, &over)?;
            let mut params = Vec::with_capacity(items.len());
            for item in &items {
                let one = self.copy_params(scope, &values, Some(item), &mut breaks);
                params.push(one.await?);
            }
            let mut keys = None;
            if self.makes_map() {
                let mut copies = Vec::with_capacity(items.len());
                for item in items {
                    copies.push(copy(item, &mut breaks).await);
                }
                keys = Some(copies);
            }
            Ok(Copied { params, keys })
        };
        let work = Box::pin(work);
        Inputs { work, time }
    }

    /// The values that it refers to, which outlive a change of `values`.
    fn referred_in(&self, values: &Values) -> Vec<Option<Kept>> {
        let mut referred = vec![None; values.len()];
        let over = self.foreach.as_ref().map(|foreach| &foreach.over);
        let references = self.bindings.iter().filter_map(Binding::reference);
        for reference in references.chain(over) {
            if let Root::Lookup(at) = reference.root {
                referred[at].clone_from(&values[at]);
            }
        }
        referred
    }

    /// The parameters of one question; for a `foreach`, that of one `item`.
    async fn copy_params<'a>(
        &self,
        scope: CallScope<'a>,
        values: &Values,
        item: Option<&Value>,
        breaks: &mut Breaks,
    ) -> Result<Params<'a>, LookupError> {
        if let Some(at) = self.shared_param() {
            return Ok(Params::OfCall(scope.params, at));
        }
        let mut params = Vec::with_capacity(self.bindings.len());
        for binding in &self.bindings {
            let (reference, names) = match binding {
                Binding::To(reference) => (reference, None),
                Binding::Named(reference, ty) => (reference, Some(ty)),
                Binding::Literal(value) => {
                    params.push(value.clone());
                    continue;
                }
            };
            let mut value = Value::Null;
            if let Some(found) = scope.get(reference, values, item) {
                value = copy(&found, breaks).await;
            }
            if self.is_row(reference) {
                value = of_row(value);
            }
            if let Some(ty) = names {
                value = named(scope.schema, ty, value).await?;
            }
            params.push(value);
        }
        let is_large = params.iter().any(|param| param.is_more_than(LARGE_VALUES));
        Ok(if is_large {
            Params::large(params)
        } else {
            Params::Own(params.into())
        })
    }
}

/// The value, in which enums have their names.
async fn named(schema: &Arc<Schema>, ty: &Type, value: Value) -> Result<Value, LookupError> {
    if !value.is_more_than(LARGE_VALUES) {
        return Ok(with_names(schema, ty, value));
    }
    let (schema, ty) = (Arc::clone(schema), ty.clone());
    Ok(offload(move || with_names(&schema, &ty, value)).await?)
}
