#include "arenas.h"

#include <dlfcn.h>
#include <stdatomic.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#define MAX_KEPT 32
#define HEAP_BLOCK (32 << 20) /* blocks up to here, the largest that glibc takes, come from the heap: orjson reads into 12 times the text */

/* PyObjectArenaAllocator. */
struct allocator {
    void *ctx;
    void *(*alloc)(void *ctx, size_t size);
    void (*free)(void *ctx, void *at, size_t size);
};

static struct allocator below; /* set once, before ours is installed */
static _Atomic(void *) kept[MAX_KEPT];
static size_t n_places, arena_size;

static void *take(void *ctx, size_t size)
{
    size_t i;

    (void)ctx;
    if (size == arena_size)
        for (i = 0; i < n_places; i++)
            if (atomic_load_explicit(&kept[i], memory_order_relaxed)) {
                void *at = atomic_exchange(&kept[i], NULL);

                if (at)
                    return at;
            }
    return below.alloc(below.ctx, size);
}

static void give(void *ctx, void *at, size_t size)
{
    size_t i;

    (void)ctx;
    if (size == arena_size)
        for (i = 0; i < n_places; i++) {
            void *empty = NULL;

            if (atomic_compare_exchange_strong(&kept[i], &empty, at))
                return;
        }
    below.free(below.ctx, at, size);
}

bool arenas_keep(size_t bound)
{
    static bool is_asked, is_keeping;
    void (*get)(struct allocator *), (*set)(struct allocator *);
    struct allocator ours = {NULL, take, give};

    if (is_asked)
        return is_keeping;
    is_asked = true;
    *(void **)&get = dlsym(RTLD_DEFAULT, "PyObject_GetArenaAllocator");
    *(void **)&set = dlsym(RTLD_DEFAULT, "PyObject_SetArenaAllocator");
    if (!get || !set)
        return false;
    arena_size = 1 << 20;
    n_places = bound / arena_size < MAX_KEPT ? bound / arena_size : MAX_KEPT;
    if (!n_places)
        return false;
    get(&below);
    set(&ours);
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, HEAP_BLOCK);
    mallopt(M_TRIM_THRESHOLD, (int)(2 * bound));
#endif
    is_keeping = true;
    return true;
}

void arenas_release(void)
{
    size_t i;

    for (i = 0; i < n_places; i++) {
        void *at = atomic_exchange(&kept[i], NULL);

        if (at)
            below.free(below.ctx, at, arena_size);
    }
}
