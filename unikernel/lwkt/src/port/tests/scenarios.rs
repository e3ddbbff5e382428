//! What ports promise, on threads of the host.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{scope, spawn, yield_now};

use super::tally::Tally;
use crate::critical::MayBlock;
use crate::machine::{Machine, Nanos};
use crate::message::{
    Error, Late, Mailbox, Message, MessageId, Pending, Refused, ReplyOnly, Sent, Standing, Terms,
};
use crate::port::{
    Bounds, Enqueue, Port, Put, PutOnly, QueuePort, Received, Receiver, Sole, spin_port,
    thread_port, wait_any,
};
use crate::test_machine::{Threads, must_end};

type Echo<A = Enqueue> = QueuePort<Threads, u32, u32, A>;
type EchoReceiver<Kind = Sole> = Receiver<Threads, u32, u32, Kind>;

fn leave() -> MayBlock<Threads> {
    // SAFETY: the tests are in no critical section when they use it.
    unsafe { MayBlock::assume() }
}

fn mailbox(slots: usize) -> Mailbox<Threads, u32> {
    Mailbox::new(slots)
}

fn port(bounds: Bounds) -> (Echo, EchoReceiver) {
    thread_port(bounds)
}

fn soon() -> Nanos {
    Threads::now() + 5_000_000
}

fn queued(sent: Result<Sent<Threads, u32>, Refused<u32>>) -> Pending<Threads, u32> {
    match sent {
        Ok(Sent::Queued(pending)) => pending,
        Ok(Sent::Done(_)) => panic!("it was done at once"),
        Err(refused) => panic!("{refused}"),
    }
}

fn message<Kind>(receiver: &mut EchoReceiver<Kind>) -> Message<Threads, u32, u32> {
    match receiver.get() {
        Ok(Some(Received::Message(message))) => message,
        Ok(Some(Received::Abort(id))) => panic!("{id:?} is aborted"),
        Ok(None) => panic!("there is no message"),
        Err(error) => panic!("{error}"),
    }
}

fn aborted(receiver: &mut EchoReceiver) -> MessageId {
    match receiver.get() {
        Ok(Some(Received::Abort(id))) => id,
        _ => panic!("no message is aborted"),
    }
}

/// Answers messages with their request until the port is closed.
fn serve<Kind>(mut receiver: EchoReceiver<Kind>) {
    while let Ok(received) = receiver.wait(&leave(), None) {
        if let Received::Message(message) = received {
            let request = *message.request();
            let _ = message.reply(request);
        }
    }
}

#[test]
fn agent_replies_in_the_senders_context() {
    let double = PutOnly::new(|request: u32| {
        assert!(!Threads::is_critical(), "no lock is held");
        2 * request
    });
    let mut mailbox = mailbox(1);
    assert_eq!(mailbox.call(&leave(), &double, 4), Ok(8));
    assert!(matches!(
        mailbox.put(&double, 5, Terms::NONE),
        Ok(Sent::Done(10))
    ));
    // What is sent is answered in one place, also when it is done at once. The
    // deadline is for what has to wait.
    let id = mailbox.send(&double, 6, Terms::by(0)).unwrap();
    let answer = mailbox.wait(&leave(), None).unwrap();
    assert_eq!((answer.id, answer.outcome), (id, Ok(12)));
    // The same by way of `dyn`.
    let double: &dyn Port<Threads, u32, u32> = &double;
    assert_eq!(mailbox.call(&leave(), double, 7), Ok(14));
}

#[test]
fn agent_queues_what_it_cannot_do() {
    let (port, mut receiver) = port(Bounds::new(1));
    let even = port.with_agent(|request: u32| {
        if request.is_multiple_of(2) {
            Put::Done(request / 2)
        } else {
            Put::Queue(request)
        }
    });
    let mailbox = mailbox(1);
    assert_eq!(mailbox.call(&leave(), &even, 8), Ok(4));
    let pending = queued(mailbox.put(&even, 9, Terms::NONE));
    message(&mut receiver).reply(1).unwrap();
    assert_eq!(pending.wait(&leave()), Ok(1));
}

