/* Owns: JSON text as bytes, where a call into Python per character would be slow.
 * Promises: reads no byte outside the given length; a failed put leaves the buffer's earlier bytes whole.
 * Must not know: Python's objects, or which codec runs.
 * Source: RFC 8259.
 */
#ifndef FASTLAMBDA_JSON_H
#define FASTLAMBDA_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

/* 0, or -ENOMEM.  Appends the UTF-8 text as a JSON string.  `is_ascii` writes what is not printable ASCII as \uXXXX.
 * The text must be valid UTF-8. */
int json_put_string(struct buffer *to, const char *text, size_t len, int is_ascii);
/* 0, or -ENOMEM.  Appends the number in decimal. */
int json_put_integer(struct buffer *to, int64_t number);
/* 1 when `text` may hold an integer that does not fit 64 bits, 0 when it does not.  The text need not be valid JSON.
 * Digits inside strings only count where a number could begin before them, so that ids in strings do not. */
int json_has_wide_integer(const char *text, size_t len);

/* How many characters at the start are JSON's white space. */
size_t json_space_len(const char *text, size_t len);
/* 1 when the innermost bracket that is open at the end of `text` is a brace.  The text is the beginning of a valid document. */
int json_ends_in_object(const char *text, size_t len);
/* Where `word` first stands outside of strings, in characters; -1: nowhere.  The text is valid up to there. */
ptrdiff_t json_find_outside(const char *text, size_t len, const char *word, size_t word_len);
/* How many numbers a reader of floats may have to take the slow way: 20 digits and more, or an exponent of three digits below
 * zero. */
size_t json_count_hard_floats(const char *text, size_t len);

#endif
