//! The end that measures.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::latency::Times;
use crate::options::{Direction, Measurement, Throughput, Transport};
use crate::protocol::{HERE, Limit, Moved, PORT, Request, hear, hear_as, misunderstood, tell};
use crate::report::Report;
use crate::server::{PATIENCE, Server, together};
use crate::{tcp, udp};

/// The host that means this program.
const LOCAL: &str = "local";
/// How often a datagram is sent before nobody is expected to answer.
const TRIES: usize = 50;

/// Measures against a server.
pub fn measure(host: &str, what: &Measurement) -> Result<Report, String> {
    let (host, _server) = match host {
        LOCAL => {
            let server = Server::start((Ipv4Addr::LOCALHOST, 0).into(), None)?;
            (server.address().to_string(), Some(server))
        }
        host => (with_port(host), None),
    };
    let report = match *what {
        Measurement::TcpThroughput(throughput) => tcp_throughput(&host, throughput),
        Measurement::Rtt {
            transport: Transport::Tcp,
            count,
            bytes,
        } => tcp_rtt(&host, count, bytes),
        Measurement::Rtt {
            transport: Transport::Udp,
            count,
            bytes,
        } => udp_rtt(&host, count, bytes),
        Measurement::UdpPps {
            time,
            direction,
            bytes,
        } => udp_pps(&host, time, direction, bytes),
    };
    report.map_err(|error| format!("{host}: {error}"))
}

/// A host with the usual port, if it names none.
fn with_port(host: &str) -> String {
    let has_port = |(_, port): (&str, &str)| port.parse::<u16>().is_ok();
    match host.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, PORT).to_string(),
        Err(_) if host.rsplit_once(':').is_some_and(has_port) => host.to_owned(),
        Err(_) => format!("{host}:{PORT}"),
    }
}

/// Opens a control connection with a request.
fn ask(host: &str, request: &Request) -> io::Result<TcpStream> {
    let control = connect(host)?;
    tell(&control, request)?;
    Ok(control)
}