#[test]
fn urgent_messages_come_first_and_each_kind_in_order() {
    let (port, mut receiver) = port(Bounds::new(2));
    for (request, terms) in [
        (1, Terms::NONE),
        (2, Terms::NONE),
        (3, Terms::NONE.urgently()),
        (4, Terms::NONE.urgently()),
    ] {
        port.tell(request, terms).unwrap();
    }
    let order: Vec<u32> = (0..4).map(|_| *message(&mut receiver).request()).collect();
    assert_eq!(order, [3, 4, 1, 2]);
}

#[test]
fn full_queue_gives_the_message_back() {
    let (port, mut receiver) = port(Bounds::new(1).kept(2));
    let mailbox = mailbox(2);
    let first = queued(mailbox.put(&port, 1, Terms::NONE));
    let refused = mailbox.send(&port, 2, Terms::NONE).unwrap_err();
    assert_eq!((refused.error, refused.returned), (Error::QueueFull, 2));
    // The other lane has its own places, and the refused message's slot is free.
    let urgent = queued(mailbox.put(&port, 3, Terms::NONE.urgently()));
    let refused = mailbox.send(&port, 4, Terms::NONE).unwrap_err();
    assert_eq!((refused.error, refused.returned), (Error::MailboxFull, 4));
    for request in [3, 1] {
        let message = message(&mut receiver);
        assert_eq!(*message.request(), request);
        message.reply(request).unwrap();
    }
    assert_eq!(first.wait(&leave()), Ok(1));
    assert_eq!(urgent.wait(&leave()), Ok(3));
    assert!(receiver.get().is_ok_and(|received| received.is_none()));
}

#[test]
fn full_queue_makes_callers_wait_in_turn() {
    must_end(|| {
        let (port, receiver) = port(Bounds::new(1));
        let tally = Tally::new(800);
        scope(|scope| {
            for sender in 0..8 {
                let (port, tally) = (&port, tally.clone());
                scope.spawn(move || {
                    let mailbox = mailbox(1);
                    for request in 0..100 {
                        let outcome = mailbox.call(&leave(), port, 1000 * sender + request);
                        assert_eq!(outcome, Ok(1000 * sender + request));
                        tally.answered(outcome, &[]);
                    }
                });
            }
            let mut receiver = receiver;
            for _ in 0..800 {
                match receiver.wait(&leave(), None) {
                    Ok(Received::Message(message)) => {
                        let request = *message.request();
                        tally.replied(message.reply(request));
                    }
                    _ => panic!("nobody aborts or closes"),
                }
            }
        });
    });
}

#[test]
fn waiting_for_room_ends_at_the_deadline() {
    let (port, _receiver) = port(Bounds::new(1));
    port.tell(0, Terms::NONE).unwrap();
    let mailbox = mailbox(1);
    let deadline = soon();
    let refused = mailbox
        .send_waiting(&leave(), &port, 1, Terms::by(deadline))
        .unwrap_err();
    assert_eq!((refused.error, refused.returned), (Error::TimedOut, 1));
    assert!(Threads::now() >= deadline);
    assert!(mailbox.get().is_none(), "it was not sent");
}

#[test]
fn overdue_message_is_answered_once_and_its_reply_comes_back() {
    let (port, mut receiver) = port(Bounds::new(2));
    let mailbox = mailbox(2);
    let deadline = soon();
    let taken = queued(mailbox.put(&port, 1, Terms::by(deadline)));
    let waits = queued(mailbox.put(&port, 2, Terms::by(soon())));
    let message = message(&mut receiver);
    assert_eq!(message.deadline(), Some(deadline));
    let id = taken.id();
    assert_eq!(taken.wait(&leave()), Err(Error::TimedOut));
    assert_eq!(aborted(&mut receiver), id);
    assert_eq!(message.standing(), Standing::Over);
    assert_eq!(message.reply(7), Err(Late(7)));
    assert_eq!(waits.wait(&leave()), Err(Error::TimedOut));
    // One that timed out in the queue is never handed out.
    assert!(receiver.get().is_ok_and(|received| received.is_none()));
}

