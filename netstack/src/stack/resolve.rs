//! Host names, by DNS (which smoltcp does) or because of what they mean (RFC 6761).

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::dns::{self, GetQueryResultError, QueryHandle};
use smoltcp::wire::DnsQueryType;

use super::classify::{Packet, Ports, u16_at};
use super::neighbours::Waiter;
use super::random::Map;
use super::shared::Shared;
use super::timers::Timer;
use crate::Nanos;
use crate::error::Error;
use crate::request::Family;
use crate::socket::{Lookup, Wait};

/// A name server's port.
pub(super) const PORT: u16 = 53;
/// How long one server is asked.
const PATIENCE: Nanos = 5_000_000_000;
/// How often all servers are asked.
const ROUNDS: usize = 2;
/// When to try again what was to be sent now.
const RETRY: Nanos = 1_000_000;

/// All names that are being looked up.
pub(super) struct Resolver<W> {
    lookups: Map<u64, Pending<W>>,
    /// Which lookup has which question at a UDP port of an interface.
    ports: Map<(usize, u16), (u64, usize)>,
    /// Those for which there is no server yet, but there may be one soon.
    waiting: Vec<u64>,
    last: u64,
}

/// A name that is being looked up.
struct Pending<W> {
    lookup: Arc<Lookup<W>>,
    name: String,
    family: Family,
    questions: Vec<Question>,
    timer: Option<Nanos>,
}

/// A question for addresses of one family.
struct Question {
    kind: DnsQueryType,
    /// What is asked now.
    asked: Option<Asked>,
    /// Servers that have been asked, all rounds counted.
    tried: usize,
    outcome: Option<Result<Vec<IpAddr>, Error>>,
}

/// A question to one server.
struct Asked {
    netif: usize,
    server: IpAddr,
    neighbour: Option<IpAddr>,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    query: QueryHandle,
    port: Option<u16>,
    until: Nanos,
    /// What the server says of how it went; smoltcp does not tell.
    code: Option<u16>,
}

impl<W: Wait> Resolver<W> {
    pub fn new() -> Self {
        Self {
            lookups: Map::default(),
            ports: Map::default(),
            waiting: Vec::new(),
            last: 0,
        }
    }

    /// Looks a name up.
    pub fn resolve(
        &mut self,
        shared: &mut Shared,
        name: &str,
        family: Family,
        lookup: Arc<Lookup<W>>,
    ) {
        let name = name.strip_suffix('.').unwrap_or(name);
        if let Some(outcome) = without_server(name, family) {
            lookup.finish(outcome);
            return;
        }
        let kinds = match family {
            Family::V4 => &[DnsQueryType::A][..],
            Family::V6 => &[DnsQueryType::Aaaa],
            Family::Any => &[DnsQueryType::Aaaa, DnsQueryType::A],
        };
        self.last += 1;
        let pending = Pending {
            lookup,
            // smoltcp finds answers only that are written as it has asked.
            name: name.to_ascii_lowercase(),
            family,
            questions: kinds.iter().map(|kind| Question::new(*kind)).collect(),
            timer: None,
        };
        self.lookups.insert(self.last, pending);
        if servers(shared).is_empty() && shared.unconfigured > 0 {
            self.waiting.push(self.last);
        } else {
            self.service(shared, self.last);
        }
    }

    /// An interface has got its address, or none of them waits for one any more.
    pub fn configured(&mut self, shared: &mut Shared) {
        for id in core::mem::take(&mut self.waiting) {
            self.service(shared, id);
        }
    }

    /// A datagram from a name server has come, and is the interface's first frame. False: it
    /// is not for one who asked.
    pub fn ingress(
        &mut self,
        shared: &mut Shared,
        netif: usize,
        packet: &Packet,
        ports: &Ports,
    ) -> bool {
        let Some(&(id, index)) = self.ports.get(&(netif, ports.destination)) else {
            return false;
        };
        let question = self
            .lookups
            .get_mut(&id)
            .map(|pending| &mut pending.questions[index]);
        let Some(asked) = question.and_then(|question| question.asked.as_mut()) else {
            return false;
        };
        if asked.server != packet.source {
            return false;
        }
        let card = &mut shared.netifs[netif];
        let flags = card
            .first()
            .and_then(|frame| u16_at(frame, packet.payload + 8 + 2));
        asked.code = flags.map(|flags| flags & 15);
        card.ingress(Some(&mut asked.sockets), shared.now);
        self.service(shared, id);
        true
    }

