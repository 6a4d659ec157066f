/* Owns: one number, how often this process and its forefathers have forked on their way here.
 * Promises: a read costs one load, no system call; a child sees another number than its parent did before.
 * Must not know: what is not to be used in a child.
 * Source: pthread_atfork(3).  vfork(2) and posix_spawn(3) run no hooks, and need none: they only lead to exec.
 */
#ifndef FASTLAMBDA_FORK_H
#define FASTLAMBDA_FORK_H

/* Counts from now on.  Call it again at will.  0 or -errno. */
int fork_watch(void);

unsigned fork_count(void);

#endif
