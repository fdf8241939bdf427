//! Decides which field of the reply each lookup fills, and checks their types and that no two fill the same field.

use super::compile::Compiler;
use super::compiled::{ReplyShape, Target};
use super::fit::{can_fit, element_of, field_at, unfilled, words};
use super::reference::Unresolved;
use crate::backend::Yields;
use crate::coerce::Coercion;
use crate::config::{Place, UseEntry};
use crate::diagnostic::{did_you_mean, list};
use crate::error::Code;
use crate::idl::{Requiredness, Schema, StructId, Type};

/// What the default of a field of this type looks like.
fn default_help(schema: &Schema, ty: &Type) -> Option<String> {
    let example = match ty {
        Type::Bool => "false".to_owned(),
        Type::I8 | Type::I16 | Type::I32 | Type::I64 => "0".to_owned(),
        Type::Double => "0.0".to_owned(),
        Type::String => "\"\"".to_owned(),
        Type::List(_) | Type::Set(_) => "[]".to_owned(),
        Type::Map(..) => "{}".to_owned(),
        Type::Enum(of) => format!("\"{}\"", of.values.first()?.0),
        Type::Struct(id) => {
            let fields = schema.get(*id).fields.iter().map(|field| &*field.name);
            return Some(format!(
                "a table with fields of the struct: {}",
                list(fields)
            ));
        }
        Type::Uuid | Type::Binary | Type::Any => return None,
    };
    let described = schema.describe(ty);
    Some(format!(
        "it fills {described}: such as `default = {example}`"
    ))
}

