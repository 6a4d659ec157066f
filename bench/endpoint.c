/* A Runtime API endpoint for measurements: serves one event N times and writes down when what arrived.
 *
 * Owns the clock of every figure in bench/.  Promises: requests of a connection are answered strictly in order (pipelined
 * ones too), one write per answer, as AWS's server does it; nothing is printed between the first and the last event.
 * Knows nothing of JSON: whether the answers are right is decided before the timed run, from --record's file.
 * Source: Lambda Runtime API, version 2018-06-01; framing and writes as Go's net/http sends them.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONNECTIONS 16
#define NATURAL_LIMIT 2048 /* AWS's server: up to here content-length, above it chunked */
#define GO_BUFFER 4096     /* net/http's write buffer: a larger answer leaves as 4096 bytes, the rest, the tail */
#define MAX_REQUEST (64u << 20)

static const char HELP[] =
    "usage: endpoint --event FILE [options]\n"
    "Serves FILE as the event of every invocation on a free loopback port.\n"
    "  --count N           invocations in all (default 100)\n"
    "  --warmup N          of these, the first N are not part of the summary (default 0)\n"
    "  --framing F         auto (to 2048 bytes content-length, above chunked), length, chunked\n"
    "  --writes W          go (4096 bytes, rest, tail, as net/http), one (a single gathered write)\n"
    "  --timeout-ms N      distance of the deadline header from now (default 60000)\n"
    "  --record FILE       write each result as 8 bytes little-endian length and the bytes\n"
    "  --expect-length N   count results of another length as wrong\n"
    "  --sample            read 'PID\\n' from standard input, sample that process's CPU time and memory\n"
    "  --stall-s N         give up after N seconds without a request (default 30)\n"
    "Prints 'port N' at once and one line of JSON at the end. Exit status: 0 all answered, 3 not.\n";

struct connection {
    int fd;
    char *buf;
    size_t cap, len, off;
    int continued; /* 100 Continue was sent for the request being read */
};

struct sample {
    int64_t cpu_ns, wall_ns, rss_bytes, private_bytes;
};

static struct connection connections[MAX_CONNECTIONS];
static int n_connections;

static char *event;
static size_t event_len;
static int count = 100, warmup, timeout_ms = 60000, stall_s = 30, sampling, chunked, split_writes = 1;
static long expect_length = -1;
static FILE *record;
static pid_t client_pid;

static int served, answered, errors, wrong_length, wrong_id, other_requests, reconnects;
static int64_t connect_ns, first_next_ns, *sent_at, *answered_at;
static uint64_t request_bytes, last_hash;
static size_t last_length;
static char first_error[2048];
static struct sample at_idle, at_warm, at_end;
static int finished;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void fail(const char *what) {
    fprintf(stderr, "endpoint: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void read_pid(void) {
    char line[32];
    if (!sampling || client_pid)
        return;
    if (fgets(line, sizeof line, stdin))
        client_pid = (pid_t)atol(line);
}

static void take_sample(struct sample *s) {
    char path[64], line[256];
    clockid_t clock;
    struct timespec t;
    FILE *f;

    s->wall_ns = now_ns();
    s->cpu_ns = s->rss_bytes = s->private_bytes = -1;
    if (!sampling)
        return;
    read_pid();
    if (clock_getcpuclockid(client_pid, &clock) == 0 && clock_gettime(clock, &t) == 0)
        s->cpu_ns = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)client_pid);
    f = fopen(path, "r");
    if (f) {
        long kb;
        s->private_bytes = 0;
        while (fgets(line, sizeof line, f)) {
            if (sscanf(line, "Rss: %ld", &kb) == 1)
                s->rss_bytes = kb * 1024;
            else if (sscanf(line, "Private_Clean: %ld", &kb) == 1 || sscanf(line, "Private_Dirty: %ld", &kb) == 1)
                s->private_bytes += kb * 1024;
        }
        fclose(f);
    }
    s->wall_ns = now_ns();
}

