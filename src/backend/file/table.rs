//! Rows in memory: the cells of a row lie together, packed, and rows lie together in blocks.
//!
//! A lookup reads one row, so a row's cells are next to each other; columns kept apart would cost one cache miss each. A
//! block is one buffer, which the texts of answers share. There are many small blocks, so that loops seldom count references
//! to the same one. The row's number is the order of the file. Null at the end of a row is not stored.

use bytes::Bytes;

use super::cell::{Cell, read_number, write_nulls, write_number};
use crate::value::{FieldNames, Value};

/// The bit of a row's start that says that signposts come first.
const POSTED: u32 = 1 << 31;
/// A row with more cells has signposts.
const CELLS_MAX: usize = 32;
/// How many cells there are from one signpost to the next.
const STRETCH: usize = 16;
/// The bytes of a signpost: a column, and how far after the signposts its cell is.
const POST: usize = 8;
/// The size of a block, within which it is a small part of the table.
const BLOCK_BYTES: std::ops::RangeInclusive<usize> = 4 << 10..=64 << 10;

/// The blocks of a larger table are not dropped where its last user is.
const BLOCKS_MAX: usize = 256;

/// Named columns and their rows.
#[derive(Debug)]
pub struct Table {
    /// The columns.
    pub names: FieldNames,
    blocks: Vec<Block>,
    /// The number of each block's first row.
    firsts: Vec<u32>,
    len: u32,
}

#[derive(Debug)]
struct Block {
    bytes: Bytes,
    /// Where each row begins, and [`POSTED`].
    starts: Box<[u32]>,
}

impl Table {
    /// A table of rows that were packed piece by piece.
    pub(super) fn new(
        names: FieldNames,
        pieces: impl IntoIterator<Item = Packed>,
    ) -> Result<Self, String> {
        let (mut blocks, mut firsts, mut len) = (Vec::new(), Vec::new(), 0_u32);
        for block in pieces.into_iter().flat_map(Packed::blocks) {
            firsts.push(len);
            let more = u32::try_from(block.starts.len()).ok();
            let sum = more.and_then(|more| len.checked_add(more));
            len = sum
                .filter(|len| *len < u32::MAX)
                .ok_or("it has too many rows")?;
            blocks.push(block);
        }
        blocks.shrink_to_fit();
        firsts.shrink_to_fit();
        Ok(Table {
            names,
            blocks,
            firsts,
            len,
        })
    }

    /// How many rows there are.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it is empty and nothing is known of its columns: then it has any column.
    pub(super) fn has_any_column(&self) -> bool {
        self.names.is_empty()
    }

    /// The row with this number, which there has to be.
    #[inline]
    pub(super) fn row(&self, number: u32) -> Row<'_> {
        let at = self.firsts.partition_point(|first| *first <= number) - 1;
        self.blocks[at].row((number - self.firsts[at]) as usize)
    }

    /// All rows, in the order of the file.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let blocks = self.blocks.iter();
        blocks.flat_map(|block| (0..block.starts.len()).map(|within| block.row(within)))
    }
}

/// Freeing many blocks takes long, and the last user may be a loop.
impl Drop for Table {
    fn drop(&mut self) {
        if self.blocks.len() > BLOCKS_MAX {
            let blocks = std::mem::take(&mut self.blocks);
            let dropping = std::thread::Builder::new().name("drop-file".into());
            // Without a thread, they are dropped here.
            drop(dropping.spawn(move || drop(blocks)));
        }
    }
}

impl Block {
    #[inline]
    fn row(&self, within: usize) -> Row<'_> {
        let start = self.starts[within];
        let next = self.starts.get(within + 1);
        Row {
            block: &self.bytes,
            at: (start & !POSTED) as usize,
            end: next.map_or(self.bytes.len(), |next| (next & !POSTED) as usize),
            posted: start & POSTED != 0,
        }
    }
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'t> {
    pub(super) block: &'t Bytes,
    at: usize,
    end: usize,
    posted: bool,
}

impl Row<'_> {
    /// The cell of a column.
    #[inline]
    pub(super) fn cell(&self, column: usize) -> Cell {
        let (mut now, mut at) = if self.posted {
            self.signpost(column)
        } else {
            (0, self.at)
        };
        while at < self.end {
            let cell = Cell::read(self.block, at);
            now += cell.nulls().max(1);
            if now > column {
                return cell;
            }
            at = cell.end();
        }
        Cell::NULL
    }

    /// The value of a column.
    #[inline]
    pub(super) fn value(&self, column: usize) -> Value {
        self.cell(column).value(self.block)
    }

    /// The values of all columns, of which there are `count`.
    pub(super) fn values(&self, count: usize) -> Vec<Value> {
        let mut values = Vec::with_capacity(count);
        let mut at = if self.posted { self.posts().1 } else { self.at };
        while at < self.end {
            let cell = Cell::read(self.block, at);
            match cell.nulls() {
                0 => values.push(cell.value(self.block)),
                nulls => (0..nulls).for_each(|_| values.push(Value::Null)),
            }
            at = cell.end();
        }
        while values.len() < count {
            values.push(Value::Null);
        }
        values
    }

    /// Where the signposts begin and end.
    fn posts(&self) -> (usize, usize) {
        let (count, begin) = read_number(self.block, self.at);
        (begin, begin + count * POST)
    }

    /// The last signpost before `column`: a column and where its cell is.
    fn signpost(&self, column: usize) -> (usize, usize) {
        let (begin, end) = self.posts();
        let number = |at: usize| {
            let bytes = self.block[at..at + POST / 2].try_into();
            u32::from_le_bytes(bytes.unwrap_or_default()) as usize
        };
        let (posts, _) = self.block[begin..end].as_chunks::<POST>();
        let after = posts.partition_point(|post| {
            let [a, b, c, d, ..] = *post;
            u32::from_le_bytes([a, b, c, d]) as usize <= column
        });
        match after.checked_sub(1) {
            None => (0, end),
            Some(post) => {
                let at = begin + post * POST;
                (number(at), end + number(at + POST / 2))
            }
        }
    }
}

