#include "guard.h"

#include "net.h"
#include "rapi.h"
#include "status.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)

/* While invocations come, the thread looks at the clock once a second even if nothing is due: the clocks of a thawed
 * machine may have jumped. After this many seconds without an invocation it sleeps until the next one wakes it. */
#define TICK SECOND
#define N_IDLE_TICKS 10
/* A signal that arrives between the interpreter's check and the system call is lost on that call: send it again. */
#define REPEAT_EVERY (2 * MS)
/* Whoever is in the middle of writing a body gets until here to finish the piece, then the connection is cut. */
#define CUT_BEFORE (5 * MS)
/* Nothing allocates faster: touching fresh memory was measured at 0.3 bytes per ns in pages of 4 KiB, and at 3.3 in huge
 * pages (2026-11, x86_64 virtual machine of two cores). */
#define FASTEST_BYTES_PER_NS 4
#define SAMPLE_MIN (1 * MS)
#define SAMPLE_MAX SECOND
/* Python needs this long to see the signal, and then this long to unwind, before memory's step two may come. */
#define MEMORY_SEEN_WITHIN (3 * MS)
#define MEMORY_UNWOUND_WITHIN (25 * MS)
/* faulthandler's dump needs some 10 KiB; libraries with much thread-local data need theirs from the same mapping.
 * Pages that are not touched cost nothing. */
#define STACK_SIZE (256 * 1024)
/* Head and document of the last word, ids percent-encoded or escaped at their worst. */
#define LAST_WORD_CAP 8192

#define WORD(generation, reason, state) ((uint64_t)(generation) << 16 | (uint64_t)(reason) << 8 | (uint64_t)(state))
#define STATE(word) ((enum guard_state)((word) & 0xff))
#define REASON(word) ((enum guard_reason)((word) >> 8 & 0xff))
#define GENERATION(word) ((word) >> 16)
/* What Python has seen: changes with each invocation and each reason, never 0 when there is a reason. */
#define TOKEN(word) ((uint32_t)((word) >> 8))

/* The one whose invocations a forked child must not answer. */
static _Atomic(struct guard *) live_guard;

struct guard *guard_shared(void)
{
    static struct guard shared;

    return &shared;
}

uint64_t guard_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static int64_t wall_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * (int64_t)SECOND + now.tv_nsec;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static bool is_watched(enum guard_state state)
{
    return state == GUARD_RUNNING || state == GUARD_STREAM_WRITING || state == GUARD_STREAM_IDLE;
}

/* ---- the loop's side ------------------------------------------------------------------------------------------- */

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
    uint64_t one = GUARD_NEVER, two = GUARD_NEVER, deadline = GUARD_NEVER;
    /* Both clocks are read here and nowhere else: a wall clock that is set later cannot move a deadline. */
    int64_t left = deadline_ms > 0 && deadline_ms < INT64_MAX / (int64_t)MS ? deadline_ms * (int64_t)MS - wall_ns() : 0;

    /* A deadline that has passed on arrival is a clock that is wrong: as good as none. */
    if (left > 0) {
        uint64_t margin = earlier(g->config.margin_ns, (uint64_t)left / 2);
        uint64_t last = earlier(g->config.last_ns, margin / 2);

        deadline = now + (uint64_t)left;
        one = deadline - margin;
        if (g->config.runtime_host)
            two = deadline - last;
    }
    slot->timeout_ms = left / (int64_t)MS;
    atomic_store_explicit(&slot->deadline_ns, deadline, memory_order_relaxed);
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
    atomic_store_explicit(&slot->fd, call->fd, memory_order_relaxed);
    atomic_store_explicit(&slot->is_interruptible, call->is_interruptible, memory_order_relaxed);
    slot->generation++;
    /* Publishes all of the above; and this store before the load of next_wake below is the loop's half of the alarm
     * clock (guard.h), so both are sequentially consistent. */
    atomic_store(&slot->word, WORD(slot->generation, GUARD_NO_REASON, GUARD_RUNNING));

    due = atomic_load_explicit(&slot->step_one_ns, memory_order_relaxed);
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

    while (STATE(word) != GUARD_FIRED)
        if (atomic_compare_exchange_weak(&slot->word, &word, WORD(GENERATION(word), REASON(word), to)))
            return (int)REASON(word);
    return GUARD_LOST;
}

