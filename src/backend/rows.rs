//! Reads the keys `rows` and `rows_max` of a lookup and shapes a store's rows into one value.
//!
//! `one`: the first row as a record, or nothing; additional rows are not read. `many`: a list of records,
//! empty when there are no rows. `value`: the first column of the first row, or nothing.

use super::{Answer, LookupError, Yields};
use crate::config::Section;
use crate::error::Code;
use crate::offload::{LARGE_VALUES, drop_elsewhere, drop_items};
use crate::value::{Record, Value};

/// The maximum number of rows of `rows = "many"`, unless `rows_max` says otherwise.
pub const ROWS_MAX: usize = 10_000;

/// What a lookup makes of a store's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// The first row.
    One,
    /// All rows.
    Many {
        /// With more rows than this the lookup fails: an answer is never silently truncated.
        rows_max: usize,
    },
    /// The first column of the first row.
    Value,
}

impl Rows {
    /// Takes `rows` and `rows_max`; without them, many rows and [`ROWS_MAX`] of them.
    pub fn read(section: &mut Section<'_>) -> Rows {
        let rows = match section.word("rows", &["one", "many", "value"]) {
            Some(("one", _)) => Rows::One,
            Some(("value", _)) => Rows::Value,
            _ => {
                let max = section.integer("rows_max", 1..=i64::from(u32::MAX));
                let rows_max = max.and_then(|max| usize::try_from(max).ok());
                return Rows::Many {
                    rows_max: rows_max.unwrap_or(ROWS_MAX),
                };
            }
        };
        if let Some((_, place)) = section.take("rows_max") {
            let help = Some("it bounds `rows = \"many\"`; leave it out".into());
            section.bad(&place, "only the first row is read", help);
        }
        rows
    }

    /// The type of the answers.
    pub fn yields(self) -> Yields {
        match self {
            Rows::One => Yields::Record,
            Rows::Many { .. } => Yields::List,
            Rows::Value => Yields::Any,
        }
    }

    /// Shapes the rows into one value, reading no more of them than it needs.
    pub fn shape(
        self,
        rows: impl Iterator<Item = Result<Record, LookupError>>,
    ) -> Result<Value, LookupError> {
        let mut shaping = self.start();
        for row in rows {
            if !shaping.push(row?)? {
                break;
            }
        }
        Ok(shaping.value())
    }

    /// Shapes rows that are records already, however many there are.
    pub fn shape_all(self, rows: Vec<Value>) -> Result<Value, LookupError> {
        let first = match self {
            Rows::Many { rows_max } if rows.len() > rows_max => {
                drop_items(rows);
                return Err(too_many(rows_max));
            }
            Rows::Many { .. } => return Ok(Value::List(rows)),
            Rows::One | Rows::Value => rows.into_iter().next().unwrap_or_default(),
        };
        Ok(self.of_first(first))
    }

    /// What the first row makes, unless all rows are wanted.
    fn of_first(self, first: Value) -> Value {
        match first {
            Value::Record(row) if self == Rows::Value => {
                row.values.into_iter().next().unwrap_or_default()
            }
            first => first,
        }
    }

    /// Starts to shape rows that come one by one.
    pub fn start(self) -> Shaping {
        Shaping {
            rows: self,
            first: Value::Null,
            list: Vec::new(),
        }
    }
}

/// Records, as they come from a store. One, which is the usual case, takes no memory besides its own.
#[derive(Clone, Debug, Default)]
pub(super) enum RowList {
    #[default]
    Empty,
    One(Value),
    Several(RowLists),
}

/// Several records. Many are kept in several lists: a single one would be copied each time it has grown.
#[derive(Clone, Debug, Default)]
pub(super) struct RowLists {
    full: Vec<Vec<Value>>,
    last: Vec<Value>,
}

