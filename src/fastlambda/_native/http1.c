/* One pass to find the end of the head, one to read it: the first resumes where an earlier call stopped, the second
 * runs once, over bytes that are all there.  Grammar sits beside its clause.
 */
#include "http1.h"
#include "status.h"

#include <string.h>

enum { TOKEN = 1, VALUE = 2 };

/* RFC 9110, 5.6.2: token characters.  VALUE is field-vchar and obs-text (5.5): h11 reads more control characters than
 * the RFC has; we decline those. */
static const unsigned char CLASS[256] = {
    ['!'] = 3, ['#'] = 3, ['$'] = 3, ['%'] = 3, ['&'] = 3, ['\''] = 3, ['*'] = 3, ['+'] = 3, ['-'] = 3, ['.'] = 3,
    ['^'] = 3, ['_'] = 3, ['`'] = 3, ['|'] = 3, ['~'] = 3, ['0' ... '9'] = 3, ['A' ... 'Z'] = 3, ['a' ... 'z'] = 3,
    ['"'] = 2, ['('] = 2, [')'] = 2, [','] = 2, ['/'] = 2, [':'] = 2, [';'] = 2, ['<'] = 2, ['='] = 2, ['>'] = 2,
    ['?'] = 2, ['@'] = 2, ['['] = 2, ['\\'] = 2, [']'] = 2, ['{'] = 2, ['}'] = 2, [' '] = 2, ['\t'] = 2,
    [0x80 ... 0xff] = 2,
};

/* 1 when none of the 8 bytes at `p` is a control character: they are VALUE without a look at each. */
static int is_plain8(const char *p)
{
    const uint64_t ones = 0x0101010101010101u, high = ones << 7, del = ones * 0x7f;
    uint64_t w, x;

    memcpy(&w, p, sizeof w);
    x = w ^ del;
    return !((((w - ones * 0x20) & ~w) | ((x - ones) & ~x)) & high);
}

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

int http1_is(struct http1_span span, const char *word, size_t word_len)
{
    size_t i;

    if (span.len != word_len)
        return 0;
    if (memcmp(span.ptr, word, word_len) == 0) /* the spelling that servers use, mostly */
        return 1;
    for (i = 0; i < word_len; i++)
        if (lower(span.ptr[i]) != lower(word[i]))
            return 0;
    return 1;
}

#define IS(span, literal) http1_is((span), (literal), sizeof(literal) - 1)

/* The end of the head is the first empty line.  A line feed without its carriage return is h11's to judge, and at once:
 * waiting for a CRLF that never comes would hang on a head that h11 calls complete. */
static ssize_t find_end(const char *buf, size_t len, size_t seen)
{
    const char *at = buf + (seen < len ? seen : len), *end = buf + len;

    while ((at = memchr(at, '\n', (size_t)(end - at)))) {
        size_t i = (size_t)(at - buf);

        if (i == 0 || buf[i - 1] != '\r')
            return STATUS_DECLINED;
        if (i >= 3 && buf[i - 2] == '\n')
            return (ssize_t)(i + 1);
        at++;
    }
    return STATUS_INCOMPLETE;
}

/* RFC 9112, 4: status-line = HTTP-version SP status-code SP [ reason-phrase ].  1xx is declined. */
static ssize_t scan_status_line(const char *p, size_t len, struct http1_head *out)
{
    static const char VERSION[] = "HTTP/1.1 ";
    const size_t v = sizeof VERSION - 1;
    size_t i;

    if (len < v + 6 || memcmp(p, VERSION, v) != 0)
        return STATUS_DECLINED;
    for (i = v; i < v + 3; i++)
        if (p[i] < '0' || p[i] > '9')
            return STATUS_DECLINED;
    out->http_status = (p[v] - '0') * 100 + (p[v + 1] - '0') * 10 + (p[v + 2] - '0');
    if (out->http_status < 200 || out->http_status > 599 || out->http_status == 204 || out->http_status == 205 ||
        out->http_status == 304)
        return STATUS_DECLINED;
    if (p[i++] != ' ')
        return STATUS_DECLINED;
    while (i < len && (CLASS[(unsigned char)p[i]] & VALUE))
        i++;
    if (i + 1 >= len || p[i] != '\r' || p[i + 1] != '\n')
        return STATUS_DECLINED;
    return (ssize_t)(i + 2);
}

/* RFC 9112, 6.2: digits only, so no sign and no list; 13 of them stay below HTTP1_MAX_BODY's neighbourhood. */
static int scan_length(struct http1_span value, uint64_t *out)
{
    uint64_t n = 0;
    size_t i;

    if (value.len == 0 || value.len > 13)
        return 0;
    for (i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return 0;
        n = n * 10 + (uint64_t)(value.ptr[i] - '0');
    }
    *out = n;
    return n <= HTTP1_MAX_BODY;
}

/* The three fields that decide the framing (RFC 9112, 6.3 and 9.3).  Anything that needs a judgement (both framings,
 * repeats, lists, other codings) is declined. */
static int note_framing(const struct http1_header *h, struct http1_head *out, int *has_length)
{
    switch (h->name.len) {
    case 10:
        if (IS(h->name, "Connection")) {
            if (IS(h->value, "close"))
                out->is_close = 1;
            else if (!IS(h->value, "keep-alive"))
                return 0;
        }
        return 1;
    case 14:
        if (IS(h->name, "Content-Length")) {
            if (*has_length || out->is_chunked || !scan_length(h->value, &out->content_len))
                return 0;
            *has_length = 1;
        }
        return 1;
    case 17:
        if (IS(h->name, "Transfer-Encoding")) {
            if (*has_length || out->is_chunked || !IS(h->value, "chunked"))
                return 0;
            out->is_chunked = 1;
        }
        return 1;
    default:
        return 1;
    }
}

