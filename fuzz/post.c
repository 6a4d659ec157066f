/* The renderer of requests.  An input: length of the id, length of the invocation id, flags, body length (8 bytes),
 * then the two texts.
 *
 * Claims: whatever the server sent as an id, the request has one request line of three words, its path holds the id in
 * percent-encoding, and no line is there that the caller did not ask for.
 */
#include "rapi.h"
#include "target.h"

#include <errno.h>

static const char COMMON[] = "Host: 127.0.0.1:9001\r\nUser-Agent: fastlambda/0\r\n";

static const char *take(const char *at, const char *end, const char *text)
{
    size_t len = strlen(text);

    CLAIM((size_t)(end - at) >= len && memcmp(at, text, len) == 0);
    return at + len;
}

static int unhex(char c)
{
    CLAIM((c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'));
    return c <= '9' ? c - '0' : c - 'A' + 10;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rapi_base base = {COMMON, sizeof COMMON - 1, "", 0};
    struct buffer out = {NULL, 0, 0, 0};
    struct http1_span id, invocation_id, headers = {NULL, 0};
    char *id_bytes, *invocation_bytes, expected[64];
    const char *at, *end, *verb = "/response";
    uint64_t body_len;
    size_t i, before;
    int is_safe = 1;

    if (size < 11)
        return 0;
    id.len = data[0];
    invocation_id.len = data[1];
    memcpy(&body_len, data + 3, sizeof body_len);
    if (id.len > size - 11)
        id.len = size - 11;
    if (invocation_id.len > size - 11 - id.len)
        invocation_id.len = size - 11 - id.len;
    if (data[2] & 1)
        verb = "/error";
    if (data[2] & 2)
        body_len = RAPI_CHUNKED;
    if (data[2] & 4) {
        headers.ptr = "Content-Type: application/json\r\n";
        headers.len = strlen(headers.ptr);
    }
    id.ptr = id_bytes = exact_copy(data + 11, id.len);
    invocation_id.ptr = invocation_bytes = exact_copy(data + 11 + id.len, invocation_id.len);

    for (i = 0; i < invocation_id.len; i++)
        if ((unsigned char)invocation_id.ptr[i] < 0x20 || (unsigned char)invocation_id.ptr[i] > 0x7e)
            is_safe = 0;
    if (invocation_id.len && (invocation_id.ptr[0] == ' ' || invocation_id.ptr[invocation_id.len - 1] == ' '))
        is_safe = 0;
    CLAIM(rapi_is_header_safe(invocation_id) == is_safe);
    if (!is_safe)
        invocation_id.len = 0; /* refused by the Channel */

    if (data[2] & 32) { /* a path before the Runtime API's own */
        base.prefix = "/.rt";
        base.prefix_len = 4;
    }
    if (data[2] & 8) /* what is in the buffer stays in front */
        CLAIM(buffer_append(&out, "before", 6) == 0);
    if (data[2] & 16) { /* a buffer that slid */
        CLAIM(buffer_append(&out, (const char *)data, size) == 0);
        buffer_consume(&out, size / 2);
    }
    before = buffer_len(&out);
    CLAIM(rapi_put_post(&out, &base, "invocation/", id, verb, headers, invocation_id, body_len) == 0);

    at = buffer_head(&out) + before;
    end = buffer_head(&out) + buffer_len(&out);
    at = take(at, end, "POST ");
    if (base.prefix_len)
        at = take(at, end, "/.rt");
    at = take(at, end, "/2018-06-01/runtime/invocation/");
    for (i = 0; i < id.len; i++) {
        CLAIM(at < end);
        if (*at == '%') {
            CLAIM(end - at > 2 && (char)(unhex(at[1]) << 4 | unhex(at[2])) == id.ptr[i]);
            at += 3;
        } else {
            CLAIM(*at == id.ptr[i] && *at > ' ' && *at < 0x7f && !strchr("/?#%", *at));
            at++;
        }
    }
    at = take(at, end, verb);
    at = take(at, end, " HTTP/1.1\r\n");
    at = take(at, end, COMMON);
    if (headers.len)
        at = take(at, end, headers.ptr);
    if (invocation_id.len) {
        at = take(at, end, "Lambda-Runtime-Invocation-Id: ");
        CLAIM((size_t)(end - at) > invocation_id.len && memcmp(at, invocation_id.ptr, invocation_id.len) == 0);
        at = take(at + invocation_id.len, end, "\r\n");
    }
    if (body_len == RAPI_CHUNKED)
        snprintf(expected, sizeof expected, "Transfer-Encoding: chunked\r\n\r\n");
    else
        snprintf(expected, sizeof expected, "Content-Length: %llu\r\n\r\n", (unsigned long long)body_len);
    at = take(at, end, expected);
    CLAIM(at == end);
    buffer_trim(&out, 0);
    buffer_consume(&out, buffer_len(&out));
    buffer_trim(&out, 0);
    CLAIM(out.data == NULL);
    buffer_release(&out);
    free(id_bytes);
    free(invocation_bytes);
    return 0;
}
