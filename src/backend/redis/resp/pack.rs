//! Commands as bytes: an array of strings, each preceded by its length.

/// Appends the header of a command with this many arguments, its name included.
pub(in crate::backend::redis) fn put_head(out: &mut Vec<u8>, arguments: usize) {
    put_length(out, b'*', arguments);
}

/// Appends one argument.
pub(in crate::backend::redis) fn put_argument(out: &mut Vec<u8>, argument: &[u8]) {
    put_length(out, b'$', argument.len());
    out.extend_from_slice(argument);
    out.extend_from_slice(b"\r\n");
}

/// The line before an argument whose length is not known yet. It has room for two digits, which fits nearly every argument.
const OPEN_LENGTH: &[u8] = b"$00\r\n";

/// Begins an argument whose length is not known yet. [`end_argument`] ends it.
pub(in crate::backend::redis) fn put_open_argument(out: &mut Vec<u8>) {
    out.extend_from_slice(OPEN_LENGTH);
}

/// Ends the argument from `start` to the end of `out`, and fills in its length.
#[inline]
pub(in crate::backend::redis) fn end_argument(out: &mut Vec<u8>, start: usize) {
    let end = out.len();
    let line = out.get_mut(start - OPEN_LENGTH.len()..);
    match (u8::try_from(end - start), line) {
        (Ok(length @ 10..=99), Some([_, tens, ones, ..])) => {
            (*tens, *ones) = (b'0' + length / 10, b'0' + length % 10);
        }
        (Ok(length @ 0..=9), Some([_, ones, ..])) => {
            *ones = b'0' + length;
            // The line end and the argument move to the place of the second digit.
            out.copy_within(start - 2..end, start - 3);
            out.truncate(end - 1);
        }
        _ => {
            let (line, from) = length_line(b'$', end - start);
            let digits = line[from..].iter().copied();
            out.splice(start - OPEN_LENGTH.len()..start, digits);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends one argument that `write` appends. After an error `out` may hold a part of it.
pub(in crate::backend::redis) fn put_written<E>(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    put_open_argument(out);
    let start = out.len();
    write(out)?;
    end_argument(out, start);
    Ok(())
}

/// Appends a whole command.
pub(in crate::backend::redis) fn put_command(out: &mut Vec<u8>, words: &[&[u8]]) {
    put_head(out, words.len());
    for word in words {
        put_argument(out, word);
    }
}

pub(super) fn put_length(out: &mut Vec<u8>, kind: u8, length: usize) {
    match u8::try_from(length) {
        Ok(ones @ 0..=9) => out.extend_from_slice(&[kind, b'0' + ones, b'\r', b'\n']),
        Ok(length @ 10..=99) => {
            let (tens, ones) = (b'0' + length / 10, b'0' + length % 10);
            out.extend_from_slice(&[kind, tens, ones, b'\r', b'\n']);
        }
        _ => {
            let (line, from) = length_line(kind, length);
            out.extend_from_slice(&line[from..]);
        }
    }
}

/// At most twenty digits, with the type before them and the line end after them.
const LINE_BYTES: usize = 23;

/// The line with a length or a count, and its start in the array.
fn length_line(kind: u8, length: usize) -> ([u8; LINE_BYTES], usize) {
    let mut line = [0; LINE_BYTES];
    let mut at = LINE_BYTES - 2;
    line[at..].copy_from_slice(b"\r\n");
    let mut rest = length;
    loop {
        at -= 1;
        line[at] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    line[at - 1] = kind;
    (line, at - 1)
}