int guard_answer(struct guard_slot *slot)
{
    return move_on(slot, GUARD_ANSWERING);
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
    atomic_store(&slot->word, WORD(GENERATION(word), GUARD_NO_REASON, GUARD_AFTER));
    if (due < atomic_load(&g->next_wake))
        kick(g);
}

void guard_set_fd(struct guard_slot *slot, int fd)
{
    atomic_store_explicit(&slot->fd, fd, memory_order_relaxed);
}

int guard_take_interrupt(struct guard_slot *slot)
{
    uint64_t word = atomic_load(&slot->word);

    /* In the middle of a write an exception would leave half a chunk behind: raised after it (guard_stream_pause). */
    if (STATE(word) != GUARD_RUNNING && STATE(word) != GUARD_STREAM_IDLE)
        return GUARD_NO_REASON;
    if (REASON(word) == GUARD_NO_REASON || atomic_load(&slot->taken) == TOKEN(word))
        return GUARD_NO_REASON;
    atomic_store(&slot->taken, TOKEN(word));
    return (int)REASON(word);
}

bool guard_is_fired(const struct guard_slot *slot)
{
    return STATE(atomic_load(&slot->word)) == GUARD_FIRED;
}

bool guard_is_pending(const struct guard_slot *slot, uint64_t generation)
{
    uint64_t word = atomic_load(&slot->word);

    return GENERATION(word) == generation && is_watched(STATE(word));
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
    return deadline > now ? (int64_t)((deadline - now) / MS) : 0;
}

/* ---- memory ---------------------------------------------------------------------------------------------------- */

