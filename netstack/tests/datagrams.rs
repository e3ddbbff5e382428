//! UDP between nodes, and within one.

mod support;

use support::World;

#[test]
fn datagrams_go_both_ways() {
    let mut world = World::new(2);
    let pairs = [
        (1, "0.0.0.0:53", "10.0.0.2:53"),
        (1, "[::]:54", "[fd00::2]:54"),
        (0, "0.0.0.0:55", "127.0.0.1:55"),
        (0, "[::]:56", "[::1]:56"),
        (0, "0.0.0.0:57", "10.0.0.1:57"),
    ];
    for (server, at, to) in pairs {
        let receiver = world.udp(server, at);
        let any = if to.starts_with('[') {
            "[::]:0"
        } else {
            "0.0.0.0:0"
        };
        let sender = world.udp(0, any);
        for data in [&b"one"[..], b"", b"three"] {
            world.send(0, &sender, to, data);
        }
        world.settle();
        let first = receiver.state.receive().expect(to);
        assert_eq!(&*first.data, b"one");
        assert_eq!(first.peer.port(), sender.state.local.port());
        assert_eq!(&*receiver.state.receive().unwrap().data, b"");
        assert_eq!(&*receiver.state.receive().unwrap().data, b"three");
        assert!(receiver.state.receive().is_none());
        world.send(server, &receiver, &first.peer.to_string(), b"back");
        world.settle();
        let back = sender.state.receive().expect(to);
        assert_eq!(&*back.data, b"back");
        assert_eq!(back.peer, to.parse().unwrap());
    }
}
