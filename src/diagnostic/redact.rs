//! Hides passwords in text that is shown: a problem shows its line of the file, and URLs in it may contain a password.

use std::ops::Range;

/// Replaces each byte of a URL's password by `*`, so that all byte offsets stay valid.
pub(super) fn redact(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        for string in strings(line) {
            for secret in passwords(&line[string.clone()]) {
                let from = start + string.start;
                bytes[from + secret.start..from + secret.end].fill(b'*');
            }
        }
        start += line.len();
    }
    // Only whole characters were replaced, so the text is still valid UTF-8.
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The quoted strings of a line; in a line without quotes, the value that may lack them.
fn strings(line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = line[at..].find(['"', '\'']) {
        let start = at + open + 1;
        let end = closing(line, start);
        // An unclosed string ends at the end of its line, before trailing blanks.
        found.push(start..end.unwrap_or(line.trim_end().len().max(start)));
        at = end.map_or(line.len(), |quote| quote + 1);
    }
    if found.is_empty() {
        let value = line.find('=').map_or(0, |equals| equals + 1);
        let blanks = line[value..].len() - line[value..].trim_start().len();
        found.push(value + blanks..line.trim_end().len().max(value + blanks));
    }
    found
}

/// The position of the quote that closes the string opened just before `start`, if it is on this line.
fn closing(line: &str, start: usize) -> Option<usize> {
    let quote = line.as_bytes()[start - 1];
    let mut bytes = line.bytes().enumerate().skip(start);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' if quote == b'"' => {
                bytes.next();
            }
            _ if byte == quote => return Some(at),
            _ => {}
        }
    }
    None
}

/// The passwords in a URL, well-formed or not: `//user:PASSWORD@`, `password=PASSWORD`. Other strings have none.
fn passwords(string: &str) -> Vec<Range<usize>> {
    let scheme = string.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c));
    let Some(scheme) = scheme.filter(|&end| end > 0 && string[end..].starts_with([':', '/']))
    else {
        return Vec::new();
    };
    let slashes = string[scheme..].find(|c| c != ':' && c != '/');
    // `redis://:PASSWORD@`: the user name is empty, so the last colon starts the password.
    let user = slashes.map_or(string.len(), |count| scheme + count);
    let user = if string[..user].ends_with("/:") {
        user - 1
    } else {
        user
    };
    let mut found = Vec::new();
    if let Some(at) = string[user..].rfind('@')
        && let Some(colon) = string[user..user + at].find(':')
    {
        found.push(user + colon + 1..user + at);
    }
    for (at, key) in string.match_indices("password=") {
        let start = at + key.len();
        let end = string[start..]
            .find(['&', ' '])
            .map_or(string.len(), |end| start + end);
        found.push(start..end);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::redact;

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
            ("url = 'http://u:\u{e9}@h'", "url = 'http://u:**@h'"),
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
}
