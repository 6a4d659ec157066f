/* The scanner of response heads.  First byte of an input: how the rest is cut into reads.
 *
 * Claims: the outcome of a stream does not depend on the cuts; what is read lies inside the head, and all of the head
 * is accounted for; fields of the Runtime API are the first of their name.
 */
#include "http1.h"
#include "rapi.h"
#include "status.h"
#include "target.h"

static int same_span(struct http1_span a, const char *a_base, struct http1_span b, const char *b_base)
{
    return a.len == b.len && a.ptr - a_base == b.ptr - b_base;
}

static int same_head(const struct http1_head *a, const char *a_base, const struct http1_head *b, const char *b_base)
{
    size_t i;

    if (a->http_status != b->http_status || a->is_chunked != b->is_chunked || a->is_close != b->is_close ||
        a->content_len != b->content_len || a->n_headers != b->n_headers)
        return 0;
    for (i = 0; i < a->n_headers; i++)
        if (!same_span(a->headers[i].name, a_base, b->headers[i].name, b_base) ||
            !same_span(a->headers[i].value, a_base, b->headers[i].value, b_base))
            return 0;
    return 1;
}

static int is_word(struct http1_span s, const char *word)
{
    size_t i;

    if (s.len != strlen(word))
        return 0;
    for (i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if ((c >= 'A' && c <= 'Z' ? c + 32 : c) != word[i])
            return 0;
    }
    return 1;
}

/* The head written again from what was read: between the parts there may only be blanks around a value. */
static void account_for(const char *buf, size_t head_len, const struct http1_head *head)
{
    const char *at = memchr(buf, '\n', head_len);
    int n_length = 0, n_coding = 0, is_close = 0;
    size_t i, j;

    CLAIM(at && at[-1] == '\r' && memcmp(buf, "HTTP/1.1 ", 9) == 0 && buf[12] == ' ');
    CLAIM(head->http_status == (buf[9] - '0') * 100 + (buf[10] - '0') * 10 + (buf[11] - '0'));
    CLAIM(head->http_status >= 200 && head->http_status <= 599);
    for (at++, i = 0; i < head->n_headers; i++) {
        const struct http1_header *h = &head->headers[i];

        CLAIM(h->name.ptr == at && h->name.len > 0);
        for (j = 0; j < h->name.len; j++)
            CLAIM(h->name.ptr[j] > ' ' && h->name.ptr[j] < 0x7f && !strchr("\"(),/:;<=>?@[\\]{}", h->name.ptr[j]));
        at += h->name.len;
        CLAIM(*at++ == ':');
        for (; at < h->value.ptr; at++)
            CLAIM(*at == ' ' || *at == '\t');
        CLAIM(h->value.ptr == at);
        for (j = 0; j < h->value.len; j++) {
            unsigned char c = (unsigned char)h->value.ptr[j];

            CLAIM(c == '\t' || (c >= ' ' && c != 0x7f));
        }
        if (h->value.len)
            CLAIM(h->value.ptr[0] != ' ' && h->value.ptr[0] != '\t' && h->value.ptr[h->value.len - 1] != ' ' &&
                  h->value.ptr[h->value.len - 1] != '\t');
        at += h->value.len;
        while (*at == ' ' || *at == '\t')
            at++;
        CLAIM(at[0] == '\r' && at[1] == '\n');
        at += 2;
        n_length += is_word(h->name, "content-length");
        n_coding += is_word(h->name, "transfer-encoding");
        if (is_word(h->name, "connection"))
            is_close |= is_word(h->value, "close");
    }
    CLAIM(at + 2 == buf + head_len && at[0] == '\r' && at[1] == '\n');
    CLAIM(n_length + n_coding == 1 && head->is_chunked == n_coding && head->is_close == is_close);
    CLAIM(head->content_len <= HTTP1_MAX_BODY);
}

static void check_fields(const struct http1_head *head)
{
    static const char *const NAMES[RAPI_N_FIELDS] = {
        "lambda-runtime-aws-request-id",       "lambda-runtime-deadline-ms",    "lambda-runtime-invoked-function-arn",
        "lambda-runtime-trace-id",             "lambda-runtime-client-context", "lambda-runtime-cognito-identity",
        "lambda-runtime-aws-tenant-id",        "lambda-runtime-invocation-id",  "content-type",
    };
    struct http1_span fields[RAPI_N_FIELDS];
    int64_t deadline;
    size_t i;
    int f;

    rapi_read_fields(head, fields);
    for (f = 0; f < RAPI_N_FIELDS; f++) {
        struct http1_span first = {NULL, 0};

        for (i = head->n_headers; i-- > 0;)
            if (is_word(head->headers[i].name, NAMES[f]))
                first = head->headers[i].value;
        CLAIM(fields[f].len == first.len && (!first.len || fields[f].ptr == first.ptr));
    }
    deadline = rapi_deadline_ms(fields[RAPI_DEADLINE_MS]);
    CLAIM(deadline >= 0 && deadline < 1000000000000000000);
    if (rapi_is_header_safe(fields[RAPI_INVOCATION_ID]))
        for (i = 0; i < fields[RAPI_INVOCATION_ID].len; i++)
            CLAIM(fields[RAPI_INVOCATION_ID].ptr[i] >= ' ' && fields[RAPI_INVOCATION_ID].ptr[i] < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http1_head whole, cut;
    size_t len, step, seen = 0, at = 0;
    uint32_t random;
    char *stream;
    ssize_t n;

    if (size < 2)
        return 0;
    random = data[0];
    step = size > 512 ? size / 64 : 8; /* so that an input costs at most some hundred scans */
    len = size - 1;
    stream = exact_copy(data + 1, len);
    n = http1_scan_head(stream, len, 0, &whole);
    CLAIM(n == STATUS_INCOMPLETE || n == STATUS_DECLINED || (n > 0 && (size_t)n <= len));
    if (n > 0) {
        account_for(stream, (size_t)n, &whole);
        check_fields(&whole);
    }
    while (at < len) {
        char *part;
        ssize_t m;

        random = random * 1664525u + 1013904223u;
        at += data[0] == 0 ? 1 : 1 + (random >> 8) % step;
        if (at > len)
            at = len;
        part = exact_copy(stream, at);
        m = http1_scan_head(part, at, seen, &cut);
        if (m == STATUS_INCOMPLETE) {
            CLAIM(at < len || n == STATUS_INCOMPLETE);
            CLAIM(n < 0 || at < (size_t)n);
        } else {
            CLAIM(m == n);
            CLAIM(n < 0 || same_head(&whole, stream, &cut, part));
        }
        seen = at;
        free(part);
        if (m != STATUS_INCOMPLETE)
            break;
    }
    free(stream);
    return 0;
}