#[test]
fn reply_after_the_deadline_is_late_although_nobody_has_looked() {
    let (port, mut receiver) = port(Bounds::new(1));
    let mailbox = mailbox(1);
    let deadline = soon();
    let pending = queued(mailbox.put(&port, 1, Terms::by(deadline)));
    let message = message(&mut receiver);
    while Threads::now() < deadline {
        yield_now();
    }
    assert_eq!(message.reply(1), Err(Late(1)));
    assert_eq!(pending.wait(&leave()), Err(Error::TimedOut));
    // The receiver knew: it is not told.
    assert!(receiver.get().is_ok_and(|received| received.is_none()));
}

#[test]
fn abort_of_a_queued_message_answers_it() {
    let (port, mut receiver) = port(Bounds::new(1));
    let mailbox = mailbox(1);
    let pending = queued(mailbox.put(&port, 1, Terms::NONE));
    pending.abort();
    assert_eq!(pending.wait(&leave()), Err(Error::Aborted));
    assert!(receiver.get().is_ok_and(|received| received.is_none()));
}

#[test]
fn abort_of_a_taken_message_is_a_message_of_its_own() {
    let (port, mut receiver) = port(Bounds::new(2));
    let mailbox = mailbox(2);
    for reply in [true, false] {
        let pending = queued(mailbox.put(&port, 1, Terms::NONE));
        let message = message(&mut receiver);
        let aborter = pending.aborter();
        aborter.abort();
        aborter.abort();
        assert_eq!(aborted(&mut receiver), message.id());
        assert!(receiver.get().is_ok_and(|received| received.is_none()));
        assert_eq!(message.standing(), Standing::Aborted);
        let pending = pending.try_get().expect_err("it is still to be answered");
        if reply {
            message.reply(3).unwrap();
            assert_eq!(pending.wait(&leave()), Ok(3));
        } else {
            drop(message);
            assert_eq!(pending.wait(&leave()), Err(Error::Aborted));
        }
        aborter.abort();
    }
}

#[test]
fn abandoned_messages() {
    let (port, mut receiver) = port(Bounds::new(2));
    let mailbox = mailbox(2);
    let pending = queued(mailbox.put(&port, 1, Terms::NONE));
    let id = mailbox.send(&port, 2, Terms::NONE).unwrap();
    let first = message(&mut receiver);
    let second = message(&mut receiver);
    drop(pending);
    drop(mailbox);
    assert_eq!(aborted(&mut receiver), first.id());
    assert_eq!(aborted(&mut receiver), id);
    assert_eq!(first.standing(), Standing::Over);
    assert_eq!(first.reply(1), Err(Late(1)));
    assert_eq!(second.reply(2), Err(Late(2)));
}

#[test]
fn dropped_messages_are_answered() {
    let (port, mut receiver) = port(Bounds::new(1));
    let mailbox = mailbox(1);
    let pending = queued(mailbox.put(&port, 1, Terms::NONE));
    drop(message(&mut receiver));
    assert_eq!(pending.wait(&leave()), Err(Error::Dropped));
    // With the request alone gone, the duty is not.
    let pending = queued(mailbox.put(&port, 2, Terms::NONE));
    let (request, reply_to) = message(&mut receiver).into_parts();
    let pending = pending.try_get().expect_err("it is still to be answered");
    reply_to.reply(request).unwrap();
    assert_eq!(pending.wait(&leave()), Ok(2));
}