fn connect(host: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(host)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Opens the streams of a measurement, as the server's answer has it.
fn streams(control: &TcpStream, host: &str, count: usize) -> io::Result<Vec<TcpStream>> {
    let line = hear(control)?;
    let token = line
        .strip_prefix("token ")
        .ok_or_else(|| misunderstood("a token", &format!("`{}`", line.escape_debug())))?;
    (0..count)
        .map(|number| {
            let stream = connect(host)?;
            tell(&stream, format_args!("data {token}\n{number}"))?;
            Ok(stream)
        })
        .collect()
}

/// Does the same with all streams at the same time.
fn with_all(
    streams: &[TcpStream],
    handle: impl Fn(&TcpStream, u64) -> io::Result<Moved> + Sync,
) -> io::Result<Moved> {
    let handle = &handle;
    thread::scope(|scope| {
        let running: Vec<_> = (0..)
            .zip(streams)
            .map(|(number, stream)| scope.spawn(move || handle(stream, number)))
            .collect();
        let outcomes = running.into_iter();
        together(outcomes.map(|thread| thread.join().expect("streams do not panic")))
    })
}

fn tcp_throughput(host: &str, what: Throughput) -> io::Result<Report> {
    let (count, content, block) = (what.connections, what.content, what.block);
    let limit = match what.limit {
        Limit::Bytes(bytes) => Limit::Bytes(bytes.div_ceil(count as u64)),
        time => time,
    };
    let request = match what.direction {
        Direction::Send => Request::TcpReceive {
            streams: count,
            content,
        },
        Direction::Receive => Request::TcpSend {
            streams: count,
            content,
            limit,
            block,
        },
    };
    let control = ask(host, &request)?;
    let streams = streams(&control, host, count)?;
    let here = with_all(&streams, |stream, seed| match what.direction {
        Direction::Send => tcp::send(stream, limit, block, content, seed),
        Direction::Receive => tcp::receive(stream, content, seed),
    })?;
    let there: Moved = hear_as(&control, "what was moved")?;
    let (sent, received) = match what.direction {
        Direction::Send => (here, there),
        Direction::Receive => (there, here),
    };
    let seconds = received.time.as_secs_f64();
    Ok(Report::new("tcp-throughput")
        .number("bytes", received.bytes as f64)
        .number("seconds", seconds)
        .number("mbit_per_s", received.bytes as f64 * 8e-6 / seconds)
        .number("server_busy_us", there.busy.as_nanos() as f64 / 1000.0)
        .errors("missing_bytes", sent.bytes.abs_diff(received.bytes))
        .errors("wrong_bytes", received.wrong))
}

fn tcp_rtt(host: &str, count: usize, bytes: usize) -> io::Result<Report> {
    let control = ask(host, &Request::TcpEcho)?;
    let streams = streams(&control, host, 1)?;
    let mut stream = &streams[0];
    let mut times = Times::default();
    let mut wrong = 0;
    for number in 0..count {
        let message = vec![number as u8; bytes];
        let mut back = vec![0; bytes];
        let begin = Instant::now();
        stream.write_all(&message)?;
        stream.read_exact(&mut back)?;
        times.add(begin.elapsed());
        wrong += u64::from(message != back);
    }
    drop(streams);
    let _: Moved = hear_as(&control, "what was moved")?;
    let report = Report::new("tcp-rtt").number("messages", count as f64);
    Ok(times.report(report).errors("wrong_messages", wrong))
}

/// A socket for datagrams to the server of this control connection, which has said that it
/// is ready for them.
fn socket(control: &TcpStream) -> io::Result<UdpSocket> {
    match hear(control)?.as_str() {
        "ready" => {}
        other => return Err(misunderstood("`ready`", &format!("`{other}`"))),
    }
    let here = SocketAddr::new(control.local_addr()?.ip(), 0);
    let socket = UdpSocket::bind(here)?;
    socket.connect(control.peer_addr()?)?;
    Ok(socket)
}

fn udp_rtt(host: &str, count: usize, bytes: usize) -> io::Result<Report> {
    let control = ask(host, &Request::UdpEcho)?;
    let socket = socket(&control)?;
    socket.set_read_timeout(Some(udp::SILENCE))?;
    let mut times = Times::default();
    let mut lost = 0;
    while times.count() < count {
        if lost > count + TRIES {
            return Err(no_datagrams());
        }
        // The echo of one that was given up as lost is not taken for that of the next.
        let mut message = vec![0; bytes];
        let number = (times.count() + lost).to_le_bytes();
        let marked = bytes.min(number.len());
        message[..marked].copy_from_slice(&number[..marked]);
        let begin = Instant::now();
        match socket.send(&message).and_then(|_| echo(&socket, &message)) {
            Ok(()) => times.add(begin.elapsed()),
            Err(error) if udp::is_silence(&error) => lost += 1,
            Err(error) => return Err(error),
        }
    }
    tell(&control, "done")?;
    let _: Moved = hear_as(&control, "what was moved")?;
    let report = Report::new("udp-rtt")
        .number("messages", count as f64)
        .number("lost", lost as f64);
    Ok(times.report(report))
}

fn echo(socket: &UdpSocket, message: &[u8]) -> io::Result<()> {
    let mut back = vec![0; message.len() + 1];
    let begin = Instant::now();
    loop {
        let bytes = socket.recv(&mut back)?;
        if back[..bytes] == *message {
            return Ok(());
        }
        if begin.elapsed() > udp::SILENCE {
            return Err(ErrorKind::TimedOut.into());
        }
    }
}

fn no_datagrams() -> io::Error {
    let text = "no datagrams come back: is UDP let through to the server's port?";
    io::Error::new(ErrorKind::TimedOut, text)
}

fn udp_pps(
    host: &str,
    time: Duration,
    direction: Option<Direction>,
    bytes: usize,
) -> io::Result<Report> {
    let mut report = Report::new("udp-pps").number("packet_bytes", bytes as f64);
    if direction != Some(Direction::Receive) {
        let names = ["sent", "received", "lost", "reordered", "pps"];
        report = flow(report, names, udp_send(host, time, bytes)?);
    }
    if direction != Some(Direction::Send) {
        let names = [
            "back_sent",
            "back_received",
            "back_lost",
            "back_reordered",
            "back_pps",
        ];
        report = flow(report, names, udp_receive(host, time, bytes)?);
    }
    Ok(report)
}

/// Tells of a flow, sent and received.
fn flow(report: Report, names: [&'static str; 5], (sent, received): (Moved, Moved)) -> Report {
    let numbers = [
        sent.packets as f64,
        received.packets as f64,
        sent.packets.saturating_sub(received.packets) as f64,
        received.wrong as f64,
        // So many came in the time from the first to the last.
        received.packets.saturating_sub(1) as f64 / received.time.as_secs_f64(),
    ];
    (names.into_iter().zip(numbers))
        .fold(report, |report, (name, number)| report.number(name, number))
}

fn udp_send(host: &str, time: Duration, bytes: usize) -> io::Result<(Moved, Moved)> {
    let control = ask(host, &Request::UdpReceive)?;
    let socket = socket(&control)?;
    let sent = udp::send(&socket, bytes, time);
    tell(&control, "done")?;
    Ok((sent, hear_as(&control, "what was moved")?))
}

fn udp_receive(host: &str, time: Duration, bytes: usize) -> io::Result<(Moved, Moved)> {
    let control = ask(host, &Request::UdpSend { bytes, time })?;
    let socket = socket(&control)?;
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let receiving = scope.spawn(|| {
            // The first datagram goes the other way, to tell where the others shall go.
            socket.send(HERE)?;
            let mut tries = 0;
            let mut given_up = false;
            let moved = udp::receive(&socket, |packets| {
                tries += 1;
                given_up = packets == 0 && tries > TRIES;
                match is_over.load(Ordering::Relaxed) || given_up {
                    true => return ControlFlow::Break(()),
                    // Lost, perhaps; so is this one, perhaps.
                    false if packets == 0 => drop(socket.send(HERE)),
                    false => {}
                }
                ControlFlow::Continue(())
            })?;
            match given_up {
                true => Err(no_datagrams()),
                false => Ok(moved),
            }
        });
        let sent = hear_as(&control, "what was moved");
        is_over.store(true, Ordering::Relaxed);
        let received = receiving.join().expect("datagrams do not panic")?;
        Ok((sent?, received))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_added_where_there_is_none() {
        for (host, expected) in [
            ("192.0.2.1", "192.0.2.1:5770"),
            ("192.0.2.1:1", "192.0.2.1:1"),
            ("2001:db8::1", "[2001:db8::1]:5770"),
            ("[2001:db8::1]:1", "[2001:db8::1]:1"),
            ("name", "name:5770"),
        ] {
            assert_eq!(with_port(host), expected);
        }
    }

    fn numbers(what: Measurement) -> String {
        let report = measure(LOCAL, &what).unwrap();
        assert!(report.is_right(), "{report}");
        report.json()
    }

    fn found(json: &str, name: &str) -> f64 {
        let (_, rest) = json.split_once(&format!("\"{name}\":")).unwrap();
        let end = rest.find([',', '}']).unwrap();
        rest[..end].parse().unwrap()
    }

    #[test]
    fn streams_arrive_whole_both_ways() {
        for direction in [Direction::Send, Direction::Receive] {
            for (connections, block) in [(1, 1400), (3, 64 << 10)] {
                let json = numbers(Measurement::TcpThroughput(Throughput {
                    limit: Limit::Bytes(30_000_000),
                    direction,
                    connections,
                    block,
                    content: crate::options::Content::Verified,
                }));
                assert_eq!(found(&json, "bytes"), 30e6);
            }
        }
    }

    #[test]
    fn a_stream_ends_when_its_time_is_up() {
        let json = numbers(Measurement::TcpThroughput(Throughput {
            limit: Limit::Time(Duration::from_millis(200)),
            direction: Direction::Receive,
            connections: 2,
            block: 64 << 10,
            content: crate::options::Content::Same,
        }));
        assert!(found(&json, "bytes") > 0.0 && found(&json, "seconds") < 10.0);
    }

    #[test]
    fn messages_come_back() {
        for transport in [Transport::Tcp, Transport::Udp] {
            for bytes in [1, 1400] {
                let json = numbers(Measurement::Rtt {
                    transport,
                    count: 300,
                    bytes,
                });
                assert_eq!(found(&json, "messages"), 300.0);
                assert!(found(&json, "min_us") > 0.0);
                assert!(found(&json, "median_us") <= found(&json, "p99_us"));
            }
        }
    }

    #[test]
    fn datagrams_are_counted_both_ways() {
        let json = numbers(Measurement::UdpPps {
            time: Duration::from_millis(100),
            direction: None,
            bytes: 64,
        });
        for way in ["", "back_"] {
            let number = |name| found(&json, &format!("{way}{name}"));
            assert!(number("received") > 0.0);
            assert_eq!(number("sent") - number("lost"), number("received"));
        }
    }

    #[test]
    fn changed_bytes_are_found_out() {
        let (a, b) = pair();
        let sending = thread::spawn(move || {
            let mut bytes = vec![0; 100_000];
            crate::content::Sequence::new(5).fill(&mut bytes);
            bytes[77_777] ^= 1;
            (&a).write_all(&bytes).unwrap();
        });
        let content = crate::options::Content::Verified;
        let moved = tcp::receive(&b, content, 5).unwrap();
        sending.join().unwrap();
        assert_eq!((moved.bytes, moved.wrong), (100_000, 1));
    }

    /// Both ends of a connection.
    fn pair() -> (TcpStream, TcpStream) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let a = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (a, listener.accept().unwrap().0)
    }

    #[test]
    fn nobody_and_somebody_else_are_told_apart() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let what = Measurement::Rtt {
            transport: Transport::Tcp,
            count: 1,
            bytes: 1,
        };
        let other = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"220 mail.example ESMTP\r\n").unwrap();
            stream
        });
        let error = measure(&address, &what).unwrap_err();
        assert!(error.contains("220 mail") && error.contains("is the other end netbench"));
        drop(other.join().unwrap());
        let error = measure(&address, &what).unwrap_err();
        assert!(error.contains("refused"), "{error}");
    }
}