impl RowList {
    #[inline]
    pub(super) fn push(&mut self, row: Value) {
        match self {
            RowList::Empty => *self = RowList::One(row),
            RowList::One(first) => {
                let mut lists = RowLists::default();
                lists.push(std::mem::take(first));
                lists.push(row);
                *self = RowList::Several(lists);
            }
            RowList::Several(lists) => lists.push(row),
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            RowList::Empty => 0,
            RowList::One(_) => 1,
            RowList::Several(lists) => lists.len(),
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, RowList::Empty)
    }

    /// The rows one by one.
    pub(super) fn into_rows(self) -> impl Iterator<Item = Value> {
        let (one, mut lists) = match self {
            RowList::Empty => (None, RowLists::default()),
            RowList::One(row) => (Some(row), RowLists::default()),
            RowList::Several(lists) => (None, lists),
        };
        let full = std::mem::take(&mut lists.full);
        let last = std::mem::take(&mut lists.last);
        one.into_iter()
            .chain(full.into_iter().flatten())
            .chain(last)
    }

    /// The answer that they make. Many are put together on another thread.
    pub(super) fn answer(self, rows: Rows) -> Result<Answer, LookupError> {
        match (self, rows) {
            (RowList::Several(lists), _) => lists.answer(rows),
            (RowList::One(row), Rows::Many { .. }) => Ok(Answer::new(Value::List(vec![row]))),
            (RowList::One(row), _) => Ok(Answer::new(rows.of_first(row))),
            (RowList::Empty, _) => Ok(Answer::new(rows.shape_all(Vec::new())?)),
        }
    }
}

impl RowLists {
    fn push(&mut self, row: Value) {
        if self.last.len() == LARGE_VALUES {
            self.full.push(std::mem::take(&mut self.last));
        }
        self.last.push(row);
    }

    fn len(&self) -> usize {
        self.full.len() * LARGE_VALUES + self.last.len()
    }

    fn answer(mut self, rows: Rows) -> Result<Answer, LookupError> {
        if self.full.is_empty() {
            let value = rows.shape_all(std::mem::take(&mut self.last))?;
            return Ok(Answer::new(value));
        }
        match rows {
            Rows::Many { rows_max } if self.len() > rows_max => Err(too_many(rows_max)),
            _ => Ok(Answer::undecoded(move || {
                let mut all = Vec::with_capacity(self.len());
                all.extend(RowList::Several(self).into_rows());
                rows.shape_all(all)
            })),
        }
    }
}

/// Drops many rows on another thread.
impl Drop for RowLists {
    fn drop(&mut self) {
        if !self.full.is_empty() {
            let last = std::mem::take(&mut self.last);
            drop_elsewhere((std::mem::take(&mut self.full), last));
        }
    }
}

/// Rows on their way to one value.
#[derive(Debug)]
pub struct Shaping {
    rows: Rows,
    first: Value,
    list: Vec<Value>,
}

