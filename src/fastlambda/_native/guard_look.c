/* The thread's side of the guard: what is due, and the sleep until then. */
#include "guard_internal.h"

#include "net.h"

#include <signal.h>
#include <time.h>

/* While invocations come, the thread looks at the clock once a second even if nothing is due: the clocks of a thawed
 * machine may have jumped. After this many seconds without an invocation it sleeps until the next one wakes it. */
#define TICK NS_PER_SECOND
#define N_IDLE_TICKS 10
/* A signal that arrives between the interpreter's check and the system call is lost on that call: send it again. */
#define REPEAT_EVERY (2 * NS_PER_MS)
/* Python needs this long to see the signal, and then this long to unwind, before memory's step two may come. */
#define MEMORY_SEEN_WITHIN (3 * NS_PER_MS)
#define MEMORY_UNWOUND_WITHIN (25 * NS_PER_MS)

/* From step zero on the thread wakes this often, to see how late it wakes. */
#define PROBE_EVERY (10 * NS_PER_MS)
/* What step two needs besides waiting for its turn, and what step one does. */
#define STEP_TWO_TAKES (20 * NS_PER_MS)
#define STEP_ONE_TAKES (70 * NS_PER_MS)
#define STALL_MAX (100 * NS_PER_MS)

/* A process whose share of the CPU is used up gets none for a while: where it computes without a pause, with 1/14 CPU, for
 * up to 55 ms (the scheduler notices at a tick of 4 ms that too much was used, and that has to be paid back in periods of
 * 20 ms). Both steps come earlier by what was seen of that: step two may have to wait that long, and the loop between its
 * claim and its write. Where nothing comes late, or the margins are larger, they are as configured. */
static void make_room(struct guard *g, struct guard_slot *slot, uint64_t word, uint64_t *one, uint64_t *two)
{
    uint64_t deadline = atomic_load_explicit(&slot->deadline_ns, memory_order_relaxed), last, between;

    if (slot->stall_of != GENERATION(word)) {
        slot->stall_of = GENERATION(word);
        slot->stall = 0;
    }
    if (g->lateness > slot->stall)
        slot->stall = earlier(g->lateness, STALL_MAX);
    if (*two == GUARD_NEVER)
        return;
    last = STEP_TWO_TAKES + 2 * slot->stall;
    between = earlier(*two - *one, STEP_ONE_TAKES);
    *two = earlier(*two, deadline - last);
    *one = earlier(*one, *two - between);
}

static void interrupt_handler(struct guard *g, struct guard_slot *slot)
{
    (void)slot;
    if (g->config.interrupt_signal && guard_is_handled(g->config.interrupt_signal))
        pthread_kill(g->config.handler_thread, g->config.interrupt_signal);
}

/* The loop reads an answer. When a thread has put another file in the place of its connection just before, it may wait for
 * a foreigner that says nothing: it is woken, and finds out. */
static void look_at_connection(struct guard *g, struct guard_slot *slot)
{
    int fd = atomic_load_explicit(&slot->fd, memory_order_relaxed);

    if (fd < 0 || net_is_ours(fd, atomic_load_explicit(&slot->identity, memory_order_relaxed)))
        return;
    if (atomic_load_explicit(&slot->is_interruptible, memory_order_relaxed))
        (g->interrupt ? g->interrupt : interrupt_handler)(g, slot);
}

/* The thread's only way to change a word: it says what was read, and gets what is there now. */
static bool move(struct guard_slot *slot, uint64_t *word, enum guard_reason reason, enum guard_state to)
{
    uint64_t wanted = WORD(GENERATION(*word), reason, to);

    guard_check_move(GUARD_BY_THREAD, STATE(*word), to);
    if (!atomic_compare_exchange_strong(&slot->word, word, wanted))
        return false;
    *word = wanted;
    return true;
}

/* A handler that was interrupted in a `finally` that waits, or before it began to wait there, needs it once more. When the
 * next call is due, in eighths of the time until step two; the last two are close together, for a signal may get lost. */
