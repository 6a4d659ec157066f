/* The decoder of chunked bodies.  First byte of an input: how the rest is cut into reads, and which of them go past the
 * decoder straight to the payload, as Channel.read_chunked() receives.
 *
 * Claims: payload, end and outcome are those of the plain reading below, whatever the cuts; a refusal leaves the state
 * and the unused bytes where another reader can go on.
 */
#include "http1.h"
#include "status.h"
#include "target.h"

struct reading {
    char *payload;
    size_t payload_len;
    size_t used;  /* bytes up to the end of the body, or to the first byte of what is declined or cut */
    int outcome;  /* 0: complete, else a status */
};

static int digit(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* RFC 9112, 7.1, without extensions and trailers, in the plainest way: one index, one byte at a time. */
static struct reading read_plainly(const char *s, size_t len, uint64_t total)
{
    struct reading r = {malloc(len + 1), 0, 0, STATUS_INCOMPLETE};
    size_t at = 0;

    for (;;) {
        uint64_t size = 0;
        size_t line = at;
        int n_digits = 0;

        r.used = line;
        while (at < len && digit((unsigned char)s[at]) >= 0 && n_digits < 8) {
            size = size * 16 + (uint64_t)digit((unsigned char)s[at]);
            at++;
            n_digits++;
        }
        if (at == len)
            return r;
        if (n_digits == 0 || s[at] != '\r') {
            r.outcome = STATUS_DECLINED;
            return r;
        }
        if (++at == len)
            return r;
        if (s[at++] != '\n' || size > HTTP1_MAX_BODY - total) {
            r.outcome = STATUS_DECLINED;
            return r;
        }
        total += size;
        r.used = at;
        if (size) {
            size_t have = len - at < size ? len - at : (size_t)size;

            memcpy(r.payload + r.payload_len, s + at, have);
            r.payload_len += have;
            at += have;
            r.used = at;
            if (have < size)
                return r;
        }
        if (at < len && s[at] != '\r') {
            r.outcome = STATUS_DECLINED;
            return r;
        }
        if (len - at < 2)
            return r;
        if (s[at + 1] != '\n') {
            r.outcome = STATUS_DECLINED;
            return r;
        }
        at += 2;
        r.used = at;
        if (!size) {
            r.outcome = 0;
            return r;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http1_chunks chunks = {HTTP1_CHUNK_LINE, 0, 0};
    struct reading plain;
    const char *stream;
    size_t len, given = 0, used = 0, payload_len = 0, step;
    uint32_t random;
    char *payload;
    ssize_t n = STATUS_INCOMPLETE;

    if (size < 2)
        return 0;
    random = data[0];
    len = size - 1;
    step = size > 512 ? size / 64 : 8;
    stream = (const char *)data + 1;
    if (data[0] >= 250) /* a body that is near the limit already */
        chunks.total = HTTP1_MAX_BODY - 20;
    plain = read_plainly(stream, len, chunks.total);
    payload = malloc(len + 1);
    while (chunks.state != HTTP1_CHUNK_DONE && n != STATUS_DECLINED) {
        struct http1_span piece = {NULL, 0};
        char *part;

        random = random * 1664525u + 1013904223u;
        if (n == STATUS_INCOMPLETE) {
            if (given == len)
                break;
            given += data[0] == 0 ? 1 : 1 + (random >> 8) % step;
            if (given > len)
                given = len;
        }
        if (chunks.state == HTTP1_CHUNK_DATA && used == given && given < len && (random & 128)) {
            size_t past = len - given < chunks.left ? len - given : (size_t)chunks.left;

            past = past > 1 ? 1 + random % past : past;
            memcpy(payload + payload_len, stream + given, past);
            payload_len += past;
            used = given += past;
            http1_skip_payload(&chunks, past);
            n = 0;
            continue;
        }
        part = exact_copy(stream + used, given - used);
        n = http1_scan_chunks(&chunks, part, given - used, &piece);
        CLAIM(n == STATUS_INCOMPLETE || n == STATUS_DECLINED || (n >= 0 && (size_t)n <= given - used));
        if (n >= 0) {
            if (piece.len) {
                CLAIM(piece.ptr >= part && piece.ptr + piece.len <= part + n);
                memcpy(payload + payload_len, piece.ptr, piece.len);
                payload_len += piece.len;
            }
            used += (size_t)n;
            if (n == 0 || used == given)
                n = chunks.state == HTTP1_CHUNK_DONE ? 0 : STATUS_INCOMPLETE;
        }
        free(part);
    }
    CLAIM(payload_len == plain.payload_len && memcmp(payload, plain.payload, payload_len) == 0);
    if (chunks.state == HTTP1_CHUNK_DONE)
        CLAIM(plain.outcome == 0);
    else
        CLAIM(plain.outcome == (int)n);
    CLAIM(used == plain.used);
    free(payload);
    free(plain.payload);
    return 0;
}
