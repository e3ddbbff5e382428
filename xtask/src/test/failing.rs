//! Programs that fail, machines that will not do: each has to end in the way
//! that is documented, and to say why.

use super::case::Case;
use super::scenario::Scenario;
use crate::kernel::Profile;
use crate::vm::Machine;

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut scenarios = panics();
    scenarios.extend(faults());
    scenarios.extend(endings());
    scenarios.extend(machines());
    scenarios.into_iter().map(Scenario::case).collect()
}

fn faulty(kind: &str) -> Scenario {
    Scenario::new(format!("faults/{kind}"), "faults", &[kind]).prints("about to ")
}

fn panics() -> Vec<Scenario> {
    vec![
        faulty("panic")
            .status(101)
            .reports("this is the panic of main")
            .reports("apps/faults/src/panics.rs")
            .traces("panics::panic"),
        faulty("thread-panic")
            .status(101)
            .reports("this is the panic of a thread")
            .reports("doomed")
            .traces("panics::thread_panic"),
        faulty("double-panic")
            .status(101)
            .reports("this is the first panic"),
        faulty("panic")
            .named("faults/panic/debug")
            .profile(Profile::Debug)
            .status(101)
            .traces("panics.rs:"),
        faulty("panic")
            .named("faults/panic/4cpu")
            .cpus(4)
            .status(101)
            .traces("panics::panic"),
        faulty("abort")
            .status(101)
            .traces("apps/faults/src/endings.rs"),
        faulty("heap-exhaustion")
            .status(101)
            .reports("memory allocation of 4096 bytes failed"),
        faulty("try-reserve")
            .prints("refused: ")
            .prints("100 bytes are no problem"),
    ]
}

fn faults() -> Vec<Scenario> {
    let fault = |kind| faulty(kind).status(139);
    vec![
        fault("stack-overflow")
            .reports("stack overflow")
            .traces("recurse"),
        fault("stack-overflow")
            .named("faults/stack-overflow/debug")
            .profile(Profile::Debug)
            .reports("stack overflow"),
        fault("thread-stack-overflow")
            .reports("stack overflow")
            .traces("recurse"),
        fault("thread-stack-overflow")
            .named("faults/thread-stack-overflow/4cpu")
            .cpus(4)
            .reports("stack overflow"),
        fault("null")
            .reports("null pointer")
            .reports("0x0")
            .traces("read"),
        fault("wild").reports("0x123456789000").traces("read"),
        fault("noncanonical")
            .reports("non-canonical")
            .traces("read"),
        fault("write-text")
            .reports("write at")
            .reports("read-only")
            .traces("write_text"),
        fault("exec-data").reports("execute at"),
        fault("exec-stack").reports("execute at"),
        fault("divide").reports("division by zero").traces("divide"),
        faulty("triple-fault").dies(),
        fault("illegal").reports("invalid").traces("illegal"),
    ]
}

fn endings() -> Vec<Scenario> {
    let exit = |number: &'static str, status| {
        Scenario::new(format!("exit/{number}"), "faults", &["exit", number]).status(status)
    };
    vec![
        exit("0", 0),
        exit("1", 1),
        exit("255", 255),
        exit("1/4cpu", 1).args(&["exit", "1"]).cpus(4),
        Scenario::new("exit/usage", "faults", &[])
            .status(2)
            .reports("usage: faults KIND"),
        faulty("return-err")
            .status(1)
            .reports("this is the error that main returns"),
        faulty("missing-file")
            .status(1)
            .reports("cannot read /no/such/file"),
        Scenario::new("faults/missing-argument-file", "wordcount", &["/text"])
            .status(1)
            .reports("cannot read /text"),
        faulty("hang").times_out(4),
        faulty("hang")
            .named("faults/hang/4cpu")
            .cpus(4)
            .times_out(4),
        faulty("hang-idle").times_out(4),
    ]
}

fn machines() -> Vec<Scenario> {
    let hello = |name: &str| Scenario::new(format!("machine/{name}"), "hello", &[]);
    vec![
        hello("64cpu")
            .cpus(64)
            .memory(512)
            .prints("64 CPUs, one thread each"),
        hello("16-mib").memory(16).prints("Hello from Darner!"),
        hello("too-little-memory").memory(4).refused("memory"),
        hello("microvm-without-pit")
            .machine(Machine::Microvm)
            .qemu_args(&["-machine", "pit=off"])
            .prints("Hello from Darner!"),
        hello("microvm-without-a-clock")
            .machine(Machine::Microvm)
            .qemu_args(&["-machine", "pit=off,rtc=off"])
            .refused("frequency of the time-stamp counter"),
        hello("cpu-without-nx").cpu_model("max,-nx").refused("nx"),
        hello("cpu-without-fsgsbase")
            .cpu_model("max,-fsgsbase")
            .prints("Hello from Darner!"),
        hello("cpu-qemu64")
            .cpu_model("qemu64,+rdrand")
            .cpus(2)
            .prints("Hello from Darner!"),
        without_rdrand("q35", Machine::Q35)
            .entropy()
            .prints("ok     heap"),
        without_rdrand("microvm", Machine::Microvm)
            .entropy()
            .prints("ok     heap"),
        without_rdrand("nor-device", Machine::Q35).refused("random numbers"),
        hello("cpu-unknown")
            .cpu_model("dragonfly")
            .qemu_fails("dragonfly"),
    ]
}

/// A program that needs random numbers, on a processor that has none.
fn without_rdrand(name: &str, machine: Machine) -> Scenario {
    Scenario::new(
        format!("machine/cpu-without-rdrand/{name}"),
        "std-tour",
        &[],
    )
    .machine(machine)
    .cpu_model("qemu64")
}
