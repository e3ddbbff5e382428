//! Who is where, and who hears whom.

use std::collections::HashMap;
use std::time::Duration;

use crate::frame::{Address, Ends};
use crate::{PortId, Time};

/// How long an address is remembered that nothing comes from, as 802.1D has it.
const AGE: Duration = Duration::from_secs(300);
/// How many addresses are remembered at most. What is not remembered goes to everyone.
const CAPACITY: usize = 8192;

/// Sets of ports that hear each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The number of each port's set.
    sets: Vec<u16>,
}

impl Partition {
    /// Everyone hears everyone.
    pub fn whole(ports: usize) -> Self {
        Self {
            sets: vec![0; ports],
        }
    }

    /// These sets; ports that are in none of them are one more set together. `None` when
    /// a port is named twice or does not exist.
    pub fn of(ports: usize, sets: &[Vec<PortId>]) -> Option<Self> {
        let mut partition = Self::whole(ports);
        for (number, set) in (1..).zip(sets) {
            for port in set {
                match partition.sets.get_mut(port.index()) {
                    Some(of_port @ 0) => *of_port = number,
                    _ => return None,
                }
            }
        }
        Some(partition)
    }

    fn is_joined(&self, a: PortId, b: PortId) -> bool {
        self.sets[a.index()] == self.sets[b.index()]
    }
}

/// Where an address was seen last.
struct Seen {
    port: PortId,
    at: Time,
}

/// Finds the ports that a frame goes to. There is one switch, so there are no loops.
pub(crate) struct Fabric {
    partition: Partition,
    /// Whether a port is up and something is plugged in.
    is_live: Vec<bool>,
    table: HashMap<Address, Seen>,
}

impl Fabric {
    pub fn new(ports: usize) -> Self {
        Self {
            partition: Partition::whole(ports),
            is_live: vec![false; ports],
            table: HashMap::new(),
        }
    }

    pub fn set_partition(&mut self, partition: Partition) {
        self.partition = partition;
    }

    /// A port that goes down is forgotten: what was behind it may come back elsewhere.
    pub fn set_live(&mut self, port: PortId, is_live: bool) {
        self.is_live[port.index()] = is_live;
        if !is_live {
            self.table.retain(|_, seen| seen.port != port);
        }
    }

    /// Learns from a frame, and names each port that it goes to.
    pub fn forward(&mut self, now: Time, from: PortId, ends: Ends, mut to: impl FnMut(PortId)) {
        self.learn(now, from, ends.source);
        let known = match ends.is_to_group() {
            true => None,
            false => self.find(now, ends.destination),
        };
        match known {
            Some(port) if self.is_reached(from, port) => to(port),
            Some(_) => {}
            None => {
                for port in (0..self.is_live.len()).map(PortId::of) {
                    if self.is_reached(from, port) {
                        to(port);
                    }
                }
            }
        }
    }

    /// A frame never leaves by the port that it came in by.
    fn is_reached(&self, from: PortId, to: PortId) -> bool {
        from != to && self.is_live[to.index()] && self.partition.is_joined(from, to)
    }

    fn find(&self, now: Time, address: Address) -> Option<PortId> {
        let seen = self.table.get(&address)?;
        (now.saturating_sub(seen.at) < AGE).then_some(seen.port)
    }