ssize_t http1_scan_head(const char *buf, size_t len, size_t seen, struct http1_head *out)
{
    static const char PREFIX[] = "HTTP/1.1 ";
    ssize_t head_len = find_end(buf, len, seen), n;
    const char *p, *end;
    int has_length = 0;

    if (head_len == STATUS_DECLINED)
        return STATUS_DECLINED;
    if (head_len == STATUS_INCOMPLETE) {
        size_t known = len < sizeof PREFIX - 1 ? len : sizeof PREFIX - 1;

        /* Garbage must not wait for an empty line that it never sends. */
        if (memcmp(buf, PREFIX, known) != 0 || len > HTTP1_MAX_HEAD)
            return STATUS_DECLINED;
        return STATUS_INCOMPLETE;
    }
    if (head_len > HTTP1_MAX_HEAD)
        return STATUS_DECLINED;

    out->is_chunked = out->is_close = 0;
    out->content_len = 0;
    out->n_headers = 0;
    n = scan_status_line(buf, (size_t)head_len, out);
    if (n < 0)
        return n;
    p = buf + n;
    end = buf + head_len - 2; /* the CRLF of the empty line */
    while (p < end) {
        struct http1_header *h;
        const char *name = p, *value, *last;

        if (out->n_headers == HTTP1_MAX_HEADERS)
            return STATUS_DECLINED;
        h = &out->headers[out->n_headers];
        while (CLASS[(unsigned char)*p] & TOKEN)
            p++;
        if (p == name || *p != ':')
            return STATUS_DECLINED; /* also an obs-fold line, which starts with a blank */
        h->name.ptr = name;
        h->name.len = (size_t)(p - name);
        p++;
        while (is_blank(*p))
            p++;
        value = p;
        while (end - p >= 8 && is_plain8(p))
            p += 8;
        while (CLASS[(unsigned char)*p] & VALUE)
            p++;
        if (p[0] != '\r' || p[1] != '\n')
            return STATUS_DECLINED;
        last = p;
        while (last > value && is_blank(last[-1]))
            last--;
        h->value.ptr = value;
        h->value.len = (size_t)(last - value);
        p += 2;
        if (!note_framing(h, out, &has_length))
            return STATUS_DECLINED;
        out->n_headers++;
    }
    if (!has_length && !out->is_chunked)
        return STATUS_DECLINED; /* a body that lasts until the peer closes */
    return head_len;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 9112, 7.1: chunk-size CRLF, 1 to 8 hexadecimal digits. */
static ssize_t scan_size_line(const char *buf, size_t len, uint64_t *size)
{
    uint64_t n = 0;
    size_t i = 0;

    while (i < len && i < 8 && hex(buf[i]) >= 0)
        n = n << 4 | (uint64_t)hex(buf[i++]);
    if (i == len)
        return STATUS_INCOMPLETE;
    if (i == 0 || buf[i] != '\r')
        return STATUS_DECLINED;
    if (i + 1 == len)
        return STATUS_INCOMPLETE;
    if (buf[i + 1] != '\n')
        return STATUS_DECLINED;
    *size = n;
    return (ssize_t)(i + 2);
}

static ssize_t scan_crlf(const char *buf, size_t len)
{
    if (len > 0 && buf[0] != '\r')
        return STATUS_DECLINED;
    if (len < 2)
        return STATUS_INCOMPLETE;
    return buf[1] == '\n' ? 2 : STATUS_DECLINED;
}

ssize_t http1_scan_chunks(struct http1_chunks *c, const char *buf, size_t len, struct http1_span *payload)
{
    size_t at = 0;
    ssize_t n;

    payload->ptr = buf;
    payload->len = 0;
    while (c->state != HTTP1_CHUNK_DONE) {
        switch (c->state) {
        case HTTP1_CHUNK_LINE: {
            uint64_t size = 0;

            n = scan_size_line(buf + at, len - at, &size);
            if (n < 0)
                return at ? (ssize_t)at : n;
            if (size > HTTP1_MAX_BODY - c->total)
                return at ? (ssize_t)at : STATUS_DECLINED;
            c->left = size;
            c->total += size;
            c->state = size ? HTTP1_CHUNK_DATA : HTTP1_CHUNK_LAST;
            break;
        }
        case HTTP1_CHUNK_DATA: {
            size_t take = len - at < c->left ? len - at : (size_t)c->left;

            payload->ptr = buf + at;
            payload->len = take;
            http1_skip_payload(c, take);
            return (ssize_t)(at + take);
        }
        default: /* HTTP1_CHUNK_END, HTTP1_CHUNK_LAST */
            n = scan_crlf(buf + at, len - at);
            if (n < 0)
                return at ? (ssize_t)at : n;
            c->state = c->state == HTTP1_CHUNK_END ? HTTP1_CHUNK_LINE : HTTP1_CHUNK_DONE;
            break;
        }
        at += (size_t)n;
    }
    return (ssize_t)at;
}

void http1_skip_payload(struct http1_chunks *c, uint64_t n)
{
    c->left -= n;
    if (c->left == 0)
        c->state = HTTP1_CHUNK_END;
}
