//! An output whose text can be read.

use std::cell::RefCell;
use std::rc::Rc;

use super::{Output, Stream, Write, io};

/// What was written to one stream.
#[derive(Clone, Default)]
pub(crate) struct Written(Rc<RefCell<Vec<u8>>>);

impl Written {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).expect("commands write UTF-8")
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A plain output, and the texts written to its stdout and its stderr.
pub(crate) fn captured() -> (Output, Written, Written) {
    let (data, rest) = (Written::default(), Written::default());
    let out = Output {
        data: Stream::new(Box::new(data.clone()), false),
        rest: Stream::new(Box::new(rest.clone()), false),
    };
    (out, data, rest)
}

/// An output whose stdout fails with this error.
pub(crate) fn failing(kind: io::ErrorKind) -> (Output, Written) {
    struct Fails(io::ErrorKind);
    impl Write for Fails {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }
    let (mut out, _, rest) = captured();
    out.data = Stream::new(Box::new(Fails(kind)), false);
    (out, rest)
}
