//! Ports of the host that lead into the guest.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};

use crate::error::{Context, Error, Result};

/// What is spoken at a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

impl Protocol {
    /// Its name for QEMU.
    fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// One port of the host that leads to one of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// What is spoken there.
    pub protocol: Protocol,
    /// Where the host listens.
    pub host: SocketAddrV4,
    /// The port in the guest.
    pub guest: u16,
}

impl Forward {
    /// A TCP port that is the same on both sides, for this machine alone.
    pub fn same(port: u16) -> Self {
        Self {
            protocol: Protocol::Tcp,
            host: SocketAddrV4::new(Ipv4Addr::LOCALHOST, port),
            guest: port,
        }
    }

    /// Reads the value of `-p`.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::usage(format!(
                "found -p {text}, expected -p [ADDRESS:]HOST:GUEST[/udp], \
                 ports from 1 to 65535 and an IPv4 address of this machine"
            ))
        };
        let (ports, protocol) = match text.split_once('/') {
            None => (text, Protocol::Tcp),
            Some((ports, "tcp")) => (ports, Protocol::Tcp),
            Some((ports, "udp")) => (ports, Protocol::Udp),
            Some(_) => return Err(wrong()),
        };
        let (host, guest) = ports.rsplit_once(':').ok_or_else(wrong)?;
        let (address, host) = match host.split_once(':') {
            Some((address, host)) => (address.parse().map_err(|_| wrong())?, host),
            None => (Ipv4Addr::LOCALHOST, host),
        };
        let port = |digits: &str| digits.parse().ok().filter(|port: &u16| *port != 0);
        Ok(Self {
            protocol,
            host: SocketAddrV4::new(address, port(host).ok_or_else(wrong)?),
            guest: port(guest).ok_or_else(wrong)?,
        })
    }

    /// The same for one of several nodes, each of which needs a port of its own.
    pub fn for_node(self, node: u16) -> Result<Self> {
        let port = self.host.port().checked_add(node).ok_or_else(|| {
            Error::usage(format!(
                "{self}: found no port for node {node}, which would have {} + {node}",
                self.host.port()
            ))
        })?;
        let mut forward = self;
        forward.host.set_port(port);
        Ok(forward)
    }

    /// QEMU's option for it, to the guest's address (DHCP's first one when `None`).
    pub fn option(&self, address: Option<Ipv4Addr>) -> String {
        let address = address.map_or_else(String::new, |address| address.to_string());
        format!(
            "hostfwd={}:{}-{address}:{}",
            self.protocol.name(),
            self.host,
            self.guest
        )
    }
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "-p {}:{}", self.host, self.guest)?;
        match self.protocol {
            Protocol::Tcp => Ok(()),
            Protocol::Udp => f.write_str("/udp"),
        }
    }
}

/// Makes sure that the host's ports can be had. QEMU takes them a moment later; what
/// it says when it cannot does not help anyone.
pub fn check_free<'a>(forwards: impl IntoIterator<Item = &'a Forward>) -> Result<()> {
    enum Taken {
        #[allow(dead_code, reason = "held, so that no two forwards get the same port")]
        Tcp(TcpListener),
        #[allow(dead_code, reason = "held, so that no two forwards get the same port")]
        Udp(UdpSocket),
    }
    let mut held = Vec::new();
    for forward in forwards {
        let taken = match forward.protocol {
            Protocol::Tcp => TcpListener::bind(forward.host).map(Taken::Tcp),
            Protocol::Udp => UdpSocket::bind(forward.host).map(Taken::Udp),
        };
        held.push(taken.map_err(|error| {
            Error::usage(format!(
                "{forward}: cannot listen at {} ({error}); choose another port or address, \
                 or end what uses it",
                forward.host
            ))
        })?);
    }
    Ok(())
}

/// A port of this machine that nobody has at this moment, for either protocol.
pub fn free_port() -> Result<SocketAddrV4> {
    let free = || {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        UdpSocket::bind(address).map(|_| address)
    };
    free().context(|| "find a free port".into())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::{Forward, check_free};

    #[test]
    fn a_forward_is_for_this_machine_and_tcp_unless_it_says_otherwise() {
        let option = |text: &str| Forward::parse(text).unwrap().option(None);
        assert_eq!(option("8080:80"), "hostfwd=tcp:127.0.0.1:8080-:80");
        assert_eq!(option("5353:53/udp"), "hostfwd=udp:127.0.0.1:5353-:53");
        assert_eq!(option("0.0.0.0:81:80/tcp"), "hostfwd=tcp:0.0.0.0:81-:80");
        let forward = Forward::same(9000);
        assert_eq!(forward.to_string(), "-p 127.0.0.1:9000:9000");
        assert_eq!(
            forward.option(Some(Ipv4Addr::new(10, 0, 2, 20))),
            "hostfwd=tcp:127.0.0.1:9000-10.0.2.20:9000"
        );
    }

    #[test]
    fn each_node_has_a_port_of_its_own() {
        let forward = Forward::parse("65530:80/udp").unwrap();
        assert_eq!(forward.for_node(0).unwrap(), forward);
        let last = forward.for_node(5).unwrap();
        assert_eq!((last.host.port(), last.guest), (65535, 80));
        assert_eq!(forward.for_node(6).unwrap_err().status(), 2);
    }

    #[test]
    fn what_is_no_forward_is_refused() {
        for text in [
            "",
            "80",
            ":80",
            "80:",
            "0:80",
            "80:0",
            "65536:80",
            "80:80/sctp",
            "host:80:80",
            "1:2:3:4",
            "-1:80",
        ] {
            assert_eq!(Forward::parse(text).unwrap_err().status(), 2, "{text}");
        }
    }

    #[test]
    fn a_port_in_use_is_found_before_qemu_finds_it() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = other.local_addr().unwrap().port();
        let error = check_free([&Forward::same(port)]).unwrap_err();
        assert_eq!(error.status(), 2);
        assert!(error.to_string().contains(&format!("127.0.0.1:{port}")));
        drop(other);
        check_free([&Forward::same(port)]).unwrap();
        let twice = [
            Forward::same(port),
            Forward::parse(&format!("{port}:1")).unwrap(),
        ];
        assert_eq!(check_free(&twice).unwrap_err().status(), 2);
    }
}
