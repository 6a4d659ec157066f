/* The guard: a thread that watches the deadline and the memory of the invocations in flight, and answers for a handler
 * that does not come back.
 *
 * Owns the watching thread and the slots, one per invocation in flight.
 * Promises that an invocation is answered by the loop or by the guard, never by both, never by neither: one
 *   compare-and-swap on the slot's word decides. Arming and answering make no system call in the steady state.
 * Must not know Python: no object, no GIL. What the thread may send or print was copied in when the slot was armed.
 * Source: docs/guard.md; Runtime API 2018-06-01; pthread_atfork(3), proc_pid_statm(5), signal-safety(7). */
#ifndef FASTLAMBDA_GUARD_H
#define FASTLAMBDA_GUARD_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

/* Who may write to the connection of a slot's invocation. Written beside each state: who may leave it, and for where.
 *   IDLE            nobody: no invocation.                                    loop: arm -> RUNNING
 *   RUNNING         nobody: the handler runs, the connection is quiet.        loop: -> STREAM_WRITING, ANSWERING
 *                                                                             guard: -> FIRED
 *   STREAM_WRITING  the loop, in the middle of a response body.               loop: -> STREAM_IDLE, ANSWERING; RUNNING
 *                                                                             when nothing could be sent
 *                                                                             guard: -> FIRED, and then it only cuts
 *   STREAM_IDLE     nobody: the body is between two chunks.                   loop: -> STREAM_WRITING, ANSWERING
 *                                                                             guard: -> FIRED, and then it ends the body
 *   ANSWERING       the loop, until the next arm.                             loop: -> AFTER; arm -> RUNNING
 *   AFTER           nobody: the answer is out, what follows it runs.          loop: -> ANSWERING
 *                                                                             guard: sets a reason, and then tells of it
 *   FIRED           the guard, until the process ends.                        nobody                                   */
enum guard_state {
    GUARD_IDLE = 0,
    GUARD_RUNNING = 1,
    GUARD_STREAM_WRITING = 2,
    GUARD_STREAM_IDLE = 3,
    GUARD_ANSWERING = 4,
    GUARD_FIRED = 5,
    GUARD_AFTER = 6,
};

/* Beside a state in which nobody or the loop writes: the handler is over, with an error whose report is being rendered.
 * Nothing is left to interrupt, and until guard_answer() the guard may still answer: rendering takes long where CPU is
 * scarce, or where the log is a pipe that nobody reads. */
#define GUARD_OVER 0x80

/* Why the handler is (to be) interrupted. */
enum guard_reason {
    GUARD_NO_REASON = 0,
    GUARD_TIMEOUT = 1,
    GUARD_MEMORY = 2,
};

#define GUARD_LOST (-10101)     /* the guard has won: the loop must not write, and waits for the end of the process */
#define GUARD_TOO_LONG (-10102) /* an id does not fit into the slot: this invocation runs unguarded */

/* Ids are UUIDs in practice; a slot is copied into on each invocation, so its size is part of that cost. */
#define GUARD_ID_CAP 256
/* Several invocations at once (Managed Instances). Untouched slots are untouched pages. */
#define GUARD_N_SLOTS 256
#define GUARD_NEVER UINT64_MAX
#define GUARD_COMMON_CAP 1024
#define GUARD_GROUP_CAP 256 /* the folder of a control group; a longer one is left alone */

/* Our signals are the highest free ones from here downwards. glibc keeps the two or three lowest for itself, musl three;
 * SIGRTMAX and the two below it are what tools take first (valgrind, QEMU, debuggers), SIGRTMIN + small is what
 * libraries take (the Boehm collector, service managers), SIGALRM, SIGPROF, SIGVTALRM, SIGURG, SIGUSR1 and SIGUSR2 belong
 * to time-out decorators, profilers, the Go runtime and users. */
#define GUARD_SIGNALS_BELOW (SIGRTMAX - 6)
#define GUARD_EXIT_TIMEOUT 124 /* as timeout(1) does */
#define GUARD_EXIT_MEMORY 125

/* What the loop tells when it arms. Pointers are borrowed for the call only. */
struct guard_call {
    const char *request_id;    /* header-safe bytes, checked by the wire */
    size_t request_id_len;     /* bytes, below GUARD_ID_CAP */
    const char *invocation_id; /* Lambda-Runtime-Invocation-Id to echo, or NULL */
    size_t invocation_id_len;  /* bytes, below GUARD_ID_CAP */
    int64_t deadline_ms;       /* wall clock, Unix milliseconds; 0: unknown */
    int fd;                    /* the connection, or -1: closed, the last word takes a fresh one */
    uint64_t identity;         /* of the connection, see net.h */
    bool is_interruptible;     /* the handler runs in config.handler_thread */
};

/* One invocation in flight. The loop writes the plain fields while the word says IDLE or ANSWERING; the thread reads
 * them after its own compare-and-swap to FIRED and at no other time. So the two never touch them together. */
