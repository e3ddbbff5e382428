//! Waiting places: threads that wait for a word of cluster memory to change, and barriers.
//!
//! The threads that wait for a word wait at its *home*, the home of the slice that its page is in, even while the page
//! has moved. [`Parking`] is home and agent of one node. It does no I/O: it takes [`Event`]s and returns [`Action`]s. It does not read
//! memory: a thread does, and says what it found. Links are reliable and keep the order between two nodes.
//!
//! # How a thread waits
//!
//! ```text
//! generation = parking.agent().generation(place)
//! if *word != expected: done, it has changed
//! handle(Event::Wait { generation, … })
//! until Action::Ended:
//!     on Action::Recheck: if *word != expected: handle(Event::Withdraw { why: Reason::Changed, … })
//! ```
//!
//! Whoever changes the word does so first, and then says [`Event::Wake`].
//!
//! # What is said
//!
//! | | messages |
//! |---|---|
//! | wait, when no wake-up came since this node heard last of the place | [`Wait`](Message::Wait) |
//! | wait, otherwise | `Wait`, [`Recheck`](Message::Recheck) |
//! | wake | [`Wake`](Message::Wake), [`Woken`](Message::Woken) for each node and 32 threads, and [`Woke`](Message::Woke) to who wants to know how many |
//! | give up | [`Withdraw`](Message::Withdraw), and [`Withdrawn`](Message::Withdrawn) or `Woken` |
//! | a barrier of n threads on n nodes, one of them the home | n − 1 times [`Arrive`](Message::Arrive), n − 1 times `Woken` |
//!
//! # Why no wake-up is lost
//!
//! * A home counts wake-ups (its *generation* of the place). A thread says which count was known before it looked at the word. If
//!   there was no wake-up since, none can have been meant for it. Else it is put into the queue first, and looks again: whoever changes the word after that finds it there.
//! * A wake-up that a thread has been given is never dropped because the thread gives up at the same time: only the home says which of the two came first.
//! * Places share counts: a thread then looks at its word once more than it need.
//!
//! # When the view changes
//!
//! Homes that live keep their queues, and what members say to each other in the old view still counts. Threads that waited at a home that died,
//! or for words that have another home now though it lives, are told so, and look at their words again; a barrier there is broken. What was said to a home that died, or was on the way from a node that
//! died, may be lost. So when all members have said that they are in the new view, each home has all that wait at it look again.
//!
//! A thread that had come to a barrier and died still counts as having come. One that died before never comes: who must not wait for
//! ever has a deadline.
//!
//! # Bounds
//!
//! Tables are made once ([`Limits`]); who finds no room is told so.

mod agent;
mod event;
mod home;
mod message;
mod place;
mod queues;

pub use agent::Agent;
pub use event::{Action, Ending, Event, Reason};
pub use home::Home;
pub use message::{Message, Packet, Refusal, Tickets};
pub use place::{Generation, Place, Ticket};

use crate::event::{View, Violation};
use crate::ids::{Epoch, NodeId, Time};
use crate::post::Post;
use alloc::vec::Vec;
use core::mem;

type Out<'a> = Post<'a, Message, Action>;

/// Sizes of a node's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Threads that wait at this home, of any node.
    pub waiters: u32,
    /// Counts of wake-ups that the home keeps. More make places share less.
    pub generations: usize,
    /// Threads of this node that wait, wherever.
    pub threads: usize,
    /// Places of which the agent knows the count.
    pub known: usize,
}

/// What a node is made with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// Its number.
    pub me: NodeId,
    /// The first view. A node that joins is made with the one before, and then told of its own.
    pub view: View,
    /// Sizes of its tables.
    pub limits: Limits,
}

/// The waiting places of one node: its home and its agent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Parking {
    me: NodeId,
    view: View,
    home: Home,
    agent: Agent,
    /// Packets of a view that this node has not been told of.
    early: Vec<(NodeId, Packet)>,
}

