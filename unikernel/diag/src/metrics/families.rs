//! What is told, and by which names.

use crate::report::{
    CardCounters, Class, Cpu, Heap, Interface, Memory, Network, Node, StackCounters, Threads,
};
use crate::source::NoMemory;

use super::text::Value::{Number, Seconds};
use super::text::{Family, Kind, Text, Value};

type Written = Result<(), NoMemory>;

const fn counter(name: &'static str, help: &'static str) -> Family {
    Family {
        name,
        help,
        kind: Kind::Counter,
    }
}

const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family {
        name,
        help,
        kind: Kind::Gauge,
    }
}

pub fn node(text: &mut Text, node: &Node) -> Written {
    let host = node.host.as_deref().unwrap_or("");
    text.family(gauge(
        "info",
        "Which node this is: the number says nothing, the labels do.",
    ))?
    .sample(
        &[
            ("version", &node.version),
            ("program", &node.program),
            ("host", &host),
        ],
        Number(1),
    )?;
    text.single(
        gauge("start_time_seconds", "When it booted, since 1970."),
        Seconds(node.started_ns),
    )?;
    text.single(
        gauge("uptime_seconds", "Time since it booted."),
        Seconds(node.uptime_ns),
    )
}

pub fn threads(text: &mut Text, threads: &Threads) -> Written {
    let mut samples = text.family(gauge("threads", "Threads, by what they do."))?;
    for (state, count) in [
        ("running", threads.running),
        ("ready", threads.ready),
        ("blocked", threads.blocked),
    ] {
        samples.sample(&[("state", &state)], Number(count))?;
    }
    text.single(
        counter(
            "threads_started_total",
            "Threads that were started, interrupt threads not counted.",
        ),
        Number(threads.started),
    )
}

type OfCpu = (Family, fn(&Cpu) -> Value);

const OF_A_CPU: [OfCpu; 5] = [
    (
        counter("cpu_idle_seconds_total", "Time that the CPU was halted."),
        |cpu| Seconds(cpu.idle_ns),
    ),
    (
        counter(
            "cpu_busy_seconds_total",
            "Time that the CPU was not halted.",
        ),
        |cpu| Seconds(cpu.busy_ns),
    ),
    (
        counter("cpu_halts_total", "How often the CPU has halted."),
        |cpu| Number(cpu.halts),
    ),
    (
        counter(
            "cpu_messages_raised_total",
            "Message interrupts that were raised on the CPU.",
        ),
        |cpu| Number(cpu.messages_raised),
    ),
    (
        gauge("cpu_ready_threads", "Threads that wait for the CPU."),
        |cpu| Number(cpu.ready),
    ),
];

pub fn cpus(text: &mut Text, cpus: &[Cpu]) -> Written {
    text.single(
        gauge("cpus", "CPUs that run threads."),
        Number(cpus.len() as u64),
    )?;
    for (family, value) in OF_A_CPU {
        let mut samples = text.family(family)?;
        for cpu in cpus {
            samples.sample(&[("cpu", &cpu.index)], value(cpu))?;
        }
    }
    let mut samples = text.family(counter(
        "cpu_interrupts_total",
        "Interrupts that the CPU has taken.",
    ))?;
    for cpu in cpus {
        for interrupts in &cpu.interrupts {
            samples.sample(
                &[("cpu", &cpu.index), ("kind", &interrupts.kind)],
                Number(interrupts.count),
            )?;
        }
    }
    Ok(())
}

type OfHeap = (Family, fn(&Heap) -> u64);

const OF_A_HEAP: [OfHeap; 8] = [
    (
        gauge("heap_in_use_bytes", "Memory that is handed out."),
        |heap| heap.in_use,
    ),
    (
        gauge("heap_committed_bytes", "RAM that the heap has."),
        |heap| heap.committed,
    ),
    (
        gauge("heap_peak_committed_bytes", "The most RAM that it had."),
        |heap| heap.peak_committed,
    ),
    (
        gauge("heap_idle_bytes", "RAM that it has and no block lies in."),
        |heap| heap.idle,
    ),
    (
        gauge("heap_run_bytes", "Memory handed out as runs of pages."),
        |heap| heap.run_bytes,
    ),
    (
        counter(
            "heap_remote_frees_total",
            "Chunks that came home from other CPUs.",
        ),
        |heap| heap.remote_frees,
    ),
    (
        counter(
            "heap_notifications_total",
            "Messages between CPUs because of such chunks.",
        ),
        |heap| heap.notifications,
    ),
    (
        counter(
            "heap_refused_frees_total",
            "Wrong frees, which were not carried out.",
        ),
        |heap| heap.refused,
    ),
];

