/* How much memory is used, how fast it is filled, and how often that has to be looked at. */
#include "guard_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Nothing allocates faster: touching fresh memory was measured at 0.3 bytes per ns in pages of 4 KiB, and at 3.3 in huge
 * pages (2026-11, x86_64 virtual machine of two cores). */
#define FASTEST_BYTES_PER_NS 4
#define SAMPLE_MIN (1 * NS_PER_MS)
#define SAMPLE_MAX NS_PER_SECOND

/* By default nothing happens before this part of the limit is all that is left, in thousandths: a handler that peaks
 * below it lives. The kernel charges a group in batches, so its count runs ahead by up to 256 KiB a CPU: with 12, a handler that
 * filled 98.5 % of 128 MB in one step was failed every time on an idle machine of two CPUs (1.97 MB left, 1.47 counted). */
#define ZONE_PER_MILLE 9
/* In and near the zone it is looked this often while memory is being filled, and ever more rarely while it is not. */
#define NEAR_MIN (300 * NS_PER_MS / 1000)
#define NEAR_MAX (4 * NS_PER_MS)
/* Step one: what is left is filled within this time. The handler has to see the signal and to unwind. */
#define STEP_ONE_WITHIN (4 * NS_PER_MS)
/* Step two: within this one, or less than that is left. The thread renders and sends the last word. */
#define STEP_TWO_WITHIN (1200 * NS_PER_MS / 1000)
#define STEP_TWO_LEFT (384 << 10)
/* The log says once that it is close. */
#define CLOSE_PER_MILLE 50

/* A small file, ended with 0; opened each time: user code may close every descriptor, and ours would then be another file.
 * Its length, 0 when it cannot be read. */
static size_t read_text(const char *path, char *to, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return 0;
    n = read(fd, to, cap - 1);
    close(fd);
    to[n > 0 ? n : 0] = 0;
    return n > 0 ? (size_t)n : 0;
}

