/* Owns: one growable run of bytes, [start, end) used, [end, cap) free.
 * Promises: a failed reserve leaves the old bytes whole; release may be called twice.
 * Must not know: what the bytes mean, or where they come from.
 */
#ifndef FASTLAMBDA_BUFFER_H
#define FASTLAMBDA_BUFFER_H

#include <stddef.h>

struct buffer {
    char *data;   /* owned; NULL until the first reserve */
    size_t start; /* first unread byte */
    size_t end;   /* one past the last byte received */
    size_t cap;   /* allocated bytes */
};

/* Pointers into the buffer die at the next buffer_reserve(), which may move or slide the bytes. */
static inline char *buffer_head(struct buffer *b) { return b->data + b->start; }
static inline size_t buffer_len(const struct buffer *b) { return b->end - b->start; }
static inline size_t buffer_room(const struct buffer *b) { return b->cap - b->end; }

/* 0, or -ENOMEM with the buffer unchanged.  Afterwards at least `more` bytes are free at the end. */
int buffer_reserve(struct buffer *b, size_t more);
/* `n` bytes were written at the end; n is at most buffer_room(). */
void buffer_commit(struct buffer *b, size_t n);
/* `n` bytes at the start were read; n is at most buffer_len(). */
void buffer_consume(struct buffer *b, size_t n);
/* 0, or -ENOMEM.  Copies `len` bytes to the end. */
int buffer_append(struct buffer *b, const char *bytes, size_t len);
/* An empty buffer that grew over `keep` bytes gives its memory back, so one large head does not stay for ever. */
void buffer_trim(struct buffer *b, size_t keep);
void buffer_release(struct buffer *b);

#endif
