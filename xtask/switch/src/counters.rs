//! How many frames came, went, and did neither.

/// What a machine sent.
///
/// No frame is lost sight of: `received + duplicated` is the sum of `malformed`,
/// `refused`, `lost`, `in_line` and `forwarded`, whenever one looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ingress {
    /// Came in.
    pub received: u64,
    /// Bytes of these, headers included.
    pub received_bytes: u64,
    /// Were no frames.
    pub malformed: u64,
    /// Came while the port was down.
    pub refused: u64,
    /// Were lost by order.
    pub lost: u64,
    /// Were sent on twice by order.
    pub duplicated: u64,
    /// Were let past by later ones by order.
    pub reordered: u64,
    /// Had a bit turned by order.
    pub corrupted: u64,
    /// Were made an RST of their connection by order.
    pub reset: u64,
    /// Are held back or under way at the moment.
    pub in_line: u64,
    /// Arrived at the switch.
    pub forwarded: u64,
}

/// What a machine was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Egress {
    /// Wait for the bandwidth of this port at the moment.
    pub queued: u64,
    /// Found its queue full.
    pub overflowed: u64,
    /// Could not be taken, or were lost when the port went down.
    pub discarded: u64,
    /// Went out.
    pub sent: u64,
    /// Bytes of these, headers included.
    pub sent_bytes: u64,
}

/// Of one port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCounters {
    /// What came in there.
    pub ingress: Ingress,
    /// What went out there.
    pub egress: Egress,
}

/// Of the whole switch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// By port.
    pub ports: Vec<PortCounters>,
    /// What the switch made of the frames that arrived: the sum of `queued`,
    /// `overflowed`, `discarded` and `sent` of all ports.
    pub copies: u64,
    /// Frames that arrived and went nowhere: nobody there hears the sender, or it is
    /// where they came from.
    pub undelivered: u64,
}
