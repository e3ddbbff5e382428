//! `--diag`: what a running node tells over HTTP, and to whom.

mod client;
mod node;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use darner_diag::exposition::Exposition;
use darner_diag::http::Route;
use darner_diag::report::{Kind, Protocol, Report, State};

use super::case::Case;
use client::Client;
use node::{ECHO, HOST_NAME, Node};

/// How long a connection may take in all, with what a busy machine adds.
const LONGEST: Duration = Duration::from_secs(15);

/// All of them.
pub fn cases() -> Vec<Case> {
    vec![
        Case::new("net/diag/routes", |suite| Node::new().run(suite, routes)),
        Case::new("net/diag/report", |suite| Node::new().run(suite, report)),
        Case::new("net/diag/metrics", |suite| Node::new().run(suite, metrics)),
        Case::new("net/diag/hostile", |suite| Node::new().run(suite, hostile)),
        Case::new("net/diag/off", |suite| {
            Node::without_diagnostics().run(suite, off)
        }),
    ]
}

type Checked = Result<(), String>;

fn expect(condition: bool, what: impl FnOnce() -> String) -> Checked {
    match condition {
        true => Ok(()),
        false => Err(what()),
    }
}

/// Everything there is, what there is not, and what cannot be done with it.
fn routes(client: &Client) -> Checked {
    for route in Route::ALL {
        let whole = client.get(route.path())?;
        expect(whole.status == 200, || {
            format!("{route:?}: status {}", whole.status)
        })?;
        expect(
            whole.field("content-type") == Some(route.content_type()),
            || format!("{route:?} is {:?}", whole.field("content-type")),
        )?;
        let length = whole.content.len().to_string();
        expect(whole.field("content-length") == Some(&length), || {
            format!("{route:?}: the length is wrong")
        })?;
        let head = client.request(&format!(
            "HEAD {} HTTP/1.1\r\nHost: a\r\n\r\n",
            route.path()
        ))?;
        expect(head.status == 200 && head.content.is_empty(), || {
            format!("{route:?}: HEAD has content")
        })?;
    }
    let page = client.get("/")?.text()?;
    expect(page.contains("<!DOCTYPE html>"), || {
        format!("found the page {page}")
    })?;
    for (request, status) in [
        ("GET /favicon.ico HTTP/1.1\r\nHost: a\r\n\r\n".into(), 404),
        ("POST / HTTP/1.1\r\nHost: a\r\n\r\n".into(), 405),
        (format!("GET /{} HTTP/1.1\r\n", "x".repeat(9000)), 431),
        ("Good morning!\r\n\r\n".into(), 400),
    ] {
        let found = client.request(&request)?.status;
        expect(found == status, || {
            format!("{request}: status {found}, expected {status}")
        })?;
    }
    Ok(())
}

/// What it tells is what is there.
fn report(client: &Client) -> Checked {
    let report = client.report()?;
    let node = &report.node;
    expect(
        node.program == "echo" && node.host.as_deref() == Some(HOST_NAME),
        || format!("found {node:?}"),
    )?;
    let threads = &report.threads;
    let named = |name: &str| {
        let mut list = threads.list.iter();
        list.find(|thread| thread.name.as_deref() == Some(name))
            .ok_or_else(|| format!("found no thread {name} in {threads:?}"))
    };
    expect(named("main")?.kind == Kind::Program, || {
        format!("main is {:?}", named("main"))
    })?;
    expect(named("network")?.kind == Kind::Interrupt, || {
        format!("network is {:?}", named("network"))
    })?;
    // It is it that tells.
    let own = named("diagnostics")?;
    expect(
        own.kind == Kind::Kernel && own.state == State::Running,
        || format!("diagnostics is {own:?}"),
    )?;
    let counted = threads.running + threads.ready + threads.blocked;
    expect(
        counted == threads.list.len() as u64 && threads.omitted == 0,
        || format!("found {counted} threads, listed are {threads:?}"),
    )?;
    // All others wait: nobody asks the server for anything.
    let busy = threads.list.iter().find(|thread| {
        thread.kind == Kind::Program && (thread.state, thread.waits_for) == (State::Blocked, None)
    });
    expect(busy.is_none(), || {
        format!("{busy:?} waits for nothing, though echo sets no time")
    })?;
    cpus(&report)?;
    network(&report)?;
    let memory = &report.memory;
    expect(
        memory.free > 0 && memory.free < memory.total && memory.program.in_use > 0,
        || format!("found {memory:?}"),
    )?;
    for path in ["node", "threads", "cpus", "memory", "network"] {
        client.json(&format!("/api/{path}.json"))?;
    }
    Ok(())
}