type OfClass = (Family, fn(&Class) -> u64);

const OF_A_CLASS: [OfClass; 2] = [
    (
        gauge("heap_class_chunks", "Chunks of a size class."),
        |class| class.chunks,
    ),
    (
        gauge(
            "heap_class_in_use_chunks",
            "Chunks of a size class that are handed out.",
        ),
        |class| class.in_use,
    ),
];

pub fn memory(text: &mut Text, memory: &Memory) -> Written {
    text.single(
        gauge("memory_bytes", "RAM that the kernel manages."),
        Number(memory.total),
    )?;
    text.single(
        gauge("memory_free_bytes", "RAM that nothing uses."),
        Number(memory.free),
    )?;
    let heaps = [("program", &memory.program), ("kernel", &memory.kernel)];
    for (family, value) in OF_A_HEAP {
        let mut samples = text.family(family)?;
        for (name, heap) in heaps {
            samples.sample(&[("heap", &name)], Number(value(heap)))?;
        }
    }
    for (family, value) in OF_A_CLASS {
        let mut samples = text.family(family)?;
        for (name, heap) in heaps {
            for class in &heap.classes {
                let labels: [(_, &dyn core::fmt::Display); 2] =
                    [("heap", &name), ("bytes", &class.size)];
                samples.sample(&labels, Number(value(class)))?;
            }
        }
    }
    Ok(())
}

type OfCard = (Family, fn(&CardCounters) -> u64);

const OF_A_CARD: [OfCard; 6] = [
    (
        counter("interface_receive_frames_total", "Frames received."),
        |card| card.rx_frames,
    ),
    (
        counter("interface_receive_bytes_total", "Bytes of frames received."),
        |card| card.rx_bytes,
    ),
    (
        counter(
            "interface_receive_errors_total",
            "Received frames that were of no use.",
        ),
        |card| card.rx_errors,
    ),
    (
        counter("interface_transmit_frames_total", "Frames sent."),
        |card| card.tx_frames,
    ),
    (
        counter("interface_transmit_bytes_total", "Bytes of frames sent."),
        |card| card.tx_bytes,
    ),
    (
        counter("interface_interrupts_total", "Interrupts of the card."),
        |card| card.interrupts,
    ),
];

pub fn interfaces(text: &mut Text, interfaces: &[Interface]) -> Written {
    let mut samples = text.family(gauge("interface_mtu_bytes", "The largest IP packet."))?;
    for interface in interfaces {
        let mtu = Number(interface.mtu.into());
        samples.sample(&[("interface", &interface.name)], mtu)?;
    }
    for (family, value) in OF_A_CARD {
        let mut samples = text.family(family)?;
        for interface in interfaces {
            let value = Number(value(&interface.counters));
            samples.sample(&[("interface", &interface.name)], value)?;
        }
    }
    Ok(())
}

type OfStack = (Family, fn(&StackCounters) -> u64);

const OF_THE_STACK: [OfStack; 9] = [
    (
        counter("tcp_connects_total", "Connections that programs began."),
        |stack| stack.connects,
    ),
    (
        counter("tcp_accepts_total", "Connections that others began."),
        |stack| stack.accepts,
    ),
    (
        counter(
            "tcp_refused_for_room_total",
            "Connections for which there was no room.",
        ),
        |stack| stack.refused_for_room,
    ),
    (
        counter("tcp_broken_total", "Connections that broke."),
        |stack| stack.broken,
    ),
    (
        counter(
            "network_bad_checksums_total",
            "Frames with a wrong checksum.",
        ),
        |stack| stack.bad_checksums,
    ),
    (
        counter("network_malformed_total", "Frames that made no sense."),
        |stack| stack.malformed,
    ),
    (
        counter(
            "udp_datagrams_dropped_total",
            "Datagrams that found a full queue.",
        ),
        |stack| stack.datagrams_dropped,
    ),
    (
        counter(
            "network_no_room_total",
            "Frames for which a card had no room.",
        ),
        |stack| stack.no_room,
    ),
    (
        counter("network_steps_total", "Runs of the protocol thread."),
        |stack| stack.steps,
    ),
];

pub fn stack(text: &mut Text, network: &Network) -> Written {
    let mut samples = text.family(gauge("sockets", "Sockets, by protocol and state."))?;
    for kind in &network.socket_counts {
        let (protocol, state) = (kind.protocol.name(), kind.state.as_deref().unwrap_or(""));
        samples.sample(
            &[("protocol", &protocol), ("state", &state)],
            Number(kind.count),
        )?;
    }
    for (family, value) in OF_THE_STACK {
        text.single(family, Number(value(&network.counters)))?;
    }
    Ok(())
}