#[test]
fn receivers_exit_answers_what_is_queued_and_what_comes() {
    let (port, mut receiver) = port(Bounds::new(2));
    let mailbox = mailbox(3);
    let taken = queued(mailbox.put(&port, 1, Terms::NONE));
    let message = message(&mut receiver);
    let waits = queued(mailbox.put(&port, 2, Terms::NONE));
    let urgent = queued(mailbox.put(&port, 3, Terms::NONE.urgently()));
    drop(receiver);
    assert_eq!(waits.wait(&leave()), Err(Error::Closed));
    assert_eq!(urgent.wait(&leave()), Err(Error::Closed));
    let refused = mailbox.send(&port, 4, Terms::NONE).unwrap_err();
    assert_eq!((refused.error, refused.returned), (Error::Closed, 4));
    assert_eq!(mailbox.call(&leave(), &port, 5), Err(Error::Closed));
    assert!(port.is_closed());
    // What was taken is its holder's to answer.
    message.reply(1).unwrap();
    assert_eq!(taken.wait(&leave()), Ok(1));
}

#[test]
fn closing_wakes_everyone() {
    must_end(|| {
        let (port, mut receiver) = port(Bounds::new(1));
        let waits = spawn(move || receiver.wait(&leave(), None).map(drop));
        let full = thread_port::<Threads, u32, u32>(Bounds::new(1));
        full.0.tell(0, Terms::NONE).unwrap();
        let sends: Vec<_> = (0..6)
            .map(|_| {
                let port = full.0.clone();
                spawn(move || mailbox(1).call(&leave(), &port, 1))
            })
            .collect();
        // Closes whether they wait already or not.
        yield_now();
        port.close();
        full.0.close();
        assert_eq!(waits.join().unwrap(), Err(Error::Closed));
        for sender in sends {
            assert_eq!(sender.join().unwrap(), Err(Error::Closed));
        }
    });
}

#[test]
fn last_receiver_closes_a_spin_port() {
    let (port, mut first) = spin_port::<Threads, u32, u32>(Bounds::new(1));
    drop(first.clone());
    assert!(!port.is_closed());
    let mailbox = mailbox(1);
    let pending = queued(mailbox.put(&port, 1, Terms::NONE));
    message(&mut first).reply(1).unwrap();
    assert_eq!(pending.wait(&leave()), Ok(1));
    drop(first);
    assert!(port.is_closed());
}

#[test]
fn forward_keeps_the_duty_to_answer() {
    let (first, mut forwarder) = port(Bounds::new(1));
    let (second, mut receiver) = port(Bounds::new(1));
    let mailbox = mailbox(2);
    let pending = queued(mailbox.put(&first, 1, Terms::NONE));
    message(&mut forwarder).forward(&second).unwrap();
    let pending = pending.try_get().expect_err("it is still to be answered");

    // A full port gives it back; the first one has room again.
    let other = queued(mailbox.put(&first, 2, Terms::NONE));
    let refused = message(&mut forwarder).forward(&second).unwrap_err();
    assert_eq!(refused.error, Error::QueueFull);
    // It is in the hands again: its sender can still have it aborted.
    other.abort();
    assert_eq!(aborted(&mut forwarder), other.id());
    let refused = refused.returned.forward(&second).unwrap_err();
    assert_eq!(refused.error, Error::Aborted);
    drop(refused);
    assert_eq!(other.wait(&leave()), Err(Error::Aborted));

    message(&mut receiver).reply(5).unwrap();
    assert_eq!(pending.wait(&leave()), Ok(5));
}

#[test]
fn forward_to_an_agent_replies_at_once() {
    let (port, mut receiver) = port(Bounds::new(1));
    let mailbox = mailbox(1);
    let pending = queued(mailbox.put(&port, 3, Terms::NONE));
    message(&mut receiver)
        .forward(&PutOnly::new(|request| request + 1))
        .unwrap();
    assert_eq!(pending.wait(&leave()), Ok(4));
}

#[test]
fn abort_reaches_a_forwarded_message() {
    let (first, mut forwarder) = port(Bounds::new(1));
    let (second, mut receiver) = port(Bounds::new(1));
    let mailbox = mailbox(1);
    let pending = queued(mailbox.put(&first, 1, Terms::NONE));
    message(&mut forwarder).forward(&second).unwrap();
    let kept = message(&mut receiver);
    pending.abort();
    assert_eq!(aborted(&mut receiver), kept.id());
    assert!(forwarder.get().is_ok_and(|received| received.is_none()));
    drop(kept);
    assert_eq!(pending.wait(&leave()), Err(Error::Aborted));
}