fn cpus(report: &Report) -> Checked {
    let cpus = &report.cpus;
    expect(cpus.len() == node::CPUS as usize, || {
        format!("found {} CPUs", cpus.len())
    })?;
    let running = cpus.iter().filter_map(|cpu| cpu.running);
    expect(running.count() as u64 >= 1, || "no CPU runs".into())?;
    for cpu in cpus {
        expect(cpu.halts > 0 && cpu.idle_ns > 0 && cpu.busy_ns > 0, || {
            format!("found {cpu:?}")
        })?;
        // It began with the node's; some time has passed between the two looks.
        let time = cpu.idle_ns + cpu.busy_ns;
        let node = report.node.uptime_ns;
        expect(
            (node..node + LONGEST.as_nanos() as u64).contains(&time),
            || format!("found {cpu:?}, up for {node} ns"),
        )?;
    }
    let messages = |kind: &str| -> u64 {
        let all = cpus.iter().flat_map(|cpu| &cpu.interrupts);
        all.filter(|interrupts| interrupts.kind == kind)
            .map(|interrupts| interrupts.count)
            .sum()
    };
    expect(
        messages("timer") > 0 && messages("message") > 0 && messages("device") > 0,
        || format!("found the interrupts {cpus:?}"),
    )
}

fn network(report: &Report) -> Checked {
    let network = &report.network;
    let listens = |port: u16| {
        let mut sockets = network.sockets.iter();
        sockets.any(|socket| {
            socket.protocol == Protocol::Tcp
                && socket.state.as_deref() == Some("LISTEN")
                && socket.local.port() == port
        })
    };
    expect(listens(ECHO) && listens(node::DIAGNOSTICS), || {
        format!("found the sockets {:?}", network.sockets)
    })?;
    // The one that asks.
    let established = network.sockets.iter().any(|socket| {
        socket.state.as_deref() == Some("ESTABLISHED")
            && socket.local.port() == node::DIAGNOSTICS
            && socket.remote.is_some()
    });
    expect(established, || {
        format!("found the sockets {:?}", network.sockets)
    })?;
    let names: Vec<&str> = network
        .interfaces
        .iter()
        .map(|interface| interface.name.as_str())
        .collect();
    expect(names == ["lo", "net0"], || format!("found {names:?}"))?;
    let card = &network.interfaces[1];
    let is_right = card.counters.rx_frames > 0
        && card.counters.tx_frames > 0
        && card.mac.as_deref() == Some("02:da:00:00:00:01")
        && card.addresses.iter().any(|prefix| prefix.address.is_ipv4());
    expect(is_right, || format!("found {card:?}"))
}

/// What Prometheus reads is in its format, grows where it should, and is what the report
/// says.
fn metrics(client: &Client) -> Checked {
    let read = || -> Result<Exposition, String> {
        let answer = client.get("/metrics")?;
        Exposition::parse(&answer.text()?).map_err(|wrong| wrong.to_string())
    };
    let first = read()?;
    client.echo(b"some bytes")?;
    let report = client.report()?;
    let second = read()?;
    for (name, numbers) in &first.families {
        for (labels, before) in numbers {
            let now = second.families[name].get(labels).copied();
            let grows = name.ends_with("_total");
            let is_right = !grows || now.is_some_and(|now| now >= *before);
            expect(is_right, || {
                format!("{name} {labels:?} was {before}, is {now:?}")
            })?;
        }
    }
    let value = |read: &Exposition, name: &str| {
        read.sum(name)
            .ok_or_else(|| format!("found no numbers of {name}"))
    };
    // The report's connection, the second text's, and the echo's.
    let accepted =
        value(&second, "darner_tcp_accepts_total")? - value(&first, "darner_tcp_accepts_total")?;
    expect(accepted == 3.0, || {
        format!("found {accepted} more connections, expected 3")
    })?;
    let cpus = value(&second, "darner_cpus")?;
    expect(cpus == report.cpus.len() as f64, || {
        format!("found {cpus} CPUs")
    })?;
    let total = value(&second, "darner_memory_bytes")?;
    expect(total == report.memory.total as f64, || {
        format!("found {total} bytes of memory")
    })
}