uint64_t guard_resident_bytes(void)
{
#ifdef __linux__
    /* Opened each time: user code may close every descriptor, and ours would then be another file. */
    char text[128], *at;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return 0;
    n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return 0;
    text[n] = 0;
    at = strchr(text, ' '); /* proc_pid_statm(5): size, then resident, in pages */
    return at ? strtoull(at, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
#else
    return 0;
#endif
}

static uint64_t memory_mark_one(const struct guard *g)
{
    return g->config.memory_limit > g->config.memory_margin ? g->config.memory_limit - g->config.memory_margin : 1;
}

static uint64_t memory_mark_two(const struct guard *g)
{
    return g->config.memory_limit - g->config.memory_margin / 2;
}

static uint64_t resident(struct guard *g)
{
    return g->resident ? g->resident(g) : guard_resident_bytes();
}

bool guard_memory_is_low(struct guard *g)
{
    return g->config.memory_limit && resident(g) >= memory_mark_one(g);
}

/* Resident bytes when it is time to look at them, else 0. */
static uint64_t sample_memory(struct guard *g, uint64_t now)
{
    uint64_t used, mark = memory_mark_one(g), every;

    if (!g->config.memory_limit || now < g->next_sample)
        return 0;
    used = resident(g);
    if (used)
        g->last_resident = used;
    every = used >= mark ? 0 : (mark - used) / FASTEST_BYTES_PER_NS;
    every = every < SAMPLE_MIN ? SAMPLE_MIN : earlier(every, SAMPLE_MAX);
    g->next_sample = now + every;
    atomic_store_explicit(&g->sample_every, every, memory_order_relaxed);
    return used;
}

/* ---- the thread's side ----------------------------------------------------------------------------------------- */

static void interrupt_handler(struct guard *g, struct guard_slot *slot)
{
    (void)slot;
    if (g->config.interrupt_signal)
        pthread_kill(g->config.handler_thread, g->config.interrupt_signal);
}

static void end_process(struct guard *g, struct guard_slot *slot, enum guard_state was, enum guard_reason reason);
static void tell_stacks(struct guard *g, uint64_t left_ns);

/* What runs after the answer: told of once. The reason in the word is the note that it was. */
static uint64_t look_after_answer(struct guard *g, struct guard_slot *slot, uint64_t word, uint64_t now)
{
    uint64_t due = atomic_load_explicit(&slot->step_two_ns, memory_order_relaxed);
    uint64_t deadline = atomic_load_explicit(&slot->deadline_ns, memory_order_relaxed);

    if (REASON(word) != GUARD_NO_REASON)
        return GUARD_NEVER;
    if (now < due)
        return due;
    if (!atomic_compare_exchange_strong(&slot->word, &word, WORD(GENERATION(word), GUARD_TIMEOUT, GUARD_AFTER)))
        return now;
    (g->tell ? g->tell : tell_stacks)(g, deadline > now ? deadline - now : 0);
    return GUARD_NEVER;
}

/* Acts on one slot; returns when it wants to be looked at again. */
static uint64_t look_at_slot(struct guard *g, struct guard_slot *slot, uint64_t now, uint64_t used)
{
    uint64_t word = atomic_load(&slot->word), one, two, next, since;
    enum guard_reason wanted = GUARD_NO_REASON;
    bool is_seen, is_late, is_full;

    if (STATE(word) == GUARD_AFTER)
        return look_after_answer(g, slot, word, now);
    if (!is_watched(STATE(word)))
        return GUARD_NEVER;
    /* Read after the word: they belong to its generation, or to a later one and the exchanges below fail. */
    one = atomic_load_explicit(&slot->step_one_ns, memory_order_relaxed);
    two = atomic_load_explicit(&slot->step_two_ns, memory_order_relaxed);

    if (now >= one)
        wanted = GUARD_TIMEOUT;
    else if (used && used >= memory_mark_one(g) && g->config.memory_limit)
        wanted = GUARD_MEMORY;
    if (wanted != GUARD_NO_REASON && REASON(word) != wanted && REASON(word) != GUARD_TIMEOUT) {
        uint64_t interrupted = WORD(GENERATION(word), wanted, STATE(word));

        if (!atomic_compare_exchange_strong(&slot->word, &word, interrupted))
            return now; /* the loop has moved on: look again */
        word = interrupted;
        atomic_store_explicit(&slot->interrupted_at, now, memory_order_relaxed);
    }

    is_seen = atomic_load(&slot->taken) == TOKEN(word);
    since = now - atomic_load_explicit(&slot->interrupted_at, memory_order_relaxed);
    is_late = now >= two;
    is_full = REASON(word) == GUARD_MEMORY && used && used >= memory_mark_two(g) && g->config.runtime_host &&
              since >= (is_seen ? MEMORY_UNWOUND_WITHIN : MEMORY_SEEN_WITHIN);
    if (is_late || is_full) {
        uint64_t deadline = atomic_load_explicit(&slot->deadline_ns, memory_order_relaxed);
        enum guard_state was = STATE(word);
        enum guard_reason reason = is_late ? GUARD_TIMEOUT : GUARD_MEMORY;

        if (was == GUARD_STREAM_WRITING && !is_full && now + CUT_BEFORE < deadline)
            return earlier(now + MS, deadline - CUT_BEFORE);
        if (!atomic_compare_exchange_strong(&slot->word, &word, WORD(GENERATION(word), reason, GUARD_FIRED)))
            return now;
        (g->last_word ? g->last_word : end_process)(g, slot, was, reason);
        return GUARD_NEVER;
    }

    next = now >= one ? two : earlier(one, two);
    if (REASON(word) != GUARD_NO_REASON && !is_seen && g->config.interrupt_signal &&
        atomic_load_explicit(&slot->is_interruptible, memory_order_relaxed)) {
        (g->interrupt ? g->interrupt : interrupt_handler)(g, slot);
        next = earlier(next, now + REPEAT_EVERY);
    }
    return next;
}

uint64_t guard_look(struct guard *g, uint64_t now)
{
    uint64_t wake = GUARD_NEVER, generations = 0, used;
    int i, n = atomic_load(&g->n_slots);
    bool is_busy = false;

    for (i = 0; i < n; i++) {
        uint64_t word = atomic_load(&g->slots[i].word);

        is_busy |= is_watched(STATE(word));
        generations += GENERATION(word);
    }
    is_busy |= generations != g->seen_generations;
    g->seen_generations = generations;
    used = is_busy || !g->next_sample ? sample_memory(g, now) : 0;
    for (i = 0; i < n; i++)
        wake = earlier(wake, look_at_slot(g, &g->slots[i], now, used));
    if (is_busy) {
        g->n_idle_ticks = 0;
        if (g->config.memory_limit)
            wake = earlier(wake, g->next_sample);
    } else if (g->n_idle_ticks < N_IDLE_TICKS) {
        g->n_idle_ticks++;
    }
    return g->n_idle_ticks < N_IDLE_TICKS ? earlier(wake, now + TICK) : wake;
}

/* True when a slot is due before `wake`: its word was stored after guard_look() had passed it. */
static bool is_due_before(struct guard *g, uint64_t wake, uint64_t now)
{
    int i, n = atomic_load(&g->n_slots);
    uint64_t generations = 0;

    for (i = 0; i < n; i++) {
        uint64_t word = atomic_load(&g->slots[i].word);

        const _Atomic uint64_t *due = STATE(word) == GUARD_AFTER ? &g->slots[i].step_two_ns : &g->slots[i].step_one_ns;

        generations += GENERATION(word);
        if ((is_watched(STATE(word)) || STATE(word) == GUARD_AFTER) && REASON(word) == GUARD_NO_REASON &&
            atomic_load_explicit(due, memory_order_relaxed) < wake)
            return true;
    }
    return generations != g->seen_generations && g->config.memory_limit &&
           now + atomic_load_explicit(&g->sample_every, memory_order_relaxed) < wake;
}

static void sleep_until(struct guard *g, uint64_t wake)
{
    if (wake == GUARD_NEVER) {
        pthread_cond_wait(&g->wake, &g->mutex);
        return;
    }
#ifdef __APPLE__
    uint64_t now = guard_now_ns(), left = wake > now ? wake - now : 0;
    struct timespec rest = {(time_t)(left / SECOND), (long)(left % SECOND)};

    pthread_cond_timedwait_relative_np(&g->wake, &g->mutex, &rest);
#else
    struct timespec until = {(time_t)(wake / SECOND), (long)(wake % SECOND)};

    pthread_cond_timedwait(&g->wake, &g->mutex, &until);
#endif
}

static void *watch(void *arg)
{
    struct guard *g = arg;

    pthread_mutex_lock(&g->mutex);
    while (!g->must_stop) {
        uint64_t now = guard_now_ns(), wake = guard_look(g, now);

        atomic_store(&g->next_wake, wake); /* before the words are read: the thread's half of the alarm clock */
        if (wake > now && !is_due_before(g, wake, now))
            sleep_until(g, wake);
    }
    pthread_mutex_unlock(&g->mutex);
    return NULL;
}

/* ---- start, stop, fork ----------------------------------------------------------------------------------------- */

/* In the child there is no thread, and the invocation is the parent's: nothing of it may reach the Runtime API from here.
 * Plain C and atomics, as fork(2) asks after threads. (vfork and posix_spawn do not come here, and need not.) */
static void after_fork_in_child(void)
{
    struct guard *g = atomic_load(&live_guard);
    int i, n;

    if (!g)
        return;
    atomic_store(&g->is_forked, true);
    n = atomic_load(&g->n_slots);
    for (i = 0; i < n; i++)
        if (is_watched(STATE(atomic_load(&g->slots[i].word))))
            net_close(atomic_exchange(&g->slots[i].fd, -1));
}

int guard_watch_forks(struct guard *g)
{
    static bool has_hook;

    if (!has_hook) {
        int status = -pthread_atfork(NULL, NULL, after_fork_in_child);

        if (status)
            return status;
        has_hook = true;
    }
    atomic_store(&live_guard, g);
    return 0;
}

static int copy_text(char *to, size_t cap, const char *from, size_t len)
{
    if (len >= cap)
        return -ENAMETOOLONG;
    memcpy(to, from, len);
    to[len] = 0;
    return 0;
}

int guard_open(struct guard *g, const struct guard_config *config)
{
    pthread_condattr_t on_monotonic;
    int status = 0, n = atomic_load(&g->n_slots);

    if (g->is_started && !atomic_load(&g->is_forked))
        return -EBUSY;
    buffer_release(&g->request);
    memset(g, 0, offsetof(struct guard, slots));
    memset(g->slots, 0, (size_t)n * sizeof g->slots[0]); /* not all: what was never touched costs no memory */
    g->config = *config;
    atomic_store(&g->sample_every, GUARD_NEVER);
    atomic_store(&g->next_wake, GUARD_NEVER); /* nobody sleeps yet; start() sets it to 0 */
    if (config->runtime_host) {
        status = copy_text(g->host, sizeof g->host, config->runtime_host, strlen(config->runtime_host));
        if (!status)
            status = copy_text(g->port, sizeof g->port, config->runtime_port, strlen(config->runtime_port));
        if (!status && config->prefix)
            status = copy_text(g->prefix, sizeof g->prefix, config->prefix, strlen(config->prefix));
        if (!status)
            status = copy_text(g->common, sizeof g->common, config->common, config->common_len);
        if (!status)
            status = buffer_reserve(&g->request, LAST_WORD_CAP);
        if (status)
            return status;
        g->config.runtime_host = g->host;
        g->config.runtime_port = g->port;
        g->config.prefix = g->prefix;
        g->config.common = g->common;
    }
    status = -pthread_mutex_init(&g->mutex, NULL);
    if (status)
        return status;
    pthread_condattr_init(&on_monotonic);
#ifndef __APPLE__
    pthread_condattr_setclock(&on_monotonic, CLOCK_MONOTONIC);
#endif
    status = -pthread_cond_init(&g->wake, &on_monotonic);
    pthread_condattr_destroy(&on_monotonic);
    return status;
}

int guard_start(struct guard *g)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    int status;

    if (g->is_started || atomic_load(&g->is_forked))
        return 0;
    status = guard_watch_forks(g);
    if (status)
        return status;
    g->must_stop = false;
    atomic_store(&g->next_wake, 0); /* a thread that has not looked yet is awake */
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    /* Signals are for the threads where Python can act on them. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    status = -pthread_create(&g->thread, &attributes, watch, g);
    if (status == -EINVAL) /* thread-local data of the libraries does not fit */
        status = -pthread_create(&g->thread, NULL, watch, g);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    g->is_started = status == 0;
    if (status)
        atomic_store(&g->next_wake, GUARD_NEVER);
    return status;
}

