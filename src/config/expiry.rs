//! When the certificates of a configuration expire.

/// When a file of certificates expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateExpiry {
    /// The path, as the configuration gives it.
    pub file: String,
    /// When the first of its certificates expires, in seconds of Unix time.
    pub expires: i64,
}
