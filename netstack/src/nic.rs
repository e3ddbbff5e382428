//! What the stack asks of a network card.
//!
//! Frames stay where the card put them, or will fetch them: the stack reads and writes them
//! in place. A card has two halves that are used at the same time, since an answer may be
//! written while the question is being read.

use core::num::NonZeroU16;

/// A network card with its rings. Used by the protocol thread only.
pub trait Nic: Send {
    /// What the card can do. Does not change.
    fn capabilities(&self) -> Capabilities;

    /// Both halves.
    fn halves(&mut self) -> (&mut dyn Receive, &mut dyn Transmit);

    /// Whether received frames raise interrupts. With `true` the answer says whether there
    /// are frames already, for which no interrupt will come.
    fn set_interrupts(&mut self, on: bool) -> bool;

    /// What the card has counted.
    fn counters(&self) -> Counters;
}

/// The receiving half.
pub trait Receive {
    /// The oldest received frame (from its Ethernet header on, without checksum), which stays
    /// first until [`Receive::release`].
    fn first(&mut self) -> Option<(&mut [u8], RxChecksum)>;

    /// Gives the first frame's memory back to the card. Without a frame nothing happens.
    fn release(&mut self);
}

/// The transmitting half.
pub trait Transmit {
    /// Whether there is room for one more frame.
    fn has_room(&mut self) -> bool;

    /// Has `fill` write a frame of `length` bytes (from its Ethernet header on) where the card
    /// will fetch it, and say what the card has to do with it. The card is told by
    /// [`Transmit::kick`]. `length` is at most the interface's MTU with the header, or
    /// [`Capabilities::segmentation`] with headers. Only when there is room.
    fn send(&mut self, length: usize, fill: &mut dyn FnMut(&mut [u8]) -> TxOffload);

    /// Tells the card about all frames that were sent since the last time.
    fn kick(&mut self);

    /// Has the card interrupt once it has taken half of the frames that it has, if these are
    /// several. False: they are not, or it has taken that many already, and it does not
    /// interrupt for them. A card that cannot do that says so too.
    fn call_when_taken(&mut self) -> bool {
        false
    }
}

/// What a card can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Its hardware address.
    pub mac: [u8; 6],
    /// The largest IP packet it carries, in bytes (without the Ethernet header).
    pub mtu: u16,
    /// It completes checksums of TCP and UDP.
    pub tx_checksum: bool,
    /// The largest TCP payload that it cuts into segments, in bytes; 0: it does not.
    pub segmentation: usize,
}

/// What is known of a received frame's TCP or UDP checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RxChecksum {
    /// Nothing: it has to be verified.
    Unknown,
    /// The card has verified it, or the frame has never left this machine (then the field may
    /// hold the pseudo header's part only).
    Good,
}

/// What the card has to do with a frame that it is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TxOffload {
    /// Sum up from `start` to the frame's end and store at `start + offset`, where the
    /// sum of the pseudo header is.
    pub checksum: Option<TxChecksum>,
    /// Cut it up.
    pub segmentation: Option<Segmentation>,
}

/// Where a checksum goes. Bytes from the frame's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxChecksum {
    /// Where the sum begins: the TCP or UDP header.
    pub start: u16,
    /// The field's place, from `start` on.
    pub offset: u16,
}

/// How a large TCP packet is cut up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segmentation {
    /// Bytes of payload in each segment but the last.
    pub size: NonZeroU16,
    /// Bytes of all headers, Ethernet's included.
    pub headers: u16,
    /// IPv6 rather than IPv4.
    pub v6: bool,
}

/// What a card has counted since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames received.
    pub rx_frames: u64,
    /// Bytes of these.
    pub rx_bytes: u64,
    /// Received frames that were of no use: too short or too long for the buffers.
    pub rx_errors: u64,
    /// Frames sent.
    pub tx_frames: u64,
    /// Bytes of these.
    pub tx_bytes: u64,
    /// Interrupts.
    pub interrupts: u64,
}
