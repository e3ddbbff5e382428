//! The whole program, by its sockets.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server, and where it listens.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_httpd"))
            .args(["--address", "127.0.0.1", "--port", "0"])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().to_owned();
        Self { child, address }
    }

    fn of(folder: &Path, args: &[&str]) -> Self {
        Self::start(&[&["--dir", folder.to_str().unwrap()], args].concat())
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
    }

    /// Sends bytes on a connection of their own and gives all that comes back.
    fn said_to(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    }

    /// The answer to a request of these lines, the last on its connection: head and body.
    fn ask(&self, lines: &str) -> (String, Vec<u8>) {
        let request = format!("{lines}\r\nHost: x\r\nConnection: close\r\n\r\n");
        split(&self.said_to(request.as_bytes()))
    }

    /// Waits for the end of a server that ends by itself; gives its log.
    fn log(mut self) -> String {
        let mut log = String::new();
        let mut stdout = self.child.stdout.take().unwrap();
        stdout.read_to_string(&mut log).unwrap();
        assert!(self.child.wait().unwrap().success());
        log
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn split(answer: &[u8]) -> (String, Vec<u8>) {
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("an answer has a head");
    let head = String::from_utf8(answer[..end + 2].to_vec()).unwrap();
    (head, answer[end + 4..].to_vec())
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn code(head: &str) -> &str {
    head.split(' ').nth(1).unwrap()
}

/// A file of many blocks whose bytes tell where they are.
fn large() -> Vec<u8> {
    (0..1_000_003_u32).flat_map(u32::to_le_bytes).collect()
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::create_dir_all(path.join("a b/empty")).unwrap();
    fs::create_dir(path.join("listed")).unwrap();
    fs::write(path.join("index.html"), "<p>top").unwrap();
    fs::write(path.join("a b/index.html"), "<p>below").unwrap();
    fs::write(path.join("listed/x&y.txt"), "0123456789").unwrap();
    fs::write(path.join("large.bin"), large()).unwrap();
    fs::write(path.join("nothing"), "").unwrap();
    folder
}

#[test]
fn files_are_served() {
    let folder = folder();
    let server = Server::of(folder.path(), &["--requests", "7"]);
    let (head, body) = server.ask("GET / HTTP/1.1");
    assert_eq!(code(&head), "200");
    assert_eq!(
        field(&head, "Content-Type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(body, b"<p>top");
    assert_eq!(server.ask("GET /a%20b/ HTTP/1.1").1, b"<p>below");
    let (head, body) = server.ask("GET /large.bin?x HTTP/1.1");
    assert_eq!(field(&head, "Content-Length"), Some("4000012"));
    assert!(body == large());
    let (head, body) = server.ask("HEAD /large.bin HTTP/1.1");
    assert_eq!(field(&head, "Content-Length"), Some("4000012"));
    assert_eq!(body, b"");
    assert_eq!(server.ask("GET /nothing HTTP/1.1").1, b"");
    let (head, _) = server.ask("GET /a%20b HTTP/1.1");
    assert_eq!(
        (code(&head), field(&head, "Location")),
        ("301", Some("/a%20b/"))
    );
    let (_, body) = server.ask("GET /listed/ HTTP/1.0");
    assert!(String::from_utf8(body).unwrap().contains("x&amp;y.txt"));
    let log = server.log();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 7);
    assert!(lines[0].starts_with("127.0.0.1 - - ["), "{log}");
    assert!(
        lines[2].ends_with("\"GET /large.bin?x HTTP/1.1\" 200 4000012"),
        "{log}"
    );
}

#[test]
fn parts_of_files_are_served() {
    let folder = folder();
    let server = Server::of(folder.path(), &[]);
    let part = |range: &str| server.ask(&format!("GET /listed/x&y.txt HTTP/1.1\r\n{range}"));
    let (head, body) = part("Range: bytes=2-4");
    assert_eq!((code(&head), &*body), ("206", &b"234"[..]));
    assert_eq!(field(&head, "Content-Range"), Some("bytes 2-4/10"));
    assert_eq!(part("Range: bytes=-3").1, b"789");
    let (head, _) = part("Range: bytes=10-");
    assert_eq!(code(&head), "416");
    assert_eq!(field(&head, "Content-Range"), Some("bytes */10"));
    let (head, body) = server.ask("GET /large.bin HTTP/1.1\r\nRange: bytes=400000-3999999");
    assert_eq!(code(&head), "206");
    assert!(body == large()[400_000..4_000_000]);
    // What has not been changed since is not sent again, nor is a part of another version.
    let date = field(&part("A: b").0, "Last-Modified").unwrap().to_owned();
    let (head, body) = part(&format!("If-Modified-Since: {date}"));
    assert_eq!((code(&head), &*body), ("304", &b""[..]));
    let (head, _) = part(&format!("Range: bytes=1-\r\nIf-Range: {date}"));
    assert_eq!(code(&head), "206");
    let (head, _) = part("Range: bytes=1-\r\nIf-Range: \"other\"");
    assert_eq!(code(&head), "200");
}

#[test]
fn nothing_outside_of_the_folder_is_served() {
    let folder = folder();
    fs::write(folder.path().join("secret"), "x").unwrap();
    let server = Server::of(&folder.path().join("listed"), &[]);
    for target in [
        "/../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/.%2e%5csecret",
    ] {
        let (head, _) = server.ask(&format!("GET {target} HTTP/1.1"));
        assert_eq!(code(&head), "400", "{target}");
    }
    for target in ["/secret", "//secret", "/x&y.txt/", "/x&y.txt/z", "/%ff"] {
        let (head, _) = server.ask(&format!("GET {target} HTTP/1.1"));
        assert_eq!(code(&head), "404", "{target}");
    }
    // A redirection stays on this server.
    let server = Server::of(folder.path(), &[]);
    let (head, _) = server.ask("GET //listed HTTP/1.1");
    assert_eq!(field(&head, "Location"), Some("/listed/"));
}

#[test]
fn what_is_wrong_gets_its_status() {
    let folder = folder();
    let server = Server::of(folder.path(), &[]);
    let long = format!("GET /{} HTTP/1.1", "a".repeat(9000));
    let fields = format!("GET / HTTP/1.1\r\nA: {}", "a".repeat(40_000));
    let large = "POST / HTTP/1.1\r\nContent-Length: 1000000";
    for (lines, expected) in [
        ("DELETE / HTTP/1.1", "405"),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked", "411"),
        (large, "413"),
        ("GET / HTTP/3.0", "505"),
        ("nonsense", "400"),
        ("GET  / HTTP/1.1", "400"),
        ("GET /none HTTP/1.1", "404"),
        (&long, "414"),
        (&fields, "431"),
    ] {
        let (head, _) = server.ask(lines);
        let start = &lines[..lines.len().min(40)];
        assert_eq!(code(&head), expected, "{start}");
        assert_eq!(field(&head, "Connection"), Some("close"), "{start}");
    }
    let (head, _) = server.ask("PUT / HTTP/1.1");
    assert_eq!(field(&head, "Allow"), Some("GET, HEAD"));
    // All that was sent is read, however much, for the answer to arrive.
    let mut request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n".to_vec();
    request.extend(vec![b'x'; 900_000]);
    assert_eq!(code(&split(&server.said_to(&request)).0), "413");
}

#[test]
fn requests_that_come_together_are_answered_in_order() {
    let folder = folder();
    let server = Server::of(folder.path(), &["--quiet"]);
    let one = "GET /listed/x&y.txt HTTP/1.1\r\nHost: x\r\n\r\n";
    let body = "POST /none HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nGET /";
    let last = "GET /a%20b/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let requests = [&one.repeat(100), body, "\r\n", last].concat();
    let answer = server.said_to(requests.as_bytes());
    let text = String::from_utf8(answer).unwrap();
    assert_eq!(text.matches("\r\n\r\n0123456789").count(), 100);
    assert_eq!(text.matches("HTTP/1.1 200 OK\r\n").count(), 101);
    assert_eq!(text.matches("HTTP/1.1 405 ").count(), 1);
    assert!(text.ends_with("<p>below"));
}

#[test]
fn one_connection_carries_many_requests_byte_by_byte() {
    let folder = folder();
    let server = Server::of(folder.path(), &["--requests", "3"]);
    let mut stream = server.connect();
    for _ in 0..3 {
        for byte in b"GET /listed/x&y.txt HTTP/1.1\r\nHost: x\r\n\r\n" {
            stream.write_all(&[*byte]).unwrap();
        }
        let mut answer = Vec::new();
        while !answer.ends_with(b"0123456789") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.extend(byte);
        }
    }
    drop(stream);
    assert_eq!(server.log().lines().count(), 3);
}

#[test]
fn slow_clients_are_not_waited_for() {
    let server = Server::start(&["--timeout", "1"]);
    let begin = Instant::now();
    let mut slow = server.connect();
    slow.write_all(b"GET / HT").unwrap();
    let mut idle = server.connect();
    let mut answer = Vec::new();
    slow.read_to_end(&mut answer).unwrap();
    assert_eq!(code(&split(&answer).0), "408");
    let mut nothing = Vec::new();
    idle.read_to_end(&mut nothing).unwrap();
    assert_eq!(nothing, b"");
    assert!(begin.elapsed() < Duration::from_secs(15));
}

#[test]
fn more_connections_than_allowed_have_to_wait() {
    let server = Server::start(&["--connections", "2"]);
    let held = [server.connect(), server.connect()];
    let mut third = server.connect();
    third
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    third
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    assert!(third.read(&mut [0]).is_err());
    third
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    drop(held);
    let mut answer = String::new();
    third.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

#[test]
fn without_a_folder_there_is_a_page() {
    let server = Server::start(&[]);
    let (head, body) = server.ask("GET / HTTP/1.1");
    assert_eq!(code(&head), "200");
    let body = String::from_utf8(body).unwrap();
    assert!(
        body.contains("<th>CPUs</th>") && body.contains(" MiB"),
        "{body}"
    );
    assert_eq!(code(&server.ask("GET /other HTTP/1.1").0), "404");
}

#[test]
fn a_missing_folder_is_an_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_httpd"))
        .args(["--dir", "/no/such/folder"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("/no/such/folder"), "{said}");
}