impl Compiler<'_> {
    pub(super) fn targets(&self) -> Vec<Target> {
        let mut targets: Vec<Target> = self
            .view
            .uses
            .iter()
            .map(|entry| self.target(entry))
            .collect();
        match &self.reply {
            ReplyShape::Struct(id) => self.settle_fields(*id, &mut targets),
            ReplyShape::Whole(_) => {
                let emitted = self.view.uses.iter().filter(|entry| entry.emit).count();
                if emitted != 1 {
                    self.problem(
                        &self.view.place,
                        Code::ConfigClash,
                        format!("the method returns one value, and {emitted} lookups have a value for it"),
                        Some("mark all others `emit = false`".into()),
                    );
                }
            }
            ReplyShape::Void => {}
        }
        targets
    }

    fn target(&self, entry: &UseEntry) -> Target {
        if !entry.emit {
            return Target::Nothing;
        }
        let target = match (&self.reply, entry.into.as_ref()) {
            (ReplyShape::Void, None) => Target::Nothing,
            (ReplyShape::Void, Some((_, place))) => {
                self.problem(
                    place,
                    Code::ConfigReference,
                    "the method returns nothing".into(),
                    None,
                );
                Target::Nothing
            }
            (ReplyShape::Whole(ty), None) => Target::Whole(ty.clone()),
            (ReplyShape::Whole(ty), Some((into, place))) => {
                if into != "." {
                    let of = self.scope.schema.describe(ty);
                    let help = Some("use `into = \".\"`, or leave it out".into());
                    let message = format!("the method returns {of}, which has no field `{into}`");
                    self.problem(place, Code::ConfigReference, message, help);
                }
                Target::Whole(ty.clone())
            }
            (ReplyShape::Struct(id), Some((into, _))) if into == "." => Target::Spread {
                of: *id,
                fields: Vec::new(),
            },
            (ReplyShape::Struct(id), into) => self.field_target(*id, entry, into),
        };
        self.check_fit(entry, &target);
        target
    }

    fn field_target(
        &self,
        id: StructId,
        entry: &UseEntry,
        into: Option<&(String, Place)>,
    ) -> Target {
        let (dotted, place) = into.map_or((&*entry.name, &entry.name_place), |(text, place)| {
            (text, place)
        });
        match field_at(self.scope.schema, id, dotted) {
            Ok((path, ty)) => Target::Field {
                is_required: is_required(self.scope.schema, id, &path),
                path,
                ty,
            },
            Err(Unresolved {
                message,
                known,
                wanted,
            }) => {
                let known = || known.iter().map(String::as_str);
                let help = did_you_mean(&wanted, known()).unwrap_or_else(|| {
                    let fields = list(known());
                    if into.is_none() && self.has_fields(entry) {
                        return format!(
                            "use `into = \".\"` to fill the fields that the answer has ({fields}), name one of them \
                             with `into`, or set `emit = false`"
                        );
                    }
                    format!("name a field with `into` ({fields}), or set `emit = false`")
                });
                self.problem(place, Code::ConfigUnknownName, message, Some(help));
                Target::Nothing
            }
        }
    }

    /// Whether the answer to a lookup has fields, or may have them.
    fn has_fields(&self, entry: &UseEntry) -> bool {
        let mut lookups = self.scope.lookups.iter();
        let lookup = lookups.find(|lookup| *lookup.name == *entry.lookup.0);
        let yields = lookup.map(|lookup| lookup.yields);
        entry.foreach.is_none() && matches!(yields, Some(Yields::Record | Yields::Any))
    }

    pub(super) fn check_fit(&self, entry: &UseEntry, target: &Target) {
        let (wanted, _) = &entry.lookup;
        let Some(ty) = target.ty() else {
            self.check_spread(entry, target);
            return;
        };
        if let (Some((default, place)), None) = (&entry.default, &entry.foreach)
            && let Err(why) = Coercion::new(self.scope.schema, false)
                .written()
                .value(default.clone(), ty)
        {
            self.problem(
                place,
                Code::ConfigType,
                format!("the default does not fit: {why}"),
                default_help(self.scope.schema, ty),
            );
        }
        let Some(lookup) = self
            .scope
            .lookups
            .iter()
            .find(|lookup| &*lookup.name == wanted)
        else {
            return;
        };
        if lookup.params.is_none() || (lookup.parse_text && lookup.yields == Yields::Text) {
            return;
        }
        let fits = match (&entry.foreach, element_of(ty)) {
            (Some(_), Some(element)) => can_fit(self.scope.schema, lookup.yields, element),
            (Some(_), None) => {
                let of = self.scope.schema.describe(ty);
                Err(format!("a `foreach` gives a list, which can't fill {of}"))
            }
            (None, _) => can_fit(self.scope.schema, lookup.yields, ty),
        };
        if let Err(why) = fits {
            let help = match lookup.yields {
                Yields::List => Some("use `rows = \"one\"`, or return a list".into()),
                Yields::Record => Some("use `rows = \"many\"` for a list".into()),
                _ => None,
            };
            self.problem(&entry.place, Code::ConfigType, why, help);
        }
    }

    /// Reports a lookup whose answers have no columns to spread.
    fn check_spread(&self, entry: &UseEntry, target: &Target) {
        let mut lookups = self.scope.lookups.iter();
        let lookup = lookups.find(|lookup| *lookup.name == *entry.lookup.0);
        let lookup = lookup.filter(|lookup| lookup.params.is_some());
        let yields = lookup.map_or(Yields::Any, |lookup| lookup.yields);
        let fits = matches!(yields, Yields::Any | Yields::Record);
        if fits || !matches!(target, Target::Spread { .. }) {
            return;
        }
        let message = format!(
            "{} has no columns, and `into = \".\"` fills a field with each",
            words(yields)
        );
        let help = match yields {
            Yields::List => "use `rows = \"one\"`, or name the field that it fills",
            Yields::Text | Yields::Bytes => {
                "use `format = \"json\"`, or name the field that it fills"
            }
            _ => "name the field that it fills",
        };
        let place = entry.into.as_ref().map_or(&entry.place, |(_, place)| place);
        self.problem(place, Code::ConfigType, message, Some(help.into()));
    }

    /// Reports clashes and required fields that no lookup fills. A spread lookup gets the fields that are left.
    fn settle_fields(&self, id: StructId, targets: &mut [Target]) {
        let mut paths: Vec<(&[usize], usize)> = Vec::new();
        for (at, target) in targets.iter().enumerate() {
            let Target::Field { path, .. } = target else {
                continue;
            };
            if let Some((_, other)) = paths
                .iter()
                .find(|(have, _)| have.starts_with(path) || path.starts_with(have))
            {
                let message = format!(
                    "`{}` and `{}` fill the same field",
                    self.uses[*other], self.uses[at]
                );
                let help = Some("give one of them another `into`, or `emit = false`".into());
                self.problem(&self.view.uses[at].place, Code::ConfigClash, message, help);
            }
            paths.push((path, at));
        }
        let mut filled: Vec<usize> = paths.iter().map(|(path, _)| path[0]).collect();
        filled.extend(self.report_field(id));
        let spreads: Vec<usize> = (0..targets.len())
            .filter(|&at| matches!(targets[at], Target::Spread { .. }))
            .collect();
        if let [_, second, ..] = spreads[..] {
            let message = "two lookups have `into = \".\"`".to_owned();
            let help = Some("name the fields of all but one".into());
            self.problem(
                &self.view.uses[second].place,
                Code::ConfigClash,
                message,
                help,
            );
        }
        if let Some(&first) = spreads.first() {
            let all = 0..self.scope.schema.get(id).fields.len();
            let fields = all.filter(|at| !filled.contains(at)).collect();
            targets[first] = Target::Spread { of: id, fields };
            return;
        }
        for name in unfilled(self.scope.schema, id, &filled) {
            let message = format!("no lookup fills the required field `{name}` of the reply");
            let help = Some(format!("add `{name} = {{ use = \"...\" }}` to its lookups"));
            self.problem(&self.view.place, Code::ConfigMissingKey, message, help);
        }
    }

    pub(super) fn report_field(&self, id: StructId) -> Option<usize> {
        let report = self.scope.schema.standard.report?;
        let fields = &self.scope.schema.get(id).fields;
        fields
            .iter()
            .position(|field| field.ty == Type::Struct(report))
    }
}

/// Whether the field at `path` within the struct `id` is required.
fn is_required(schema: &Schema, id: StructId, path: &[usize]) -> bool {
    let (mut of, mut required) = (id, false);
    for &at in path {
        let field = &schema.get(of).fields[at];
        required = field.requiredness == Requiredness::Required;
        if let Type::Struct(inner) = field.ty {
            of = inner;
        }
    }
    required
}
