//! A guest that serves, and the host as its client, through a forwarded port.

mod client;
mod guest;

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use self::client::{Client, get};
use self::guest::Serving;
use super::case::{Case, Failure, Verdict};
use super::suite::Suite;

/// Connections at once. QEMU's own network takes new ones one by one; more of them are a
/// matter for machines on the switch.
const CROWD: usize = 16;

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for machine in ["q35", "microvm"] {
        cases.push(Case::new(format!("net/httpd/{machine}"), move |suite| {
            pages(suite, machine)
        }));
    }
    cases.push(Case::new("net/httpd/crowd", crowd));
    cases.push(Case::new("net/httpd/curl", curl));
    cases.push(Case::new("net/httpd/slow-and-broken", slow_and_broken));
    cases
}

/// The repository's `docs`, as the guest has them.
fn httpd(suite: &Suite, machine: &str, requests: usize) -> Result<Serving, Failure> {
    let folder = suite.set.root.join("docs");
    let share = format!("{}:/site", folder.display());
    Serving::start(
        suite,
        &["--machine", machine, "--smp", "2", "--dir", &share, "httpd"],
        &["--dir", "/site", "--requests", &requests.to_string()],
        80,
        "listening at",
    )
}

/// Files arrive as they are, several over one connection, and what is not there is refused.
fn pages(suite: &Suite, machine: &str) -> Verdict {
    let mut guest = httpd(suite, machine, 7)?;
    let mut client = Client::connect(guest.port)?;
    for name in ["mutex-or-ipi.md", "mutex-or-ipi.svg"] {
        let expected = fs::read(suite.set.root.join("docs").join(name))?;
        let answer = client.ask(&get(&format!("/{name}")))?;
        if answer.status != 200 || answer.body != expected {
            Err(format!(
                "{name}: found status {} and {} bytes, expected 200 and {}",
                answer.status,
                answer.body.len(),
                expected.len()
            ))?;
        }
    }
    let listing = client.ask(&get("/decisions/"))?;
    if !String::from_utf8_lossy(&listing.body).contains("0001-messages-in-envelopes.md") {
        Err("the folder's listing does not name its first file")?;
    }
    for (path, status) in [("/no-such", 404), ("/../../etc/passwd", 404)] {
        let found = client.ask(&get(path))?.status;
        if found != status && found != 400 {
            Err(format!("{path}: found status {found}, expected {status}"))?;
        }
    }
    // Two at once: the second is not lost while the first is answered.
    let both = [get("/mutex-or-ipi.md"), get("/mutex-or-ipi.md")].concat();
    client.send(&both)?;
    let (first, second) = (client.answer()?, client.answer()?);
    if first.body != second.body || first.body.is_empty() {
        Err("two requests at once were not answered alike")?;
    }
    let said = guest.end(0)?;
    match said.contains("\"GET /mutex-or-ipi.svg HTTP/1.1\" 200") {
        true => Ok(()),
        false => Err(format!("the log does not have the request:\n{said}"))?,
    }
}

/// Many connections at once, each of which is then served.
fn crowd(suite: &Suite) -> Verdict {
    let mut guest = Serving::start(
        suite,
        &["--smp", "2", "--mem", "1G", "httpd"],
        &[
            "--requests",
            &CROWD.to_string(),
            "--connections",
            "200",
            "--timeout",
            "120",
            "--quiet",
        ],
        80,
        "listening at",
    )?;
    let mut clients = Vec::new();
    for _ in 0..CROWD {
        clients.push(Client::connect(guest.port)?);
    }
    for client in &mut clients {
        client.send(&get("/"))?;
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let status = client.answer()?.status;
        if status != 200 {
            Err(format!(
                "connection {number}: found status {status}, expected 200"
            ))?;
        }
    }
    drop(clients);
    guest.end(0)?;
    Ok(())
}

/// What is not xtask's own idea of HTTP.
fn curl(suite: &Suite) -> Verdict {
    let mut guest = httpd(suite, "q35", 3)?;
    let at = |path: &str| format!("http://127.0.0.1:{}{path}", guest.port);
    let expected = fs::read(suite.set.root.join("docs/mutex-or-ipi.svg"))?;
    let mut command = std::process::Command::new("curl");
    let words = ["--silent", "--show-error", "--fail", "--max-time", "60"];
    command.args(words).args([
        at("/mutex-or-ipi.svg"),
        at("/mutex-or-ipi.svg"),
        at("/mutex-or-ipi.svg"),
    ]);
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => Err(format!(
            "cannot run curl ({error}): this test needs it; install the package `curl`"
        ))?,
    };
    if !output.status.success() || output.stdout != expected.repeat(3) {
        Err(format!(
            "curl: {}, {} bytes, expected {}: {}",
            output.status,
            output.stdout.len(),
            3 * expected.len(),
            String::from_utf8_lossy(&output.stderr)
        ))?;
    }
    guest.end(0)?;
    Ok(())
}

/// Clients that say nothing, break off, or talk nonsense cost others nothing.
fn slow_and_broken(suite: &Suite) -> Verdict {
    // Garbage is answered as well.
    let mut guest = httpd(suite, "q35", 5)?;
    let _silent = Client::connect(guest.port)?;
    let mut half = Client::connect(guest.port)?;
    half.send(b"GET /mutex-or-ipi.md HT")?;
    drop(Client::connect(guest.port)?);
    let mut garbage = Client::connect(guest.port)?;
    garbage.send(&[0xff; 4000])?;
    garbage.stream.shutdown(Shutdown::Write)?;
    let mut said = Vec::new();
    // Refused or broken off, but soon.
    let _ = garbage.stream.read_to_end(&mut said);
    // It asks and does not read: the answer is larger than all buffers together.
    let mut lazy = Client::connect(guest.port)?;
    for _ in 0..3 {
        lazy.stream.write_all(&get("/mutex-or-ipi.svg"))?;
    }
    std::thread::sleep(Duration::from_millis(300));
    let mut client = Client::connect(guest.port)?;
    let answer = client.ask(&get("/mutex-or-ipi.md"))?;
    if answer.status != 200 {
        Err(format!("found status {}, expected 200", answer.status))?;
    }
    for _ in 0..3 {
        lazy.answer()?;
    }
    guest.end(0)?;
    Ok(())
}
