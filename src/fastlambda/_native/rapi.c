#include "rapi.h"
#include "status.h"

#include <string.h>

static const struct {
    const char *name;
    size_t len;
} FIELD_NAMES[RAPI_N_FIELDS] = {
#define NAME(literal) {literal, sizeof(literal) - 1}
    [RAPI_REQUEST_ID] = NAME("Lambda-Runtime-Aws-Request-Id"),
    [RAPI_DEADLINE_MS] = NAME("Lambda-Runtime-Deadline-Ms"),
    [RAPI_FUNCTION_ARN] = NAME("Lambda-Runtime-Invoked-Function-Arn"),
    [RAPI_TRACE_ID] = NAME("Lambda-Runtime-Trace-Id"),
    [RAPI_CLIENT_CONTEXT] = NAME("Lambda-Runtime-Client-Context"),
    [RAPI_COGNITO_IDENTITY] = NAME("Lambda-Runtime-Cognito-Identity"),
    [RAPI_TENANT_ID] = NAME("Lambda-Runtime-Aws-Tenant-Id"),
    [RAPI_INVOCATION_ID] = NAME("Lambda-Runtime-Invocation-Id"),
    [RAPI_CONTENT_TYPE] = NAME("Content-Type"),
#undef NAME
};

/* The fields whose names have a length, of which there are at most two.  Elsewhere the zeros stand for a field that is
 * compared in vain. */
static const unsigned char OF_LENGTH[][2] = {
    [12] = {RAPI_CONTENT_TYPE, RAPI_CONTENT_TYPE},
    [23] = {RAPI_TRACE_ID, RAPI_TRACE_ID},
    [26] = {RAPI_DEADLINE_MS, RAPI_DEADLINE_MS},
    [28] = {RAPI_INVOCATION_ID, RAPI_TENANT_ID},
    [29] = {RAPI_REQUEST_ID, RAPI_CLIENT_CONTEXT},
    [31] = {RAPI_COGNITO_IDENTITY, RAPI_COGNITO_IDENTITY},
    [35] = {RAPI_FUNCTION_ARN, RAPI_FUNCTION_ARN},
};

int rapi_which_field(struct http1_span name)
{
    int i;

    if (name.len >= sizeof OF_LENGTH / sizeof OF_LENGTH[0])
        return -1;
    for (i = 0; i < 2; i++) {
        int f = OF_LENGTH[name.len][i];

        if (name.len == FIELD_NAMES[f].len && http1_is(name, FIELD_NAMES[f].name, FIELD_NAMES[f].len))
            return f;
    }
    return -1;
}

void rapi_read_fields(const struct http1_head *head, struct http1_span fields[RAPI_N_FIELDS])
{
    size_t i;

    memset(fields, 0, sizeof fields[0] * RAPI_N_FIELDS);
    for (i = 0; i < head->n_headers; i++) {
        int f = rapi_which_field(head->headers[i].name);

        if (f >= 0 && !fields[f].ptr)
            fields[f] = head->headers[i].value;
    }
}

int64_t rapi_deadline_ms(struct http1_span text)
{
    int64_t n = 0;
    size_t i;

    if (text.len == 0 || text.len > 18)
        return 0;
    for (i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return 0;
        n = n * 10 + (text.ptr[i] - '0');
    }
    return n;
}

int rapi_is_header_safe(struct http1_span text)
{
    size_t i;

    if (text.len && (text.ptr[0] == ' ' || text.ptr[text.len - 1] == ' '))
        return 0;
    for (i = 0; i < text.len; i++)
        if (text.ptr[i] < 0x20 || text.ptr[i] > 0x7e)
            return 0;
    return 1;
}

static struct http1_span span_of(const char *from, const char *to)
{
    struct http1_span span = {from, (size_t)(to - from)};

    return span;
}

