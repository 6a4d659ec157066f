#include "json.h"

#include <string.h>

/* What a byte needs in a JSON string: 0 nothing, 'u' the six-character escape, else the letter after a backslash. */
static const char ESCAPE[256] = {
    [0] = 'u',    [1] = 'u',    [2] = 'u',    [3] = 'u',    [4] = 'u',    [5] = 'u',    [6] = 'u',
    [7] = 'u',    ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', [11] = 'u',   ['\f'] = 'f', ['\r'] = 'r',
    [14] = 'u',   [15] = 'u',   [16] = 'u',   [17] = 'u',   [18] = 'u',   [19] = 'u',   [20] = 'u',
    [21] = 'u',   [22] = 'u',   [23] = 'u',   [24] = 'u',   [25] = 'u',   [26] = 'u',   [27] = 'u',
    [28] = 'u',   [29] = 'u',   [30] = 'u',   [31] = 'u',   ['"'] = '"',  ['\\'] = '\\',
};
static const char HEX[] = "0123456789abcdef";

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Nonzero when one of eight bytes is a control character, a quote, a backslash, or (when asked) not printable ASCII. */
static inline uint64_t needs_escape(const char *at, int is_ascii)
{
    uint64_t eight, quote, slash, found;

    memcpy(&eight, at, 8);
    quote = eight ^ EACH('"');
    slash = eight ^ EACH('\\');
    /* "Has a byte less than n" on bytes below 0x80; bytes above are masked out by ~eight. */
    found = ((eight - EACH(0x20)) & ~eight) | ((quote - EACH(1)) & ~quote) | ((slash - EACH(1)) & ~slash);
    if (is_ascii)
        found |= eight | ((eight + EACH(1)) & ~eight); /* 0x80 and above, and DEL */
    return found & EACH(0x80);
}

static char *put_escape(char *out, unsigned code)
{
    *out++ = '\\';
    *out++ = 'u';
    *out++ = HEX[code >> 12 & 15];
    *out++ = HEX[code >> 8 & 15];
    *out++ = HEX[code >> 4 & 15];
    *out++ = HEX[code & 15];
    return out;
}

int json_put_string(struct buffer *to, const char *text, size_t len, int is_ascii)
{
    const char *end = text + len;
    char *out;
    /* At most six bytes for one, in steps: only text that needs escapes pays for their room. */
    int status = buffer_reserve(to, len + 2 + 16);

    if (status)
        return status;
    out = to->data + to->end;
    *out++ = '"';
    while (text < end) {
        const unsigned char *b;
        unsigned code;

        if (end - text >= 8 && !needs_escape(text, is_ascii)) {
            memcpy(out, text, 8);
            out += 8;
            text += 8;
            continue;
        }
        b = (const unsigned char *)text;
        if (!ESCAPE[*b] && !(is_ascii && *b >= 0x7f)) {
            *out++ = *text++;
            continue;
        }
        /* One character that is written longer than it is: have room for it and for all the rest as it is. */
        to->end = (size_t)(out - to->data);
        status = buffer_reserve(to, 12 + (size_t)(end - text) + 16);
        if (status)
            return status;
        out = to->data + to->end;
        if (*b < 0x80) {
            if (ESCAPE[*b] && ESCAPE[*b] != 'u') {
                *out++ = '\\';
                *out++ = ESCAPE[*b];
            } else {
                out = put_escape(out, *b);
            }
            text += 1;
        } else if (*b < 0xe0) {
            out = put_escape(out, (b[0] & 0x1fu) << 6 | (b[1] & 0x3fu));
            text += 2;
        } else if (*b < 0xf0) {
            out = put_escape(out, (b[0] & 0x0fu) << 12 | (b[1] & 0x3fu) << 6 | (b[2] & 0x3fu));
            text += 3;
        } else {
            code = (b[0] & 0x07u) << 18 | (b[1] & 0x3fu) << 12 | (b[2] & 0x3fu) << 6 | (b[3] & 0x3fu);
            code -= 0x10000;
            out = put_escape(out, 0xd800 | code >> 10);
            out = put_escape(out, 0xdc00 | (code & 0x3ff));
            text += 4;
        }
    }
    *out++ = '"';
    to->end = (size_t)(out - to->data);
    return 0;
}

