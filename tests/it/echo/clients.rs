//! The clients of `tests/clients/echo` and what each can speak, as data.
//!
//! What a client's library does not have is left out here, which the table shows.

/// A client library and our program that uses it.
pub(super) struct Client {
    /// As in `ECHO_CLIENTS`.
    pub(super) name: &'static str,
    /// As in the table.
    pub(super) title: &'static str,
    /// Where in `tests/clients/echo` its program is.
    pub(super) folder: &'static str,
    /// The protocols that it speaks framed, unframed and in THeader's frames.
    pub(super) ways: [(&'static str, &'static [&'static str]); 3],
    /// It can put a service's name before the method's.
    pub(super) multiplexed: bool,
    /// Where else than on a port it connects.
    pub(super) places: &'static [&'static str],
    /// Stands after a protocol's name for a way of its own to speak it.
    pub(super) suffix: &'static str,
}

type Protocols = &'static [&'static str];

const ALL: Protocols = &["binary", "old-binary", "compact"];
const NEW: Protocols = &["binary", "compact"];
const BINARY: Protocols = &["binary"];
const NONE: Protocols = &[];

const fn ways(
    framed: Protocols,
    unframed: Protocols,
    header: Protocols,
) -> [(&'static str, Protocols); 3] {
    [
        ("framed", framed),
        ("unframed", unframed),
        ("header", header),
    ]
}

/// How many of [`CLIENTS`], from the first on, run in every run of the tests.
pub(super) const ORDINARY: usize = 5;

/// All clients.
pub(super) const CLIENTS: [Client; 15] = [
    Client {
        name: "python",
        title: "Python, Apache's 0.25",
        folder: "python",
        ways: ways(ALL, ALL, NEW),
        multiplexed: true,
        places: &["unix", "tls"],
        suffix: "",
    },
    Client {
        name: "python-c",
        title: "Python, Apache's 0.25, accelerated",
        folder: "python",
        ways: ways(NEW, NEW, NONE),
        multiplexed: true,
        places: &["unix", "tls"],
        suffix: "-c",
    },
    Client {
        name: "thriftpy2",
        title: "Python, thriftpy2 0.7",
        folder: "thriftpy2",
        ways: ways(ALL, ALL, NONE),
        multiplexed: true,
        places: &["unix", "tls"],
        suffix: "",
    },
    Client {
        name: "thriftpy2-c",
        title: "Python, thriftpy2 0.7, Cython",
        folder: "thriftpy2",
        ways: ways(BINARY, BINARY, NONE),
        multiplexed: true,
        places: &["unix", "tls"],
        suffix: "-c",
    },
    Client {
        name: "thriftpy2-aio",
        title: "Python, thriftpy2 0.7, asyncio",
        folder: "thriftpy2",
        ways: ways(NEW, NEW, NONE),
        multiplexed: true,
        places: &["unix", "tls"],
        suffix: "-aio",
    },
    Client {
        name: "cpp",
        title: "C++, Apache's 0.17",
        folder: "cpp",
        ways: ways(ALL, ALL, NEW),
        multiplexed: true,
        places: &["unix", "tls"],
        suffix: "",
    },
    Client {
        name: "c",
        title: "C over GLib, Apache's 0.17",
        folder: "c",
        ways: ways(NEW, NEW, NONE),
        multiplexed: true,
        places: &["unix", "tls"],
        suffix: "",
    },
    Client {
        name: "go",
        title: "Go, Apache's 0.17",
        folder: "go",
        ways: ways(ALL, ALL, NEW),
        multiplexed: true,
        places: &["unix", "tls"],
        suffix: "",
    },
    Client {
        name: "rust",
        title: "Rust, Apache's 0.25",
        folder: "rust",
        ways: ways(ALL, ALL, NONE),
        multiplexed: true,
        places: &["unix", "tls"],
        suffix: "",
    },
    Client {
        name: "java",
        title: "Java, Apache's 0.16",
        folder: "java",
        ways: ways(ALL, ALL, NONE),
        multiplexed: true,
        places: &["tls"],
        suffix: "",
    },
    Client {
        name: "ruby",
        title: "Ruby, Apache's 0.14",
        folder: "ruby",
        ways: ways(ALL, ALL, NONE),
        multiplexed: true,
        places: &["unix", "tls"],
        suffix: "",
    },
    Client {
        name: "ruby-c",
        title: "Ruby, Apache's 0.14, accelerated",
        folder: "ruby",
        ways: ways(BINARY, BINARY, NONE),
        multiplexed: true,
        places: &["unix", "tls"],
        suffix: "-c",
    },
    Client {
        name: "php",
        title: "PHP, Apache's 0.17",
        folder: "php",
        ways: ways(ALL, ALL, NONE),
        multiplexed: true,
        places: &[],
        suffix: "",
    },
    Client {
        name: "php-c",
        title: "PHP, Apache's 0.17, accelerated",
        folder: "php",
        ways: ways(BINARY, BINARY, NONE),
        multiplexed: true,
        places: &[],
        suffix: "-c",
    },
    Client {
        name: "perl",
        title: "Perl, Apache's 0.17",
        folder: "perl",
        ways: ways(BINARY, BINARY, NONE),
        multiplexed: true,
        places: &["unix", "tls"],
        suffix: "",
    },
];
