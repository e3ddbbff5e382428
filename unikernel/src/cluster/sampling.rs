//! Samples: what this node tells of itself while the program runs, for `xtask cluster --top`.
//!
//! A thread takes one every [`INTERVAL`] and writes it to a debug console that the command line names
//! (`top=PORT`), byte by byte as [`darner_abi::sample`] has it. Without that there is neither the thread nor
//! a table of pages.

use alloc::boxed::Box;

use darner_abi::Sample;
use darner_abi::sample::MOST_BYTES;

use super::{Reply, Request, call, is_active, place};
use crate::abi::process::NORMAL_PRIORITY;
use crate::arch::percpu;
use crate::control::DebugPort;
use crate::params::Params;
use crate::time::monotonic_ns;
use crate::{panic, sched, stats};

/// The time from one sample to the next, in ns.
const INTERVAL: u64 = 500_000_000;
/// It is there to tell why the program's threads are busy.
const PRIORITY: u8 = NORMAL_PRIORITY + 1;
/// The numbers of both heaps are put together on it.
const STACK_BYTES: u64 = 64 << 10;

/// Starts the thread if the command line asks for it, and this is a node of a cluster. Boot.
pub fn start(params: &Params) {
    let Some(port) = params.top.filter(|_| is_active()) else {
        return;
    };
    if sched::spawn_kernel(run, port.into(), PRIORITY, STACK_BYTES, None).is_err() {
        panic::refuse(format_args!(
            "there is no memory for the thread that takes samples; give the VM more memory"
        ));
    }
}

extern "C" fn run(port: usize) {
    let mut port = DebugPort(port as u16);
    let mut sample = Box::<Sample>::default();
    let mut bytes = Box::new([0; MOST_BYTES]);
    loop {
        sample = take(sample);
        let length = sample.encode(&mut bytes);
        port.write(&bytes[..length]);
        sched::sleep_until(monotonic_ns() + INTERVAL);
    }
}

/// Takes a sample into this one. Waits until the node serves.
fn take(sample: Box<Sample>) -> Box<Sample> {
    let Reply::Sample(mut sample) = call(Request::Sample(sample)) else {
        unreachable!("the answer fits the request");
    };
    for page in sample.hot_mut() {
        let (node, place) = place::at(page.address);
        (page.node, page.place) = (node.0, place);
    }
    let (node, heap) = (stats::node(), stats::program().totals);
    sample.threads = sched::program_thread_count() as u64;
    sample.memory_total = node.memory_total;
    sample.memory_free = node.memory_free;
    sample.heap_in_use = heap.in_use;
    sample.heap_committed = heap.committed;
    let now = monotonic_ns();
    sample.now_ns = now;
    let cpus = (0..percpu::online()).filter_map(percpu::block);
    sample.set_idle_ns(cpus.map(|block| block.activity.idle_ns(now)));
    sample
}