    fn learn(&mut self, now: Time, port: PortId, address: Address) {
        if let Some(seen) = self.table.get_mut(&address) {
            *seen = Seen { port, at: now };
            return;
        }
        if self.table.len() >= CAPACITY {
            self.table
                .retain(|_, seen| now.saturating_sub(seen.at) < AGE);
        }
        if self.table.len() < CAPACITY {
            self.table.insert(address, Seen { port, at: now });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AGE, CAPACITY, Fabric, Partition};
    use crate::frame::{Address, Ends};
    use crate::{PortId, Time};

    const EVERYONE: Address = [0xff; 6];

    fn fabric(ports: usize) -> Fabric {
        let mut fabric = Fabric::new(ports);
        for port in 0..ports {
            fabric.set_live(PortId::of(port), true);
        }
        fabric
    }

    fn station(number: u8) -> Address {
        [2, 0, 0, 0, 0, number]
    }

    fn send(
        fabric: &mut Fabric,
        at: Time,
        port: u16,
        source: u8,
        destination: Address,
    ) -> Vec<u16> {
        let mut reached = Vec::new();
        let ends = Ends {
            destination,
            source: station(source),
        };
        fabric.forward(at, PortId(port), ends, |port| reached.push(port.0));
        reached
    }

    #[test]
    fn who_was_heard_is_sent_to_alone() {
        let mut fabric = fabric(3);
        let now = Time::ZERO;
        assert_eq!(send(&mut fabric, now, 0, 10, station(12)), [1, 2]);
        assert_eq!(send(&mut fabric, now, 2, 12, station(10)), [0]);
        assert_eq!(send(&mut fabric, now, 0, 10, station(12)), [2]);
        assert_eq!(send(&mut fabric, now, 0, 10, EVERYONE), [1, 2]);
    }

    #[test]
    fn who_moves_is_found_at_its_new_port() {
        let mut fabric = fabric(3);
        send(&mut fabric, Time::ZERO, 0, 10, EVERYONE);
        send(&mut fabric, Time::ZERO, 1, 10, EVERYONE);
        assert_eq!(send(&mut fabric, Time::ZERO, 2, 12, station(10)), [1]);
    }

    #[test]
    fn nothing_goes_back_where_it_came_from() {
        let mut fabric = fabric(3);
        send(&mut fabric, Time::ZERO, 0, 10, EVERYONE);
        assert!(send(&mut fabric, Time::ZERO, 0, 11, station(10)).is_empty());
    }

    #[test]
    fn who_is_silent_for_long_is_forgotten() {
        let mut fabric = fabric(3);
        send(&mut fabric, Time::ZERO, 0, 10, EVERYONE);
        let soon = AGE - Time::from_nanos(1);
        assert_eq!(send(&mut fabric, soon, 1, 11, station(10)), [0]);
        assert_eq!(send(&mut fabric, AGE, 1, 11, station(10)), [0, 2]);
    }

    #[test]
    fn a_port_that_is_down_gets_nothing_and_is_forgotten() {
        let mut fabric = fabric(3);
        send(&mut fabric, Time::ZERO, 2, 12, EVERYONE);
        fabric.set_live(PortId(2), false);
        assert_eq!(send(&mut fabric, Time::ZERO, 0, 10, station(12)), [1]);
        fabric.set_live(PortId(2), true);
        assert_eq!(send(&mut fabric, Time::ZERO, 0, 10, station(12)), [1, 2]);
    }

    #[test]
    fn sets_hear_themselves_only() {
        let mut fabric = fabric(5);
        let sets = [vec![PortId(0), PortId(1)], vec![PortId(2)]];
        fabric.set_partition(Partition::of(5, &sets).unwrap());
        assert_eq!(send(&mut fabric, Time::ZERO, 0, 10, EVERYONE), [1]);
        assert!(send(&mut fabric, Time::ZERO, 2, 12, EVERYONE).is_empty());
        assert_eq!(send(&mut fabric, Time::ZERO, 3, 13, EVERYONE), [4]);
        assert!(send(&mut fabric, Time::ZERO, 2, 12, station(10)).is_empty());
        fabric.set_partition(Partition::whole(5));
        assert_eq!(send(&mut fabric, Time::ZERO, 2, 12, station(10)), [0]);
    }

    #[test]
    fn a_partition_is_of_ports_that_exist_each_once() {
        assert_eq!(Partition::of(2, &[vec![PortId(2)]]), None);
        assert_eq!(Partition::of(2, &[vec![PortId(0)], vec![PortId(0)]]), None);
    }

    #[test]
    fn too_many_addresses_are_not_learnt_but_reached() {
        let mut fabric = fabric(3);
        for number in 0..=CAPACITY {
            let [_, _, a, b] = u32::try_from(number).unwrap().to_be_bytes();
            let ends = Ends {
                destination: EVERYONE,
                source: [2, 1, 0, 0, a, b],
            };
            fabric.forward(Time::ZERO, PortId(0), ends, |_| {});
        }
        assert_eq!(fabric.table.len(), CAPACITY);
        let [_, _, a, b] = u32::try_from(CAPACITY).unwrap().to_be_bytes();
        let last = [2, 1, 0, 0, a, b];
        assert_eq!(send(&mut fabric, Time::ZERO, 1, 1, last), [0, 2]);
        let later = AGE + Time::from_secs(1);
        send(&mut fabric, later, 1, 1, EVERYONE);
        assert_eq!(fabric.table.len(), 1);
    }
}
