//! One thing at a time: what must come of it.

use super::schedule::TIMES;
use super::users::Use;
use super::world::{Plan, World};
use darner_cluster::{
    AbortReason, Address, EndReason, Event, Identity, Incarnation, Limits, Member,
    MembershipMessage, Message, Nanos, NodeId, Origin, Packet, Payload, Rest, Standing, Step,
    TieBreak, TransactionId, TransactionMessage,
};

/// All of them.
pub const ROWS: &[(&str, fn())] = &[
    ("of two the lower one goes on", of_two_the_lower_goes_on),
    ("of two the higher one ends", of_two_the_higher_ends),
    (
        "of two strict ones neither goes on",
        of_two_strict_neither_goes_on,
    ),
    (
        "a broken link evicts nobody at first",
        a_broken_link_evicts_nobody_at_first,
    ),
    (
        "a link that stays broken evicts one",
        a_link_that_stays_broken_evicts_one,
    ),
    ("who leaves has left", who_leaves_has_left),
    (
        "a restarted node is taken in after its old life",
        a_restarted_node_is_taken_in,
    ),
    (
        "a dead life does not come back",
        a_dead_life_does_not_come_back,
    ),
    ("who was left out is told", who_was_left_out_is_told),
    ("a minority stops before it is replaced", a_minority_stops),
    ("parts end with their parent", parts_end_with_their_parent),
    ("an orphan is refused", an_orphan_is_refused),
    ("a number is not used twice", a_number_is_not_used_twice),
    ("a request outlives its link", a_request_outlives_its_link),
    (
        "a request does not follow for ever",
        a_request_does_not_follow_for_ever,
    ),
];

fn plan(nodes: u16, tie_break: TieBreak) -> Plan {
    Plan {
        nodes,
        tie_break,
        times: TIMES,
        limits: Limits::default(),
        rates: Vec::new(),
    }
}

/// So many nodes, all of them members.
fn together(nodes: u16, tie_break: TieBreak) -> World {
    let mut world = World::new(plan(nodes, tie_break));
    for node in 1..nodes {
        world.join(node, u64::from(node) * 77_777);
    }
    world.calm(20_000).unwrap();
    world.is_settled().unwrap();
    world
}

fn members(world: &World) -> Vec<u16> {
    let (_, view) = world.views.last_key_value().unwrap();
    view.members.iter().map(|member| member.node.0).collect()
}

fn wait(world: &mut World, span: Nanos) {
    world.calm(world.now + span.0).unwrap();
}

fn of_two_the_lower_goes_on() {
    let mut world = together(2, TieBreak::Lowest);
    world.crash(1, false);
    wait(&mut world, Nanos(2 * TIMES.suspect.0));
    assert!(world.serves(0));
    assert_eq!(members(&world), [0]);
}

fn of_two_the_higher_ends() {
    let mut world = together(2, TieBreak::Lowest);
    world.crash(0, true);
    wait(&mut world, TIMES.suspect);
    assert!(!world.serves(1) && !world.hosts[1].told_serving);
    wait(&mut world, TIMES.give_up);
    assert_eq!(world.hosts[1].ended, Some(EndReason::NoMajority));
}

fn of_two_strict_neither_goes_on() {
    for dead in [0, 1] {
        let mut world = together(2, TieBreak::Strict);
        world.crash(dead, true);
        wait(&mut world, TIMES.suspect);
        assert!(!world.serves(1 - dead));
    }
}

fn a_broken_link_evicts_nobody_at_first() {
    let mut world = together(3, TieBreak::Lowest);
    world.part(0, 1, false);
    wait(&mut world, Nanos(2 * TIMES.suspect.0));
    assert_eq!(members(&world), [0, 1, 2]);
    assert!((0..3).all(|node| world.serves(node)));
}

fn a_link_that_stays_broken_evicts_one() {
    let mut world = together(3, TieBreak::Lowest);
    world.part(1, 2, true);
    wait(&mut world, Nanos(2 * TIMES.partial.0));
    assert_eq!(members(&world), [0, 1]);
    assert!(world.serves(0) && world.serves(1) && !world.serves(2));
}

fn who_leaves_has_left() {
    let mut world = together(3, TieBreak::Lowest);
    world.handle(1, Event::Drain);
    wait(&mut world, TIMES.heartbeat);
    let (_, view) = world.views.last_key_value().unwrap();
    assert_eq!(view.member(NodeId(1)).unwrap().standing, Standing::Draining);
    assert!(world.serves(1));
    world.handle(1, Event::Leave);
    assert!(!world.serves(1));
    wait(&mut world, TIMES.heartbeat);
    // Nobody waits for a lease that the node has given back.
    assert_eq!(members(&world), [0, 2]);
    assert_eq!(world.hosts[1].ended, Some(EndReason::Left));
    assert_eq!(
        world.views.last_key_value().unwrap().1.home(NodeId(1)),
        NodeId(2)
    );
}

fn a_restarted_node_is_taken_in() {
    let mut world = together(3, TieBreak::Lowest);
    let before = world.views.len();
    world.crash(1, false);
    world.join(1, 5);
    wait(&mut world, Nanos(3 * TIMES.suspect.0));
    world.is_settled().unwrap();
    assert_eq!(members(&world), [0, 1, 2]);
    assert_eq!(world.views.len(), before + 2);
}

/// Has a node say something to node 0.
fn say(world: &mut World, from: Identity, message: MembershipMessage) {
    let packet = Packet {
        sender: from.incarnation,
        receiver: Incarnation::ANY,
        epoch: darner_cluster::Epoch(0),
        message: Message::Membership(message),
    };
    let from = from.node;
    world.handle(0, Event::Received { from, packet });
}

