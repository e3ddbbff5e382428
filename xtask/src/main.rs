//! Darner's tool: builds the kernel library, runs programs in virtual machines,
//! tests and measures them. `cargo xtask help` lists what it can do.

#![forbid(unsafe_code)]

mod command;
mod debian;
mod error;
mod kernel;
mod rust_src;
mod toolchain;
mod workspace;

#[cfg(feature = "full")]
mod accel;
#[cfg(feature = "full")]
mod app;
#[cfg(feature = "full")]
mod bench;
#[cfg(feature = "full")]
mod build_set;
#[cfg(feature = "full")]
mod check;
#[cfg(feature = "full")]
mod cluster;
#[cfg(feature = "full")]
mod doctor;
#[cfg(feature = "full")]
mod guest_cargo;
#[cfg(feature = "full")]
mod initrd;
#[cfg(feature = "full")]
mod interrupt;
#[cfg(feature = "full")]
mod loader;
#[cfg(feature = "full")]
mod qemu;
#[cfg(feature = "full")]
mod run;
#[cfg(feature = "full")]
mod sim;
#[cfg(feature = "full")]
mod symbolize;
#[cfg(feature = "full")]
mod test;
#[cfg(feature = "full")]
mod trace;
#[cfg(feature = "full")]
mod vm;
#[cfg(all(test, feature = "full"))]
mod workflow;

use std::process::ExitCode;

use error::{Error, Result};

fn main() -> ExitCode {
    match dispatch() {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::from(error.status())
        }
    }
}

/// Does what the command line says; gives the status to exit with.
fn dispatch() -> Result<u8> {
    // What follows `--` is the program's.
    let ours = std::env::args_os().skip(1).take_while(|word| word != "--");
    if ours
        .into_iter()
        .any(|word| word == "--help" || word == "-h")
    {
        print!("{HELP}");
        return Ok(0);
    }
    let mut parser = lexopt::Parser::from_env();
    let command = match parser.next()? {
        Some(lexopt::Arg::Value(command)) => command.to_string_lossy().into_owned(),
        Some(other) => return Err(other.unexpected().into()),
        None => String::new(),
    };
    match command.as_str() {
        "build" => {
            let library = kernel::build(&kernel::Options::parse(parser)?)?;
            eprintln!("xtask: built {}", library.display());
            Ok(0)
        }
        "" | "help" => {
            print!("{HELP}");
            Ok(if command.is_empty() { 2 } else { 0 })
        }
        other => full(other, parser),
    }
}

/// The commands that a program's build script has no use for.
#[cfg(feature = "full")]
fn full(command: &str, parser: lexopt::Parser) -> Result<u8> {
    interrupt::watch()?;
    match command {
        "run" => run::run(parser),
        "trace" => run::trace(parser),
        "cluster" => cluster::run(parser),
        "test" => test::run(parser),
        "ci" => test::ci(parser),
        "bench" => bench::run(parser),
        "sim" => sim::run(parser),
        "check" => check::run(parser),
        "doctor" => doctor::run(),
        other => Err(Error::usage(format!("found no command `{other}`\n{HELP}"))),
    }
}

#[cfg(not(feature = "full"))]
fn full(command: &str, _: lexopt::Parser) -> Result<u8> {
    Err(Error::usage(format!(
        "this xtask was compiled for `build` alone, found `{command}`"
    )))
}

const HELP: &str = "\
cargo xtask run APP [OPTIONS] [-- ARGS]   run a program (a name of apps/, or a path) in a VM
    --smp N             CPUs, 1 to 64 (1)          --mem MIB         memory (256)
    --release, --debug  how to compile (release)   --machine M       q35 or microvm (q35)
    --accel A           auto, kvm or tcg (auto)    --cpu MODEL       QEMU's -cpu (max)
    --icount            count time in instructions --gdb             wait for gdb on :1234
    --log LEVEL         off error warn info debug trace
    --timeout S         give up after so many seconds (status 124)
    --env KEY=VALUE     an environment variable
    --file HOST:GUEST   a file for the guest       --dir HOST:GUEST  a folder for the guest
    --net NET           user: behind QEMU's router; tap:NAME: an interface of this machine;
                        none (user). Given again: a second card, net1, and so on
    -p [ADDR:]HOST:GUEST[/udp]  a port of this machine (127.0.0.1) that leads into the guest
    --ip dhcp, --ip off, --ip ADDR/PREFIX[,GATEWAY]    IPv4 of the card named before it
    --ip6 auto, --ip6 off, --ip6 ADDR/PREFIX[,GATEWAY] IPv6, likewise
    --mtu N             its largest packet, 1280 to 9000 bytes
    --dns A[,B]         name servers               --hostname NAME   the machine's name
    --diag PORT         a port of the guest that tells how it is doing; with --net user also
                        http://127.0.0.1:PORT
    --pcap FILE         what passes net0, for Wireshark; of net1 in FILE.net1, and so on
    --stats             say at the end how memory was used (on standard error)
    -v                  show QEMU's command line
