//! Network cards, without the network stack: frames go out and come back.
//!
//! At the other end is QEMU's own network, whose gateway answers ARP and ICMP echoes.

mod cost;
mod packet;

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use darner_netstack::Nic;
use darner_netstack::nic::{Counters, RxChecksum};

pub use self::cost::{receive, send};
use self::packet::Echo;
use super::{Failure, Found, PATIENCE};
use crate::drivers;
use crate::sched::{InterruptThread, WaitQueue};
use crate::sync::Lock;
use crate::time::monotonic_ns;

/// Those that no test has at the moment.
static CARDS: Lock<Vec<Box<dyn Nic>>> = Lock::new(Vec::new());
/// Runs when a card has interrupted, as the protocol thread does.
static THREAD: InterruptThread = InterruptThread::new(1).named("cards");
static WAITERS: WaitQueue = WaitQueue::new();

/// A card that is emulated on the same processor cannot be as fast so often.
const ATTEMPTS: usize = 20;
/// Echoes that are under way at a time.
const WINDOW: u64 = 48;

/// Starts all cards; how many there are.
pub fn begin(_: u64) -> Found {
    let work = || {
        WAITERS.wake_all();
        None
    };
    if !THREAD.start(0, work) {
        return Err("no memory for an interrupt thread".into());
    }
    let cards = drivers::nics(|| THREAD.ask());
    let count = cards.len() as u64;
    *CARDS.lock() = cards;
    Ok(count)
}

/// Runs `test` with the card of that number.
fn with(number: usize, test: impl FnOnce(&mut dyn Nic) -> Found) -> Found {
    let mut cards = core::mem::take(&mut *CARDS.lock());
    let found = match cards.get_mut(number) {
        Some(card) => test(&mut **card),
        None => Err(format!("there is no card {number}")),
    };
    *CARDS.lock() = cards;
    found
}

/// What the argument of a test says: which card, and how much.
fn card_and_amount(argument: u64) -> (usize, u64) {
    ((argument >> 32) as usize, argument & 0xffff_ffff)
}

/// Waits until `step` gives something, by interrupt only.
fn wait<T>(
    card: &mut dyn Nic,
    what: &str,
    mut step: impl FnMut(&mut dyn Nic) -> Option<T>,
) -> Result<T, Failure> {
    let deadline = monotonic_ns() + PATIENCE;
    let found = WAITERS.wait_until(Some(deadline), || {
        loop {
            if let Some(found) = step(card) {
                card.set_interrupts(false);
                return Some(found);
            }
            if !card.set_interrupts(true) {
                return None;
            }
        }
    });
    found.ok_or_else(|| format!("waited {PATIENCE} ns for {what}; {:?}", card.counters()))
}

/// Bytes of data in the longest echo that the gateway answers in one piece.
fn data_of_longest(card: &dyn Nic) -> usize {
    /// What QEMU's network carries.
    const MTU: u16 = 1500;
    usize::from(card.capabilities().mtu.min(MTU)) - packet::ECHO_IN_IP
}

/// Who the gateway is.
fn gateway(card: &mut dyn Nic) -> Result<[u8; 6], Failure> {
    let mac = card.capabilities().mac;
    let (_, transmit) = card.halves();
    if !transmit.has_room() {
        return Err("there is no room for the first frame".into());
    }
    transmit.send(packet::ARP, &mut |frame| packet::ask(mac, frame));
    transmit.kick();
    wait(card, "the answer to ARP", |card| {
        received(card, |frame, _| packet::answer(frame))
    })
}

/// What `look` makes of the next frames, until it gives something or there are none.
fn received<T>(
    card: &mut dyn Nic,
    mut look: impl FnMut(&[u8], RxChecksum) -> Option<T>,
) -> Option<T> {
    let (receive, _) = card.halves();
    loop {
        let (frame, checksum) = receive.first()?;
        let found = look(frame, checksum);
        receive.release();
        if found.is_some() {
            return found;
        }
    }
}

/// Has the gateway send so many frames back, of all sizes, many at a time; how many
/// interrupts that took.
pub fn echoes(argument: u64) -> Found {
    let (number, amount) = card_and_amount(argument);
    with(number, |card| echo_all(card, amount, WINDOW))
}

/// The same, each frame once the one before has come back: nearly every one has to be waited
/// for, and without an interrupt it would be waited for in vain.
pub fn one_by_one(argument: u64) -> Found {
    let (number, amount) = card_and_amount(argument);
    with(number, |card| echo_all(card, amount, 1))
}

