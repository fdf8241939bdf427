//! Generated certificates, and connections with TLS.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use super::process::PATIENCE;
use super::wire::Wire;

/// An authority that signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate.
    pub(crate) pem: String,
}

/// A certificate and its key, as in files.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        // Authorities have a distinguished name.
        let name = key
            .public_key_raw()
            .iter()
            .map(|byte| format!("{byte:02x}"));
        let name: String = name.take(16).collect();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("signed").pem();
        Authority {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// A certificate for a name: a URI if it contains `://`, otherwise a host.
    pub(crate) fn issue(&self, name: &str) -> Identity {
        self.sign(name, CertificateParams::new(Vec::new()).expect("no names"))
    }

    /// A certificate that expired in the year 2000.
    pub(crate) fn issue_expired(&self, name: &str) -> Identity {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.not_after = date_time_ymd(2000, 1, 1);
        self.sign(name, params)
    }

    /// A certificate that expires after this time.
    pub(crate) fn issue_for(&self, name: &str, time: Duration) -> Identity {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        let now = SystemTime::UNIX_EPOCH.elapsed().expect("it is after 1970");
        params.not_after = date_time_ymd(1970, 1, 1) + now + time;
        self.sign(name, params)
    }

    fn sign(&self, name: &str, mut params: CertificateParams) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let text = name.try_into().expect("ASCII");
        params.subject_alt_names = vec![if name.contains("://") {
            SanType::URI(text)
        } else {
            SanType::DnsName(text)
        }];
        let signed = params.signed_by(&key, &self.issuer).expect("signed");
        Identity {
            certificate: signed.pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Identity {
    /// Writes both files, named `name.pem` and `name.key`.
    pub(crate) fn write(&self, folder: &Path, name: &str) {
        let write = |ending: &str, text: &str| {
            let path = folder.join(format!("{name}.{ending}"));
            std::fs::write(path, text).expect("the folder is ours");
        };
        write("pem", &self.certificate);
        write("key", &self.key);
    }
}

/// A connection with TLS.
pub(crate) type TlsWire = Wire<StreamOwned<ClientConnection, TcpStream>>;

/// The TLS settings of a client: whom it trusts, its certificate, and its versions.
pub(crate) struct TlsClient(Arc<ClientConfig>);

impl TlsClient {
    /// Trusts this authority.
    pub(crate) fn new(
        trusted: &Authority,
        identity: Option<&Identity>,
        version: &'static SupportedProtocolVersion,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(trusted.pem.as_bytes()).expect("PEM");
        roots.add(ca).expect("a certificate");
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .expect("it is known")
            .with_root_certificates(roots);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes());
                builder
                    .with_client_auth_cert(vec![certificate.expect("PEM")], key.expect("PEM"))
                    .expect("they go together")
            }
        };
        TlsClient(Arc::new(config))
    }

    /// The settings, for other kinds of connections.
    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }

    /// Connects to the host `server.test`. A failed handshake shows up in the first read.
    pub(crate) fn connect(&self, addr: SocketAddr) -> TlsWire {
        let stream = TcpStream::connect(addr).unwrap_or_else(|err| panic!("{addr}: {err}"));
        stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        let name = ServerName::try_from("server.test").expect("a name");
        let client = ClientConnection::new(Arc::clone(&self.0), name).expect("a configuration");
        Wire::over(StreamOwned::new(client, stream))
    }
}