    /// Goes on with a lookup.
    pub fn service(&mut self, shared: &mut Shared, id: u64) {
        let Some(pending) = self.lookups.get_mut(&id) else {
            return;
        };
        let mut deadline = None;
        for (index, question) in pending.questions.iter_mut().enumerate() {
            let next = question.advance(shared, id, &pending.name);
            deadline = deadline.into_iter().chain(next).min();
            self.ports.retain(|_, user| *user != (id, index));
            if let Some(asked) = &question.asked
                && let Some(port) = asked.port
            {
                self.ports.insert((asked.netif, port), (id, index));
            }
        }
        shared
            .timers
            .set(&mut pending.timer, deadline, Timer::Lookup(id));
        if pending
            .questions
            .iter()
            .all(|question| question.outcome.is_some())
            && let Some(pending) = self.lookups.remove(&id)
        {
            let outcome = pending.outcome(shared);
            pending.lookup.finish(outcome);
        }
    }

    /// A lookup's deadline has come.
    pub fn timer_fired(&mut self, shared: &mut Shared, id: u64) {
        if let Some(pending) = self.lookups.get_mut(&id) {
            pending.timer = None;
            self.service(shared, id);
        }
    }

    /// The neighbour that questions are handed to has not answered.
    pub fn neighbour_failed(&mut self, shared: &mut Shared, id: u64, neighbour: IpAddr) {
        let Some(pending) = self.lookups.get_mut(&id) else {
            return;
        };
        for question in &mut pending.questions {
            question
                .asked
                .take_if(|asked| asked.neighbour == Some(neighbour));
        }
        self.service(shared, id);
    }
}

impl<W: Wait> Pending<W> {
    /// What the answers to all questions come to.
    fn outcome(&self, shared: &Shared) -> Result<Vec<IpAddr>, Error> {
        let outcomes = self
            .questions
            .iter()
            .filter_map(|question| question.outcome.as_ref());
        let mut addresses = Vec::new();
        let mut error = Error::NoAddress;
        for outcome in outcomes {
            match outcome {
                Ok(found) => addresses.extend_from_slice(found),
                // A server that fails may have hidden an answer; a name that is not there has
                // none.
                Err(Error::NameNotFound) => error = Error::NameNotFound,
                Err(failed) if error == Error::NoAddress => error = *failed,
                Err(_) => {}
            }
        }
        if addresses.is_empty() {
            return Err(error);
        }
        if self.family == Family::Any && !is_v6_usable(shared) {
            addresses.sort_by_key(IpAddr::is_ipv6);
        }
        Ok(addresses)
    }
}

impl Question {
    fn new(kind: DnsQueryType) -> Self {
        Self {
            kind,
            asked: None,
            tried: 0,
            outcome: None,
        }
    }

    /// Goes on; says when to go on again.
    fn advance(&mut self, shared: &mut Shared, id: u64, name: &str) -> Option<Nanos> {
        while self.outcome.is_none() {
            match self.asked.as_mut() {
                None => self.ask_next(shared, name),
                Some(asked) => match asked.advance(shared, id) {
                    Progress::Waits(deadline) => return Some(deadline),
                    Progress::Answered(outcome) => {
                        self.outcome = Some(outcome);
                        self.asked = None;
                    }
                    Progress::Failed => self.asked = None,
                },
            }
        }
        None
    }

