/* opening.c - which driver a store gets: RAM, the folder's database, or its owner's socket. */
#include "rt/file.h"
#include "rt/rt.h"
#include "rt/sync.h"
#include "store/front.h"
#include "store/mem/mem.h"
#include "store/remote/control.h"
#include "store/remote/remote.h"
#include "store/sqlite/sqlite.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUSY_MS_DEFAULT 3000
#define RETRY_MS        20
#define SWITCH_MS       20000 /* to find the new owner or become it */
#define SOCKET_PATH_MAX 100
#define LOOK_TICKS      6 /* after the last guest has gone: until every lease has run out, twice */
_Static_assert(LOOK_TICKS *LEASE_RENEW_MS == 2 * LEASE_MS, "the ticks that a lease lasts");

static void
lock_drop(struct store *s)
{
    if (s->lock_fd >= 0)
        file_unlock(s->lock_fd);
    s->lock_fd = -1;
}

static void
mem_attach(struct store *s, struct store_mem *m)
{
    if (!m)
        m = s->own_mem = store_mem_new();
    s->ops = &mem_ops;
    s->driver = mem_open(m, s->node, store_news, s, &s->clock_floor);
}

static struct err *
database_attach(struct store *s)
{
    AUTO(freep) char *path = path_join(s->dir, "tutti.db");
    struct sqlite_opts opts = {.path = path,
                               .node = s->node,
                               .node_name = s->node_name,
                               .read_only = s->read_only,
                               .adopt = s->was_guest,
                               .news = store_news,
                               .news_ctx = s};
    struct sqlite *db;
    PASS(sqlite_open(&opts, &db, &s->clock_floor));
    s->ops = &sqlite_ops;
    s->driver = db;
    return NULL;
}

/* ---- a folder's owner and its guests --------------------------------------- */

/* A socket's path has room for 100 bytes; a folder deeper than that is reached through its open
 * descriptor, which works for binding, connecting and removing alike. */
