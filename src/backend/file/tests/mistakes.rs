//! Mistakes of operators, in a file, a lookup or a backend, and what they are told.

use std::fmt::Write as _;

use super::super::*;
use super::{airports, mistakes};
use crate::backend::testing::{config_problems, lookup_problems};

#[test]
fn lookup_mistakes_are_named() {
    let check = |toml: &str, expected: &str| {
        assert_eq!(lookup_problems::<FileTable>(&airports(), toml), [expected]);
    };
    check(
        "key = { cod = \"{c}\" }",
        "config.unknown_name key.cod: there is no column `cod` (did you mean `code`?)",
    );
    check(
        "columns = [\"elevation\"]",
        "config.unknown_name columns[0]: there is no column `elevation` \
         (the file has `code`, `name`, `city`, `lat`, `alt`)",
    );
    check(
        "where = { code = \"a{c}\" }",
        "config.bad_value where.code: `a{c}` is neither a parameter nor a plain value \
         (a parameter is the whole value: `\"{name}\"`)",
    );
    check(
        "where = { code = [1] }",
        "config.bad_value where.code: a column can't equal a list \
         (a parameter, `\"{name}\"`, or one value)",
    );
    check(
        "key = {}",
        "config.bad_value key: no column is named here (for example `code = \"{param}\"`)",
    );
    check(
        "key = { code = 1 }\nwhere = { code = 1 }",
        "config.clash : both `key` and `where` are given \
         (`key` is indexed, `where` looks at every row; keep one)",
    );
    check(
        "rows = \"value\"",
        "config.missing_key : `columns` is missing (add `columns = [\"code\"]`)",
    );
    check(
        "columns = [\"code\", \"code\"]",
        "config.clash columns[1]: the column `code` is listed twice",
    );
}

#[test]
fn csv_mistakes_have_their_line() {
    let check = |text: &[u8], more: &str, expected: &str| {
        assert_eq!(mistakes("t.csv", text, more), [expected]);
    };
    let types = "types = { lat = \"double\" }";
    check(
        b"a,lat\nx,1\ny,\nz,north\n",
        types,
        "config.file path: FILE, line 4: column `lat`: `north` is not of type `double`",
    );
    check(
        b"a,b\n1,2\n3\n",
        "",
        "config.file path: FILE, line 3: 1 cells where there are 2 columns",
    );
    check(
        b"a,b\n1,\xff\n",
        "",
        "config.file path: FILE, line 2: column `b`: not UTF-8",
    );
    check(b"\xff,b\n", "", "config.file path: FILE, line 1: not UTF-8");
    check(
        b"a,a\n",
        "",
        "config.file path: FILE, line 1: two columns are called `a`",
    );
    check(
        b"a,\n",
        "",
        "config.file path: FILE, line 1: column 2 has no name",
    );
    check(
        b"a,b\n1,\"2\n3,4\n",
        "",
        "config.file path: FILE, line 2: a quote opens here and never closes",
    );
    for separator in [";", "\t", "|"] {
        let shown = separator.escape_debug();
        check(
            format!("a{separator}b\n1{separator}2\n").as_bytes(),
            "",
            &format!(
                "config.file path: FILE, line 1: the only column is called `a{shown}b`: \
                 cells are separated by `,` here; for `{shown}`, set `separator = \"{shown}\"`"
            ),
        );
    }
    check(
        b"",
        "",
        "config.file path: FILE, line 1: the column names are missing",
    );
    check(
        b"long,lat\n1,2\n",
        "types = { lot = \"double\" }",
        "config.unknown_name types.lot: there is no column `lot` (did you mean `lat`?)",
    );
    check(
        b"a\n1\n",
        "types = { a = \"int\" }",
        "config.bad_value types.a: unknown type of a column \
         (one of `text`, `i64`, `double`, `bool`)",
    );
}

#[test]
fn a_line_is_counted_however_lines_end() {
    for end in ["\n", "\r\n", "\n\n", "\r\n\r\n"] {
        let text = format!("a,b{end}1,\"x{end}y\"{end}x,2{end}3,z");
        let mistakes = mistakes("t.csv", &text, "types = { a = \"i64\" }");
        let line = text[..text.find("x,2").unwrap()].matches('\n').count() + 1;
        let expected =
            format!("config.file path: FILE, line {line}: column `a`: `x` is not of type `i64`");
        assert_eq!(mistakes, [expected]);
    }
}

#[test]
fn many_bad_cells_are_summed_up() {
    let mut text = "n\n".to_owned();
    for _ in 0..20 {
        writeln!(text, "x").unwrap();
    }
    let mistakes = mistakes("t.csv", text, "types = { n = \"i64\" }");
    assert_eq!(mistakes.len(), 6);
    assert_eq!(
        mistakes[5],
        "config.file path: FILE: 15 more cells are wrong"
    );
}

#[test]
fn json_mistakes_have_their_place() {
    let check = |text: &str, expected: &str| {
        assert_eq!(
            mistakes("t.json", text, ""),
            [format!("config.file path: FILE, {expected}")]
        );
    };
    check(
        "[\n{\"a\": }]",
        "line 2: it is not valid JSON: expected value at line 2 column 7",
    );
    check(
        "3",
        "line 1: expected an array of objects, or an object of objects",
    );
    check("[{\"a\": 1}, 2]", "element 2 is not an object");
    check("{\"x\": 2}", "element `x` is not an object");
    check(
        "{\"x\": {\"key\": 2}}",
        "element `x` has a field `key`, which is what the outer names are called",
    );
    check(
        "[{}]",
        "line 1: there are no columns: no object has a field",
    );
    let deep = "[".repeat(100_000);
    assert!(mistakes("t.json", deep, "")[0].contains("recursion limit"));
}

#[test]
fn backend_mistakes_are_named() {
    let missing = config_problems::<FileTable>("path = \"/nowhere/t.csv\"");
    assert!(missing[0].starts_with("config.file path: can't read `/nowhere/t.csv`: No such file"));
    assert_eq!(
        config_problems::<FileTable>("path = \"t.xls\""),
        [
            "config.bad_value path: `t.xls` has an unknown format (a path ending in `.csv`, `.json`, `.jsonl` or `.ndjson`, or the key `format`)"
        ]
    );
    assert_eq!(
        config_problems::<FileTable>("paht = \"t.csv\""),
        ["config.unknown_key paht: unknown key (did you mean `path`?)"]
    );
    let large = mistakes("t.csv", "a\n1\n", "bytes_max = \"3B\"");
    assert_eq!(
        large,
        ["config.file path: can't read FILE: it has more than 3 bytes (`bytes_max`)"]
    );
    let json = mistakes(
        "t.json",
        "[{\"a\": 1}]",
        "null = \"\"\ntypes = { a = \"i64\" }",
    );
    assert_eq!(
        json,
        [
            "config.bad_value null: JSON has its own null (leave `null` out)",
            "config.bad_value types.a: JSON has its own types (leave `types` out)",
        ]
    );
}
