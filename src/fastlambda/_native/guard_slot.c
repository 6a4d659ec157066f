/* The loop's side of the guard: take a slot, arm it, claim the answer. */
#include "guard_internal.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t guard_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static int64_t wall_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * (int64_t)NS_PER_SECOND + now.tv_nsec;
}

struct guard_slot *guard_take_slot(struct guard *g)
{
    int i, n;

    for (i = 0; i < GUARD_N_SLOTS; i++) {
        bool is_used = false;

        if (!atomic_compare_exchange_strong(&g->slots[i].is_used, &is_used, true))
            continue;
        n = atomic_load(&g->n_slots);
        while (n < i + 1 && !atomic_compare_exchange_weak(&g->n_slots, &n, i + 1))
            ;
        return &g->slots[i];
    }
    return NULL;
}

void guard_give_slot(struct guard_slot *slot)
{
    if (!slot)
        return;
    guard_answer(slot);
    atomic_store(&slot->is_used, false);
}

static void set_deadline(struct guard *g, struct guard_slot *slot, int64_t deadline_ms, uint64_t now)
{
    uint64_t zero = GUARD_NEVER, one = GUARD_NEVER, two = GUARD_NEVER, deadline = GUARD_NEVER;
    /* Both clocks are read here and nowhere else: a wall clock that is set later cannot move a deadline. */
    int64_t left = deadline_ms > 0 && deadline_ms < INT64_MAX / (int64_t)NS_PER_MS ? deadline_ms * (int64_t)NS_PER_MS - wall_ns() : 0;

    /* A deadline that has passed on arrival is a clock that is wrong: as good as none. */
    if (left > 0) {
        uint64_t margin = earlier(g->config.margin_ns, (uint64_t)left / 2);
        uint64_t last = earlier(g->config.last_ns, margin / 2);

        deadline = now + (uint64_t)left;
        one = deadline - margin;
        zero = one - earlier(GUARD_ZERO_BEFORE, (one - now) / 2);
        if (g->config.runtime_host)
            two = deadline - last;
    }
    slot->timeout_ms = left / (int64_t)NS_PER_MS;
    atomic_store_explicit(&slot->deadline_ns, deadline, memory_order_relaxed);
    atomic_store_explicit(&slot->step_zero_ns, zero, memory_order_relaxed);
    atomic_store_explicit(&slot->step_one_ns, one, memory_order_relaxed);
    atomic_store_explicit(&slot->step_two_ns, two, memory_order_relaxed);
}

/* The thread holds the mutex unless it sleeps, so a signal sent with the mutex held finds it asleep. */
static void kick(struct guard *g)
{
    pthread_mutex_lock(&g->mutex);
    pthread_cond_signal(&g->wake);
    pthread_mutex_unlock(&g->mutex);
}

int guard_arm(struct guard *g, struct guard_slot *slot, const struct guard_call *call)
{
    uint64_t now, due, sample;

    if (call->request_id_len >= GUARD_ID_CAP || call->invocation_id_len >= GUARD_ID_CAP) {
        set_deadline(g, slot, 0, 0);
        return GUARD_TOO_LONG;
    }
    if (atomic_load_explicit(&g->is_forked, memory_order_relaxed))
        return 0;
    now = guard_now_ns();
    memcpy(slot->request_id, call->request_id, call->request_id_len);
    slot->request_id[call->request_id_len] = 0;
    if (call->invocation_id_len)
        memcpy(slot->invocation_id, call->invocation_id, call->invocation_id_len);
    slot->invocation_id[call->invocation_id_len] = 0;
    set_deadline(g, slot, call->deadline_ms, now);
    guard_set_fd(slot, call->fd, call->identity);
    atomic_store_explicit(&slot->is_interruptible, call->is_interruptible, memory_order_relaxed);
    slot->generation++;
    /* Publishes all of the above; and this store before the load of next_wake below is the loop's half of the alarm
     * clock (guard.h), so both are sequentially consistent. */
    guard_check_move(GUARD_BY_LOOP, STATE(atomic_load(&slot->word)), GUARD_RUNNING);
    atomic_store(&slot->word, WORD(slot->generation, GUARD_NO_REASON, GUARD_RUNNING));

    due = atomic_load_explicit(&slot->step_zero_ns, memory_order_relaxed);
    sample = atomic_load_explicit(&g->sample_every, memory_order_relaxed);
    if (sample != GUARD_NEVER)
        due = earlier(due, now + sample);
    if (due < atomic_load(&g->next_wake))
        kick(g);
    return 0;
}

/* Moves the slot on unless the guard has it. Ends: only the guard changes the word meanwhile, and at most three times
 * (memory, then time-out, then fired). The guard_reason that was set, or GUARD_LOST. */
