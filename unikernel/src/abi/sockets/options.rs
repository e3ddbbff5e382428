//! Options of sockets.

use core::ffi::c_void;
use core::mem::size_of;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;

use darner_netstack::Request;
use darner_netstack::request::{DatagramOptions, StreamOptions};
use hermit_abi::{
    EINVAL, ENOPROTOOPT, IP_ADD_MEMBERSHIP, IP_DROP_MEMBERSHIP, IP_MULTICAST_LOOP,
    IP_MULTICAST_TTL, IP_TOS, IP_TTL, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, IPV6_ADD_MEMBERSHIP,
    IPV6_DROP_MEMBERSHIP, IPV6_MULTICAST_LOOP, IPV6_V6ONLY, SO_BROADCAST, SO_ERROR, SO_KEEPALIVE,
    SO_LINGER, SO_RCVBUF, SO_RCVTIMEO, SO_REUSEADDR, SO_SNDBUF, SO_SNDTIMEO, SOL_SOCKET,
    TCP_NODELAY, ip_mreq, ipv6_mreq, linger, socklen_t, timeval,
};

use super::super::user::{self, Errno, Plain};
use super::socket::Socket;
use crate::net;

/// `linger` when there is none.
const NO_LINGER: u64 = u64::MAX;
/// Time between keep-alive probes: as of RFC 1122, section 4.2.3.6, at least two hours.
const KEEP_ALIVE: Duration = Duration::from_secs(2 * 60 * 60);

// SAFETY: structures of integers.
unsafe impl Plain for timeval {}
// SAFETY: as above.
unsafe impl Plain for linger {}
// SAFETY: as above.
unsafe impl Plain for ip_mreq {}
// SAFETY: as above.
unsafe impl Plain for ipv6_mreq {}

/// What a program has set. Any thread of it may, at any time.
pub struct Options {
    reuse: AtomicBool,
    only_v6: AtomicBool,
    nodelay: AtomicBool,
    keep_alive: AtomicBool,
    broadcast: AtomicBool,
    multicast_loop: AtomicBool,
    ttl: AtomicU8,
    multicast_ttl: AtomicU8,
    tos: AtomicU8,
    /// Bytes; 0: the stack chooses.
    receive_buffer: AtomicUsize,
    send_buffer: AtomicUsize,
    /// In ns; 0: none.
    receive_limit: AtomicU64,
    send_limit: AtomicU64,
    /// In seconds, or [`NO_LINGER`].
    linger: AtomicU64,
}

impl Options {
    /// Those of a new socket.
    pub fn new() -> Self {
        Self {
            reuse: AtomicBool::new(false),
            only_v6: AtomicBool::new(false),
            nodelay: AtomicBool::new(false),
            keep_alive: AtomicBool::new(false),
            broadcast: AtomicBool::new(false),
            multicast_loop: AtomicBool::new(true),
            ttl: AtomicU8::new(StreamOptions::default().ttl),
            multicast_ttl: AtomicU8::new(DatagramOptions::default().multicast_ttl),
            tos: AtomicU8::new(0),
            receive_buffer: AtomicUsize::new(0),
            send_buffer: AtomicUsize::new(0),
            receive_limit: AtomicU64::new(0),
            send_limit: AtomicU64::new(0),
            linger: AtomicU64::new(NO_LINGER),
        }
    }

