//! SQL texts, and the parameters and mistakes in them.

use super::*;

#[track_caller]
fn check(style: Style, sql: &str, text: &str, params: &[&str]) {
    let statement = scan(sql, style).expect("a good statement");
    assert_eq!(statement.text, text);
    let names: Vec<&str> = statement.params.iter().map(|name| &**name).collect();
    assert_eq!(names, params);
}

#[track_caller]
fn refuse(style: Style, sql: &str, words: &str) {
    let mistakes = scan(sql, style).expect_err("a bad statement");
    assert!(
        mistakes
            .iter()
            .any(|mistake| mistake.message.contains(words)),
        "{mistakes:?}"
    );
}

#[test]
fn a_dollar_before_a_wide_character_does_not_begin_a_tag() {
    refuse(
        Style::Dollar,
        "select $a\u{20ac}",
        "`$a` is not a parameter here",
    );
    refuse(
        Style::Dollar,
        "select $\u{20ac}",
        "`$` is not a parameter here",
    );
}

#[test]
fn each_driver_gets_its_own_spelling() {
    let sql = "select * from f where a = :a and b = :b or c = :a;";
    check(
        Style::Numbered,
        sql,
        "select * from f where a = ?1 and b = ?2 or c = ?1",
        &["a", "b"],
    );
    check(
        Style::Dollar,
        sql,
        "select * from f where a = $1 and b = $2 or c = $1",
        &["a", "b"],
    );
    check(
        Style::Question,
        sql,
        "select * from f where a = ? and b = ? or c = ?",
        &["a", "b"],
    );
    assert_eq!(scan(sql, Style::Question).unwrap().slots, [0, 1, 0]);
    assert_eq!(scan(sql, Style::Dollar).unwrap().slots, [0, 1]);
}

#[test]
fn quotes_comments_and_casts_hide_colons() {
    for style in [Style::Numbered, Style::Dollar, Style::Question] {
        check(
            style,
            "select 'it''s 12:30:x'",
            "select 'it''s 12:30:x'",
            &[],
        );
        check(style, "select \"a:b\"\"c\"", "select \"a:b\"\"c\"", &[]);
        check(style, "select '{\"a\":true}'", "select '{\"a\":true}'", &[]);
        check(style, "select 1 -- :no\n", "select 1 -- :no", &[]);
        check(style, "select /* :no ' */ 1", "select /* :no ' */ 1", &[]);
    }
    check(Style::Dollar, "select :a::text", "select $1::text", &["a"]);
    check(
        Style::Dollar,
        "select x::text, :y",
        "select x::text, $1",
        &["y"],
    );
    check(
        Style::Dollar,
        "select /* a /* b */ :no */ 1",
        "select /* a /* b */ :no */ 1",
        &[],
    );
    check(
        Style::Dollar,
        "select $q$it's 5:x$q$, :a",
        "select $q$it's 5:x$q$, $1",
        &["a"],
    );
    check(
        Style::Dollar,
        r"select e'it\'s', :a",
        r"select e'it\'s', $1",
        &["a"],
    );
    check(
        Style::Dollar,
        "select a[:n], b ? 'k'",
        "select a[$1], b ? 'k'",
        &["n"],
    );
    check(
        Style::Numbered,
        "select [a:b], `c:d`, :e",
        "select [a:b], `c:d`, ?1",
        &["e"],
    );
    check(
        Style::Question,
        r"select 'it\'s', :a # :no",
        r"select 'it\'s', ? # :no",
        &["a"],
    );
    check(Style::Question, "select 5--:a", "select 5--?", &["a"]);
    check(Style::Numbered, "select :größe", "select ?1", &["größe"]);
}

#[test]
fn a_parameter_in_quotes_is_refused() {
    for style in [Style::Numbered, Style::Dollar, Style::Question] {
        refuse(
            style,
            "select * from f where a = ':a'",
            "`:a` is inside quotes",
        );
        refuse(
            style,
            "select * from f where a like '%:a%'",
            "`:a` is inside quotes",
        );
        refuse(style, "select * from \":t\"", "`:t` is inside quotes");
    }
}

#[track_caller]
fn doubt(style: Style, sql: &str, words: &str) {
    let statement = scan(sql, style).expect("a good statement");
    let doubts = statement.doubts.iter().map(|doubt| &*doubt.message);
    assert_eq!(doubts.collect::<Vec<_>>(), [words], "{sql}");
}

#[test]
fn a_word_after_a_colon_in_a_sentence_is_text_and_doubted() {
    let words = "`:b` in quotes is text, not a parameter";
    for style in [Style::Numbered, Style::Dollar, Style::Question] {
        let sql = "select 'a :b' where x = :x";
        doubt(style, sql, words);
        assert_eq!(scan(sql, style).unwrap().params, ["x".into()]);
        assert!(
            scan("select 'HH24:MI', '{\"a\":true}'", style)
                .unwrap()
                .doubts
                .is_empty()
        );
        refuse(style, "select 'a :b %:c'", "`:c` is inside quotes");
    }
    doubt(Style::Dollar, "select $$ :b $$", words);
}

#[test]
fn braces_are_no_parameters() {
    for style in [Style::Numbered, Style::Dollar, Style::Question] {
        refuse(
            style,
            "select * from f where a = {id}",
            "`{id}` is not a parameter here",
        );
        doubt(
            style,
            "select * from f where a like '%{id}%'",
            "`{id}` in quotes is text, not a parameter",
        );
    }
    check(
        Style::Question,
        "select {d '2020-01-01'}",
        "select {d '2020-01-01'}",
        &[],
    );
    let array = scan("select '{a}'::text[]", Style::Dollar).unwrap();
    assert!(array.doubts.is_empty(), "an array of PostgreSQL's");
}

#[test]
fn other_mistakes_are_named() {
    for style in [Style::Numbered, Style::Dollar, Style::Question] {
        refuse(style, "", "no SQL");
        refuse(style, " -- nothing\n;", "no SQL");
        refuse(style, "select 1; drop table f", "more than one statement");
        refuse(style, "select 'abc", "never ends");
        refuse(style, "select /* abc", "never ends");
    }
    refuse(Style::Question, r"select 'abc\", "never ends");
    refuse(Style::Dollar, "select $a$ b", "never ends");
    refuse(Style::Dollar, "select $1", "`$1` is not a parameter");
    refuse(Style::Numbered, "select ?", "`?` is not a parameter");
    refuse(Style::Numbered, "select @id", "`@id` is not a parameter");
    refuse(Style::Question, "select ?", "`?` is not a parameter");
    check(Style::Question, "select @id; -- done", "select @id", &[]);
}

#[test]
fn several_mistakes_are_reported_together() {
    let mistakes = scan("select ?, ':a', @b", Style::Numbered).unwrap_err();
    assert_eq!(mistakes.len(), 3);
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(sql in "[a-z:;'\"$?@#/*\\\\\\[\\]` é-]{0,40}") {
        for style in [Style::Numbered, Style::Dollar, Style::Question] {
            if let Ok(statement) = scan(&sql, style) {
                proptest::prop_assert!(statement.slots.iter().all(|slot| *slot < statement.params.len()));
            }
        }
    }
}
