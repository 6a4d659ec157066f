/* Owns: nothing.  Reads HTTP/1.1 responses as a Runtime API server writes them.
 * Promises: for any bytes it either agrees with h11 (status, headers, framing, body, end) or says STATUS_DECLINED;
 *   it never reads a byte beyond the length it was given and never writes to its input.
 * Must not know: sockets, the Runtime API, Python.
 * Source: RFC 9112, sections 2 to 7; RFC 9110, section 5.  Stricter than the RFC wherever that is simpler: what is
 *   refused here is not an error, h11 reads it (see docs/architecture.md).
 */
#ifndef FASTLAMBDA_HTTP1_H
#define FASTLAMBDA_HTTP1_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    HTTP1_MAX_HEADERS = 64,            /* a Runtime API server sends about ten */
    HTTP1_MAX_HEAD = 128 * 1024,       /* client context may take 64 KB; h11 reads what is larger */
};
/* Lengths above this are not ours: 6 MiB is the platform's limit, and no sum below can overflow. */
#define HTTP1_MAX_BODY ((uint64_t)1 << 40)

struct http1_span {
    const char *ptr; /* borrowed from the caller's bytes */
    size_t len;
};

struct http1_header {
    struct http1_span name;  /* as sent: compare without case */
    struct http1_span value; /* without the white space around it */
};

struct http1_head {
    int http_status;      /* 200 to 599; 204, 205 and 304 are declined */
    int is_chunked;       /* else the body has content_len bytes */
    int is_close;         /* the peer closes after this response */
    uint64_t content_len; /* 0 when is_chunked */
    size_t n_headers;
    struct http1_header headers[HTTP1_MAX_HEADERS];
};

/* > 0: length of the head in bytes, blank line included.  STATUS_INCOMPLETE: call again with more bytes and seen = len.
 * STATUS_DECLINED: not ours, ask h11.  `seen` is how many bytes an earlier call has looked at, so that a slow peer costs
 * linear work.  Spans in `out` borrow from `buf`. */
ssize_t http1_scan_head(const char *buf, size_t len, size_t seen, struct http1_head *out);

enum http1_chunk_state {
    HTTP1_CHUNK_LINE, /* before a size line */
    HTTP1_CHUNK_DATA, /* `left` bytes of payload are due */
    HTTP1_CHUNK_END,  /* the CRLF after a payload is due */
    HTTP1_CHUNK_LAST, /* the CRLF after the last chunk is due */
    HTTP1_CHUNK_DONE,
};

struct http1_chunks {
    enum http1_chunk_state state;
    uint64_t left;  /* payload bytes still due in this chunk */
    uint64_t total; /* payload bytes announced so far, this chunk included */
};

/* >= 0: bytes used; *payload is the payload among them (empty if none).  Stops after one payload, so call again until
 * state is HTTP1_CHUNK_DONE or nothing is left.  STATUS_INCOMPLETE: a line is cut, call again with more (at most 10
 * bytes are looked at again).  STATUS_DECLINED: extensions, trailers, other line ends, a size over HTTP1_MAX_BODY; said
 * only at the first byte of what is declined, so `state` and the unused bytes are where h11 goes on. */
ssize_t http1_scan_chunks(struct http1_chunks *c, const char *buf, size_t len, struct http1_span *payload);

/* `n` payload bytes, at most c->left, were received past this scanner, straight into their destination. */
void http1_skip_payload(struct http1_chunks *c, uint64_t n);

/* 1 when `span` is `word`, upper and lower case alike; quickest when they are spelled alike. */
int http1_is(struct http1_span span, const char *word, size_t word_len);

#endif
