/* The socket room as a shared object for ctypes.  Built by the tests.
 * Its sendmsg(2) can be told to fail, and keeps the flags that it was called with. */
#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

static int fail_with;
static int flags_seen;
static size_t n_calls;
static ssize_t watched_sendmsg(int fd, const struct msghdr *message, int flags);

#define sendmsg watched_sendmsg
#include "net.c"
#undef sendmsg

static ssize_t watched_sendmsg(int fd, const struct msghdr *message, int flags)
{
    n_calls++;
    flags_seen = flags;
    if (fail_with) {
        errno = fail_with;
        fail_with = 0;
        return -1;
    }
    return sendmsg(fd, message, flags);
}

/* The next sendmsg(2) fails with this errno, once. */
void shim_fail_once(int with)
{
    fail_with = with;
}

int shim_flags_seen(void)
{
    return flags_seen;
}

size_t shim_n_calls(void)
{
    return n_calls;
}

size_t shim_out_size(void)
{
    return sizeof(struct net_out);
}