struct guard_slot {
    /* generation << 16 | reason << 8 | GUARD_OVER | state: whoever holds a stale generation fails its compare-and-swap. */
    _Alignas(64) _Atomic uint64_t word;
    _Atomic uint64_t step_zero_ns;   /* monotonic; from here on the thread looks how late it wakes (guard_look.c) */
    _Atomic uint64_t step_one_ns;    /* monotonic; GUARD_NEVER: no deadline known */
    _Atomic uint64_t step_two_ns;    /* monotonic; GUARD_NEVER: no last word */
    _Atomic uint64_t deadline_ns;    /* monotonic */
    _Atomic uint64_t interrupted_at; /* thread only: monotonic time of the first step one of this generation */
    _Atomic uint32_t n_again;        /* how often the handler was called again after it had seen that */
    _Atomic uint32_t taken;          /* low bits of generation << 8 | reason: the interruption that Python has seen */
    _Atomic bool is_used;            /* the slot belongs to a loop (guard_take_slot) */
    _Atomic bool is_interruptible;
    _Atomic int fd; /* atomic for the fork hook, which may find the slot in any state; so is the next */
    _Atomic uint64_t identity;

    uint64_t generation; /* loop only */
    uint64_t stall;      /* thread only: the latest of its wake-ups since step zero of `stall_of`; ns */
    uint64_t stall_of;   /* thread only: a generation */
    int64_t timeout_ms;  /* from arrival to deadline, for the message */
    char request_id[GUARD_ID_CAP];
    char invocation_id[GUARD_ID_CAP];
};

/* Set once, before the thread starts. */
struct guard_config {
    uint64_t margin_ns;       /* step one comes this long before the deadline */
    uint64_t last_ns;         /* step two comes this long before the deadline */
    uint64_t memory_limit;    /* bytes; 0: unknown, memory is not watched */
    uint64_t memory_margin;   /* bytes: step one comes this far below the limit, step two half as far */
    bool is_margin_chosen;    /* else memory_margin is that of guard_memory_is_low() alone, and growth decides */
    const char *runtime_host; /* of the Runtime API; NULL: there is none, and no last word. Copied, as the next three. */
    const char *runtime_port; /* decimal */
    const char *prefix;       /* before the Runtime API's own path; NULL: none */
    const char *common;       /* "Host: ...\r\nUser-Agent: ...\r\n" */
    size_t common_len;        /* bytes, at most GUARD_COMMON_CAP */
    int interrupt_signal;     /* to the thread that runs the handlers; 0: there is no step one */
    int dump_signal;          /* raised on the guard's own thread, dumps the stacks of all threads; 0: no dump */
    pthread_t handler_thread; /* where interrupt_signal goes */
    void (*prepare)(void);    /* on a thread of its own, once: a handler has come to step zero; NULL: nothing to do */
};

struct guard {
    struct guard_config config;
    /* The acts, replaceable so that tests can count them. NULL: the real ones. */
    void (*interrupt)(struct guard *, struct guard_slot *);
    void (*last_word)(struct guard *, struct guard_slot *, enum guard_state was, enum guard_reason);
    void (*tell)(struct guard *, uint64_t left_ns);
    uint64_t (*resident)(struct guard *); /* bytes; 0: cannot tell */

    /* The alarm clock between loop and thread: the loop stores its slot's word and then reads next_wake, the thread
     * stores next_wake and then reads the words. All sequentially consistent, so one of the two sees the other. */
    _Alignas(64) _Atomic uint64_t next_wake;
    _Atomic uint64_t sample_every; /* ns until memory has to be looked at again; GUARD_NEVER: not watched */
    _Atomic bool is_forked;        /* this is a forked child: nothing here is ours any more */
    _Atomic int n_slots;           /* slots[0 .. n_slots) have ever been taken */

    pthread_mutex_t mutex; /* held by the thread unless it sleeps; guards must_stop */
    pthread_cond_t wake;   /* on the monotonic clock */
    bool must_stop;
    bool is_started; /* written by start and stop alone */
    pthread_t thread;

    /* Thread only. */
    uint64_t lateness; /* of the wake-up that led to this look; ns */
    bool is_prepared;
    uint64_t next_sample;
    uint64_t last_sample; /* when, and what was in use then */
    uint64_t last_used;
    uint64_t pause; /* between two looks near the limit */
    bool has_told_memory;
    bool has_looked_for_group;
    const struct group_files *group_files; /* NULL: the process's resident size counts */
    uint64_t group_limit;
    char group[GUARD_GROUP_CAP]; /* its folder */
    uint64_t seen_generations;
    unsigned n_idle_ticks;

    char host[256], port[8], prefix[256], common[GUARD_COMMON_CAP];
    struct sigaction dump_action; /* what dumps the stacks */
    struct buffer request; /* reserved at the start: the last word must not need memory that is not there */

