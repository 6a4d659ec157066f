/* Start, stop and fork of the guard. */
#include "guard_internal.h"

#include "net.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

/* faulthandler's dump needs some 10 KiB; libraries with much thread-local data need theirs from the same mapping.
 * Pages that are not touched cost nothing. */
#define STACK_SIZE (256 * 1024)

/* The one whose invocations a forked child must not answer. */
static _Atomic(struct guard *) live_guard;

struct guard *guard_shared(void)
{
    static struct guard shared;

    return &shared;
}

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
            net_hang_up(atomic_exchange(&g->slots[i].fd, -1), atomic_load(&g->slots[i].identity));
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
    if (g->config.dump_signal)
        sigaction(g->config.dump_signal, NULL, &g->dump_action);
    g->must_stop = false;
    atomic_store(&g->next_wake, 0); /* a thread that has not looked yet is awake */
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    /* Signals are for the threads where Python can act on them. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    status = -pthread_create(&g->thread, &attributes, guard_watch, g);
    if (status == -EINVAL) /* thread-local data of the libraries does not fit */
        status = -pthread_create(&g->thread, NULL, guard_watch, g);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    g->is_started = status == 0;
    if (status)
        atomic_store(&g->next_wake, GUARD_NEVER);
    return status;
}

static void *call_prepare(void *prepare)
{
    (*(void (**)(void))prepare)();
    return NULL;
}

/* Not on the guard's own thread: whoever prepares may have to wait for a lock that never comes free. Without a thread to be
 * had nothing is prepared. */
void guard_prepare(struct guard *g)
{
    pthread_attr_t attributes;
    pthread_t thread;

    if (g->is_prepared || !g->config.prepare)
        return;
    g->is_prepared = true;
    /* By attribute: pthread_detach() is not in libc.so.6 of glibc 2.17, which the wheels link against alone. */
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_create(&thread, &attributes, call_prepare, &g->config.prepare); /* all signals are blocked here already */
    pthread_attr_destroy(&attributes);
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
