/* The stderr that was there at the start: the guard's lines and stacks go there, whatever descriptor 2 has become. */
#include "guard_internal.h"

#include "file.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

/* Where code that closes descriptors which are not its own mostly does not reach; lower where the limit says so. */
#define KEPT_AT 900

static int kept = -1;
static uint64_t file;

/* A child that lives on must not keep the other end from seeing its end of file. */
static void forget(void)
{
    file_close(kept, file);
    kept = -1;
}

int guard_keep_stderr(void)
{
    int from;

    if (file)
        return kept < 0 ? STDERR_FILENO : kept;
    file = file_of(STDERR_FILENO);
    for (from = KEPT_AT; file && kept < 0 && from > STDERR_FILENO; from /= 4)
        kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, from);
    if (kept >= 0)
        pthread_atfork(NULL, NULL, forget);
    return kept < 0 ? STDERR_FILENO : kept;
}

int guard_stderr(bool may_restore)
{
    if (!file) /* nobody has looked at the start */
        return STDERR_FILENO;
    if (kept >= 0 && file_of(kept) == file)
        return kept;
    if (file_of(STDERR_FILENO) != file)
        return -1;
    if (kept >= 0 && may_restore && dup2(STDERR_FILENO, kept) == kept)
        return kept;
    return STDERR_FILENO;
}
