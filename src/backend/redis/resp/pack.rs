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

/// Appends one argument of `length` bytes, which `write` appends. After an error `out` may hold a part of it.
pub(in crate::backend::redis) fn put_known<E>(
    out: &mut Vec<u8>,
    length: usize,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    put_length(out, b'$', length);
    write(out)?;
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// Appends one argument that `write` appends, whose length is only known then. After an error `out` may hold
/// a part of it.
pub(in crate::backend::redis) fn put_written<E>(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    // Space for a length of two digits, which fits nearly every key.
    const ROOM: usize = 5;
    let start = out.len();
    out.extend_from_slice(b"$00\r\n");
    write(out)?;
    let length = out.len() - start - ROOM;
    if let (10..=99, Ok(length)) = (length, u8::try_from(length)) {
        out[start + 1] = b'0' + length / 10;
        out[start + 2] = b'0' + length % 10;
    } else {
        let (line, from) = length_line(b'$', length);
        out.splice(start..start + ROOM, line[from..].iter().copied());
    }
    out.extend_from_slice(b"\r\n");
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
