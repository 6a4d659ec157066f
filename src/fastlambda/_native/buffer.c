#include "buffer.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int buffer_reserve(struct buffer *b, size_t more)
{
    size_t used = buffer_len(b), cap = b->cap ? b->cap : 4096;
    char *grown;

    if (buffer_room(b) >= more && b->data)
        return 0;
    if (b->start && b->cap - used >= more) { /* sliding is enough, and costs less than growing */
        memmove(b->data, b->data + b->start, used);
        b->start = 0;
        b->end = used;
        return 0;
    }
    if (more > SIZE_MAX / 2 - used)
        return -ENOMEM;
    while (cap < used + more)
        cap *= 2;
    grown = malloc(cap);
    if (!grown)
        return -ENOMEM;
    if (used)
        memcpy(grown, b->data + b->start, used);
    free(b->data);
    b->data = grown;
    b->start = 0;
    b->end = used;
    b->cap = cap;
    return 0;
}

void buffer_commit(struct buffer *b, size_t n)
{
    b->end += n;
}

void buffer_consume(struct buffer *b, size_t n)
{
    b->start += n;
    if (b->start == b->end)
        b->start = b->end = 0;
}

int buffer_append(struct buffer *b, const char *bytes, size_t len)
{
    int status = buffer_reserve(b, len);

    if (status)
        return status;
    if (len)
        memcpy(b->data + b->end, bytes, len);
    b->end += len;
    return 0;
}

void buffer_trim(struct buffer *b, size_t keep)
{
    if (b->cap > keep && !buffer_len(b))
        buffer_release(b);
}

void buffer_release(struct buffer *b)
{
    free(b->data);
    b->data = NULL;
    b->start = b->end = b->cap = 0;
}
