//! `--top`: a screen that shows what the nodes do while the program runs.
//!
//! Each node tells of itself by samples ([`samples`]); what is known of all is on a [`board`], which is
//! drawn ([`view`]) a few times in a second by a thread that also looks for keys. The terminal is given back
//! however the run ends ([`terminal`]).

mod board;
mod kept;
mod samples;
mod terminal;
mod text;
mod units;
mod view;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use board::Board;
use kept::Stream;
use samples::Samples;
use terminal::Taken;

pub use terminal::check;

use crate::error::{Context, Result};
use crate::interrupt;
use crate::symbolize::Variables;

/// How often the screen is drawn.
const REDRAW: Duration = Duration::from_millis(250);
/// How often to look whether all is over.
const TICK: Duration = Duration::from_millis(50);

/// The screen, until it is dropped.
pub struct Top {
    board: Arc<Mutex<Board>>,
    is_over: Arc<AtomicBool>,
    drawing: Option<JoinHandle<()>>,
    // Dropped after the thread that draws has ended.
    _taken: Taken,
}

impl Top {
    /// Takes the terminal for a program of that name, whose file is `elf`, on so many nodes.
    pub fn open(program: &str, elf: &Path, nodes: u16) -> Result<Self> {
        let board = Board::new(program, nodes, Variables::of(elf)?);
        let board = Arc::new(Mutex::new(board));
        let shown = board.clone();
        let taken = Taken::take(move |stream, bytes| {
            let mut board = shown.lock().unwrap_or_else(PoisonError::into_inner);
            board.said(stream == Stream::Error, bytes);
        })?;
        let backend = CrosstermBackend::new(taken.file()?);
        let terminal = Terminal::new(backend).context(|| "find the terminal's size".into())?;
        let is_over = Arc::new(AtomicBool::new(false));
        let drawing = Drawing {
            terminal,
            board: board.clone(),
            is_over: is_over.clone(),
            begun: Instant::now(),
        };
        Ok(Self {
            board,
            is_over,
            drawing: Some(std::thread::spawn(move || drawing.run())),
            _taken: taken,
        })
    }

    /// Where the samples of a node go.
    pub fn samples_of(&self, node: u16) -> Box<dyn Write + Send> {
        Box::new(Samples::new(node, self.board.clone()))
    }
}

impl Drop for Top {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(drawing) = self.drawing.take() {
            // Its panic has been reported.
            let _ = drawing.join();
        }
    }
}

/// The thread that draws.
struct Drawing {
    terminal: Terminal<CrosstermBackend<File>>,
    board: Arc<Mutex<Board>>,
    is_over: Arc<AtomicBool>,
    begun: Instant,
}

impl Drawing {
    /// Until all is over. A terminal that is gone ends the drawing; the program runs on.
    fn run(mut self) {
        let mut drawn: Option<Instant> = None;
        while !self.is_over.load(Ordering::Relaxed) {
            if drawn.is_none_or(|drawn| drawn.elapsed() >= REDRAW) {
                let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
                board.now = self.begun.elapsed();
                if self
                    .terminal
                    .draw(|frame| view::draw(&board, frame))
                    .is_err()
                {
                    return;
                }
                drawn = Some(Instant::now());
            }
            match event::poll(TICK).and_then(|is_there| is_there.then(event::read).transpose()) {
                Ok(None) => {}
                Ok(Some(event)) => {
                    self.react(&event);
                    drawn = None;
                }
                // Without keys the program can be ended by a signal.
                Err(_) => std::thread::sleep(TICK),
            }
        }
    }

    fn react(&self, event: &Event) {
        match wanted(event) {
            Some(Wanted::End) => interrupt::ask(),
            Some(Wanted::Turn) => {
                let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
                board.turn();
            }
            None => {}
        }
    }
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// End all nodes, as Ctrl-C does.
    End,
    /// Change the order of pages.
    Turn,
}

fn wanted(event: &Event) -> Option<Wanted> {
    let Event::Key(KeyEvent {
        code,
        modifiers,
        kind: KeyEventKind::Press | KeyEventKind::Repeat,
        ..
    }) = event
    else {
        return None;
    };
    match code {
        KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => Some(Wanted::End),
        _ if modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => None,
        KeyCode::Char('q') => Some(Wanted::End),
        KeyCode::Char('s') => Some(Wanted::Turn),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};

    use super::{Wanted, wanted};

    #[test]
    fn keys_are_for_something_or_nothing() {
        let key = |code, modifiers| wanted(&Event::Key(KeyEvent::new(code, modifiers)));
        let plain = |letter| key(KeyCode::Char(letter), KeyModifiers::NONE);
        assert_eq!(plain('q'), Some(Wanted::End));
        assert_eq!(plain('s'), Some(Wanted::Turn));
        assert_eq!([plain('c'), plain('x')], [None, None]);
        assert_eq!(
            key(KeyCode::Char('c'), KeyModifiers::CONTROL),
            Some(Wanted::End)
        );
        assert_eq!(key(KeyCode::Char('q'), KeyModifiers::ALT), None);
        assert_eq!(wanted(&Event::Resize(3, 4)), None);
    }
}
