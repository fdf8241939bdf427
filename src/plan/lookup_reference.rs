//! Checks references into other lookups of a view, as far as the configuration alone determines what those yield.
//!
//! A reference that is refused here has no value in any call. What depends on columns is left to `check --connect`, since
//! only the store knows them.

use super::compile::Compiler;
use super::compiled::{Foreach, ReplyShape};
use super::fit::{field_at, words};
use super::reference::{Item, Reference, Root};
use crate::backend::Yields;
use crate::config::{Place, UseEntry};
use crate::error::Code;
use crate::idl::Type;
use crate::value::Value;

impl Compiler<'_> {
    /// The `foreach` of a use, and what `item` means in it.
    pub(super) fn foreach(
        &self,
        entry: &UseEntry,
        needs: &mut Vec<usize>,
    ) -> (Option<Foreach>, Item) {
        let Some((text, place)) = &entry.foreach else {
            return (None, Item::Absent);
        };
        let Some((over, ty)) = self.resolve(text, place, &Item::Absent, needs) else {
            return (None, Item::Unknown);
        };
        let item = match ty {
            Some(Type::List(of) | Type::Set(of)) => {
                self.check_map_keys(entry, &of, place);
                Item::Typed(*of)
            }
            Some(Type::Any) => Item::Unknown,
            Some(ty) => {
                let of = self.scope.schema.describe(&ty);
                let message = format!("`{text}` is {of}, not a list");
                self.problem(place, Code::ConfigType, message, None);
                Item::Unknown
            }
            None => {
                self.check_list(&over, place);
                Item::Unknown
            }
        };
        let max = entry.foreach_max;
        (Some(Foreach { over, max }), item)
    }

    /// A `foreach` that fills a map uses its elements as keys: reports elements that can never be one.
    fn check_map_keys(&self, entry: &UseEntry, element: &Type, place: &Place) {
        let Some(Type::Map(key, _)) = self.target_type(entry) else {
            return;
        };
        let schema = self.scope.schema;
        let plain = match element {
            Type::Struct(id) => schema.get(*id).fields.len() == 1,
            other => !matches!(other, Type::List(_) | Type::Set(_) | Type::Map(..)),
        };
        let takes_all = matches!(
            *key,
            Type::Struct(_) | Type::List(_) | Type::Set(_) | Type::Map(..) | Type::Any
        );
        if !plain && !takes_all {
            let message = format!(
                "the elements are the map's keys, and {} can't fill {}",
                schema.describe(element),
                schema.describe(&key)
            );
            let help = "go over plain values, or fill a list";
            self.problem(place, Code::ConfigType, message, Some(help.into()));
        }
    }

    /// Reports a path into a lookup whose answers have no fields.
    pub(super) fn check_path(&self, reference: &Reference, place: &Place) {
        let (Root::Lookup(at), Some(name)) = (reference.root, reference.path.first()) else {
            return;
        };
        let entry = &self.view.uses[at];
        let yields = self.seen_as(entry);
        // The default may have the field.
        let default = entry.default.as_ref().map(|(value, _)| value);
        let in_default = default.is_some_and(|value| value.get(name).is_some());
        if matches!(yields, Yields::Any | Yields::Record) || in_default {
            return;
        }
        let of = &entry.name;
        let message = format!("`{of}` is {}, which has no field `{name}`", words(yields));
        let each = format!("`foreach = \"{of}\"` with `item.{name}`");
        let help = match (yields, &entry.foreach) {
            (Yields::List, None) => format!(
                "use `rows = \"one\"` in lookup `{}`, or {each}",
                entry.lookup.0
            ),
            (Yields::List, Some(_)) => format!("use {each}"),
            _ => format!("refer to `{of}` itself"),
        };
        self.problem(place, Code::ConfigReference, message, Some(help));
    }

    /// Reports a `foreach` over a lookup that never yields a list.
    fn check_list(&self, over: &Reference, place: &Place) {
        let (Root::Lookup(at), []) = (over.root, &over.path[..]) else {
            return;
        };
        let entry = &self.view.uses[at];
        let yields = self.seen_as(entry);
        let stands_in = matches!(&entry.default, Some((Value::List(_), _)));
        if matches!(yields, Yields::Any | Yields::List) || stands_in {
            return;
        }
        let message = format!("`{}` is {}, not a list", entry.name, words(yields));
        let help = match yields {
            Yields::Record => Some("use `rows = \"many\"` for a list".into()),
            _ => None,
        };
        self.problem(place, Code::ConfigType, message, help);
    }

    /// What other lookups of the view can refer to in this one.
    fn seen_as(&self, entry: &UseEntry) -> Yields {
        match (&entry.foreach, self.target_type(entry)) {
            // A map from element to answer.
            (Some(_), Some(Type::Map(..))) => Yields::Any,
            (Some(_), _) => Yields::List,
            (None, _) => {
                let wanted = &*entry.lookup.0;
                let mut lookups = self.scope.lookups.iter();
                let lookup = lookups.find(|lookup| &*lookup.name == wanted);
                let lookup = lookup.filter(|lookup| lookup.params.is_some());
                lookup.map_or(Yields::Any, |lookup| lookup.yields)
            }
        }
    }

    /// The type of the field that a use fills, if there is such a field.
    fn target_type(&self, entry: &UseEntry) -> Option<Type> {
        if !entry.emit {
            return None;
        }
        let into = entry.into.as_ref().map_or(&*entry.name, |(into, _)| into);
        match &self.reply {
            ReplyShape::Void => None,
            ReplyShape::Whole(ty) => Some(ty.clone()),
            ReplyShape::Struct(_) if into == "." => None,
            ReplyShape::Struct(id) => {
                let found = field_at(self.scope.schema, *id, into).ok();
                found.map(|(_, ty)| ty)
            }
        }
    }
}