#[test]
fn receiver_keeps_a_bounded_number() {
    let (port, mut receiver) = port(Bounds::new(4).kept(2));
    let mut mailbox = mailbox(4);
    for request in 0..3 {
        mailbox.send(&port, request, Terms::NONE).unwrap();
    }
    let (first, second) = (message(&mut receiver), message(&mut receiver));
    assert_eq!(receiver.get().map(drop), Err(Error::HandsFull));
    assert_eq!(
        receiver.wait(&leave(), None).map(drop),
        Err(Error::HandsFull)
    );
    // News about what it keeps still arrives.
    mailbox.abort(first.id());
    assert_eq!(aborted(&mut receiver), first.id());
    drop(first);
    let third = message(&mut receiver);
    third.reply(3).unwrap();
    second.reply(2).unwrap();
    let outcomes: Vec<_> = (0..3)
        .map(|_| mailbox.wait(&leave(), None).unwrap().outcome)
        .collect();
    assert_eq!(outcomes, [Err(Error::Aborted), Ok(3), Ok(2)]);
    assert_eq!(
        mailbox.wait(&leave(), None).unwrap_err(),
        Error::NothingSent
    );
}

#[test]
fn reply_only_calls_its_function() {
    let (port, mut receiver) = port(Bounds::new(4));
    let answers = Arc::new(Mutex::new(Vec::new()));
    let seen = answers.clone();
    let sink = ReplyOnly::new(move |id: MessageId, outcome| {
        assert!(!Threads::is_critical(), "no lock is held");
        seen.lock().unwrap().push((id, outcome));
    });
    let replied = sink.send(&port, 1, Terms::NONE).unwrap();
    let dropped = sink.send(&port, 2, Terms::NONE).unwrap();
    let overdue = sink.send(&port, 3, Terms::by(0)).unwrap();
    let closed = sink.send(&port, 4, Terms::NONE).unwrap();
    assert_eq!(
        sink.send(&port, 5, Terms::NONE).unwrap_err().error,
        Error::QueueFull
    );
    let at_once = sink
        .send(
            &port.with_agent(|request: u32| Put::Done(request)),
            6,
            Terms::NONE,
        )
        .unwrap();
    message(&mut receiver).reply(1).unwrap();
    drop(message(&mut receiver));
    // The overdue one is skipped.
    assert_eq!(*message(&mut receiver).request(), 4);
    drop(receiver);
    assert_eq!(
        *answers.lock().unwrap(),
        [
            (at_once, Ok(6)),
            (replied, Ok(1)),
            (dropped, Err(Error::Dropped)),
            (overdue, Err(Error::TimedOut)),
            (closed, Err(Error::Dropped)),
        ]
    );
}

#[test]
fn deadlines_in_a_mailbox() {
    let (port, mut receiver) = port(Bounds::new(3));
    let mut mailbox = mailbox(3);
    let late = mailbox
        .send(&port, 1, Terms::by(soon() + 5_000_000))
        .unwrap();
    let early = mailbox.send(&port, 2, Terms::by(soon())).unwrap();
    let third = mailbox.send(&port, 3, Terms::NONE).unwrap();
    let first = message(&mut receiver);
    let answer = mailbox.wait(&leave(), None).unwrap();
    assert_eq!((answer.id, answer.outcome), (early, Err(Error::TimedOut)));
    let answer = mailbox.wait(&leave(), None).unwrap();
    assert_eq!((answer.id, answer.outcome), (late, Err(Error::TimedOut)));
    assert_eq!(aborted(&mut receiver), first.id());
    let until = soon();
    assert_eq!(
        mailbox.wait(&leave(), Some(until)),
        Err(Error::TimedOut),
        "the third has no deadline"
    );
    assert!(Threads::now() >= until);
    message(&mut receiver).reply(3).unwrap();
    let answer = mailbox.wait(&leave(), None).unwrap();
    assert_eq!((answer.id, answer.outcome), (third, Ok(3)));
}