    /// Turns to the next server, if there is one.
    fn ask_next(&mut self, shared: &mut Shared, name: &str) {
        let servers = servers(shared);
        if self.tried >= ROUNDS * servers.len() {
            self.outcome = Some(Err(Error::NameServerFailed));
            return;
        }
        let server = servers[self.tried % servers.len()];
        self.tried += 1;
        let Ok(route) = shared.route(SocketAddr::new(server, PORT), None) else {
            return;
        };
        let mut socket = dns::Socket::new(&[server.into()], Vec::new());
        let context = shared.netifs[route.netif].interface.context();
        let Ok(query) = socket.start_query(context, name, self.kind) else {
            self.outcome = Some(Err(Error::NameNotFound));
            return;
        };
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let handle = sockets.add(socket);
        self.asked = Some(Asked {
            netif: route.netif,
            server,
            neighbour: route.neighbour,
            sockets,
            handle,
            query,
            port: None,
            until: shared.now + PATIENCE,
            code: None,
        });
    }
}

/// How far a question to one server is.
enum Progress {
    /// It has to be looked at again then.
    Waits(Nanos),
    Answered(Result<Vec<IpAddr>, Error>),
    /// Another server may do better.
    Failed,
}

impl Asked {
    fn advance(&mut self, shared: &mut Shared, id: u64) -> Progress {
        let now = shared.now;
        if now >= self.until {
            return Progress::Failed;
        }
        let netif = &mut shared.netifs[self.netif];
        let waiter = Waiter::Lookup(id);
        let ready = self
            .neighbour
            .is_none_or(|neighbour| netif.neighbours.is_ready(neighbour, waiter, now));
        if !ready {
            return Progress::Waits(self.until);
        }
        netif.notes.udp_source = None;
        netif.egress(Some(&mut self.sockets), now);
        self.port = netif.notes.udp_source.take().or(self.port);
        let next = netif.poll_at(&self.sockets, now);
        let socket: &mut dns::Socket<'_> = self.sockets.get_mut(self.handle);
        match socket.get_query_result(self.query) {
            Ok(addresses) => {
                Progress::Answered(Ok(addresses.into_iter().map(IpAddr::from).collect()))
            }
            Err(GetQueryResultError::Failed) => match self.code {
                Some(0) => Progress::Answered(Err(Error::NoAddress)),
                Some(3) => Progress::Answered(Err(Error::NameNotFound)),
                _ => Progress::Failed,
            },
            Err(GetQueryResultError::Pending) => {
                let next = next.map_or(self.until, |next| next.max(now + RETRY));
                Progress::Waits(next.min(self.until))
            }
        }
    }
}

/// All name servers.
pub(super) fn servers(shared: &Shared) -> Vec<IpAddr> {
    let mut servers = Vec::new();
    for netif in &shared.netifs {
        let set = netif
            .config
            .iter()
            .flat_map(|config| config.dns.iter().copied());
        let leased = netif.dhcp.iter().flat_map(|dhcp| dhcp.servers.iter());
        let advertised = netif.slaac.iter().flat_map(|slaac| slaac.servers());
        let found = set
            .chain(leased.copied().map(IpAddr::from))
            .chain(advertised.map(IpAddr::from));
        for server in found {
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
    }
    servers
}

/// Whether there is a way to IPv6 addresses anywhere.
fn is_v6_usable(shared: &Shared) -> bool {
    let anywhere = SocketAddr::new(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 1).into(), 0);
    shared.route(anywhere, None).is_ok()
}

/// The answer for names that no server is asked for.
fn without_server(name: &str, family: Family) -> Option<Result<Vec<IpAddr>, Error>> {
    let wanted = |ip: &IpAddr| match family {
        Family::V4 => ip.is_ipv4(),
        Family::V6 => ip.is_ipv6(),
        Family::Any => true,
    };
    let some = |addresses: &[IpAddr]| -> Result<Vec<IpAddr>, Error> {
        let found: Vec<_> = addresses.iter().copied().filter(wanted).collect();
        if found.is_empty() {
            return Err(Error::NoAddress);
        }
        Ok(found)
    };
    if let Ok(address) = name.parse::<IpAddr>() {
        return Some(some(&[address]));
    }
    let label = name.rsplit('.').next()?;
    if label.eq_ignore_ascii_case("localhost") {
        let v6 = Ipv6Addr::LOCALHOST.into();
        return Some(some(&[v6, Ipv4Addr::LOCALHOST.into()]));
    }
    label
        .eq_ignore_ascii_case("invalid")
        .then_some(Err(Error::NameNotFound))
}
