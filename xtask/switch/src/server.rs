//! The switch with its sockets: one thread that waits for all of them.
//!
//! Nothing is lost here that nobody ordered. A machine that reads slower than others
//! send stops them: what it has not taken stays in a buffer, and when that is full,
//! nothing more is read from whoever filled it. A machine that takes nothing at all for
//! [`STALL`] (it has crashed, or a debugger holds it) stops nobody any longer: until it
//! takes something, frames for it are dropped and counted.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::framing::{Broken, Incoming, Next, Outgoing};
use crate::{Capture, Change, Core, Counters, PortId, Time, Wires};

/// How much may wait for a machine before its senders do.
const HIGH_WATER: usize = 512 * 1024;
/// How little must wait for them to go on.
const LOW_WATER: usize = 128 * 1024;
/// How long a machine may take nothing before it is given up on.
const STALL: Duration = Duration::from_millis(500);
/// How long captured frames may stay in memory.
const CAPTURE_FLUSH: Duration = Duration::from_millis(250);

/// What its owner may want to know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A machine is there.
    Plugged(PortId),
    /// A machine is gone.
    Unplugged(PortId, Broken),
    /// The capture could not be written and has ended.
    CaptureFailed(String),
}

enum Request {
    Change(Change),
    Begin,
    Counters(Sender<Counters>),
    Stop,
}

/// A running switch. It ends with this, and its sockets are gone then.
pub struct Server {
    requests: Sender<Request>,
    waker: UnixStream,
    events: Receiver<Event>,
    thread: Option<JoinHandle<Counters>>,
    paths: Vec<PathBuf>,
}

impl Server {
    /// Starts a switch whose port `i` is the socket `n<i>` in `folder`.
    ///
    /// # Errors
    /// When the sockets cannot be made.
    pub fn start(
        folder: &Path,
        ports: usize,
        core: Core,
        capture: Option<Capture>,
    ) -> io::Result<Self> {
        let paths: Vec<PathBuf> = (0..ports)
            .map(|port| folder.join(PortId::of(port).to_string()))
            .collect();
        let sockets = paths
            .iter()
            .map(|path| {
                let listener = UnixListener::bind(path)?;
                listener.set_nonblocking(true)?;
                Ok(Socket {
                    listener,
                    stream: None,
                })
            })
            .collect::<io::Result<Vec<_>>>()?;
        let (waker, wakened) = UnixStream::pair()?;
        waker.set_nonblocking(true)?;
        wakened.set_nonblocking(true)?;
        let (requests, received) = mpsc::channel();
        let (events_sender, events) = mpsc::channel();
        let shell = Shell {
            core,
            sockets,
            inputs: (0..ports).map(|_| Input::default()).collect(),
            outputs: (0..ports).map(|_| Output::default()).collect(),
            capture,
            captured_at: None,
            requests: received,
            wakened,
            events: events_sender,
            started: Instant::now(),
        };
        let thread = std::thread::Builder::new()
            .name("switch".into())
            .spawn(move || shell.run())?;
        Ok(Self {
            requests,
            waker,
            events,
            thread: Some(thread),
            paths,
        })
    }

    /// The socket of a port.
    pub fn path(&self, port: PortId) -> &Path {
        &self.paths[port.index()]
    }

    /// Changes something.
    pub fn change(&self, change: Change) {
        self.ask(Request::Change(change));
    }

    /// Begins the schedule of a core that was held back.
    pub fn begin(&self) {
        self.ask(Request::Begin);
    }

    /// What has happened so far; `None` when the switch has failed.
    pub fn counters(&self) -> Option<Counters> {
        let (sender, receiver) = mpsc::channel();
        self.ask(Request::Counters(sender));
        receiver.recv().ok()
    }

    /// What has happened since this was asked last.
    pub fn events(&self) -> impl Iterator<Item = Event> {
        self.events.try_iter()
    }

    /// Ends the switch; gives what has happened, `None` when it has failed.
    pub fn stop(mut self) -> Option<Counters> {
        self.end()
    }

    fn ask(&self, request: Request) {
        // Fails when the thread has ended, which whoever waits for an answer notices.
        let _ = self.requests.send(request);
        // Full means that a waking is on its way already.
        let _ = io::Write::write(&mut &self.waker, &[0]);
    }

