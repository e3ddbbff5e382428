//! What programs see.

use std::ffi::CString;
use std::ptr::{null, null_mut};
use std::sync::{Mutex, MutexGuard, Once};
use std::thread;
use std::time::{Duration, Instant};

use hermit_abi::*;

use crate::abi::descriptors::LIMIT;
use crate::abi::event::{sys_eventfd, sys_poll};
use crate::abi::files::*;
use crate::console;

/// Descriptors are shared by all tests, so one runs at a time.
pub fn begin() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    static BOOT: Once = Once::new();
    let guard = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    BOOT.call_once(|| {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(6);
        header.set_mode(0o644);
        header.set_mtime(1234);
        builder
            .append_data(&mut header, "boot/file", &b"booted"[..])
            .unwrap();
        init_files(Some(builder.into_inner().unwrap().leak()), 1);
    });
    guard
}

fn open(path: &str, flags: i32) -> i32 {
    let path = CString::new(path).unwrap();
    sys_open(path.as_ptr(), flags, 0o644)
}

fn write(fd: i32, bytes: &[u8]) -> isize {
    sys_write(fd, bytes.as_ptr(), bytes.len())
}

fn read(fd: i32, len: usize) -> Result<Vec<u8>, isize> {
    let mut bytes = vec![0xee; len];
    let count = sys_read(fd, bytes.as_mut_ptr(), len);
    bytes.truncate(usize::try_from(count).map_err(|_| count)?);
    Ok(bytes)
}

fn unlink(path: &str) -> i32 {
    sys_unlink(CString::new(path).unwrap().as_ptr())
}

#[test]
fn a_file_from_boot_to_end() {
    let _one = begin();
    let fd = open("/boot/file", O_RDWR);
    assert_eq!(fd, 3, "0, 1 and 2 are the console's");
    assert_eq!(read(fd, 100).unwrap(), b"booted");
    assert_eq!(write(fd, b" and written"), 12);
    assert_eq!(sys_lseek(fd, -7, SEEK_END), 11);
    assert_eq!(read(fd, 100).unwrap(), b"written");
    assert_eq!(sys_lseek(fd, -1, SEEK_SET), -(EINVAL as isize));
    assert_eq!(sys_lseek(fd, 0, 9), -(EINVAL as isize));
    assert_eq!(sys_lseek(1, 0, SEEK_CUR), -(ESPIPE as isize));
    let mut found = stat::default();
    assert_eq!(sys_fstat(fd, &mut found), 0);
    assert_eq!((found.st_size, found.st_mode), (18, S_IFREG | 0o644));
    assert!(
        found.st_mtim.tv_sec > 1_600_000_000,
        "it was written just now"
    );
    let path = CString::new("boot/file").unwrap();
    let mut by_path = stat::default();
    assert_eq!(sys_stat(path.as_ptr(), &mut by_path), 0);
    assert_eq!(by_path.st_ino, found.st_ino);
    assert_eq!(sys_lstat(path.as_ptr(), &mut by_path), 0);
    assert_eq!(sys_fsync(fd), 0);
    assert_eq!(sys_fsync(1), -EINVAL);
    assert_eq!(sys_close(fd), 0);
    assert_eq!(sys_close(fd), -EBADF);
    assert_eq!(read(fd, 1), Err(-(EBADF as isize)));
    assert_eq!(open("/none", O_RDONLY), -ENOENT);
    assert_eq!(
        crate::sched::current()
            .kept
            .errno
            .load(std::sync::atomic::Ordering::Relaxed),
        ENOENT
    );
    assert_eq!(unlink("/boot"), -EISDIR);
}

#[test]
fn bad_memory_is_refused() {
    let _one = begin();
    let bad = -(EFAULT as isize);
    assert_eq!(sys_write(1, null(), 1), bad);
    assert_eq!(sys_write(1, usize::MAX as *const u8, 2), bad);
    assert_eq!(
        sys_write(1, 0xffff_8000_0000_0000_usize as *const u8, 1),
        bad
    );
    assert_eq!(sys_read(0, 0x7fff_ffff_ffff_usize as *mut u8, 2), bad);
    assert_eq!(sys_write(1, null(), 0), 0, "no bytes are nowhere");
    assert_eq!(sys_open(null(), 0, 0), -EFAULT);
    assert_eq!(sys_stat(c"/".as_ptr(), null_mut()), -EFAULT);
    assert_eq!(sys_poll(null_mut(), 1, 0), -EFAULT);
    assert_eq!(sys_readv(0, null(), 1), bad);
    assert_eq!(sys_ioctl(1, FIONBIO, null_mut()), -EFAULT);
    assert_eq!(open(&"x".repeat(5000), 0), -ENAMETOOLONG);
    assert_eq!(open(&"/x".repeat(2047), 0), -ENOENT);
    assert_eq!(sys_writev(1, null(), IOV_MAX + 1), -(EINVAL as isize));
}

