//! Hides secrets in text that is shown: a problem shows its lines of the file, and these may contain passwords and tokens.
//!
//! The text may have any mistake, so it is not parsed: this reads keys and values as TOML has them, and goes on at each line.
//! What is hidden is decided by [`may_be_secret`] and [`credentials`].

use std::ops::Range;

use super::credentials::credentials;
use super::secrets::may_be_secret;

/// Replaces each byte of a secret on the lines of `shown` by `*`, so that all byte offsets stay valid.
pub(super) fn redact(text: &str, shown: &Range<usize>) -> String {
    let begin = text.floor_char_boundary(shown.start);
    let end = text.floor_char_boundary(shown.end.max(shown.start));
    let mut reader = Reader {
        text,
        lines: text[..begin].rfind('\n').unwrap_or(0)
            ..text[end..].find('\n').map_or(text.len(), |at| end + at),
        at: 0,
        path: Vec::new(),
        table: 0,
        open: Vec::new(),
        hidden: Vec::new(),
    };
    reader.read();
    let mut bytes = text.as_bytes().to_vec();
    for secret in reader.hidden {
        for byte in &mut bytes[secret] {
            if !matches!(byte, b'\n' | b'\r') {
                *byte = b'*';
            }
        }
    }
    // Only whole characters were replaced, so the text is still valid UTF-8.
    String::from_utf8_lossy(&bytes).into_owned()
}

struct Reader<'t> {
    text: &'t str,
    /// The lines that are shown. Other lines are read only to know what the keys are.
    lines: Range<usize>,
    at: usize,
    /// The names that lead to the value at `at`: those of the table, of the inline tables around, and the key.
    path: Vec<&'t str>,
    /// How many of them are those of the table's header.
    table: usize,
    /// The lists and inline tables that are open.
    open: Vec<Open>,
    hidden: Vec<Range<usize>>,
}

struct Open {
    is_list: bool,
    /// How many names lead to it.
    names: usize,
}

