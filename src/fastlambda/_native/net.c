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
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* macOS: SO_NOSIGPIPE does it */
#endif

#define COOKIE_BITS (NET_MARKED_IN - 1)
/* Where the kernel has no cookies the file's number has to do, told apart from one. */
#define IS_FILE_NUMBER (UINT64_C(1) << 61)

#if defined(__linux__) && !defined(__mips__) && !defined(__sparc__) && !defined(__hppa__) && !defined(__alpha__)
/* Numbers of the kernel's interface that the C library's headers may be too old for. */
#define HAS_MARKS 1
enum { OPTION_COOKIE = 57, OPTION_TXTIME = 61, OPTION_INQ = 36 };
struct txtime {
    int clock;
    uint32_t flags;
};
union mark_out {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(uint64_t))];
};
union mark_in {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
};
#endif

static uint64_t cookie_of(int fd)
{
    struct stat file;
#ifdef HAS_MARKS
    uint64_t cookie;
    socklen_t len = sizeof cookie;

    if (getsockopt(fd, SOL_SOCKET, OPTION_COOKIE, &cookie, &len) == 0)
        return cookie & COOKIE_BITS & ~IS_FILE_NUMBER;
#endif
    if (fstat(fd, &file) < 0 || !S_ISSOCK(file.st_mode))
        return 0;
    return ((uint64_t)file.st_ino & (IS_FILE_NUMBER - 1)) | IS_FILE_NUMBER;
}

uint64_t net_identify(int fd)
{
    uint64_t marks = 0, cookie;
#ifdef HAS_MARKS
    struct txtime txtime = {.clock = CLOCK_MONOTONIC};
    int one = 1;

    if (setsockopt(fd, SOL_SOCKET, OPTION_TXTIME, &txtime, sizeof txtime) == 0)
        marks |= NET_MARKED_OUT;
    if (setsockopt(fd, IPPROTO_TCP, OPTION_INQ, &one, sizeof one) == 0)
        marks |= NET_MARKED_IN;
#endif
    /* Last: a foreign socket that took the number before this has no use for us, for it cannot be connected; one that
     * takes it after this has no marks. */
    cookie = cookie_of(fd);
    return cookie ? cookie | marks : 0;
}

bool net_is_ours(int fd, uint64_t identity)
{
    return fd >= 0 && (identity & COOKIE_BITS) && cookie_of(fd) == (identity & COOKIE_BITS);
}

/* A function that has closed its standard streams goes on printing: that must not reach a connection. */
static int above_standard_streams(int fd)
{
    int higher;

    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    higher = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (higher < 0)
        higher = -errno;
    close(fd);
    return higher;
}

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
    fd = above_standard_streams(fd);
    if (fd < 0)
        return fd;
#ifdef SO_NOSIGPIPE
    setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &one, sizeof one);
#endif
    /* The tail of a large body must not wait for the acknowledgement of what went before it. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &look_up, sizeof look_up);
    return fd;
}

static int connect_to(const struct sockaddr *address, socklen_t len, uint64_t *identity)
{
    int fd = open_socket(address->sa_family), status = 0;

    if (fd < 0)
        return fd;
    *identity = net_identify(fd);
    if (connect(fd, address, len) < 0)
        status = -errno;
    if (status < 0) {
        net_hang_up(fd, *identity);
        return status;
    }
    return fd;
}

static int connect_to_name(const char *host, const char *port, uint64_t *identity)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found, *a;
    int status = getaddrinfo(host, port, &hints, &found);

    if (status == EAI_SYSTEM)
        return errno ? -errno : STATUS_NO_ADDRESS;
    if (status)
        return STATUS_NO_ADDRESS;
    status = STATUS_NO_ADDRESS;
    for (a = found; a; a = a->ai_next) {
        status = connect_to(a->ai_addr, a->ai_addrlen, identity);
        if (status >= 0 || status == -EINTR)
            break;
    }
    freeaddrinfo(found);
    return status;
}

int net_connect(const char *host, const char *port, uint64_t *identity)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    in_port_t number = htons((uint16_t)strtoul(port, NULL, 10));

    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        v4.sin_port = number;
        return connect_to((struct sockaddr *)&v4, sizeof v4, identity);
    }
    if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
        v6.sin6_port = number;
        return connect_to((struct sockaddr *)&v6, sizeof v6, identity);
    }
    return connect_to_name(host, port, identity);
}

void net_out_add(struct net_out *out, const void *bytes, size_t len)
{
    if (len == 0)
        return;
    out->iov[out->n].iov_base = (void *)bytes;
    out->iov[out->n].iov_len = len;
    out->n++;
}

/* What a failed call on the connection means: the errno, or that it failed because the number is not ours any more. */
static int failed(int fd, uint64_t identity, int number)
{
    if (!identity || number == EINTR || number == EAGAIN || number == EWOULDBLOCK || net_is_ours(fd, identity))
        return -number;
    return STATUS_NOT_OURS;
}

