//! Reads the tables in a [`Section`]: one, several under names that the operator chose, or an array.

use toml::de::DeValue;

use super::section::{Place, Section};

impl<'d> Section<'d> {
    /// A table in this table.
    pub fn section(&mut self, key: &'static str) -> Option<Section<'d>> {
        let taken = self.take(key)?;
        self.as_section(taken)
    }

    /// The tables of an array such as `[[server.listeners]]`, at most `max`; none if the key is missing.
    pub fn tables(&mut self, key: &'static str, max: usize) -> Vec<Section<'d>> {
        let Some((value, place)) = self.take(key) else {
            return Vec::new();
        };
        let items = match value {
            DeValue::Array(items) if items.len() <= max => items,
            DeValue::Array(items) => {
                let message = format!("{} tables are more than {max}", items.len());
                self.bad(&place, message, None);
                return Vec::new();
            }
            DeValue::Table(_) => {
                let message = "expected an array of tables, found a table";
                let help = format!("write `[[{}]]` instead of `[{}]`", place.key, place.key);
                self.bad(&place, message, Some(help));
                return Vec::new();
            }
            other => {
                self.expected(&place, "an array of tables", &other);
                return Vec::new();
            }
        };
        let items = items.into_iter().enumerate().filter_map(|(at, item)| {
            let place = Place {
                key: format!("{}[{at}]", place.key),
                span: item.span(),
            };
            self.as_section((item.into_inner(), place))
        });
        items.collect()
    }

    /// The tables under names that the operator chose, such as `[backends.*]`, in the order of the file.
    pub fn sections(mut self) -> Vec<(String, Section<'d>)> {
        let names = self.keys();
        names
            .into_iter()
            .filter_map(|name| {
                let taken = self.take_named(&name)?;
                Some((name, self.as_section(taken)?))
            })
            .collect()
    }

    fn as_section(&self, (value, place): (DeValue<'d>, Place)) -> Option<Section<'d>> {
        match value {
            DeValue::Table(table) => Some(Section::new(self.document(), place, table)),
            DeValue::Array(items) if items.iter().any(|item| item.get_ref().is_table()) => {
                let message = "expected a table, found an array of tables";
                let help = format!("write `[{}]` instead of `[[{}]]`", place.key, place.key);
                self.bad(&place, message, Some(help));
                None
            }
            other => {
                self.expected(&place, "a table", &other);
                None
            }
        }
    }
}
