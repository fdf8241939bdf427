//! Blanks passwords in text that is shown: problems show the line they stand on, and URLs may carry a password.

use std::ops::Range;

/// `text` with `*` for each byte of a URL's password, so that every place in it stays where it is.
pub(super) fn blank(text: &str) -> String {
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
    // Whole characters became asterisks, so this is never lossy.
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What stands between quotes; in a line without any, what could have been meant to.
fn strings(line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = line[at..].find(['"', '\'']) {
        let start = at + open + 1;
        let end = closing(line, start);
        // One that is never closed ends with its line, but for the blanks there.
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

/// Where the like of the quote before `start` stands that ends its string, if it does on this line.
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

/// The passwords of a URL, right or not: `//user:PASSWORD@`, `password=PASSWORD`. Other strings have none.
fn passwords(string: &str) -> Vec<Range<usize>> {
    let scheme = string.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c));
    let Some(scheme) = scheme.filter(|&end| end > 0 && string[end..].starts_with([':', '/']))
    else {
        return Vec::new();
    };
    let slashes = string[scheme..].find(|c| c != ':' && c != '/');
    // `redis://:PASSWORD@`: the last colon belongs to the user, who has no name.
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
    use super::blank;

    #[test]
    fn passwords_are_blanked_and_nothing_else() {
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
            assert_eq!(blank(text), shown);
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
            assert_eq!(blank(text), text);
        }
    }
}