#[test]
fn descriptors_are_duplicated_and_bounded() {
    let _one = begin();
    let fd = open("/dup", O_RDWR | O_CREAT | O_TRUNC);
    let other = sys_dup(fd);
    assert_eq!(other, fd + 1);
    assert_eq!(write(fd, b"abc"), 3);
    assert_eq!(write(other, b"def"), 3);
    assert_eq!(sys_lseek(fd, 0, SEEK_CUR), 6, "the position is shared");
    assert_eq!(sys_fcntl(fd, F_DUPFD, 50), 50);
    assert_eq!(sys_fcntl(fd, F_DUPFD, -1), -EINVAL);
    assert_eq!(sys_fcntl(fd, F_DUPFD, LIMIT as i32), -EINVAL);
    assert_eq!(sys_fcntl(fd, F_GETFD, 0), 0);
    assert_eq!(sys_fcntl(fd, F_SETFD, FD_CLOEXEC), 0);
    assert_eq!(sys_fcntl(fd, F_GETFD, 0), FD_CLOEXEC);
    assert_eq!(
        sys_fcntl(other, F_GETFD, 0),
        0,
        "each descriptor has its own"
    );
    assert_eq!(sys_fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK), 0);
    assert_eq!(sys_fcntl(other, F_GETFL, 0), O_RDWR | O_APPEND | O_NONBLOCK);
    assert_eq!(sys_fcntl(fd, 99, 0), -EINVAL);
    assert_eq!(sys_fcntl(99, F_GETFD, 0), -EBADF);
    assert_eq!(sys_ioctl(fd, 1, null_mut()), -ENOTTY);
    assert_eq!(unlink("/dup"), 0);
    assert_eq!(sys_close(fd), 0);
    assert_eq!(sys_close(50), 0);
    assert_eq!(write(other, b"ghi"), 3, "open until the last one is closed");
    let more: Vec<i32> = std::iter::repeat_with(|| sys_dup(other))
        .take_while(|&fd| fd >= 0)
        .collect();
    assert_eq!(
        more.len(),
        LIMIT - 4,
        "without the console's and the one duplicated"
    );
    assert_eq!(sys_dup(other), -EMFILE);
    assert_eq!(open("/too-many", O_WRONLY | O_CREAT), -EMFILE);
    more.into_iter().for_each(|fd| assert_eq!(sys_close(fd), 0));
    assert_eq!(sys_close(other), 0);
}

#[test]
fn vectors() {
    let _one = begin();
    let fd = open("/vector", O_RDWR | O_CREAT | O_TRUNC);
    let mut data = [b"one".to_vec(), vec![], vec![7; 100_000], b"end".to_vec()];
    let iov: Vec<iovec> = data
        .iter_mut()
        .map(|part| iovec {
            iov_base: part.as_mut_ptr().cast(),
            iov_len: part.len(),
        })
        .collect();
    assert_eq!(sys_writev(fd, iov.as_ptr(), iov.len()), 100_006);
    let written = data.clone();
    data.iter_mut().for_each(|part| part.fill(0));
    assert_eq!(sys_lseek(fd, 0, SEEK_SET), 0);
    assert_eq!(sys_readv(fd, iov.as_ptr(), iov.len()), 100_006);
    assert_eq!(data, written);
    assert_eq!(sys_readv(fd, iov.as_ptr(), iov.len()), 0);
    assert_eq!(sys_close(fd), 0);
}

/// What std's `read_dir` does with a directory.
fn read_dir(path: &str) -> Result<Vec<(String, u8)>, i64> {
    let fd = open(path, O_RDONLY | O_DIRECTORY);
    if fd < 0 {
        return Err(fd.into());
    }
    let mut size = 512;
    let result = loop {
        let mut buf = vec![0_u64; size / 8];
        let used = sys_getdents64(fd, buf.as_mut_ptr().cast(), size);
        if used == -i64::from(EINVAL) {
            size *= 2;
            continue;
        }
        if used <= 0 {
            break Err(used);
        }
        let bytes: Vec<u8> = buf.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let mut entries = Vec::new();
        let mut at = 0;
        while at < used as usize {
            let len = u16::from_ne_bytes([bytes[at + 16], bytes[at + 17]]);
            let name = &bytes[at + 19..];
            let name = name.split(|&byte| byte == 0).next().unwrap();
            entries.push((String::from_utf8(name.to_vec()).unwrap(), bytes[at + 18]));
            at += usize::from(len);
        }
        break Ok(entries);
    };
    assert_eq!(sys_close(fd), 0);
    result
}

