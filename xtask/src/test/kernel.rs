//! The kernel's tests of itself, by the program `kernel-tests`.

use super::case::Case;
use super::scenario::Scenario;
use crate::vm::Machine;

/// As the program knows them.
const TESTS: [&str; 10] = [
    "ipi-storm",
    "rendezvous",
    "passive",
    "migrate",
    "tlb",
    "interrupts",
    "reclaim",
    "clock",
    "counters",
    "virtqueue",
];

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut cases = on_all_numbers_of_cpus();
    cases.extend(network());
    cases
}

/// Each on 1, 2, 4 and 8 CPUs.
fn on_all_numbers_of_cpus() -> Vec<Case> {
    let host = std::thread::available_parallelism().map_or(1, usize::from);
    TESTS
        .into_iter()
        .flat_map(|test| [1, 2, 4, 8].map(|cpus| (test, cpus)))
        .map(|(test, cpus)| {
            Scenario::new(format!("kernel/{test}/{cpus}cpu"), "kernel-tests", &[test])
                .cpus(cpus)
                // Half of these tests is waiting for other CPUs.
                .in_turns(cpus as usize > host)
                .prints(format!("ok     {test} ("))
                .case()
        })
        .collect()
}

/// A card: the test's name, the machine, and QEMU's options for it.
type Card = (&'static str, Machine, &'static str);

/// Cards as hypervisors may offer them.
const CARDS: [Card; 8] = [
    (
        "msix",
        Machine::Q35,
        "-device virtio-net-pci,netdev=n,disable-legacy=on",
    ),
    (
        "transitional",
        Machine::Q35,
        "-device virtio-net-pci,netdev=n",
    ),
    (
        "one-vector",
        Machine::Q35,
        "-device virtio-net-pci,netdev=n,vectors=1",
    ),
    (
        "no-events",
        Machine::Q35,
        "-device virtio-net-pci,netdev=n,event_idx=off",
    ),
    (
        "unmerged",
        Machine::Q35,
        "-device virtio-net-pci,netdev=n,mrg_rxbuf=off",
    ),
    (
        "jumbo",
        Machine::Q35,
        "-device virtio-net-pci,netdev=n,host_mtu=9000",
    ),
    (
        "bridge",
        Machine::Q35,
        "-device pcie-root-port,id=root0 -device virtio-net-pci,netdev=n,bus=root0",
    ),
    (
        "mmio",
        Machine::Microvm,
        "-global virtio-mmio.force-legacy=false -device virtio-net-device,netdev=n",
    ),
];

/// Cards that must be refused, and what is said about them.
const REFUSED: [(Card, &str); 4] = [
    (
        (
            "legacy",
            Machine::Q35,
            "-device virtio-net-pci,netdev=n,disable-modern=on",
        ),
        "expected that of 1.0",
    ),
    (
        (
            "no-msix",
            Machine::Q35,
            "-device virtio-net-pci,netdev=n,vectors=0",
        ),
        "found no MSI-X",
    ),
    (
        ("e1000", Machine::Q35, "-device e1000,netdev=n"),
        "expected virtio-net",
    ),
    (
        (
            "mmio-legacy",
            Machine::Microvm,
            "-device virtio-net-device,netdev=n",
        ),
        "expected that of 1.0",
    ),
];

/// The drivers of network cards, on 1 and 2 CPUs, without the network stack.
fn network() -> Vec<Case> {
    let used = CARDS.into_iter().flat_map(|card| {
        [1, 2].map(|cpus| {
            with_card(card)
                .named(&format!("kernel/network/{}/{cpus}cpu", card.0))
                .cpus(cpus)
                .prints("ok     network card 0 (")
                .case()
        })
    });
    let refused = REFUSED.into_iter().map(|(card, because)| {
        with_card(card)
            .status(1)
            .reports(because)
            .prints("found no network card")
            .case()
    });
    used.chain(refused).chain([named().case()]).collect()
}

/// A card that the command line names, as Linux's does, and one that is not there.
fn named() -> Scenario {
    const LINE: &str = "name=kernel-tests stderr=0xe9 control=0xea exit=0xf4 stdin=framed \
        virtio_mmio.device=512@0xfeb02e00:47 virtio_mmio.device=512@0xfeb00000:24 -- network";
    Scenario::new("kernel/network/named", "kernel-tests", &[])
        .machine(Machine::Microvm)
        .qemu_args(&[
            "-global",
            "virtio-mmio.force-legacy=false",
            "-netdev",
            "user,id=n",
            "-device",
            "virtio-net-device,netdev=n",
            // Instead of the line before.
            "-append",
            LINE,
        ])
        .reports("found no virtio device at 0xfeb00000")
        .prints("ok     network card 0 (")
}

fn with_card((name, machine, options): Card) -> Scenario {
    let options = ["-netdev", "user,id=n"]
        .into_iter()
        .chain(options.split(' '));
    Scenario::new(
        format!("kernel/network/{name}"),
        "kernel-tests",
        &["network"],
    )
    .machine(machine)
    .qemu_args(&options.collect::<Vec<_>>())
}
