/* Owns: system calls on one stream socket.
 * Promises: whole writes, or a status that says how far it came; SIGPIPE never; descriptors close on exec.
 * Must not know: HTTP, Python.  No function here retries EINTR: only the caller knows whether a signal's handler has to
 *   run first.
 * Source: socket(7), tcp(7), sendmsg(2).
 */
#ifndef FASTLAMBDA_NET_H
#define FASTLAMBDA_NET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* A gathered write under way: `at` and the first used iovec move on as the kernel takes bytes. */
struct net_out {
    struct iovec iov[4];
    int n;       /* iovecs in use */
    int at;      /* first iovec not yet written */
    size_t sent; /* bytes the kernel has taken since the start */
    uint64_t give_up_ns; /* net_send_watching() only; 0: the peer has not spoken yet */
};

/* A signal that comes just before recv(2) sleeps does not wake it; its handler then waits no longer than this. */
#define NET_LOOK_UP_MS 100
/* How long an idle reader sleeps that nothing but its own thread's signals can wake. */
#define NET_PAUSE_MS 1000
/* How long a peer that speaks before we have finished, and takes nothing more, may think about it. */
#define NET_STALL_MS 2000

/* A connected descriptor (>= 0), a negated errno (-EINTR: nothing is left open, call again), or STATUS_NO_ADDRESS.
 * `host` is an IPv4 or IPv6 address or a name; names go through getaddrinfo(), addresses do not (it opens files). */
int net_connect(const char *host, const char *port);

/* Adds `len` bytes, borrowed until the write is over; empty pieces are left out. */
void net_out_add(struct net_out *out, const void *bytes, size_t len);

/* 0 when everything is written; else a negated errno (-EINTR: call again to go on). */
int net_send_all(int fd, struct net_out *out);

/* What the kernel takes at once: 0 when that is everything, -EAGAIN when it is not, or another negated errno.  Never
 * waits, so a caller may keep the interpreter's lock. */
int net_send_now(int fd, struct net_out *out);

/* The same in steps: -EAGAIN after each part that is written and after NET_LOOK_UP_MS without room, so that signals can be
 * looked at; call again.  A peer that answers before it has read everything, and reads no more, would block a writer for
 * ever: then this says -EPIPE, as if the peer had closed. */
int net_send_watching(int fd, struct net_out *out);

/* Bytes that were sent and that the peer's side has not acknowledged, also after the connection has ended; -errno where
 * the system does not tell. */
ssize_t net_unacknowledged(int fd);

/* > 0 bytes received, STATUS_PEER_CLOSED, or a negated errno (-EAGAIN: NET_LOOK_UP_MS without a byte, call again).  With
 * `spill`, what does not fit in `into` goes there. */
ssize_t net_recv_some(int fd, char *into, size_t len, char *spill, size_t spill_len);

/* 1 when bytes (or an end of stream) can be read within `timeout_ms` (-1: no limit), 0 when not, or a negated errno.  Bytes
 * at `wake_fd` (-1: none) end the wait, too. */
int net_wait_readable(int fd, int wake_fd, int timeout_ms);

/* Closes; -1 is allowed and does nothing. */
void net_close(int fd);

#endif
