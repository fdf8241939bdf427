//! Asks name servers for the records of a service and for addresses: over UDP, and over TCP if the answer does not fit.
//!
//! The system's own resolver knows neither services nor for how long an answer is valid. Names are taken as complete: no search
//! domain is added.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::target::Target;
use crate::random::Random;

/// How long one name server may take to answer, each of two times.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// The longest answer over UDP that is read.
const DATAGRAM_BYTES_MAX: usize = 4096;
const PORT: u16 = 53;

/// What name servers know.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Records<T> {
    pub(super) found: Vec<T>,
    /// For how long that is valid; `None` if nothing was found.
    pub(super) ttl: Option<Duration>,
}

/// Asks name servers, one after the other until one answers.
pub(super) struct NameServers {
    servers: Vec<SocketAddr>,
    random: Random,
}

impl NameServers {
    /// These servers.
    pub(super) fn new(servers: Vec<SocketAddr>, seed: u64) -> Self {
        NameServers {
            servers,
            random: Random::seeded(seed),
        }
    }

    /// The servers of a service: those of the lowest priority.
    pub(super) async fn service(&mut self, name: &str) -> Result<Records<Target>, String> {
        let records = self.ask(name, TYPE::SRV).await?;
        let services = records.found.iter().filter_map(|data| match data {
            Found::Service(priority, target) => Some((*priority, target)),
            Found::Address(_) => None,
        });
        let first = services.clone().map(|(priority, _)| priority).min();
        let targets = services.filter(|(priority, _)| Some(*priority) == first);
        let mut targets: Vec<Target> = targets.map(|(_, target)| target.clone()).collect();
        // A weight of zero is a small one, and no difference if all are zero.
        for target in &mut targets {
            target.weight = target.weight.max(1);
        }
        Ok(Records {
            found: targets,
            ttl: records.ttl,
        })
    }

    /// The addresses of a name, of both families.
    pub(super) async fn addresses(&mut self, name: &str) -> Result<Records<IpAddr>, String> {
        let mut all = Records {
            found: Vec::new(),
            ttl: None,
        };
        for of in [TYPE::A, TYPE::AAAA] {
            let records = self.ask(name, of).await?;
            all.ttl = all.ttl.into_iter().chain(records.ttl).min();
            all.found
                .extend(records.found.into_iter().filter_map(|data| match data {
                    Found::Address(address) => Some(address),
                    Found::Service(..) => None,
                }));
        }
        Ok(all)
    }

    async fn ask(&mut self, name: &str, of: TYPE) -> Result<Records<Found>, String> {
        let mut why = "there is no name server".to_owned();
        for at in 0..2 * self.servers.len() {
            let server = self.servers[at % self.servers.len()];
            let query = Query::new(self.random.draw(), name, of)?;
            match timeout(ANSWER_MAX, query.answered_by(server)).await {
                Ok(Ok(answer)) => return Query::read(&answer),
                Ok(Err(err)) => why = format!("{server}: {err}"),
                Err(_elapsed) => why = format!("{server}: no answer"),
            }
        }
        Err(why)
    }
}

/// A record of use.
#[derive(Debug)]
enum Found {
    Address(IpAddr),
    /// With its priority.
    Service(u16, Target),
}

/// One question.
struct Query<'a> {
    id: u16,
    name: Name<'a>,
    bytes: Vec<u8>,
}

impl<'a> Query<'a> {
    fn new(random: u64, name: &'a str, of: TYPE) -> Result<Self, String> {
        let id = u16::from_le_bytes([random.to_le_bytes()[0], random.to_le_bytes()[1]]);
        let name = Name::new(name).map_err(|err| format!("`{name}`: {err}"))?;
        let mut packet = Packet::new_query(id);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        packet.questions.push(Question::new(
            name.clone(),
            QTYPE::TYPE(of),
            QCLASS::CLASS(CLASS::IN),
            false,
        ));
        let bytes = packet.build_bytes_vec().map_err(|err| err.to_string())?;
        Ok(Query { id, name, bytes })
    }

    /// The answer of one server. One that says that it can't answer has none.
    async fn answered_by(&self, server: SocketAddr) -> io::Result<Vec<u8>> {
        let answer = self.over_udp(server).await?;
        let packet = parsed(&answer)?;
        let answer = if packet.has_flags(PacketFlag::TRUNCATION) {
            self.over_tcp(server).await?
        } else {
            answer
        };
        match parsed(&answer)?.rcode() {
            RCODE::NoError | RCODE::NameError => Ok(answer),
            other => Err(io::Error::other(format!("it says {other:?}"))),
        }
    }

