//! Mutexes: transfers between accounts, of which each has a lock. No money comes or goes.

use std::sync::{Mutex, MutexGuard, TryLockError};

use crate::{Load, Outcome, all};

const ACCOUNTS: usize = 12;
const BALANCE: i64 = 1000;
/// Every so many turns all accounts are locked and counted.
const AUDIT: usize = 16;

/// Neither alone on its page nor evenly on pages.
struct Account {
    balance: Mutex<i64>,
    _space: [u64; 40],
}

/// Transfers, and audits in between.
pub fn run(load: Load) -> Outcome {
    let account = |_| Account {
        balance: Mutex::new(BALANCE),
        _space: [0; 40],
    };
    let accounts: Vec<Account> = (0..ACCOUNTS).map(account).collect();
    all(parallel::team(load.threads, |me| {
        let mut random = load.random(me);
        for turn in parallel::share(load.turns, load.threads, me) {
            match turn % AUDIT {
                0 => audit(&accounts)?,
                _ => transfer(&accounts, &mut random)?,
            }
        }
        Ok(())
    }))?;
    audit(&accounts)?;
    Ok(format!(
        "{} turns, the total of {ACCOUNTS} accounts held",
        load.turns
    ))
}

fn transfer(accounts: &[Account], random: &mut fastrand::Rng) -> Result<(), String> {
    let (a, b) = (random.usize(..ACCOUNTS), random.usize(..ACCOUNTS));
    if a == b {
        return Ok(());
    }
    // Always in the same order, or two could wait for each other.
    let mut first = lock(&accounts[a.min(b)], random)?;
    let mut second = lock(&accounts[a.max(b)], random)?;
    let amount = random.i64(0..=*first);
    *first -= amount;
    *second += amount;
    Ok(())
}

/// Waits for the lock, in one of two ways.
fn lock<'a>(
    account: &'a Account,
    random: &mut fastrand::Rng,
) -> Result<MutexGuard<'a, i64>, String> {
    let balance = match account.balance.try_lock() {
        Ok(balance) if random.bool() => balance,
        Ok(balance) => {
            drop(balance);
            account.balance.lock().map_err(|_| "a lock is poisoned")?
        }
        Err(TryLockError::WouldBlock) => {
            account.balance.lock().map_err(|_| "a lock is poisoned")?
        }
        Err(TryLockError::Poisoned(_)) => return Err("a lock is poisoned".into()),
    };
    match *balance {
        ..0 => Err(format!("found an account with {}", *balance)),
        _ => Ok(balance),
    }
}

fn audit(accounts: &[Account]) -> Result<(), String> {
    let locked: Result<Vec<_>, _> = accounts.iter().map(|one| one.balance.lock()).collect();
    let locked = locked.map_err(|_| "a lock is poisoned")?;
    let total: i64 = locked.iter().map(|balance| **balance).sum();
    let expected = ACCOUNTS as i64 * BALANCE;
    match total == expected {
        true => Ok(()),
        false => Err(format!(
            "found {total} in all accounts, expected {expected}"
        )),
    }
}
