/* Preloaded into a client: how long it works between the arrival of bytes and its next request, and how often it reads.
 *
 * Times the stretch from the return of a receiving call to the next sending one, and sorts by what is sent: an answer (POST)
 * or a poll (GET).  What the kernel and the peer do is left out, and so is most of what a busy machine does to a benchmark.
 * Writes one line of JSON to the file that ONPATH_OUT names, once ONPATH_N answers have been sent after ONPATH_SKIP, then
 * does nothing more.  Sees only calls that go through the C library.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { POSTS, POLLS, N_KINDS, MOST = 100000 };
static uint32_t took[N_KINDS][MOST];
static long n[N_KINDS], n_seen, n_reads, skip, want;
static uint64_t arrived;
static int is_done = 1;

static ssize_t (*real_recv)(int, void *, size_t, int);
static ssize_t (*real_readv)(int, const struct iovec *, int);
static ssize_t (*real_recvmsg)(int, struct msghdr *, int);
static ssize_t (*real_send)(int, const void *, size_t, int);
static ssize_t (*real_sendmsg)(int, const struct msghdr *, int);
static ssize_t (*real_writev)(int, const struct iovec *, int);

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

__attribute__((constructor)) static void begin(void)
{
    const char *text = getenv("ONPATH_N");

    real_recv = dlsym(RTLD_NEXT, "recv");
    real_readv = dlsym(RTLD_NEXT, "readv");
    real_recvmsg = dlsym(RTLD_NEXT, "recvmsg");
    real_send = dlsym(RTLD_NEXT, "send");
    real_sendmsg = dlsym(RTLD_NEXT, "sendmsg");
    real_writev = dlsym(RTLD_NEXT, "writev");
    want = text ? atol(text) : 0;
    skip = getenv("ONPATH_SKIP") ? atol(getenv("ONPATH_SKIP")) : 0;
    is_done = want < 1 || want > MOST;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static double quantile(int kind, double share)
{
    return n[kind] ? took[kind][(long)(share * (double)(n[kind] - 1))] : 0;
}

static void finish(void)
{
    static const char *NAMES[] = {"event_to_answer", "ack_to_poll"};
    FILE *out = fopen(getenv("ONPATH_OUT") ? getenv("ONPATH_OUT") : "/dev/stderr", "w");

    is_done = 1;
    if (!out)
        return;
    fprintf(out, "{\"reads_per_answer\": %.3f", (double)n_reads / (double)n[POSTS]);
    for (int kind = 0; kind < N_KINDS; kind++) {
        qsort(took[kind], (size_t)n[kind], sizeof took[kind][0], by_size);
        fprintf(out, ", \"%s\": {\"q1_ns\": %.0f, \"median_ns\": %.0f, \"n\": %ld}", NAMES[kind], quantile(kind, 0.25),
                quantile(kind, 0.5), n[kind]);
    }
    fputs("}\n", out);
    fclose(out);
}

static void sending(const char *bytes, size_t len)
{
    int kind = len && *bytes == 'P' ? POSTS : len && *bytes == 'G' ? POLLS : N_KINDS;
    uint64_t since = arrived;

    if (is_done || kind == N_KINDS || !since)
        return;
    arrived = 0;
    n_seen += kind == POSTS;
    if (n_seen <= skip) {
        n_reads = 0;
        return;
    }
    took[kind][n[kind]++] = (uint32_t)(now_ns() - since);
    if (n[POSTS] == want)
        finish();
}

static ssize_t received(ssize_t got)
{
    n_reads++;
    arrived = now_ns();
    return got;
}

ssize_t recv(int fd, void *into, size_t len, int flags)
{
    return received(real_recv(fd, into, len, flags));
}

ssize_t readv(int fd, const struct iovec *iov, int count)
{
    return received(real_readv(fd, iov, count));
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    return received(real_recvmsg(fd, message, flags));
}

ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
    sending(bytes, len);
    return real_send(fd, bytes, len, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    sending(message->msg_iov->iov_base, message->msg_iov->iov_len);
    return real_sendmsg(fd, message, flags);
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
    sending(iov->iov_base, iov->iov_len);
    return real_writev(fd, iov, count);
}
