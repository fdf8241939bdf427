//! Lays Markdown out for a terminal.
//!
//! `pulldown-cmark` reads the page and `textwrap` breaks its lines. In: a page of the manual, a width, and whether there
//! are colours. Out: lines that are no wider, except in blocks of code. Markdown that the manual does not use is not styled.

use pulldown_cmark::{CodeBlockKind, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use textwrap::core::display_width;

use super::table::Table;
use super::wrap::wrap;

/// A space at which no line breaks, until the page is laid out.
const NO_BREAK: &str = "\u{a0}";
/// Code of more bytes may be broken at its spaces.
const UNBROKEN_MAX: usize = 24;

/// The style of a stretch of text.
#[derive(Clone, Copy)]
enum Style {
    Plain,
    Strong,
    Code,
    Link,
}

/// The page `text` in lines of at most `width` columns.
pub(super) fn render(text: &str, width: usize, color: bool) -> String {
    let mut page = Rendering {
        out: String::new(),
        line: String::new(),
        width,
        color,
        styles: vec![Style::Plain],
        lists: 0,
        table: Table::default(),
        link: None,
        in_code: false,
    };
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        page.event(event);
    }
    page.out.replace(NO_BREAK, " ")
}

struct Rendering {
    out: String,
    /// The paragraph, heading or cell that is being read.
    line: String,
    width: usize,
    color: bool,
    styles: Vec<Style>,
    /// How many lists we are in.
    lists: usize,
    table: Table,
    /// Where the link that is being read leads, and where in `line` it begins.
    link: Option<(String, usize)>,
    in_code: bool,
}

impl Rendering {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.in_code => self.code_block(&text),
            Event::Text(text) => {
                let style = self.styles.last().copied().unwrap_or(Style::Plain);
                self.words(&text, style);
            }
            Event::Code(text) => self.code(&text),
            Event::SoftBreak | Event::HardBreak => self.line.push(' '),
            Event::Rule => {
                let rule = "─".repeat(self.width);
                self.out.push_str(&rule);
                self.out.push_str("\n\n");
            }
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { .. } | Tag::Strong => self.styles.push(Style::Strong),
            Tag::Link { dest_url, .. } => {
                self.link = Some((dest_url.into_string(), self.line.len()));
                self.styles.push(Style::Link);
            }
            Tag::List(_) => {
                // A list within an item begins on its own line.
                self.item();
                self.lists += 1;
            }
            Tag::CodeBlock(CodeBlockKind::Fenced(_) | CodeBlockKind::Indented) => {
                self.in_code = true;
            }
            Tag::Table(_) => self.table = Table::default(),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => {
                self.styles.pop();
                self.heading(level);
            }
            TagEnd::Strong => {
                self.styles.pop();
            }
            TagEnd::Link => {
                self.styles.pop();
                self.link_end();
            }
            TagEnd::Paragraph => self.paragraph(),
            TagEnd::Item => self.item(),
            TagEnd::List(_) => {
                self.lists -= 1;
                self.out.push('\n');
            }
            TagEnd::CodeBlock => {
                self.in_code = false;
                self.out.push('\n');
            }
            TagEnd::TableCell => self.table.cell(std::mem::take(&mut self.line)),
            TagEnd::TableHead | TagEnd::TableRow => self.table.row(),
            TagEnd::Table => {
                let table = std::mem::take(&mut self.table);
                let lines = table.lines(self.width, |text| self.styled(text, Style::Strong));
                self.out.push_str(&lines);
                self.out.push('\n');
            }
            _ => {}
        }
    }

    /// Adds text, each word in its style, so that a line may break between any two.
    fn words(&mut self, text: &str, style: Style) {
        for (at, word) in text.split(' ').enumerate() {
            if at > 0 {
                self.line.push(' ');
            }
            if !word.is_empty() {
                let word = self.styled(word, style);
                self.line.push_str(&word);
            }
        }
    }

    /// Without colours code keeps its backticks. Short code is not broken.
    fn code(&mut self, text: &CowStr<'_>) {
        let text = if text.len() <= UNBROKEN_MAX {
            text.replace(' ', NO_BREAK)
        } else {
            text.to_string()
        };
        if self.color {
            self.words(&text, Style::Code);
        } else {
            self.words(&format!("`{text}`"), Style::Plain);
        }
    }

    fn code_block(&mut self, text: &str) {
        for line in text.lines() {
            let line = self.styled(line, Style::Code);
            if !line.is_empty() {
                self.out.push_str("    ");
                self.out.push_str(&line);
            }
            self.out.push('\n');
        }
    }

    fn styled(&self, text: &str, style: Style) -> String {
        let start = match style {
            Style::Plain => return text.to_owned(),
            _ if !self.color || text.is_empty() => return text.to_owned(),
            Style::Strong => "\x1b[1m",
            Style::Code => "\x1b[36m",
            Style::Link => "\x1b[4m",
        };
        format!("{start}{text}\x1b[0m")
    }

    /// Names the page that a link leads to, unless its text does.
    fn link_end(&mut self) {
        let Some((to, start)) = self.link.take() else {
            return;
        };
        let topic = to.split(".md").next().unwrap_or_default();
        let says_so = self.line[start..].contains(topic);
        if to.contains(".md") && !to.contains('/') && topic != "README" && !says_so {
            self.line.push_str(" [");
            self.line.push_str(topic);
            self.line.push(']');
        }
    }

    /// Underlines the title, so that it stands out without colours too.
    fn heading(&mut self, level: HeadingLevel) {
        let line = if level == HeadingLevel::H1 {
            "═"
        } else {
            "─"
        };
        let wide = display_width(&self.line).min(self.width);
        self.wrapped("", "");
        if level <= HeadingLevel::H2 {
            self.out.push_str(&line.repeat(wide));
            self.out.push('\n');
        }
        self.out.push('\n');
    }

    fn paragraph(&mut self) {
        if self.lists == 0 {
            self.wrapped("", "");
            self.out.push('\n');
        }
    }

    fn item(&mut self) {
        if self.line.is_empty() {
            return;
        }
        let deeper = "  ".repeat(self.lists.saturating_sub(1));
        let (first, rest) = (format!("{deeper}- "), format!("{deeper}  "));
        self.wrapped(&first, &rest);
    }

    /// Breaks the paragraph that was read into lines.
    fn wrapped(&mut self, first: &str, rest: &str) {
        let text = std::mem::take(&mut self.line);
        let options = wrap(self.width)
            .initial_indent(first)
            .subsequent_indent(rest);
        for line in textwrap::wrap(&text, options) {
            self.out.push_str(&line);
            self.out.push('\n');
        }
    }
}
