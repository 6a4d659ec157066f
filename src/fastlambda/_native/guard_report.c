/* Step two: the thread itself posts the error, writes the stacks, ends the process. */
#include "guard_internal.h"

#include "net.h"
#include "rapi.h"
#include "status.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* What is to be appended has been counted into LAST_WORD_CAP, so nothing here needs memory. */
static int append_text(struct buffer *to, const char *text)
{
    return buffer_append(to, text, strlen(text));
}

static size_t put_json_text(char *to, const char *text)
{
    char *at = to;

    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\') {
            *at++ = '\\';
            *at++ = (char)c;
        } else if (c < 0x20 || c > 0x7e) {
            at += sprintf(at, "\\u%04x", c);
        } else {
            *at++ = (char)c;
        }
    }
    *at = 0;
    return (size_t)(at - to);
}

static const char *error_type(enum guard_reason reason)
{
    return reason == GUARD_MEMORY ? "Runtime.MemoryExhausted" : "Runtime.InvocationTimeout";
}

static void put_message(const struct guard *g, const struct guard_slot *slot, enum guard_reason reason, char *to,
                        size_t cap)
{
    /* The time-out is configured in whole seconds; what is left on arrival is a little less. */
    int64_t tenths = (slot->timeout_ms + 50) / 100;

    if (reason == GUARD_MEMORY)
        snprintf(to, cap,
                 "The process came to use %llu of the function's %llu MB of memory, and the handler could not be "
                 "interrupted; the process was ended",
                 (unsigned long long)(g->last_used >> 20), (unsigned long long)(g->config.memory_limit >> 20));
    else
        snprintf(to, cap,
                 "The handler did not come back within the function's time-out of %lld.%lld s and could not be "
                 "interrupted; the process was ended",
                 (long long)(tenths / 10), (long long)(tenths % 10));
}

static size_t put_base64(char *to, const char *from, size_t len)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *in = (const unsigned char *)from;
    size_t i, n = 0;

    for (i = 0; i < len; i += 3) {
        unsigned bits = (unsigned)in[i] << 16 | (i + 1 < len ? (unsigned)in[i + 1] << 8 : 0) |
                        (i + 2 < len ? (unsigned)in[i + 2] : 0);

        to[n++] = DIGITS[bits >> 18];
        to[n++] = DIGITS[bits >> 12 & 63];
        to[n++] = i + 1 < len ? DIGITS[bits >> 6 & 63] : '=';
        to[n++] = i + 2 < len ? DIGITS[bits & 63] : '=';
    }
    return n;
}

int guard_put_last_word(struct guard *g, const struct guard_slot *slot, enum guard_state was, enum guard_reason reason)
{
    char id[6 * GUARD_ID_CAP], message[256], document[6 * GUARD_ID_CAP + 512], headers[160];
    struct rapi_base base = {.common = g->common, .common_len = strlen(g->common), .prefix = ""};
    struct http1_span request_id = {slot->request_id, strlen(slot->request_id)};
    struct http1_span invocation_id = {slot->invocation_id, strlen(slot->invocation_id)};
    struct http1_span lines = {headers, 0};
    size_t len;
    int status;

    put_json_text(id, slot->request_id);
    put_message(g, slot, reason, message, sizeof message);
    len = (size_t)snprintf(document, sizeof document,
                           "{\"errorMessage\": \"%s\", \"errorType\": \"%s\", \"requestId\": \"%s\", \"stackTrace\": []}",
                           message, error_type(reason), id);
    buffer_consume(&g->request, buffer_len(&g->request));
    if (was == GUARD_RUNNING) {
        lines.len = (size_t)snprintf(headers, sizeof headers,
                                     "Content-Type: application/json\r\n"
                                     "Lambda-Runtime-Function-Error-Type: %s\r\n",
                                     error_type(reason));
        status = rapi_put_post(&g->request, &base, "invocation/", request_id, "/error", lines, invocation_id, len);
        return status ? status : buffer_append(&g->request, document, len);
    }
    /* The end of a chunked body, with the trailers that its head has declared. RFC 9112, section 7.1.2. */
    status = append_text(&g->request, "0\r\nLambda-Runtime-Function-Error-Type: ");
    if (!status)
        status = append_text(&g->request, error_type(reason));
    if (!status)
        status = append_text(&g->request, "\r\nLambda-Runtime-Function-Error-Body: ");
    if (!status)
        status = buffer_reserve(&g->request, (len + 2) / 3 * 4);
    if (status)
        return status;
    buffer_commit(&g->request, put_base64(g->request.data + g->request.end, document, len));
    return append_text(&g->request, "\r\n\r\n");
}

static int ms_until(uint64_t deadline)
{
    uint64_t now = guard_now_ns();

    return now >= deadline ? 0 : (int)earlier((deadline - now) / NS_PER_MS, INT_MAX);
}

/* Sends g->request and waits for the first bytes of the answer: what is unread when a process ends makes its side reset
 * the connection, and a reset may overtake what was sent. 0 or a status. */
