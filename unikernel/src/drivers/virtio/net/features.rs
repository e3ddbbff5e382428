//! What a network card and its driver may agree on (5.1.3). The library has them for itself.

/// The card completes checksums.
pub const CSUM: u64 = 1 << 0;
/// The driver takes frames whose checksum is not complete, or was verified.
pub const GUEST_CSUM: u64 = 1 << 1;
/// The card says what its MTU is.
pub const MTU: u64 = 1 << 3;
/// The card has an address.
pub const MAC: u64 = 1 << 5;
/// The driver takes segments of TCP over IPv4 that were joined.
pub const GUEST_TSO4: u64 = 1 << 7;
/// And over IPv6.
pub const GUEST_TSO6: u64 = 1 << 8;
/// The card cuts up segments of TCP over IPv4.
pub const HOST_TSO4: u64 = 1 << 11;
/// And over IPv6.
pub const HOST_TSO6: u64 = 1 << 12;
/// Received frames may be spread over several buffers.
pub const MRG_RXBUF: u64 = 1 << 15;