fn a_dead_life_does_not_come_back() {
    let mut world = together(3, TieBreak::Lowest);
    let who = world.identity(2);
    world.crash(2, true);
    wait(&mut world, Nanos(2 * TIMES.suspect.0));
    assert_eq!(members(&world), [0, 1]);
    let member = Member {
        node: who.node,
        incarnation: who.incarnation,
        address: Address::default(),
        standing: Standing::Active,
    };
    say(&mut world, who, MembershipMessage::Join { member });
    wait(&mut world, TIMES.heartbeat);
    assert_eq!(members(&world), [0, 1]);
}

fn who_was_left_out_is_told() {
    let mut world = together(3, TieBreak::Lowest);
    for other in [0, 1] {
        world.part(2, other, true);
    }
    wait(&mut world, Nanos(2 * TIMES.suspect.0));
    assert_eq!(world.hosts[2].ended, None);
    world.heal();
    wait(&mut world, Nanos(2 * TIMES.heartbeat.0));
    assert_eq!(world.hosts[2].ended, Some(EndReason::Evicted));
}

fn a_minority_stops() {
    let mut world = together(5, TieBreak::Lowest);
    for a in 0..2 {
        for b in 2..5 {
            world.part(a, b, false);
        }
    }
    wait(&mut world, TIMES.lease);
    assert!(!world.serves(0) && !world.serves(1));
    wait(&mut world, Nanos(2 * TIMES.suspect.0));
    assert_eq!(members(&world), [2, 3, 4]);
    assert!((2..5).all(|node| world.serves(node)));
}

fn begin(node: u16, peer: u16, part: bool) -> Use {
    Use::Begin {
        node,
        peer,
        part,
        rest: Rest::More,
        span: None,
    }
}

fn parts_end_with_their_parent() {
    let mut world = together(3, TieBreak::Lowest);
    world.apply(begin(0, 1, false));
    world.apply(begin(0, 2, true));
    world.apply(begin(0, 1, true));
    wait(&mut world, Nanos(1));
    world.crash(1, true);
    wait(&mut world, Nanos(1));
    world.check().unwrap();
    world.is_finished().unwrap();
}

fn created(id: u64, parent: Option<u64>) -> Message {
    Message::Transaction(TransactionMessage {
        id: TransactionId(id),
        origin: Origin::Sender,
        step: Step::Create {
            parent: parent.map(|parent| (TransactionId(parent), Origin::Sender)),
            allowance: None,
            payload: Payload::default(),
            rest: Rest::More,
        },
    })
}

/// What node 0 answers node 1.
fn answers(world: &mut World, message: Message) -> Vec<Message> {
    let packet = Packet {
        sender: world.identity(1).incarnation,
        receiver: Incarnation::ANY,
        epoch: darner_cluster::Epoch(0),
        message,
    };
    let event = Event::Received {
        from: NodeId(1),
        packet,
    };
    let mut sent = Vec::new();
    world.with(0, |node, now, actions| {
        let mut done = Vec::new();
        node.handle(now, event, &mut done);
        for action in &done {
            if let darner_cluster::Action::Send { packet, .. } = action {
                sent.push(packet.message.clone());
            }
        }
        actions.extend(done);
    });
    sent
}

fn an_orphan_is_refused() {
    let mut world = together(2, TieBreak::Lowest);
    let refusal = Message::Transaction(TransactionMessage {
        id: TransactionId(9),
        origin: Origin::Receiver,
        step: Step::Abort {
            why: AbortReason::ParentEnded,
        },
    });
    assert_eq!(answers(&mut world, created(9, Some(3))), [refusal]);
    assert!(world.users.transactions.is_empty());
}

fn a_number_is_not_used_twice() {
    let mut world = together(2, TieBreak::Lowest);
    answers(&mut world, created(9, None));
    world.apply(Use::Abort { node: 0, which: 0 });
    let ended = Message::Transaction(TransactionMessage {
        id: TransactionId(9),
        origin: Origin::Sender,
        step: Step::Abort {
            why: AbortReason::Acknowledged,
        },
    });
    answers(&mut world, ended);
    answers(&mut world, created(9, None));
    assert_eq!(world.users.transactions.len(), 1);
}

const PUT: Use = Use::Put {
    node: 1,
    port: 0,
    span: None,
};

fn a_request_outlives_its_link() {
    let mut world = together(2, TieBreak::Lowest);
    world.apply(Use::OpenPort { node: 0, port: 0 });
    world.apply(PUT);
    world.links.lose(0, 1);
    world.apply(PUT);
    wait(&mut world, TIMES.heartbeat);
    world.apply(Use::Work { node: 0 });
    world.apply(Use::Reply { node: 0, which: 0 });
    world.links.lose(0, 1);
    wait(&mut world, TIMES.heartbeat);
    wait(&mut world, TIMES.heartbeat);
    world.apply(Use::Work { node: 0 });
    world.apply(Use::Reply { node: 0, which: 0 });
    wait(&mut world, Nanos(1));
    world.check().unwrap();
    world.is_finished().unwrap();
    assert!(
        world
            .users
            .requests
            .values()
            .all(|result| matches!(result, Some(Ok(_))))
    );
}

/// Two nodes that each say that the other has the port.
fn a_request_does_not_follow_for_ever() {
    let mut world = together(3, TieBreak::Lowest);
    world.apply(Use::OpenPort { node: 0, port: 0 });
    world.apply(PUT);
    wait(&mut world, Nanos(1));
    let port = super::users::port_id(0);
    world.with(0, |node, _, _| node.port_moved(port, NodeId(2)));
    world.with(2, |node, _, _| node.port_moved(port, NodeId(0)));
    world.apply(PUT);
    wait(&mut world, Nanos(1));
    let failed = world.users.requests.values().flatten();
    assert_eq!(failed.count(), 1);
}
