/* Owns: the storage of one environment variable that changes with every invocation.
 * Promises: memory does not grow with the number of values (setenv(3) of the GNU C library keeps each one for ever);
 *   a value that another thread has just looked up stays whole until the value after the next is put.
 * Must not know: what the variable is for.
 * Source: putenv(3), setenv(3).
 */
#ifndef FASTLAMBDA_ENVVAR_H
#define FASTLAMBDA_ENVVAR_H

#include <stddef.h>

/* 0 or -ENOMEM.  `name` is the same in every call.  To be called by one thread, with no other thread changing the
 * environment: the loop, under the GIL. */
int envvar_put(const char *name, const char *value, size_t len);

#endif
