//! When the configuration that is served was read, and when its certificates expire.

use std::fmt;
#[expect(
    clippy::disallowed_types,
    reason = "taken by reloads and scrapes, never by a call"
)]
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use crate::config::{CertificateExpiry, Effective};

/// What the metrics say about the configuration. Made when it is read.
#[derive(Debug)]
pub(super) struct ServedConfig {
    /// In seconds of Unix time.
    loaded: AtomicI64,
    #[expect(
        clippy::disallowed_types,
        reason = "taken by reloads and scrapes, never by a call"
    )]
    held: Mutex<(Vec<CertificateExpiry>, Arc<Effective>)>,
}

impl ServedConfig {
    pub(super) fn new() -> Self {
        ServedConfig {
            loaded: AtomicI64::new(unix_time()),
            held: (Vec::new(), Arc::default()).into(),
        }
    }

    /// A configuration with these certificates is read now.
    pub(super) fn replace(&self, expiries: &[CertificateExpiry], effective: &Arc<Effective>) {
        self.loaded.store(unix_time(), Ordering::Relaxed);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held = (expiries.to_vec(), Arc::clone(effective));
    }

    /// Every value, and when it was read.
    pub(super) fn effective(&self) -> (Arc<Effective>, i64) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        (Arc::clone(&held.1), self.loaded.load(Ordering::Relaxed))
    }

    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let name = "tributary_config_loaded_timestamp_seconds";
        let help = "When the configuration that is served was read, in seconds of Unix time";
        encoder
            .encode_descriptor(name, help, None, MetricType::Gauge)?
            .encode_gauge(&self.loaded.load(Ordering::Relaxed))?;
        let name = "tributary_certificate_expiry_timestamp_seconds";
        let help = "When the first certificate of a file expires, in seconds of Unix time";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for CertificateExpiry { file, expires } in &held.0 {
            metric
                .encode_family(&[("file", &**file)])?
                .encode_gauge(expires)?;
        }
        Ok(())
    }
}

fn unix_time() -> i64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
