
// From here on, this is no part of mio: what its tests have for Unix and for Windows, for
// this target. Should mio have some of it one day, its own hides what is here.
mod guest {
    use std::os::fd::AsRawFd;

    use mio::net::TcpStream;

    pub fn assert_socket_non_blocking(socket: &impl AsRawFd) {
        let flags = unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_GETFL, 0) };
        assert!(flags >= 0 && flags & libc::O_NONBLOCK != 0, "{flags:#o}");
    }

    /// There is no exec here, and std does not ask for what would matter to it: that there
    /// are flags is all there is to check.
    pub fn assert_socket_close_on_exec(socket: &impl AsRawFd) {
        let flags = unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_GETFD, 0) };
        assert!(flags >= 0, "{flags}");
    }

    /// Closing the connection resets it.
    pub fn set_linger_zero(socket: &TcpStream) {
        // `struct linger`, which the crate libc does not have for this target: that it is
        // on, and for how many seconds.
        let linger: [i32; 2] = [1, 0];
        let status = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_LINGER,
                linger.as_ptr().cast(),
                size_of_val(&linger) as libc::socklen_t,
            )
        };
        assert_eq!(status, 0);
    }
}
pub use guest::*;
