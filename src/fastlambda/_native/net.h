/* Owns: system calls on one stream socket.
 * Promises: whole writes, or a status that says how far it came; SIGPIPE never; descriptors close on exec; with an identity,
 *   nothing is written to, taken from or closed on a number that came to stand for another file.
 * Must not know: HTTP, Python.  No function here retries EINTR: only the caller knows whether a signal's handler has to
 *   run first.
 * Source: socket(7), tcp(7), sendmsg(2); Linux's net/core/sock.c and net/ipv4/tcp.c for the marks.
 */
#ifndef FASTLAMBDA_NET_H
#define FASTLAMBDA_NET_H

#include <stdbool.h>
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
    uint64_t identity;   /* of the connection; 0: it is not compared */
};

/* A descriptor is a number, and user code may close it and get it again for something else. So a connection has an
 * identity: the kernel's cookie of the socket, which is never given out a second time, and how the socket is marked.
 *
 * Comparing cookies is a system call, and a thread can take the number between it and the next one. The marks are looked at
 * by the kernel in the very call that moves the bytes:
 *   out  SO_TXTIME is set, which TCP makes no use of. A sendmsg(2) with SCM_TXTIME fails on a socket without it.
 *   in   TCP_INQ is set. A recvmsg(2) on a socket without it brings no TCP_CM_INQ.
 * They tell our connection from TCP, UDP, Unix and netlink sockets that have no such option. What does not look at control
 * messages (kernel TLS, MPTCP, SCTP, VSOCK), or has set the same option, is told by the cookie alone. */
#define NET_MARKED_OUT (UINT64_C(1) << 63)
#define NET_MARKED_IN (UINT64_C(1) << 62)

/* A signal that comes just before recv(2) sleeps does not wake it; its handler then waits no longer than this. */
#define NET_LOOK_UP_MS 100
/* How long an idle reader sleeps that nothing but its own thread's signals can wake. */
#define NET_PAUSE_MS 1000
/* How long a peer that speaks before we have finished, and takes nothing more, may think about it. */
#define NET_STALL_MS 2000

/* A connected descriptor (>= 0), a negated errno (-EINTR: nothing is left open, call again), or STATUS_NO_ADDRESS.
 * `host` is an IPv4 or IPv6 address or a name; names go through getaddrinfo(), addresses do not (it opens files). */
int net_connect(const char *host, const char *port, uint64_t *identity);

/* Marks a socket and returns its identity; 0: it is none. */
uint64_t net_identify(int fd);

/* Whether the descriptor still is the connection of that identity: one system call. */
bool net_is_ours(int fd, uint64_t identity);

/* Adds `len` bytes, borrowed until the write is over; empty pieces are left out. */
void net_out_add(struct net_out *out, const void *bytes, size_t len);

/* The three below also return STATUS_NOT_OURS: what `sent` counts went to our connection, the rest went nowhere. */

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

/* > 0 bytes received, STATUS_PEER_CLOSED, STATUS_NOT_OURS, or a negated errno (-EAGAIN: NET_LOOK_UP_MS without a byte, call
 * again).  With `spill`, what does not fit in `into` goes there.  `identity` 0: it is not compared. */
ssize_t net_recv_some(int fd, uint64_t identity, char *into, size_t len, char *spill, size_t spill_len);

/* 1 when bytes (or an end of stream) can be read within `timeout_ms` (-1: no limit), 0 when not, or a negated errno.  Bytes
 * at `wake_fd` (-1: none) end the wait, too. */
int net_wait_readable(int fd, int wake_fd, int timeout_ms);

/* Closes the connection of that identity; does nothing when the number is another file's by now. */
void net_hang_up(int fd, uint64_t identity);

#endif