static int send_last_word(struct guard *g, int fd, uint64_t identity, uint64_t until)
{
    struct timeval limit;
    struct net_out out = {.identity = identity};
    char answer[512];
    int left = ms_until(until) + 1, status;
    ssize_t n;

    limit.tv_sec = left / 1000;
    limit.tv_usec = left % 1000 * 1000;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    net_out_add(&out, buffer_head(&g->request), buffer_len(&g->request));
    status = net_send_all(fd, &out);
    if (status)
        return status;
    status = net_wait_readable(fd, -1, ms_until(until));
    if (status <= 0)
        return status; /* sent; what became of it cannot be known */
    n = net_recv_some(fd, identity, answer, sizeof answer, NULL, 0);
    return n < 0 && n != STATUS_NOT_OURS ? (int)n : 0;
}

/* Writes to stderr what can be said without memory or locks. */
static void complain(const struct guard *g, const struct guard_slot *slot, enum guard_reason reason, const char *how)
{
    char message[256], line[GUARD_ID_CAP + 512];
    int len;

    put_message(g, slot, reason, message, sizeof message);
    len = snprintf(line, sizeof line, "fastlambda: [ERROR] %s: %s (RequestId: %s; %s). Stacks of all threads:\n",
                   error_type(reason), message, slot->request_id, how);
    if (len > 0 && write(guard_stderr(true), line, (size_t)len) < 0)
        return;
}

/* One line, unless it would have to wait for somebody to read: the thread has a deadline to watch. */
static bool say(int fd, const char *line, size_t len)
{
    struct pollfd room = {.fd = fd, .events = POLLOUT};

    return poll(&room, 1, 0) == 1 && (room.revents & POLLOUT) && write(fd, line, len) >= 0;
}

/* The process goes on, so the handler's thread is asked: its own frames stand still while it dumps them. To the process,
 * as the alarm is, for that thread may be no more. */
void guard_tell_stacks(struct guard *g, uint64_t left_ns)
{
    char line[256];
    int len = snprintf(line, sizeof line,
                       "fastlambda: [ERROR] What runs after the response has not come back %llu ms before the function's "
                       "time-out; the response is delivered. Stacks of all threads:\n",
                       (unsigned long long)(left_ns / NS_PER_MS));

    if (!say(guard_stderr(false), line, (size_t)len))
        return;
    if (g->config.dump_signal && guard_is_handled(g->config.dump_signal) && guard_stderr(false) == guard_keep_stderr())
        kill(getpid(), g->config.dump_signal);
}

/* Once in a process: that memory is nearly full, while there is time to say so. */
void guard_tell_memory(uint64_t used, uint64_t limit)
{
    char line[160];
    int len = snprintf(line, sizeof line, "fastlambda: [WARN] %llu of the function's %llu MB of memory are in use\n",
                       (unsigned long long)(used >> 20), (unsigned long long)(limit >> 20));

    say(guard_stderr(false), line, (size_t)len);
}

/* Step two: answers, dumps the stacks, ends the process. The state is FIRED: the connection is ours, and the loop waits
 * if it ever comes back. */
void guard_end_process(struct guard *g, struct guard_slot *slot, enum guard_state was, enum guard_reason reason)
{
    uint64_t deadline = atomic_load_explicit(&slot->deadline_ns, memory_order_relaxed), until;
    uint64_t identity = atomic_load_explicit(&slot->identity, memory_order_relaxed);
    int fd = atomic_load_explicit(&slot->fd, memory_order_relaxed), status = -ENOTCONN;
    const char *how = "reported";
    sigset_t ours;

    /* A stderr that nobody reads, or a peer that hangs, must not keep this process for ever. */
    signal(SIGALRM, SIG_DFL);
    sigemptyset(&ours);
    sigaddset(&ours, SIGALRM);
    if (g->config.dump_signal)
        sigaddset(&ours, g->config.dump_signal);
    pthread_sigmask(SIG_UNBLOCK, &ours, NULL);
    alarm(3);

    until = deadline == GUARD_NEVER ? guard_now_ns() + NS_PER_SECOND : deadline - earlier(deadline, CUT_BEFORE);
    if (!net_is_ours(fd, identity)) /* user code may have closed it, and its number may stand for something else by now */
        fd = -1;
    if (was == GUARD_STREAM_WRITING) {
        if (fd >= 0)
            shutdown(fd, SHUT_RDWR);
        how = "in the middle of its response, which was cut off";
    } else if (guard_put_last_word(g, slot, was, reason) == 0) {
        if (fd >= 0)
            status = send_last_word(g, fd, identity, until);
        if (status && status != -EAGAIN && was == GUARD_RUNNING) {
            fd = net_connect(g->host, g->port, &identity);
            status = fd < 0 ? fd : send_last_word(g, fd, identity, until);
        }
        if (status)
            how = "and it could not be reported";
    }
    complain(g, slot, reason, how);
    if (g->config.dump_signal && guard_stderr(true) == guard_keep_stderr()) {
        sigaction(g->config.dump_signal, &g->dump_action, NULL); /* user code may have reset it */
        if (guard_is_handled(g->config.dump_signal))
            pthread_kill(pthread_self(), g->config.dump_signal);
    }
    _exit(reason == GUARD_MEMORY ? GUARD_EXIT_MEMORY : GUARD_EXIT_TIMEOUT);
}
