/* The scanner as a shared object for ctypes, with every byte that it looks at in bulk counted.  Built by the tests. */
#include <stddef.h>
#include <string.h>

static size_t looked_at;
static void *counting_memchr(const void *s, int c, size_t n);

#define memchr counting_memchr
#include "http1.c"
#undef memchr
#include "rapi.c"

static void *counting_memchr(const void *s, int c, size_t n)
{
    const char *found = memchr(s, c, n);

    looked_at += found ? (size_t)(found - (const char *)s) + 1 : n;
    return (void *)found;
}

size_t shim_looked_at(void)
{
    return looked_at;
}

size_t shim_head_size(void)
{
    return sizeof(struct http1_head);
}
