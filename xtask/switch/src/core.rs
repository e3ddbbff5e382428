//! The switch without its sockets.

use crate::counters::{Counters, Egress, PortCounters};
use crate::fabric::{Fabric, Partition};
use crate::faults::{Faults, Plan};
use crate::frame::Ends;
use crate::line::{Fate, Line};
use crate::shaper::{Admission, Shaper};
use crate::{PortId, Time};

/// What leaves the switch.
pub trait Wires {
    /// Sends a frame out at a port; says whether it could be taken.
    fn send(&mut self, port: PortId, frame: &[u8]) -> bool;
}

/// Whether a port is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It passes frames.
    Up,
    /// It does not: as if the cable were drawn.
    Down,
}

/// What can be changed while the switch runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// What is wrong with a port.
    Faults(PortId, Faults),
    /// Who hears whom.
    Partition(Partition),
    /// Whether a port is switched on.
    Link(PortId, Link),
}

/// See the module.
pub struct Core {
    lines: Vec<Line>,
    out: Out,
    /// What is yet to change, the latest first.
    schedule: Vec<(Time, Change)>,
    /// From when on its times count.
    begun: Begun,
}

/// When the schedule begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    /// When [`Core::begin`] says so.
    NotYet,
    At(Time),
}

/// Everything behind the lines.
struct Out {
    fabric: Fabric,
    shapers: Vec<Shaper>,
    /// What limits each shaper.
    faults: Vec<Faults>,
    counters: Vec<Egress>,
    copies: u64,
    undelivered: u64,
    ports: Vec<Port>,
}

#[derive(Clone, Copy)]
struct Port {
    link: Link,
    is_plugged: bool,
}

impl Core {
    /// A switch with the plan's number of ports, nothing plugged in.
    pub fn new(plan: Plan, seed: u64) -> Self {
        let count = plan.ports.len();
        let line = |(index, faults): (usize, &Faults)| Line::new(PortId::of(index), seed, *faults);
        let mut schedule = plan.schedule;
        schedule.reverse();
        let port = Port {
            link: Link::Up,
            is_plugged: false,
        };
        Self {
            lines: plan.ports.iter().enumerate().map(line).collect(),
            out: Out {
                fabric: Fabric::new(count),
                shapers: (0..count).map(|_| Shaper::default()).collect(),
                faults: plan.ports,
                counters: vec![Egress::default(); count],
                copies: 0,
                undelivered: 0,
                ports: vec![port; count],
            },
            schedule,
            begun: Begun::At(Time::ZERO),
        }
    }

    /// The same, whose schedule waits for [`Self::begin`].
    pub fn held_back(plan: Plan, seed: u64) -> Self {
        Self {
            begun: Begun::NotYet,
            ..Self::new(plan, seed)
        }
    }

    /// From now on the times of the schedule count, unless they do already.
    pub fn begin(&mut self, now: Time) {
        if self.begun == Begun::NotYet {
            self.begun = Begun::At(now);
        }
    }

    /// A machine is there.
    pub fn plug(&mut self, port: PortId) {
        self.out.ports[port.index()].is_plugged = true;
        self.out.update(port);
    }

    /// A machine is gone. What it has sent still arrives.
    pub fn unplug(&mut self, port: PortId) {
        self.out.ports[port.index()].is_plugged = false;
        self.out.update(port);
    }

    /// Changes something at once.
    pub fn change(&mut self, change: Change) {
        match change {
            Change::Faults(port, faults) => {
                self.lines[port.index()].faults = faults;
                self.out.faults[port.index()] = faults;
            }
            Change::Partition(partition) => self.out.fabric.set_partition(partition),
            Change::Link(port, link) => {
                self.out.ports[port.index()].link = link;
                self.out.update(port);
            }
        }
    }

    /// Whether frames of a port should be left where they are for now: very many are
    /// under way.
    pub fn is_full(&self, port: PortId) -> bool {
        self.lines[port.index()].is_full()
    }