/// Clients that say nothing, nonsense, or nothing in time do not keep others from being
/// answered.
fn hostile(client: &Client) -> Checked {
    let silent: Vec<TcpStream> = (0..3).map(|_| client.connect()).collect::<Result<_, _>>()?;
    let mut slow = client.connect()?;
    let begin = Instant::now();
    slow.write_all(b"GET /healthz HT")
        .map_err(|error| error.to_string())?;
    for seed in 0..20u32 {
        let mut garbage = client.connect()?;
        let bytes: Vec<u8> = (0..2000u32)
            .map(|index| (index.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 13) as u8)
            .collect();
        // It may be answered, and closed, before it has said all.
        let _ = garbage.write_all(&bytes);
        let mut answer = Vec::new();
        let _ = garbage.read_to_end(&mut answer);
        expect(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 400 "),
            || format!("garbage was answered {}", String::from_utf8_lossy(&answer)),
        )?;
        // While the slow ones still wait.
        let quick = Instant::now();
        client.get("/healthz")?;
        expect(quick.elapsed() < LONGEST, || "it took long".into())?;
    }
    let mut answer = String::new();
    slow.read_to_string(&mut answer)
        .map_err(|error| format!("the slow client: {error}"))?;
    expect(answer.starts_with("HTTP/1.1 408 "), || {
        format!("the slow client was told {answer}")
    })?;
    expect(begin.elapsed() < LONGEST, || {
        format!("the slow client was there for {:?}", begin.elapsed())
    })?;
    for mut one in silent {
        let mut answer = Vec::new();
        one.read_to_end(&mut answer)
            .map_err(|error| format!("a silent client: {error}"))?;
        expect(answer.is_empty(), || "a silent client was answered".into())?;
    }
    more_than_there_is_room_for(client)
}

/// As many slow clients as may be served at a time, and more: others are answered as soon
/// as the first of these have had their time.
fn more_than_there_is_room_for(client: &Client) -> Checked {
    let slow: Vec<TcpStream> = (0..12)
        .map(|_| client.connect())
        .collect::<Result<_, _>>()?;
    for mut one in &slow {
        one.write_all(b"G").map_err(|error| error.to_string())?;
    }
    let begin = Instant::now();
    let health = client.get("/healthz")?;
    expect(health.status == 200 && begin.elapsed() < LONGEST, || {
        format!("status {} after {:?}", health.status, begin.elapsed())
    })?;
    drop(slow);
    let report = client.report()?;
    let own = report.network.sockets.iter().filter(|socket| {
        socket.local.port() == node::DIAGNOSTICS && socket.state.as_deref() == Some("ESTABLISHED")
    });
    expect(own.count() <= 13, || {
        format!("connections are left: {:?}", report.network.sockets)
    })
}

/// Nothing listens where nothing was asked for; the program does.
fn off(client: &Client) -> Checked {
    client.echo(b"is it there?")?;
    let mut stream = client.connect()?;
    let _ = stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n");
    let mut answer = Vec::new();
    // Refused in the guest, closed or reset by the router.
    let _ = stream.read_to_end(&mut answer);
    expect(answer.is_empty(), || {
        format!("was answered {}", String::from_utf8_lossy(&answer))
    })?;
    client.echo(b"still there?")
}
