//! What a client and a server can do, one bit each.

const LONG_PASSWORD: u32 = 1;
const LONG_FLAG: u32 = 1 << 2;
pub(super) const CONNECT_WITH_DB: u32 = 1 << 3;
pub(super) const COMPRESS: u32 = 1 << 5;
const PROTOCOL_41: u32 = 1 << 9;
pub(super) const TLS: u32 = 1 << 11;
const TRANSACTIONS: u32 = 1 << 13;
pub(super) const SECURE_CONNECTION: u32 = 1 << 15;
const MULTI_RESULTS: u32 = 1 << 17;
const PREPARED_MULTI_RESULTS: u32 = 1 << 18;
const PLUGINS: u32 = 1 << 19;
const LONG_PROOF: u32 = 1 << 21;
pub(super) const NO_EOF: u32 = 1 << 24;

/// What we want of every server that can do it.
pub(super) const ALL: u32 = LONG_PASSWORD
    | LONG_FLAG
    | PROTOCOL_41
    | TRANSACTIONS
    | SECURE_CONNECTION
    | MULTI_RESULTS
    | PREPARED_MULTI_RESULTS
    | PLUGINS
    | LONG_PROOF
    | NO_EOF;