void guard_stop(struct guard *g)
{
    if (!g->is_started || atomic_load(&g->is_forked))
        return;
    pthread_mutex_lock(&g->mutex);
    g->must_stop = true;
    pthread_cond_signal(&g->wake);
    pthread_mutex_unlock(&g->mutex);
    pthread_join(g->thread, NULL);
    g->is_started = false;
    atomic_store(&g->next_wake, GUARD_NEVER);
}

#ifdef __linux__
/* By system call: until glibc 2.34 these live in a library of their own. A timer is not inherited by fork or exec. */
static int alarm_id = -1;

int guard_set_alarm(int number, int64_t ms)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = number};
    struct itimerspec when = {.it_value = {(time_t)(ms / 1000), (long)(ms % 1000) * (long)MS}};

    guard_cancel_alarm();
    if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &alarm_id) < 0) {
        alarm_id = -1;
        return -errno;
    }
    if (syscall(SYS_timer_settime, alarm_id, 0, &when, NULL) < 0) {
        int status = -errno;

        guard_cancel_alarm();
        return status;
    }
    return 0;
}

void guard_cancel_alarm(void)
{
    if (alarm_id >= 0)
        syscall(SYS_timer_delete, alarm_id);
    alarm_id = -1;
}
#else
int guard_set_alarm(int number, int64_t ms)
{
    (void)number, (void)ms;
    return -ENOSYS;
}

