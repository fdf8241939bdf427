//! Logs in: greeting, TLS, and the account's way to prove who it is.
//!
//! `mysql_native_password` and `caching_sha2_password` are known. A password is never sent in clear text except inside TLS or
//! through a Unix socket, and a server that offers no TLS is not talked to without it.

use mysql_common::{crypto, scramble};
use tokio_util::either::Either;

use super::capability;
use super::packet::{Payload, put_text, server_error};
use super::wire::{SMALL_BYTES_MAX, Socket, Wire};
use crate::backend::mysql::error::Error;
use crate::backend::mysql::options::Options;
use crate::backend::net::Stream;

const NATIVE: &str = "mysql_native_password";
const CACHING_SHA2: &str = "caching_sha2_password";
/// How long the server's random bytes are.
const NONCE_BYTES: usize = 20;
/// The number of `utf8mb4_general_ci`, which every server of today knows.
const UTF8MB4: u8 = 45;
/// What we say that we accept; the server's own limit is lower.
const BYTES_MAX: u32 = 1 << 30;
/// The most packets of a login.
const ROUNDS_MAX: usize = 8;

/// What a server says first.
struct Greeting {
    /// The session's number.
    session: u32,
    capabilities: u32,
    nonce: Vec<u8>,
    plugin: String,
}

impl Greeting {
    fn read(packet: &[u8]) -> Result<Self, Error> {
        let mut payload = Payload(packet);
        if payload.u8()? != 10 {
            return Err(Error::Protocol("it does not greet as MySQL does"));
        }
        payload.until_zero();
        let session = payload.u32()?;
        let mut nonce = payload.bytes(8)?.to_vec();
        payload.u8()?;
        let low = payload.u16()?;
        // A character set and the state of the session.
        payload.bytes(3)?;
        let high = payload.u16()?;
        let nonce_bytes = payload.u8()?;
        payload.bytes(10)?;
        let capabilities = u32::from(low) | u32::from(high) << 16;
        if capabilities & capability::SECURE_CONNECTION == 0 {
            return Err(Error::Protocol("it is older than MySQL 4.1"));
        }
        nonce.extend_from_slice(payload.bytes(usize::from(nonce_bytes).saturating_sub(8).max(13))?);
        nonce.resize(NONCE_BYTES, 0);
        Ok(Greeting {
            session,
            capabilities,
            nonce,
            plugin: name(payload.until_zero()),
        })
    }
}

fn name(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A session.
pub(super) struct LoggedIn {
    pub(super) wire: Wire<Socket>,
    /// What both sides can do.
    pub(super) capabilities: u32,
    /// Its number at whatever has greeted us.
    pub(super) session: u32,
}

/// Logs in on a new connection.
pub(super) async fn login(mut wire: Wire<Socket>, options: &Options) -> Result<LoggedIn, Error> {
    let packet = wire.packet(SMALL_BYTES_MAX).await?;
    if let Some(refused) = server_error(&packet) {
        return Err(refused);
    }
    let greeting = Greeting::read(&packet)?;
    let session = greeting.session;
    let mut wanted = capability::ALL;
    for (is_wanted, flag) in [
        (options.database.is_some(), capability::CONNECT_WITH_DB),
        (options.compression.is_some(), capability::COMPRESS),
        (options.secure.is_some(), capability::TLS),
    ] {
        wanted |= if is_wanted { flag } else { 0 };
    }
    let capabilities = greeting.capabilities & wanted;
    let is_private = options.is_unix() || options.secure.is_some();
    if options.secure.is_some() {
        if capabilities & capability::TLS == 0 {
            return Err(Error::NoTls);
        }
        wire.send(&head(capabilities)).await?;
        wire = secured(wire, options).await?;
    }
    let plugin = match &*greeting.plugin {
        CACHING_SHA2 => CACHING_SHA2,
        _ => NATIVE,
    };
    let mut out = head(capabilities);
    out.extend_from_slice(options.user.as_bytes());
    out.push(0);
    put_text(&mut out, &proof(plugin, &options.password, &greeting.nonce));
    if capabilities & capability::CONNECT_WITH_DB != 0 {
        out.extend_from_slice(options.database.as_deref().unwrap_or_default().as_bytes());
        out.push(0);
    }
    out.extend_from_slice(plugin.as_bytes());
    out.push(0);
    wire.send(&out).await?;
    let proving = Proving {
        plugin: plugin.to_owned(),
        nonce: greeting.nonce,
        password: &options.password,
        is_private,
    };
    proving.prove(&mut wire).await?;
    if let Some(level) = options.compression
        && capabilities & capability::COMPRESS != 0
    {
        wire.compress(level);
    }
    Ok(LoggedIn {
        wire,
        capabilities,
        session,
    })
}

/// The beginning of our answer, which alone asks for TLS.
fn head(capabilities: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    out.extend_from_slice(&capabilities.to_le_bytes());
    out.extend_from_slice(&BYTES_MAX.to_le_bytes());
    out.push(UTF8MB4);
    out.extend_from_slice(&[0; 23]);
    out
}

async fn secured(wire: Wire<Socket>, options: &Options) -> Result<Wire<Socket>, Error> {
    let (stream, over) = wire.into_stream()?;
    let stream = match (stream, &options.secure) {
        (Either::Left(Stream::Plain(stream)), Some(secure)) => {
            Either::Left(secure.over(options.host(), stream).await?)
        }
        (stream, _) => stream,
    };
    Ok(over(stream))
}

/// What proves that we know the password; nothing for an account without one.
fn proof(plugin: &str, password: &str, nonce: &[u8]) -> Vec<u8> {
    let password = password.as_bytes();
    let proof = match plugin {
        CACHING_SHA2 => scramble::scramble_sha256(nonce, password).map(|proof| proof.to_vec()),
        _ => scramble::scramble_native(nonce, password).map(|proof| proof.to_vec()),
    };
    proof.unwrap_or_default()
}

/// The rest of a login, after our answer to the greeting.
struct Proving<'o> {
    plugin: String,
    nonce: Vec<u8>,
    password: &'o str,
    /// Whether what we send cannot be read on its way.
    is_private: bool,
}