/// Has `amount` echoes come back, `window` of which are under way at a time.
fn echo_all(card: &mut dyn Nic, amount: u64, window: u64) -> Found {
    let before = card.counters();
    let gateway = gateway(card)?;
    let sizes = 1 + data_of_longest(card);
    let echo = |number: u64| Echo {
        number: number as u16,
        data: (number as usize * 97 + sizes - 1) % sizes,
    };
    let mac = card.capabilities().mac;
    let (mut sent, mut answered) = (0, 0);
    while answered < amount {
        let (_, transmit) = card.halves();
        while sent < amount && sent - answered < window && transmit.has_room() {
            let next = echo(sent);
            transmit.send(packet::ECHO + next.data, &mut |frame| {
                packet::echo(mac, gateway, next, frame)
            });
            sent += 1;
        }
        transmit.kick();
        let found = wait(card, "an echo", |card| {
            received(card, |frame, _| packet::echoed(frame))
        })?;
        if found != echo(answered) {
            return Err(format!("found {found:?}, expected {:?}", echo(answered)));
        }
        answered += 1;
    }
    let after = card.counters();
    check(before, after, amount + 1)?;
    Ok(after.interrupts - before.interrupts)
}

/// The card has counted so many frames each way, and no errors.
fn check(before: Counters, after: Counters, frames: u64) -> Result<(), Failure> {
    let counted = after.tx_frames - before.tx_frames;
    if counted != frames || after.rx_frames - before.rx_frames < frames || after.rx_errors > 0 {
        return Err(format!(
            "sent and received {frames} frames, the card has counted {before:?}, then {after:?}"
        ));
    }
    if after.interrupts == before.interrupts {
        return Err("there was no interrupt".into());
    }
    Ok(())
}

/// Sends so many frames as fast as they go, with the card told only when there is no room for
/// another, and again if there always was room because the card was as fast; how often there
/// was none.
pub fn burst(argument: u64) -> Found {
    let (number, amount) = card_and_amount(argument);
    with(number, |card| {
        let gateway = gateway(card)?;
        for _ in 0..ATTEMPTS {
            let full = burst_once(card, gateway, amount)?;
            if full > 0 {
                return Ok(full);
            }
        }
        Err(format!("there always was room; {:?}", card.counters()))
    })
}

fn burst_once(card: &mut dyn Nic, gateway: [u8; 6], amount: u64) -> Found {
    let before = card.counters();
    let mac = card.capabilities().mac;
    let data = data_of_longest(card);
    let (mut sent, mut full) = (0, 0);
    while sent < amount {
        let (_, transmit) = card.halves();
        if !transmit.has_room() {
            full += 1;
            wait(card, "room for a frame", |card| {
                received(card, |_, _| None::<()>);
                card.halves().1.has_room().then_some(())
            })?;
            continue;
        }
        let echo = Echo {
            number: sent as u16,
            data,
        };
        transmit.send(packet::ECHO + data, &mut |frame| {
            packet::echo(mac, gateway, echo, frame)
        });
        sent += 1;
    }
    card.halves().1.kick();
    let after = card.counters();
    if after.tx_frames - before.tx_frames != amount {
        return Err(format!(
            "sent {amount} frames, the card has counted {before:?}, then {after:?}"
        ));
    }
    Ok(full)
}

/// Sends frames many at a time, so often, and the next when the card says by interrupt that it
/// has taken all but one of those before; how often there was that to wait for. More often if
/// the card was always as fast.
pub fn taken(argument: u64) -> Found {
    let (number, times) = card_and_amount(argument);
    with(number, |card| {
        let gateway = gateway(card)?;
        for _ in 0..ATTEMPTS {
            let mut waited = 0;
            for _ in 0..times {
                waited += u64::from(taken_once(card, gateway)?);
            }
            if waited > 0 {
                return Ok(waited);
            }
        }
        let counters = card.counters();
        Err(format!("the card never had anything to do; {counters:?}"))
    })
}

/// Whether the card had something to do.
fn taken_once(card: &mut dyn Nic, gateway: [u8; 6]) -> Result<bool, Failure> {
    let mac = card.capabilities().mac;
    for number in 0..WINDOW as u16 {
        wait(card, "room for a frame", |card| {
            card.halves().1.has_room().then_some(())
        })?;
        let echo = Echo { number, data: 56 };
        let (_, transmit) = card.halves();
        transmit.send(packet::ECHO + echo.data, &mut |frame| {
            packet::echo(mac, gateway, echo, frame)
        });
    }
    card.halves().1.kick();
    let mut has_to_wait = false;
    let deadline = monotonic_ns() + PATIENCE;
    // What comes in is of no interest, and raises no interrupt.
    let found = WAITERS.wait_until(Some(deadline), || {
        received(card, |_, _| None::<()>);
        let will_call = card.halves().1.call_when_taken();
        has_to_wait |= will_call;
        (!will_call).then_some(())
    });
    found.ok_or_else(|| {
        let counters = card.counters();
        format!("waited {PATIENCE} ns until frames were taken; {counters:?}")
    })?;
    Ok(has_to_wait)
}
