//! What the screen shows of a [`Board`]: that alone decides, and how large the screen is.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph};

use super::board::{Board, Node, Order, Page, Rates};
use super::units::{bytes, count, time};

/// A node that has told nothing for longer is silent: it tells of itself twice in a second.
const SILENT: Duration = Duration::from_secs(3);
/// The most CPUs of a node that are shown one by one.
const MOST_BARS: usize = 16;
/// How busy a CPU is.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Lines of a frame.
const FRAME: u16 = 2;

/// Draws all of it.
pub fn draw(board: &Board, frame: &mut Frame) {
    let area = frame.area();
    // A line for each node, and one for what the columns are; not more than half of the screen.
    let nodes = u16::try_from(board.nodes.len()).unwrap_or(u16::MAX);
    let nodes = nodes.saturating_add(1 + FRAME).min(area.height / 2);
    let parts = [
        Constraint::Length(1),
        Constraint::Length(nodes),
        Constraint::Fill(1),
        Constraint::Fill(1),
    ];
    let [title, nodes, pages, output] = Layout::vertical(parts).areas(area);
    frame.render_widget(title_of(board), title);
    frame.render_widget(framed("nodes", table_of_nodes(board, nodes.width)), nodes);
    frame.render_widget(framed(name_of(board.order), table_of_pages(board)), pages);
    let lines = board.lines(usize::from(output.height.saturating_sub(FRAME)));
    let lines = lines.into_iter().map(Line::raw).collect();
    frame.render_widget(framed("output", lines), output);
}

fn framed<'a>(title: &'a str, lines: Vec<Line<'a>>) -> Paragraph<'a> {
    Paragraph::new(lines).block(Block::bordered().title(title))
}

fn title_of(board: &Board) -> Line<'static> {
    let nodes = match board.nodes.len() {
        1 => "1 node".into(),
        count => format!("{count} nodes"),
    };
    Line::from(vec![
        format!("{} on {nodes}", board.program).bold(),
        format!(
            ", {} s    q: end it    s: sort pages by {}",
            board.now.as_secs(),
            match board.order {
                Order::Now => "all so far",
                Order::SoFar => "now",
            }
        )
        .into(),
    ])
}

fn name_of(order: Order) -> &'static str {
    match order {
        Order::Now => "pages that nodes wait for now",
        Order::SoFar => "pages that nodes have waited for so far",
    }
}

/// A column of the table of nodes: what is above it, how wide it is, and what is in it.
struct Column {
    head: &'static str,
    width: usize,
    text: fn(&Shown<'_>) -> Option<String>,
}

/// From left to right; those that do not fit are left out. All but the first are to the right.
const COLUMNS: [Column; 15] = [
    Column::new("NODE", 4, |shown| Some(format!("n{}", shown.number))),
    Column::new("BUSY", 4, |shown| {
        let busy = &shown.rates?.busy;
        let part = busy.iter().sum::<f64>() / busy.len().max(1) as f64;
        Some(format!("{:.0}%", part * 100.0))
    }),
    Column::new("CPUS", 4, |shown| Some(bars(&shown.rates?.busy))),
    Column::new("THR", 5, |shown| {
        Some(shown.node.newest.as_ref()?.threads.to_string())
    }),
    Column::new("HEAP", 5, |shown| {
        Some(bytes(shown.node.newest.as_ref()?.heap_in_use as f64))
    }),
    Column::new("MEM", 5, |shown| {
        let sample = shown.node.newest.as_ref()?;
        Some(bytes(
            sample.memory_total.saturating_sub(sample.memory_free) as f64,
        ))
    }),
    Column::new("READ/s", 6, |shown| Some(count(shown.rates?.reads))),
    Column::new("WRITE/s", 7, |shown| Some(count(shown.rates?.writes))),
    Column::new("UPGR/s", 6, |shown| Some(count(shown.rates?.upgrades))),
    Column::new("p50", 6, |shown| shown.percentile(50)),
    Column::new("p99", 6, |shown| shown.percentile(99)),
    Column::new("MSG/s", 5, |shown| Some(count(shown.rates?.messages))),
    Column::new("IN/s", 5, |shown| Some(bytes(shown.rates?.bytes_in))),
    Column::new("OUT/s", 5, |shown| Some(bytes(shown.rates?.bytes_out))),
    Column::new("HOLD/s", 6, |shown| Some(count(shown.rates?.holds))),
];

impl Column {
    const fn new(head: &'static str, width: usize, text: fn(&Shown<'_>) -> Option<String>) -> Self {
        Self { head, width, text }
    }
}

