//! How far a node goes by how pages were used.

/// How far a node goes by how pages were used: where their homes are, to whom they are pushed, and when a
/// pushed copy is dropped again.
///
/// All nodes may differ in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Adaptation {
    /// Not at all: homes move only when told to, and nothing is pushed.
    #[default]
    Off,
    /// As it was seen more than once.
    Careful,
    /// As it was seen last. For tests: it happens more often, and is as right.
    Eager,
}

impl Adaptation {
    /// How often something has to be seen, if at all.
    pub(crate) fn signs(self) -> Option<u8> {
        match self {
            Self::Off => None,
            Self::Careful => Some(2),
            Self::Eager => Some(1),
        }
    }
}