static uint64_t call_again(struct guard *g, struct guard_slot *slot, uint64_t two, uint64_t now)
{
    static const unsigned EIGHTHS[N_CALLS_AGAIN] = {1, 3, 6, 7};
    uint64_t first = atomic_load_explicit(&slot->interrupted_at, memory_order_relaxed), due;
    uint32_t n = atomic_load_explicit(&slot->n_again, memory_order_relaxed);

    for (; n < N_CALLS_AGAIN; n++) {
        due = first + (two - first) / 8 * EIGHTHS[n];
        if (now < due)
            return due;
        if (n + 1 < N_CALLS_AGAIN && now >= first + (two - first) / 8 * EIGHTHS[n + 1])
            continue; /* the thread came late */
        atomic_store_explicit(&slot->n_again, n + 1, memory_order_relaxed);
        (g->interrupt ? g->interrupt : interrupt_handler)(g, slot);
    }
    return GUARD_NEVER;
}

/* What runs after the answer: told of once. The reason in the word is the note that it was. */
static uint64_t look_after_answer(struct guard *g, struct guard_slot *slot, uint64_t word, uint64_t now)
{
    uint64_t due = atomic_load_explicit(&slot->step_two_ns, memory_order_relaxed);
    uint64_t deadline = atomic_load_explicit(&slot->deadline_ns, memory_order_relaxed);

    if (REASON(word) != GUARD_NO_REASON)
        return GUARD_NEVER;
    if (now < due)
        return due;
    if (!move(slot, &word, GUARD_TIMEOUT, GUARD_AFTER))
        return now;
    (g->tell ? g->tell : guard_tell_stacks)(g, deadline > now ? deadline - now : 0);
    return GUARD_NEVER;
}

/* Acts on one slot; returns when it wants to be looked at again. */
static uint64_t look_at_slot(struct guard *g, struct guard_slot *slot, uint64_t now, enum guard_pressure pressure)
{
    uint64_t word = atomic_load(&slot->word), zero, one, two, next, since;
    enum guard_reason wanted = GUARD_NO_REASON;
    bool is_seen, is_late, is_full;

    if (STATE(word) == GUARD_AFTER)
        return look_after_answer(g, slot, word, now);
    if (STATE(word) == GUARD_ANSWERING)
        look_at_connection(g, slot);
    if (!is_watched(STATE(word)))
        return GUARD_NEVER;
    /* Read after the word: they belong to its generation, or to a later one and the exchanges below fail. */
    zero = atomic_load_explicit(&slot->step_zero_ns, memory_order_relaxed);
    one = atomic_load_explicit(&slot->step_one_ns, memory_order_relaxed);
    two = atomic_load_explicit(&slot->step_two_ns, memory_order_relaxed);
    if (now >= zero) {
        make_room(g, slot, word, &one, &two);
        guard_prepare(g);
    }

    if (now >= one)
        wanted = GUARD_TIMEOUT;
    else if (pressure != GUARD_PRESSURE_NONE)
        wanted = GUARD_MEMORY;
    if (!IS_OVER(word) && wanted != GUARD_NO_REASON && REASON(word) != wanted && REASON(word) != GUARD_TIMEOUT) {
        if (!move(slot, &word, wanted, STATE(word)))
            return now; /* the loop has moved on: look again */
        atomic_store_explicit(&slot->interrupted_at, now, memory_order_relaxed);
        atomic_store_explicit(&slot->n_again, 0, memory_order_relaxed);
    }

    is_seen = atomic_load(&slot->taken) == TOKEN(word);
    since = now - atomic_load_explicit(&slot->interrupted_at, memory_order_relaxed);
    is_late = now >= two;
    /* A margin that the user has chosen leaves time to unwind; where the limit is about to be crossed there is none. */
    is_full = REASON(word) == GUARD_MEMORY && pressure == GUARD_PRESSURE_TWO && g->config.runtime_host &&
              (!g->config.is_margin_chosen ||
               since >= (is_seen || IS_OVER(word) ? MEMORY_UNWOUND_WITHIN : MEMORY_SEEN_WITHIN));
    if (is_late || is_full) {
        uint64_t deadline = atomic_load_explicit(&slot->deadline_ns, memory_order_relaxed);
        enum guard_state was = STATE(word);
        enum guard_reason reason = is_late ? GUARD_TIMEOUT : GUARD_MEMORY;

        if (was == GUARD_STREAM_WRITING && !is_full && now + CUT_BEFORE < deadline)
            return earlier(now + NS_PER_MS, deadline - CUT_BEFORE);
        if (!move(slot, &word, reason, GUARD_FIRED))
            return now;
        (g->last_word ? g->last_word : guard_end_process)(g, slot, was, reason);
        return GUARD_NEVER;
    }

    next = now >= one ? two : earlier(one, two);
    next = earlier(next, now < zero ? zero : now + PROBE_EVERY);
    if (REASON(word) != GUARD_NO_REASON && !IS_OVER(word) && g->config.interrupt_signal &&
        atomic_load_explicit(&slot->is_interruptible, memory_order_relaxed)) {
        if (!is_seen) {
            (g->interrupt ? g->interrupt : interrupt_handler)(g, slot);
            next = earlier(next, now + REPEAT_EVERY);
        } else if (REASON(word) == GUARD_TIMEOUT && two != GUARD_NEVER) {
            next = earlier(next, call_again(g, slot, two, now));
        }
    }
    return next;
}