impl Parking {
    /// A node where nobody waits.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let Config { me, view, limits } = config;
        Self {
            me,
            home: Home::new(me, view.clone(), limits),
            agent: Agent::new(view.clone(), limits),
            view,
            early: Vec::new(),
        }
    }

    /// The node's number.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.me
    }

    /// The view that the node is in.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.view.epoch
    }

    /// The home.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The agent.
    #[must_use]
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// Whether nobody of this node waits, and nothing is under way.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.home.is_quiet() && self.agent.is_quiet() && self.early.is_empty()
    }

    /// Takes note of an event, and adds what is to be done for it.
    pub fn handle(&mut self, now: Time, event: Event, actions: &mut Vec<Action>) {
        let send = |to, epoch, message| {
            let packet = Packet { epoch, message };
            Action::Send { to, packet }
        };
        let mut out = Out::new(self.me, self.view.epoch, actions, send);
        match event {
            Event::Wait {
                token,
                place,
                generation,
                deadline,
            } => self
                .agent
                .wait(now, token, place, generation, deadline, &mut out),
            Event::Arrive {
                token,
                place,
                parties,
                deadline,
            } => self
                .agent
                .arrive(now, token, place, parties, deadline, &mut out),
            Event::Withdraw { token, why } => self.agent.withdraw(token, why, &mut out),
            Event::Wake {
                place,
                count,
                token,
            } => {
                let say = |ticket| Message::Wake {
                    place,
                    count,
                    ticket,
                };
                self.agent.wake(place, token, say, &mut out);
            }
            Event::Requeue {
                place,
                count,
                moved,
                to,
                token,
            } => {
                let say = |ticket| Message::Requeue {
                    place,
                    count,
                    moved,
                    to,
                    ticket,
                };
                self.agent.wake(place, token, say, &mut out);
            }
            Event::Received { from, packet } => self.received(from, packet, &mut out),
            Event::TimeOver => self.agent.time_over(now, &mut out),
            Event::View(view) => self.view_changed(view, &mut out),
        }
        self.run_local(&mut out);
        self.agent.arm(&mut out);
    }

    fn run_local(&mut self, out: &mut Out) {
        while let Some(message) = out.take_local() {
            self.dispatch(self.me, message, Said::Now, out);
        }
    }

    fn received(&mut self, from: NodeId, packet: Packet, out: &mut Out) {
        if packet.epoch > self.view.epoch {
            self.early.push((from, packet));
        } else if self.view.members.binary_search(&from).is_err() {
            refuse(from, Violation::Stranger, out);
        } else if packet.epoch == self.view.epoch {
            self.dispatch(from, packet.message, Said::Now, out);
        } else if packet.message != Message::Entered {
            self.dispatch(from, packet.message, Said::Before, out);
        }
    }

    fn dispatch(&mut self, from: NodeId, message: Message, said: Said, out: &mut Out) {
        if message.is_for_home() {
            self.home.receive(from, message, said, out);
        } else {
            self.agent.receive(from, message, said, out);
        }
    }

    fn view_changed(&mut self, view: View, out: &mut Out) {
        if view.epoch <= self.view.epoch {
            return;
        }
        self.view = view;
        out.set_epoch(self.view.epoch);
        self.home.view_changed(&self.view);
        self.agent.view_changed(&self.view, out);
        for &member in &self.view.members {
            out.send(member, Message::Entered);
        }
        self.run_local(out);
        for (from, packet) in mem::take(&mut self.early) {
            self.received(from, packet, out);
        }
    }
}

/// In which view something was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// In this one.
    Now,
    /// In an earlier one: it may be about words that had another home then.
    Before,
}

/// Refuses what nobody asked for, unless it was right to say in an earlier view.
fn refuse_unasked(from: NodeId, said: Said, out: &mut Out) {
    if said == Said::Now {
        refuse(from, Violation::Unasked, out);
    }
}

fn refuse(from: NodeId, why: Violation, out: &mut Out) {
    out.push(Action::Refused { from, why });
}