#[test]
fn directories() {
    let _one = begin();
    let path = |path: &str| CString::new(path).unwrap();
    assert_eq!(sys_mkdir(path("/list").as_ptr(), 0o777), 0);
    assert_eq!(sys_mkdir(path("/list").as_ptr(), 0o777), -EEXIST);
    assert_eq!(
        read_dir("/list"),
        Err(0),
        "std cannot be told of an empty directory"
    );
    for number in 0..200 {
        assert_eq!(
            sys_close(open(&format!("/list/{number:03}"), O_WRONLY | O_CREAT)),
            0
        );
    }
    assert_eq!(sys_mkdir(path("/list/sub").as_ptr(), 0o777), 0);
    let entries = read_dir("/list").unwrap();
    assert_eq!(entries.len(), 201);
    assert_eq!(entries[7], ("007".into(), DT_REG));
    assert_eq!(entries[200], ("sub".into(), DT_DIR));
    assert_eq!(read_dir("/list/000"), Err(-i64::from(ENOTDIR)));
    let fd = sys_opendir(path("/list").as_ptr());
    assert_eq!(read(fd, 1), Err(-(EISDIR as isize)));
    assert_eq!(write(fd, b"x"), -(EBADF as isize));
    assert_eq!(sys_close(fd), 0);
    assert_eq!(sys_getdents64(1, null_mut(), 0), -i64::from(ENOTDIR));
    assert_eq!(sys_rmdir(path("/list").as_ptr()), -ENOTEMPTY);
    assert_eq!(sys_rmdir(path("/list/sub/").as_ptr()), 0);
    for number in 0..200 {
        assert_eq!(unlink(&format!("/list/{number:03}")), 0);
    }
    assert_eq!(sys_rmdir(path("/list").as_ptr()), 0);
}

#[test]
fn long_appends_stay_in_one_piece() {
    let _one = begin();
    const LEN: usize = 300_000;
    assert_eq!(sys_close(open("/append", O_WRONLY | O_CREAT | O_TRUNC)), 0);
    thread::scope(|scope| {
        for letter in b'a'..b'e' {
            scope.spawn(move || {
                let fd = open("/append", O_WRONLY | O_APPEND);
                for len in [LEN, 1000, LEN] {
                    assert_eq!(write(fd, &vec![letter; len]), len as isize);
                }
                assert_eq!(sys_close(fd), 0);
            });
        }
    });
    let fd = open("/append", O_RDONLY);
    let content = read(fd, 10 * LEN).unwrap();
    assert_eq!(content.len(), 4 * (2 * LEN + 1000));
    for run in content.chunk_by(|one, two| one == two) {
        // Neighbours of one letter run together, but no write is cut.
        let rest = [0, 1000].iter().any(|more| (run.len() - more) % LEN == 0);
        assert!(rest, "a piece of {} bytes", run.len());
    }
    assert_eq!(sys_close(fd), 0);
    assert_eq!(unlink("/append"), 0);
}

#[test]
fn the_console() {
    let _one = begin();
    console::STDOUT.lock().unwrap().clear();
    console::STDERR.lock().unwrap().clear();
    assert_eq!(write(1, b"out"), 3);
    assert_eq!(write(2, &[b'e'; 100_000]), 100_000);
    assert_eq!(*console::STDOUT.lock().unwrap(), b"out");
    assert_eq!(console::STDERR.lock().unwrap().len(), 100_000);
    assert_eq!(write(0, b"x"), -(EBADF as isize));
    assert_eq!(read(1, 1), Err(-(EBADF as isize)));
    let mut yes = 1_i32;
    assert_eq!(sys_ioctl(0, FIONBIO, (&raw mut yes).cast()), 0);
    assert_eq!(read(0, 8), Err(-(EAGAIN as isize)));
    assert_eq!(sys_fcntl(0, F_SETFL, 0), 0);
    thread::scope(|scope| {
        let reader = scope.spawn(|| read(0, 100).unwrap());
        thread::sleep(Duration::from_millis(20));
        console::type_in(b"typed");
        assert_eq!(reader.join().unwrap(), b"typed");
    });
    let mut found = stat::default();
    assert_eq!(sys_fstat(0, &mut found), 0);
    assert_eq!(found.st_mode & S_IFMT, S_IFCHR);
}