    fn end(&mut self) -> Option<Counters> {
        let thread = self.thread.take()?;
        self.ask(Request::Stop);
        let counters = thread.join().ok();
        for path in &self.paths {
            // Its folder may be gone already.
            let _ = std::fs::remove_file(path);
        }
        counters
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// The way in from one machine.
#[derive(Default)]
struct Input {
    incoming: Incoming,
    /// Whether whole frames may be left in there.
    has_backlog: bool,
    /// The port whose buffer this machine has filled.
    waits_for: Option<PortId>,
}

/// The way out to one machine.
#[derive(Default)]
struct Output {
    outgoing: Outgoing,
    state: State,
    /// When it last took something, or had nothing to take.
    progress: Time,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// Nobody is there, or does not listen any more.
    #[default]
    Closed,
    Open,
    /// Somebody is there and takes nothing.
    Stalled,
}

impl Output {
    fn may_be_sent_to(&self) -> bool {
        self.outgoing.len() < LOW_WATER || self.state != State::Open
    }

    /// When it is to be given up on, unless it takes something.
    fn stalls_at(&self) -> Option<Time> {
        let is_full = self.state == State::Open && self.outgoing.len() > HIGH_WATER;
        is_full.then(|| self.progress + STALL)
    }
}

/// The outputs, as the core sees them.
struct Buffers<'a> {
    now: Time,
    outputs: &'a mut [Output],
    /// One that was added to and is full.
    full: Option<PortId>,
}

impl Wires for Buffers<'_> {
    fn send(&mut self, port: PortId, frame: &[u8]) -> bool {
        let output = &mut self.outputs[port.index()];
        if output.state != State::Open {
            return false;
        }
        if output.outgoing.is_empty() {
            output.progress = self.now;
        }
        output.outgoing.push(frame);
        if output.outgoing.len() > HIGH_WATER {
            self.full = Some(port);
        }
        true
    }
}

/// Where one machine is plugged in.
struct Socket {
    listener: UnixListener,
    stream: Option<UnixStream>,
}

struct Shell {
    core: Core,
    sockets: Vec<Socket>,
    inputs: Vec<Input>,
    outputs: Vec<Output>,
    capture: Option<Capture>,
    /// When the oldest frame was captured that is still in memory.
    captured_at: Option<Time>,
    requests: Receiver<Request>,
    wakened: UnixStream,
    events: Sender<Event>,
    started: Instant,
}

impl Shell {
    /// Runs until it shall stop; gives what has happened.
    fn run(mut self) -> Counters {
        let mut is_running = true;
        while is_running {
            let Ok(readable) = self.wait() else {
                break;
            };
            is_running = self.answer();
            let now = self.now();
            self.core.expire(
                now,
                &mut Buffers {
                    now,
                    outputs: &mut self.outputs,
                    full: None,
                },
            );
            for (index, is_readable) in readable.into_iter().enumerate() {
                if is_readable && self.sockets[index].stream.is_none() {
                    self.plug(PortId::of(index));
                } else {
                    self.receive(now, PortId::of(index), is_readable);
                }
            }
            self.send(now);
            self.flush_capture(now);
        }
        self.write_capture_out();
        self.core.counters()
    }

    fn now(&self) -> Time {
        self.started.elapsed()
    }

    /// Waits until there is something to do; says which sockets can be read.
    fn wait(&self) -> io::Result<Vec<bool>> {
        let mut fds = vec![PollFd::new(&self.wakened, PollFlags::IN)];
        // The place of each socket among them.
        let mut places = Vec::with_capacity(self.sockets.len());
        for (index, socket) in self.sockets.iter().enumerate() {
            let (fd, interest) = match &socket.stream {
                None => (socket.listener.as_fd(), PollFlags::IN),
                Some(stream) => (stream.as_fd(), self.interest(index)),
            };
            // Not asked for, an end would be told all the same, again and again.
            places.push((!interest.is_empty()).then(|| {
                fds.push(PollFd::from_borrowed_fd(fd, interest));
                fds.len() - 1
            }));
        }
        let timeout = self.patience().map(|patience| Timespec {
            tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: patience.subsec_nanos().into(),
        });
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let readable = PollFlags::IN | PollFlags::HUP | PollFlags::ERR;
        let is_readable = |place: Option<usize>| {
            place.is_some_and(|place| fds[place].revents().intersects(readable))
        };
        Ok(places.into_iter().map(is_readable).collect())
    }

    /// What a connected socket is waited for.
    fn interest(&self, index: usize) -> PollFlags {
        let mut interest = PollFlags::empty();
        if self.may_receive(PortId::of(index)) {
            interest |= PollFlags::IN;
        }
        if !self.outputs[index].outgoing.is_empty() {
            interest |= PollFlags::OUT;
        }
        interest
    }

    /// How long there is nothing to do, whatever the sockets say; `None` is forever.
    fn patience(&self) -> Option<Duration> {
        let has_work = |(index, input): (usize, &Input)| {
            input.has_backlog && self.may_receive(PortId::of(index))
        };
        if self.inputs.iter().enumerate().any(has_work) {
            return Some(Duration::ZERO);
        }
        let stalls = self.outputs.iter().filter_map(Output::stalls_at);
        let flush = self.captured_at.map(|at| at + CAPTURE_FLUSH);
        let next = stalls.chain(flush).chain(self.core.next_due()).min()?;
        Some(next.saturating_sub(self.now()))
    }

