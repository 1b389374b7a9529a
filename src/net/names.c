/* names.c - the cache of name look-ups. Each look-up is a fiber of a scope of its own, because a
 * call of getaddrinfo cannot be taken back: whoever waits for it may give up, the look-up goes on.
 */
#include "net/names.h"
#include "base/map.h"
#include "base/str.h"
#include "rt/fiber.h"
#include "rt/rt.h"
#include "rt/worker.h"
#include <arpa/inet.h>
#include <assert.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_MS   60000
#define FAILED_MS 1000
#define NAMES_MAX 1024
#define ADDRS_MAX 16

struct name {
    struct names *owner;
    char *host;
    char *addrs;      /* NULL: none known */
    int failure;      /* EAI_* of the last look-up, 0 when it was good */
    int64_t until_ms; /* the answer (or failure) holds until then */
    bool looking;     /* a look-up is on its way */
    unsigned waiting; /* fibers in names_find: the entry may not go */
    struct waitq answer;
};

struct names {
    struct map *by_host; /* of struct name */
    struct scope scope;  /* the look-ups' fibers */
    unsigned looking;
    uint64_t lookups;
};

struct names *
names_new(void)
{
    struct names *n = xcalloc(1, sizeof *n);
    n->by_host = map_new();
    scope_open_detached(&n->scope);
    return n;
}

static void
name_free(struct name *e)
{
    assert(!e->looking && !e->waiting);
    free(e->host);
    free(e->addrs);
    free(e);
}

void
names_free(struct names *n)
{
    if (!n)
        return;
    if (n->looking)
        scope_end(&n->scope);
    const char *key;
    void *value;
    for (size_t i = 0; map_next(n->by_host, &i, &key, &value);)
        name_free(value);
    map_free(n->by_host);
    free(n);
}

uint64_t
names_lookups(const struct names *n)
{
    return n->lookups;
}

bool
name_is_address(const char *host)
{
    struct in6_addr a;
    char inner[INET6_ADDRSTRLEN];
    if (inet_pton(AF_INET, host, &a) == 1)
        return true;
    size_t len = strlen(host);
    if (host[0] != '[')
        return inet_pton(AF_INET6, host, &a) == 1;
    size_t n = strcspn(host + 1, "%]"); /* a zone may follow: [fe80::1%25eth0] */
    if (host[len - 1] != ']' || n >= sizeof inner)
        return false;
    memcpy(inner, host + 1, n);
    inner[n] = '\0';
    return inet_pton(AF_INET6, inner, &a) == 1;
}

struct question { /* one look-up, on its fiber's stack; the thread writes into it */
    const char *host;
    struct str addrs;
    int failure;
};

static void
address_add(struct str *to, const struct addrinfo *a)
{
    char text[INET6_ADDRSTRLEN];
    bool v6 = a->ai_family == AF_INET6;
    const void *from =
        v6 ? (const void *)&((const struct sockaddr_in6 *)(void *)a->ai_addr)->sin6_addr
           : &((const struct sockaddr_in *)(void *)a->ai_addr)->sin_addr;
    if (!v6 && a->ai_family != AF_INET)
        return;
    if (!inet_ntop(a->ai_family, from, text, sizeof text))
        return;
    str_addf(to, v6 ? "%s[%s]" : "%s%s", to->len ? "," : "", text);
}

/* On a thread of the pool. */
static void
question_ask(void *arg)
{
    struct question *q = arg;
    struct addrinfo *all = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    int rc = getaddrinfo(q->host, NULL, &hints, &all);
    /* A machine with nothing but loopback has no "configured" family for AI_ADDRCONFIG. */
    if (rc == EAI_NONAME || rc == EAI_ADDRFAMILY || rc == EAI_NODATA) {
        const struct addrinfo any = {.ai_socktype = SOCK_STREAM};
        rc = getaddrinfo(q->host, NULL, &any, &all);
    }
    q->failure = rc;
    if (rc)
        return;
    unsigned n = 0;
    for (const struct addrinfo *a = all; a && n < ADDRS_MAX; a = a->ai_next, n++)
        address_add(&q->addrs, a);
    freeaddrinfo(all);
    if (!q->addrs.len)
        q->failure = EAI_NODATA;
}

static void
name_look_up(void *arg)
{
    struct name *e = arg;
    struct question q = {.host = e->host};
    offload(question_ask, &q);
    e->failure = q.failure;
    if (!q.failure) {
        free(e->addrs);
        e->addrs = str_steal(&q.addrs);
    }
    str_fini(&q.addrs);
    e->until_ms = rt_after(q.failure ? FAILED_MS : KEEP_MS);
    e->looking = false;
    e->owner->looking--;
    waitq_wake_all(&e->answer);
}

/* Makes room by dropping what has run out, then whatever nobody waits for. */
static void
names_trim(struct names *n)
{
    for (int pass = 0; pass < 2 && map_len(n->by_host) >= NAMES_MAX; pass++) {
        const char *key;
        void *value;
        for (size_t i = 0; map_next(n->by_host, &i, &key, &value);) {
            struct name *e = value;
            if (e->looking || e->waiting || (pass == 0 && e->until_ms > rt_now_ms()))
                continue;
            map_del(n->by_host, key);
            name_free(e);
        }
    }
}

static struct name *
name_entry(struct names *n, const char *host)
{
    struct name *e = map_get(n->by_host, host);
    if (e)
        return e;
    names_trim(n);
    e = xcalloc(1, sizeof *e);
    e->owner = n;
    e->host = xstrdup(host);
    e->until_ms = INT64_MIN;
    map_put(n->by_host, host, e);
    return e;
}

static struct err *
name_failed(const struct name *e)
{
    if (e->failure == EAI_NONAME || e->failure == EAI_NODATA)
        return FAIL(ERR_TRANSIENT,
                    "no address is known for the host '%s' (check its spelling and the network)",
                    e->host);
    return FAIL(ERR_TRANSIENT,
                "the host '%s' could not be looked up: %s (check the network and its name server)",
                e->host, gai_strerror(e->failure));
}

struct err *
names_find(struct names *n, const char *host, int64_t deadline_ms, const char **ret_addrs)
{
    struct name *e = name_entry(n, host);
    if (!e->looking && e->until_ms <= rt_now_ms()) {
        e->looking = true;
        n->looking++;
        n->lookups++;
        scope_spawn(&n->scope, "name look-up", name_look_up, e);
    }
    while (e->looking) {
        e->waiting++;
        struct err *err = waitq_wait(&e->answer, deadline_ms);
        e->waiting--;
        if (err)
            return WRAP(err, "looking up the host '%s'", host);
    }
    if (!e->addrs)
        return name_failed(e);
    *ret_addrs = e->addrs;
    return NULL;
}
