//! Exchanges of HTTP, and what hostile or slow clients can do to them.

use crate::told::{Told, example};
use darner_diag::http::{LIMIT, MOST_HEAD, Route};
use darner_diag::{Exchange, Need, Report};
use proptest::prelude::*;

/// An answer that was taken apart.
struct Answer {
    status: u16,
    fields: Vec<(String, String)>,
    content: Vec<u8>,
}

impl Answer {
    fn field(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(is, _)| is == name);
        field.map(|(_, value)| value.as_str())
    }

    fn parse(bytes: &[u8]) -> Self {
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut fields);
        let length = response.parse(bytes).unwrap().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self {
            status: response.code.unwrap(),
            fields: response
                .headers
                .iter()
                .map(|field| (field.name.to_ascii_lowercase(), text(field.value)))
                .collect(),
            content: bytes[length..].to_vec(),
        }
    }
}

fn node() -> Told {
    Told(Some(example()))
}

/// Takes all that the exchange has to say, a few bytes at a time.
fn output(exchange: &mut Exchange) -> Vec<u8> {
    let mut bytes = Vec::new();
    while exchange.need() == Need::Output {
        let part = exchange.output();
        assert!(!part.is_empty(), "it has something to say");
        let count = part.len().min(1000);
        bytes.extend_from_slice(&part[..count]);
        exchange.sent(count);
    }
    bytes
}

fn ask(request: &str, source: &Told) -> Answer {
    let mut exchange = Exchange::new(0).unwrap();
    exchange.receive(request.as_bytes(), source);
    let bytes = output(&mut exchange);
    assert_eq!(exchange.need(), Need::Farewell);
    exchange.end_of_input();
    assert_eq!(exchange.need(), Need::Close);
    Answer::parse(&bytes)
}

fn get(path: &str) -> Answer {
    ask(
        &format!("GET {path} HTTP/1.1\r\nHost: node\r\n\r\n"),
        &node(),
    )
}

#[test]
fn every_route_answers() {
    for route in Route::ALL {
        let answer = get(route.path());
        assert_eq!(answer.status, 200, "{route:?}");
        assert_eq!(answer.field("content-type"), Some(route.content_type()));
        let length = answer.content.len().to_string();
        assert_eq!(answer.field("content-length"), Some(&*length));
        assert_eq!(answer.field("connection"), Some("close"));
        assert!(!answer.content.is_empty());
    }
}

#[test]
fn parts_are_those_of_the_report() {
    let report = example();
    let read =
        |path: &str| serde_json::from_slice::<serde_json::Value>(&get(path).content).unwrap();
    let all = serde_json::to_value(&report).unwrap();
    assert_eq!(read("/api/report.json"), all);
    for part in ["node", "threads", "cpus", "memory", "network"] {
        assert_eq!(read(&format!("/api/{part}.json")), all[part], "{part}");
    }
    assert_eq!(get("/healthz").content, b"ok\n");
}

#[test]
fn the_page_asks_nobody_else() {
    let answer = get("/");
    let page = String::from_utf8(answer.content.clone()).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>"));
    assert!(page.contains("/api/report.json") && page.contains("<noscript>"));
    assert!(!page.contains("http://") && !page.contains("https://"));
    let policy = answer.field("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'"));
}

#[test]
fn head_is_get_without_its_content() {
    for route in Route::ALL {
        let request = format!("HEAD {} HTTP/1.1\r\nHost: node\r\n\r\n", route.path());
        let (head, whole) = (ask(&request, &node()), get(route.path()));
        assert!(head.content.is_empty());
        assert_eq!((head.status, head.fields), (whole.status, whole.fields));
    }
}

#[test]
fn targets_may_have_a_query_and_a_host() {
    for target in [
        "/healthz?x=/metrics",
        "http://127.0.0.1:9100/healthz",
        "HTTP://node/healthz?",
    ] {
        assert_eq!(get(target).content, b"ok\n", "{target}");
    }
    assert_eq!(get("http://node").status, 200);
    assert_eq!(get("?x").status, 200);
}