void guard_cancel_alarm(void)
{
}
#endif

int guard_free_signal(int below)
{
#ifdef SIGRTMIN
    struct sigaction now;
    int number;

    for (number = below - 1; number > SIGRTMIN + 3; number--)
        if (sigaction(number, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_DFL)
            return number;
#else
    (void)below;
#endif
    return 0;
}

int guard_signals_below(void)
{
#ifdef SIGRTMAX
    return GUARD_SIGNALS_BELOW;
#else
    return 0;
#endif
}

/* ---- the last word --------------------------------------------------------------------------------------------- */

/* What is to be appended has been counted into LAST_WORD_CAP, so nothing here needs memory. */
static int append_text(struct buffer *to, const char *text)
{
    return buffer_append(to, text, strlen(text));
}

static size_t put_json_text(char *to, const char *text)
{
    char *at = to;

    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\') {
            *at++ = '\\';
            *at++ = (char)c;
        } else if (c < 0x20 || c > 0x7e) {
            at += sprintf(at, "\\u%04x", c);
        } else {
            *at++ = (char)c;
        }
    }
    *at = 0;
    return (size_t)(at - to);
}

static const char *error_type(enum guard_reason reason)
{
    return reason == GUARD_MEMORY ? "Runtime.MemoryExhausted" : "Runtime.InvocationTimeout";
}

