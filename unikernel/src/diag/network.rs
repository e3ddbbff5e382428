//! The network's numbers: the stack's snapshot, as reports have it.

use alloc::format;
use alloc::string::String;

use darner_diag::NoMemory;
use darner_diag::report::{
    CardCounters, Interface, Network, Prefix, Protocol, Socket, StackCounters,
};
use darner_netstack::nic::Counters;
use darner_netstack::request::{InterfaceInfo, Snapshot, SocketInfo};
use darner_netstack::{Reply, Request};

use crate::net;

/// Asks the protocol thread. Thread context, no lock held.
pub fn look() -> Result<Network, NoMemory> {
    let Ok(Reply::Snapshot(snapshot)) = net::call(Request::Snapshot) else {
        return Err(NoMemory);
    };
    network(snapshot)
}

fn network(snapshot: Snapshot) -> Result<Network, NoMemory> {
    let mut network = Network::default();
    network.reserve(snapshot.sockets.len())?;
    network
        .interfaces
        .try_reserve_exact(snapshot.interfaces.len())?;
    for info in snapshot.interfaces {
        network.interfaces.push(interface(info)?);
    }
    for info in snapshot.sockets {
        network.add(socket(&info))?;
    }
    network.dns = snapshot.dns;
    let counted = snapshot.counters;
    network.counters = StackCounters {
        connects: counted.connects,
        accepts: counted.accepts,
        refused_for_room: counted.refused_for_room,
        broken: counted.broken,
        bad_checksums: counted.bad_checksums,
        malformed: counted.malformed,
        datagrams_dropped: counted.datagrams_dropped,
        no_room: counted.no_room,
        steps: counted.steps,
    };
    Ok(network)
}

fn interface(info: InterfaceInfo) -> Result<Interface, NoMemory> {
    let mut interface = Interface {
        name: info.name,
        mac: info.mac.map(text_of_mac),
        addresses: Default::default(),
        gateways: info.gateways,
        mtu: info.mtu,
        counters: card(&info.counters),
    };
    interface
        .addresses
        .try_reserve_exact(info.addresses.len())?;
    let prefixes = info.addresses.into_iter();
    interface
        .addresses
        .extend(prefixes.map(|(address, prefix)| Prefix { address, prefix }));
    Ok(interface)
}

fn text_of_mac([a, b, c, d, e, f]: [u8; 6]) -> String {
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}

fn card(counted: &Counters) -> CardCounters {
    CardCounters {
        rx_frames: counted.rx_frames,
        rx_bytes: counted.rx_bytes,
        rx_errors: counted.rx_errors,
        tx_frames: counted.tx_frames,
        tx_bytes: counted.tx_bytes,
        interrupts: counted.interrupts,
    }
}

fn socket(info: &SocketInfo) -> Socket {
    Socket {
        id: info.id.number(),
        protocol: match info.protocol {
            "udp" => Protocol::Udp,
            _ => Protocol::Tcp,
        },
        state: Some(info.state)
            .filter(|&state| state != "-")
            .map(Into::into),
        local: info.local,
        remote: info.remote,
        receive_queue: info.receive_queue as u64,
        send_queue: info.send_queue as u64,
    }
}
