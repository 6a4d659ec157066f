/* Keeps the memory that a large event took for the next one.
 *
 * The interpreter gives each arena (1 MiB) back to the system when its last object goes, and the C library trims its heap: a
 * megabyte of JSON then takes some 1,800 page faults, again for every event.
 * Owns the arenas that are kept, and their bound.
 * Promises that nothing is kept before arenas_keep(), and never more than its bound; safe from any thread.
 * Must not know Python's headers: the two functions are looked up by name, for the stable ABI does not have them.
 * Source: PyObjectArenaAllocator (CPython 3.4 and newer), mallopt(3). */
#ifndef FASTLAMBDA_ARENAS_H
#define FASTLAMBDA_ARENAS_H

#include <stdbool.h>
#include <stddef.h>

/* Keeps up to `bound` bytes of arenas, and lets the C library keep as much. Only the first call counts. False: this interpreter
 * cannot be asked, and nothing changes. */
bool arenas_keep(size_t bound);

/* Gives back what is kept now. */
void arenas_release(void);

#endif
