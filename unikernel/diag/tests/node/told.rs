//! A node that is made up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use darner_diag::report::{
    Address, CardCounters, Class, Cpu, Heap, Interface, Interrupts, Kind, Memory, Network, Node,
    Prefix, Protocol, Report, Socket, StackCounters, State, Thread, Threads, WaitsFor, Word,
};
use darner_diag::{NoMemory, Source};

/// A node that tells a report, or that has no memory.
pub struct Told(pub Option<Report>);

impl Told {
    fn tell<T: Clone>(&self, part: impl Fn(&Report) -> &T) -> Result<T, NoMemory> {
        self.0
            .as_ref()
            .map(|report| part(report).clone())
            .ok_or(NoMemory)
    }
}

impl Source for Told {
    fn node(&self) -> Result<Node, NoMemory> {
        self.tell(|report| &report.node)
    }

    fn threads(&self) -> Result<Threads, NoMemory> {
        self.tell(|report| &report.threads)
    }

    fn cpus(&self) -> Result<Vec<Cpu>, NoMemory> {
        self.tell(|report| &report.cpus)
    }

    fn memory(&self) -> Result<Memory, NoMemory> {
        self.tell(|report| &report.memory)
    }

    fn network(&self) -> Result<Network, NoMemory> {
        self.tell(|report| &report.network)
    }
}

fn thread(id: u32, state: State) -> Thread {
    Thread {
        id,
        name: (id == 1).then_some("main".into()),
        kind: if id >> 31 == 0 {
            Kind::Program
        } else {
            Kind::Interrupt
        },
        priority: 2,
        state,
        cpu: 1,
        waits_for: (state == State::Blocked).then_some(WaitsFor {
            word: Word::Kernel,
            address: Address(0xffff_8000_0000_1234),
        }),
    }
}

/// A report with something in every field.
pub fn example() -> Report {
    let mut threads = Threads {
        started: 17,
        ..Threads::default()
    };
    threads.reserve(3).unwrap();
    for (id, state) in [
        (1, State::Running),
        (2, State::Ready),
        (1 << 31, State::Blocked),
        (4, State::Blocked),
    ] {
        threads.add(thread(id, state));
    }
    let cpu = |index| Cpu {
        index,
        running: (index == 0).then_some(1),
        ready: 1,
        idle_ns: 1_500_000_000,
        busy_ns: u64::MAX,
        halts: 33,
        messages_raised: 5,
        interrupts: ["timer", "message"]
            .map(|kind| Interrupts {
                kind: kind.into(),
                count: 100 + index as u64,
            })
            .into(),
    };
    let heap = |in_use| Heap {
        in_use,
        committed: 2 * in_use,
        peak_committed: 3 * in_use,
        idle: 4,
        run_bytes: 5,
        remote_frees: 6,
        notifications: 7,
        refused: 8,
        classes: vec![Class {
            size: 64,
            chunks: 10,
            in_use: 9,
        }],
    };
    Report {
        node: Node {
            version: "0.1.0".into(),
            program: "a \"quoted\"\\name\n".into(),
            host: Some("darner".into()),
            started_ns: 1_700_000_000_500_000_000,
            uptime_ns: 61_000_000_001,
        },
        threads,
        cpus: vec![cpu(0), cpu(1)],
        memory: Memory {
            total: 128 << 20,
            free: 100 << 20,
            program: heap(1000),
            kernel: heap(2000),
        },
        network: network(),
    }
}

fn network() -> Network {
    let interface = |name: &str, mac| Interface {
        name: name.into(),
        mac,
        addresses: vec![
            Prefix {
                address: IpAddr::V4(Ipv4Addr::new(10, 0, 2, 15)),
                prefix: 24,
            },
            Prefix {
                address: IpAddr::V6(Ipv6Addr::LOCALHOST),
                prefix: 128,
            },
        ],
        gateways: vec![IpAddr::V4(Ipv4Addr::new(10, 0, 2, 2))],
        mtu: 1500,
        counters: CardCounters {
            rx_frames: 1,
            rx_bytes: 2,
            rx_errors: 3,
            tx_frames: 4,
            tx_bytes: 5,
            interrupts: 6,
        },
    };
    let mut network = Network {
        interfaces: vec![
            interface("lo", None),
            interface("net0", Some("02:00:00:00:00:01".into())),
        ],
        dns: vec![IpAddr::V4(Ipv4Addr::new(10, 0, 2, 3))],
        counters: StackCounters {
            connects: 1,
            accepts: 2,
            refused_for_room: 3,
            broken: 4,
            bad_checksums: 5,
            malformed: 6,
            datagrams_dropped: 7,
            no_room: 8,
            steps: 9,
        },
        ..Network::default()
    };
    network.reserve(2).unwrap();
    for (id, state) in [(1, "LISTEN"), (2, "ESTABLISHED"), (3, "ESTABLISHED")] {
        let socket = Socket {
            id,
            protocol: Protocol::Tcp,
            state: Some(state.into()),
            local: "10.0.2.15:80".parse().unwrap(),
            remote: (id > 1).then(|| "[fe80::1]:50000".parse().unwrap()),
            receive_queue: 10,
            send_queue: 20,
        };
        network.add(socket).unwrap();
    }
    network
}
