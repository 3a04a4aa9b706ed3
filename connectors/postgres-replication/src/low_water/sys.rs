//! The system calls of [`LowWaterStream`](super::LowWaterStream) that no safe wrapper offers: `SO_RCVLOWAT` and a
//! read that neither blocks nor asks tokio whether epoll has already reported the socket.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use tokio::io::ReadBuf;

/// Sets the number of waiting bytes from which on the socket counts as readable.
pub(super) fn set_low_water(socket: BorrowedFd<'_>, bytes: u32) -> io::Result<()> {
    let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    // SAFETY: the descriptor is open for as long as it is borrowed; the kernel reads exactly the given size
    // from a live `c_int` and keeps no pointer.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            std::ptr::from_ref(&bytes).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Appends what is waiting to `buf`, without blocking. `WouldBlock` when nothing is, 0 at the end of the stream.
pub(super) fn receive(socket: BorrowedFd<'_>, buf: &mut ReadBuf<'_>) -> io::Result<usize> {
    loop {
        // SAFETY: nothing is read from the unfilled part and it is not de-initialised.
        let space = unsafe { buf.unfilled_mut() };
        // SAFETY: the descriptor is open for as long as it is borrowed; the kernel writes at most
        // `space.len()` bytes to `space`, which is exclusively borrowed, and keeps no pointer.
        let result = unsafe {
            libc::recv(
                socket.as_raw_fd(),
                space.as_mut_ptr().cast(),
                space.len(),
                libc::MSG_DONTWAIT,
            )
        };
        match usize::try_from(result) {
            Ok(received) => {
                // SAFETY: the kernel has just initialised the first `received` unfilled bytes.
                unsafe { buf.assume_init(received) };
                buf.advance(received);
                return Ok(received);
            }
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}
