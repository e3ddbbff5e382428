//! Random operations on ports, compared step by step with a simple model of what
//! ought to happen.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use proptest::prelude::*;

use crate::critical::MayBlock;
use crate::machine::{Machine, Nanos, Park};
use crate::message::{
    Error, Late, Mailbox, Message, MessageId, Outcome, Pending, Sent, Standing, Terms,
};
use crate::port::{
    Bounds, Many, Port, QueuePort, Received, Receiver, Sole, spin_port, thread_port,
};

/// A machine whose time passes when told, and where nobody waits.
struct Still;

thread_local! {
    static CLOCK: Cell<Nanos> = const { Cell::new(0) };
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: data of a CPU is not used here, so there is no CPU.
unsafe impl Machine for Still {
    fn cpu() -> usize {
        unimplemented!("there is no CPU")
    }

    fn cpus() -> usize {
        unimplemented!("there is no CPU")
    }

    fn enter_critical() {
        DEPTH.set(DEPTH.get() + 1);
    }

    fn exit_critical() {
        DEPTH.set(DEPTH.get() - 1);
    }

    fn is_critical() -> bool {
        DEPTH.get() > 0
    }

    fn interrupt(_target: usize) {
        unimplemented!("there is no CPU")
    }

    fn pause() {
        panic!("a lock is taken twice")
    }

    fn now() -> Nanos {
        CLOCK.get()
    }
}

impl Park for Still {
    type Thread = ();

    fn current() {}

    fn park(_leave: &MayBlock<Self>, _deadline: Option<Nanos>) {
        panic!("nobody waits here")
    }

    fn unpark((): &()) {
        panic!("nobody waits here")
    }
}

const PORTS: usize = 2;
const RECEIVERS: usize = 3;
const QUEUE: usize = 3;
const URGENT: usize = 2;
const KEPT: usize = 3;
const SLOTS: usize = 6;

/// The port of a receiver: the first one's is a thread port.
const fn port_of(receiver: usize) -> usize {
    if receiver == 0 { 0 } else { 1 }
}

/// How a message is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Send,
    Put,
    Tell,
}

/// One step. Numbers choose among what there is, by their remainder.
#[derive(Clone, Debug)]
enum Step {
    Send {
        way: Way,
        port: usize,
        urgent: bool,
        /// The deadline, from now.
        within: Option<Nanos>,
    },
    Get(usize),
    Reply(usize),
    Drop(usize),
    Forward(usize, usize),
    Abort(usize),
    Collect,
    TryGet(usize),
    Abandon(usize),
    Pass(Nanos),
    Close(usize),
    Exit(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let way = prop_oneof![3 => Just(Way::Send), 3 => Just(Way::Put), 1 => Just(Way::Tell)];
    let within = prop_oneof![2 => Just(None), 1 => (0..4u64).prop_map(Some)];
    prop_oneof![
        12 => (way, 0..PORTS, prop::bool::weighted(0.25), within).prop_map(
            |(way, port, urgent, within)| Step::Send { way, port, urgent, within }
        ),
        12 => (0..RECEIVERS).prop_map(Step::Get),
        5 => any::<usize>().prop_map(Step::Reply),
        2 => any::<usize>().prop_map(Step::Drop),
        4 => (any::<usize>(), 0..PORTS).prop_map(|(message, port)| Step::Forward(message, port)),
        4 => any::<usize>().prop_map(Step::Abort),
        6 => Just(Step::Collect),
        4 => any::<usize>().prop_map(Step::TryGet),
        1 => any::<usize>().prop_map(Step::Abandon),
        4 => (1..3u64).prop_map(Step::Pass),
        1 => (0..2 * PORTS).prop_map(Step::Close),
        1 => (0..2 * RECEIVERS).prop_map(Step::Exit),
    ]
}

/// What a message is in the model.
#[derive(Clone, Debug)]
struct Expected {
    way: Way,
    deadline: Option<Nanos>,
    urgent: bool,
    /// The receiver that has it, if one has.
    hands: Option<usize>,
    /// That receiver has been sent a notice.
    told: bool,
    state: State,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Open,
    Answered(Outcome<usize>),
    /// The sender has the answer, or does not want it.
    Over,
}

/// The model. Messages are known by the order in which they were sent.
#[derive(Default)]
struct Reference {
    messages: Vec<Expected>,
    /// By port: urgent, normal.
    lanes: [[VecDeque<usize>; 2]; PORTS],
    closed: [bool; PORTS],
    notices: [VecDeque<usize>; RECEIVERS],
    /// For the mailbox to collect.
    answered: VecDeque<usize>,
}

impl Reference {
    fn overdue(&self, message: usize) -> bool {
        self.messages[message]
            .deadline
            .is_some_and(|deadline| CLOCK.get() >= deadline)
    }