uint64_t guard_resident_bytes(void)
{
#ifdef __linux__
    char text[128], *at;

    if (!read_text("/proc/self/statm", text, sizeof text))
        return 0;
    at = strchr(text, ' '); /* proc_pid_statm(5): size, then resident, in pages */
    return at ? strtoull(at, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
#else
    return 0;
#endif
}

/* ---- the kernel's own count of the control group ----------------------------------------------------------------- */

static const struct group_files {
    const char *mount, *limit, *usage;
    const char *reclaimable[3]; /* of memory.stat: what the kernel takes back before it kills */
} GROUPS[] = {
    {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
     {"\ntotal_inactive_file ", "\ntotal_active_file ", NULL}},
    {"/sys/fs/cgroup", "memory.max", "memory.current", {"\ninactive_file ", "\nactive_file ", "\nslab_reclaimable "}},
};

static uint64_t read_number(const char *folder, const char *name)
{
    char path[GUARD_GROUP_CAP + 32], text[32];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return read_text(path, text, sizeof text) ? strtoull(text, NULL, 10) : 0; /* "max" is 0 */
}

/* True when the folder is of a group whose limit may be the function's: one that is far above it is somebody else's. */
static bool take_group(struct guard *g, const struct group_files *files, const char *path)
{
    uint64_t limit;
    int len = snprintf(g->group, sizeof g->group, "%s%s", files->mount, strcmp(path, "/") ? path : "");

    if (len < 0 || (size_t)len >= sizeof g->group)
        return false;
    limit = read_number(g->group, files->limit);
    if (!limit || limit > g->config.memory_limit + g->config.memory_limit / 8)
        return false;
    g->group_limit = earlier(limit, g->config.memory_limit);
    return true;
}

/* cgroups(7): lines "id:controllers:path", version 2 with the id 0 and no controllers. In a container the path may be the
 * host's, and what is mounted the group itself. */
static const struct group_files *find_group(struct guard *g)
{
    char text[4096], *line, *end, *path;

    if (!read_text("/proc/self/cgroup", text, sizeof text))
        return NULL;
    for (line = text; *line; line = end) {
        const struct group_files *files = NULL;

        end = line + strcspn(line, "\n");
        if (*end)
            *end++ = 0;
        path = strchr(line, ':');
        path = path ? strchr(path + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = 0;
        if (strcmp(line, "0:") == 0)
            files = &GROUPS[1];
        else if (strstr(line, ":memory") || strstr(line, ",memory"))
            files = &GROUPS[0];
        if (files && (take_group(g, files, path) || take_group(g, files, "/")))
            return files;
    }
    return NULL;
}

static uint64_t reclaimable(const struct guard *g)
{
    char path[GUARD_GROUP_CAP + 32], text[8192];
    const char *at;
    uint64_t sum = 0;
    int i;

    text[0] = '\n';
    snprintf(path, sizeof path, "%s/memory.stat", g->group);
    if (!read_text(path, text + 1, sizeof text - 1))
        return 0;
    for (i = 0; i < 3 && g->group_files->reclaimable[i]; i++) {
        at = strstr(text, g->group_files->reclaimable[i]);
        if (at)
            sum += strtoull(at + strlen(g->group_files->reclaimable[i]), NULL, 10);
    }
    return sum;
}

/* ---- what is used ------------------------------------------------------------------------------------------------ */

static uint64_t resident(struct guard *g)
{
    return g->resident ? g->resident(g) : guard_resident_bytes();
}

/* What counts towards the limit, and the limit: the group's where it can be read, else the process's alone. The group is
 * looked for when the process has filled half of the memory: most never do. */
static uint64_t used_of(struct guard *g, uint64_t *limit)
{
    uint64_t used = resident(g), back;

    *limit = g->config.memory_limit;
    if (g->resident || g->config.is_margin_chosen || used < *limit / 2)
        return used;
    if (!g->has_looked_for_group) {
        g->has_looked_for_group = true;
        g->group_files = find_group(g);
    }
    if (!g->group_files)
        return used;
    *limit = g->group_limit;
    used = read_number(g->group, g->group_files->usage);
    if (used < *limit - *limit / 8) /* far enough to leave the rest alone, which takes the kernel longer to count */
        return used;
    back = reclaimable(g);
    return used > back ? used - back : 0;
}

static uint64_t mark_one(const struct guard *g)
{
    return g->config.memory_limit > g->config.memory_margin ? g->config.memory_limit - g->config.memory_margin : 1;
}

static uint64_t mark_two(const struct guard *g)
{
    return g->config.memory_limit - g->config.memory_margin / 2;
}

bool guard_memory_is_low(struct guard *g)
{
    return g->config.memory_limit && resident(g) >= mark_one(g);
}

/* ---- when it is too much ----------------------------------------------------------------------------------------- */

static uint64_t time_to_fill(uint64_t bytes)
{
    return bytes / FASTEST_BYTES_PER_NS;
}

/* The user's margin: an interruption as soon as so little is left. */
static enum guard_pressure judge_margin(struct guard *g, uint64_t used, uint64_t *every)
{
    uint64_t one = mark_one(g);

    *every = time_to_fill(used >= one ? 0 : one - used);
    if (*every < SAMPLE_MIN)
        *every = SAMPLE_MIN;
    if (used >= mark_two(g))
        return GUARD_PRESSURE_TWO;
    return used >= one ? GUARD_PRESSURE_ONE : GUARD_PRESSURE_NONE;
}

/* No margin: only what is filled so fast that the rest is gone in a moment. A jump that was not seen on its way is no
 * verdict, for it may have been the last; it is looked again at once. */
static enum guard_pressure judge_growth(struct guard *g, uint64_t used, uint64_t limit, uint64_t now, uint64_t *every)
{
    uint64_t left = limit > used ? limit - used : 0, zone = limit / 1000 * ZONE_PER_MILLE, near = 4 * zone;
    uint64_t grown = used > g->last_used ? used - g->last_used : 0, took = now - g->last_sample;
    bool was_near = g->last_used && g->last_used + near >= limit;
    enum guard_pressure pressure = GUARD_PRESSURE_NONE;

    if (left > near) {
        *every = time_to_fill(left - near / 2);
        if (*every < SAMPLE_MIN)
            *every = SAMPLE_MIN;
        g->pause = NEAR_MIN;
    } else {
        g->pause = grown || !was_near ? NEAR_MIN : earlier(2 * g->pause, NEAR_MAX);
        *every = g->pause;
    }
    if (left <= zone && grown && was_near && took) {
        double rate = (double)grown / (double)took;
        uint64_t soon = (uint64_t)(rate * STEP_ONE_WITHIN), very_soon = (uint64_t)(rate * STEP_TWO_WITHIN);

        if (left <= soon || left <= grown || left <= STEP_TWO_LEFT)
            pressure = GUARD_PRESSURE_ONE;
        if (left <= zone / 2 && (left <= very_soon || left <= STEP_TWO_LEFT))
            pressure = GUARD_PRESSURE_TWO;
    }
    if (left <= limit / 1000 * CLOSE_PER_MILLE && !g->has_told_memory) {
        g->has_told_memory = true;
        guard_tell_memory(used, limit);
    }
    return pressure;
}

enum guard_pressure guard_sample_memory(struct guard *g, uint64_t now)
{
    enum guard_pressure pressure = GUARD_PRESSURE_NONE;
    uint64_t used, limit, every = SAMPLE_MAX;

    if (!g->config.memory_limit || now < g->next_sample)
        return GUARD_PRESSURE_NONE;
    used = used_of(g, &limit);
    if (used) {
        pressure = g->config.is_margin_chosen ? judge_margin(g, used, &every) : judge_growth(g, used, limit, now, &every);
        g->last_used = used;
    }
    every = earlier(every, SAMPLE_MAX);
    g->last_sample = now;
    g->next_sample = now + every;
    atomic_store_explicit(&g->sample_every, every, memory_order_relaxed);
    return pressure;
}
