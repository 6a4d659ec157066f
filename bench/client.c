/* The bare client: what a sequential (or pipelined) Runtime API client costs when nothing is left to leave out.
 *
 * Polls, echoes the body untouched, answers: send, receive, send, receive for a small event; with --pipeline the answer
 * and the next poll leave in one write.  It looks at no header but the request id and the framing, checks no status, decodes no JSON.
 * A floor to compare with, not a client to use.  Source: Lambda Runtime API, version 2018-06-01.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static char *buf, host[128];
static size_t cap = 1 << 16, len;
static int fd;

/* The endpoint closes the connection when it has enough: that is the regular end. */
static void done(void) { exit(0); }

static void fill(void) {
    if (len + 1 >= cap && !(buf = realloc(buf, cap *= 4)))
        exit(2);
    ssize_t n = recv(fd, buf + len, cap - len - 1, 0);
    if (n <= 0)
        done();
    len += (size_t)n;
    buf[len] = 0;
}

static void put(struct iovec *iov, int n) {
    while (n > 0) {
        ssize_t w = writev(fd, iov, n);
        if (w < 0)
            done();
        for (; n > 0 && (size_t)w >= iov->iov_len; iov++, n--)
            w -= iov->iov_len;
        if (n > 0) {
            iov->iov_base = (char *)iov->iov_base + w;
            iov->iov_len -= (size_t)w;
        }
    }
}

/* Reads one answer; leaves head at buf, the body (chunks joined) at *body. Returns the bytes of the whole answer. */
static size_t read_answer(char **body, size_t *body_len) {
    char *end, *value;
    while (!len || !(end = memmem(buf, len, "\r\n\r\n", 4)))
        fill();
    size_t at = end + 4 - buf;
    if ((value = memmem(buf, at, "Content-Length: ", 16))) {
        *body_len = strtoul(value + 16, NULL, 10);
        while (len - at < *body_len)
            fill();
        *body = buf + at;
        return at + *body_len;
    }
    size_t from = at, to = at;
    for (;;) {
        char *eol;
        while (!(eol = memmem(buf + from, len - from, "\r\n", 2)))
            fill();
        size_t size = strtoul(buf + from, NULL, 16), start = eol + 2 - buf;
        while (len < start + size + 2)
            fill();
        if (size == 0) {
            *body = buf + at;
            *body_len = to - at;
            return start + 2;
        }
        if (to == at && at == from) { /* the first chunk stays where it is: the usual case has only one */
            at = to = start;
            to += size;
        } else {
            memmove(buf + to, buf + start, size);
            to += size;
        }
        from = start + size + 2;
    }
}

static void consume(size_t n) {
    memmove(buf, buf + n, len - n);
    len -= n;
    if (len)
        buf[len] = 0;
}

int main(int argc, char **argv) {
    const char *api = getenv("AWS_LAMBDA_RUNTIME_API");
    int pipeline = argc > 1 && !strcmp(argv[1], "--pipeline"), one = 1;
    char poll[256], head[512];
    struct sockaddr_in addr = {.sin_family = AF_INET};
    char *colon;

    if (!api || !(colon = strchr(api, ':')) || strlen(api) >= sizeof host) {
        fputs("usage: AWS_LAMBDA_RUNTIME_API=host:port client [--pipeline]\n", stderr);
        return 2;
    }
    memcpy(host, api, (size_t)(colon - api));
    inet_pton(AF_INET, host, &addr.sin_addr);
    addr.sin_port = htons((unsigned short)atoi(colon + 1));
    buf = malloc(cap);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (!buf || fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0) {
        perror("connect");
        return 1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int poll_len = snprintf(poll, sizeof poll, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: %s\r\n\r\n", api);
    struct iovec iov[3] = {{poll, (size_t)poll_len}};
    put(iov, 1);
    for (;;) {
        char *body, *id;
        size_t body_len, used = read_answer(&body, &body_len), ack_len;
        if (!(id = memmem(buf, used, "Lambda-Runtime-Aws-Request-Id: ", 31)))
            return 1;
        int n = snprintf(head, sizeof head,
                         "POST /2018-06-01/runtime/invocation/%.36s/response HTTP/1.1\r\nHost: %s\r\n"
                         "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                         id + 31, api, body_len);
        iov[0] = (struct iovec){head, (size_t)n};
        iov[1] = (struct iovec){body, body_len};
        iov[2] = (struct iovec){poll, (size_t)poll_len};
        put(iov, pipeline ? 3 : 2);
        consume(used);
        consume(read_answer(&body, &ack_len));
        if (!pipeline) {
            iov[0] = (struct iovec){poll, (size_t)poll_len};
            put(iov, 1);
        }
    }
}
