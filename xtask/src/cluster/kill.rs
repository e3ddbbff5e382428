//! Machines that leave by order: killed, as if somebody had pulled their plugs, or drained.

use std::time::Duration;

use darner_switch::spread;

use crate::error::{Error, Result};

/// Which machine, as it was ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    /// This one.
    Node(u16),
    /// One that no other order hits.
    Any,
}

/// What `--kill` or `--drain` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    victim: Victim,
    at: Duration,
    /// How much earlier or later it may be.
    jitter: Duration,
}

/// What becomes of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Its plug is pulled.
    Kill,
    /// It is told to leave.
    Drain,
}

impl Deed {
    /// The option that orders it.
    pub fn option(self) -> &'static str {
        match self {
            Self::Kill => "--kill",
            Self::Drain => "--drain",
        }
    }

    /// The first machine that it may be done to: the first of all has the program's files, and cannot be drained.
    fn first(self) -> u16 {
        match self {
            Self::Kill => 0,
            Self::Drain => 1,
        }
    }
}

/// An order of which everything is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill {
    /// What is done.
    pub deed: Deed,
    /// To which machine.
    pub node: u16,
    /// When, from when on times of faults count.
    pub at: Duration,
}

impl Order {
    /// Reads `1@5s`, `1@5s±2s` or `any@5s±2s`, for so many nodes.
    ///
    /// # Errors
    /// What was found, and what was expected in its place.
    pub fn parse(text: &str, deed: Deed, nodes: u16) -> Result<Self> {
        let wrong = |why: String| Error::usage(format!("found `{text}`, {why}"));
        let Some((victim, when)) = text.split_once('@') else {
            return Err(wrong(
                "expected NODE@TIME, as in 1@5s, 1@5s±2s or any@5s±2s".into(),
            ));
        };
        let victim = match victim.trim() {
            "any" => Victim::Any,
            number => match number.parse() {
                Ok(node) if (deed.first()..nodes).contains(&node) => Victim::Node(node),
                _ => {
                    return Err(wrong(format!(
                        "expected `any` or a node, {} to {}, before the @",
                        deed.first(),
                        nodes.saturating_sub(1)
                    )));
                }
            },
        };
        let (at, jitter) = spread(when).map_err(|error| wrong(format!("where it is {error}")))?;
        Ok(Self { victim, at, jitter })
    }
}

/// Decides by the seed what was left open; the first kill comes first.
///
/// # Errors
/// When it is to be done to more machines than there are, or to one twice.
pub fn decide(orders: &[Order], deed: Deed, nodes: u16, seed: u64) -> Result<Vec<Kill>> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut left: Vec<u16> = (deed.first()..nodes).collect();
    let mut kills = Vec::new();
    // Those that are named first: nobody is to be drawn who is killed anyhow.
    let (named, drawn): (Vec<&Order>, Vec<&Order>) = orders
        .iter()
        .partition(|order| matches!(order.victim, Victim::Node(_)));
    for order in named.into_iter().chain(drawn) {
        let place = match order.victim {
            Victim::Node(node) => left.iter().position(|&other| other == node),
            Victim::Any => (!left.is_empty()).then(|| random.usize(..left.len())),
        };
        let Some(place) = place else {
            return Err(Error::usage(format!(
                "found {} orders for {nodes} nodes, expected one for each at most",
                orders.len()
            )));
        };
        let shift = order.jitter.mul_f64(2.0 * random.f64());
        kills.push(Kill {
            deed,
            node: left.remove(place),
            at: (order.at + shift).saturating_sub(order.jitter),
        });
    }
    kills.sort_by_key(|kill| kill.at);
    Ok(kills)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Deed, Kill, Order, decide};

    fn orders(texts: &[&str]) -> Vec<Order> {
        let parse = |text: &&str| Order::parse(text, Deed::Kill, 3).unwrap();
        texts.iter().map(parse).collect()
    }

    #[test]
    fn what_is_said_is_done_in_order_of_time() {
        let kill = |node, seconds| Kill {
            deed: Deed::Kill,
            node,
            at: Duration::from_secs(seconds),
        };
        let kills = decide(&orders(&["2@7s", "0@1s"]), Deed::Kill, 3, 1).unwrap();
        assert_eq!(kills, [kill(0, 1), kill(2, 7)]);
    }

    #[test]
    fn what_is_left_open_is_drawn_from_the_seed() {
        let any = orders(&["any@4s±3s"]);
        let of = |seed| decide(&any, Deed::Kill, 3, seed).unwrap()[0];
        assert_eq!(of(7), of(7));
        let all: Vec<Kill> = (0..200).map(of).collect();
        for node in 0..3 {
            assert!(all.iter().any(|kill| kill.node == node));
        }
        let range = Duration::from_secs(1)..=Duration::from_secs(7);
        assert!(all.iter().all(|kill| range.contains(&kill.at)));
        assert!(all.iter().any(|kill| kill.at < Duration::from_secs(2)));
        assert!(all.iter().any(|kill| kill.at > Duration::from_secs(6)));
    }

    #[test]
    fn nobody_is_killed_twice() {
        for seed in 0..50 {
            let mut nodes: Vec<u16> =
                decide(&orders(&["any@1s", "1@2s", "any@3s"]), Deed::Kill, 3, seed)
                    .unwrap()
                    .iter()
                    .map(|kill| kill.node)
                    .collect();
            nodes.sort_unstable();
            assert_eq!(nodes, [0, 1, 2]);
        }
        assert!(decide(&orders(&["1@1s", "1@2s"]), Deed::Kill, 3, 1).is_err());
        assert!(decide(&orders(&["any@1s"; 4]), Deed::Kill, 3, 1).is_err());
    }

    #[test]
    fn what_orders_nothing_is_refused() {
        for (text, reason) in [
            ("1", "NODE@TIME"),
            ("3@1s", "a node, 0 to 2"),
            ("x@1s", "a node, 0 to 2"),
            ("1@soon", "found `soon`"),
            ("1@1s±2s", "at least as long"),
        ] {
            let error = Order::parse(text, Deed::Kill, 3).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn the_first_machine_is_not_drained() {
        let error = Order::parse("0@1s", Deed::Drain, 3).unwrap_err();
        assert!(error.to_string().contains("a node, 1 to 2"), "{error}");
        let any = [Order::parse("any@1s", Deed::Drain, 3).unwrap(); 2];
        for seed in 0..20 {
            let drains = decide(&any, Deed::Drain, 3, seed).unwrap();
            assert!(drains.iter().all(|drain| drain.node > 0));
        }
    }
}