impl Shaping {
    /// Adds the next row; returns whether more are wanted.
    pub fn push(&mut self, row: Record) -> Result<bool, LookupError> {
        match self.rows {
            Rows::One => self.first = Value::Record(row),
            Rows::Value => self.first = row.values.into_iter().next().unwrap_or_default(),
            Rows::Many { rows_max } => {
                if self.list.len() == rows_max {
                    return Err(too_many(rows_max));
                }
                self.list.push(Value::Record(row));
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What the rows came to.
    pub fn value(self) -> Value {
        match self.rows {
            Rows::One | Rows::Value => self.first,
            Rows::Many { .. } => Value::List(self.list),
        }
    }
}

fn too_many(rows_max: usize) -> LookupError {
    let detail = format!("more than {rows_max} rows (`rows_max`)");
    LookupError::new(Code::LookupTooMany, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{document, whole};
    use crate::value::FieldNames;

    fn record(number: i64) -> Record {
        Record {
            names: FieldNames::new(["n", "other"]),
            values: vec![number.into(), "x".into()],
        }
    }

    fn list(numbers: impl Iterator<Item = i64>) -> RowList {
        let mut list = RowList::default();
        numbers.for_each(|number| list.push(Value::Record(record(number))));
        list
    }

    fn shape(rows: Rows, numbers: &[i64]) -> Result<Value, LookupError> {
        let records = || numbers.iter().map(|number| record(*number));
        let one_by_one = rows.shape(records().map(Ok));
        let all = list(numbers.iter().copied()).answer(rows);
        let all = all.map(|answer| answer.value);
        assert_eq!(format!("{all:?}"), format!("{one_by_one:?}"));
        all
    }

    #[tokio::test(flavor = "local")]
    async fn a_list_of_many_rows_is_never_copied_and_is_whole() {
        let many = i64::try_from(5 * LARGE_VALUES / 2).expect("a small number");
        let rows_max = 5 * LARGE_VALUES / 2;
        let of = |count| list(0..count);
        let RowList::Several(lists) = of(many) else {
            panic!("one list");
        };
        assert!(lists.last.capacity() <= LARGE_VALUES, "no longer list");
        let answer = of(many)
            .answer(Rows::Many { rows_max })
            .expect("few enough");
        assert!(answer.is_undecoded(), "it is put together elsewhere");
        let answer = answer.decoded().await.expect("rows");
        assert!(answer.is_large);
        let all = (0..many).map(|number| Value::Record(record(number)));
        assert_eq!(answer.value, Value::List(all.collect()));
        let err = of(many + 1).answer(Rows::Many { rows_max });
        assert_eq!(err.expect_err("too many").code, Code::LookupTooMany);
        let few = i64::try_from(LARGE_VALUES).expect("a small number");
        let answer = of(few).answer(Rows::Many { rows_max }).expect("few enough");
        assert!(!answer.is_undecoded());
        assert!(of(many).into_rows().eq(of(many).into_rows()));
    }

    fn read(text: &str) -> (Rows, Vec<String>) {
        let document = document(text);
        let mut section = whole(&document);
        let rows = Rows::read(&mut section);
        section.finish();
        let problems = document.problems.into_vec();
        (rows, problems.into_iter().map(|p| p.message).collect())
    }

    #[test]
    fn shapes() {
        let many = Rows::Many { rows_max: 2 };
        assert_eq!(shape(Rows::One, &[]).unwrap(), Value::Null);
        assert_eq!(shape(Rows::One, &[1, 2]).unwrap(), Value::Record(record(1)));
        assert_eq!(shape(Rows::Value, &[]).unwrap(), Value::Null);
        assert_eq!(shape(Rows::Value, &[7, 8]).unwrap(), Value::I64(7));
        assert_eq!(shape(many, &[]).unwrap(), Value::List(vec![]));
        let one = Value::List(vec![Value::Record(record(1))]);
        assert_eq!(shape(many, &[1]).unwrap(), one);
        assert_eq!(shape(Rows::One, &[1]).unwrap(), Value::Record(record(1)));
        assert_eq!(shape(Rows::Value, &[7]).unwrap(), Value::I64(7));
        let both = vec![Value::Record(record(1)), Value::Record(record(2))];
        assert_eq!(shape(many, &[1, 2]).unwrap(), Value::List(both));
        assert_eq!(
            shape(many, &[1, 2, 3]).unwrap_err().code,
            Code::LookupTooMany
        );
    }

    #[test]
    fn rows_after_the_first_are_not_read() {
        let rows = [
            Ok(record(1)),
            Err(LookupError::new(Code::LookupFailed, "read on")),
        ];
        assert!(Rows::One.shape(rows.into_iter()).is_ok());
    }

    #[test]
    fn keys() {
        assert_eq!(read(""), (Rows::Many { rows_max: ROWS_MAX }, vec![]));
        assert_eq!(read("rows_max = 5"), (Rows::Many { rows_max: 5 }, vec![]));
        assert_eq!(read("rows = \"one\""), (Rows::One, vec![]));
        assert_eq!(read("rows = \"value\""), (Rows::Value, vec![]));
        assert_eq!(read("rows = \"all\"").1, ["`all` is not known here"]);
        let both = "rows = \"one\"\nrows_max = 5";
        assert_eq!(read(both).1, ["only the first row is read"]);
        assert_eq!(read("rows_max = 0").1, ["0 is out of range"]);
    }
}
