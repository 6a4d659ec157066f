#include "fork.h"

#include <pthread.h>
#include <stdatomic.h>

static atomic_uint count;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int status;

static void in_child(void)
{
    atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
}

static void watch(void)
{
    status = -pthread_atfork(NULL, NULL, in_child);
}

int fork_watch(void)
{
    pthread_once(&once, watch);
    return status;
}

unsigned fork_count(void)
{
    return atomic_load_explicit(&count, memory_order_relaxed);
}