impl Reader<'_> {
    fn read(&mut self) {
        while self.at < self.lines.end {
            if self.is_header() {
                self.header();
            }
            let is_list = self.open.last().is_some_and(|open| open.is_list);
            if is_list || self.key() {
                self.values();
            }
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn line_end(&self) -> usize {
        self.at
            + self.text[self.at..]
                .find('\n')
                .unwrap_or(self.text.len() - self.at)
    }

    fn skip_blanks(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    /// Whether the line that begins here is `[name]`. In a list that was not closed, it ends the list.
    fn is_header(&self) -> bool {
        let before = self.text[..self.at].trim_end_matches([' ', '\t']);
        let is_begin = before.is_empty() || before.ends_with('\n');
        let line = self.text[self.at..self.line_end()].trim_start();
        let name = line.trim_start_matches('[');
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let is_table = self.open.is_empty() || (is_name && !line.contains(','));
        is_begin && line.len() > name.len() && is_table
    }

    fn header(&mut self) {
        self.open.clear();
        self.path.clear();
        while matches!(self.byte(), Some(b' ' | b'\t' | b'[')) {
            self.at += 1;
        }
        self.names();
        self.table = self.path.len();
        while matches!(self.byte(), Some(b' ' | b'\t' | b']')) {
            self.at += 1;
        }
    }

    /// A key and what follows it up to its value. A wrong or missing sign in between changes nothing. False if a header is next.
    fn key(&mut self) -> bool {
        let names = self.open.last().map_or(self.table, |open| open.names);
        self.path.truncate(names);
        loop {
            match self.byte() {
                Some(b' ' | b'\t' | b'\r' | b'\n' | b',') => self.at += 1,
                // What is commented out is read as if it were not.
                Some(b'#') if self.open.is_empty() => self.at += 1,
                _ => break,
            }
            if self.byte() == Some(b'[') && self.is_header() {
                return false;
            }
        }
        self.names();
        self.skip_blanks();
        if matches!(self.byte(), Some(b'=' | b':')) {
            self.at += 1;
        }
        true
    }

    /// Names with dots between them.
    fn names(&mut self) {
        loop {
            self.skip_blanks();
            let start = self.at;
            let name = match self.byte() {
                Some(b'"' | b'\'') => {
                    let name = self.string();
                    self.credentials(&name);
                    name
                }
                _ => {
                    let rest = &self.text[start..];
                    let end = rest.find(|c: char| !c.is_alphanumeric() && !"_-".contains(c));
                    self.at = start + end.unwrap_or(rest.len());
                    start..self.at
                }
            };
            if !name.is_empty() {
                self.path.push(&self.text[name]);
            }
            self.skip_blanks();
            if self.byte() != Some(b'.') {
                return;
            }
            self.at += 1;
        }
    }

    /// What follows a key, up to the next key.
    fn values(&mut self) {
        loop {
            self.skip_blanks();
            let is_list = self.open.last().is_some_and(|open| open.is_list);
            match self.byte() {
                None => return,
                Some(b'\n') => {
                    self.at += 1;
                    if !is_list || self.is_header() {
                        return;
                    }
                }
                Some(b',') if is_list => self.at += 1,
                Some(b',') if !self.open.is_empty() => return,
                Some(bracket @ (b'[' | b'{')) => {
                    self.at += 1;
                    self.open.push(Open {
                        is_list: bracket == b'[',
                        names: self.path.len(),
                    });
                    if bracket == b'{' {
                        return;
                    }
                }
                Some(b']' | b'}') if !self.open.is_empty() => {
                    self.at += 1;
                    let closed = self.open.pop().map_or(0, |open| open.names);
                    self.path.truncate(closed);
                }
                Some(b'"' | b'\'') => {
                    let string = self.string();
                    self.value(string);
                }
                Some(b'#') if !self.is_secret() => {
                    if self.open.is_empty() {
                        return;
                    }
                    self.at = self.line_end();
                }
                _ => self.bare(),
            }
        }
    }

    /// A value without quotes, or what follows one that has them.
    fn bare(&mut self) {
        let end = self.line_end();
        let ends: &[char] = if self.open.is_empty() {
            &[]
        } else {
            &[',', ']', '}']
        };
        // The first byte belongs to it, whatever it is.
        let first = self.text[self.at..]
            .chars()
            .next()
            .map_or(0, char::len_utf8);
        let start = self.at;
        let from = (start + first).min(end);
        self.at = self.text[from..end].find(ends).map_or(end, |at| from + at);
        let value = start..start + self.text[start..self.at].trim_end().len();
        if !matches!(&self.text[value.clone()], "true" | "false") {
            self.value(value);
        }
    }

    /// Passes the string that begins here: its content. One that is not closed ends with its line, before trailing blanks.
    fn string(&mut self) -> Range<usize> {
        let text = self.text;
        let quote = &text[self.at..=self.at];
        let long = quote.repeat(3);
        if text[self.at..].starts_with(&long)
            && let Some(end) = closing(text, self.at + 3, text.len(), &long)
        {
            let content = self.at + 3..end;
            self.at = end + 3;
            return content;
        }
        let line_end = self.line_end();
        let start = self.at + 1;
        if let Some(end) = closing(text, start, line_end, quote) {
            self.at = end + 1;
            return start..end;
        }
        self.at = line_end;
        start..start.max(text[..line_end].trim_end().len())
    }

    fn is_secret(&self) -> bool {
        may_be_secret(&self.path.join("."))
    }

    /// Hides a value if it is a secret, or the secrets in it.
    fn value(&mut self, value: Range<usize>) {
        if value.end < self.lines.start {
            return;
        }
        let text = &self.text[value.clone()];
        let is_reference = text.starts_with("env:") || text.starts_with("file:");
        if !is_reference && self.is_secret() {
            self.hidden.push(value);
        } else {
            self.credentials(&value);
        }
    }

    fn credentials(&mut self, string: &Range<usize>) {
        if string.end >= self.lines.start {
            let found = credentials(&self.text[string.clone()]).into_iter();
            self.hidden
                .extend(found.map(|at| string.start + at.start..string.start + at.end));
        }
    }
}

/// The position of the quotes in `text[start..end]` that close a string.
fn closing(text: &str, start: usize, end: usize, quotes: &str) -> Option<usize> {
    let mut at = start;
    while at < end {
        match text.as_bytes()[at] {
            b'\\' if quotes.starts_with('"') => at += 1,
            _ if text.as_bytes()[at..end].starts_with(quotes.as_bytes()) => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    /// The text as it is shown if all of it is.
    fn redact(text: &str) -> String {
        super::redact(text, &(0..text.len()))
    }

    #[test]
    fn passwords_are_hidden_and_nothing_else() {
        let cases = [
            (
                r#"url = "redis://:pw@h:1/0""#,
                r#"url = "redis://:**@h:1/0""#,
            ),
            (
                r#"url = "mysql://me:p:@w@h/d""#,
                r#"url = "mysql://me:****@h/d""#,
            ),
            (r#"url = "mysql//me:p w@h""#, r#"url = "mysql//me:***@h""#),
            (r#"url = "mysql:me:p\"w@h""#, r#"url = "mysql:me:****@h""#),
            ("url = 'http://u:\u{e9}@h'", "url = 'http://****@h'"),
            ("url = mysql://u:pw@h\n", "url = mysql://u:**@h\n"),
            (
                "urls = ['redis://:a@h', \"redis://:b@h\"]",
                "urls = ['redis://:*@h', \"redis://:*@h\"]",
            ),
            (
                "url = 'postgres://h?password=pw&a=b'",
                "url = 'postgres://h?password=**&a=b'",
            ),
            (
                "url = 'mysql://u:pw@h\nrows = 1",
                "url = 'mysql://u:**@h\nrows = 1",
            ),
        ];
        for (text, shown) in cases {
            assert_eq!(redact(text), shown);
        }
        let plain = [
            r#"url = "postgresql://user@127.0.0.1:5432/db""#,
            r#"sql = "select a from t where b = :b and c @> 'd' and password=:p""#,
            "get = 'http:/{a}'\n# a: b@c\n[a\n\n\"",
            "url = \"\u{2000}",
            "\"a://b:\u{2000}",
            "",
        ];
        for text in plain {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn no_secret_is_shown_by_whichever_mistake_it_stands() {
        let cases = [
            r#"url="http://x/?token=SEKRET""#,
            r#"url="http://SEKRET@x/""#,
            r#"headers={ authorization="SEKRET\n" }"#,
            r#"headers={ x-other='SEKRET', y="SEKRET"#,
            r#"heders={ x-other="SEKRET" }"#,
            r#"headers="x-other: SEKRET""#,
            r#"headers.x-other="SEKRET""#,
            r#"url="postgresql://u@h/d?pasword=SEKRET""#,
            r#"url="host=h pasword = 'SEKRET \' SEKRET' user=u""#,
            r#"password=["SEKRET"]"#,
            "password=[ # SEKRET\n  \"SEKRET\",\n 'SEKRET'\n]",
            r#"passwrd="SEKRET""#,
            r#"pasword = { value = "SEKRET", b = [ { c = "SEKRET" } ] }"#,
            "password = \"\"\"a\nSEKRET\n\"\"\"",
            "password = \"\"\"SEKRET\n",
            r#"password = "SEKRET"#,
            r#"password = "a"SEKRET""#,
            "password = SEKRET # SEKRET",
            "password = a#SEKRET",
            "password SEKRET",
            "password: 'SEKRET'",
            "rows = 1 # password = 'SEKRET'",
            "#password = 'SEKRET'",
            r#"get="/x?api_key=SEKRET&y={""#,
            r#"get="/x?jwt=SEKRET SEKRET""#,
            r#"body={ password="SEKRET {" }"#,
            r#"body={ a = { pin="SEKRET", userOtp = SEKRET } }"#,
        ];
        for line in cases {
            let text = format!("[backends.a]\nrows = [\n\n[backends.b]\n{line}\n");
            let shown = redact(&text);
            assert!(!shown.contains("SEKRET"), "{line}\n{shown}");
            assert_eq!(shown.len(), text.len(), "{line}");
        }
        for text in [
            "[admin]\ntoken=\"SEKRET-0123456789ab\"",
            "[traces]\nheaders={ a=\"SEKRET\", b=5 }",
            "[views.a]\n\n\n [admin]\nauth = 'SEKRET'",
            "[server]\ntokens = { batch = \"SEKRET\" }",
            "server.tokens.batch = \"SEKRET\"",
            "[views.a.lookups.b]\nwith = { token = { value = \"SEKRET\" } }",
            "[[services]]\n[services.views.a.lookups.b]\ndefault = { session = \"SEKRET\" }",
        ] {
            let shown = redact(text);
            assert!(!shown.contains("SEKRET"), "{shown}");
        }
        assert_eq!(
            redact("[traces]\nheaders = { accept = 'a', b = 5, 'c' = \"de\" }  # x"),
            "[traces]\nheaders = { accept = 'a', b = *, 'c' = \"**\" }  ***"
        );
    }

    #[test]
    fn what_is_no_secret_is_shown() {
        for text in [
            "[backends.token]\npassword = 'env:OPS'\nurl = 'file:ops'\n",
            "[server]\nlisten = '127.0.0.1:1' # it's\nplain_tokens = true\n",
            "[lookups.passengers]\nbackend = 'auth'\nsql = 'select pin from t where id = :id'\nbatch = { key = 'id' }\n",
            "[views.get.lookups]\nauth = 'tokens'\npassengers = { use = 'a', with = { auth = 'token' } }\n",
            "[lookups.x]\nget = '/v1/{id}?token={token}&page=1'\n",
            "[lookups.x]\nheaders = { a = { b = ['",
            "x = '\u{fffd}=\u{fffd}a=b'",
        ] {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn only_shown_lines_are_judged() {
        let text = "[admin]\ntoken = 'a'\ntoken = 'b'\ntoken = 'c'\n";
        let at = text.find("'b'").expect("it is there");
        let shown = super::redact(text, &(at..at + 1));
        assert_eq!(shown, text.replace("'b'", "'*'"));
    }
}