#[test]
fn other_requests_are_refused() {
    let host = "Host: node\r\n";
    let many = "a: b\r\n".repeat(65);
    for (request, status) in [
        (format!("GET /x HTTP/1.1\r\n{host}\r\n"), 404),
        (format!("GET /metrics/ HTTP/1.1\r\n{host}\r\n"), 404),
        (format!("GET /../metrics HTTP/1.1\r\n{host}\r\n"), 404),
        (
            format!("POST / HTTP/1.1\r\n{host}Content-Length: 3\r\n\r\nabc"),
            405,
        ),
        (format!("BREW / HTTP/1.1\r\n{host}\r\n"), 405),
        (format!("OPTIONS * HTTP/1.1\r\n{host}\r\n"), 404),
        ("GET / HTTP/1.1\r\n\r\n".into(), 400),
        (format!("GET / HTTP/1.1\r\n{host}{host}\r\n"), 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 400),
        ("GET /\r\n\r\n".into(), 400),
        ("\u{16}\u{3}\u{1}\u{2}\0".into(), 400),
        (format!("GET / HTTP/1.1\r\n{host}{many}\r\n"), 431),
        (
            format!("GET / HTTP/1.1\r\na: {}", "b".repeat(MOST_HEAD)),
            431,
        ),
        (format!("GET /{}", "b".repeat(MOST_HEAD)), 431),
    ] {
        let answer = ask(&request, &node());
        assert_eq!(answer.status, status, "{request}");
        assert!(!answer.content.is_empty(), "it says why");
        let allows = answer.field("allow");
        assert_eq!(allows, (status == 405).then_some("GET, HEAD"));
    }
    let old = ask("GET /healthz HTTP/1.0\r\n\r\n", &node());
    assert_eq!(old.status, 200, "HTTP/1.0 has no hosts");
}

#[test]
fn without_memory_it_says_so() {
    let request = |path| format!("GET {path} HTTP/1.1\r\nHost: node\r\n\r\n");
    for route in Route::ALL {
        let answer = ask(&request(route.path()), &Told(None));
        match route {
            Route::Page | Route::Health => assert_eq!(answer.status, 200),
            _ => assert_eq!(answer.status, 503),
        }
    }
}

#[test]
fn a_request_may_come_in_any_pieces() {
    let request = b"GET /healthz HTTP/1.1\r\nHost: node\r\nAccept: */*\r\n\r\n";
    for cut in 0..request.len() {
        let mut exchange = Exchange::new(0).unwrap();
        exchange.receive(&request[..cut], &node());
        assert_eq!(exchange.need(), Need::Input, "{cut}");
        exchange.receive(&request[cut..], &node());
        assert_eq!(Answer::parse(&output(&mut exchange)).status, 200);
    }
}

#[test]
fn who_leaves_early_is_told_or_not() {
    let mut exchange = Exchange::new(0).unwrap();
    exchange.end_of_input();
    assert_eq!(exchange.need(), Need::Close);
    let mut exchange = Exchange::new(0).unwrap();
    exchange.receive(b"GET / HT", &node());
    exchange.end_of_input();
    assert_eq!(Answer::parse(&output(&mut exchange)).status, 400);
    let mut exchange = Exchange::new(0).unwrap();
    exchange.receive(b"GET / HT", &node());
    exchange.lost();
    assert_eq!(exchange.need(), Need::Close);
}

