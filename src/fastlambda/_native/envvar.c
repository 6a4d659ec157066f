#include "envvar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#ifdef __APPLE__
#include <crt_externs.h>
#define environ (*_NSGetEnviron())
#else
extern char **environ;
#endif

/* The environment points into this for the rest of the process's life, so it is static: two places, used in turn. */
static struct {
    char *text; /* "NAME=value"; owned, never freed */
    size_t cap;
} places[2];
static int next;

/* The entry of the environment that is `text` itself; NULL when somebody has put another value there, or none is. */
static char **find_entry(const char *text)
{
    char **entry = environ;

    while (text && entry && *entry) {
        if (*entry == text)
            return entry;
        entry++;
    }
    return NULL;
}

int envvar_put(const char *name, const char *value, size_t len)
{
    size_t name_len = strlen(name), need = name_len + 1 + len + 1;
    char *text = places[next].text, **entry = find_entry(places[!next].text);

    if (places[next].cap < need) {
        size_t cap = need < 256 ? 256 : 2 * need;

        /* Not realloc: a reader may hold a pointer into the old text, which is small and given up rarely. */
        text = malloc(cap);
        if (!text)
            return -ENOMEM;
        places[next].text = text;
        places[next].cap = cap;
    }
    memcpy(text, name, name_len);
    text[name_len] = '=';
    memcpy(text + name_len + 1, value, len);
    text[name_len + 1 + len] = 0;
    if (entry)
        *entry = text; /* what putenv would do, after comparing every name on the way there */
    else if (putenv(text) != 0)
        return -ENOMEM;
    next = !next;
    return 0;
}
