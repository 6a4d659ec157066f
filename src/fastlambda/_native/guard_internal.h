/* What the rooms of the guard share: the slot's word, units, and the calls between them. Nothing else includes this.
 *
 * Owns the layout of a slot's word.
 * Promises that only guard_slot.c (the loop's side) and guard_look.c (the thread's side) change a word.
 * Must not know Python, sockets, HTTP. */
#ifndef FASTLAMBDA_GUARD_INTERNAL_H
#define FASTLAMBDA_GUARD_INTERNAL_H

#include "guard.h"
#include "guard_moves.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_SECOND (1000 * NS_PER_MS)
/* Step zero comes this long before step one, or at half of the time until then. */
#define GUARD_ZERO_BEFORE (400 * NS_PER_MS)
/* Whoever is in the middle of writing a body gets until here to finish the piece, then the connection is cut. */
#define CUT_BEFORE (5 * NS_PER_MS)
/* A handler that has seen its interruption and does not come back is called again, at growing distances, this often. */
#define N_CALLS_AGAIN 4
/* Head and document of the last word, ids percent-encoded or escaped at their worst. */
#define LAST_WORD_CAP 8192

#define WORD(generation, reason, state) ((uint64_t)(generation) << 16 | (uint64_t)(reason) << 8 | (uint64_t)(state))
#define STATE(word) ((enum guard_state)((word) & 0x7f))
#define IS_OVER(word) ((bool)((word) & GUARD_OVER))
#define REASON(word) ((enum guard_reason)((word) >> 8 & 0xff))
#define GENERATION(word) ((word) >> 16)
/* What Python has seen: changes with each invocation and each reason, never 0 when there is a reason. */
#define TOKEN(word) ((uint32_t)((word) >> 8))

static inline uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline bool is_watched(enum guard_state state)
{
    return state == GUARD_RUNNING || state == GUARD_STREAM_WRITING || state == GUARD_STREAM_IDLE;
}

/* guard_memory.c: which step what is used of the memory asks for; NONE also when it is not yet time to look. */
enum guard_pressure { GUARD_PRESSURE_NONE, GUARD_PRESSURE_ONE, GUARD_PRESSURE_TWO };
enum guard_pressure guard_sample_memory(struct guard *g, uint64_t now);

/* guard_look.c: the thread's body. */
void *guard_watch(void *guard);

/* guard_life.c */
void guard_prepare(struct guard *g);

/* guard_stderr.c: the number of the stderr that was there at the start, -1 when nobody has it open any more. Only where
 * the process ends may the number that was kept be taken back. */
int guard_stderr(bool may_restore);

/* init_alarm.c: whether a signal has a handler. One that user code has reset would end the process, or do nothing. */
bool guard_is_handled(int number);

/* guard_report.c: step two, and the report of what hangs after the answer. */
void guard_end_process(struct guard *g, struct guard_slot *slot, enum guard_state was, enum guard_reason reason);
void guard_tell_stacks(struct guard *g, uint64_t left_ns);
void guard_tell_memory(uint64_t used, uint64_t limit);

#endif
