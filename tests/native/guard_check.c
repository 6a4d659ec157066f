/* Checks of the guard's native room, one per name on the command line; built plain and under the sanitizers by
 * tests/unit/test_guard_native.py. Time is given by hand where it can be; where the real thread runs, a check asserts
 * what happened, never how fast. Exit status 0: holds; anything else says where on stderr. */
#include "guard.h"
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MS UINT64_C(1000000)
#define STATE_OF(slot) ((enum guard_state)(atomic_load(&(slot)->word) & 0x7f))
#define CHECK(claim)                                                                                                   \
    do {                                                                                                               \
        if (!(claim)) {                                                                                                \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #claim);                                        \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static struct guard guard; /* zeroed */
static _Atomic int n_interrupts, n_last_words, n_told;
static _Atomic int last_was, last_reason;
static _Atomic uint64_t fake_resident;
static sem_t said, told;

static void count_interrupt(struct guard *g, struct guard_slot *slot)
{
    (void)g, (void)slot;
    atomic_fetch_add(&n_interrupts, 1);
}

static void count_last_word(struct guard *g, struct guard_slot *slot, enum guard_state was, enum guard_reason reason)
{
    (void)g, (void)slot;
    atomic_store(&last_was, was);
    atomic_store(&last_reason, reason);
    atomic_fetch_add(&n_last_words, 1);
    sem_post(&said);
}

static void count_told(struct guard *g, uint64_t left_ns)
{
    (void)g, (void)left_ns;
    atomic_fetch_add(&n_told, 1);
    sem_post(&told);
}

static uint64_t resident_now(struct guard *g)
{
    (void)g;
    return atomic_load(&fake_resident);
}

static struct guard_config a_config(void)
{
    static const char common[] = "Host: 127.0.0.1:9001\r\nUser-Agent: check\r\n";
    struct guard_config config = {
        .margin_ns = 100 * MS,
        .last_ns = 30 * MS,
        .runtime_host = "127.0.0.1",
        .runtime_port = "9001",
        .common = common,
        .common_len = sizeof common - 1,
        .interrupt_signal = 1, /* not sent: interrupt() is replaced */
        .handler_thread = pthread_self(),
    };

    return config;
}

static struct guard_slot *open_counting(struct guard_config config)
{
    CHECK(guard_open(&guard, &config) == 0);
    guard.interrupt = count_interrupt;
    guard.last_word = count_last_word;
    guard.tell = count_told;
    guard.resident = resident_now;
    return guard_take_slot(&guard);
}

static int64_t wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void arm(struct guard_slot *slot, int64_t left_ms, int fd)
{
    struct guard_call call = {
        .request_id = "id-1",
        .request_id_len = 4,
        .deadline_ms = left_ms ? wall_ms() + left_ms : 0,
        .fd = fd,
        .identity = net_identify(fd),
        .is_interruptible = true,
    };

    CHECK(guard_arm(&guard, slot, &call) == 0);
}

/* ---- the clock by hand ------------------------------------------------------------------------------------------- */

static void step_one_interrupts_until_python_has_seen_it(void)
{
    struct guard_slot *slot = open_counting(a_config());
    uint64_t deadline, one;

    arm(slot, 10000, -1);
    deadline = atomic_load(&slot->deadline_ns);
    one = deadline - 100 * MS;
    CHECK(atomic_load(&slot->step_one_ns) == one);
    CHECK(atomic_load(&slot->step_two_ns) == deadline - 30 * MS);
    CHECK(atomic_load(&slot->step_zero_ns) == one - 400 * MS);
    CHECK(guard_look(&guard, one - 500 * MS) == one - 400 * MS);
    CHECK(guard_look(&guard, one - 200 * MS) == one - 190 * MS); /* looks how late it wakes */
    CHECK(guard_look(&guard, one - 1) == one);
    CHECK(n_interrupts == 0 && guard_take_interrupt(slot) == GUARD_NO_REASON);
    CHECK(guard_look(&guard, one) == one + 2 * MS);
    CHECK(guard_look(&guard, one + 2 * MS) == one + 4 * MS);
    CHECK(n_interrupts == 2);
    CHECK(guard_take_interrupt(slot) == GUARD_TIMEOUT);
    CHECK(guard_take_interrupt(slot) == GUARD_NO_REASON);
    CHECK(guard_look(&guard, one + 8 * MS) <= one + 70 * MS / 8);
    CHECK(n_interrupts == 2 && n_last_words == 0);
    CHECK(guard_answer(slot) == GUARD_TIMEOUT);
    guard_look(&guard, deadline + 1);
    CHECK(n_interrupts == 2 && n_last_words == 0);
}

static void what_does_not_come_back_is_called_again_at_growing_distances(void)
{
    struct guard_slot *slot = open_counting(a_config());
    uint64_t one, eighth = 70 * MS / 8;

    arm(slot, 10000, -1);
    one = atomic_load(&slot->step_one_ns);
    guard_look(&guard, one);
    CHECK(guard_take_interrupt(slot) == GUARD_TIMEOUT && n_interrupts == 1);
    guard_look(&guard, one + eighth - 1);
    CHECK(n_interrupts == 1);
    CHECK(guard_look(&guard, one + eighth) <= one + 3 * eighth);
    CHECK(n_interrupts == 2 && !guard_is_last_call(slot));
    CHECK(guard_take_interrupt(slot) == GUARD_NO_REASON);
    CHECK(guard_look(&guard, one + 3 * eighth - 1) == one + 3 * eighth && n_interrupts == 2);
    CHECK(guard_look(&guard, one + 3 * eighth) <= one + 6 * eighth);
    CHECK(n_interrupts == 3 && !guard_is_last_call(slot));
    CHECK(guard_look(&guard, one + 6 * eighth) <= one + 7 * eighth);
    CHECK(n_interrupts == 4 && guard_is_last_call(slot));
    CHECK(guard_look(&guard, one + 7 * eighth) <= one + 70 * MS);
    CHECK(guard_look(&guard, one + 7 * eighth + MS) <= one + 70 * MS);
    CHECK(n_interrupts == 5);
    guard_look(&guard, one + 70 * MS);
    CHECK(n_last_words == 1);
    guard_stop(&guard);

    /* A thread that comes late does not make up for what it has missed; what is being reported is left alone. */
    slot = open_counting(a_config());
    n_interrupts = n_last_words = 0;
    arm(slot, 10000, -1);
    one = atomic_load(&slot->step_one_ns);
    guard_look(&guard, one);
    CHECK(guard_take_interrupt(slot) == GUARD_TIMEOUT);
    guard_look(&guard, one + 5 * eighth);
    CHECK(n_interrupts == 2);
    CHECK(guard_report(slot) == GUARD_TIMEOUT);
    guard_look(&guard, one + 7 * eighth);
    CHECK(n_interrupts == 2 && n_last_words == 0);
}

static void look_late(uint64_t now, uint64_t lateness)
{
    guard.lateness = lateness;
    guard_look(&guard, now);
    guard.lateness = 0;
}

static void where_the_thread_wakes_late_both_steps_come_earlier(void)
{
    struct guard_slot *slot = open_counting(a_config());
    uint64_t deadline;

    arm(slot, 10000, -1);
    deadline = atomic_load(&slot->deadline_ns);
    look_late(deadline - 600 * MS, 50 * MS); /* before step zero it does not matter */
    look_late(deadline - 101 * MS, 4 * MS);  /* fits into what the steps have anyway */
    CHECK(n_interrupts == 0);
    guard_look(&guard, deadline - 100 * MS);
    CHECK(n_interrupts == 1 && guard_take_interrupt(slot) == GUARD_TIMEOUT);
    guard_look(&guard, deadline - 31 * MS);
    CHECK(n_last_words == 0 && guard_answer(slot) == GUARD_TIMEOUT);
    n_interrupts = 1; /* it was called again */

    arm(slot, 10000, -1);
    deadline = atomic_load(&slot->deadline_ns);
    look_late(deadline - 400 * MS, 50 * MS); /* step two 20 ms + twice that before the deadline, step one 70 ms before it */
    CHECK(guard_look(&guard, deadline - 191 * MS) == deadline - 190 * MS);
    CHECK(n_interrupts == 1);
    guard_look(&guard, deadline - 190 * MS);
    CHECK(n_interrupts == 2 && guard_take_interrupt(slot) == GUARD_TIMEOUT);
    CHECK(guard_report(slot) == GUARD_TIMEOUT);
    guard_look(&guard, deadline - 121 * MS);
    CHECK(n_last_words == 0);
    guard_look(&guard, deadline - 120 * MS);
    CHECK(n_last_words == 1 && guard_answer(slot) == GUARD_LOST);

    atomic_store(&slot->word, slot->generation << 16);
    arm(slot, 10000, -1); /* the next one starts anew, and what is far too late has a bound */
    deadline = atomic_load(&slot->deadline_ns);
    look_late(deadline - 400 * MS, 5000 * MS);
    CHECK(guard_look(&guard, deadline - 291 * MS) == deadline - 290 * MS && n_interrupts == 2);
    CHECK(guard_answer(slot) == GUARD_NO_REASON);
}

static sem_t prepared;

static void count_prepared(void)
{
    sem_post(&prepared);
}

static void what_a_report_needs_is_loaded_once_by_the_first_that_is_late(void)
{
    struct guard_config config = a_config();
    struct guard_slot *slot;
    int i, n;

    sem_init(&prepared, 0, 0);
    config.prepare = count_prepared;
    slot = open_counting(config);
    for (i = 0; i < 3; i++) {
        arm(slot, 10000, -1);
        guard_look(&guard, atomic_load(&slot->step_zero_ns) - 1);
        CHECK(guard_answer(slot) >= 0);
    }
    CHECK(!guard.is_prepared);
    for (i = 0; i < 3; i++) {
        arm(slot, 10000, -1);
        guard_look(&guard, atomic_load(&slot->step_zero_ns));
        CHECK(guard_answer(slot) >= 0);
    }
    while (sem_wait(&prepared) < 0) /* on a thread of its own */
        ;
    CHECK(sem_getvalue(&prepared, &n) == 0 && n == 0);
}

static void step_two_fires_once_and_the_loop_has_lost(void)
{
    struct guard_slot *slot = open_counting(a_config());
    uint64_t deadline;

    arm(slot, 10000, -1);
    deadline = atomic_load(&slot->deadline_ns);
    guard_look(&guard, deadline - 100 * MS);
    CHECK(!guard_is_fired(slot));
    guard_look(&guard, deadline - 30 * MS);
    guard_look(&guard, deadline - 29 * MS);
    CHECK(n_last_words == 1 && last_was == GUARD_RUNNING && last_reason == GUARD_TIMEOUT);
    CHECK(guard_is_fired(slot));
    CHECK(guard_answer(slot) == GUARD_LOST);
    CHECK(guard_stream_write(slot) == GUARD_LOST);
    CHECK(guard_take_interrupt(slot) == GUARD_NO_REASON);
}

static void a_report_is_not_interrupted_while_it_is_rendered(void)
{
    struct guard_slot *slot = open_counting(a_config());
    uint64_t deadline;

    arm(slot, 10000, -1);
    deadline = atomic_load(&slot->deadline_ns);
    CHECK(guard_report(slot) == GUARD_NO_REASON && !guard_is_pending(slot, slot->generation));
    CHECK(guard_look(&guard, deadline - 35 * MS) == deadline - 30 * MS); /* step one finds nothing to interrupt */
    CHECK(n_interrupts == 0 && guard_take_interrupt(slot) == GUARD_NO_REASON);
    CHECK(guard_answer(slot) == GUARD_NO_REASON);
    guard_look(&guard, deadline);
    CHECK(n_last_words == 0 && guard_report(slot) == GUARD_NO_REASON && STATE_OF(slot) == GUARD_ANSWERING);

    arm(slot, 10000, -1); /* interrupted, and the handler came to another end before it saw that */
    deadline = atomic_load(&slot->deadline_ns);
    guard_look(&guard, deadline - 100 * MS);
    CHECK(guard_report(slot) == GUARD_TIMEOUT && guard_take_interrupt(slot) == GUARD_NO_REASON);
    CHECK(guard_look(&guard, deadline - 35 * MS) == deadline - 30 * MS && n_interrupts == 1);
    CHECK(guard_answer(slot) == GUARD_TIMEOUT);

    arm(slot, 10000, -1); /* a stream's thread brings out what has waited: nothing is interrupted after it either */
    deadline = atomic_load(&slot->deadline_ns);
    CHECK(guard_stream_write(slot) == 0 && guard_stream_pause(slot, true) == 0 && guard_report(slot) >= 0);
    CHECK(guard_stream_write(slot) == 0 && guard_stream_pause(slot, true) == 0);
    guard_look(&guard, deadline - 100 * MS);
    CHECK(guard_take_interrupt(slot) == GUARD_NO_REASON && n_interrupts == 1);
    CHECK(guard_answer(slot) == GUARD_NO_REASON && n_last_words == 0);
    arm(slot, 10000, -1); /* and the next invocation is guarded as ever */
    guard_look(&guard, atomic_load(&slot->deadline_ns) - 100 * MS);
    CHECK(guard_take_interrupt(slot) == GUARD_TIMEOUT);
}

static void a_report_that_is_not_rendered_in_time_is_the_guards(void)
{
    struct guard_slot *slot = open_counting(a_config());
    uint64_t deadline;

    arm(slot, 10000, -1);
    deadline = atomic_load(&slot->deadline_ns);
    CHECK(guard_report(slot) == GUARD_NO_REASON);
    guard_look(&guard, deadline - 30 * MS);
    CHECK(n_last_words == 1 && last_was == GUARD_RUNNING && last_reason == GUARD_TIMEOUT);
    CHECK(guard_answer(slot) == GUARD_LOST && guard_report(slot) == GUARD_LOST);

    atomic_store(&slot->word, slot->generation << 16);
    arm(slot, 10000, -1);
    deadline = atomic_load(&slot->deadline_ns);
    CHECK(guard_stream_write(slot) == 0 && guard_stream_pause(slot, true) == 0 && guard_report(slot) >= 0);
    guard_look(&guard, deadline - 30 * MS);
    CHECK(n_last_words == 2 && last_was == GUARD_STREAM_IDLE && guard_answer(slot) == GUARD_LOST);
}

static void an_answered_invocation_is_left_alone_and_so_is_the_next(void)
{
    struct guard_slot *slot = open_counting(a_config());
    uint64_t deadline;

    arm(slot, 10000, -1);
    deadline = atomic_load(&slot->deadline_ns);
    guard_look(&guard, deadline - 100 * MS); /* interrupted, the signal still on its way */
    CHECK(guard_answer(slot) == GUARD_TIMEOUT);
    CHECK(guard_take_interrupt(slot) == GUARD_NO_REASON); /* between two invocations */
    arm(slot, 60000, -1);
    CHECK(guard_take_interrupt(slot) == GUARD_NO_REASON); /* the late signal in the next one */
    guard_look(&guard, deadline);
    CHECK(n_last_words == 0);
    CHECK(guard_answer(slot) == GUARD_NO_REASON);
}

static void what_hangs_after_the_answer_is_told_once_and_left_alone(void)
{
    struct guard_slot *slot = open_counting(a_config());
    uint64_t deadline;

    arm(slot, 10000, -1);
    deadline = atomic_load(&slot->deadline_ns);
    guard_look(&guard, deadline - 100 * MS); /* the handler was interrupted, and answered */
    CHECK(guard_answer(slot) == GUARD_TIMEOUT);
    guard_begin_after(&guard, slot);
    CHECK(guard_look(&guard, deadline - 31 * MS) == deadline - 30 * MS && n_told == 0);
    guard_look(&guard, deadline - 30 * MS);
    CHECK(n_told == 1);
    guard_look(&guard, deadline);
    guard_look(&guard, deadline + 60000 * MS);
    CHECK(n_told == 1 && n_interrupts == 1 && n_last_words == 0);
    CHECK(guard_take_interrupt(slot) == GUARD_NO_REASON && !guard_is_pending(slot, slot->generation));
    CHECK(guard_answer(slot) >= 0);
    arm(slot, 10000, -1); /* and the next invocation is guarded as ever */
    guard_look(&guard, atomic_load(&slot->deadline_ns));
    CHECK(n_last_words == 1 && n_told == 1);
}

static void what_comes_back_after_the_answer_is_not_told(void)
{
    static const char long_id[GUARD_ID_CAP];
    struct guard_slot *slot = open_counting(a_config());
    struct guard_call call = {.request_id = long_id, .deadline_ms = wall_ms() + 60000, .fd = -1};
    uint64_t deadline;

    arm(slot, 10000, -1);
    deadline = atomic_load(&slot->deadline_ns);
    CHECK(guard_answer(slot) == GUARD_NO_REASON);
    guard_begin_after(&guard, slot);
    CHECK(guard_answer(slot) == GUARD_NO_REASON);
    guard_look(&guard, deadline);
    arm(slot, 60000, -1);
    guard_look(&guard, deadline + 1);
    CHECK(guard_answer(slot) == GUARD_NO_REASON);
    arm(slot, 20000, -1);
    CHECK(guard_answer(slot) == GUARD_NO_REASON);
    call.request_id_len = GUARD_ID_CAP; /* unguarded: its predecessor's deadline is not its own */
    CHECK(guard_arm(&guard, slot, &call) == GUARD_TOO_LONG && guard_answer(slot) == GUARD_NO_REASON);
    guard_begin_after(&guard, slot);
    guard_look(&guard, deadline + 60000 * MS);
    CHECK(guard_answer(slot) == GUARD_NO_REASON);
    arm(slot, 0, -1); /* no deadline, */
    CHECK(guard_answer(slot) == GUARD_NO_REASON);
    guard_begin_after(&guard, slot);
    CHECK(guard_look(&guard, deadline + 3600 * 1000 * MS) > deadline + 3600 * 1000 * MS);
    CHECK(n_told == 0 && n_last_words == 0);
}

static void little_time_after_the_answer_is_halved(void)
{
    struct guard_slot *slot = open_counting(a_config());
    uint64_t deadline, due;

    arm(slot, 10000, -1);
    CHECK(guard_answer(slot) == GUARD_NO_REASON);
    deadline = guard_now_ns() + 20 * MS; /* as if the handler had taken all but 20 ms */
    atomic_store(&slot->deadline_ns, deadline);
    guard_begin_after(&guard, slot);
    due = atomic_load(&slot->step_two_ns);
    CHECK(due > deadline - 10 * MS && due < deadline);
    CHECK(guard_look(&guard, due - 1) == due && n_told == 0);
    guard_look(&guard, due);
    CHECK(n_told == 1);
    CHECK(guard_answer(slot) >= 0);
    arm(slot, 10000, -1);
    CHECK(guard_answer(slot) == GUARD_NO_REASON);
    atomic_store(&slot->deadline_ns, guard_now_ns() - MS); /* and nothing is told when it has passed */
    guard_begin_after(&guard, slot);
    guard_look(&guard, guard_now_ns() + 60000 * MS);
    CHECK(n_told == 1);
}

static void a_thawed_process_is_looked_at_with_the_clock_of_now(void)
{
    struct guard_slot *slot = open_counting(a_config());

    arm(slot, 10000, -1);
    guard_look(&guard, atomic_load(&slot->deadline_ns) + 3600 * 1000 * MS); /* hours late: one answer all the same */
    CHECK(n_last_words == 1 && guard_answer(slot) == GUARD_LOST);
}

static void short_deadlines_leave_half_of_the_time(void)
{
    struct guard_slot *slot = open_counting(a_config());
    uint64_t now = guard_now_ns(), one, deadline;

    arm(slot, 120, -1);
    one = atomic_load(&slot->step_one_ns);
    deadline = atomic_load(&slot->deadline_ns);
    CHECK(deadline > now && one > now && one < deadline);
    CHECK(deadline - one <= 60 * MS && atomic_load(&slot->step_two_ns) > one);
    CHECK(atomic_load(&slot->step_two_ns) < deadline);
}

static void an_unknown_or_passed_deadline_is_not_watched(void)
{
    struct guard_slot *slot = open_counting(a_config());
    int64_t left[] = {0, -5000};
    int i;

    for (i = 0; i < 2; i++) {
        arm(slot, left[i], -1);
        CHECK(atomic_load(&slot->step_one_ns) == GUARD_NEVER && atomic_load(&slot->step_two_ns) == GUARD_NEVER);
        CHECK(guard_remaining_ms(slot) == -1);
        guard_look(&guard, guard_now_ns() + 3600 * 1000 * MS);
        CHECK(guard_answer(slot) == GUARD_NO_REASON);
    }
    CHECK(n_interrupts == 0 && n_last_words == 0);
}

static void without_a_runtime_api_there_is_no_last_word(void)
{
    struct guard_config config = a_config();
    struct guard_slot *slot;

    config.runtime_host = NULL;
    slot = open_counting(config);
    arm(slot, 10000, -1);
    guard_look(&guard, atomic_load(&slot->deadline_ns) + MS);
    CHECK(n_interrupts == 1 && n_last_words == 0 && guard_answer(slot) == GUARD_TIMEOUT);
}

static void an_id_that_does_not_fit_is_declined(void)
{
    struct guard_slot *slot = open_counting(a_config());
    char id[GUARD_ID_CAP];
    struct guard_call call = {.request_id = id, .request_id_len = sizeof id, .deadline_ms = wall_ms() + 1000};

    memset(id, 'x', sizeof id);
    CHECK(guard_arm(&guard, slot, &call) == GUARD_TOO_LONG);
    call.request_id_len--;
    CHECK(guard_arm(&guard, slot, &call) == 0 && strlen(slot->request_id) == GUARD_ID_CAP - 1);
}

static void a_stream_is_not_touched_while_a_piece_is_written(void)
{
    struct guard_slot *slot = open_counting(a_config());
    uint64_t deadline;

    arm(slot, 10000, -1);
    deadline = atomic_load(&slot->deadline_ns);
    CHECK(guard_stream_write(slot) == 0);
    guard_look(&guard, deadline - 100 * MS);
    CHECK(n_interrupts == 1 && guard_take_interrupt(slot) == GUARD_NO_REASON);
    CHECK(guard_look(&guard, deadline - 30 * MS) == deadline - 29 * MS); /* the writer may still finish its piece */
    CHECK(n_last_words == 0);
    CHECK(guard_stream_pause(slot, true) == 0);
    CHECK(guard_take_interrupt(slot) == GUARD_TIMEOUT);
    guard_look(&guard, deadline - 28 * MS);
    CHECK(n_last_words == 1 && last_was == GUARD_STREAM_IDLE && guard_stream_write(slot) == GUARD_LOST);
}

static void a_stream_stuck_in_a_write_is_cut(void)
{
    struct guard_slot *slot = open_counting(a_config());
    uint64_t deadline;

    arm(slot, 10000, -1);
    deadline = atomic_load(&slot->deadline_ns);
    CHECK(guard_stream_write(slot) == 0);
    guard_look(&guard, deadline - 6 * MS);
    CHECK(n_last_words == 0);
    guard_look(&guard, deadline - 5 * MS);
    CHECK(n_last_words == 1 && last_was == GUARD_STREAM_WRITING && guard_stream_pause(slot, true) == GUARD_LOST);
}

static struct guard_slot *open_with_memory(void)
{
    struct guard_config config = a_config();

    config.memory_limit = 128 << 20;
    config.memory_margin = 8 << 20;
    config.is_margin_chosen = true;
    return open_counting(config);
}

/* Without a margin of the user's: 1,000 MB, so that the zone in which anything happens is its last 12. */
static struct guard_slot *open_without_a_margin(void)
{
    struct guard_config config = a_config();

    config.memory_limit = 1000 << 20;
    return open_counting(config);
}

static uint64_t look_at_memory(uint64_t now, uint64_t used)
{
    atomic_store(&fake_resident, used);
    return guard_look(&guard, now) - now;
}

static void memory_that_lives_is_left_alone(void)
{
    struct guard_slot *slot = open_without_a_margin();
    uint64_t t = guard_now_ns(), mb = 1 << 20, used, step = MS / 3;
    int i;

    arm(slot, 0, -1);
    CHECK(look_at_memory(t, 100 * mb) > 100 * MS && !guard.has_told_memory);
    look_at_memory(t += 1000 * MS, 994 * mb); /* one leap, which may have been the last: looked at again at once */
    CHECK(guard.has_told_memory && n_interrupts == 0);
    for (i = 0; i < 50; i++) /* and there it stays, looked at ever more rarely */
        step = look_at_memory(t += step, 994 * mb);
    CHECK(step == 4 * MS && n_interrupts == 0 && n_last_words == 0);
    look_at_memory(t += step, 900 * mb);
    for (used = 900 * mb; used <= 985 * mb; used += mb / 4) /* fast, and up to where it still lives */
        look_at_memory(t += MS / 3, used);
    CHECK(n_interrupts == 0 && n_last_words == 0 && guard_answer(slot) == GUARD_NO_REASON);
    arm(slot, 0, -1);
    for (i = 0; i < 50; i++) /* slowly, in the zone: 3 KB in 100 ms */
        look_at_memory(t += 100 * MS, used += 3000);
    CHECK(n_interrupts == 0 && n_last_words == 0 && guard_answer(slot) == GUARD_NO_REASON);
}

static void a_log_that_nobody_reads_does_not_keep_the_thread(void)
{
    struct guard_slot *slot = open_without_a_margin();
    uint64_t t = guard_now_ns();
    char page[4096] = {0};
    int ends[2], before = dup(STDERR_FILENO);

    CHECK(pipe(ends) == 0 && fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
    while (write(ends[1], page, sizeof page) > 0)
        ;
    CHECK(fcntl(ends[1], F_SETFL, 0) == 0 && dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
    arm(slot, 0, -1);
    look_at_memory(t, (uint64_t)960 << 20); /* would wait for ever: the watchdog says so */
    CHECK(dup2(before, STDERR_FILENO) == STDERR_FILENO);
    CHECK(guard.has_told_memory && guard_answer(slot) == GUARD_NO_REASON);
}

static void memory_that_is_about_to_be_crossed_takes_two_steps(void)
{
    struct guard_slot *slot = open_without_a_margin();
    uint64_t t = guard_now_ns(), mb = 1 << 20, used, at_one = 0, at_two = 0;

    arm(slot, 0, -1);
    for (used = 900 * mb; used < 1000 * mb && !at_two; used += mb / 4) { /* 0.75 MB per ms */
        look_at_memory(t += MS / 3, used);
        if (n_interrupts && !at_one)
            at_one = used;
        if (n_last_words)
            at_two = used;
    }
    CHECK(at_one >= 996 * mb && at_one < 998 * mb);
    CHECK(at_two > 998 * mb && at_two < 1000 * mb && last_reason == GUARD_MEMORY);
    CHECK(guard_answer(slot) == GUARD_LOST);

    atomic_store(&slot->word, slot->generation << 16);
    arm(slot, 0, -1); /* interrupted in time: what does not grow any more is given all the time to unwind */
    n_interrupts = 0;
    for (used = 900 * mb; used < 1000 * mb && !n_interrupts; used += mb / 4)
        look_at_memory(t += MS / 3, used);
    CHECK(guard_take_interrupt(slot) == GUARD_MEMORY);
    look_at_memory(t += 1000 * MS, used);
    CHECK(guard_report(slot) == GUARD_MEMORY && n_last_words == 1);
    look_at_memory(t += 4 * MS, used + mb / 4);
    CHECK(n_last_words == 1); /* rendering takes some, */
    look_at_memory(t += MS / 3, 1000 * mb - 300000);
    CHECK(n_last_words == 2 && guard_answer(slot) == GUARD_LOST); /* but not the rest */
}

static void memory_takes_the_same_two_steps(void)
{
    struct guard_slot *slot = open_with_memory();
    uint64_t t = guard_now_ns(), next;

    atomic_store(&fake_resident, 20 << 20);
    arm(slot, 0, -1);
    next = guard_look(&guard, t);
    CHECK(next == t + ((120 - 20) << 20) / 4); /* the time that the fastest allocation needs to get there */
    atomic_store(&fake_resident, (120 << 20) - 4096);
    CHECK(guard_look(&guard, next) == next + MS);
    CHECK(n_interrupts == 0);
    atomic_store(&fake_resident, 120 << 20);
    t = next + MS;
    guard_look(&guard, t);
    CHECK(n_interrupts == 1 && guard_take_interrupt(slot) == GUARD_MEMORY && guard_memory_is_low(&guard));
    atomic_store(&fake_resident, 124 << 20);
    guard_look(&guard, t + 4 * MS); /* it was seen: time to unwind */
    CHECK(n_last_words == 0);
    guard_look(&guard, t + 25 * MS);
    CHECK(n_last_words == 1 && last_reason == GUARD_MEMORY && guard_answer(slot) == GUARD_LOST);
}

static void memory_that_nobody_can_stop_is_reported_at_once(void)
{
    struct guard_slot *slot = open_with_memory();
    uint64_t t = guard_now_ns();

    arm(slot, 0, -1);
    atomic_store(&fake_resident, 126 << 20);
    guard_look(&guard, t);
    CHECK(n_interrupts == 1 && n_last_words == 0);
    guard_look(&guard, t + 2 * MS);
    CHECK(n_last_words == 0);
    guard_look(&guard, t + 3 * MS);
    CHECK(n_last_words == 1);
}

static void a_caught_memory_error_is_the_handlers_own_affair(void)
{
    struct guard_slot *slot = open_with_memory();
    uint64_t t = guard_now_ns(), deadline;

    arm(slot, 10000, -1);
    deadline = atomic_load(&slot->deadline_ns);
    atomic_store(&fake_resident, 121 << 20);
    guard_look(&guard, t);
    CHECK(guard_take_interrupt(slot) == GUARD_MEMORY);
    atomic_store(&fake_resident, 50 << 20);
    guard_look(&guard, t + 50 * MS);
    CHECK(n_last_words == 0);
    guard_look(&guard, deadline - 100 * MS); /* and the deadline still holds */
    CHECK(guard_take_interrupt(slot) == GUARD_TIMEOUT);
    CHECK(guard_answer(slot) == GUARD_TIMEOUT);
}

static void an_idle_guard_sleeps_until_it_is_woken(void)
{
    struct guard_slot *slot = open_with_memory();
    uint64_t t = guard_now_ns(), wake = 0;
    int i;

    arm(slot, 10000, -1);
    guard_look(&guard, t);
    CHECK(guard_answer(slot) == GUARD_NO_REASON);
    for (i = 0; i < 9; i++) {
        wake = guard_look(&guard, t += 1000 * MS);
        CHECK(wake == t + 1000 * MS);
    }
    CHECK(guard_look(&guard, t + 1000 * MS) == GUARD_NEVER);
    arm(slot, 10000, -1);
    CHECK(guard_look(&guard, t + 1001 * MS) < t + 2002 * MS);
}

static void the_last_word_is_a_post_or_the_end_of_a_stream(void)
{
    struct guard_slot *slot = open_counting(a_config());
    struct guard_call call = {.request_id = "a\"b/c",
                              .request_id_len = 5,
                              .invocation_id = "attempt-1",
                              .invocation_id_len = 9,
                              .deadline_ms = wall_ms() + 3000};
    static const char document[] =
        "{\"errorMessage\": \"The handler did not come back within the function's time-out of 3.0 s and could not be "
        "interrupted; the process was ended\", \"errorType\": \"Runtime.InvocationTimeout\", \"requestId\": "
        "\"a\\\"b/c\", \"stackTrace\": []}";
    char expected[4096];
    size_t cap;

    CHECK(guard_arm(&guard, slot, &call) == 0);
    slot->timeout_ms = 2980; /* what is left on arrival is a little less than what was configured */
    cap = guard.request.cap;
    CHECK(guard_put_last_word(&guard, slot, GUARD_RUNNING, GUARD_TIMEOUT) == 0);
    snprintf(expected, sizeof expected,
             "POST /2018-06-01/runtime/invocation/a%%22b%%2Fc/error HTTP/1.1\r\n"
             "Host: 127.0.0.1:9001\r\nUser-Agent: check\r\n"
             "Content-Type: application/json\r\n"
             "Lambda-Runtime-Function-Error-Type: Runtime.InvocationTimeout\r\n"
             "Lambda-Runtime-Invocation-Id: attempt-1\r\n"
             "Content-Length: %zu\r\n\r\n%s",
             strlen(document), document);
    CHECK(buffer_len(&guard.request) == strlen(expected));
    CHECK(memcmp(buffer_head(&guard.request), expected, strlen(expected)) == 0);

    CHECK(guard_put_last_word(&guard, slot, GUARD_STREAM_IDLE, GUARD_TIMEOUT) == 0);
    fwrite(buffer_head(&guard.request), 1, buffer_len(&guard.request), stdout); /* read by the Python side */
    fputs(document, stdout);

    memset(slot->request_id, 0x7f, GUARD_ID_CAP - 1); /* the worst case, in JSON and in the path */
    memset(slot->invocation_id, 'i', GUARD_ID_CAP - 1);
    CHECK(guard_put_last_word(&guard, slot, GUARD_RUNNING, GUARD_MEMORY) == 0);
    CHECK(guard_put_last_word(&guard, slot, GUARD_STREAM_IDLE, GUARD_MEMORY) == 0);
    CHECK(guard.request.cap == cap); /* nothing had to be allocated */
}

/* ---- two threads ------------------------------------------------------------------------------------------------- */

#define N_ROUNDS 20000
static _Atomic bool is_over;

/* The guard's thread, but with a clock under which everything is due: first step one, then step two. */
static void *look_hard(void *arg)
{
    (void)arg;
    while (!atomic_load(&is_over)) {
        guard_look(&guard, guard_now_ns() + 9920 * MS);
        guard_look(&guard, guard_now_ns() + 20000 * MS);
    }
    return NULL;
}

static void whatever_races_an_invocation_is_answered_once(void)
{
    struct guard_slot *slot = open_counting(a_config());
    pthread_t watcher;
    unsigned seed = 1;
    int i, n_answered = 0, n_lost = 0, n_after = 0;

    CHECK(pthread_create(&watcher, NULL, look_hard, NULL) == 0);
    for (i = 0; i < N_ROUNDS; i++) {
        int before = n_last_words, status = 0, n_spins = (int)(rand_r(&seed) % 3);

        arm(slot, i % 64 == 1 ? 60000 : 10000, -1); /* now and then not due at all, */
        while (n_spins-- > 0 || (i % 64 == 0 && !guard_is_fired(slot))) /* and now and then surely lost */
            sched_yield();
        if (i % 3 == 0)
            guard_take_interrupt(slot);
        if (i % 2) { /* a streamed response in two pieces */
            status = guard_stream_write(slot);
            if (!status)
                status = guard_stream_pause(slot, true);
            if (!status)
                status = guard_stream_write(slot);
        }
        if (status >= 0 && i % 7 == 0) { /* the handler raised, and its error is rendered */
            status = guard_report(slot);
            sched_yield();
            if (status >= 0)
                CHECK(guard_take_interrupt(slot) == GUARD_NO_REASON);
        }
        if (status >= 0)
            status = guard_answer(slot);
        if (status >= 0) {
            n_answered++;
            CHECK(n_last_words == before);
            if (i % 5 == 0) {
                n_after++;
                guard_begin_after(&guard, slot);
                sched_yield();
                CHECK(guard_answer(slot) >= 0);
            }
        } else {
            n_lost++;
            CHECK(status == GUARD_LOST);
            while (sem_wait(&said) < 0)
                ;
            CHECK(n_last_words == before + 1);
            atomic_store(&slot->word, slot->generation << 16); /* only here: the real guard ends the process */
        }
        CHECK(guard_take_interrupt(slot) == GUARD_NO_REASON);
    }
    atomic_store(&is_over, true);
    pthread_join(watcher, NULL);
    CHECK(n_answered + n_lost == N_ROUNDS && n_lost == n_last_words);
    CHECK(n_told <= n_after);
    fprintf(stderr, "answered by the loop %d, by the guard %d\n", n_answered, n_lost);
    CHECK(n_answered > 0 && n_lost > 0);
}

static void the_thread_fires_for_each_of_many_invocations(void)
{
    struct guard_slot *slot = open_counting(a_config());
    int i;

    CHECK(guard_start(&guard) == 0 && guard_start(&guard) == 0);
    for (i = 1; i <= 20; i++) {
        arm(slot, 20, -1); /* a lost wake-up would leave this waiting for ever: the watchdog says so */
        while (sem_wait(&said) < 0)
            ;
        /* Step one is not asked for: a thread that comes too late for it goes on to step two, on a busy machine. */
        CHECK(n_last_words == i && guard_answer(slot) == GUARD_LOST);
        atomic_store(&slot->word, slot->generation << 16);
        arm(slot, 60000, -1); /* and one that ends well, so that the thread sleeps far too long for the next */
        CHECK(guard_answer(slot) == GUARD_NO_REASON);
    }
    guard_stop(&guard);
    guard_stop(&guard);
}

static void the_thread_tells_of_each_of_many_that_hang_after_the_answer(void)
{
    struct guard_slot *slot = open_counting(a_config());
    int i;

    CHECK(guard_start(&guard) == 0);
    for (i = 1; i <= 20; i++) {
        arm(slot, 60000, -1); /* the thread sleeps far too long for what follows */
        CHECK(guard_answer(slot) == GUARD_NO_REASON);
        atomic_store(&slot->deadline_ns, guard_now_ns() + 20 * MS);
        guard_begin_after(&guard, slot);
        if (STATE_OF(slot) == GUARD_AFTER) /* a lost wake-up would leave this waiting for ever: the watchdog says so */
            while (sem_wait(&told) < 0)
                ;
        else
            i--; /* this machine was busy for 20 ms: again */
        CHECK(n_told == i && n_last_words == 0 && guard_answer(slot) >= 0);
    }
    guard_stop(&guard);
}

static void *arm_often(void *arg)
{
    struct guard_slot *slot = guard_take_slot(&guard);
    int i;

    (void)arg;
    CHECK(slot != NULL);
    for (i = 0; i < 3000; i++) {
        arm(slot, 200 + i % 7 * 500, -1);
        CHECK(guard_answer(slot) >= 0 || n_last_words > 0);
    }
    guard_give_slot(slot);
    return NULL;
}

static void several_loops_share_one_guard(void)
{
    pthread_t loops[4];
    int i;

    open_with_memory();
    atomic_store(&fake_resident, 100 << 20);
    CHECK(guard_start(&guard) == 0);
    for (i = 0; i < 4; i++)
        CHECK(pthread_create(&loops[i], NULL, arm_often, NULL) == 0);
    for (i = 0; i < 4; i++)
        pthread_join(loops[i], NULL);
    guard_stop(&guard);
    CHECK(guard_open(&guard, &guard.config) == 0);
}

static void starting_and_stopping_leaves_nothing(void)
{
    struct guard_slot *slot = open_counting(a_config());
    int i;

    for (i = 0; i < 200; i++) {
        CHECK(guard_start(&guard) == 0);
        arm(slot, 60000, -1);
        CHECK(guard_answer(slot) == GUARD_NO_REASON);
        guard_stop(&guard);
    }
}

/* ---- processes --------------------------------------------------------------------------------------------------- */

static int wait_for(pid_t child)
{
    int status = -1;

    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static void a_forked_child_has_no_guard_and_no_connection(void)
{
    struct guard_slot *slot = open_counting(a_config());
    int pair[2], status;
    pid_t child;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    CHECK(guard_start(&guard) == 0);
    arm(slot, 60000, pair[0]);
    child = fork();
    if (child == 0) {
        int ok = atomic_load(&guard.is_forked) && fcntl(pair[0], F_GETFD) < 0 && errno == EBADF &&
                 fcntl(pair[1], F_GETFD) >= 0;

        _exit(ok ? 0 : 9);
    }
    status = wait_for(child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(!atomic_load(&guard.is_forked) && fcntl(pair[0], F_GETFD) >= 0);
    CHECK(guard_answer(slot) == GUARD_NO_REASON);
    child = fork(); /* between two invocations the slot's descriptor may be somebody else's by now */
    if (child == 0)
        _exit(fcntl(pair[0], F_GETFD) >= 0 ? 0 : 9);
    status = wait_for(child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    guard_stop(&guard);
}

static int listener, other_listener; /* the second on another host, with the same port */
static char port[8];

static int listen_on(in_addr_t host, in_port_t number)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = number, .sin_addr = {htonl(host)}};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    CHECK(bind(fd, (struct sockaddr *)&address, len) == 0 && listen(fd, 4) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    snprintf(port, sizeof port, "%d", ntohs(address.sin_port));
    return fd;
}

static void listen_somewhere(void)
{
    listener = listen_on(INADDR_LOOPBACK, 0);
    other_listener = listen_on(INADDR_LOOPBACK + 1, htons((uint16_t)atoi(port)));
}

static int connect_to(in_addr_t host)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(host)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_port = htons((uint16_t)atoi(port));
    CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

static char received[8192];

static size_t read_until_closed_or_whole(int fd)
{
    size_t n = 0;
    ssize_t got;

    memset(received, 0, sizeof received);
    while (n < sizeof received - 1 && (got = read(fd, received + n, sizeof received - 1 - n)) > 0) {
        n += (size_t)got;
        if (strstr(received, "\"stackTrace\": []}") || (n > 4 && memcmp(received + n - 4, "\r\n\r\n", 4) == 0 &&
                                                        strncmp(received, "0\r\n", 3) == 0))
            break;
    }
    return n;
}

enum stuck { STUCK_RUNNING, STUCK_FD_GONE, STUCK_FD_REUSED, STUCK_FD_OF_ANOTHER_HOST, STUCK_STREAM, STUCK_WRITING };

/* A child that is stuck; its guard speaks. Returns the child's wait status. */
static int watch_a_stuck_child(enum stuck how, const char *file)
{
    pid_t child;
    int answering, i;

    listen_somewhere();
    child = fork();
    if (child == 0) {
        struct guard_config config = a_config();
        struct guard_slot *slot;
        int fd = connect_to(INADDR_LOOPBACK), other;

        alarm(0);
        config.runtime_port = port;
        CHECK(guard_open(&guard, &config) == 0);
        slot = guard_take_slot(&guard);
        CHECK(guard_start(&guard) == 0);
        if (how == STUCK_FD_GONE || how == STUCK_FD_REUSED)
            close(fd);
        if (how == STUCK_FD_REUSED)
            CHECK(open(file, O_RDWR | O_CREAT, 0600) == fd);
        guard.interrupt = count_interrupt;
        arm(slot, 400, fd);
        if (how == STUCK_FD_OF_ANOTHER_HOST) {
            other = connect_to(INADDR_LOOPBACK + 1);
            CHECK(dup2(other, fd) == fd && close(other) == 0);
        }
        if (how == STUCK_STREAM || how == STUCK_WRITING)
            CHECK(guard_stream_write(slot) == 0);
        if (how == STUCK_STREAM)
            CHECK(guard_stream_pause(slot, true) == 0);
        guard_wait_for_end();
    }
    answering = accept(listener, NULL, NULL);
    if (how == STUCK_FD_GONE || how == STUCK_FD_REUSED || how == STUCK_FD_OF_ANOTHER_HOST) {
        close(answering);
        answering = accept(listener, NULL, NULL);
    }
    read_until_closed_or_whole(answering);
    i = (int)write(answering, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", 44);
    CHECK(i == 44 || how == STUCK_WRITING);
    i = wait_for(child);
    close(answering);
    close(listener);
    if (how == STUCK_FD_OF_ANOTHER_HOST) {
        char stolen[16];

        answering = accept(other_listener, NULL, NULL);
        CHECK(read(answering, stolen, sizeof stolen) == 0);
        close(answering);
    }
    close(other_listener);
    return i;
}

static void step_two_posts_and_ends_the_process(void)
{
    int status = watch_a_stuck_child(STUCK_RUNNING, NULL);

    CHECK(strncmp(received, "POST /2018-06-01/runtime/invocation/id-1/error HTTP/1.1\r\n", 56) == 0);
    CHECK(strstr(received, "\"errorType\": \"Runtime.InvocationTimeout\""));
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == GUARD_EXIT_TIMEOUT);
}

static void step_two_takes_a_fresh_connection_when_ours_is_gone(void)
{
    int status = watch_a_stuck_child(STUCK_FD_GONE, NULL);

    CHECK(strncmp(received, "POST /2018-06-01/runtime/invocation/id-1/error HTTP/1.1\r\n", 56) == 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == GUARD_EXIT_TIMEOUT);
}

static void step_two_does_not_write_into_a_file_that_took_the_number(void)
{
    char file[] = "guard-check-XXXXXX";
    int fd = mkstemp(file), status = watch_a_stuck_child(STUCK_FD_REUSED, file);

    CHECK(strncmp(received, "POST ", 5) == 0);
    CHECK(lseek(fd, 0, SEEK_END) == 0);
    unlink(file);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == GUARD_EXIT_TIMEOUT);
}

static void step_two_does_not_write_to_another_host_with_the_same_port(void)
{
    int status = watch_a_stuck_child(STUCK_FD_OF_ANOTHER_HOST, NULL);

    CHECK(strncmp(received, "POST /2018-06-01/runtime/invocation/id-1/error HTTP/1.1\r\n", 56) == 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == GUARD_EXIT_TIMEOUT);
}

static void step_two_ends_a_quiet_stream_with_trailers(void)
{
    int status = watch_a_stuck_child(STUCK_STREAM, NULL);

    CHECK(strstr(received, "0\r\nLambda-Runtime-Function-Error-Type: Runtime.InvocationTimeout\r\n") == received);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == GUARD_EXIT_TIMEOUT);
}

static void step_two_only_cuts_a_stream_in_the_middle_of_a_piece(void)
{
    int status = watch_a_stuck_child(STUCK_WRITING, NULL);

    CHECK(received[0] == 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == GUARD_EXIT_TIMEOUT);
}

static void our_signals_are_free_ones(void)
{
    int first = guard_free_signal(guard_signals_below()), second = guard_free_signal(first);

    CHECK(first > SIGRTMIN + 3 && first < SIGRTMAX - 5 && second == first - 1);
    signal(first, SIG_IGN);
    CHECK(guard_free_signal(guard_signals_below()) == second);
}

static const struct {
    const char *name;
    void (*run)(void);
} CHECKS[] = {
#define ONE(name) {#name, name}
    ONE(step_one_interrupts_until_python_has_seen_it),
    ONE(where_the_thread_wakes_late_both_steps_come_earlier),
    ONE(what_a_report_needs_is_loaded_once_by_the_first_that_is_late),
    ONE(what_does_not_come_back_is_called_again_at_growing_distances),
    ONE(step_two_fires_once_and_the_loop_has_lost),
    ONE(a_report_is_not_interrupted_while_it_is_rendered),
    ONE(a_report_that_is_not_rendered_in_time_is_the_guards),
    ONE(an_answered_invocation_is_left_alone_and_so_is_the_next),
    ONE(what_hangs_after_the_answer_is_told_once_and_left_alone),
    ONE(what_comes_back_after_the_answer_is_not_told),
    ONE(little_time_after_the_answer_is_halved),
    ONE(a_thawed_process_is_looked_at_with_the_clock_of_now),
    ONE(short_deadlines_leave_half_of_the_time),
    ONE(an_unknown_or_passed_deadline_is_not_watched),
    ONE(without_a_runtime_api_there_is_no_last_word),
    ONE(an_id_that_does_not_fit_is_declined),
    ONE(a_stream_is_not_touched_while_a_piece_is_written),
    ONE(a_stream_stuck_in_a_write_is_cut),
    ONE(memory_takes_the_same_two_steps),
    ONE(memory_that_lives_is_left_alone),
    ONE(a_log_that_nobody_reads_does_not_keep_the_thread),
    ONE(memory_that_is_about_to_be_crossed_takes_two_steps),
    ONE(memory_that_nobody_can_stop_is_reported_at_once),
    ONE(a_caught_memory_error_is_the_handlers_own_affair),
    ONE(an_idle_guard_sleeps_until_it_is_woken),
    ONE(the_last_word_is_a_post_or_the_end_of_a_stream),
    ONE(whatever_races_an_invocation_is_answered_once),
    ONE(the_thread_fires_for_each_of_many_invocations),
    ONE(the_thread_tells_of_each_of_many_that_hang_after_the_answer),
    ONE(several_loops_share_one_guard),
    ONE(starting_and_stopping_leaves_nothing),
    ONE(a_forked_child_has_no_guard_and_no_connection),
    ONE(step_two_posts_and_ends_the_process),
    ONE(step_two_takes_a_fresh_connection_when_ours_is_gone),
    ONE(step_two_does_not_write_into_a_file_that_took_the_number),
    ONE(step_two_does_not_write_to_another_host_with_the_same_port),
    ONE(step_two_ends_a_quiet_stream_with_trailers),
    ONE(step_two_only_cuts_a_stream_in_the_middle_of_a_piece),
    ONE(our_signals_are_free_ones),
#undef ONE
};

int main(int argc, char **argv)
{
    size_t i;

    sem_init(&said, 0, 0);
    sem_init(&told, 0, 0);
    alarm(120); /* a check that hangs has failed */
    for (i = 0; i < sizeof CHECKS / sizeof CHECKS[0]; i++) {
        if (argc < 2) {
            puts(CHECKS[i].name);
        } else if (strcmp(argv[1], CHECKS[i].name) == 0) {
            CHECKS[i].run();
            return 0;
        }
    }
    return argc < 2 ? 0 : 2;
}
