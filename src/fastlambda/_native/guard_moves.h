/* The moves of a slot's word, as one table: what guard_slot.c and guard_look.c may do, what debug builds and the native
 * checks hold them to, and what the model in tests/unit/test_guard_model.py is compared with, row by row.
 *
 * Owns the table. GUARD_OVER is beside the state: it comes with guard_report(), stays through the loop's writes, and goes
 * where the table leads to ANSWERING, AFTER, FIRED or RUNNING by guard_arm().
 * Promises that a word which is not FIRED can get to FIRED or to ANSWERING from wherever the loop may stay.
 * Must not know: when a move is due. */
#ifndef FASTLAMBDA_GUARD_MOVES_H
#define FASTLAMBDA_GUARD_MOVES_H

#include "guard.h"

enum guard_party { GUARD_BY_LOOP, GUARD_BY_THREAD };

static const struct guard_move {
    enum guard_party by;
    enum guard_state from, to;
} GUARD_MOVES[] = {
    /* guard_arm() */
    {GUARD_BY_LOOP, GUARD_IDLE, GUARD_RUNNING},
    {GUARD_BY_LOOP, GUARD_ANSWERING, GUARD_RUNNING},
    /* guard_stream_write(), guard_stream_pause() */
    {GUARD_BY_LOOP, GUARD_RUNNING, GUARD_STREAM_WRITING},
    {GUARD_BY_LOOP, GUARD_STREAM_IDLE, GUARD_STREAM_WRITING},
    {GUARD_BY_LOOP, GUARD_STREAM_WRITING, GUARD_STREAM_IDLE},
    {GUARD_BY_LOOP, GUARD_STREAM_WRITING, GUARD_RUNNING},
    /* guard_report(): the state stays, GUARD_OVER comes */
    {GUARD_BY_LOOP, GUARD_RUNNING, GUARD_RUNNING},
    {GUARD_BY_LOOP, GUARD_STREAM_WRITING, GUARD_STREAM_WRITING},
    {GUARD_BY_LOOP, GUARD_STREAM_IDLE, GUARD_STREAM_IDLE},
    /* guard_answer(), also once more, at the end of what runs after the answer, and of a loop that had no invocation */
    {GUARD_BY_LOOP, GUARD_RUNNING, GUARD_ANSWERING},
    {GUARD_BY_LOOP, GUARD_STREAM_WRITING, GUARD_ANSWERING},
    {GUARD_BY_LOOP, GUARD_STREAM_IDLE, GUARD_ANSWERING},
    {GUARD_BY_LOOP, GUARD_ANSWERING, GUARD_ANSWERING},
    {GUARD_BY_LOOP, GUARD_AFTER, GUARD_ANSWERING},
    {GUARD_BY_LOOP, GUARD_IDLE, GUARD_ANSWERING},
    /* guard_begin_after() */
    {GUARD_BY_LOOP, GUARD_ANSWERING, GUARD_AFTER},
    /* Step one, and the note that what runs after the answer was told of: the state stays, a reason comes */
    {GUARD_BY_THREAD, GUARD_RUNNING, GUARD_RUNNING},
    {GUARD_BY_THREAD, GUARD_STREAM_WRITING, GUARD_STREAM_WRITING},
    {GUARD_BY_THREAD, GUARD_STREAM_IDLE, GUARD_STREAM_IDLE},
    {GUARD_BY_THREAD, GUARD_AFTER, GUARD_AFTER},
    /* Step two */
    {GUARD_BY_THREAD, GUARD_RUNNING, GUARD_FIRED},
    {GUARD_BY_THREAD, GUARD_STREAM_WRITING, GUARD_FIRED},
    {GUARD_BY_THREAD, GUARD_STREAM_IDLE, GUARD_FIRED},
};

#ifdef FASTLAMBDA_DEBUG
#include <stdio.h>
#include <stdlib.h>

static inline void guard_check_move(enum guard_party by, enum guard_state from, enum guard_state to)
{
    size_t i;

    for (i = 0; i < sizeof GUARD_MOVES / sizeof GUARD_MOVES[0]; i++)
        if (GUARD_MOVES[i].by == by && GUARD_MOVES[i].from == from && GUARD_MOVES[i].to == to)
            return;
    fprintf(stderr, "fastlambda: the guard's table has no move from %d to %d by %d\n", (int)from, (int)to, (int)by);
    abort();
}
#else
#define guard_check_move(by, from, to) ((void)0)
#endif

#endif