    fn is_open(&self, message: usize) -> bool {
        self.messages[message].state == State::Open
    }

    /// Gives an open message its answer; `by_holder`: the receiver knows.
    fn end(&mut self, message: usize, outcome: Outcome<usize>, by_holder: bool) {
        let expected = &mut self.messages[message];
        assert_eq!(expected.state, State::Open);
        if expected.way == Way::Tell {
            expected.state = State::Over;
            return;
        }
        expected.state = State::Answered(outcome);
        if let Some(receiver) = expected.hands
            && !by_holder
            && !expected.told
        {
            expected.told = true;
            self.notices[receiver].push_back(message);
        }
        if expected.way == Way::Send {
            self.answered.push_back(message);
        }
    }

    /// What the holder of a message makes of it; whether that counts.
    fn end_by_holder(&mut self, message: usize, outcome: Outcome<usize>) -> bool {
        let way = self.messages[message].way;
        if !self.is_open(message) {
            return way == Way::Tell;
        }
        let late = way != Way::Tell && self.overdue(message);
        let outcome = match outcome {
            _ if late => Err(Error::TimedOut),
            Err(Error::Dropped) if self.messages[message].told => Err(Error::Aborted),
            outcome => outcome,
        };
        self.end(message, outcome, true);
        !late
    }

    fn abort(&mut self, message: usize) {
        if !self.is_open(message) {
            return;
        }
        match self.messages[message].hands {
            None => self.end(message, Err(Error::Aborted), false),
            Some(receiver) if !self.messages[message].told => {
                self.messages[message].told = true;
                self.notices[receiver].push_back(message);
            }
            Some(_) => {}
        }
    }

    fn slots_in_use(&self) -> usize {
        let in_use = |message: &&Expected| message.way != Way::Tell && message.state != State::Over;
        self.messages.iter().filter(in_use).count()
    }

    /// The places of a receiver that are taken.
    fn kept(&self, receiver: usize) -> usize {
        let quiet = |message: &&Expected| {
            message.way != Way::Tell
                && message.hands == Some(receiver)
                && message.state == State::Open
                && !message.told
        };
        self.messages.iter().filter(quiet).count() + self.notices[receiver].len()
    }

    fn queue(&mut self, message: usize, port: usize) -> Result<(), Error> {
        let urgent = self.messages[message].urgent;
        let lane = &mut self.lanes[port][usize::from(!urgent)];
        if self.closed[port] {
            Err(Error::Closed)
        } else if lane.len() == if urgent { URGENT } else { QUEUE } {
            Err(Error::QueueFull)
        } else {
            lane.push_back(message);
            Ok(())
        }
    }

    fn close(&mut self, port: usize) {
        self.closed[port] = true;
        while let Some(message) = self.pop(port) {
            self.end_by_holder(message, Err(Error::Closed));
        }
    }

    fn pop(&mut self, port: usize) -> Option<usize> {
        let [urgent, normal] = &mut self.lanes[port];
        urgent.pop_front().or_else(|| normal.pop_front())
    }