static struct err *
socket_path(struct store *s, char **ret_path)
{
    AUTO(freep) char *path = path_join(s->dir, "control.sock");
    if (strlen(path) > SOCKET_PATH_MAX) {
        if (s->dir_fd < 0)
            s->dir_fd = open(s->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (s->dir_fd < 0)
            return FAIL(ERR_MISSING, "the folder '%s' cannot be opened", s->dir);
        free(path);
        path = xasprintf("/proc/self/fd/%d/control.sock", s->dir_fd);
    }
    *ret_path = STEAL(path);
    return NULL;
}

static struct err *
guest_attach(struct store *s, int64_t deadline_ms)
{
    AUTO(freep) char *path = NULL;
    PASS(socket_path(s, &path));
    struct remote_opts opts = {.path = path,
                               .node = s->node,
                               .node_name = s->node_name,
                               .read_only = s->read_only,
                               .news = store_news,
                               .on_gone = store_switch,
                               .ctx = s};
    struct remote *remote;
    int64_t clock;
    PASS(remote_open(&opts, deadline_ms, &remote, &clock));
    s->clock_floor = MAX(s->clock_floor, clock);
    s->ops = &remote_ops;
    s->driver = remote;
    s->was_guest = true;
    return NULL;
}

/* Renews the leases of those who are connected, frees the runs of those who are gone. Our own lease
 * is the folder's lock; so with nobody connected, and nobody left from before, nothing is written.
 */
static void
ticks(void *arg)
{
    struct store *s = arg;
    int64_t until = rt_after(LOOK_TICKS * s->renew_ms);
    for (;;) {
        struct err *e = fiber_sleep(s->renew_ms);
        if (e) {
            err_drop(e);
            return;
        }
        size_t n = 0;
        const char *const *nodes = control_nodes(s->control, &n);
        if (n > 0)
            until = rt_after(LOOK_TICKS * s->renew_ms);
        else if (rt_now_ms() > until)
            continue;
        char **names = xcalloc(n, sizeof *names); /* peers may go while the commit runs */
        for (size_t i = 0; i < n; i++)
            names[i] = xstrdup(nodes[i]);
        AUTO(request_fini)
        struct request r = {.op = OP_TICK, .names = (const char *const *)names, .nnames = n};
        r.now_ms = store_now_ms(s);
        store_exec(s, &r); /* a failure is the same as none: the next tick comes */
        file_names_free(names, n);
    }
}

static struct err *
owner_attach(struct store *s)
{
    struct err *e = database_attach(s);
    if (e || rt_is_simulated())
        return e;
    AUTO(freep) char *path = NULL;
    e = socket_path(s, &path);
    if (!e)
        e = control_open(s, path, &s->control);
    if (e) {
        s->ops->close(s->driver);
        s->driver = NULL;
        return e;
    }
    scope_spawn(&s->scope, "store ticks", ticks, s);
    return NULL;
}

static struct err *
reader_attach(struct store *s, int64_t deadline_ms)
{
    struct err *e = guest_attach(s, deadline_ms);
    if (!e || err_kind(e) == ERR_CANCELLED || err_kind(e) == ERR_INVALID)
        return e;
    err_drop(e);
    return database_attach(s);
}

struct err *
store_attach(struct store *s, int64_t deadline_ms)
{
    AUTO(freep) char *lock = path_join(s->dir, "lock");
    AUTO(freep) char *why = NULL; /* the last attempt that had its time says it best */
    if (s->read_only)
        return reader_attach(s, deadline_ms);
    for (;;) {
        struct err *e = file_lock(lock, &s->lock_fd);
        if (!e) {
            e = owner_attach(s);
            if (e)
                lock_drop(s);
            return e;
        }
        if (err_kind(e) != ERR_LIMIT)
            return e;
        err_drop(e);
        /* Someone has it: it answers now, or soon, or has just let go. */
        e = guest_attach(s, deadline_ms);
        if (!e || err_kind(e) == ERR_CANCELLED || err_kind(e) == ERR_INVALID)
            return e;
        if (!why || err_kind(e) != ERR_TIMEOUT) {
            free(why);
            why = err_text(e);
        }
        err_drop(e);
        if (rt_now_ms() + RETRY_MS >= deadline_ms)
            return FAIL(ERR_LIMIT,
                        "another process has the folder '%s' and does not answer (%s); "
                        "end it or choose another folder with --store",
                        s->dir, why);
        PASS(fiber_sleep(RETRY_MS));
    }
}

/* ---- a new owner ----------------------------------------------------------- */

static void
switch_run(void *arg)
{
    struct store *s = arg;
    struct err *e = NULL;
    while (s->active > 0 && !e)
        e = waitq_wait(&s->idle, DEADLINE_NONE);
    if (!e && s->driver) {
        s->ops->close(s->driver);
        s->driver = NULL;
    }
    if (!e)
        e = store_attach(s, rt_after(SWITCH_MS));
    err_free(s->lost);
    s->lost = e;
    s->switching = false;
    store_news(s, NULL); /* some may have been lost on the way */
    waitq_wake_all(&s->switched);
}

void
store_switch(void *store)
{
    struct store *s = store;
    if (s->switching || s->closing)
        return;
    s->switching = true;
    scope_spawn(&s->scope, "store switch", switch_run, s);
}

/* ---- open and close -------------------------------------------------------- */

static void
store_name(struct store *s, const char *name)
{
    unsigned char random[10];
    rt_random(random, sizeof random);
    store_make_id(rt_wall_ms(), random, s->node);
    s->node_name = name ? xstrdup(name) : xasprintf("process %ld", (long)getpid());
    rt_random(&s->batch_next, sizeof s->batch_next);
    s->batch_next &= INT64_MAX >> 1;
}

static void
store_free(struct store *s)
{
    map_free(s->owned);
    store_mem_free(s->own_mem);
    err_free(s->lost);
    if (s->dir_fd >= 0)
        close(s->dir_fd);
    free(s->dir);
    free(s->node_name);
    free(s);
}

struct err *
store_open(const struct store_opts *opts, struct store **ret_store)
{
    struct store *s = xcalloc(1, sizeof *s);
    s->owned = map_new();
    s->lock_fd = s->dir_fd = -1;
    s->read_only = opts->read_only;
    s->renew_ms = opts->renew_ms > 0 ? opts->renew_ms : LEASE_RENEW_MS;
    store_name(s, opts->node_name);
    if (!opts->dir) {
        mem_attach(s, opts->mem);
        *ret_store = s;
        return NULL;
    }
    s->dir = xstrdup(opts->dir);
    scope_open_detached(&s->scope);
    struct err *e = s->read_only ? NULL : dir_make(s->dir, 0700);
    if (!e)
        e = store_attach(s, rt_after(opts->busy_ms > 0 ? opts->busy_ms : BUSY_MS_DEFAULT));
    if (e) {
        scope_end(&s->scope);
        store_free(s);
        return WRAP(e, "opening the store");
    }
    *ret_store = s;
    return NULL;
}

void
store_close(struct store *s)
{
    if (!s)
        return;
    s->closing = true;
    waitq_wake_all(&s->switched);
    if (s->dir)
        scope_end(&s->scope);
    control_close(STEAL(s->control));
    if (s->driver)
        s->ops->close(s->driver);
    lock_drop(s);
    store_free(s);
}
