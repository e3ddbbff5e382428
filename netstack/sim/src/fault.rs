//! What goes wrong, and when.

use crate::chance::{Chance, Stream};
use crate::plan::Plan;
use crate::time::{MICROSECOND, MILLISECOND, Moment, SECOND};
use darner_coherence::{NodeId, PageIndex};
use std::fmt;

/// Something that happens to the cluster from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A node dies, and is started anew after that many nanoseconds.
    Crash {
        /// Which.
        node: NodeId,
        /// For how long it is gone.
        lasts: u64,
    },
    /// A node stands still, as a machine whose host is busy.
    Pause {
        /// Which.
        node: NodeId,
        /// For how long.
        lasts: u64,
    },
    /// No packet passes between the nodes of the set and the others.
    Partition {
        /// The nodes of one side, bit by bit; those above 63 are on the other.
        side: u64,
        /// For how long.
        lasts: u64,
    },
    /// A connection is lost. What was under way is sent again on the next one.
    Cut {
        /// One end.
        one: NodeId,
        /// The other.
        other: NodeId,
        /// For how long there is no next one.
        lasts: u64,
    },
    /// A clock is set forward or back.
    Jump {
        /// Whose.
        node: NodeId,
        /// By how many nanoseconds.
        by: i64,
    },
    /// Memory is short at a node.
    Pressure {
        /// At which.
        node: NodeId,
        /// How many pages it is to give up.
        pages: usize,
    },
    /// A node gives up a page.
    Evict {
        /// Which node.
        node: NodeId,
        /// Which page.
        page: PageIndex,
    },
    /// A node gives up all that it has, leaves, and is started anew.
    Leave {
        /// Which.
        node: NodeId,
        /// After how long it leaves.
        drains: u64,
    },
    /// Pages get another home.
    Move {
        /// The first page.
        first: PageIndex,
        /// How many.
        pages: u64,
        /// Their home to be.
        to: NodeId,
    },
}

/// What kinds of faults there are, as the command line names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`Fault::Crash`].
    Crash,
    /// [`Fault::Pause`].
    Pause,
    /// [`Fault::Partition`].
    Partition,
    /// [`Fault::Cut`].
    Cut,
    /// [`Fault::Jump`].
    Clock,
    /// [`Fault::Pressure`] and [`Fault::Evict`].
    Pressure,
    /// [`Fault::Move`].
    Move,
    /// [`Fault::Leave`].
    Leave,
}

impl Kind {
    /// All of them, with their names.
    pub const ALL: [(&str, Self); 8] = [
        ("crash", Self::Crash),
        ("pause", Self::Pause),
        ("partition", Self::Partition),
        ("cut", Self::Cut),
        ("clock", Self::Clock),
        ("pressure", Self::Pressure),
        ("move", Self::Move),
        ("leave", Self::Leave),
    ];
}

/// Which faults happen, and how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Which, each as often as its weight says.
    pub kinds: Vec<(u32, Kind)>,
    /// The mean time between two, in nanoseconds.
    pub every: u64,
}

impl Faults {
    /// No faults.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// These kinds, all as often.
    #[must_use]
    pub fn of(kinds: &[Kind]) -> Self {
        Self {
            kinds: kinds.iter().map(|&kind| (1, kind)).collect(),
            every: MILLISECOND,
        }
    }

    /// Some kinds, drawn.
    pub(crate) fn drawn(chance: &mut Chance) -> Self {
        let mut kinds = Vec::new();
        for (_, kind) in Kind::ALL {
            let most = match kind {
                Kind::Pressure | Kind::Move => 40,
                Kind::Crash | Kind::Partition | Kind::Leave => 2,
                Kind::Pause | Kind::Cut | Kind::Clock => 5,
            };
            kinds.push((chance.one_of(&[0, 1, most]), kind));
        }
        kinds.retain(|&(weight, _)| weight > 0);
        let every = chance.one_of(&[100 * MICROSECOND, MILLISECOND, 10 * MILLISECOND]);
        Self { kinds, every }
    }

    /// What a list of names, separated by commas, says; `all` and `none` are names, too.
    ///
    /// # Errors
    ///
    /// What was found and what was expected, if a name is not one of a kind.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "none" => return Ok(Self::none()),
            "all" => return Ok(Self::of(&Kind::ALL.map(|(_, kind)| kind))),
            _ => {}
        }
        let kind = |name: &str| {
            let known = Kind::ALL.iter().find(|(known, _)| *known == name);
            known.map(|&(_, kind)| kind).ok_or_else(|| {
                let names = Kind::ALL.map(|(name, _)| name).join(", ");
                format!("found the fault `{name}`, expected all, none, or some of {names}")
            })
        };
        let kinds = text
            .split(',')
            .map(kind)
            .collect::<Result<Vec<Kind>, String>>()?;
        Ok(Self::of(&kinds))
    }
}

