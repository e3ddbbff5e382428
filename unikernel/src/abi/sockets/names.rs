//! Looking names up.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::alloc::Layout;
use core::ffi::c_char;
use core::mem::size_of;
use core::net::{IpAddr, SocketAddr};
use core::ptr::null_mut;

use darner_netstack::request::Family;
use darner_netstack::{Error, Lookup, Request};
use hermit_abi::{
    AF_INET, AF_INET6, AF_UNSPEC, EAI_AGAIN, EAI_FAMILY, EAI_MEMORY, EAI_NODATA, EAI_NONAME,
    EAI_SERVICE, EAI_SOCKTYPE, EAI_SYSTEM, EINVAL, IPPROTO_TCP, IPPROTO_UDP, SOCK_DGRAM,
    SOCK_STREAM, addrinfo, sockaddr, sockaddr_in, sockaddr_in6, socklen_t,
};

use super::super::user::{self, Errno, Plain, UserSlice};
use super::address::Raw;
use crate::memory::program_heap;
use crate::net;

// SAFETY: a structure of integers and raw pointers.
unsafe impl Plain for addrinfo {}

/// Why there are no addresses: an `EAI_*` number, as `getaddrinfo` returns it.
pub struct Unknown(pub i32);

impl From<Errno> for Unknown {
    fn from(_: Errno) -> Self {
        Self(EAI_SYSTEM)
    }
}

impl From<Error> for Unknown {
    fn from(error: Error) -> Self {
        Self(match error {
            Error::NameNotFound => EAI_NONAME,
            Error::NoAddress => EAI_NODATA,
            Error::NoMemory => EAI_MEMORY,
            _ => EAI_AGAIN,
        })
    }
}

/// One address with its node of the list: one piece of the program's memory.
#[repr(C)]
struct Entry {
    info: addrinfo,
    address: [u64; size_of::<sockaddr_in6>().div_ceil(size_of::<u64>())],
}

const _: () = assert!(size_of::<sockaddr_in>() <= size_of::<sockaddr_in6>());
const ENTRY: Layout = Layout::new::<Entry>();

/// The addresses of a name.
fn resolve(name: &str, family: Family) -> Result<Vec<IpAddr>, Unknown> {
    if let Ok(address) = name.parse::<IpAddr>() {
        let fits = match family {
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
            Family::Any => true,
        };
        return match fits {
            true => Ok(alloc::vec![address]),
            false => Err(Unknown(EAI_NONAME)),
        };
    }
    net::wait_configured();
    let lookup = Arc::new(Lookup::new());
    net::call(Request::Resolve {
        name: String::from(name),
        family,
        lookup: lookup.clone(),
    })?;
    // The stack gives up by itself when no server answers.
    let outcome = lookup
        .waiters
        .wait_until(None, || lookup.outcome().cloned());
    Ok(outcome.unwrap_or(Err(Error::NameServerFailed))?)
}

fn name_at(at: *const c_char) -> Result<String, Unknown> {
    String::from_utf8(user::path(at)?).map_err(|_| Unknown(EAI_NONAME))
}

/// Makes the list that `getaddrinfo` gives.
pub fn look_up(
    node: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    into: *mut *mut addrinfo,
) -> Result<(), Unknown> {
    let (mut family, mut kind) = (Family::Any, 0);
    if !hints.is_null() {
        let hints = user::read(hints)?;
        family = match hints.ai_family {
            AF_UNSPEC => Family::Any,
            AF_INET => Family::V4,
            AF_INET6 => Family::V6,
            _ => return Err(Unknown(EAI_FAMILY)),
        };
        kind = match hints.ai_socktype {
            kind @ (0 | SOCK_STREAM | SOCK_DGRAM) => kind,
            _ => return Err(Unknown(EAI_SOCKTYPE)),
        };
    }
    let port = match service.is_null() {
        true => 0,
        // There is no table of services: numbers only.
        false => name_at(service)?
            .parse()
            .map_err(|_| Unknown(EAI_SERVICE))?,
    };
    let addresses = match node.is_null() {
        false => resolve(&name_at(node)?, family)?,
        true if service.is_null() => return Err(Unknown(EAI_NONAME)),
        true => resolve("localhost", family)?,
    };
    let mut first = null_mut();
    // From the last, so that each knows the next.
    for &address in addresses.iter().rev() {
        match entry(SocketAddr::new(address, port), kind, first) {
            Ok(entry) => first = entry,
            Err(unknown) => {
                free(first);
                return Err(unknown);
            }
        }
    }
    user::write(into.cast::<usize>(), first.expose_provenance()).inspect_err(|_| free(first))?;
    Ok(())
}

fn entry(address: SocketAddr, kind: i32, next: *mut addrinfo) -> Result<*mut addrinfo, Unknown> {
    let entry = program_heap::allocate(ENTRY).cast::<Entry>();
    if entry.is_null() {
        return Err(Unknown(EAI_MEMORY));
    }
    let raw = Raw::from(address);
    let place = entry
        .cast::<u8>()
        .wrapping_add(core::mem::offset_of!(Entry, address));
    let bytes = raw.bytes();
    let family = if address.is_ipv4() { AF_INET } else { AF_INET6 };
    let info = addrinfo {
        ai_flags: 0,
        ai_family: family,
        ai_socktype: kind,
        ai_protocol: match kind {
            SOCK_STREAM => IPPROTO_TCP,
            SOCK_DGRAM => IPPROTO_UDP,
            _ => 0,
        },
        ai_addrlen: bytes.len() as socklen_t,
        ai_canonname: null_mut(),
        ai_addr: place.cast::<sockaddr>(),
        ai_next: next,
    };
    UserSlice::new(place, bytes.len())?.copy_out(0, bytes);
    user::write(entry.cast::<addrinfo>(), info)?;
    Ok(entry.cast())
}

/// Gives back a list that [`look_up`] has made.
pub fn free(mut first: *mut addrinfo) {
    while !first.is_null() {
        let Ok(info) = user::read(first.cast_const()) else {
            return;
        };
        // SAFETY: the program gives back what it was given, once; it came from this heap
        // with this layout.
        unsafe { program_heap::deallocate(first.cast(), ENTRY) };
        first = info.ai_next;
    }
}

/// Writes one IPv4 (4 bytes) or IPv6 (16 bytes) address of a name to `into`.
pub fn one_address(name: *const c_char, into: *mut u8, len: usize) -> Result<i32, Errno> {
    let family = match len {
        4 => Family::V4,
        16 => Family::V6,
        _ => return Err(Errno(EINVAL)),
    };
    let found = name_at(name).and_then(|name| resolve(&name, family));
    let address = found
        .ok()
        .and_then(|addresses| addresses.first().copied())
        .ok_or(Errno(hermit_abi::ENOENT))?;
    let slice = UserSlice::new(into, len)?;
    match address {
        IpAddr::V4(address) => slice.copy_out(0, &address.octets()),
        IpAddr::V6(address) => slice.copy_out(0, &address.octets()),
    }
    Ok(0)
}
