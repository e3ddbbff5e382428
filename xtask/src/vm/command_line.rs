//! QEMU's command line, and the guest's.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use super::config::{Config, Guest, Machine};
use crate::accel::Accelerator;
use crate::command;
use crate::error::Result;

/// Ports of the devices by which the guest talks to xtask.
const STDERR_PORT: &str = "0xe9";
const CONTROL_PORT: &str = "0xea";
const TRACE_PORT: &str = "0xeb";
const SAMPLES_PORT: &str = "0xec";
const EXIT_PORT: &str = "0xf4";

/// The channels' sockets, in the VM's folder.
pub const COM1: &str = "com1";
/// See [`COM1`].
pub const STDERR: &str = "stderr";
/// See [`COM1`].
pub const CONTROL: &str = "control";
/// See [`COM1`]; only where samples are asked for.
pub const SAMPLES: &str = "samples";

/// The command that runs this guest on this machine, its channels in `folder`: samples among them or not.
pub fn qemu(
    program: &Path,
    config: &Config,
    guest: &Guest,
    folder: &Path,
    is_sampled: bool,
) -> Result<Command> {
    let mut qemu = hardware(program, config)?;
    let samples = is_sampled.then_some((SAMPLES_PORT, SAMPLES));
    let consoles = [(STDERR_PORT, STDERR), (CONTROL_PORT, CONTROL)];
    let consoles = || consoles.into_iter().chain(samples);
    for name in [COM1].into_iter().chain(consoles().map(|(_, name)| name)) {
        let mut socket = OsString::from(format!("socket,id={name},path="));
        socket.push(folder.join(name));
        qemu.arg("-chardev").arg(socket);
    }
    qemu.args(["-serial", &format!("chardev:{COM1}")]);
    for (port, name) in consoles() {
        qemu.args([
            "-device",
            &format!("isa-debugcon,iobase={port},chardev={name}"),
        ]);
    }
    qemu.args([
        "-device",
        &format!("isa-debug-exit,iobase={EXIT_PORT},iosize=0x04"),
    ]);
    if let Some(trace) = &config.trace {
        let mut file = OsString::from("file,id=trace,path=");
        file.push(trace);
        qemu.arg("-chardev").arg(file);
        qemu.args([
            "-device",
            &format!("isa-debugcon,iobase={TRACE_PORT},chardev=trace"),
        ]);
    }
    if config.gdb {
        qemu.args(["-gdb", "tcp:127.0.0.1:1234", "-S"]);
    }
    qemu.arg("-kernel")
        .arg(&guest.loader)
        .arg("-initrd")
        .arg(&guest.initrd);
    qemu.arg("-append").arg(kernel(config, guest, is_sampled));
    qemu.args(&config.more_args);
    Ok(qemu)
}

/// The command that runs a machine on which nothing is started, without a channel to the
/// outside but its network.
pub fn hardware(program: &Path, config: &Config) -> Result<Command> {
    let accel = match config.icount {
        true => Accelerator::Tcg,
        false => config.accel.resolve()?,
    };
    let mut qemu = Command::new(program);
    // A bare machine: neither the user's configuration nor default devices.
    qemu.args([
        "-no-user-config",
        "-nodefaults",
        "-no-reboot",
        "-display",
        "none",
        "-monitor",
        "none",
    ]);
    qemu.args(["-machine", config.machine.option()]);
    qemu.args(["-accel"]).arg(match accel {
        Accelerator::Kvm => "kvm",
        Accelerator::Tcg if config.icount || config.in_turns => "tcg,thread=single",
        Accelerator::Tcg => "tcg,thread=multi",
    });
    if config.icount {
        // One instruction is one nanosecond, and waiting takes none.
        qemu.args(["-icount", "shift=0,sleep=off"]);
    }
    qemu.args(["-cpu", &config.cpu_model]);
    qemu.args(["-smp", &config.cpus.to_string()]);
    qemu.args(["-m", &format!("{}M", config.memory_mib)]);
    add_virtio(&mut qemu, config);
    Ok(qemu)
}

/// The devices that the guest drives by itself.
fn add_virtio(qemu: &mut Command, config: &Config) {
    if config.machine == Machine::Microvm && (config.entropy || !config.network.nics.is_empty()) {
        // Its bus for them is that of before the standard, unless told otherwise.
        qemu.args(["-global", "virtio-mmio.force-legacy=false"]);
    }
    if config.entropy {
        let device = match config.machine {
            Machine::Q35 => "virtio-rng-pci,rng=entropy",
            Machine::Microvm => "virtio-rng-device,rng=entropy",
        };
        qemu.args(["-object", "rng-builtin,id=entropy", "-device", device]);
    }
    config.network.add_to(qemu, config.machine);
}

/// What the kernel reads: its options, `--`, the program's arguments.
fn kernel(config: &Config, guest: &Guest, is_sampled: bool) -> String {
    let mut words = vec![
        format!("name={}", guest.name),
        format!("stderr={STDERR_PORT}"),
        format!("control={CONTROL_PORT}"),
        format!("exit={EXIT_PORT}"),
        "stdin=framed".into(),
    ];
    words.extend(config.trace.iter().map(|_| format!("trace={TRACE_PORT}")));
    words.extend(is_sampled.then(|| format!("top={SAMPLES_PORT}")));
    words.extend(config.stats.then(|| "stats".into()));
    words.extend(config.network.words());
    words.extend(guest.log.iter().map(|level| format!("log={level}")));
    words.extend(guest.env.iter().map(|variable| format!("env={variable}")));
    words.push("--".into());
    words.extend(guest.args.iter().cloned());
    // Quoted only where it must be: before the command line is parsed, the
    // kernel looks for some options with less effort.
    words
        .iter()
        .map(|word| command::quoted(word.as_ref()))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::kernel;
    use crate::vm::config::{Config, Guest};

    #[test]
    fn arguments_survive_the_way_to_the_guest() {
        let guest = Guest {
            loader: "l".into(),
            initrd: "i".into(),
            name: "hello".into(),
            log: Some("debug".into()),
            env: vec!["GREETING=good day".into()],
            args: vec!["a b".into(), "it's".into(), "--".into(), String::new()],
        };
        let words = shell_words::split(&kernel(&Config::default(), &guest, false)).unwrap();
        assert!(words.contains(&"env=GREETING=good day".to_owned()));
        assert!(!words.iter().any(|word| word.starts_with("top=")));
        let start = words.iter().position(|word| word == "--").unwrap();
        assert_eq!(words[start + 1..], guest.args[..]);
    }
}