/// A node, and what is known of it at this moment.
struct Shown<'a> {
    number: usize,
    node: &'a Node,
    rates: Option<&'a Rates>,
}

impl Shown<'_> {
    fn percentile(&self, percent: u64) -> Option<String> {
        let ns = self.rates?.latency.percentile(percent)?;
        Some(time(Duration::from_nanos(ns)))
    }
}

/// A character for each CPU.
fn bars(busy: &[f64]) -> String {
    let bar = |part: &f64| BARS[((part * 8.0).round() as usize).min(BARS.len() - 1)];
    busy.iter().take(MOST_BARS).map(bar).collect()
}

fn table_of_nodes(board: &Board, width: u16) -> Vec<Line<'static>> {
    let rates = || board.nodes.iter().filter_map(|node| node.rates.as_ref());
    let cpus = rates().map(|rates| rates.busy.len()).max().unwrap_or(0);
    let width_of = |column: &Column| match column.head {
        "CPUS" => column.width.max(cpus.min(MOST_BARS)),
        _ => column.width,
    };
    let mut left = usize::from(width.saturating_sub(FRAME));
    let fits = |column: &&Column| {
        let wanted = width_of(column) + 1;
        let is_room = wanted <= left + 1;
        left = left.saturating_sub(wanted);
        is_room
    };
    let columns: Vec<&Column> = COLUMNS.iter().take_while(fits).collect();
    let line = |text: &dyn Fn(&Column) -> String| {
        let cells = columns.iter().enumerate();
        let cells = cells.map(|(place, column)| match (place, width_of(column)) {
            (0, width) => format!("{:width$}", text(column)),
            (_, width) => format!("{:>width$}", text(column)),
        });
        cells.collect::<Vec<_>>().join(" ")
    };
    let mut lines = vec![Line::from(line(&|column| column.head.into())).bold()];
    for (number, node) in board.nodes.iter().enumerate() {
        lines.push(match complaint(node, board.now) {
            Some(text) => Line::styled(format!("n{number:<3} {text}"), Style::new().fg(Color::Red)),
            None => {
                let shown = Shown {
                    number,
                    node,
                    rates: node.rates.as_ref(),
                };
                let text = |column: &Column| (column.text)(&shown).unwrap_or("-".into());
                Line::raw(line(&text))
            }
        });
    }
    lines
}

/// Why nothing is known of a node at this moment.
fn complaint(node: &Node, now: Duration) -> Option<String> {
    let silence = now.saturating_sub(node.at);
    if let Some(wrong) = &node.wrong {
        return Some(format!("what it tells of itself cannot be read: {wrong}"));
    }
    match node.newest {
        None => Some("has not told of itself yet".into()),
        Some(_) if silence > SILENT => {
            Some(format!("has told nothing for {} s", silence.as_secs()))
        }
        Some(_) => None,
    }
}

fn table_of_pages(board: &Board) -> Vec<Line<'static>> {
    let heads = match board.order {
        Order::Now => "WAITS/s",
        Order::SoFar => "  WAITS",
    };
    let number = |page: &Page| match board.order {
        Order::Now => count(page.rate()),
        Order::SoFar => count(page.total() as f64),
    };
    let mut lines = vec![Line::from(format!("{heads}  {:12}  {:20}  WHAT", "PAGE", "BY")).bold()];
    lines.extend(board.hot().into_iter().map(|(at, page)| {
        let (address, waits) = (at * 4096, number(page));
        Line::raw(format!(
            "{waits:>7}  {address:012x}  {:20}  {}",
            by(board.order, page),
            page.what()
        ))
    }));
    lines
}

