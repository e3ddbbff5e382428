//! How much the switch moves between two sockets of this machine, and how long one frame
//! takes there and back: `cargo run --release -p darner-switch --example throughput
//! [FAULTS]`.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use darner_switch::{Core, Plan, PortId, Server};

const TIME: Duration = Duration::from_secs(2);
const ROUND_TRIPS: u32 = 20_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let plan = match std::env::args().nth(1) {
        Some(text) => Plan::parse(&text, 2)?,
        None => Plan::none(2),
    };
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), 2, Core::new(plan, 1), None)?;
    let a = UnixStream::connect(server.path(PortId(0)))?;
    let b = UnixStream::connect(server.path(PortId(1)))?;
    while server
        .counters()
        .is_some_and(|_| server.events().count() == 0)
    {}
    // Each has to be known, or frames go everywhere.
    (&a).write_all(&packed(0, 1, 60))?;
    (&b).write_all(&packed(1, 0, 60))?;

    for length in [60, 1514, 9018] {
        flood(&server, &a, &b, length)?;
    }
    match round_trips(&a, &b) {
        // With losses ordered, one of the frames is the end of it.
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            println!("   60 bytes: lost on the way there or back");
            Ok(())
        }
        done => done.map_err(Into::into),
    }
}

fn flood(
    server: &Server,
    a: &UnixStream,
    b: &UnixStream,
    length: usize,
) -> Result<(), Box<dyn std::error::Error>> {
    let before = server.counters().ok_or("the switch has ended")?;
    let batch: Vec<u8> = packed(0, 1, length).repeat((65536 / length).max(1));
    let deadline = Instant::now() + TIME;
    std::thread::scope(|scope| -> std::io::Result<()> {
        scope.spawn(move || {
            let mut buffer = vec![0; 256 * 1024];
            let mut b = b;
            // Ends when nothing has come for a while.
            let _ = b.set_read_timeout(Some(Duration::from_millis(300)));
            while b.read(&mut buffer).is_ok_and(|count| count > 0) {}
        });
        while Instant::now() < deadline {
            let mut a = a;
            a.write_all(&batch)?;
        }
        Ok(())
    })?;
    let after = server.counters().ok_or("the switch has ended")?;
    let (before, after) = (before.ports[1].egress, after.ports[1].egress);
    let frames = (after.sent - before.sent) as f64 / TIME.as_secs_f64();
    println!(
        "{length:5} bytes: {frames:9.0} frames/s, {:6.0} Mbit/s, {} lost",
        frames * length as f64 * 8.0 / 1e6,
        after.discarded + after.overflowed - before.discarded - before.overflowed,
    );
    Ok(())
}

fn round_trips(mut a: &UnixStream, mut b: &UnixStream) -> std::io::Result<()> {
    a.set_read_timeout(Some(Duration::from_secs(5)))?;
    b.set_read_timeout(Some(Duration::from_secs(5)))?;
    let (there, back) = (packed(0, 1, 60), packed(1, 0, 60));
    let mut buffer = [0; 64];
    let start = Instant::now();
    for _ in 0..ROUND_TRIPS {
        a.write_all(&there)?;
        b.read_exact(&mut buffer)?;
        b.write_all(&back)?;
        a.read_exact(&mut buffer)?;
    }
    let one = start.elapsed() / ROUND_TRIPS;
    println!(
        "   60 bytes: {:.1} µs there and back",
        one.as_secs_f64() * 1e6
    );
    Ok(())
}

/// A frame between two stations as it is on a socket.
fn packed(from: u8, to: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; 4 + length];
    bytes[..4].copy_from_slice(&(length as u32).to_be_bytes());
    bytes[4..10].copy_from_slice(&[2, 0, 0, 0, 0, to]);
    bytes[10..16].copy_from_slice(&[2, 0, 0, 0, 0, from]);
    bytes
}