#[test]
fn waiting_with_a_limit_gives_the_handle_back() {
    let (port, mut receiver) = port(Bounds::new(1));
    let mailbox = mailbox(1);
    let pending = queued(mailbox.put(&port, 1, Terms::NONE));
    let until = soon();
    let pending = pending
        .wait_until(&leave(), until)
        .expect_err("nobody has answered");
    assert!(Threads::now() >= until);
    message(&mut receiver).reply(9).unwrap();
    assert_eq!(pending.wait_until(&leave(), 0).unwrap(), Ok(9));
    assert_eq!(
        receiver.wait(&leave(), Some(0)).map(drop),
        Err(Error::TimedOut)
    );
}

#[test]
fn wait_any_says_what_is_ready() {
    must_end(|| {
        let (inbox, mut first) = port(Bounds::new(1));
        let (server, mut served) = port(Bounds::new(1));
        let mailbox = mailbox(1);
        let mut pending = queued(mailbox.put(&server, 1, Terms::NONE));
        let late = soon();
        assert_eq!(
            wait_any(&leave(), &mut [&mut first, &mut pending], Some(late)),
            Err(Error::TimedOut)
        );
        let sender = spawn(move || {
            message(&mut served).reply(1).unwrap();
            inbox.tell(2, Terms::NONE).unwrap();
        });
        let ready = wait_any(&leave(), &mut [&mut pending], None);
        assert_eq!(ready, Ok(0));
        assert_eq!(pending.try_get().unwrap(), Ok(1));
        assert_eq!(wait_any(&leave(), &mut [&mut first], None), Ok(0));
        assert_eq!(*message(&mut first).request(), 2);
        sender.join().unwrap();
    });
}

/// What a request or a reply does when it is dropped, it does without a lock.
#[test]
fn requests_are_dropped_without_a_lock() {
    struct Checked;
    impl Drop for Checked {
        fn drop(&mut self) {
            assert!(!Threads::is_critical(), "a lock is held");
        }
    }
    let (port, mut receiver) = thread_port::<Threads, Checked, Checked>(Bounds::new(2));
    let mut mailbox = Mailbox::new(2);
    for _ in 0..2 {
        mailbox.send(&port, Checked, Terms::NONE).unwrap();
    }
    drop(mailbox.send(&port, Checked, Terms::NONE));
    let Ok(Some(Received::Message(message))) = receiver.get() else {
        panic!("there is a message")
    };
    message.reply(Checked).unwrap();
    drop(receiver);
    assert!(mailbox.wait(&leave(), None).unwrap().outcome.is_ok());
    drop(mailbox);
}

/// Many of everything: every message is answered once, and in order for each sender.
#[test]
fn storm() {
    const SENDERS: usize = 4;
    const EACH: u32 = 2_000;
    must_end(|| {
        let (port, receiver) = spin_port::<Threads, (usize, u32), u32>(Bounds::new(4).kept(2));
        let (back, mut last) = thread_port::<Threads, (usize, u32), u32>(Bounds::new(4));
        let tally = Tally::new(SENDERS * EACH as usize);
        scope(|scope| {
            let tally = &tally;
            for _ in 0..2 {
                // Replies, drops, or forwards.
                let mut receiver = receiver.clone();
                let back = back.clone();
                scope.spawn(move || {
                    while let Ok(received) = receiver.wait(&leave(), None) {
                        let Received::Message(message) = received else {
                            continue;
                        };
                        let (_, request) = *message.request();
                        match request % 7 {
                            0 => drop(message),
                            1..4 => drop(message.forward_waiting(&leave(), &back)),
                            _ => tally.replied(message.reply(request)),
                        }
                    }
                });
            }
            drop(receiver);
            scope.spawn(move || {
                while let Ok(received) = last.wait(&leave(), None) {
                    if let Received::Message(message) = received {
                        let (_, request) = *message.request();
                        tally.replied(message.reply(request));
                    }
                }
            });
            let senders: Vec<_> = (0..SENDERS)
                .map(|sender| {
                    let port = &port;
                    scope.spawn(move || {
                        let mut mailbox = mailbox(3);
                        let errors = [Error::Aborted, Error::Dropped, Error::TimedOut];
                        let mut open = 0;
                        for request in 0..EACH {
                            let terms = match request % 5 {
                                0 => Terms::by(Threads::now() + 20_000),
                                1 => Terms::NONE.urgently(),
                                _ => Terms::NONE,
                            };
                            match mailbox.send_waiting(&leave(), port, (sender, request), terms) {
                                Ok(id) if request % 11 == 0 => {
                                    mailbox.abort(id);
                                    open += 1;
                                }
                                Ok(_) => open += 1,
                                Err(refused) => {
                                    assert_eq!(refused.returned, (sender, request));
                                    tally.answered::<u32>(Err(refused.error), &errors);
                                }
                            }
                            while open == 3 || (open > 0 && request + 1 == EACH) {
                                let answer = mailbox.wait(&leave(), None).unwrap();
                                tally.answered(answer.outcome, &errors);
                                open -= 1;
                            }
                        }
                        assert_eq!(
                            mailbox.wait(&leave(), None).unwrap_err(),
                            Error::NothingSent
                        );
                    })
                })
                .collect();
            for sender in senders {
                sender.join().unwrap();
            }
            port.close();
            back.close();
        });
    });
}

