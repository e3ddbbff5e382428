//! What there is, for reports.

use core::net::IpAddr;

use ringbuf::traits::Observer;
use smoltcp::socket::tcp;

use super::datagrams::{Bound, Udp};
use super::flow::{Flow, Stage};
use super::flows::{Listening, Tcp};
use super::netif::Netif;
use super::shared::Shared;
use super::time_wait::Past;
use super::{resolve, route};
use crate::request::{InterfaceInfo, Snapshot, SocketInfo};
use crate::socket::{SocketId, Wait};

/// All interfaces and sockets.
pub(super) fn take<W: Wait>(shared: &Shared, tcp: &Tcp<W>, udp: &Udp<W>) -> Snapshot {
    let listeners = tcp
        .listeners
        .iter()
        .map(|(_, listener)| listening(listener));
    let flows = tcp.flows.iter().map(|(_, flow)| connection(flow));
    let datagrams = udp.sockets.iter().map(|(id, bound)| datagrams(id, bound));
    Snapshot {
        interfaces: shared.netifs.iter().map(interface).collect(),
        sockets: listeners
            .chain(flows)
            .chain(tcp.time_wait.iter().map(past))
            .chain(datagrams)
            .collect(),
        dns: resolve::servers(shared),
        counters: shared.counters,
    }
}

fn interface(netif: &Netif) -> InterfaceInfo {
    let addresses = netif.interface.ip_addrs().iter();
    let families: [IpAddr; 2] = [
        core::net::Ipv4Addr::UNSPECIFIED.into(),
        core::net::Ipv6Addr::UNSPECIFIED.into(),
    ];
    InterfaceInfo {
        name: netif.name(),
        mac: netif.mac(),
        addresses: addresses
            .map(|cidr| (cidr.address().into(), cidr.prefix_len()))
            .collect(),
        gateways: families
            .into_iter()
            .filter_map(|family| route::gateway(netif, family))
            .collect(),
        mtu: netif.mtu() as u16,
        counters: netif.counters(),
    }
}

fn listening<W: Wait>(listener: &Listening<W>) -> SocketInfo {
    SocketInfo {
        id: listener.state.id,
        protocol: "tcp",
        state: "LISTEN",
        local: listener.place.shown,
        remote: None,
        receive_queue: listener.state.accepted.len(),
        send_queue: 0,
    }
}

fn connection<W: Wait>(flow: &Flow<W>) -> SocketInfo {
    let socket = flow.socket();
    let (received, to_send): (usize, usize) = match &flow.stage {
        Stage::Open(ends) => (ends.received.occupied_len(), ends.to_send.occupied_len()),
        Stage::Opening(_) | Stage::Orphan(_) => (0, 0),
    };
    SocketInfo {
        id: flow.id,
        protocol: "tcp",
        state: name(flow.tcp_state()),
        local: flow.local,
        remote: Some(flow.remote),
        receive_queue: received + socket.recv_queue(),
        send_queue: to_send + socket.send_queue(),
    }
}

fn past(past: &Past) -> SocketInfo {
    SocketInfo {
        id: past.id,
        protocol: "tcp",
        state: name(tcp::State::TimeWait),
        local: past.local,
        remote: Some(past.remote),
        receive_queue: 0,
        send_queue: 0,
    }
}

fn datagrams<W: Wait>(id: SocketId, bound: &Bound<W>) -> SocketInfo {
    let (receive_queue, send_queue) = bound.state.queued();
    SocketInfo {
        id,
        protocol: "udp",
        state: "-",
        local: bound.place.shown,
        remote: bound.peer,
        receive_queue,
        send_queue,
    }
}

fn name(state: tcp::State) -> &'static str {
    match state {
        tcp::State::Closed => "CLOSED",
        tcp::State::Listen => "LISTEN",
        tcp::State::SynSent => "SYN-SENT",
        tcp::State::SynReceived => "SYN-RECEIVED",
        tcp::State::Established => "ESTABLISHED",
        tcp::State::FinWait1 => "FIN-WAIT-1",
        tcp::State::FinWait2 => "FIN-WAIT-2",
        tcp::State::CloseWait => "CLOSE-WAIT",
        tcp::State::Closing => "CLOSING",
        tcp::State::LastAck => "LAST-ACK",
        tcp::State::TimeWait => "TIME-WAIT",
    }
}
