//! Which ports are taken, and by whom.

use alloc::vec::Vec;

use super::address::Place;
use super::random::{Map, Random};
use crate::error::Error;
use crate::socket::SocketId;

/// Ports that are chosen for those who do not care which.
const EPHEMERAL: core::ops::RangeInclusive<u16> = 49_152..=65_535;

/// What a connection's local port means to who wants to bind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// This node began the connection.
    Connected,
    /// A listener's connection.
    Accepted,
    /// It is over but for TIME-WAIT.
    TimeWait,
}

/// Who is content with a port that is not quite free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// It has to be free.
    Exclusive,
    /// Connections that are over, or that a listener has had, do not count.
    WithConnections,
    /// Others who are bound there and agree do not count (UDP).
    WithOthers,
}

impl Sharing {
    /// What `SO_REUSEADDR` means for TCP.
    pub fn of_streams(reuse: bool) -> Self {
        if reuse {
            Self::WithConnections
        } else {
            Self::Exclusive
        }
    }

    /// What `SO_REUSEADDR` means for UDP.
    pub fn of_datagrams(reuse: bool) -> Self {
        if reuse {
            Self::WithOthers
        } else {
            Self::Exclusive
        }
    }
}

/// One protocol's ports.
#[derive(Default)]
pub(super) struct Ports {
    ports: Map<u16, Port>,
}

#[derive(Default)]
struct Port {
    bound: Vec<(SocketId, Place, Sharing)>,
    connected: u32,
    accepted: u32,
    time_wait: u32,
}

impl Port {
    fn count(&mut self, what: Use) -> &mut u32 {
        match what {
            Use::Connected => &mut self.connected,
            Use::Accepted => &mut self.accepted,
            Use::TimeWait => &mut self.time_wait,
        }
    }

    fn is_unused(&self) -> bool {
        self.bound.is_empty() && self.connected + self.accepted + self.time_wait == 0
    }

    fn refuses(&self, place: &Place, sharing: Sharing) -> bool {
        let taken = self.bound.iter().any(|(_, other, agrees)| {
            let shared = sharing == Sharing::WithOthers && *agrees == Sharing::WithOthers;
            !shared && other.overlaps(place)
        });
        let in_use = match sharing {
            Sharing::Exclusive => self.connected + self.accepted + self.time_wait,
            Sharing::WithConnections => self.connected,
            Sharing::WithOthers => 0,
        };
        taken || in_use > 0
    }
}

impl Ports {
    /// Binds `id`, and chooses a port for it if it has none.
    ///
    /// # Errors
    /// [`Error::AddressInUse`], [`Error::NoPorts`].
    pub fn bind(
        &mut self,
        id: SocketId,
        place: &mut Place,
        sharing: Sharing,
        random: &mut Random,
    ) -> Result<(), Error> {
        if place.port() == 0 {
            let free = self.choose(random, |ports, port| {
                let mut place = *place;
                place.set_port(port);
                ports.is_free(&place, Sharing::Exclusive)
            });
            place.set_port(free.ok_or(Error::NoPorts)?);
        } else if !self.is_free(place, sharing) {
            return Err(Error::AddressInUse);
        }
        let port = self.ports.entry(place.port()).or_default();
        port.bound.push((id, *place, sharing));
        Ok(())
    }

    fn is_free(&self, place: &Place, sharing: Sharing) -> bool {
        self.ports
            .get(&place.port())
            .is_none_or(|port| !port.refuses(place, sharing))
    }

    /// A port for a new connection: nobody is bound there, and `fits` says yes.
    pub fn for_connection(&self, random: &mut Random, fits: impl Fn(u16) -> bool) -> Option<u16> {
        self.choose(random, |ports, number| {
            let bound = ports
                .ports
                .get(&number)
                .is_some_and(|port| !port.bound.is_empty());
            !bound && fits(number)
        })
    }

    fn choose(&self, random: &mut Random, fits: impl Fn(&Self, u16) -> bool) -> Option<u16> {
        let count = EPHEMERAL.end() - EPHEMERAL.start() + 1;
        let start = (random.next() % u64::from(count)) as u16;
        (0..count)
            .map(|offset| EPHEMERAL.start() + (start + offset) % count)
            .find(|port| fits(self, *port))
    }