/// Draws faults.
#[derive(Clone, Debug)]
pub(crate) struct Fate {
    chance: Chance,
}

impl Fate {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            chance: Chance::new(plan.seed, Stream::Faults),
        }
    }

    /// The next fault, if any are to happen: as a rule when the last ones are over.
    pub(crate) fn next(
        &mut self,
        now: Moment,
        over: Moment,
        plan: &Plan,
    ) -> Option<(Moment, Fault)> {
        if plan.faults.kinds.is_empty() {
            return None;
        }
        let meanwhile = self.chance.percent(30);
        let from = if meanwhile { now } else { now.max(over) };
        let at = from.after(self.chance.within(0..2 * plan.faults.every + 1));
        let kind = self.chance.weighted(&plan.faults.kinds);
        Some((at, self.of_kind(kind, plan)))
    }

    fn of_kind(&mut self, kind: Kind, plan: &Plan) -> Fault {
        let node = self.node(plan);
        let chance = &mut self.chance;
        match kind {
            Kind::Crash => Fault::Crash {
                node,
                lasts: chance.within(MILLISECOND..300 * MILLISECOND),
            },
            Kind::Pause => Fault::Pause {
                node,
                lasts: chance.one_of(&[100 * MICROSECOND, 5 * MILLISECOND, 3 * SECOND]),
            },
            Kind::Partition => Fault::Partition {
                side: chance.within(1..u64::MAX),
                lasts: chance.one_of(&[MILLISECOND, 20 * MILLISECOND, SECOND]),
            },
            Kind::Cut => Fault::Cut {
                one: node,
                other: self.node(plan),
                lasts: self.chance.within(10 * MICROSECOND..5 * MILLISECOND),
            },
            Kind::Leave => Fault::Leave {
                node,
                drains: chance.one_of(&[0, 5 * MILLISECOND, 500 * MILLISECOND]),
            },
            Kind::Clock => Fault::Jump {
                node,
                by: chance.within(0..4 * SECOND) as i64 - 2 * SECOND as i64,
            },
            Kind::Pressure if chance.percent(50) => Fault::Pressure {
                node,
                pages: chance.within(1..9) as usize,
            },
            Kind::Pressure => Fault::Evict {
                node,
                page: PageIndex(chance.within(0..plan.pages)),
            },
            Kind::Move => {
                let first = chance.within(0..plan.pages);
                let pages = chance.within(1..4).min(plan.pages - first);
                Fault::Move {
                    first: PageIndex(first),
                    pages,
                    to: node,
                }
            }
        }
    }

    fn node(&mut self, plan: &Plan) -> NodeId {
        NodeId(self.chance.within(0..plan.nodes.into()) as u16)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |nanoseconds: u64| nanoseconds as f64 / MILLISECOND as f64;
        match *self {
            Self::Crash { node, lasts } => {
                write!(f, "node {} crashes, for {} ms", node.0, ms(lasts))
            }
            Self::Pause { node, lasts } => {
                write!(f, "node {} stands still for {} ms", node.0, ms(lasts))
            }
            Self::Partition { side, lasts } => {
                write!(f, "nodes {side:b} are cut off for {} ms", ms(lasts))
            }
            Self::Cut { one, other, lasts } => write!(
                f,
                "nodes {} and {} lose their connection for {} ms",
                one.0,
                other.0,
                ms(lasts)
            ),
            Self::Jump { node, by } => {
                write!(f, "the clock of node {} jumps by {} us", node.0, by / 1000)
            }
            Self::Leave { node, drains } => {
                write!(f, "node {} leaves in {} ms", node.0, ms(drains))
            }
            Self::Pressure { node, pages } => {
                write!(f, "node {} is to give up {pages} pages", node.0)
            }
            Self::Evict { node, page } => write!(f, "node {} gives up page {}", node.0, page.0),
            Self::Move { first, pages, to } => {
                write!(f, "{pages} pages from {} move to node {}", first.0, to.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_understood() {
        assert_eq!(Faults::parse("none"), Ok(Faults::none()));
        assert_eq!(Faults::parse("all").map(|all| all.kinds.len()), Ok(8));
        assert_eq!(
            Faults::parse("crash,move"),
            Ok(Faults::of(&[Kind::Crash, Kind::Move]))
        );
        let error = Faults::parse("crash,flood").unwrap_err();
        assert!(
            error.contains("`flood`") && error.contains("partition"),
            "{error}"
        );
        assert!(Faults::parse("").is_err());
    }
}
