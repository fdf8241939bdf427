//! Pages laid out for a terminal.

use insta::assert_snapshot;
use textwrap::core::display_width;

use super::render::render;
use super::*;

const PAGE: &str = "\
# A page: `[section]`

After reading this page you can see how a paragraph is broken into lines of a certain width, with
`code in it` and **strong words**.

```toml
key = \"a block of code keeps its lines, however long they are\"
```

- an item that is longer than a line, with [a link](redis.md) to a page
- [redis](redis.md) is a link that names its page

| key | default | meaning |
|---|---|---|
| `a` | | what it means, in so many words that it takes several lines |
| `longer` | `\"250ms\"` | short |

---

[Manual](README.md) · Related: [redis](redis.md)
";

#[test]
fn rows_of_tables_are_shown_as_their_cells() {
    assert_eq!(readable("| `a` | | x \\| y |"), "`a`  x | y");
    assert_eq!(readable("plain | text"), "plain | text");
}

#[test]
fn a_page_is_laid_out_for_its_width() {
    assert_snapshot!(render(PAGE, 50, false), @r#"
    A page: `[section]`
    ═══════════════════

    After reading this page you can see how a
    paragraph is broken into lines of a certain width,
    with `code in it` and strong words.

        key = "a block of code keeps its lines, however long they are"

    - an item that is longer than a line, with a link
      [redis] to a page
    - redis is a link that names its page

    key       default    meaning
    ────────  ─────────  ─────────────────────────────
    `a`                  what it means, in so many
                         words that it takes several
                         lines
    `longer`  `"250ms"`  short

    ──────────────────────────────────────────────────

    Manual · Related: redis
    "#);
}

#[test]
fn a_table_that_is_too_wide_becomes_paragraphs() {
    let table = "| limit | default | seen in |\n|---|---|---|\n\
        | `server.limits.frame_bytes_max` | `5` | `tributary_connections_closed_total` |\n";
    assert_snapshot!(render(table, 50, false), @r"
    `server.limits.frame_bytes_max`
      default: `5`
      seen in: `tributary_connections_closed_total`
    ");
}

#[test]
fn colours_take_no_room() {
    let colored = render(PAGE, 50, true);
    assert!(colored.contains("\x1b[36mcode in it\x1b[0m"), "{colored}");
    let mut lines = colored.lines().filter(|line| !line.contains("key = "));
    assert!(lines.all(|line| display_width(line) <= 50), "{colored}");
}

#[test]
fn no_line_of_any_page_is_wider_than_a_terminal() {
    for page in PAGES {
        for color in [false, true] {
            let text = render(page.text, 80, color);
            // Blocks of code are indented, and keep their lines.
            let lines = text.lines().filter(|line| !line.contains("    "));
            for line in lines {
                assert!(display_width(line) <= 80, "{}: {line}", page.topic);
            }
        }
    }
}
