#include "net.h"
#include "status.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* macOS: SO_NOSIGPIPE does it */
#endif

static int open_socket(int family)
{
    struct timeval look_up = {.tv_usec = NET_LOOK_UP_MS * 1000};
    int one = 1;
#ifdef SOCK_CLOEXEC
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
#else
    int fd = socket(family, SOCK_STREAM, 0);

    if (fd < 0)
        return -errno;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
#endif
#ifdef SO_NOSIGPIPE
    setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &one, sizeof one);
#endif
    /* The tail of a large body must not wait for the acknowledgement of what went before it. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &look_up, sizeof look_up);
    return fd;
}

static int connect_to(const struct sockaddr *address, socklen_t len)
{
    int fd = open_socket(address->sa_family), status = 0;

    if (fd < 0)
        return fd;
    if (connect(fd, address, len) < 0)
        status = -errno;
    if (status < 0) {
        close(fd);
        return status;
    }
    return fd;
}

static int connect_to_name(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found, *a;
    int status = getaddrinfo(host, port, &hints, &found);

    if (status == EAI_SYSTEM)
        return errno ? -errno : STATUS_NO_ADDRESS;
    if (status)
        return STATUS_NO_ADDRESS;
    status = STATUS_NO_ADDRESS;
    for (a = found; a; a = a->ai_next) {
        status = connect_to(a->ai_addr, a->ai_addrlen);
        if (status >= 0 || status == -EINTR)
            break;
    }
    freeaddrinfo(found);
    return status;
}

int net_connect(const char *host, const char *port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    in_port_t number = htons((uint16_t)strtoul(port, NULL, 10));

    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        v4.sin_port = number;
        return connect_to((struct sockaddr *)&v4, sizeof v4);
    }
    if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
        v6.sin6_port = number;
        return connect_to((struct sockaddr *)&v6, sizeof v6);
    }
    return connect_to_name(host, port);
}

void net_out_add(struct net_out *out, const void *bytes, size_t len)
{
    if (len == 0)
        return;
    out->iov[out->n].iov_base = (void *)bytes;
    out->iov[out->n].iov_len = len;
    out->n++;
}

/* One write of what is left: 0, or a negated errno. */
static int send_more(int fd, struct net_out *out, int flags)
{
    struct msghdr message = {.msg_iov = out->iov + out->at};
    ssize_t n;

    message.msg_iovlen = (size_t)(out->n - out->at);
    n = sendmsg(fd, &message, MSG_NOSIGNAL | flags);
    if (n < 0)
        return -errno;
    out->sent += (size_t)n;
    while (out->at < out->n && (size_t)n >= out->iov[out->at].iov_len) {
        n -= (ssize_t)out->iov[out->at].iov_len;
        out->at++;
    }
    if (out->at < out->n) {
        out->iov[out->at].iov_base = (char *)out->iov[out->at].iov_base + n;
        out->iov[out->at].iov_len -= (size_t)n;
    }
    return 0;
}

int net_send_all(int fd, struct net_out *out)
{
    while (out->at < out->n) {
        int status = send_more(fd, out, 0);

        if (status)
            return status;
    }
    return 0;
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The send buffer is full.  0: try again, -EPIPE: the peer has spoken and takes no more, or another negated errno. */
static int wait_for_room(int fd, struct net_out *out)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT | POLLIN};
    int n;

    if (out->give_up_ns) {
        if (now_ns() >= out->give_up_ns)
            return -EPIPE;
        p.events = POLLOUT; /* its answer can be read all the time: only room is news now */
    }
    n = poll(&p, 1, NET_LOOK_UP_MS);
    if (n < 0)
        return -errno;
    if (n == 0)
        return -EAGAIN;
    if (p.revents == POLLIN)
        out->give_up_ns = now_ns() + (uint64_t)NET_STALL_MS * 1000000;
    return 0;
}

int net_send_now(int fd, struct net_out *out)
{
    int status = out->at == out->n ? 0 : send_more(fd, out, MSG_DONTWAIT);

    if (status == -EWOULDBLOCK)
        return -EAGAIN;
    return status == 0 && out->at < out->n ? -EAGAIN : status;
}

int net_send_watching(int fd, struct net_out *out)
{
    int status;

    if (out->at == out->n)
        return 0;
    status = send_more(fd, out, MSG_DONTWAIT);
    if (status == 0) {
        out->give_up_ns = 0;
        return out->at == out->n ? 0 : -EAGAIN;
    }
    if (status == -EAGAIN || status == -EWOULDBLOCK) {
        status = wait_for_room(fd, out);
        if (status == 0)
            return -EAGAIN;
    }
    return status;
}

ssize_t net_unacknowledged(int fd)
{
#ifdef TIOCOUTQ
    int n = 0;

    return ioctl(fd, TIOCOUTQ, &n) < 0 ? -errno : n;
#else
    (void)fd;
    return -ENOSYS;
#endif
}

ssize_t net_recv_some(int fd, char *into, size_t len, char *spill, size_t spill_len)
{
    ssize_t n;

    if (spill_len == 0) {
        n = recv(fd, into, len, 0);
    } else {
        struct iovec iov[2] = {{into, len}, {spill, spill_len}};

        n = readv(fd, iov, 2);
    }
    if (n == 0)
        return STATUS_PEER_CLOSED;
    return n < 0 ? -errno : n;
}

int net_wait_readable(int fd, int wake_fd, int timeout_ms)
{
    struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = wake_fd, .events = POLLIN}};
    int n = poll(p, 2, timeout_ms); /* one that is -1 is passed over */

    return n < 0 ? -errno : p[0].revents != 0;
}

void net_close(int fd)
{
    if (fd >= 0)
        close(fd);
}