/* One write of what is left: 0, or a status. */
static int send_more(int fd, struct net_out *out, int flags)
{
    struct msghdr message = {.msg_iov = out->iov + out->at};
    ssize_t n;
#ifdef HAS_MARKS
    /* The kernel reads it. */
    static const union mark_out MARK = {
        .head = {.cmsg_len = CMSG_LEN(sizeof(uint64_t)), .cmsg_level = SOL_SOCKET, .cmsg_type = OPTION_TXTIME}};

    if (out->identity & NET_MARKED_OUT) {
        message.msg_control = (void *)&MARK;
        message.msg_controllen = sizeof MARK;
    }
#endif

    message.msg_iovlen = (size_t)(out->n - out->at);
    n = sendmsg(fd, &message, MSG_NOSIGNAL | flags);
    if (n < 0 && errno == EINVAL && message.msg_control && net_is_ours(fd, out->identity)) {
        out->identity &= ~NET_MARKED_OUT; /* a kernel that takes the option and not the message */
        return send_more(fd, out, flags);
    }
    if (n < 0)
        return failed(fd, out->identity, errno);
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
        if (out->identity && !net_is_ours(fd, out->identity))
            return STATUS_NOT_OURS; /* a foreigner would be waited for in vain */
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

ssize_t net_recv_some(int fd, uint64_t identity, char *into, size_t len, char *spill, size_t spill_len)
{
    struct iovec iov[2] = {{into, len}, {spill, spill_len}};
    struct msghdr message = {.msg_iov = iov};
    ssize_t n;
#ifdef HAS_MARKS
    union mark_in mark;

    if (identity & NET_MARKED_IN) {
        mark.head.cmsg_len = 0;
        message.msg_control = &mark;
        message.msg_controllen = sizeof mark;
    }
#endif

    message.msg_iovlen = spill_len ? 2 : 1;
    n = recvmsg(fd, &message, 0);
    if (n < 0)
        return failed(fd, identity, errno);
#ifdef HAS_MARKS
    if ((identity & NET_MARKED_IN) && message.msg_controllen >= sizeof mark.head && mark.head.cmsg_level == IPPROTO_TCP &&
        mark.head.cmsg_type == OPTION_INQ)
        return n ? n : STATUS_PEER_CLOSED;
#endif
    /* Afterwards is soon enough here: a number that was another's a moment ago does not become ours again. */
    if (identity && !net_is_ours(fd, identity))
        return STATUS_NOT_OURS;
    return n ? n : STATUS_PEER_CLOSED;
}

int net_wait_readable(int fd, int wake_fd, int timeout_ms)
{
    struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = wake_fd, .events = POLLIN}};
    int n = poll(p, 2, timeout_ms); /* one that is -1 is passed over */

    return n < 0 ? -errno : p[0].revents != 0;
}

void net_hang_up(int fd, uint64_t identity)
{
    if (net_is_ours(fd, identity))
        close(fd);
}