    async fn over_udp(&self, server: SocketAddr) -> io::Result<Vec<u8>> {
        let any: IpAddr = if server.is_ipv6() {
            Ipv6Addr::UNSPECIFIED.into()
        } else {
            Ipv4Addr::UNSPECIFIED.into()
        };
        // A port of its own for each question, besides the number of the question, is hard to guess.
        let socket = UdpSocket::bind((any, 0)).await?;
        socket.connect(server).await?;
        socket.send(&self.bytes).await?;
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            let length = socket.recv(&mut buffer).await?;
            if self.is_answer(&buffer[..length]) {
                buffer.truncate(length);
                return Ok(buffer);
            }
        }
    }

    async fn over_tcp(&self, server: SocketAddr) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(server).await?;
        let length = u16::try_from(self.bytes.len()).map_err(io::Error::other)?;
        let mut sent = length.to_be_bytes().to_vec();
        sent.extend_from_slice(&self.bytes);
        stream.write_all(&sent).await?;
        let length = stream.read_u16().await?;
        let mut answer = vec![0; length.into()];
        stream.read_exact(&mut answer).await?;
        if self.is_answer(&answer) {
            Ok(answer)
        } else {
            Err(io::Error::other("the answer is to another question"))
        }
    }

    /// Whether it answers this question, and not an earlier one.
    fn is_answer(&self, bytes: &[u8]) -> bool {
        let Ok(packet) = Packet::parse(bytes) else {
            return false;
        };
        let mut asked = packet.questions.iter();
        packet.id() == self.id
            && packet.has_flags(PacketFlag::RESPONSE)
            && asked.all(|question| is_same_name(&question.qname, &self.name))
    }

    /// What an answer says.
    fn read(answer: &[u8]) -> Result<Records<Found>, String> {
        let packet = Packet::parse(answer).map_err(|err| err.to_string())?;
        let mut records = Records {
            found: Vec::new(),
            ttl: None,
        };
        for record in &packet.answers {
            let ttl = Duration::from_secs(record.ttl.into());
            records.ttl = Some(records.ttl.map_or(ttl, |least: Duration| least.min(ttl)));
            match &record.rdata {
                RData::A(a) => {
                    let address = Ipv4Addr::from(a.address);
                    records.found.push(Found::Address(address.into()));
                }
                RData::AAAA(aaaa) => {
                    let address = Ipv6Addr::from(aaaa.address);
                    records.found.push(Found::Address(address.into()));
                }
                RData::SRV(service) => {
                    let host = service.target.to_string();
                    // The root as the target says that there is no such service: RFC 2782.
                    if !host.is_empty() && service.port > 0 {
                        let mut target = Target::new(host, service.port);
                        target.weight = service.weight;
                        records.found.push(Found::Service(service.priority, target));
                    }
                }
                _ => {}
            }
        }
        if records.found.is_empty() {
            records.ttl = None;
        }
        Ok(records)
    }
}

fn parsed(bytes: &[u8]) -> io::Result<Packet<'_>> {
    Packet::parse(bytes).map_err(|err| io::Error::other(err.to_string()))
}

/// The case of letters makes no difference.
fn is_same_name(one: &Name<'_>, other: &Name<'_>) -> bool {
    one.to_string().eq_ignore_ascii_case(&other.to_string())
}

/// The name servers that a `resolv.conf` names.
pub(super) fn of_system(resolv_conf: &str) -> Vec<SocketAddr> {
    let servers = resolv_conf.lines().filter_map(|line| {
        let address = line.trim().strip_prefix("nameserver")?;
        // A zone, as in `fe80::1%eth0`, has no meaning here.
        let address = address.trim().split('%').next()?;
        Some(SocketAddr::new(address.parse().ok()?, PORT))
    });
    let servers: Vec<SocketAddr> = servers.take(3).collect();
    if servers.is_empty() {
        // As resolv.conf(5) says.
        vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT)]
    } else {
        servers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_name_servers_are_found() {
        let shown = |text: &str| {
            let servers = of_system(text).into_iter();
            servers.map(|server| server.to_string()).collect::<Vec<_>>()
        };
        let text =
            "# by hand\nsearch internal\nnameserver 10.0.0.2\nnameserver\t::1\n options ndots:5\n";
        assert_eq!(shown(text), ["10.0.0.2:53", "[::1]:53"]);
        assert_eq!(shown("nameserver x\n"), ["127.0.0.1:53"]);
    }
}