impl Proving<'_> {
    async fn prove(mut self, wire: &mut Wire<Socket>) -> Result<(), Error> {
        for _ in 0..ROUNDS_MAX {
            let packet = wire.packet(SMALL_BYTES_MAX).await?;
            match (packet.first(), &packet[..]) {
                (Some(0), _) => return Ok(()),
                (Some(0xff), _) => {
                    let refused = server_error(&packet);
                    return Err(refused.unwrap_or(Error::Protocol("an error is too short")));
                }
                (Some(0xfe), [_, rest @ ..]) => self.change(rest, wire).await?,
                // The server remembers the password.
                (_, [1, 3]) if self.plugin == CACHING_SHA2 => {}
                (_, [1, 4]) if self.plugin == CACHING_SHA2 => self.give(wire).await?,
                _ => return Err(Error::Protocol("a login goes on in no known way")),
            }
        }
        Err(Error::Protocol("a login does not end"))
    }

    /// The account uses another plugin than the server had guessed.
    async fn change(&mut self, rest: &[u8], wire: &mut Wire<Socket>) -> Result<(), Error> {
        let mut payload = Payload(rest);
        let plugin = name(payload.until_zero());
        if ![NATIVE, CACHING_SHA2].contains(&&*plugin) {
            let old = "mysql_old_password".to_owned();
            return Err(Error::Plugin(if plugin.is_empty() { old } else { plugin }));
        }
        self.plugin = plugin;
        self.nonce = payload.0.to_vec();
        self.nonce.resize(NONCE_BYTES, 0);
        wire.send(&proof(&self.plugin, self.password, &self.nonce))
            .await
    }

    /// Gives the server the password itself.
    async fn give(&self, wire: &mut Wire<Socket>) -> Result<(), Error> {
        let mut password = self.password.as_bytes().to_vec();
        password.push(0);
        if self.is_private {
            return wire.send(&password).await;
        }
        wire.send(&[2]).await?;
        let packet = wire.packet(SMALL_BYTES_MAX).await?;
        let Some(key) = packet.strip_prefix(&[1]) else {
            let refused = server_error(&packet);
            return Err(refused.unwrap_or(Error::Protocol("there is no public key")));
        };
        for (byte, nonce) in password.iter_mut().zip(self.nonce.iter().cycle()) {
            *byte ^= nonce;
        }
        wire.send(&crypto::encrypt(&password, key)).await
    }
}

/// Any bytes as a greeting.
#[cfg(any(test, fuzzing))]
pub(super) fn fuzz(packet: &[u8]) {
    if let Ok(greeting) = Greeting::read(packet) {
        let nonce = greeting.nonce.len();
        crate::fuzzing::hold(nonce == NONCE_BYTES, "a nonce has its length", nonce);
    }
}
