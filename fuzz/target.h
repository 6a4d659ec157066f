/* What the fuzz targets share: a claim that ends the process, and bytes whose end the address sanitizer watches.
 *
 * Each target defines LLVMFuzzerTestOneInput() and states its claims in its own words, never by calling the code under
 * test twice.  With libFuzzer the engine calls it; replay.c calls it for files.
 */
#ifndef FASTLAMBDA_FUZZ_TARGET_H
#define FASTLAMBDA_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLAIM(what)                                                            \
    do {                                                                       \
        if (!(what)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
            abort();                                                           \
        }                                                                      \
    } while (0)

/* An allocation of exactly `len` bytes: one byte too far is seen at once.  The caller frees it. */
static inline char *exact_copy(const void *bytes, size_t len)
{
    char *copy = malloc(len ? len : 1);

    CLAIM(copy);
    if (len)
        memcpy(copy, bytes, len);
    return copy;
}

#endif
