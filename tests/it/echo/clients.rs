//! The clients of `tests/clients/echo` and what each can speak, as data.
//!
//! Features that a client's library lacks are left out here, and the table shows it.

/// A client library, and the test program that uses it.
pub(super) struct Client {
    /// Its name in `ECHO_CLIENTS`.
    pub(super) name: &'static str,
    /// Its name in the table.
    pub(super) title: &'static str,
    /// The folder of its program in `tests/clients/echo`.
    pub(super) folder: &'static str,
    /// The protocols it supports framed, unframed and with `THeader`.
    pub(super) ways: [(&'static str, &'static [&'static str]); 3],
    /// Whether it can put a service's name before the method's.
    pub(super) multiplexed: bool,
    /// Where it can connect, other than to a port.
    pub(super) places: &'static [&'static str],
    /// Added to the name of a protocol that it has a second implementation of.
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

/// How many of [`CLIENTS`], from the first, run in every test run.
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