int json_put_integer(struct buffer *to, int64_t number)
{
    char digits[20];
    int n = sizeof(digits);
    uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    int status;

    do {
        digits[--n] = (char)('0' + left % 10);
        left /= 10;
    } while (left);
    if (number < 0) {
        status = buffer_append(to, "-", 1);
        if (status)
            return status;
    }
    return buffer_append(to, digits + n, sizeof(digits) - (size_t)n);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first byte is the lowest one");

static inline int is_digit(char c)
{
    return (unsigned char)(c - '0') <= 9;
}

/* The high bit of each of eight bytes that is not a digit. */
static inline uint64_t not_digits(const char *at)
{
    uint64_t eight;

    memcpy(&eight, at, 8);
    eight ^= EACH('0'); /* digits become 0 to 9 */
    return (((eight & EACH(0x7f)) + EACH(0x80 - 10)) | eight) & EACH(0x80);
}

static inline size_t digits_end(const char *text, size_t at, size_t len)
{
    while (len - at >= 8) {
        uint64_t other = not_digits(text + at);

        if (other)
            return at + (size_t)__builtin_ctzll(other) / 8;
        at += 8;
    }
    while (at < len && is_digit(text[at]))
        at++;
    return at;
}

static inline size_t digits_start(const char *text, size_t at)
{
    while (at >= 8) {
        uint64_t other = not_digits(text + at - 8);

        if (other)
            return at - (size_t)__builtin_clzll(other) / 8;
        at -= 8;
    }
    while (at > 0 && is_digit(text[at - 1]))
        at--;
    return at;
}

int json_has_wide_integer(const char *text, size_t len)
{
    /* 19 digits are the fewest that may not fit: every run of them holds one of the places looked at. */
    enum { STEP = 19 };
    size_t at = STEP - 1;

    for (;;) {
        size_t start, end;
        int is_negative;

        while (at < len && !is_digit(text[at]))
            at += STEP;
        if (at >= len)
            return 0;
        end = digits_end(text, at, len);
        start = digits_start(text, at);
        at = end + STEP;
        if (end - start < STEP)
            continue;
        is_negative = start > 0 && text[start - 1] == '-';
        start -= is_negative;
        /* A number begins a document, or stands behind one of these; not behind a quote, a letter or a point. */
        if (start > 0 && !memchr("[:, \t\r\n", text[start - 1], 7))
            continue;
        if (end < len && (text[end] == '.' || text[end] == 'e' || text[end] == 'E'))
            continue; /* a float, which every codec reads alike */
        if (is_negative || end - start > STEP)
            return 1;
    }
}

size_t json_space_len(const char *text, size_t len)
{
    size_t at = 0;

    while (at < len && (text[at] == ' ' || text[at] == '\n' || text[at] == '\r' || text[at] == '\t'))
        at++;
    return at;
}

/* The index of the quote that begins the string whose last quote is at `end`: the nearest one without a backslash before it,
 * for an opening quote never has one, and a quote inside always does. */
static size_t string_start(const char *text, size_t end)
{
    while (end > 0) {
        end--;
        if (text[end] == '"' && (end == 0 || text[end - 1] != '\\'))
            return end;
    }
    return 0;
}

int json_ends_in_object(const char *text, size_t len)
{
    size_t n_closed = 0;

    while (len > 0) {
        switch (text[--len]) {
        case '"':
            len = string_start(text, len);
            break;
        case ']':
        case '}':
            n_closed++;
            break;
        case '[':
        case '{':
            if (n_closed == 0)
                return text[len] == '{';
            n_closed--;
        }
    }
    return 0;
}

/* The index behind the string that begins at `at`. */
static size_t string_end(const char *text, size_t at, size_t len)
{
    const char *quote = text + at;

    while ((quote = memchr(quote + 1, '"', len - (size_t)(quote + 1 - text))) != NULL) {
        const char *slash = quote;

        while (slash[-1] == '\\') /* the string's first quote ends it */
            slash--;
        if ((quote - slash) % 2 == 0)
            return (size_t)(quote - text) + 1;
    }
    return len;
}

ptrdiff_t json_find_outside(const char *text, size_t len, const char *word, size_t word_len)
{
    size_t at = 0, i, n_characters = 0;

    while (at + word_len <= len) {
        if (text[at] == '"') {
            at = string_end(text, at, len);
        } else if (text[at] == *word && memcmp(text + at, word, word_len) == 0) {
            for (i = 0; i < at; i++)
                n_characters += ((unsigned char)text[i] & 0xc0) != 0x80;
            return (ptrdiff_t)n_characters;
        } else {
            at++;
        }
    }
    return -1;
}

size_t json_count_hard_floats(const char *text, size_t len)
{
    size_t at = 0, count = 0;

    while (at < len) {
        size_t start = at, n_digits = 0;

        for (; at < len && (is_digit(text[at]) || text[at] == '.'); at++)
            n_digits += text[at] != '.';
        if (at == start || (start > 0 && text[start - 1] == '"')) {
            at++;
            continue;
        }
        count += n_digits >= 20 || (len - at > 4 && (text[at] | 32) == 'e' && text[at + 1] == '-' && is_digit(text[at + 2]) &&
                                    is_digit(text[at + 3]) && is_digit(text[at + 4]));
    }
    return count;
}
