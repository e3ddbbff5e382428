//! Socket addresses as programs give and get them.

use core::mem::{offset_of, size_of};
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use hermit_abi::{
    AF_INET, AF_INET6, EAFNOSUPPORT, EINVAL, sockaddr, sockaddr_in, sockaddr_in6, socklen_t,
};

use super::super::user::{self, Errno, UserSlice};

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of that number.
    pub fn from_number(number: i32) -> Result<Self, Errno> {
        match number {
            AF_INET => Ok(Self::V4),
            AF_INET6 => Ok(Self::V6),
            _ => Err(Errno(EAFNOSUPPORT)),
        }
    }

    /// Any address of the family, and any port.
    pub fn unspecified(self) -> SocketAddr {
        match self {
            Self::V4 => (Ipv4Addr::UNSPECIFIED, 0).into(),
            Self::V6 => (Ipv6Addr::UNSPECIFIED, 0).into(),
        }
    }

    /// Whether a socket of this family takes such addresses.
    pub fn accepts(self, address: SocketAddr) -> bool {
        address.is_ipv6() == (self == Self::V6)
    }
}

/// The address of `len` bytes at `from`; one that is larger than its family needs is fine.
pub fn read(from: *const sockaddr, len: socklen_t) -> Result<SocketAddr, Errno> {
    let len = len as usize;
    if len < offset_of!(sockaddr, sa_data) {
        return Err(Errno(EINVAL));
    }
    let family = user::read(
        from.cast::<u8>()
            .wrapping_add(offset_of!(sockaddr, sa_family)),
    )?;
    match i32::from(family) {
        AF_INET if len >= size_of::<sockaddr_in>() => {
            let address = user::read(from.cast::<sockaddr_in>())?;
            let ip = Ipv4Addr::from(address.sin_addr.s_addr.to_ne_bytes());
            Ok(SocketAddrV4::new(ip, u16::from_be(address.sin_port)).into())
        }
        AF_INET6 if len >= size_of::<sockaddr_in6>() => {
            let address = user::read(from.cast::<sockaddr_in6>())?;
            let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
            let port = u16::from_be(address.sin6_port);
            let (flow, scope) = (address.sin6_flowinfo, address.sin6_scope_id);
            Ok(SocketAddrV6::new(ip, port, flow, scope).into())
        }
        AF_INET | AF_INET6 => Err(Errno(EINVAL)),
        _ => Err(Errno(EAFNOSUPPORT)),
    }
}

/// An address in the form that programs get it.
pub enum Raw {
    /// Of IPv4.
    V4(sockaddr_in),
    /// Of IPv6.
    V6(sockaddr_in6),
}

impl From<SocketAddr> for Raw {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(address) => {
                let mut raw = sockaddr_in {
                    sin_len: size_of::<sockaddr_in>() as u8,
                    sin_family: AF_INET as u8,
                    sin_port: address.port().to_be(),
                    ..Default::default()
                };
                raw.sin_addr.s_addr = u32::from_ne_bytes(address.ip().octets());
                Self::V4(raw)
            }
            SocketAddr::V6(address) => {
                let mut raw = sockaddr_in6 {
                    sin6_len: size_of::<sockaddr_in6>() as u8,
                    sin6_family: AF_INET6 as u8,
                    sin6_port: address.port().to_be(),
                    sin6_flowinfo: address.flowinfo(),
                    sin6_scope_id: address.scope_id(),
                    ..Default::default()
                };
                raw.sin6_addr.s6_addr = address.ip().octets();
                Self::V6(raw)
            }
        }
    }
}

impl Raw {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::V4(raw) => bytes_of(raw),
            Self::V6(raw) => bytes_of(raw),
        }
    }
}

/// Types without padding between or behind their fields.
///
/// # Safety
/// Every byte of a value is initialised.
unsafe trait Dense {}

const _: () = assert!(size_of::<sockaddr_in>() == 16 && size_of::<sockaddr_in6>() == 28);
// SAFETY: its fields are 1, 1, 2, 4 and 8 bytes: 16.
unsafe impl Dense for sockaddr_in {}
// SAFETY: its fields are 1, 1, 2, 4, 16 and 4 bytes: 28.
unsafe impl Dense for sockaddr_in6 {}

fn bytes_of<T: Dense>(value: &T) -> &[u8] {
    // SAFETY: all bytes of the value are initialised.
    unsafe { core::slice::from_raw_parts(core::ptr::from_ref(value).cast(), size_of::<T>()) }
}

/// Gives the program an address, as much of it as there is room for: `*len` bytes at
/// `into`. Then `*len` is how long the whole address is. A null `into` wants none.
pub fn write(into: *mut sockaddr, len: *mut socklen_t, address: SocketAddr) -> Result<(), Errno> {
    if into.is_null() {
        return Ok(());
    }
    let room = user::read(len)? as usize;
    let raw = Raw::from(address);
    let bytes = &raw.bytes()[..raw.bytes().len().min(room)];
    UserSlice::new(into, bytes.len())?.copy_out(0, bytes);
    user::write(len, raw.bytes().len() as socklen_t)
}