    /// Undoes [`Self::bind`].
    pub fn unbind(&mut self, id: SocketId, number: u16) {
        if let Some(port) = self.ports.get_mut(&number) {
            port.bound.retain(|(bound, ..)| *bound != id);
            if port.is_unused() {
                self.ports.remove(&number);
            }
        }
    }

    /// Another one has what was bound.
    pub fn rename(&mut self, from: SocketId, to: SocketId, number: u16) {
        let bound = self
            .ports
            .get_mut(&number)
            .map(|port| port.bound.iter_mut());
        for (id, ..) in bound.into_iter().flatten() {
            if *id == from {
                *id = to;
            }
        }
    }

    /// Who is bound there.
    pub fn bound(&self, number: u16) -> impl Iterator<Item = (SocketId, &Place)> {
        let port = self.ports.get(&number);
        port.into_iter()
            .flat_map(|port| port.bound.iter().map(|(id, place, _)| (*id, place)))
    }

    /// A connection uses a port.
    pub fn add(&mut self, number: u16, what: Use) {
        *self.ports.entry(number).or_default().count(what) += 1;
    }

    /// It does no longer.
    pub fn remove(&mut self, number: u16, what: Use) {
        if let Some(port) = self.ports.get_mut(&number) {
            *port.count(what) -= 1;
            if port.is_unused() {
                self.ports.remove(&number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(ports: &mut Ports, id: u64, text: &str, sharing: Sharing) -> Result<u16, Error> {
        let mut place = Place::new(text.parse().unwrap(), false);
        let mut random = Random::new(id);
        ports.bind(SocketId(id), &mut place, sharing, &mut random)?;
        Ok(place.port())
    }

    #[test]
    fn who_is_bound_keeps_others_away() {
        let mut ports = Ports::default();
        let exclusive = Sharing::Exclusive;
        assert_eq!(bind(&mut ports, 1, "0.0.0.0:80", exclusive), Ok(80));
        let shared = Sharing::WithConnections;
        for sharing in [exclusive, shared] {
            let again = bind(&mut ports, 2, "10.0.0.1:80", sharing);
            assert_eq!(again, Err(Error::AddressInUse));
        }
        ports.unbind(SocketId(1), 80);
        assert_eq!(bind(&mut ports, 2, "10.0.0.1:80", exclusive), Ok(80));
        assert_eq!(bind(&mut ports, 3, "10.0.0.2:80", exclusive), Ok(80));
    }

    #[test]
    fn connections_count_unless_they_are_shared_with() {
        let mut ports = Ports::default();
        let (exclusive, shared) = (Sharing::Exclusive, Sharing::WithConnections);
        for what in [Use::TimeWait, Use::Accepted] {
            ports.add(80, what);
            let refused = bind(&mut ports, 1, "0.0.0.0:80", exclusive);
            assert_eq!(refused, Err(Error::AddressInUse));
            assert_eq!(bind(&mut ports, 1, "0.0.0.0:80", shared), Ok(80));
            ports.unbind(SocketId(1), 80);
            ports.remove(80, what);
        }
        ports.add(80, Use::Connected);
        let refused = bind(&mut ports, 1, "0.0.0.0:80", shared);
        assert_eq!(refused, Err(Error::AddressInUse));
    }

    #[test]
    fn udp_sockets_share_when_both_agree() {
        let mut ports = Ports::default();
        let shared = Sharing::WithOthers;
        assert_eq!(bind(&mut ports, 1, "0.0.0.0:53", shared), Ok(53));
        assert_eq!(bind(&mut ports, 2, "0.0.0.0:53", shared), Ok(53));
        let refused = bind(&mut ports, 3, "0.0.0.0:53", Sharing::Exclusive);
        assert_eq!(refused, Err(Error::AddressInUse));
        assert_eq!(ports.bound(53).count(), 2);
    }

    #[test]
    fn chosen_ports_are_free_until_there_are_none() {
        let mut ports = Ports::default();
        let mut random = Random::new(1);
        for id in 0..16_384 {
            let mut place = Place::new("0.0.0.0:0".parse().unwrap(), false);
            let bound = ports.bind(SocketId(id), &mut place, Sharing::Exclusive, &mut random);
            assert_eq!(bound, Ok(()));
            assert!(place.port() >= 49_152);
        }
        let none = bind(&mut ports, 99_999, "0.0.0.0:0", Sharing::Exclusive);
        assert_eq!(none, Err(Error::NoPorts));
    }
}
