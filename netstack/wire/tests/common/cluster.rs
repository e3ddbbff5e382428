//! Any message about membership, transactions and ports.

use darner_cluster::{
    AbortReason, Address, Answer, Ballot, ClusterId, Epoch, Incarnation, JoinRefusal, Member,
    MembershipMessage, Message, Nanos, NodeId, Origin, Packet, Payload, PortId, PortMessage, Rest,
    Slot, SlotSet, Standing, Step, TieBreak, TransactionId, TransactionMessage, View, Wish,
};
use darner_wire::ClusterKind;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

fn node() -> impl Strategy<Value = NodeId> {
    any::<u16>().prop_map(NodeId)
}

fn life() -> impl Strategy<Value = Incarnation> {
    any::<u64>().prop_map(Incarnation)
}

fn span() -> impl Strategy<Value = Nanos> {
    any::<u64>().prop_map(Nanos)
}

fn set() -> impl Strategy<Value = SlotSet> {
    any::<u64>().prop_map(SlotSet)
}

fn ballot() -> impl Strategy<Value = Ballot> {
    (any::<u32>(), node()).prop_map(|(round, node)| Ballot { round, node })
}

fn member() -> impl Strategy<Value = Member> {
    let standing = select(vec![Standing::Active, Standing::Draining]);
    (node(), life(), any::<([u8; 16], u16)>(), standing).prop_map(
        |(node, incarnation, (ip, port), standing)| Member {
            node,
            incarnation,
            address: Address { ip, port },
            standing,
        },
    )
}

fn slot() -> impl Strategy<Value = Slot> {
    (node(), node(), life()).prop_map(|(node, home, last)| Slot { node, home, last })
}

fn view() -> impl Strategy<Value = View> {
    let lists = (
        prop::collection::vec(member(), 0..=64),
        prop::collection::vec(slot(), 0..=64),
    );
    let tie_break = select(vec![TieBreak::Strict, TieBreak::Lowest]);
    (any::<(u64, u32)>(), tie_break, lists, node()).prop_map(
        |((cluster, epoch), tie_break, (members, slots), unused_home)| View {
            cluster: ClusterId(cluster),
            epoch: Epoch(epoch),
            tie_break,
            members,
            slots,
            unused_home,
        },
    )
}

fn payload() -> impl Strategy<Value = Payload> {
    any::<(u32, [u64; 4])>().prop_map(|(command, words)| Payload { command, words })
}

fn origin() -> impl Strategy<Value = Origin> {
    select(vec![Origin::Sender, Origin::Receiver])
}

fn refusal() -> impl Strategy<Value = JoinRefusal> {
    select(vec![
        JoinRefusal::SlotTaken,
        JoinRefusal::Outlived,
        JoinRefusal::NoSuchSlot,
        JoinRefusal::NoIncarnation,
    ])
}

fn reason() -> impl Strategy<Value = AbortReason> {
    select(vec![
        AbortReason::Wanted,
        AbortReason::Deadline,
        AbortReason::ParentEnded,
        AbortReason::Full,
        AbortReason::Acknowledged,
    ])
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        payload().prop_map(Answer::Reply),
        node().prop_map(|to| Answer::Moved { to }),
        select(vec![Answer::NoPort, Answer::Full, Answer::Dropped]),
    ]
}

fn membership(
    messages: impl Strategy<Value = MembershipMessage> + 'static,
) -> BoxedStrategy<Message> {
    messages.prop_map(Message::Membership).boxed()
}

fn step(steps: impl Strategy<Value = Step> + 'static) -> BoxedStrategy<Message> {
    (any::<u64>(), origin(), steps)
        .prop_map(|(id, origin, step)| {
            Message::Transaction(TransactionMessage {
                id: TransactionId(id),
                origin,
                step,
            })
        })
        .boxed()
}

fn create() -> impl Strategy<Value = Step> {
    let parent = option::of((any::<u64>().prop_map(TransactionId), origin()));
    let rest = select(vec![Rest::More, Rest::Last]);
    (parent, option::of(span()), payload(), rest).prop_map(|(parent, allowance, payload, rest)| {
        Step::Create {
            parent,
            allowance,
            payload,
            rest,
        }
    })
}

