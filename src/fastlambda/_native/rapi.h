/* Owns: the vocabulary of the Runtime API: which fields a delivered invocation has, and how requests are written.
 * Promises: nothing that the peer sent gets into a request line or header unless it is safe there.
 * Must not know: sockets, Python.
 * Source: Runtime API, version 2018-06-01.
 */
#ifndef FASTLAMBDA_RAPI_H
#define FASTLAMBDA_RAPI_H

#include "buffer.h"
#include "http1.h"

#define RAPI_BASE "/2018-06-01/runtime/"

/* The fields of an answer to GET invocation/next; a field that is missing or empty has len 0. */
enum rapi_field {
    RAPI_REQUEST_ID,
    RAPI_DEADLINE_MS,
    RAPI_FUNCTION_ARN,
    RAPI_TRACE_ID,
    RAPI_CLIENT_CONTEXT,
    RAPI_COGNITO_IDENTITY,
    RAPI_TENANT_ID,
    RAPI_INVOCATION_ID,
    RAPI_CONTENT_TYPE,
    RAPI_N_FIELDS,
};

/* The field that a header of this name holds, or -1. */
int rapi_which_field(struct http1_span name);

/* Fills `fields`, which borrow from the head.  The first of a repeated field counts. */
void rapi_read_fields(const struct http1_head *head, struct http1_span fields[RAPI_N_FIELDS]);

/* Unix milliseconds, or 0 when the text is not a plain decimal number that fits. */
int64_t rapi_deadline_ms(struct http1_span text);

/* 1 when the bytes may stand in a header value: printable ASCII, no white space at the ends. */
int rapi_is_header_safe(struct http1_span text);

/* The parts of a Runtime API address; they borrow from its text. */
struct rapi_address {
    struct http1_span host;      /* without the brackets of IPv6 */
    struct http1_span port;      /* decimal, 1 to 65535 */
    struct http1_span authority; /* host:port, as the Host header has it */
    struct http1_span prefix;    /* path before the API's own, without a slash at its end; mostly empty */
};

/* 1 when the text is host:port, or host:port/path, all of it printable ASCII; else 0. */
int rapi_read_address(const char *text, size_t len, struct rapi_address *out);

/* What is the same in every request, rendered once. */
struct rapi_base {
    const char *common; /* "Host: ...\r\nUser-Agent: ...\r\n", owned by the Channel */
    size_t common_len;
    const char *prefix; /* path before "/2018-06-01/", mostly empty; owned by the Channel */
    size_t prefix_len;
};

/* The head of a POST with a body of `body_len` bytes, or a chunked one when body_len is RAPI_CHUNKED, appended to
 * `to`.  `path` is what follows "/2018-06-01/runtime/" before the id ("invocation/"), `id` is percent-encoded where
 * needed (len 0: none), `verb` follows it ("/response").  `headers` are further header lines, each with its CRLF, made
 * by our side.  `invocation_id` is echoed when len > 0 and must be header-safe.  0 or -ENOMEM. */
#define RAPI_CHUNKED UINT64_MAX
int rapi_put_post(struct buffer *to, const struct rapi_base *base, const char *path, struct http1_span id,
                  const char *verb, struct http1_span headers, struct http1_span invocation_id, uint64_t body_len);

#endif
