//! The programs of `apps/` on every machine: both machine types, 1, 2 and 4
//! CPUs, both profiles. What a program prints must be what it prints on Linux.

use std::process::Command;
use std::time::Duration;

use super::case::Case;
use super::scenario::Scenario;
use super::suite::Suite;
use crate::command;
use crate::kernel::Profile;
use crate::vm::Machine;

const TEXT: &str = "LICENSE-APACHE";

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for profile in [Profile::Release, Profile::Debug] {
        for machine in [Machine::Q35, Machine::Microvm] {
            for cpus in [1, 2, 4] {
                let on = |app: &str| {
                    format!(
                        "apps/{app}/{}/{cpus}cpu/{}",
                        machine.name(),
                        profile.folder()
                    )
                };
                cases.extend(
                    [
                        hello(on("hello"), cpus),
                        tour(on("std-tour"), cpus),
                        wordcount(on("wordcount")),
                        mandelbrot(on("mandelbrot"), profile),
                    ]
                    .map(|scenario| scenario.profile(profile).machine(machine).cpus(cpus).case()),
                );
                // Where nothing is optimised, they take minutes.
                if profile == Profile::Release {
                    cases.extend(
                        [net_tour(on("net-tour")), mio_tour(on("mio-tour"))]
                            .map(|tour| tour.profile(profile).machine(machine).cpus(cpus).case()),
                    );
                }
            }
        }
    }
    cases.push(net_tour_alone());
    cases
}

fn hello(name: String, cpus: u32) -> Scenario {
    let squares: Vec<u32> = (0..cpus).map(|number| number * number).collect();
    Scenario::new(name, "hello", &["dear", "two words"]).output(move |_| {
        Ok(format!(
            "Hello from Darner!\nYou said: dear two words\n{cpus} CPUs, one thread each: {squares:?}\n"
        )
        .into_bytes())
    })
}

fn tour(name: String, _: u32) -> Scenario {
    Scenario::new(name, "std-tour", &["--stdin"])
        .input("one line\nand another\n".repeat(1000))
        .env("DARNER_TOUR=a b")
        .prints("2000 lines, 21000 bytes, then its end")
        .prints("DARNER_TOUR=a b")
        .prints("all well")
        .never_prints("FAILED")
        .reports("this line is for standard error")
}

fn wordcount(name: String) -> Scenario {
    let text = crate::workspace::root().unwrap_or_default().join(TEXT);
    let path = text.display().to_string();
    Scenario::new(name, "wordcount", &["/text"])
        .share(text, "/text")
        .output(move |suite| on_host(suite, "wordcount", &[&path]))
}

fn mandelbrot(name: String, profile: Profile) -> Scenario {
    let size = match profile {
        Profile::Release => "240",
        Profile::Debug => "96",
    };
    Scenario::new(name, "mandelbrot", &["--size", size])
        .output(move |suite| on_host(suite, "mandelbrot", &["--size", size]))
}

/// The buffers of a thousand connections, both ends of each: a quarter of the memory is for
/// those of all connections.
const NET_TOUR_MIB: u64 = 1024;
/// Many times what it takes on a machine that does nothing else.
const NET_TOUR_PATIENCE: Duration = Duration::from_secs(300);

fn net_tour(name: String) -> Scenario {
    Scenario::new(name, "net-tour", &[])
        .memory(NET_TOUR_MIB)
        .patience(NET_TOUR_PATIENCE)
        .output(|suite| on_host(suite, "net-tour", &[]))
}

fn mio_tour(name: String) -> Scenario {
    Scenario::new(name, "mio-tour", &[])
        .patience(NET_TOUR_PATIENCE)
        .output(|suite| on_host(suite, "mio-tour", &[]))
}

/// The host has a network, and a name server.
fn net_tour_alone() -> Case {
    Scenario::new("apps/net-tour/alone", "net-tour", &["--alone"])
        .memory(NET_TOUR_MIB)
        .patience(NET_TOUR_PATIENCE)
        .cpus(2)
        .prints("alone: groups (joined, heard and left)")
        .prints("all well")
        .never_prints("FAILED")
        .case()
}

/// What the same program prints on this machine.
pub fn on_host(suite: &Suite, name: &str, args: &[&str]) -> Result<Vec<u8>, String> {
    let program = suite.host_program(name)?;
    command::output(Command::new(program).args(args))
        .map(String::into_bytes)
        .map_err(|error| error.to_string())
}