    struct guard_slot slots[GUARD_N_SLOTS];
};

/* The process's own, in static memory: no thread ever looks at freed slots, not even while the interpreter ends. */
struct guard *guard_shared(void);

/* Makes a forked child know that it is one. Without it, and before guard_start(), is_forked stays false. 0 or -errno. */
int guard_watch_forks(struct guard *g);

/* Sends `number` to this process after `ms` milliseconds, once; needs no thread. 0 or -errno (-ENOSYS: not here). */
int guard_set_alarm(int number, int64_t ms);
/* Takes it back; does nothing when none is set. */
void guard_cancel_alarm(void);

/* Keeps the present stderr for what the guard has to say. The number under which it is kept. Call it again at will. */
int guard_keep_stderr(void);

/* Prepares a guard (zeroed before its first time); starts nothing. 0 or -errno; -EBUSY while its thread runs. */
int guard_open(struct guard *g, const struct guard_config *config);

/* Starts the thread. Call it again at will. 0 or -errno. */
int guard_start(struct guard *g);

/* Ends the thread and waits for it (release the GIL first). Call it again at will. */
void guard_stop(struct guard *g);

/* A slot for a loop, or NULL when all are in use. Give it back when the loop ends. */
struct guard_slot *guard_take_slot(struct guard *g);
void guard_give_slot(struct guard_slot *slot);

/* The loop has an invocation. 0, or GUARD_TOO_LONG. Nothing of `call` is kept but copies. */
int guard_arm(struct guard *g, struct guard_slot *slot, const struct guard_call *call);

/* The loop wants to write the (rest of the) answer. >= 0: it is the loop's; the value is the guard_reason that step
 * one had, if it had come. GUARD_LOST: the guard's; call guard_wait_for_end(). */
int guard_answer(struct guard_slot *slot);

/* The handler is over, and the loop begins to render the report of its error, to be followed by guard_answer() where the
 * write begins. >= 0: the guard_reason that step one had, if it had come; it does not come any more. GUARD_LOST: the
 * guard has answered. */
int guard_report(struct guard_slot *slot);

/* The loop wants to write a piece of a streamed body, the head included. 0, or GUARD_LOST. */
int guard_stream_write(struct guard_slot *slot);

/* The piece is written in full, or (has_begun false) not a byte of the stream is. 0, or GUARD_LOST. */
int guard_stream_pause(struct guard_slot *slot, bool has_begun);

/* The answer is out, and what comes after it runs in the loop, until guard_answer(). If it lasts until shortly before the
 * deadline the guard says so on stderr, once, with the stacks: nothing is interrupted, answered or ended. */
void guard_begin_after(struct guard *g, struct guard_slot *slot);

/* The invocation's connection is another one now. */
void guard_set_fd(struct guard_slot *slot, int fd, uint64_t identity);

/* Called in the handler's thread by the Python-level handler of interrupt_signal, and after a stream's write: the
 * guard_reason to raise for, once per interruption; GUARD_NO_REASON when there is nothing (left) to raise, which
 * includes every signal that comes too late. */
int guard_take_interrupt(struct guard_slot *slot);

/* True when the handler's thread is not called again before step two: what is still waited for is waited for in vain. */
bool guard_is_last_call(const struct guard_slot *slot);

/* True when no loop has a slot. */
bool guard_is_unused(struct guard *g);

/* True in a forked child of the process whose guard this is. */
bool guard_is_forked(const struct guard *g);

/* True while the slot's invocation of that generation is its handler's: neither answered nor about to be. */
bool guard_is_pending(const struct guard_slot *slot, uint64_t generation);

/* True once the guard owns the answer. */
bool guard_is_fired(const struct guard_slot *slot);

/* Waits for the guard to end the process; never returns. Call it without the GIL. */
void guard_wait_for_end(void);

/* Milliseconds until the slot's deadline, 0 when it has passed, -1 when none is known. */
int64_t guard_remaining_ms(const struct guard_slot *slot);

/* Resident bytes of this process, 0 when they cannot be told. */
uint64_t guard_resident_bytes(void);

/* True when resident memory is (still) above step one's mark. */
bool guard_memory_is_low(struct guard *g);

/* The highest real-time signal below `below` that nobody handles; 0: none (macOS has none). */
int guard_free_signal(int below);

/* What guard_free_signal() starts from here; see GUARD_SIGNALS_BELOW. */
int guard_signals_below(void);

/* Thread's rounds by hand, for tests: acts on what is due at `now_ns`, returns when to look again. */
uint64_t guard_look(struct guard *g, uint64_t now_ns);

/* Renders the last word, a POST or a stream's end, into `g->request`. 0 or -errno. */
int guard_put_last_word(struct guard *g, const struct guard_slot *slot, enum guard_state was,
                        enum guard_reason reason);

uint64_t guard_now_ns(void);

#endif