static void put_message(const struct guard *g, const struct guard_slot *slot, enum guard_reason reason, char *to,
                        size_t cap)
{
    /* The time-out is configured in whole seconds; what is left on arrival is a little less. */
    int64_t tenths = (slot->timeout_ms + 50) / 100;

    if (reason == GUARD_MEMORY)
        snprintf(to, cap,
                 "The process came to use %llu of the function's %llu MB of memory, and the handler could not be "
                 "interrupted; the process was ended",
                 (unsigned long long)(g->last_resident >> 20), (unsigned long long)(g->config.memory_limit >> 20));
    else
        snprintf(to, cap,
                 "The handler did not come back within the function's time-out of %lld.%lld s and could not be "
                 "interrupted; the process was ended",
                 (long long)(tenths / 10), (long long)(tenths % 10));
}

static size_t put_base64(char *to, const char *from, size_t len)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *in = (const unsigned char *)from;
    size_t i, n = 0;

    for (i = 0; i < len; i += 3) {
        unsigned bits = (unsigned)in[i] << 16 | (i + 1 < len ? (unsigned)in[i + 1] << 8 : 0) |
                        (i + 2 < len ? (unsigned)in[i + 2] : 0);

        to[n++] = DIGITS[bits >> 18];
        to[n++] = DIGITS[bits >> 12 & 63];
        to[n++] = i + 1 < len ? DIGITS[bits >> 6 & 63] : '=';
        to[n++] = i + 2 < len ? DIGITS[bits & 63] : '=';
    }
    return n;
}

int guard_put_last_word(struct guard *g, const struct guard_slot *slot, enum guard_state was, enum guard_reason reason)
{
    char id[6 * GUARD_ID_CAP], message[256], document[6 * GUARD_ID_CAP + 512], headers[160];
    struct rapi_base base = {.common = g->common, .common_len = strlen(g->common), .prefix = ""};
    struct http1_span request_id = {slot->request_id, strlen(slot->request_id)};
    struct http1_span invocation_id = {slot->invocation_id, strlen(slot->invocation_id)};
    struct http1_span lines = {headers, 0};
    size_t len;
    int status;

    put_json_text(id, slot->request_id);
    put_message(g, slot, reason, message, sizeof message);
    len = (size_t)snprintf(document, sizeof document,
                           "{\"errorMessage\": \"%s\", \"errorType\": \"%s\", \"requestId\": \"%s\", \"stackTrace\": []}",
                           message, error_type(reason), id);
    buffer_consume(&g->request, buffer_len(&g->request));
    if (was == GUARD_RUNNING) {
        lines.len = (size_t)snprintf(headers, sizeof headers,
                                     "Content-Type: application/json\r\n"
                                     "Lambda-Runtime-Function-Error-Type: %s\r\n",
                                     error_type(reason));
        status = rapi_put_post(&g->request, &base, "invocation/", request_id, "/error", lines, invocation_id, len);
        return status ? status : buffer_append(&g->request, document, len);
    }
    /* The end of a chunked body, with the trailers that its head has declared. RFC 9112, section 7.1.2. */
    status = append_text(&g->request, "0\r\nLambda-Runtime-Function-Error-Type: ");
    if (!status)
        status = append_text(&g->request, error_type(reason));
    if (!status)
        status = append_text(&g->request, "\r\nLambda-Runtime-Function-Error-Body: ");
    if (!status)
        status = buffer_reserve(&g->request, (len + 2) / 3 * 4);
    if (status)
        return status;
    buffer_commit(&g->request, put_base64(g->request.data + g->request.end, document, len));
    return append_text(&g->request, "\r\n\r\n");
}

/* Whether the descriptor still is a connection to the Runtime API: user code may have closed it, and its number may
 * stand for something else by now. */
static bool is_runtime_api(const struct guard *g, int fd)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    in_port_t port = htons((uint16_t)strtoul(g->port, NULL, 10));

    if (fd < 0 || getpeername(fd, (struct sockaddr *)&peer, &len) < 0)
        return false;
    if (peer.ss_family == AF_INET)
        return ((struct sockaddr_in *)&peer)->sin_port == port;
    return peer.ss_family == AF_INET6 && ((struct sockaddr_in6 *)&peer)->sin6_port == port;
}