    /// Does what its owner asked for; `false` when that was to stop.
    fn answer(&mut self) -> bool {
        let mut wakings = [0; 64];
        while io::Read::read(&mut &self.wakened, &mut wakings).is_ok_and(|count| count > 0) {}
        loop {
            match self.requests.try_recv() {
                Ok(Request::Change(change)) => self.core.change(change),
                Ok(Request::Begin) => self.core.begin(self.now()),
                Ok(Request::Counters(answer)) => {
                    // Who does not wait any more needs no answer.
                    let _ = answer.send(self.core.counters());
                }
                Ok(Request::Stop) | Err(mpsc::TryRecvError::Disconnected) => return false,
                Err(mpsc::TryRecvError::Empty) => return true,
            }
        }
    }

    /// Takes the connection that waits at a port.
    fn plug(&mut self, port: PortId) {
        let index = port.index();
        let Ok((stream, _)) = self.sockets[index].listener.accept() else {
            return;
        };
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        self.sockets[index].stream = Some(stream);
        self.inputs[index] = Input::default();
        self.outputs[index] = Output {
            state: State::Open,
            ..Output::default()
        };
        self.core.plug(port);
        self.tell(Event::Plugged(port));
    }

    fn unplug(&mut self, port: PortId, why: Broken) {
        let index = port.index();
        self.sockets[index].stream = None;
        self.inputs[index] = Input::default();
        self.outputs[index] = Output::default();
        self.core.unplug(port);
        self.tell(Event::Unplugged(port, why));
    }

    fn tell(&self, event: Event) {
        // Nobody has to listen.
        let _ = self.events.send(event);
    }

    fn may_receive(&self, port: PortId) -> bool {
        let waits_for = self.inputs[port.index()].waits_for;
        !self.core.is_full(port)
            && waits_for.is_none_or(|other| self.outputs[other.index()].may_be_sent_to())
    }

    /// Takes in what a machine has sent: what is here already, then what one read gives.
    fn receive(&mut self, now: Time, port: PortId, is_readable: bool) {
        let index = port.index();
        if self.sockets[index].stream.is_none() || !self.may_receive(port) {
            return;
        }
        self.inputs[index].waits_for = None;
        if self.inputs[index].has_backlog {
            self.take_frames(now, port);
        }
        if !is_readable || self.inputs[index].has_backlog {
            return;
        }
        let Some(stream) = &self.sockets[index].stream else {
            return;
        };
        match self.inputs[index].incoming.fill(stream) {
            Ok(_) => self.take_frames(now, port),
            Err(why) => self.unplug(port, why),
        }
    }

    /// Gives the core all frames that are here, unless one fills a buffer.
    fn take_frames(&mut self, now: Time, port: PortId) {
        let mut buffers = Buffers {
            now,
            outputs: &mut self.outputs,
            full: None,
        };
        let input = &mut self.inputs[port.index()];
        input.has_backlog = true;
        while buffers.full.is_none() && !self.core.is_full(port) {
            match input.incoming.take() {
                Ok(Next::Frame(frame)) => {
                    let fate = self.core.receive(now, port, frame, &mut buffers);
                    if let Some(capture) = &mut self.capture {
                        self.captured_at.get_or_insert(now);
                        if let Err(error) = capture.write(now, port, frame, fate) {
                            self.capture = None;
                            // Nobody has to listen.
                            let _ = self.events.send(Event::CaptureFailed(error.to_string()));
                        }
                    }
                }
                Ok(Next::Oversized(bytes)) => self.core.receive_oversized(port, bytes as u64),
                Ok(Next::Nothing) => {
                    input.has_backlog = false;
                    break;
                }
                Err(why) => return self.unplug(port, why),
            }
        }
        input.waits_for = buffers.full;
    }

    /// Writes what waits, as far as it is taken.
    fn send(&mut self, now: Time) {
        for (output, socket) in self.outputs.iter_mut().zip(&self.sockets) {
            let Some(stream) = &socket.stream else {
                continue;
            };
            if output.outgoing.is_empty() {
                continue;
            }
            match output.outgoing.flush(stream) {
                Ok(0) if output.stalls_at().is_some_and(|at| at <= now) => {
                    output.state = State::Stalled;
                }
                Ok(0) => {}
                Ok(_) => {
                    output.progress = now;
                    output.state = State::Open;
                }
                // What it has sent before is still to be read.
                Err(_) => *output = Output::default(),
            }
        }
    }

    /// Writes the capture out, when it is time.
    fn flush_capture(&mut self, now: Time) {
        if self.captured_at.is_some_and(|at| at + CAPTURE_FLUSH <= now) {
            self.write_capture_out();
        }
    }

    fn write_capture_out(&mut self) {
        self.captured_at = None;
        if let Some(Err(error)) = self.capture.as_mut().map(Capture::flush) {
            self.capture = None;
            self.tell(Event::CaptureFailed(error.to_string()));
        }
    }
}
