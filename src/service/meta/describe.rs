//! `describe()`: the served methods with their lookups, and the types that they use.
//!
//! Types are referred to by name. Enums, structs, unions and exceptions are described once each, in the order of their first
//! use.

use std::collections::{HashSet, VecDeque};

use super::value::{list, record, with_others};
use crate::idl::{EnumType, Field, Method, Requiredness, Schema, StructKind, StructType, Type};
use crate::plan::{Plan, Step};
use crate::program::{Asks, Program, ServedService};
use crate::value::Value;

/// The first of `services`, with the others in it.
pub(super) fn describe(program: &Program, services: &[ServedService]) -> Value {
    let of = |of| of_service(program, of);
    let (first, others) = services
        .split_first()
        .map_or((Value::Null, &[][..]), |(first, others)| {
            (of(first), others)
        });
    with_others(first, others.iter().map(of))
}

fn of_service(program: &Program, of: &ServedService) -> Value {
    let service = of.service();
    let served = || {
        let methods = service.methods.iter();
        methods.filter_map(|method| Some((method, of.plan(&method.name)?)))
    };
    let roots = served().flat_map(|(method, _)| {
        let params = &of.schema.get(method.params).fields;
        let fields = params.iter().chain(&method.throws).map(|field| &field.ty);
        fields.chain(&method.result)
    });
    let methods = served().map(|(method, plan)| of_method(program, method, plan));
    record([
        ("service_name", (&*service.name).into()),
        ("methods", Value::List(methods.collect())),
        ("types", types(&of.schema, roots)),
        ("doc", service.doc.as_deref().into()),
    ])
}

fn of_method(program: &Program, method: &Method, plan: &Plan) -> Value {
    let schema = program.schema(plan);
    let result = method.result.as_ref();
    let result = result.map_or("void".into(), |ty| schema.describe(ty));
    let deadline = i64::try_from(plan.deadline.as_millis());
    let name = |at: &usize| Value::from(&*plan.steps[*at].name);
    let stages = list(plan.stages(), |stage| list(&stage, name));
    record([
        ("name", (&*method.name).into()),
        ("params", fields(schema, &schema.get(method.params).fields)),
        ("result", result.into()),
        ("exceptions", fields(schema, &method.throws)),
        ("is_oneway", method.oneway.into()),
        ("deadline_ms", deadline.unwrap_or(i64::MAX).into()),
        (
            "lookups",
            list(&plan.steps, |step| of_step(program, plan, step)),
        ),
        ("stages", stages),
        ("doc", method.doc.as_deref().into()),
    ])
}

fn of_step(program: &Program, plan: &Plan, step: &Step) -> Value {
    let kind = match &program.lookups[step.lookup.0].asks {
        Asks::Store(at, _) => program.backends[*at].config.kind(),
        Asks::Closure(_) => "closure",
    };
    let after = step.after.iter();
    let after = after.map(|&at| Value::from(&*plan.steps[at].name));
    record([
        ("name", (&*step.name).into()),
        ("backend", (&*step.backend).into()),
        ("kind", kind.into()),
        ("is_required", step.required.into()),
        ("after", Value::List(after.collect())),
        (
            "fallbacks",
            match &step.fallback {
                None => Value::Null,
                Some(_) => list(step.attempts().skip(1), |of| (&*of.name).into()),
            },
        ),
    ])
}

fn fields(schema: &Schema, fields: &[Field]) -> Value {
    list(fields, |field| {
        let requiredness = match field.requiredness {
            Requiredness::Required => "required",
            Requiredness::Optional => "optional",
            Requiredness::Default => "default",
        };
        record([
            ("id", i64::from(field.id).into()),
            ("name", (&*field.name).into()),
            ("type", schema.describe(&field.ty).into()),
            ("requiredness", requiredness.into()),
            ("doc", field.doc.as_deref().into()),
        ])
    })
}

/// The types that `roots` consist of, once each, in the order of their first use.
fn types<'a>(schema: &'a Schema, roots: impl Iterator<Item = &'a Type>) -> Value {
    // A queue instead of recursion: types may refer to each other.
    let mut waiting: VecDeque<&Type> = roots.collect();
    let mut seen: HashSet<&str> = HashSet::new();
    let mut described = Vec::new();
    while let Some(ty) = waiting.pop_front() {
        match ty {
            Type::List(of) | Type::Set(of) => waiting.push_back(of),
            Type::Map(key, of) => waiting.extend([&**key, of]),
            Type::Enum(of) if seen.insert(&of.name) => described.push(of_enum(of)),
            Type::Struct(id) => {
                let of = schema.get(*id);
                if seen.insert(&of.name) {
                    described.push(of_struct(schema, of));
                    waiting.extend(of.fields.iter().map(|field| &field.ty));
                }
            }
            _ => {}
        }
    }
    Value::List(described)
}

fn of_struct(schema: &Schema, of: &StructType) -> Value {
    let kind = match of.kind {
        StructKind::Struct => "struct",
        StructKind::Union => "union",
        StructKind::Exception => "exception",
    };
    record([
        ("name", (&*of.name).into()),
        ("kind", kind.into()),
        ("fields", fields(schema, &of.fields)),
        ("numbers", Value::Map(Vec::new())),
        ("doc", of.doc.as_deref().into()),
    ])
}

fn of_enum(of: &EnumType) -> Value {
    let numbers = of.values.iter();
    let numbers = numbers.map(|(name, number)| ((&**name).into(), i64::from(*number).into()));
    record([
        ("name", (&*of.name).into()),
        ("kind", "enum".into()),
        ("fields", Value::List(Vec::new())),
        ("numbers", Value::Map(numbers.collect())),
        ("doc", Value::Null),
    ])
}