static int write_all(int fd, struct iovec *iov, int n) {
    while (n > 0) {
        ssize_t put = writev(fd, iov, n);
        if (put < 0) {
            if (errno == EINTR)
                continue;
            return -1;
        }
        while (n > 0 && (size_t)put >= iov->iov_len) {
            put -= iov->iov_len;
            iov++;
            n--;
        }
        if (n > 0) {
            iov->iov_base = (char *)iov->iov_base + put;
            iov->iov_len -= put;
        }
    }
    return 0;
}

static const char *http_date(void) {
    static char text[64];
    static time_t last;
    time_t t = time(NULL);
    if (t != last) {
        struct tm tm;
        gmtime_r(&t, &tm);
        strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        last = t;
    }
    return text;
}

/* A request id in the shape of a UUID whose first and last digits are the invocation's number. */
static void put_request_id(char out[37], int number) {
    snprintf(out, 37, "%08x-6f1c-4b7a-9e2d-%012x", (unsigned)number, (unsigned)number);
}

static int send_event(struct connection *c, int number) {
    char head[1024], id[37], size[32];
    struct timespec wall;
    struct iovec iov[4];
    int n, k = 0;
    long long deadline;

    clock_gettime(CLOCK_REALTIME, &wall);
    deadline = (long long)wall.tv_sec * 1000 + wall.tv_nsec / 1000000 + timeout_ms;
    put_request_id(id, number);
    if (chunked)
        snprintf(size, sizeof size, "Transfer-Encoding: chunked");
    else
        snprintf(size, sizeof size, "Content-Length: %zu", event_len);
    n = snprintf(head, sizeof head,
                 "HTTP/1.1 200 OK\r\n"
                 "Content-Type: application/json\r\n"
                 "Lambda-Runtime-Aws-Request-Id: %s\r\n"
                 "Lambda-Runtime-Deadline-Ms: %lld\r\n"
                 "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-central-1:123456789012:function:bench\r\n"
                 "Lambda-Runtime-Trace-Id: Root=1-5f1e2d3c-%024x;Parent=53995c3f42cd8ad8;Sampled=0\r\n"
                 "Date: %s\r\n"
                 "%s\r\n\r\n",
                 id, deadline, (unsigned)number, http_date(), size);
    if (chunked)
        n += snprintf(head + n, sizeof head - n, "%zx\r\n", event_len);

    sent_at[number] = now_ns();
    if (!split_writes || n + event_len + 7 <= GO_BUFFER) {
        iov[k++] = (struct iovec){head, (size_t)n};
        iov[k++] = (struct iovec){event, event_len};
        if (chunked)
            iov[k++] = (struct iovec){"\r\n0\r\n\r\n", 7};
        return write_all(c->fd, iov, k);
    }
    size_t first = GO_BUFFER - (size_t)n;
    if (first > event_len)
        first = event_len;
    iov[0] = (struct iovec){head, (size_t)n};
    iov[1] = (struct iovec){event, first};
    if (write_all(c->fd, iov, 2) < 0)
        return -1;
    if (event_len > first) {
        iov[0] = (struct iovec){event + first, event_len - first};
        if (write_all(c->fd, iov, 1) < 0)
            return -1;
    }
    if (chunked) {
        iov[0] = (struct iovec){"\r\n0\r\n\r\n", 7};
        return write_all(c->fd, iov, 1);
    }
    return 0;
}

static int send_plain(struct connection *c, const char *status, const char *body) {
    char out[512];
    int n = snprintf(out, sizeof out, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nDate: %s\r\nContent-Length: %zu\r\n\r\n%s",
                     status, http_date(), strlen(body), body);
    struct iovec iov = {out, (size_t)n};
    return write_all(c->fd, &iov, 1);
}

static uint64_t fnv1a(const char *p, size_t n) {
    uint64_t h = 1469598103934665603u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)p[i]) * 1099511628211u;
    return h;
}

static void keep_result(const char *body, size_t len) {
    if (record) {
        uint64_t le = len;
        fwrite(&le, 8, 1, record);
        fwrite(body, 1, len, record);
    }
    if (expect_length >= 0 && (size_t)expect_length != len)
        wrong_length++;
    last_length = len;
    if (answered + 1 == count)
        last_hash = fnv1a(body, len);
}

