//! Evaluates one step of a call: resolves its references, makes its question, and fits its value to its target.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use super::large::Kept;
use crate::coerce::{Coercion, LeftOut, Leniency, fits_unchanged, with_names};
use crate::context::Context;
use crate::guard::{Guards, Params, Question, Time};
use crate::idl::Schema;
use crate::plan::{Binding, Condition, Reference, Root, Step, Target};
use crate::value::{Record, Value};

/// What every step of a call can see.
#[derive(Clone, Copy)]
pub(super) struct CallScope<'a> {
    pub(super) schema: &'a Arc<Schema>,
    pub(super) guards: &'a Guards,
    /// The method's parameters, in field order.
    pub(super) params: &'a Rc<[Value]>,
    pub(super) context: &'a Context,
}

/// The values of the steps that have one, as the stores sent them.
pub(super) type Values = [Option<Kept>];

impl Step {
    /// The step's question.
    pub(super) fn question<'a>(
        &self,
        scope: CallScope<'a>,
        values: &Values,
        time: Time,
    ) -> Question<'a> {
        self.question_of(self.bind(scope, values, None), scope, time)
    }

    /// The step's question with these parameters.
    #[inline]
    pub(super) fn question_of<'a>(
        &self,
        params: Params<'a>,
        scope: CallScope<'a>,
        time: Time,
    ) -> Question<'a> {
        Question {
            lookup: self.lookup,
            params,
            context: scope.context,
            asked: time.asked,
            deadline: time.deadline,
            allowed: time.allowed,
            step: time.step,
        }
    }

    /// The parameter of the call that is its only parameter, and is not copied.
    pub(super) fn shared_param(&self) -> Option<usize> {
        match &self.bindings[..] {
            [Binding::To(reference)] => reference.as_param(),
            _ => None,
        }
    }

    /// The parameters of its question; for a `foreach`, of that of one `item`.
    pub(super) fn bind<'a>(
        &self,
        scope: CallScope<'a>,
        values: &Values,
        item: Option<&Value>,
    ) -> Params<'a> {
        if let Some(at) = self.shared_param() {
            return Params::OfCall(scope.params, at);
        }
        let get = |reference: &Reference| {
            let value = scope.get(reference, values, item);
            let value = value.map(Cow::into_owned).unwrap_or_default();
            if self.is_row(reference) {
                of_row(value)
            } else {
                value
            }
        };
        let bind = |binding: &Binding| match binding {
            Binding::To(reference) => get(reference),
            Binding::Named(reference, ty) => with_names(scope.schema, ty, get(reference)),
            Binding::Literal(value) => value.clone(),
        };
        Params::Own(self.bindings.iter().map(bind).collect())
    }

    /// Whether a reference names a whole row of another lookup, or a whole element of a lookup's rows.
    pub(super) fn is_row(&self, reference: &Reference) -> bool {
        let over = || self.foreach.as_ref().map(|foreach| &foreach.over);
        let of_lookup = match reference.root {
            Root::Lookup(_) => true,
            Root::Item => over().is_some_and(Reference::is_lookup),
            Root::Param(_) | Root::Context(_) => false,
        };
        of_lookup && reference.path.is_empty()
    }

    /// Whether a value can go to its target unchanged, as most can.
    pub(super) fn takes(&self, value: &Value) -> bool {
        self.target.ty().is_some_and(|ty| fits_unchanged(value, ty))
    }

    /// The value, converted to the type of its target; null for a step that is not emitted. `Err` says what does not fit.
    /// Fields whose value only a newer IDL knows are left unset, and `left_out` says so.
    pub(super) fn fit(
        &self,
        schema: &Schema,
        value: Value,
        left_out: &LeftOut,
    ) -> Result<Value, String> {
        let keeps_numbers = matches!(
            self.target,
            Target::Field {
                is_required: false,
                ..
            }
        );
        let coercion = Coercion::new(schema, self.parse_text)
            .lenient(Leniency::LeavesOut(left_out), keeps_numbers);
        match &self.target {
            Target::Nothing => Ok(Value::Null),
            Target::Field { ty, .. } | Target::Whole(ty) => coercion.value(value, ty),
            Target::Spread { of, fields } => {
                let of_type = schema.get(*of);
                let mut values = vec![Value::Null; of_type.fields.len()];
                for &at in fields {
                    let name = &of_type.fields[at].name;
                    if let Some(column) = value.get(name) {
                        values[at] = match column {
                            Value::Null => Value::Null,
                            column => coercion.field(*of, at, column.clone())?,
                        };
                    } else if !matches!(value, Value::Record(_) | Value::Map(_)) {
                        return Err(format!("{} has no columns to spread", value.kind()));
                    }
                }
                Ok(Value::Record(Record {
                    names: of_type.names.clone(),
                    values,
                }))
            }
        }
    }
}

/// A row of one column is bound as that column.
pub(super) fn of_row(value: Value) -> Value {
    match value {
        Value::Record(mut record) if record.values.len() == 1 => {
            record.values.pop().unwrap_or_default()
        }
        other => other,
    }
}

impl Reference {
    pub(super) fn is_lookup(&self) -> bool {
        matches!(self.root, Root::Lookup(_))
    }
}

impl<'a> CallScope<'a> {
    /// The value of a reference in this call.
    pub(super) fn get<'v>(
        &self,
        reference: &Reference,
        values: &'v Values,
        item: Option<&'v Value>,
    ) -> Option<Cow<'v, Value>>
    where
        'a: 'v,
    {
        reference.follow(self.params, |at| values[at].as_deref(), item, self.context)
    }

    pub(super) fn holds(&self, when: &Condition, values: &Values) -> bool {
        match (self.get(&when.reference, values, None), &when.equals) {
            (Some(value), Some(equals)) => equal(&value, equals),
            (Some(value), None) => *value != Value::Bool(false),
            (None, _) => false,
        }
    }
}

/// Whether `value` equals what `when` asks for. Text equals bytes, and integers equal doubles, of the same content.
fn equal(value: &Value, equals: &Value) -> bool {
    match (value, equals) {
        (Value::Bytes(bytes), Value::Text(text)) => **bytes == *text.as_bytes(),
        #[expect(
            clippy::cast_precision_loss,
            clippy::float_cmp,
            reason = "equality is what is asked for"
        )]
        (Value::Double(a), Value::I64(b)) | (Value::I64(b), Value::Double(a)) => *a == *b as f64,
        (value, equals) => value == equals,
    }
}