fn port(messages: impl Strategy<Value = PortMessage> + 'static) -> BoxedStrategy<Message> {
    messages.prop_map(Message::Port).boxed()
}

fn memberships() -> Vec<(ClusterKind, BoxedStrategy<Message>)> {
    use MembershipMessage as M;
    let refused =
        (node(), life(), refusal()).prop_map(|(joiner, incarnation, why)| M::JoinRefused {
            joiner,
            incarnation,
            why,
        });
    let heartbeat =
        (span(), option::of(span()), set()).prop_map(|(sent, granted, hears)| M::Heartbeat {
            sent,
            granted,
            hears,
        });
    let promise =
        (ballot(), set(), option::of((ballot(), view()))).prop_map(|(ballot, hears, accepted)| {
            M::Promise {
                ballot,
                hears,
                accepted,
            }
        });
    let wish = select(vec![Wish::Drain, Wish::Leave]);
    let outbid = (ballot(), ballot());
    vec![
        (
            ClusterKind::Join,
            membership(member().prop_map(|member| M::Join { member })),
        ),
        (ClusterKind::JoinRefused, membership(refused)),
        (
            ClusterKind::Wish,
            membership(wish.prop_map(|wish| M::Wish { wish })),
        ),
        (ClusterKind::Heartbeat, membership(heartbeat)),
        (
            ClusterKind::Prepare,
            membership(ballot().prop_map(|ballot| M::Prepare { ballot })),
        ),
        (ClusterKind::Promise, membership(promise)),
        (
            ClusterKind::Accept,
            membership((ballot(), view()).prop_map(|(ballot, view)| M::Accept { ballot, view })),
        ),
        (
            ClusterKind::Accepted,
            membership(ballot().prop_map(|ballot| M::Accepted { ballot })),
        ),
        (
            ClusterKind::Outbid,
            membership(outbid.prop_map(|(ballot, promised)| M::Outbid { ballot, promised })),
        ),
        (
            ClusterKind::Decided,
            membership(view().prop_map(|view| M::Decided { view })),
        ),
        (ClusterKind::Removed, membership(Just(M::Removed))),
    ]
}

/// Each kind of message, and any message of that kind.
pub fn kinds() -> Vec<(ClusterKind, BoxedStrategy<Message>)> {
    let request = (
        any::<(u64, u64)>(),
        any::<u64>().prop_map(PortId),
        option::of(span()),
        payload(),
    )
        .prop_map(
            |((sequence, received), port, allowance, payload)| PortMessage::Request {
                sequence,
                received,
                port,
                allowance,
                payload,
            },
        );
    let answers = (any::<(u64, u64)>(), answer()).prop_map(|((number, sequence), answer)| {
        PortMessage::Answer {
            number,
            sequence,
            answer,
        }
    });
    let number = any::<u64>();
    let mut all = memberships();
    all.extend([
        (ClusterKind::Create, step(create())),
        (
            ClusterKind::Data,
            step(payload().prop_map(|payload| Step::Data { payload })),
        ),
        (
            ClusterKind::End,
            step(payload().prop_map(|payload| Step::End { payload })),
        ),
        (
            ClusterKind::Abort,
            step(reason().prop_map(|why| Step::Abort { why })),
        ),
        (ClusterKind::Request, port(request)),
        (ClusterKind::Answer, port(answers)),
        (
            ClusterKind::Cancel,
            port(number.prop_map(|sequence| PortMessage::Cancel { sequence })),
        ),
        (
            ClusterKind::Resume,
            port(number.prop_map(|received| PortMessage::Resume { received })),
        ),
        (
            ClusterKind::Received,
            port(number.prop_map(|received| PortMessage::Received { received })),
        ),
    ]);
    all
}

/// Any packet with a message of the `kind`-th kind.
pub fn packet_of(kind: usize) -> impl Strategy<Value = Packet> {
    let (_, message) = kinds().swap_remove(kind);
    (life(), life(), any::<u32>(), message).prop_map(|(sender, receiver, epoch, message)| Packet {
        sender,
        receiver,
        epoch: Epoch(epoch),
        message,
    })
}
