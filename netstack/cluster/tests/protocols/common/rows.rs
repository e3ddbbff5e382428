//! One thing at a time: what must come of it.

use super::schedule::TIMES;
use super::users::Use;
use super::world::{Plan, World};
use darner_cluster::{
    AbortReason, Action, Address, Ballot, Config, EndReason, Epoch, Event, Identity, Incarnation,
    Limits, Member, MembershipMessage, Message, Nanos, Node, NodeId, Notice, Origin, Packet,
    Payload, PortId, PortMessage, PortNotice, Rest, Standing, Start, Step, TieBreak, TransactionId,
    TransactionMessage, View, Wish,
};

/// All of them.
pub const ROWS: &[(&str, fn())] = &[
    ("of two the lower one goes on", of_two_the_lower_goes_on),
    ("of two the higher one ends", of_two_the_higher_ends),
    (
        "who stood still listens first",
        who_stood_still_listens_first,
    ),
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
        "they drain one after the other",
        they_drain_one_after_the_other,
    ),
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
    ("a stranger is not heard", a_stranger_is_not_heard),
    ("a promise is kept", a_promise_is_kept),
    (
        "who has accepted stops in time",
        who_has_accepted_stops_in_time,
    ),
    ("laggards are waited for", laggards_are_waited_for),
    ("what takes too long ends", what_takes_too_long_ends),
    (
        "nothing is overtaken by a move",
        nothing_is_overtaken_by_a_move,
    ),
    (
        "nothing is overtaken where a port is back",
        nothing_is_overtaken_where_a_port_is_back,
    ),
    (
        "who has no view yet is asked too",
        who_has_no_view_yet_is_asked_too,
    ),
    ("parts end with their parent", parts_end_with_their_parent),
    ("an orphan is refused", an_orphan_is_refused),
    ("a number is not used twice", a_number_is_not_used_twice),
    ("a request outlives its link", a_request_outlives_its_link),
    (
        "a request does not follow for ever",
        a_request_does_not_follow_for_ever,
    ),
    (
        "who was left out is not served",
        who_was_left_out_is_not_served,
    ),
    ("what was accepted is told", what_was_accepted_is_told),
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

