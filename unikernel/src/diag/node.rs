//! The numbers of this node.

use alloc::string::String;
use alloc::vec::Vec;
use core::ptr::without_provenance;

use darner_diag::report::{
    Address, Class, Cpu, Heap, Interrupts, Kind, Memory, Network, Node, State, Thread, Threads,
    WaitsFor, Word,
};
use darner_diag::{NoMemory, Source};

use super::network;
use crate::abi::process;
use crate::abi::user::UserSlice;
use crate::arch::activity;
use crate::arch::percpu;
use crate::sched::{self, Doing, ThreadRef};
use crate::time::{monotonic_ns, started_ns};
use crate::{params, stats};

/// This node. Thread context, no lock held.
pub struct ThisNode;

impl Source for ThisNode {
    fn node(&self) -> Result<Node, NoMemory> {
        let params = params::get();
        let program = params.and_then(|params| params.args.first());
        let host = params.and_then(|params| params.network.host_name());
        Ok(Node {
            version: env!("CARGO_PKG_VERSION").into(),
            program: copy(program.map_or("", String::as_str))?,
            host: host.map(copy).transpose()?,
            started_ns: started_ns(),
            uptime_ns: monotonic_ns(),
        })
    }

    fn threads(&self) -> Result<Threads, NoMemory> {
        let mut threads = Threads {
            started: sched::started().into(),
            ..Threads::default()
        };
        let expected = sched::thread_count() + sched::interrupt_threads().count();
        // Some more may be started meanwhile.
        const MORE: usize = 16;
        threads.reserve(expected + MORE)?;
        for (name, interrupt_thread) in sched::interrupt_threads() {
            threads.add(thread(interrupt_thread, Kind::Interrupt, name));
        }
        sched::visit_threads(|one| {
            let tid = Some(one.kept.tid);
            threads.add(match tid {
                tid if tid == super::thread() => thread(one, Kind::Kernel, Some("diagnostics")),
                tid if tid == process::main_thread() => thread(one, Kind::Program, Some("main")),
                _ => thread(one, Kind::Program, None),
            });
        });
        Ok(threads)
    }

    fn cpus(&self) -> Result<Vec<Cpu>, NoMemory> {
        let mut cpus = Vec::new();
        cpus.try_reserve_exact(percpu::online())?;
        for index in 0..percpu::online() {
            cpus.extend(percpu::block(index).map(cpu).transpose()?);
        }
        Ok(cpus)
    }

    fn memory(&self) -> Result<Memory, NoMemory> {
        let node = stats::node();
        Ok(Memory {
            total: node.memory_total,
            free: node.memory_free,
            program: heap(&stats::program())?,
            kernel: heap(&stats::kernel())?,
        })
    }

    fn network(&self) -> Result<Network, NoMemory> {
        network::look()
    }
}

fn copy(text: &str) -> Result<String, NoMemory> {
    let mut copy = String::new();
    copy.try_reserve_exact(text.len())?;
    copy.push_str(text);
    Ok(copy)
}

fn thread(thread: &ThreadRef, kind: Kind, name: Option<&'static str>) -> Thread {
    let doing = sched::doing(thread);
    let waits_for = match doing {
        Doing::Blocked(word) => word.map(waits_for),
        Doing::Running | Doing::Ready => None,
    };
    Thread {
        id: thread.kept.tid,
        name: name.map(Into::into),
        kind,
        priority: thread.priority().number(),
        state: match doing {
            Doing::Running => State::Running,
            Doing::Ready => State::Ready,
            Doing::Blocked(_) => State::Blocked,
        },
        cpu: thread.cpu(),
        waits_for,
    }
}

fn waits_for(address: usize) -> WaitsFor {
    let word = without_provenance::<u32>(address);
    WaitsFor {
        word: match UserSlice::new(word, size_of::<u32>()) {
            Ok(_) => Word::Program,
            Err(_) => Word::Kernel,
        },
        address: Address(address as u64),
    }
}

fn cpu(block: &percpu::PerCpu) -> Result<Cpu, NoMemory> {
    let index = block.index();
    let activity = &block.activity;
    let now = monotonic_ns();
    let idle_ns = activity.idle_ns(now);
    let mut interrupts = Vec::new();
    interrupts.try_reserve_exact(activity::Kind::ALL.len())?;
    interrupts.extend(activity::Kind::ALL.map(|kind| Interrupts {
        kind: kind.name().into(),
        count: activity.interrupts(kind),
    }));
    Ok(Cpu {
        index,
        running: Some(block.running_tid()).filter(|&tid| tid != 0),
        ready: sched::ready(index) as u64,
        idle_ns,
        busy_ns: now.saturating_sub(idle_ns),
        halts: activity.halt_count(),
        messages_raised: sched::raised(index),
        interrupts,
    })
}

fn heap(told: &darner_abi::Heap) -> Result<Heap, NoMemory> {
    let used = || told.classes.iter().filter(|class| class.zones > 0);
    let mut classes = Vec::new();
    classes.try_reserve_exact(used().count())?;
    classes.extend(used().map(|class| Class {
        size: class.size,
        chunks: class.chunks,
        in_use: class.in_use,
    }));
    let totals = &told.totals;
    Ok(Heap {
        in_use: totals.in_use,
        committed: totals.committed,
        peak_committed: totals.peak_committed,
        idle: totals.idle,
        run_bytes: totals.run_bytes,
        remote_frees: totals.remote_frees,
        notifications: totals.notifications,
        refused: totals.refused,
        classes,
    })
}