cargo xtask trace APP --out FILE.json     as run, and write what each CPU did when (for
                                          ui.perfetto.dev, or chrome://tracing)
cargo xtask cluster --nodes N APP [OPTIONS] [-- ARGS]   run a program on N VMs that are one system
    The options of run, for each of them, and:
    --subnet ADDR/PREFIX  where their addresses are from (10.77.0.0/24): node i has the (i+1)-th
    --ip6, --mtu        before any --net: of the card on the switch (net0)
    --net user          a second card; node i then has the port HOST+i of each -p and --diag
    --pcap FILE         all that the nodes send, an interface for each
    --faults SPEC       what is wrong with the network: loss=1%,delay=5ms±2ms,reorder=2%,dup=1%,
                        corrupt=1%,reset=1%,rate=100Mbit,queue=256KiB (n2.loss=1% for one node),
                        partition=0,1|2@10s..20s, down=2@5s..; or a file FILE.toml with the same
    --kill NODE@TIME    pull that machine's plug then: 1@5s, 1@5s±2s, any@5s±2s (drawn by the seed)
    --drain NODE@TIME   have that machine leave then, and lose nothing: as --kill, but not the first;
                        it waits for the threads that run there
    --after TEXT        count the times of --faults, --kill and --drain from the first line with TEXT on
    --seed S            which frames are hit, and what is drawn (1)
    --top               a screen while it runs: CPUs, faults and messages of each node, and the pages
                        that nodes wait for, by variable, heap or stack (q: end it, s: other order)
    --trace FILE.json   write what each CPU of all nodes did when, on one clock (as trace does)
    --key FILE          64 hexadecimal digits that the nodes prove to each other that they have
                        (a new key for each run)
    --stats-json FILE   write what the nodes counted of their memory (--stats shows it as a table)
    --log-dir DIR       where n0.log, n1.log, ... go (kept only when a node fails)
    --join-after S      start the last node S seconds later: its CPUs are added then
    --cipher C          what encrypts between nodes: portable code, or vectors (the faster one)
    --silence S         how many seconds a node that says nothing is waited for (2; 20 when emulated)
    --separate          as many programs instead, which can talk to each other
    --keep-going        with --separate: when a node fails, let the others run on
    The status is the program's: 75 if it cannot go on without a machine that is lost. With
    --separate it is 0, or that of the node that failed first.
cargo xtask test [FILTER...] [--list]     run the tests whose names contain a filter (all)
    --deep              also those that take hours: programs and suites on more machines
cargo xtask ci [JOB...] [OPTIONS]         run the jobs of ci/jobs (JOB or JOB/TOPOLOGY; all but deep ones)
    --list              say which there are        --deep            those that take long, too
    --seed S            the first seed of each run (1)
    --runs N            with how many seeds each is run (what the job says)
cargo xtask bench [GROUP] [--json]        measure a group of figures (none: list the groups)
cargo xtask sim [OPTIONS]                 clusters in virtual time, checked after every step
    --seed S            the first episode (1); each next one has the next seed
    --steps K           how many steps in all (1000000)
    --nodes N           how many nodes, 1 to 64 (drawn from the seed)
    --faults LIST       all, none, or some of crash,pause,partition,cut,clock,pressure,
                        move,leave (drawn)
    --views WHOSE       given, or theirs: as the nodes agree on them (drawn)
    --tries K           how many episodes to play at most to reduce one that is wrong (2000)
    --show K            how many of its last steps to show (40)
    --plot FILE.svg     instead, draw messages per operation by number of nodes
    --figures           instead, print figures
cargo xtask check --deep [--steps K]      model checks and simulations that take an hour
cargo xtask doctor                        what is there and what is missing
cargo xtask build [OPTIONS]               make libhermit.a (the hook of the `hermit` crate)
    --arch x86_64  --profile dev|release  --target-dir DIR  --no-default-features  --features F
";