/// A host that stood still with all of its nodes.
fn who_stood_still_listens_first() {
    let mut world = together(2, TieBreak::Lowest);
    while let Some(&next) = world.deliverable().first() {
        world.deliver(next);
    }
    let until = world.now + 3 * TIMES.suspect.0;
    for host in &mut world.hosts {
        host.paused_until = until;
    }
    world.now = until;
    assert!(!world.serves(1), "its lease is over");
    for node in 0..2 {
        world.handle(node, Event::StoodStill);
    }
    wait(&mut world, TIMES.suspect);
    assert_eq!(members(&world), [0, 1]);
    assert!(world.serves(0) && world.serves(1));
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
    assert_eq!(view.home(NodeId(1)), NodeId(2));
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

fn they_drain_one_after_the_other() {
    let mut world = together(3, TieBreak::Lowest);
    let standings = |world: &World| {
        let (_, view) = world.views.last_key_value().unwrap();
        let standings = view.members.iter().map(|member| member.standing);
        standings.collect::<Vec<_>>()
    };
    world.handle(1, Event::Drain);
    wait(&mut world, TIMES.heartbeat);
    world.handle(2, Event::Drain);
    wait(&mut world, Nanos(3 * TIMES.suspect.0));
    let (active, draining) = (Standing::Active, Standing::Draining);
    assert_eq!(standings(&world), [active, draining, active]);
    world.handle(1, Event::Leave);
    wait(&mut world, TIMES.suspect);
    assert_eq!(standings(&world), [active, draining]);
    let (_, view) = world.views.last_key_value().unwrap();
    assert_eq!([1, 2].map(|slot| view.home(NodeId(slot))), [NodeId(0); 2]);
    world.handle(2, Event::Leave);
    wait(&mut world, TIMES.suspect);
    assert_eq!(members(&world), [0]);
    assert!(world.serves(0));
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

/// Has a node say something to node 0, in the present view, and tells what that answers.
fn say(world: &mut World, from: Identity, message: Message) -> Vec<Message> {
    let node = world.hosts[0].node.as_ref().unwrap();
    let packet = Packet {
        sender: from.incarnation,
        receiver: Incarnation::ANY,
        epoch: node.membership().epoch(),
        message,
    };
    let from = from.node;
    let event = Event::Received { from, packet };
    let mut said = Vec::new();
    world.with(0, |node, now, actions| {
        node.handle(now, event, actions);
        let sent = actions.iter().filter_map(|action| match action {
            darner_cluster::Action::Send { packet, .. } => Some(packet.message.clone()),
            _ => None,
        });
        said.extend(sent);
    });
    said
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
    say(
        &mut world,
        who,
        Message::Membership(MembershipMessage::Join { member }),
    );
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
    let from = world.identity(1);
    say(world, from, message)
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
    let redialled = Nanos(3 * TIMES.heartbeat.0);
    wait(&mut world, redialled);
    world.apply(Use::Work { node: 0 });
    world.apply(Use::Reply { node: 0, which: 0 });
    world.links.lose(0, 1);
    wait(&mut world, redialled);
    world.finish_all();
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

fn last_view(world: &World) -> View {
    world.views.last_key_value().unwrap().1.clone()
}

fn a_stranger_is_not_heard() {
    let mut world = together(3, TieBreak::Lowest);
    let stranger = Identity {
        node: NodeId(1),
        incarnation: Incarnation(99),
    };
    let wish = Wish::Leave;
    say(
        &mut world,
        stranger,
        Message::Membership(MembershipMessage::Wish { wish }),
    );
    wait(&mut world, TIMES.suspect);
    assert_eq!(members(&world), [0, 1, 2]);
}

fn ballot(round: u32, node: u16) -> Ballot {
    Ballot {
        round,
        node: NodeId(node),
    }
}

/// The view that follows, without some node.
fn without(view: &View, node: u16) -> View {
    let mut members = view.members.clone();
    members.retain(|member| member.node.0 != node);
    view.next(members)
}

fn accept(round: u32, node: u16, view: View) -> Message {
    Message::Membership(MembershipMessage::Accept {
        ballot: ballot(round, node),
        view,
    })
}

fn is_accepted(message: &Message) -> bool {
    matches!(
        message,
        Message::Membership(MembershipMessage::Accepted { .. })
    )
}

fn a_promise_is_kept() {
    let mut world = together(3, TieBreak::Lowest);
    let (one, two) = (world.identity(1), world.identity(2));
    let prepare = MembershipMessage::Prepare {
        ballot: ballot(9, 1),
    };
    say(&mut world, one, Message::Membership(prepare));
    let view = last_view(&world);
    let said = say(
        &mut world,
        two,
        accept(8, 2, view.next(view.members.clone())),
    );
    let outbid = MembershipMessage::Outbid {
        ballot: ballot(8, 2),
        promised: ballot(9, 1),
    };
    assert_eq!(said, [Message::Membership(outbid)]);
}

/// Node 0 accepts a view that others may have decided on, and only node 1 goes on granting.
fn who_has_accepted_stops_in_time() {
    let mut world = together(3, TieBreak::Lowest);
    let (one, two) = (world.identity(1), world.identity(2));
    let view = last_view(&world);
    let said = say(
        &mut world,
        two,
        accept(9, 2, view.next(view.members.clone())),
    );
    assert!(said.iter().any(is_accepted));
    world.part(0, 1, false);
    world.part(0, 2, false);
    let half = Nanos(TIMES.lease.0 * 3 / 4);
    wait(&mut world, half);
    let granted = MembershipMessage::Heartbeat {
        sent: world.clock(1),
        granted: Some(world.clock(0)),
        hears: view.nodes(),
    };
    say(&mut world, one, Message::Membership(granted));
    assert!(world.serves(0));
    wait(&mut world, half);
    assert!(!world.serves(0));
}

/// Node 1 may still serve in the view before the one that node 0 has just entered.
fn laggards_are_waited_for() {
    let mut world = together(3, TieBreak::Lowest);
    let two = world.identity(2);
    world.part(0, 1, false);
    wait(&mut world, Nanos(TIMES.lease.0 + TIMES.heartbeat.0));
    let view = last_view(&world);
    let view = view.next(view.members.clone());
    let decided = MembershipMessage::Decided { view: view.clone() };
    say(&mut world, two, Message::Membership(decided));
    let said = say(&mut world, two, accept(9, 2, without(&view, 1)));
    assert!(!said.iter().any(is_accepted), "{said:?}");
}

fn what_takes_too_long_ends() {
    let mut world = together(2, TieBreak::Lowest);
    let span = Some(300);
    world.apply(Use::OpenPort { node: 0, port: 0 });
    world.apply(Use::Put {
        node: 1,
        port: 0,
        span,
    });
    world.apply(Use::Begin {
        node: 0,
        peer: 1,
        part: false,
        rest: Rest::Last,
        span,
    });
    wait(&mut world, Nanos(600));
    world.is_finished().unwrap();
}

fn nothing_is_overtaken_by_a_move() {
    let mut world = together(3, TieBreak::Lowest);
    // No heartbeat is under way.
    wait(&mut world, Nanos(1));
    world.apply(Use::OpenPort { node: 0, port: 0 });
    world.apply(PUT);
    world.apply(PUT);
    world.apply(Use::MovePort { port: 0, to: 2 });
    world.deliver((1, 0));
    world.deliver((1, 0));
    world.deliver((0, 1));
    world.apply(PUT);
    wait(&mut world, Nanos(1));
    assert_eq!(world.users.queued[&2].len(), 3);
    world.finish_all();
    wait(&mut world, Nanos(1));
    world.is_finished().unwrap();
}

/// The first request comes back as the port is gone; the second comes when it is there again.
fn nothing_is_overtaken_where_a_port_is_back() {
    let mut world = together(3, TieBreak::Lowest);
    wait(&mut world, Nanos(1));
    world.apply(Use::OpenPort { node: 0, port: 0 });
    world.apply(PUT);
    world.apply(PUT);
    world.apply(Use::MovePort { port: 0, to: 2 });
    world.deliver((1, 0));
    world.apply(Use::MovePort { port: 0, to: 0 });
    world.deliver((1, 0));
    world.apply(Use::Work { node: 0 });
    wait(&mut world, Nanos(1));
    world.finish_all();
    wait(&mut world, Nanos(1));
    assert_eq!(world.wrong, None);
    world.is_finished().unwrap();
}

/// Others may have heard of its first view before it has.
fn who_has_no_view_yet_is_asked_too() {
    let config = Config {
        me: Member {
            node: NodeId(1),
            incarnation: Incarnation(1),
            address: Address::default(),
            standing: Standing::Active,
        },
        start: Start::Join { seeds: Vec::new() },
        times: TIMES,
        limits: Limits::default(),
    };
    let mut node = Node::new(&config);
    let peer = Identity {
        node: NodeId(0),
        incarnation: Incarnation(7),
    };
    let port = PortId::new(NodeId(1), 0);
    node.open_port(port);
    let request = PortMessage::Request {
        sequence: 1,
        received: 0,
        port,
        allowance: None,
        payload: Payload::default(),
    };
    let packet = Packet {
        sender: peer.incarnation,
        receiver: Incarnation(1),
        epoch: Epoch(4),
        message: Message::Port(request),
    };
    let from = peer.node;
    let mut actions = Vec::new();
    for event in [
        Event::Started,
        Event::LinkUp { peer },
        Event::Received { from, packet },
    ] {
        node.handle(Nanos(1), event, &mut actions);
    }
    let asked = |action: &Action| {
        matches!(
            action,
            Action::Notify(Notice::Port(PortNotice::Requested { .. }))
        )
    };
    assert!(actions.iter().any(asked), "{actions:?}");
}

/// Its request was forgotten when it was left out, and is not begun again.
fn who_was_left_out_is_not_served() {
    let mut world = together(2, TieBreak::Lowest);
    world.apply(Use::OpenPort { node: 0, port: 0 });
    world.apply(PUT);
    wait(&mut world, Nanos(1));
    world.apply(Use::Work { node: 0 });
    world.part(0, 1, true);
    wait(&mut world, Nanos(2 * TIMES.suspect.0));
    assert_eq!(members(&world), [0]);
    world.heal();
    wait(&mut world, Nanos(3 * TIMES.heartbeat.0));
    assert!(world.users.queued[&0].is_empty());
    assert_eq!(world.hosts[1].ended, Some(EndReason::Evicted));
}

/// It may have been decided, so whoever proposes next has to propose it again.
fn what_was_accepted_is_told() {
    let mut world = together(3, TieBreak::Lowest);
    let (one, two) = (world.identity(1), world.identity(2));
    let view = last_view(&world);
    let view = view.next(view.members.clone());
    say(&mut world, two, accept(8, 2, view.clone()));
    let prepare = MembershipMessage::Prepare {
        ballot: ballot(9, 1),
    };
    let said = say(&mut world, one, Message::Membership(prepare));
    let told = said.iter().any(|message| {
        matches!(message, Message::Membership(MembershipMessage::Promise {
            accepted: Some(accepted), ..
        }) if *accepted == (ballot(8, 2), view.clone()))
    });
    assert!(told, "{said:?}");
}