fn request(fd: i32, events: i16) -> pollfd {
    pollfd {
        fd,
        events,
        revents: 0x55,
    }
}

fn poll(fds: &mut [pollfd], timeout: i32) -> i32 {
    sys_poll(fds.as_mut_ptr(), fds.len(), timeout)
}

#[test]
fn polling() {
    let _one = begin();
    let file = open("/poll", O_RDWR | O_CREAT);
    let event = sys_eventfd(0, 0);
    let mut fds = [
        request(file, POLLIN | POLLOUT),
        request(1, POLLIN | POLLOUT),
        request(0, POLLIN),
        request(event, POLLIN),
        request(900, 0),
        request(-1, POLLIN),
    ];
    assert_eq!(poll(&mut fds, -1), 3);
    let got = fds.map(|fd| fd.revents);
    assert_eq!(got, [POLLIN | POLLOUT, POLLOUT, 0, 0, POLLNVAL, 0]);
    let mut quiet = [request(0, POLLIN), request(event, POLLIN)];
    let start = Instant::now();
    assert_eq!(poll(&mut quiet, 0), 0);
    assert_eq!(quiet[1].revents, 0);
    assert_eq!(poll(&mut quiet, 30), 0);
    assert!(start.elapsed() >= Duration::from_millis(30));
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(20));
            assert_eq!(write(event, &5_u64.to_ne_bytes()), 8);
        });
        assert_eq!(poll(&mut quiet, -1), 1);
        assert_eq!(quiet.map(|fd| fd.revents), [0, POLLIN]);
    });
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(20));
            console::type_in(b"y");
        });
        assert_eq!(poll(&mut quiet[..1], 10_000), 1);
        assert_eq!(read(0, 8).unwrap(), b"y");
    });
    assert_eq!(sys_poll(fds.as_mut_ptr(), LIMIT as nfds_t + 1, 0), -EINVAL);
    assert_eq!(sys_poll(null_mut(), 0, 1), 0, "a poll of nothing sleeps");
    assert_eq!(sys_close(file), 0);
    assert_eq!(sys_close(event), 0);
}

#[test]
fn counters() {
    let _one = begin();
    let take = |fd| read(fd, 8).map(|bytes| u64::from_ne_bytes(bytes.try_into().unwrap()));
    let put = |fd, value: u64| write(fd, &value.to_ne_bytes());
    let again = -(EAGAIN as isize);
    let plain = sys_eventfd(3, EFD_NONBLOCK);
    assert_eq!(put(plain, 4), 8);
    assert_eq!(take(plain), Ok(7));
    assert_eq!(take(plain), Err(again));
    assert_eq!(put(plain, u64::MAX), -(EINVAL as isize));
    assert_eq!(put(plain, u64::MAX - 1), 8);
    assert_eq!(put(plain, 1), again);
    let mut fds = [request(plain, POLLIN | POLLOUT)];
    assert_eq!(poll(&mut fds, 0), 1);
    assert_eq!(fds[0].revents, POLLIN);
    assert_eq!(read(plain, 7), Err(-(EINVAL as isize)));
    let semaphore = sys_eventfd(2, EFD_SEMAPHORE | EFD_CLOEXEC);
    assert_eq!(sys_fcntl(semaphore, F_GETFD, 0), FD_CLOEXEC);
    assert_eq!((take(semaphore), take(semaphore)), (Ok(1), Ok(1)));
    thread::scope(|scope| {
        let readers: Vec<_> = (0..2).map(|_| scope.spawn(|| take(semaphore))).collect();
        thread::sleep(Duration::from_millis(20));
        assert_eq!(put(semaphore, 2), 8);
        readers
            .into_iter()
            .for_each(|reader| assert_eq!(reader.join().unwrap(), Ok(1)));
    });
    assert_eq!(sys_eventfd(0, 0o2), -EINVAL);
    assert_eq!(sys_eventfd(u64::MAX, 0), -EINVAL);
    assert_eq!(sys_close(plain), 0);
    assert_eq!(sys_close(semaphore), 0);
}

#[test]
fn the_kernels_variables_are_no_buffer() {
    let _one = begin();
    for address in crate::standins::variables::addresses() {
        let around = address.wrapping_sub(8);
        assert_eq!(sys_write(1, address, 1), -(EFAULT as isize));
        assert_eq!(sys_write(1, around, 16), -(EFAULT as isize));
        assert_eq!(sys_read(0, around.cast_mut(), 16), -(EFAULT as isize));
    }
}
