/* The alarm that watches init, and signals that nobody has taken. No thread is needed for either. */
#include "guard_internal.h"

#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

#ifdef __linux__
/* By system call: until glibc 2.34 these live in a library of their own. A timer is not inherited by fork or exec. */
static int alarm_id = -1;

int guard_set_alarm(int number, int64_t ms)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = number};
    struct itimerspec when = {.it_value = {(time_t)(ms / 1000), (long)(ms % 1000) * (long)NS_PER_MS}};

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

bool guard_is_handled(int number)
{
    struct sigaction now;

    return sigaction(number, NULL, &now) == 0 &&
           ((now.sa_flags & SA_SIGINFO) || (now.sa_handler != SIG_DFL && now.sa_handler != SIG_IGN));
}

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
