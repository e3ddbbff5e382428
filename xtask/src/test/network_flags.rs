//! The flags of `xtask run` about the network, as its user meets them: what reaches
//! QEMU and the kernel, and what is refused before anything is built.

use std::net::TcpListener;

use super::case::{Case, Verdict};
use super::command_line::{expect, xtask};
use super::suite::Suite;

/// All of them.
pub fn cases() -> Vec<Case> {
    vec![
        Case::new("xtask/network/q35", |suite| {
            cards(suite, "q35", "virtio-net-pci,romfile=")
        }),
        Case::new("xtask/network/microvm", |suite| {
            cards(suite, "microvm", "virtio-net-device")
        }),
        Case::new("xtask/network/none", none),
        Case::new("xtask/network/port-in-use", port_in_use),
        Case::new("xtask/network/refused", refused),
    ]
}

/// Two cards on the machine, which boots with them, and what the kernel is told.
fn cards(suite: &Suite, machine: &str, model: &str) -> Verdict {
    let capture = suite.path(&format!("{machine}.pcap")).display().to_string();
    let words = [
        "run",
        "hello",
        "-v",
        "--machine",
        machine,
        "--net",
        "user",
        "--ip",
        "10.0.2.20/24",
        "--mtu",
        "9000",
        "--net",
        "user",
        "--ip6",
        "off",
        "--hostname",
        "darner",
        "--pcap",
        &capture,
    ];
    let output = xtask(suite, &words)?;
    for said in [
        &format!("-device {model},netdev=net0,mac=02:da:00:00:00:01,host_mtu=9000 "),
        &format!("-device {model},netdev=net1,mac=02:da:00:01:00:01 "),
        "net0.ip=10.0.2.20/24 net0.mtu=9000 net1.ip6=off hostname=darner ",
        "-device virtio-rng-",
    ] {
        expect(&output, 0, said)?;
    }
    for file in [capture.clone(), format!("{capture}.net1")] {
        // The file's head, if nothing else: QEMU has written it.
        if std::fs::metadata(&file)?.len() < 24 {
            Err(format!("{file} is no capture: it has less than 24 bytes"))?;
        }
    }
    Ok(())
}

fn none(suite: &Suite) -> Verdict {
    let output = xtask(suite, &["run", "hello", "-v", "--net", "none"])?;
    expect(&output, 0, "-device virtio-rng-pci")?;
    match String::from_utf8_lossy(&output.stderr).contains("netdev") {
        true => Err("found a network card in spite of --net none")?,
        false => Ok(()),
    }
}

/// QEMU's own words for it would be "Could not set up host forwarding rule".
fn port_in_use(suite: &Suite) -> Verdict {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port();
    let forward = format!("{port}:80");
    let output = xtask(suite, &["run", "hello", "-p", &forward])?;
    expect(&output, 2, &format!("cannot listen at 127.0.0.1:{port}"))
}

fn refused(suite: &Suite) -> Verdict {
    for (words, said) in [
        (&["--net", "cable"][..], "expected user, tap:NAME or none"),
        (&["--net", "tap:no-such-if"], "ip tuntap add"),
        (&["-p", "http:80"], "expected -p [ADDRESS:]HOST:GUEST[/udp]"),
        (&["-p", "1:1", "--net", "none"], "--net none"),
        (&["--ip", "10.0.2.300/24"], "ADDRESS/PREFIX[,GATEWAY]"),
        (&["--mtu", "70000"], "--mtu 70000"),
        (&["--pcap", "/no/such/folder/f"], "/no/such/folder/f"),
    ] {
        let output = xtask(suite, &[&["run", "hello"], words].concat())?;
        expect(&output, 2, said)?;
    }
    Ok(())
}