static int ms_until(uint64_t deadline)
{
    uint64_t now = guard_now_ns();

    return now >= deadline ? 0 : (int)earlier((deadline - now) / MS, INT_MAX);
}

/* Sends g->request and waits for the first bytes of the answer: what is unread when a process ends makes its side reset
 * the connection, and a reset may overtake what was sent. 0 or a status. */
static int send_last_word(struct guard *g, int fd, uint64_t until)
{
    struct timeval limit;
    struct net_out out = {.n = 0};
    char answer[512];
    int left = ms_until(until) + 1, status;
    ssize_t n;

    limit.tv_sec = left / 1000;
    limit.tv_usec = left % 1000 * 1000;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    net_out_add(&out, buffer_head(&g->request), buffer_len(&g->request));
    status = net_send_all(fd, &out);
    if (status)
        return status;
    status = net_wait_readable(fd, -1, ms_until(until));
    if (status <= 0)
        return status; /* sent; what became of it cannot be known */
    n = net_recv_some(fd, answer, sizeof answer, NULL, 0);
    return n < 0 ? (int)n : 0;
}

/* Writes to stderr what can be said without memory or locks. */
static void complain(const struct guard *g, const struct guard_slot *slot, enum guard_reason reason, const char *how)
{
    char message[256], line[GUARD_ID_CAP + 512];
    int len;

    put_message(g, slot, reason, message, sizeof message);
    len = snprintf(line, sizeof line, "fastlambda: [ERROR] %s: %s (RequestId: %s; %s). Stacks of all threads:\n",
                   error_type(reason), message, slot->request_id, how);
    if (len > 0 && write(STDERR_FILENO, line, (size_t)len) < 0)
        return;
}

/* The process goes on, so the handler's thread is asked: its own frames stand still while it dumps them. To the process,
 * as the alarm is, for that thread may be no more. */
static void tell_stacks(struct guard *g, uint64_t left_ns)
{
    char line[256];
    int len = snprintf(line, sizeof line,
                       "fastlambda: [ERROR] What runs after the response has not come back %llu ms before the function's "
                       "time-out; the response is delivered. Stacks of all threads:\n",
                       (unsigned long long)(left_ns / MS));

    if (write(STDERR_FILENO, line, (size_t)len) < 0)
        return;
    if (g->config.dump_signal)
        kill(getpid(), g->config.dump_signal);
}

/* Step two: answers, dumps the stacks, ends the process. The state is FIRED: the connection is ours, and the loop waits
 * if it ever comes back. */
static void end_process(struct guard *g, struct guard_slot *slot, enum guard_state was, enum guard_reason reason)
{
    uint64_t deadline = atomic_load_explicit(&slot->deadline_ns, memory_order_relaxed), until;
    int fd = atomic_load_explicit(&slot->fd, memory_order_relaxed), status = -ENOTCONN;
    const char *how = "reported";
    sigset_t ours;

    /* A stderr that nobody reads, or a peer that hangs, must not keep this process for ever. */
    signal(SIGALRM, SIG_DFL);
    sigemptyset(&ours);
    sigaddset(&ours, SIGALRM);
    if (g->config.dump_signal)
        sigaddset(&ours, g->config.dump_signal);
    pthread_sigmask(SIG_UNBLOCK, &ours, NULL);
    alarm(3);

    until = deadline == GUARD_NEVER ? guard_now_ns() + SECOND : deadline - earlier(deadline, CUT_BEFORE);
    if (!is_runtime_api(g, fd))
        fd = -1;
    if (was == GUARD_STREAM_WRITING) {
        if (fd >= 0)
            shutdown(fd, SHUT_RDWR);
        how = "in the middle of its response, which was cut off";
    } else if (guard_put_last_word(g, slot, was, reason) == 0) {
        if (fd >= 0)
            status = send_last_word(g, fd, until);
        if (status && status != -EAGAIN && was == GUARD_RUNNING) {
            fd = net_connect(g->host, g->port);
            status = fd < 0 ? fd : send_last_word(g, fd, until);
        }
        if (status)
            how = "and it could not be reported";
    }
    complain(g, slot, reason, how);
    if (g->config.dump_signal)
        pthread_kill(pthread_self(), g->config.dump_signal);
    _exit(reason == GUARD_MEMORY ? GUARD_EXIT_MEMORY : GUARD_EXIT_TIMEOUT);
}