/// The part of each node in the waits for a page.
fn by(order: Order, page: &Page) -> String {
    let waits = page.by_node.iter().map(|(node, waits)| {
        let part = match order {
            Order::Now => waits.rate,
            Order::SoFar => waits.total as f64,
        };
        (node, part)
    });
    let all: f64 = waits.clone().map(|(_, part)| part).sum();
    let percent = |part: f64| 100.0 * part / all.max(f64::MIN_POSITIVE);
    let parts = waits.map(|(node, part)| format!("n{node} {:.0}%", percent(part)));
    parts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use darner_abi::{HotPage, Place};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::draw;
    use crate::cluster::top::board::Board;
    use crate::cluster::top::board::tests::{board, hot, sample};

    /// The lines of a screen of that size, without what is empty at their ends.
    fn screen(board: &Board, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(board, frame)).unwrap();
        let buffer = terminal.backend().buffer();
        let cells = |y| (0..width).map(move |x| buffer[(x, y)].symbol());
        let line = |y| cells(y).collect::<String>().trim_end().to_owned();
        (0..height).map(line).collect()
    }

    /// Two nodes after two samples each, a second apart, and one that has not come yet.
    fn example() -> Board {
        let mut board = board(3);
        let counter = hot(0x80_0012_3008, 40, Place::Blocks(64));
        let stack = HotPage {
            faults: 10,
            ..hot(0x4000_0000_1000, 0, Place::Stack(7))
        };
        board.take(0, &sample(1, &[]));
        board.take(1, &sample(1, &[]));
        board.now = Duration::from_millis(12_300);
        board.take(0, &sample(2, &[counter, stack]));
        board.take(
            1,
            &sample(
                2,
                &[HotPage {
                    faults: 120,
                    ..counter
                }],
            ),
        );
        board.said(false, b"sum 42\nnot yet");
        board.said(true, b"[n1] booted in 9 ms\n");
        board
    }

    #[test]
    fn all_there_is_is_shown() {
        let bar = "─";
        let frame = |left: &str, title: &str, right: &str| {
            let width = 110 - 2 - title.chars().count();
            format!("{left}{title}{}{right}", bar.repeat(width))
        };
        let row = |text: &str| format!("│{text:108}│");
        let expected = [
            "sor on 3 nodes, 12 s    q: end it    s: sort pages by all so far".to_owned(),
            frame("┌", "nodes", "┐"),
            row(
                "NODE BUSY CPUS   THR  HEAP   MEM READ/s WRITE/s UPGR/s    p50    p99 MSG/s  IN/s OUT/s HOLD/s",
            ),
            row(
                "n0    38%   ▆      4  3.0M   64M    105      20      3  1.0ms  1.0ms     2  4.0K  1.9M      7",
            ),
            row(
                "n1    38%   ▆      4  3.0M   64M    105      20      3  1.0ms  1.0ms     2  4.0K  1.9M      7",
            ),
            row("n2   has not told of itself yet"),
            frame("└", "", "┘"),
            frame("┌", "pages that nodes wait for now", "┐"),
            row("WAITS/s  PAGE          BY                    WHAT"),
            row("     80  008000123000  n0 25% n1 75%         heap of n1, blocks of 64 bytes"),
            row("      5  400000001000  n0 100%               stack of thread 7"),
            frame("└", "", "┘"),
            frame("┌", "output", "┐"),
            row("[n0] sum 42"),
            row("[n1] booted in 9 ms"),
            row("[n0] not yet"),
            frame("└", "", "┘"),
        ];
        assert_eq!(screen(&example(), 110, 17), expected);
    }

    #[test]
    fn pages_can_be_ordered_by_all_so_far() {
        let mut board = example();
        board.turn();
        let lines = screen(&board, 110, 17);
        assert!(lines[0].ends_with("s: sort pages by now"), "{lines:#?}");
        assert!(lines[7].contains("pages that nodes have waited for so far"));
        assert!(
            lines[9].contains("    160  008000123000  n0 25% n1 75% "),
            "{lines:#?}"
        );
    }

    #[test]
    fn columns_that_do_not_fit_are_left_out() {
        let lines = screen(&example(), 80, 24);
        let heads =
            "│NODE BUSY CPUS   THR  HEAP   MEM READ/s WRITE/s UPGR/s    p50    p99 MSG/s    │";
        assert_eq!(lines[2], heads);
    }

    #[test]
    fn silence_and_nonsense_are_told() {
        let mut board = example();
        board.now = Duration::from_secs(20);
        board.fail(1, &"found a sample that ends in the middle");
        let lines = screen(&board, 110, 17);
        assert!(
            lines[3].contains("n0   has told nothing for 7 s"),
            "{lines:#?}"
        );
        assert!(lines[4].contains("cannot be read: found a sample that ends in the middle"));
    }

    /// Of many nodes those are shown that fit, and something of all the rest.
    #[test]
    fn no_size_is_too_small() {
        let mut many = board(64);
        for node in 0..64 {
            many.take(node, &sample(1, &[]));
            many.take(node, &sample(2, &[hot(0x1000, 5, Place::Unknown)]));
        }
        for board in [&example(), &many] {
            for (width, height) in [
                (0, 0),
                (1, 1),
                (3, 2),
                (200, 1),
                (1, 60),
                (20, 8),
                (500, 200),
            ] {
                assert_eq!(screen(board, width, height).len(), usize::from(height));
            }
        }
        let lines = screen(&many, 80, 30);
        assert!(lines[15].starts_with('└') && lines[16].contains("pages that nodes wait for now"));
    }
}