    /// What a receiver gets next: a notice, a message or nothing.
    fn get(&mut self, receiver: usize) -> Result<Option<Got>, Error> {
        if let Some(message) = self.notices[receiver].pop_front() {
            return Ok(Some(Got::Abort(message)));
        }
        if self.kept(receiver) >= KEPT {
            return Err(Error::HandsFull);
        }
        let port = port_of(receiver);
        while let Some(message) = self.pop(port) {
            if !self.is_open(message) {
                continue;
            }
            if self.overdue(message) {
                self.end(message, Err(Error::TimedOut), true);
                continue;
            }
            self.messages[message].hands = Some(receiver);
            return Ok(Some(Got::Message(message)));
        }
        if self.closed[port] {
            Err(Error::Closed)
        } else {
            Ok(None)
        }
    }

    /// The mailbox is looked into: what is overdue is answered, the earliest first,
    /// if nothing else is there. Those with the same deadline in any order.
    fn collect(&mut self) -> Vec<usize> {
        if let Some(message) = self.answered.front() {
            return vec![*message];
        }
        let due = |message: &usize| {
            self.is_open(*message)
                && self.messages[*message].way == Way::Send
                && self.overdue(*message)
        };
        let due: Vec<usize> = (0..self.messages.len()).filter(due).collect();
        let earliest = due.iter().map(|due| self.messages[*due].deadline).min();
        due.into_iter()
            .filter(|due| Some(self.messages[*due].deadline) == earliest)
            .collect()
    }
}

#[derive(Debug, PartialEq)]
enum Got {
    Message(usize),
    Abort(usize),
}

/// A request. The count tells whether it has been dropped.
struct Request(usize, #[expect(dead_code, reason = "counted")] Arc<()>);

/// A receiver of either kind of port.
enum AnyReceiver {
    Sole(Receiver<Still, Request, usize, Sole>),
    Many(Receiver<Still, Request, usize, Many>),
}

impl AnyReceiver {
    fn get(&mut self) -> Result<Option<Received<Still, Request, usize>>, Error> {
        match self {
            Self::Sole(receiver) => receiver.get(),
            Self::Many(receiver) => receiver.get(),
        }
    }
}

/// The real thing, next to the model.
struct World {
    reference: Reference,
    mailbox: Mailbox<Still, usize>,
    ports: [QueuePort<Still, Request, usize>; PORTS],
    receivers: [Option<AnyReceiver>; RECEIVERS],
    /// Taken messages.
    held: Vec<Message<Still, Request, usize>>,
    pending: Vec<(usize, Pending<Still, usize>)>,
    ids: HashMap<MessageId, usize>,
    requests: Vec<Arc<()>>,
}

impl World {
    fn new() -> Self {
        CLOCK.set(0);
        let bounds = Bounds::new(QUEUE).urgent(URGENT).kept(KEPT);
        let (first, sole) = thread_port(bounds);
        let (second, many) = spin_port(bounds);
        Self {
            reference: Reference::default(),
            mailbox: Mailbox::new(SLOTS),
            ports: [first, second],
            receivers: [
                Some(AnyReceiver::Sole(sole)),
                Some(AnyReceiver::Many(many.clone())),
                Some(AnyReceiver::Many(many)),
            ],
            held: Vec::new(),
            pending: Vec::new(),
            ids: HashMap::new(),
            requests: Vec::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Send {
                way,
                port,
                urgent,
                within,
            } => self.send(way, port, urgent, within),
            Step::Get(receiver) => self.get(receiver),
            Step::Reply(index) => {
                if let Some(message) = pick(&mut self.held, index) {
                    let number = message.request().0;
                    let counts = self.reference.end_by_holder(number, Ok(10 * number));
                    let expected = if counts {
                        Ok(())
                    } else {
                        Err(Late(10 * number))
                    };
                    assert_eq!(message.reply(10 * number), expected);
                    self.reference.messages[number].hands = None;
                }
            }
            Step::Drop(index) => {
                if let Some(message) = pick(&mut self.held, index) {
                    let number = message.request().0;
                    self.reference.end_by_holder(number, Err(Error::Dropped));
                    self.reference.messages[number].hands = None;
                    drop(message);
                }
            }
            Step::Forward(index, port) => self.forward(index, port),
            Step::Abort(index) => self.abort(index),
            Step::Collect => self.collect(),
            Step::TryGet(index) => self.try_get(index),
            Step::Abandon(index) => {
                if let Some((number, pending)) = pick(&mut self.pending, index) {
                    if self.reference.is_open(number) {
                        self.reference.end(number, Err(Error::Over), false);
                    }
                    self.reference.messages[number].state = State::Over;
                    drop(pending);
                }
            }
            Step::Pass(time) => CLOCK.set(CLOCK.get() + time),
            Step::Close(port) => {
                if let Some(real) = self.ports.get(port) {
                    real.close();
                    self.reference.close(port);
                }
            }
            Step::Exit(receiver) => {
                if let Some(gone) = self.receivers.get_mut(receiver).and_then(Option::take) {
                    drop(gone);
                    let port = port_of(receiver);
                    let mut left = (0..RECEIVERS).filter(|other| port_of(*other) == port);
                    if left.all(|other| self.receivers[other].is_none()) {
                        self.reference.close(port);
                    }
                }
            }
        }
    }

    fn send(&mut self, way: Way, port: usize, urgent: bool, within: Option<Nanos>) {
        let deadline = within.map(|within| CLOCK.get() + within);
        let terms = deadline.map_or(Terms::NONE, Terms::by);
        let terms = if urgent { terms.urgently() } else { terms };
        let number = self.reference.messages.len();
        let full = way != Way::Tell && self.reference.slots_in_use() == SLOTS;
        self.reference.messages.push(Expected {
            way,
            deadline,
            urgent,
            hands: None,
            told: false,
            state: State::Open,
        });
        let expected = if full {
            Err(Error::MailboxFull)
        } else {
            self.reference.queue(number, port)
        };
        if expected.is_err() {
            self.reference.messages[number].state = State::Over;
        }

        let count = Arc::new(());
        let request = Request(number, count.clone());
        self.requests.push(count);
        let port = &self.ports[port];
        let result = match way {
            Way::Send => self
                .mailbox
                .send(port, request, terms)
                .map(|id| self.ids.insert(id, number)),
            Way::Put => self
                .mailbox
                .put(port, request, terms)
                .map(|sent| match sent {
                    Sent::Queued(pending) => {
                        let previous = self.ids.insert(pending.id(), number);
                        self.pending.push((number, pending));
                        previous
                    }
                    Sent::Done(_) => panic!("there is no agent"),
                }),
            Way::Tell => port.tell(request, terms).map(|()| None),
        };
        match result {
            Ok(previous) => {
                assert_eq!(expected, Ok(()));
                assert_eq!(previous, None, "no two messages have the same name");
            }
            Err(refused) => {
                assert_eq!(expected, Err(refused.error));
                assert_eq!(refused.returned.0, number, "it is given back");
            }
        }
    }

    fn get(&mut self, receiver: usize) {
        let Some(real) = &mut self.receivers[receiver] else {
            return;
        };
        let expected = self.reference.get(receiver);
        let got = real.get().map(|received| {
            received.map(|received| match received {
                Received::Message(message) => {
                    let number = message.request().0;
                    self.held.push(message);
                    Got::Message(number)
                }
                Received::Abort(id) => Got::Abort(self.ids[&id]),
            })
        });
        assert_eq!(got, expected);
    }

    fn forward(&mut self, index: usize, port: usize) {
        let Some(message) = pick(&mut self.held, index) else {
            return;
        };
        let number = message.request().0;
        let expected = &self.reference.messages[number];
        let expected = if expected.way != Way::Tell && expected.state != State::Open {
            Err(Error::Over)
        } else if expected.way != Way::Tell && expected.told {
            Err(Error::Aborted)
        } else {
            self.reference.queue(number, port)
        };
        match message.forward(&self.ports[port]) {
            Ok(()) => {
                assert_eq!(expected, Ok(()));
                self.reference.messages[number].hands = None;
            }
            Err(refused) => {
                assert_eq!(expected, Err(refused.error));
                assert_eq!(refused.returned.request().0, number);
                self.held.push(refused.returned);
            }
        }
    }

    /// Aborts any message that there ever was.
    fn abort(&mut self, index: usize) {
        let mut known: Vec<(MessageId, usize)> =
            self.ids.iter().map(|(id, number)| (*id, *number)).collect();
        known.sort_by_key(|(_, number)| *number);
        if known.is_empty() {
            return;
        }
        let (id, number) = known[index % known.len()];
        self.reference.abort(number);
        match self.pending.iter().find(|(pending, _)| *pending == number) {
            Some((_, pending)) => pending.abort(),
            None => self.mailbox.abort(id),
        }
    }

    fn collect(&mut self) {
        let candidates = self.reference.collect();
        match self.mailbox.get() {
            None => assert_eq!(candidates, []),
            Some(answer) => {
                let number = self.ids[&answer.id];
                assert!(candidates.contains(&number), "{number} of {candidates:?}");
                if self.reference.is_open(number) {
                    self.reference.end(number, Err(Error::TimedOut), false);
                }
                assert_eq!(self.reference.answered.pop_front(), Some(number));
                let state = &mut self.reference.messages[number].state;
                assert_eq!(*state, State::Answered(answer.outcome));
                *state = State::Over;
            }
        }
    }

    fn try_get(&mut self, index: usize) {
        let Some((number, pending)) = pick(&mut self.pending, index) else {
            return;
        };
        if self.reference.is_open(number) && self.reference.overdue(number) {
            self.reference.end(number, Err(Error::TimedOut), false);
        }
        let state = &mut self.reference.messages[number].state;
        match pending.try_get() {
            Ok(outcome) => {
                assert_eq!(*state, State::Answered(outcome));
                *state = State::Over;
            }
            Err(pending) => {
                assert_eq!(*state, State::Open);
                self.pending.push((number, pending));
            }
        }
    }

    /// What holds after every step.
    fn check(&self) {
        assert_eq!(DEPTH.get(), 0, "no lock is held");
        for message in &self.held {
            let expected = &self.reference.messages[message.request().0];
            let standing = match expected {
                Expected { way: Way::Tell, .. } => Standing::Awaited,
                Expected {
                    state: State::Open,
                    told,
                    ..
                } if *told => Standing::Aborted,
                Expected {
                    state: State::Open, ..
                } => Standing::Awaited,
                _ => Standing::Over,
            };
            assert_eq!(message.standing(), standing);
        }
    }

    /// Lets go of everything but the mailbox: all that is out must then be answered.
    fn finish(mut self) {
        for receiver in 0..RECEIVERS {
            self.step(Step::Exit(receiver));
        }
        while !self.held.is_empty() {
            self.step(Step::Drop(0));
        }
        for _ in 0..self.pending.len() {
            self.step(Step::TryGet(0));
        }
        assert!(self.pending.is_empty(), "no answer for {:?}", self.pending);
        for _ in 0..SLOTS {
            self.step(Step::Collect);
        }
        assert_eq!(self.reference.slots_in_use(), 0, "everything is answered");
        for (number, request) in self.requests.iter().enumerate() {
            assert_eq!(Arc::strong_count(request), 1, "request {number} is dropped");
        }
        // All slots are free.
        let (port, _receiver) = thread_port::<Still, (), usize>(Bounds::new(SLOTS + 1));
        for _ in 0..SLOTS {
            self.mailbox.send(&port, (), Terms::NONE).unwrap();
        }
        let refused = self.mailbox.send(&port, (), Terms::NONE).unwrap_err();
        assert_eq!(refused.error, Error::MailboxFull);
    }
}

/// Takes an element out, if there is one.
fn pick<T>(list: &mut Vec<T>, index: usize) -> Option<T> {
    (!list.is_empty()).then(|| list.remove(index % list.len()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ports_do_as_the_reference(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
            world.check();
        }
        world.finish();
    }
}