/// Two senders and one receiver: what a sender sends first arrives first.
#[test]
fn order_of_each_sender() {
    must_end(|| {
        let (port, mut receiver) = thread_port::<Threads, (usize, u32), ()>(Bounds::new(3));
        scope(|scope| {
            for sender in 0..2 {
                let port = &port;
                scope.spawn(move || {
                    let mailbox = Mailbox::new(1);
                    for request in 0..2_000 {
                        mailbox.call(&leave(), port, (sender, request)).unwrap();
                    }
                });
            }
            let mut next = [0; 2];
            for _ in 0..4_000 {
                let Ok(Received::Message(message)) = receiver.wait(&leave(), None) else {
                    panic!("nobody aborts or closes")
                };
                let (sender, request) = *message.request();
                assert_eq!(request, next[sender]);
                next[sender] += 1;
                message.reply(()).unwrap();
            }
        });
    });
}

#[test]
fn what_may_move_to_another_thread() {
    fn is_send<T: Send>() {}
    fn is_sync<T: Sync>() {}
    is_send::<EchoReceiver>();
    is_send::<Message<Threads, u32, u32>>();
    is_send::<Pending<Threads, u32>>();
    is_send::<Mailbox<Threads, u32>>();
    is_sync::<Mailbox<Threads, u32>>();
    is_sync::<Echo>();
    is_send::<Echo>();
}

#[test]
fn errors_say_what_to_do() {
    for error in [
        Error::QueueFull,
        Error::MailboxFull,
        Error::Closed,
        Error::Dropped,
        Error::Aborted,
        Error::TimedOut,
        Error::HandsFull,
        Error::Over,
        Error::NothingSent,
    ] {
        let text = error.to_string();
        assert!(text.contains(':'), "{text}: no advice");
        assert!(!text.contains("  "), "{text}");
    }
}

/// Serving works from a thread that is unparked for no reason all the time.
#[test]
fn wake_ups_for_no_reason() {
    use crate::machine::Park;
    must_end(|| {
        let (port, receiver) = port(Bounds::new(1));
        let done = AtomicBool::new(false);
        scope(|scope| {
            scope.spawn(|| serve(receiver));
            let caller = {
                let (port, done) = (&port, &done);
                let (tell, told) = std::sync::mpsc::channel();
                scope.spawn(move || {
                    tell.send(Threads::current()).unwrap();
                    let mailbox = mailbox(1);
                    for request in 0..500 {
                        assert_eq!(mailbox.call(&leave(), port, request), Ok(request));
                    }
                    done.store(true, Ordering::Release);
                    port.close();
                });
                told.recv().unwrap()
            };
            while !done.load(Ordering::Acquire) {
                Threads::unpark(&caller);
                yield_now();
            }
        });
    });
}