/* Answers one complete request. < 0: the connection is to be closed. */
static int answer(struct connection *c, const char *method, const char *path, const char *body, size_t body_len) {
    static const char next[] = "/2018-06-01/runtime/invocation/next";
    static const char prefix[] = "/2018-06-01/runtime/invocation/";
    char id[37];

    if (!strcmp(method, "GET") && !strcmp(path, next)) {
        if (!first_next_ns) {
            first_next_ns = now_ns();
            take_sample(&at_idle);
        }
        if (answered < served) /* as the classic server: the open invocation once more */
            return send_event(c, served - 1);
        if (answered == warmup)
            take_sample(&at_warm);
        if (served == count) {
            take_sample(&at_end);
            finished = 1;
            return 0;
        }
        return send_event(c, served++);
    }
    if (!strcmp(method, "POST") && !strncmp(path, prefix, sizeof prefix - 1)) {
        const char *p = path + sizeof prefix - 1;
        int64_t t = now_ns();
        if (answered >= served) {
            wrong_id++;
            return send_plain(c, "403 Forbidden", "{\"errorMessage\":\"no open invocation\",\"errorType\":\"InvalidStateTransition\"}\n");
        }
        put_request_id(id, served - 1);
        if (strncmp(p, id, 36)) {
            wrong_id++;
            return send_plain(c, "400 Bad Request", "{\"errorMessage\":\"Invalid request ID\",\"errorType\":\"InvalidRequestID\"}\n");
        }
        if (!strcmp(p + 36, "/response")) {
            keep_result(body, body_len);
        } else {
            if (!errors++)
                snprintf(first_error, sizeof first_error, "%.*s", (int)(body_len > 2000 ? 2000 : body_len), body);
        }
        answered_at[answered++] = t;
        return send_plain(c, "202 Accepted", "{\"status\":\"OK\"}\n");
    }
    if (!first_error[0])
        snprintf(first_error, sizeof first_error, "%s %s: %.*s", method, path, (int)(body_len > 1500 ? 1500 : body_len), body);
    other_requests++;
    if (strstr(path, "/init/error")) {
        finished = 1;
        return send_plain(c, "202 Accepted", "{\"status\":\"OK\"}\n");
    }
    return send_plain(c, "404 Not Found", "404 page not found\n");
}

/* The value of header `name` in the head that ends at `end`, or NULL. */
static const char *header(const char *head, const char *end, const char *name) {
    size_t n = strlen(name);
    const char *p = memmem(head, end - head, "\r\n", 2);
    while (p && p + 2 + n < end) {
        p += 2;
        if (!strncasecmp(p, name, n) && p[n] == ':') {
            p += n + 1;
            while (*p == ' ')
                p++;
            return p;
        }
        p = memmem(p, end - p, "\r\n", 2);
    }
    return NULL;
}

/* Decodes a chunked body in place. > 0: bytes consumed, *body_len set. 0: more is needed. < 0: malformed. */
static ssize_t dechunk(char *p, size_t len, size_t *body_len) {
    size_t from = 0, to = 0;
    for (int pass = 0; pass < 2; pass++) { /* the first pass only looks, so that nothing moves while bytes are missing */
        from = to = 0;
        for (;;) {
            char *eol = memmem(p + from, len - from, "\r\n", 2);
            if (!eol)
                return 0;
            size_t size = strtoul(p + from, NULL, 16);
            size_t start = eol + 2 - p;
            if (size > MAX_REQUEST)
                return -1;
            if (start + size + 2 > len)
                return 0;
            if (size == 0) {
                from = start + 2;
                break;
            }
            if (pass)
                memmove(p + to, p + start, size);
            to += size;
            from = start + size + 2;
        }
    }
    *body_len = to;
    return (ssize_t)from;
}