static int move_on(struct guard_slot *slot, enum guard_state to)
{
    uint64_t word = atomic_load(&slot->word);

    while (STATE(word) != GUARD_FIRED) {
        uint64_t over = to == GUARD_ANSWERING ? 0 : word & GUARD_OVER;

        guard_check_move(GUARD_BY_LOOP, STATE(word), to);
        if (atomic_compare_exchange_weak(&slot->word, &word, WORD(GENERATION(word), REASON(word), to) | over))
            return (int)REASON(word);
    }
    return GUARD_LOST;
}

int guard_answer(struct guard_slot *slot)
{
    return move_on(slot, GUARD_ANSWERING);
}

int guard_report(struct guard_slot *slot)
{
    uint64_t word = atomic_load(&slot->word);

    while (is_watched(STATE(word))) {
        guard_check_move(GUARD_BY_LOOP, STATE(word), STATE(word));
        if (atomic_compare_exchange_weak(&slot->word, &word, word | GUARD_OVER))
            return (int)REASON(word);
    }
    return STATE(word) == GUARD_FIRED ? GUARD_LOST : (int)REASON(word);
}

int guard_stream_write(struct guard_slot *slot)
{
    int reason = move_on(slot, GUARD_STREAM_WRITING);

    return reason < 0 ? reason : 0;
}

int guard_stream_pause(struct guard_slot *slot, bool has_begun)
{
    int reason = move_on(slot, has_begun ? GUARD_STREAM_IDLE : GUARD_RUNNING);

    return reason < 0 ? reason : 0;
}

void guard_begin_after(struct guard *g, struct guard_slot *slot)
{
    uint64_t deadline = atomic_load_explicit(&slot->deadline_ns, memory_order_relaxed), now, due;
    uint64_t word = atomic_load(&slot->word);

    if (deadline == GUARD_NEVER || STATE(word) != GUARD_ANSWERING || guard_is_forked(g))
        return;
    now = guard_now_ns();
    if (now >= deadline)
        return;
    due = deadline - earlier(g->config.last_ns, (deadline - now) / 2);
    atomic_store_explicit(&slot->step_two_ns, due, memory_order_relaxed);
    /* Only the loop leaves ANSWERING. The reason that the handler was interrupted for is over. As in guard_arm(). */
    guard_check_move(GUARD_BY_LOOP, STATE(word), GUARD_AFTER);
    atomic_store(&slot->word, WORD(GENERATION(word), GUARD_NO_REASON, GUARD_AFTER));
    if (due < atomic_load(&g->next_wake))
        kick(g);
}

void guard_set_fd(struct guard_slot *slot, int fd, uint64_t identity)
{
    atomic_store_explicit(&slot->fd, fd, memory_order_relaxed);
    atomic_store_explicit(&slot->identity, identity, memory_order_relaxed);
}

int guard_take_interrupt(struct guard_slot *slot)
{
    uint64_t word = atomic_load(&slot->word);

    /* In the middle of a write an exception would leave half a chunk behind: raised after it (guard_stream_pause). */
    if (IS_OVER(word) || (STATE(word) != GUARD_RUNNING && STATE(word) != GUARD_STREAM_IDLE))
        return GUARD_NO_REASON;
    if (REASON(word) == GUARD_NO_REASON || atomic_load(&slot->taken) == TOKEN(word))
        return GUARD_NO_REASON;
    atomic_store(&slot->taken, TOKEN(word));
    return (int)REASON(word);
}

bool guard_is_last_call(const struct guard_slot *slot)
{
    return atomic_load_explicit(&slot->n_again, memory_order_relaxed) + 1 >= N_CALLS_AGAIN;
}

bool guard_is_fired(const struct guard_slot *slot)
{
    return STATE(atomic_load(&slot->word)) == GUARD_FIRED;
}

bool guard_is_pending(const struct guard_slot *slot, uint64_t generation)
{
    uint64_t word = atomic_load(&slot->word);

    return GENERATION(word) == generation && is_watched(STATE(word)) && !IS_OVER(word);
}

bool guard_is_forked(const struct guard *g)
{
    return atomic_load_explicit(&g->is_forked, memory_order_relaxed);
}

bool guard_is_unused(struct guard *g)
{
    int i, n = atomic_load(&g->n_slots);

    for (i = 0; i < n; i++)
        if (atomic_load(&g->slots[i].is_used))
            return false;
    return true;
}

void guard_wait_for_end(void)
{
    for (;;)
        pause();
}

int64_t guard_remaining_ms(const struct guard_slot *slot)
{
    uint64_t deadline = atomic_load_explicit(&slot->deadline_ns, memory_order_relaxed), now = guard_now_ns();

    if (deadline == GUARD_NEVER)
        return -1;
    return deadline > now ? (int64_t)((deadline - now) / NS_PER_MS) : 0;
}