    /// Takes over what an accepted connection has of its listener.
    pub fn inherit(&self, from: &Self) {
        let set = |to: &AtomicBool, from: &AtomicBool| to.store(get(from), Ordering::Relaxed);
        set(&self.nodelay, &from.nodelay);
        set(&self.keep_alive, &from.keep_alive);
        self.ttl
            .store(from.ttl.load(Ordering::Relaxed), Ordering::Relaxed);
        self.linger
            .store(from.linger.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// `SO_REUSEADDR`.
    pub fn reuse(&self) -> bool {
        get(&self.reuse)
    }

    /// `IPV6_V6ONLY`.
    pub fn only_v6(&self) -> bool {
        get(&self.only_v6)
    }

    /// How long to wait for what is to be received, in ns; 0: for ever.
    pub fn receive_limit(&self) -> u64 {
        self.receive_limit.load(Ordering::Relaxed)
    }

    /// How long to wait for room, in ns; 0: for ever.
    pub fn send_limit(&self) -> u64 {
        self.send_limit.load(Ordering::Relaxed)
    }

    /// `SO_LINGER`.
    pub fn linger(&self) -> Option<Duration> {
        match self.linger.load(Ordering::Relaxed) {
            NO_LINGER => None,
            seconds => Some(Duration::from_secs(seconds)),
        }
    }

    /// Those that the stack has for connections.
    pub fn stream(&self) -> StreamOptions {
        let size = |bytes: &AtomicUsize| Some(bytes.load(Ordering::Relaxed)).filter(|&n| n > 0);
        StreamOptions {
            nodelay: get(&self.nodelay),
            keep_alive: get(&self.keep_alive).then_some(KEEP_ALIVE),
            ttl: self.ttl.load(Ordering::Relaxed),
            receive_buffer: size(&self.receive_buffer),
            send_buffer: size(&self.send_buffer),
        }
    }

    /// Those that the stack has for UDP sockets.
    pub fn datagram(&self) -> DatagramOptions {
        DatagramOptions {
            ttl: self.ttl.load(Ordering::Relaxed),
            multicast_ttl: self.multicast_ttl.load(Ordering::Relaxed),
            multicast_loop: get(&self.multicast_loop),
            broadcast: get(&self.broadcast),
        }
    }
}

fn get(flag: &AtomicBool) -> bool {
    flag.load(Ordering::Relaxed)
}

/// Memory of the program that an option's value is in, or goes to.
#[derive(Clone, Copy)]
pub struct Value {
    /// Where.
    pub at: *mut c_void,
    /// How many bytes.
    pub len: socklen_t,
}

impl Value {
    fn read<T: Plain>(self) -> Result<T, Errno> {
        if (self.len as usize) < size_of::<T>() {
            return Err(Errno(EINVAL));
        }
        user::read(self.at.cast_const().cast())
    }

    fn flag(self, into: &AtomicBool) -> Result<(), Errno> {
        into.store(self.read::<i32>()? != 0, Ordering::Relaxed);
        Ok(())
    }

    /// A number from 0 to 255; IPv4's -1 stands for the default.
    fn byte(self, into: &AtomicU8, default: u8) -> Result<(), Errno> {
        let value = match self.read::<i32>()? {
            -1 => default,
            value => u8::try_from(value).map_err(|_| Errno(EINVAL))?,
        };
        into.store(value, Ordering::Relaxed);
        Ok(())
    }

    fn size(self, into: &AtomicUsize) -> Result<(), Errno> {
        let bytes = usize::try_from(self.read::<i32>()?).map_err(|_| Errno(EINVAL))?;
        into.store(bytes.max(1), Ordering::Relaxed);
        Ok(())
    }

    fn limit(self, into: &AtomicU64) -> Result<(), Errno> {
        let time: timeval = self.read()?;
        let (Ok(seconds), Ok(micros @ 0..1_000_000)) =
            (u64::try_from(time.tv_sec), u64::try_from(time.tv_usec))
        else {
            return Err(Errno(EINVAL));
        };
        let ns = seconds.saturating_mul(1_000_000).saturating_add(micros);
        into.store(ns.saturating_mul(1_000), Ordering::Relaxed);
        Ok(())
    }

    fn write<T: Plain>(self, value: T) -> Result<socklen_t, Errno> {
        if (self.len as usize) < size_of::<T>() {
            return Err(Errno(EINVAL));
        }
        user::write(self.at.cast(), value)?;
        Ok(size_of::<T>() as socklen_t)
    }

    fn write_limit(self, ns: u64) -> Result<socklen_t, Errno> {
        let micros = ns / 1_000;
        self.write(timeval {
            tv_sec: (micros / 1_000_000) as _,
            tv_usec: (micros % 1_000_000) as _,
        })
    }
}

/// Changes an option.
pub fn set(socket: &Socket, level: i32, name: i32, value: Value) -> Result<(), Errno> {
    let options = &socket.options;
    match (level, name) {
        (SOL_SOCKET, SO_REUSEADDR) => value.flag(&options.reuse),
        (SOL_SOCKET, SO_RCVTIMEO) => value.limit(&options.receive_limit),
        (SOL_SOCKET, SO_SNDTIMEO) => value.limit(&options.send_limit),
        (SOL_SOCKET, SO_RCVBUF) => value.size(&options.receive_buffer),
        (SOL_SOCKET, SO_SNDBUF) => value.size(&options.send_buffer),
        (SOL_SOCKET, SO_LINGER) => {
            let linger: linger = value.read()?;
            let seconds = match linger.l_onoff {
                0 => NO_LINGER,
                _ => u64::try_from(linger.l_linger).map_err(|_| Errno(EINVAL))?,
            };
            options.linger.store(seconds, Ordering::Relaxed);
            Ok(())
        }
        (IPPROTO_IPV6, IPV6_V6ONLY) => value.flag(&options.only_v6),
        (IPPROTO_IP, IP_TOS) => value.byte(&options.tos, 0),
        (IPPROTO_IP, IP_ADD_MEMBERSHIP) => join_v4(value.read()?, Membership::Join),
        (IPPROTO_IP, IP_DROP_MEMBERSHIP) => join_v4(value.read()?, Membership::Leave),
        (IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP) => join_v6(value.read()?, Membership::Join),
        (IPPROTO_IPV6, IPV6_DROP_MEMBERSHIP) => join_v6(value.read()?, Membership::Leave),
        _ => set_known_to_stack(socket, level, name, value),
    }
}

/// Changes an option of those that the stack has to know as well.
fn set_known_to_stack(socket: &Socket, level: i32, name: i32, value: Value) -> Result<(), Errno> {
    let options = &socket.options;
    match (level, name) {
        (SOL_SOCKET, SO_KEEPALIVE) => value.flag(&options.keep_alive)?,
        (SOL_SOCKET, SO_BROADCAST) => value.flag(&options.broadcast)?,
        (IPPROTO_IP, IP_MULTICAST_LOOP) | (IPPROTO_IPV6, IPV6_MULTICAST_LOOP) => {
            value.flag(&options.multicast_loop)?;
        }
        (IPPROTO_TCP, TCP_NODELAY) => value.flag(&options.nodelay)?,
        (IPPROTO_IP, IP_TTL) => {
            if value.read::<i32>()? == 0 {
                return Err(Errno(EINVAL));
            }
            value.byte(&options.ttl, StreamOptions::default().ttl)?;
        }
        (IPPROTO_IP, IP_MULTICAST_TTL) => {
            value.byte(
                &options.multicast_ttl,
                DatagramOptions::default().multicast_ttl,
            )?;
        }
        _ => return Err(Errno(ENOPROTOOPT)),
    }
    if let Some(connection) = socket.connection() {
        net::call(Request::SetStreamOptions(connection.id(), options.stream()))?;
    }
    if let Some(datagrams) = socket.datagrams() {
        datagrams.set_options(options.datagram())?;
    }
    Ok(())
}

/// Into a group, or out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Membership {
    Join,
    Leave,
}

fn join_v4(request: ip_mreq, membership: Membership) -> Result<(), Errno> {
    let address = |raw: hermit_abi::in_addr| Ipv4Addr::from(raw.s_addr.to_ne_bytes());
    let group = address(request.imr_multiaddr);
    let interface = address(request.imr_interface);
    join(group.into(), interface.into(), membership)
}

/// Interfaces have no numbers here: all are meant.
fn join_v6(request: ipv6_mreq, membership: Membership) -> Result<(), Errno> {
    let group = Ipv6Addr::from(request.ipv6mr_multiaddr.s6_addr);
    join(group.into(), Ipv6Addr::UNSPECIFIED.into(), membership)
}

fn join(group: IpAddr, interface: IpAddr, membership: Membership) -> Result<(), Errno> {
    net::call(Request::Multicast {
        group,
        interface,
        join: membership == Membership::Join,
    })?;
    Ok(())
}

/// Tells an option's value. How long it is.
pub fn get_option(socket: &Socket, level: i32, name: i32, into: Value) -> Result<socklen_t, Errno> {
    let options = &socket.options;
    let flag = |flag: &AtomicBool| into.write(i32::from(get(flag)));
    let byte = |byte: &AtomicU8| into.write(i32::from(byte.load(Ordering::Relaxed)));
    let size = |bytes: &AtomicUsize| into.write(bytes.load(Ordering::Relaxed) as i32);
    match (level, name) {
        (SOL_SOCKET, SO_ERROR) => into.write(socket.take_error().map_or(0, |Errno(code)| code)),
        (SOL_SOCKET, SO_REUSEADDR) => flag(&options.reuse),
        (SOL_SOCKET, SO_KEEPALIVE) => flag(&options.keep_alive),
        (SOL_SOCKET, SO_BROADCAST) => flag(&options.broadcast),
        (SOL_SOCKET, SO_RCVBUF) => size(&options.receive_buffer),
        (SOL_SOCKET, SO_SNDBUF) => size(&options.send_buffer),
        (SOL_SOCKET, SO_RCVTIMEO) => into.write_limit(options.receive_limit()),
        (SOL_SOCKET, SO_SNDTIMEO) => into.write_limit(options.send_limit()),
        (SOL_SOCKET, SO_LINGER) => into.write(linger {
            l_onoff: i32::from(options.linger().is_some()),
            l_linger: options.linger().map_or(0, |time| time.as_secs() as i32),
        }),
        (IPPROTO_TCP, TCP_NODELAY) => flag(&options.nodelay),
        (IPPROTO_IP, IP_TTL) => byte(&options.ttl),
        (IPPROTO_IP, IP_TOS) => byte(&options.tos),
        (IPPROTO_IP, IP_MULTICAST_TTL) => byte(&options.multicast_ttl),
        (IPPROTO_IP, IP_MULTICAST_LOOP) | (IPPROTO_IPV6, IPV6_MULTICAST_LOOP) => {
            flag(&options.multicast_loop)
        }
        (IPPROTO_IPV6, IPV6_V6ONLY) => flag(&options.only_v6),
        _ => Err(Errno(ENOPROTOOPT)),
    }
}