#[test]
fn nobody_keeps_a_connection_for_long() {
    // Who says nothing.
    let mut exchange = Exchange::new(7).unwrap();
    let deadline = exchange.deadline();
    assert!(deadline < 7 + LIMIT);
    exchange.tell_time(deadline - 1);
    assert_eq!(exchange.need(), Need::Input);
    exchange.tell_time(deadline);
    assert_eq!(exchange.need(), Need::Close);

    // Who says it slowly, and does not read the answer.
    let mut exchange = Exchange::new(7).unwrap();
    for now in (7..deadline).step_by(100_000_000) {
        exchange.receive(b"G", &node());
        exchange.tell_time(now);
    }
    exchange.tell_time(deadline);
    assert_eq!(exchange.need(), Need::Output);
    assert!(exchange.output().starts_with(b"HTTP/1.1 408 "));
    assert_eq!(exchange.deadline(), 7 + LIMIT);
    exchange.tell_time(7 + LIMIT);
    assert_eq!(exchange.need(), Need::Abort);

    // Who never goes.
    let mut exchange = Exchange::new(7).unwrap();
    exchange.receive(b"GET / HTTP/1.0\r\n\r\n", &node());
    output(&mut exchange);
    exchange.tell_time(7 + LIMIT - 1);
    assert_eq!(exchange.need(), Need::Farewell);
    exchange.tell_time(7 + LIMIT);
    assert_eq!(exchange.need(), Need::Abort);
}

#[test]
fn who_never_stops_talking_is_cut_off() {
    let mut exchange = Exchange::new(0).unwrap();
    exchange.receive(b"GET / HTTP/1.0\r\n\r\n", &node());
    output(&mut exchange);
    let mut rounds = 0;
    while exchange.need() == Need::Farewell {
        exchange.receive(&[b'x'; 4096], &node());
        rounds += 1;
        assert!(rounds < 1000, "it listens for ever");
    }
    assert_eq!(exchange.need(), Need::Abort);
}

/// What the other end may do.
#[derive(Clone, Debug)]
enum Act {
    Send(Vec<u8>),
    Read(usize),
    Wait(u64),
    Leave,
}

fn act() -> impl Strategy<Value = Act> {
    let bytes = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        "(GET|HEAD|PUT) (/|/metrics|/x|http://a/healthz)( HTTP/1\\.[01])?(\r\n(Host: a)?)?"
            .prop_map(String::into_bytes),
        "(\r\n|: |Host|\r\n\r\n)".prop_map(String::into_bytes),
    ];
    prop_oneof![
        4 => bytes.prop_map(Act::Send),
        2 => (0..5000usize).prop_map(Act::Read),
        1 => (0..LIMIT).prop_map(Act::Wait),
        1 => Just(Act::Leave),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Nothing that arrives makes it panic, and it always comes to an end.
    #[test]
    fn whatever_comes_it_ends(acts in proptest::collection::vec(act(), 0..40)) {
        let source = Told(Some(Report::default()));
        let (mut exchange, mut now) = (Exchange::new(0).unwrap(), 0);
        for act in acts {
            match act {
                Act::Send(bytes) => exchange.receive(&bytes, &source),
                Act::Read(count) => exchange.sent(count.min(exchange.output().len())),
                Act::Wait(time) => now += time,
                Act::Leave => exchange.end_of_input(),
            }
            exchange.tell_time(now);
            prop_assert_eq!(exchange.need() == Need::Output, !exchange.output().is_empty());
        }
        exchange.tell_time(now.max(LIMIT));
        prop_assert!(matches!(exchange.need(), Need::Close | Need::Abort));
    }

    /// The same bytes get the same answer, in whatever pieces.
    #[test]
    fn pieces_do_not_matter(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        start in "(GET / HTTP/1\\.1\r\nHost: a\r\n)?",
        cuts in proptest::collection::vec(1..50usize, 1..20),
    ) {
        let bytes = [start.as_bytes(), &bytes].concat();
        let whole = {
            let mut exchange = Exchange::new(0).unwrap();
            exchange.receive(&bytes, &node());
            exchange.end_of_input();
            output(&mut exchange)
        };
        let mut exchange = Exchange::new(0).unwrap();
        let mut rest = &bytes[..];
        for cut in cuts.iter().cycle() {
            let (part, following) = rest.split_at((*cut).min(rest.len()));
            exchange.receive(part, &node());
            rest = following;
            if rest.is_empty() {
                break;
            }
        }
        exchange.end_of_input();
        prop_assert_eq!(output(&mut exchange), whole);
    }
}