/// Rows that are being packed.
#[derive(Debug)]
pub(super) struct Packed {
    blocks: Vec<Block>,
    block_bytes: usize,
    /// The block that is being filled, and where its rows begin.
    bytes: Vec<u8>,
    starts: Vec<u32>,
    row: OpenRow,
}

/// The row that is being packed.
#[derive(Debug, Default)]
struct OpenRow {
    /// Where it begins in its block.
    at: usize,
    /// Columns that are null and not written yet.
    nulls: usize,
    /// Columns so far.
    columns: usize,
    cells: usize,
    posts: Vec<u8>,
}

impl Packed {
    /// No rows yet, of a file of `file_bytes`.
    pub(super) fn new(file_bytes: usize) -> Self {
        let least = *BLOCK_BYTES.start();
        Packed {
            blocks: Vec::new(),
            block_bytes: (file_bytes / least).clamp(least, *BLOCK_BYTES.end()),
            bytes: Vec::new(),
            starts: Vec::new(),
            row: OpenRow::default(),
        }
    }

    /// The next column of the row is null.
    pub(super) fn null(&mut self) {
        self.row.nulls += 1;
    }

    /// So are the columns before `column`.
    pub(super) fn nulls_before(&mut self, column: usize) {
        self.row.nulls = column - self.row.columns;
    }

    /// Where the next cell of the row is to be written.
    pub(super) fn cell(&mut self) -> &mut Vec<u8> {
        let row = &mut self.row;
        if row.nulls > 0 {
            write_nulls(row.nulls, &mut self.bytes);
            row.columns += std::mem::take(&mut row.nulls);
            row.cells += 1;
        }
        if row.cells >= STRETCH * (row.posts.len() / POST + 1) {
            let offset = self.bytes.len() - row.at;
            for number in [row.columns, offset] {
                let number = u32::try_from(number).unwrap_or(u32::MAX);
                row.posts.extend_from_slice(&number.to_le_bytes());
            }
        }
        row.columns += 1;
        row.cells += 1;
        &mut self.bytes
    }

    /// Ends the row.
    pub(super) fn end_row(&mut self) -> Result<(), String> {
        let mut row = std::mem::take(&mut self.row);
        let mut start = u32::try_from(row.at).unwrap_or(POSTED);
        if self.bytes.len() >= POSTED as usize / 2 {
            return Err("it is longer than a row may be, 1 GiB".into());
        }
        if row.cells > CELLS_MAX {
            let mut posts = Vec::new();
            write_number(row.posts.len() / POST, &mut posts);
            posts.extend_from_slice(&row.posts);
            self.bytes.splice(row.at..row.at, posts);
            start |= POSTED;
        }
        self.starts.push(start);
        if self.bytes.len() >= self.block_bytes {
            self.seal();
        }
        // Its buffer is used again.
        row.posts.clear();
        self.row = OpenRow {
            at: self.bytes.len(),
            posts: row.posts,
            ..OpenRow::default()
        };
        Ok(())
    }

    fn seal(&mut self) {
        if !self.starts.is_empty() {
            // A clone counts references from the beginning, so further ones cost less.
            self.blocks.push(Block {
                bytes: Bytes::copy_from_slice(&self.bytes).clone(),
                starts: self.starts.as_slice().into(),
            });
        }
        self.bytes.clear();
        self.starts.clear();
    }

    fn blocks(mut self) -> Vec<Block> {
        self.seal();
        self.blocks
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::cell::write;
    use super::*;

    /// Packs rows of any width, and reads them whole and column by column.
    fn check(rows: &[Vec<Value>], width: usize) {
        let mut packed = Packed::new(0);
        for row in rows {
            for (column, value) in row.iter().enumerate() {
                if value.is_null() {
                    packed.null();
                } else {
                    // Both ways to say it.
                    packed.nulls_before(column);
                    write(value, packed.cell());
                }
            }
            packed.end_row().unwrap();
        }
        let names = FieldNames::new((0..width).map(|at| at.to_string()));
        let table = Table::new(names, [packed, Packed::new(0)]).unwrap();
        assert_eq!(table.len() as usize, rows.len());
        for (number, row) in (0..).zip(rows) {
            let packed = table.row(number);
            assert_eq!(&packed.values(width), row);
            let single: Vec<Value> = (0..width).map(|at| packed.value(at)).collect();
            assert_eq!(&single, row);
        }
    }

    fn row(width: usize) -> impl Strategy<Value = Vec<Value>> {
        let cell = prop_oneof![
            2 => Just(Value::Null),
            1 => any::<i64>().prop_map(Value::from),
            1 => "[a-z]{0,40}".prop_map(Value::from),
        ];
        proptest::collection::vec(cell, width)
    }

    proptest! {
        #[test]
        fn rows_are_read_back_the_same((width, rows) in (1_usize..100).prop_flat_map(|width| {
            (Just(width), proptest::collection::vec(row(width), 0..8))
        })) {
            check(&rows, width);
        }
    }

    #[test]
    fn wide_and_sparse_rows_are_found_by_column() {
        let wide: Vec<Value> = (0..3000).map(Value::from).collect();
        let mut sparse = vec![Value::Null; 3000];
        sparse[2999] = 5.into();
        check(&[wide, sparse, vec![Value::Null; 3000]], 3000);
    }
}