    /// Takes in a frame. Time never goes back.
    pub fn receive(
        &mut self,
        now: Time,
        port: PortId,
        frame: &[u8],
        wires: &mut impl Wires,
    ) -> Fate {
        let line = &mut self.lines[port.index()];
        line.counters.received += 1;
        line.counters.received_bytes += frame.len() as u64;
        if Ends::of(frame).is_none() {
            line.counters.malformed += 1;
            return Fate::Malformed;
        }
        if self.out.ports[port.index()].link == Link::Down {
            line.counters.refused += 1;
            return Fate::Down;
        }
        let out = &mut self.out;
        line.take(now, frame, &mut |frame| {
            out.forward(now, port, frame, wires);
        })
    }

    /// Counts a frame that was too long to be read.
    pub fn receive_oversized(&mut self, port: PortId, bytes: u64) {
        let counters = &mut self.lines[port.index()].counters;
        counters.received += 1;
        counters.received_bytes += bytes;
        counters.malformed += 1;
    }

    /// Does what is due.
    pub fn expire(&mut self, now: Time, wires: &mut impl Wires) {
        while self.next_change().is_some_and(|due| due <= now) {
            if let Some((_, change)) = self.schedule.pop() {
                self.change(change);
            }
        }
        let out = &mut self.out;
        for (index, line) in self.lines.iter_mut().enumerate() {
            let port = PortId::of(index);
            line.expire(now, &mut |frame| out.forward(now, port, frame, wires));
        }
        out.expire(now, wires);
    }

    /// When [`Self::expire`] has something to do next.
    pub fn next_due(&self) -> Option<Time> {
        let lines = self.lines.iter().filter_map(Line::next_due);
        let shapers = self.out.shapers.iter().filter_map(Shaper::next_due);
        lines.chain(shapers).chain(self.next_change()).min()
    }

    /// When the schedule has something to change next.
    fn next_change(&self) -> Option<Time> {
        match (self.begun, self.schedule.last()) {
            (Begun::At(begin), Some((time, _))) => Some(begin + *time),
            _ => None,
        }
    }

    /// What has happened so far.
    pub fn counters(&self) -> Counters {
        let lines = self.lines.iter().map(|line| line.counters);
        let ports = lines.zip(&self.out.counters);
        Counters {
            ports: ports
                .map(|(ingress, &egress)| PortCounters { ingress, egress })
                .collect(),
            copies: self.out.copies,
            undelivered: self.out.undelivered,
        }
    }
}

impl Out {
    /// Makes a frame's copies.
    fn forward(&mut self, now: Time, from: PortId, frame: &[u8], wires: &mut impl Wires) {
        let Some(ends) = Ends::of(frame) else {
            return;
        };
        let before = self.copies;
        let Self {
            fabric,
            shapers,
            faults,
            counters,
            copies,
            ..
        } = self;
        fabric.forward(now, from, ends, |to| {
            *copies += 1;
            let index = to.index();
            let counters = &mut counters[index];
            match shapers[index].admit(now, frame, &faults[index]) {
                Admission::Immediate => send(to, frame, counters, wires),
                Admission::Queued => counters.queued += 1,
                Admission::Overflow => counters.overflowed += 1,
            }
        });
        self.undelivered += u64::from(self.copies == before);
    }

    fn expire(&mut self, now: Time, wires: &mut impl Wires) {
        for (index, shaper) in self.shapers.iter_mut().enumerate() {
            let counters = &mut self.counters[index];
            shaper.expire(now, |frame| {
                counters.queued -= 1;
                send(PortId::of(index), frame, counters, wires);
            });
        }
    }

    /// Says to the fabric whether a port passes frames; what waits for one that does
    /// not is lost.
    fn update(&mut self, port: PortId) {
        let state = self.ports[port.index()];
        let is_live = state.is_plugged && state.link == Link::Up;
        self.fabric.set_live(port, is_live);
        if !is_live {
            let counters = &mut self.counters[port.index()];
            counters.discarded += self.shapers[port.index()].clear();
            counters.queued = 0;
        }
    }
}

fn send(port: PortId, frame: &[u8], counters: &mut Egress, wires: &mut impl Wires) {
    if wires.send(port, frame) {
        counters.sent += 1;
        counters.sent_bytes += frame.len() as u64;
    } else {
        counters.discarded += 1;
    }
}