static int serve_buffered(struct connection *c) {
    while (c->off < c->len && !finished) {
        char *head = c->buf + c->off, *end = memmem(head, c->len - c->off, "\r\n\r\n", 4);
        char method[8], path[256], *body;
        const char *value;
        size_t have, body_len = 0, used;

        if (!end)
            break;
        body = end + 4;
        have = c->buf + c->len - body;
        if (sscanf(head, "%7s %255s", method, path) != 2)
            return -1;
        if ((value = header(head, end + 2, "Content-Length"))) {
            body_len = strtoul(value, NULL, 10);
            used = body_len;
        } else if (header(head, end + 2, "Transfer-Encoding")) {
            ssize_t n = dechunk(body, have, &body_len);
            if (n < 0)
                return -1;
            used = n ? (size_t)n : have + 1;
        } else {
            used = 0;
        }
        if (used > have) {
            if (!c->continued && header(head, end + 2, "Expect")) {
                struct iovec iov = {"HTTP/1.1 100 Continue\r\n\r\n", 25};
                c->continued = 1;
                if (write_all(c->fd, &iov, 1) < 0)
                    return -1;
            }
            break;
        }
        c->continued = 0;
        c->off = body + used - c->buf;
        if (answer(c, method, path, body, body_len) < 0)
            return -1;
    }
    if (c->off == c->len)
        c->off = c->len = 0;
    return 0;
}

static int receive(struct connection *c) {
    if (c->cap - c->len < 65536) {
        if (c->off) {
            memmove(c->buf, c->buf + c->off, c->len - c->off);
            c->len -= c->off;
            c->off = 0;
        }
        if (c->cap - c->len < 65536) {
            c->cap = c->cap ? c->cap * 2 : 4u << 20;
            if (c->cap > MAX_REQUEST || !(c->buf = realloc(c->buf, c->cap)))
                fail("buffer");
        }
    }
    ssize_t n = recv(c->fd, c->buf + c->len, c->cap - c->len, 0);
    if (n <= 0)
        return n < 0 && errno == EINTR ? 0 : -1;
    c->len += (size_t)n;
    request_bytes += (uint64_t)n;
    return serve_buffered(c);
}

static void print_json_string(const char *s) {
    putchar('"');
    for (; *s; s++) {
        unsigned char ch = (unsigned char)*s;
        if (ch == '"' || ch == '\\')
            printf("\\%c", ch);
        else if (ch < 32 || ch > 126)
            printf("\\u%04x", ch);
        else
            putchar(ch);
    }
    putchar('"');
}

static void print_sample(const char *name, const struct sample *s) {
    printf("\"%s\":{\"wall_ns\":%lld,\"cpu_ns\":%lld,\"rss_bytes\":%lld,\"private_bytes\":%lld},", name, (long long)s->wall_ns,
           (long long)s->cpu_ns, (long long)s->rss_bytes, (long long)s->private_bytes);
}

static void print_summary(void) {
    int stride = (answered - warmup) / 20000 + 1;
    printf("{\"count\":%d,\"warmup\":%d,\"served\":%d,\"answered\":%d,\"errors\":%d,\"wrong_length\":%d,\"wrong_id\":%d,"
           "\"other_requests\":%d,\"connections\":%d,\"request_bytes\":%llu,\"last_length\":%zu,\"last_hash\":\"%016llx\","
           "\"framing\":\"%s\",\"event_bytes\":%zu,",
           count, warmup, served, answered, errors, wrong_length, wrong_id, other_requests, reconnects,
           (unsigned long long)request_bytes, last_length, (unsigned long long)last_hash, chunked ? "chunked" : "length", event_len);
    printf("\"connect_ns\":%lld,\"first_next_ns\":%lld,\"first_answer_ns\":%lld,", (long long)connect_ns, (long long)first_next_ns,
           answered ? (long long)answered_at[0] : 0LL);
    print_sample("idle", &at_idle);
    print_sample("warm", &at_warm);
    print_sample("end", &at_end);
    printf("\"first_error\":");
    print_json_string(first_error);
    printf(",\"answer_ns\":[");
    for (int i = warmup; i < answered; i += stride)
        printf("%s%lld", i > warmup ? "," : "", (long long)(answered_at[i] - sent_at[i]));
    printf("],\"cycle_ns\":[");
    for (int i = warmup > 0 ? warmup : 1, k = 0; i < answered; i += stride, k++)
        printf("%s%lld", k ? "," : "", (long long)(answered_at[i] - answered_at[i - 1]));
    printf("]}\n");
    fflush(stdout);
}