int rapi_read_address(const char *text, size_t len, struct rapi_address *out)
{
    const char *end = text + len, *slash = end, *colon = NULL, *at;
    struct http1_span port;

    for (at = text; at < end; at++) {
        if (*at <= ' ' || *at > '~' || (*at == '/' && at + 1 < end && at[1] == '/'))
            return 0;
        if (*at == '/' && slash == end)
            slash = at;
        if (*at == ':' && slash == end)
            colon = at;
    }
    if (!colon || colon == text)
        return 0;
    port = span_of(colon + 1, slash);
    if (port.len > 5 || rapi_deadline_ms(port) < 1 || rapi_deadline_ms(port) > 65535)
        return 0;
    out->port = port;
    out->authority = span_of(text, slash);
    out->host = *text == '[' && colon[-1] == ']' ? span_of(text + 1, colon - 1) : span_of(text, colon);
    out->prefix = span_of(slash, end > slash && end[-1] == '/' ? end - 1 : end);
    return 1;
}

/* RFC 3986, 2.3: unreserved characters. */
static const unsigned char UNRESERVED[256] = {
    ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1, ['-'] = 1, ['.'] = 1, ['_'] = 1, ['~'] = 1,
};

static char *put(char *to, const char *bytes, size_t len)
{
    if (len)
        memcpy(to, bytes, len);
    return to + len;
}

static char *put_path_segment(char *to, struct http1_span text)
{
    static const char HEX[] = "0123456789ABCDEF";
    size_t i;

    for (i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if (UNRESERVED[c]) {
            *to++ = (char)c;
        } else {
            *to++ = '%';
            *to++ = HEX[c >> 4];
            *to++ = HEX[c & 15];
        }
    }
    return to;
}

static char *put_number(char *to, uint64_t n)
{
    char digits[20];
    size_t i = sizeof digits;

    do {
        digits[--i] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    return put(to, digits + i, sizeof digits - i);
}

int rapi_put_post(struct buffer *to, const struct rapi_base *base, const char *path, struct http1_span id,
                  const char *verb, struct http1_span headers, struct http1_span invocation_id, uint64_t body_len)
{
    static const char POST[] = "POST ", BASE[] = RAPI_BASE, VERSION[] = " HTTP/1.1\r\n", ECHO[] = "Lambda-Runtime-Invocation-Id: ",
                      LENGTH[] = "Content-Length: ", CHUNKED[] = "Transfer-Encoding: chunked\r\n\r\n";
    const size_t fixed = sizeof POST + sizeof BASE + sizeof VERSION + sizeof ECHO + sizeof LENGTH + sizeof CHUNKED + 32;
    size_t path_len = strlen(path), verb_len = strlen(verb);
    char *at;
    int status;

    status = buffer_reserve(to, fixed + path_len + 3 * id.len + verb_len + base->prefix_len + base->common_len +
                                    headers.len +
                                    invocation_id.len);
    if (status)
        return status;
    at = to->data + to->end;
    at = put(at, POST, sizeof POST - 1);
    at = put(at, base->prefix, base->prefix_len);
    at = put(at, BASE, sizeof BASE - 1);
    at = put(at, path, path_len);
    at = put_path_segment(at, id);
    at = put(at, verb, verb_len);
    at = put(at, VERSION, sizeof VERSION - 1);
    at = put(at, base->common, base->common_len);
    at = put(at, headers.ptr, headers.len);
    if (invocation_id.len) {
        at = put(at, ECHO, sizeof ECHO - 1);
        at = put(at, invocation_id.ptr, invocation_id.len);
        at = put(at, "\r\n", 2);
    }
    if (body_len == RAPI_CHUNKED) {
        at = put(at, CHUNKED, sizeof CHUNKED - 1);
    } else {
        at = put(at, LENGTH, sizeof LENGTH - 1);
        at = put_number(at, body_len);
        at = put(at, "\r\n\r\n", 4);
    }
    buffer_commit(to, (size_t)(at - (to->data + to->end)));
    return 0;
}