uint64_t guard_look(struct guard *g, uint64_t now)
{
    uint64_t wake = GUARD_NEVER, generations = 0;
    enum guard_pressure pressure;
    int i, n = atomic_load(&g->n_slots);
    bool is_busy = false;

    for (i = 0; i < n; i++) {
        uint64_t word = atomic_load(&g->slots[i].word);

        is_busy |= is_watched(STATE(word));
        generations += GENERATION(word);
    }
    is_busy |= generations != g->seen_generations;
    g->seen_generations = generations;
    pressure = is_busy || !g->next_sample ? guard_sample_memory(g, now) : GUARD_PRESSURE_NONE;
    for (i = 0; i < n; i++)
        wake = earlier(wake, look_at_slot(g, &g->slots[i], now, pressure));
    if (is_busy) {
        g->n_idle_ticks = 0;
        if (g->config.memory_limit)
            wake = earlier(wake, g->next_sample);
    } else if (g->n_idle_ticks < N_IDLE_TICKS) {
        g->n_idle_ticks++;
    }
    return g->n_idle_ticks < N_IDLE_TICKS ? earlier(wake, now + TICK) : wake;
}

/* True when a slot is due before `wake` whose word was stored after guard_look() had passed it. */
static bool is_due_before(struct guard *g, uint64_t wake, uint64_t now)
{
    int i, n = atomic_load(&g->n_slots);
    uint64_t generations = 0, due = GUARD_NEVER;

    for (i = 0; i < n; i++) {
        uint64_t word = atomic_load(&g->slots[i].word);

        generations += GENERATION(word);
        if (is_watched(STATE(word)))
            due = earlier(due, atomic_load_explicit(&g->slots[i].step_zero_ns, memory_order_relaxed));
        else if (STATE(word) == GUARD_AFTER && REASON(word) == GUARD_NO_REASON &&
                 atomic_load_explicit(&g->slots[i].step_two_ns, memory_order_relaxed) < wake)
            return true;
    }
    if (generations == g->seen_generations)
        return false; /* whatever is watched was looked at */
    return due < wake ||
           (g->config.memory_limit && now + atomic_load_explicit(&g->sample_every, memory_order_relaxed) < wake);
}

static void sleep_until(struct guard *g, uint64_t wake)
{
    if (wake == GUARD_NEVER) {
        pthread_cond_wait(&g->wake, &g->mutex);
        return;
    }
#ifdef __APPLE__
    uint64_t now = guard_now_ns(), left = wake > now ? wake - now : 0;
    struct timespec rest = {(time_t)(left / NS_PER_SECOND), (long)(left % NS_PER_SECOND)};

    pthread_cond_timedwait_relative_np(&g->wake, &g->mutex, &rest);
#else
    struct timespec until = {(time_t)(wake / NS_PER_SECOND), (long)(wake % NS_PER_SECOND)};

    pthread_cond_timedwait(&g->wake, &g->mutex, &until);
#endif
}

void *guard_watch(void *arg)
{
    struct guard *g = arg;
    uint64_t wake = GUARD_NEVER;

    pthread_mutex_lock(&g->mutex);
    while (!g->must_stop) {
        uint64_t now = guard_now_ns();

        g->lateness = now > wake ? now - wake : 0;
        wake = guard_look(g, now);
        atomic_store(&g->next_wake, wake); /* before the words are read: the thread's half of the alarm clock */
        if (wake > now && !is_due_before(g, wake, now))
            sleep_until(g, wake);
    }
    pthread_mutex_unlock(&g->mutex);
    return NULL;
}