static void load_event(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) < 0)
        fail(path);
    event_len = (size_t)ftell(f);
    rewind(f);
    if (!(event = malloc(event_len + 1)) || fread(event, 1, event_len, f) != event_len)
        fail(path);
    fclose(f);
}

int main(int argc, char **argv) {
    const char *event_path = NULL, *framing = "auto";
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t addr_len = sizeof addr;
    int listener, one = 1, want_stdin;

    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *v = i + 1 < argc ? argv[i + 1] : NULL;
        if (!strcmp(a, "--help")) {
            fputs(HELP, stdout);
            return 0;
        }
        if (!strcmp(a, "--sample")) {
            sampling = 1;
            continue;
        }
        if (!v) {
            fputs(HELP, stderr);
            return 2;
        }
        i++;
        if (!strcmp(a, "--event"))
            event_path = v;
        else if (!strcmp(a, "--count"))
            count = atoi(v);
        else if (!strcmp(a, "--warmup"))
            warmup = atoi(v);
        else if (!strcmp(a, "--framing"))
            framing = v;
        else if (!strcmp(a, "--writes"))
            split_writes = strcmp(v, "one") != 0;
        else if (!strcmp(a, "--timeout-ms"))
            timeout_ms = atoi(v);
        else if (!strcmp(a, "--stall-s"))
            stall_s = atoi(v);
        else if (!strcmp(a, "--expect-length"))
            expect_length = atol(v);
        else if (!strcmp(a, "--record")) {
            if (!(record = fopen(v, "wb")))
                fail(v);
        } else {
            fputs(HELP, stderr);
            return 2;
        }
    }
    if (!event_path || count < 1 || warmup < 0 || warmup >= count) {
        fputs(HELP, stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    load_event(event_path);
    chunked = !strcmp(framing, "chunked") || (!strcmp(framing, "auto") && event_len > NATURAL_LIMIT);
    sent_at = calloc((size_t)count, sizeof *sent_at);
    answered_at = calloc((size_t)count, sizeof *answered_at);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!sent_at || !answered_at || listener < 0 || bind(listener, (struct sockaddr *)&addr, sizeof addr) < 0 ||
        listen(listener, 64) < 0 || getsockname(listener, (struct sockaddr *)&addr, &addr_len) < 0)
        fail("listen");
    printf("port %d\n", ntohs(addr.sin_port));
    fflush(stdout);

    while (!finished) {
        struct pollfd fds[MAX_CONNECTIONS + 2];
        int n = 0;
        want_stdin = sampling && !client_pid;
        for (; n < n_connections; n++)
            fds[n] = (struct pollfd){connections[n].fd, POLLIN, 0};
        fds[n++] = (struct pollfd){listener, POLLIN, 0};
        if (want_stdin)
            fds[n++] = (struct pollfd){0, POLLIN, 0};
        int ready = poll(fds, (nfds_t)n, stall_s * 1000);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            break;
        if (want_stdin && fds[n - 1].revents)
            read_pid();
        for (int i = n_connections - 1; i >= 0; i--) {
            if (!fds[i].revents)
                continue;
            if (receive(&connections[i]) < 0) {
                close(connections[i].fd);
                free(connections[i].buf);
                connections[i] = connections[--n_connections];
                memset(&connections[n_connections], 0, sizeof connections[0]);
                if (n_connections == 0 && answered == count)
                    finished = 1; /* a client that leaves after its last answer */
            }
            break; /* one request at a time, then look again: the order of arrival is kept */
        }
        if (fds[want_stdin ? n - 2 : n - 1].revents) {
            int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
            if (fd >= 0 && n_connections < MAX_CONNECTIONS) {
                if (!connect_ns)
                    connect_ns = now_ns();
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                memset(&connections[n_connections], 0, sizeof connections[0]);
                connections[n_connections++].fd = fd;
                reconnects++;
            } else if (fd >= 0) {
                close(fd);
            }
        }
    }
    if (record)
        fclose(record);
    print_summary();
    return answered == count && !errors && !wrong_length && !wrong_id ? 0 : 3;
}
