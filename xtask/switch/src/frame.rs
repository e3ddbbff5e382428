//! What the switch has to know of a frame.

/// The largest frame: 9000 bytes of content, the header, room for tags.
pub const MAX_FRAME: usize = 9216;

/// Destination, source, type.
pub(crate) const HEADER: usize = 14;

/// An address on the link.
pub(crate) type Address = [u8; 6];

/// The ends of a frame that may be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub destination: Address,
    pub source: Address,
}

impl Ends {
    /// Reads them; `None` when this is no frame: too short, too long, or from a group,
    /// which cannot send.
    pub fn of(frame: &[u8]) -> Option<Self> {
        if !(HEADER..=MAX_FRAME).contains(&frame.len()) {
            return None;
        }
        let ends = Self {
            destination: *frame.first_chunk()?,
            source: *frame[6..].first_chunk()?,
        };
        (!is_group(ends.source)).then_some(ends)
    }

    /// Whether it is for more than one.
    pub fn is_to_group(&self) -> bool {
        is_group(self.destination)
    }
}

fn is_group(address: Address) -> bool {
    address[0] & 1 != 0
}

#[cfg(test)]
mod tests {
    use super::{Ends, HEADER, MAX_FRAME};

    #[test]
    fn what_is_no_frame_is_found_out() {
        assert_eq!(Ends::of(&[]), None);
        assert_eq!(Ends::of(&[0; HEADER - 1]), None);
        assert!(Ends::of(&[0; HEADER]).is_some());
        assert!(Ends::of(&[0; MAX_FRAME]).is_some());
        assert_eq!(Ends::of(&[0; MAX_FRAME + 1]), None);
        let mut from_group = [0; 60];
        from_group[6] = 1;
        assert_eq!(Ends::of(&from_group), None);
    }
}
