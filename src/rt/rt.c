/* rt.c - the loop: ready fibers, timers, libuv or virtual time; randomness; signals. */
#include "rt/rt.h"
#include "base/hash.h"
#include "rt/core.h"
#include "rt/loop.h"
#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

_Thread_local struct rt *rt_now;

#define GUARDED_MAX    28000
#define SIM_WALL_START 1767225600000 /* 2026-01-01T00:00:00Z */
#define ROUNDS_MAX     8             /* of ready fibers, before the system is asked for news */

/* ---- timers: a binary heap of ticks ---------------------------------------- */

static bool
tick_before(const struct tick *a, const struct tick *b)
{
    return a->when_ms != b->when_ms ? a->when_ms < b->when_ms : a->order < b->order;
}

static void
tick_place(struct rt *rt, size_t i, struct tick *t)
{
    rt->heap.at[i] = t;
    t->at = i + 1;
}

static void
tick_sift(struct rt *rt, size_t i)
{
    struct tick *t = rt->heap.at[i];
    while (i && tick_before(t, rt->heap.at[(i - 1) / 2])) {
        tick_place(rt, i, rt->heap.at[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (size_t k; (k = 2 * i + 1) < rt->heap.len; i = k) {
        if (k + 1 < rt->heap.len && tick_before(rt->heap.at[k + 1], rt->heap.at[k]))
            k++;
        if (!tick_before(rt->heap.at[k], t))
            break;
        tick_place(rt, i, rt->heap.at[k]);
    }
    tick_place(rt, i, t);
}

void
tick_disarm(struct tick *t)
{
    struct rt *rt = rt_now;
    if (!t->at)
        return;
    size_t i = t->at - 1;
    t->at = 0;
    struct tick *last = vec_pop(&rt->heap);
    if (last == t)
        return;
    tick_place(rt, i, last);
    tick_sift(rt, i);
}

void
tick_arm(struct tick *t, int64_t when_ms)
{
    struct rt *rt = rt_now;
    tick_disarm(t);
    if (when_ms == DEADLINE_NONE)
        return;
    t->when_ms = when_ms;
    t->order = ++rt->tick_order;
    vec_push(&rt->heap, t);
    t->at = rt->heap.len;
    tick_sift(rt, rt->heap.len - 1);
}

int64_t
tick_next(struct rt *rt)
{
    return rt->heap.len ? rt->heap.at[0]->when_ms : DEADLINE_NONE;
}

void
tick_run_due(struct rt *rt)
{
    int64_t now = rt->heap.len ? rt_now_ms() : 0;
    while (rt->heap.len && rt->heap.at[0]->when_ms <= now) {
        struct tick *t = rt->heap.at[0];
        tick_disarm(t);
        t->fn(t);
    }
}

/* ---- time and chance ------------------------------------------------------- */

bool
rt_is_simulated(void)
{
    return rt_now && rt_now->simulated;
}

int64_t
rt_now_ms(void)
{
    return rt_now->simulated ? rt_now->sim_now_ms : (int64_t)(uv_hrtime() / 1000000);
}

int64_t
rt_now_us(void)
{
    return rt_now->simulated ? rt_now->sim_now_ms * 1000 : (int64_t)(uv_hrtime() / 1000);
}

int64_t
rt_wall_ms(void)
{
    struct rt *rt = rt_now;
    int64_t now;
    if (rt->simulated) {
        now = rt->sim_wall_base_ms + rt->sim_now_ms;
    } else {
        struct timespec ts;
        clock_gettime(CLOCK_REALTIME, &ts);
        now = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
    }
    rt->wall_last_ms = MAX(rt->wall_last_ms, now);
    return rt->wall_last_ms;
}

int64_t
rt_after(int64_t ms)
{
    int64_t now = rt_now_ms();
    return ms < 0 || ms > DEADLINE_NONE - now ? DEADLINE_NONE : now + ms;
}

/* xoshiro256** (Blackman and Vigna), seeded by splitmix64. */
static uint64_t
rng_next(uint64_t s[4])
{
    uint64_t x = s[1] * 5, t = s[1] << 17;
    uint64_t result = ((x << 7) | (x >> 57)) * 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 45) | (s[3] >> 19);
    return result;
}

static void
rng_seed(uint64_t s[4], uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = (seed += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        s[i] = z ^ (z >> 31);
    }
}

void
rt_random(void *bytes, size_t n)
{
    unsigned char *p = bytes;
    for (size_t i = 0; i < n; i += 8) {
        uint64_t x = rng_next(rt_now->rng);
        memcpy(p + i, &x, MIN(n - i, sizeof x));
    }
}

uint64_t
rt_random_below(uint64_t n)
{
    assert(n > 0);
    uint64_t x, limit = UINT64_MAX - UINT64_MAX % n;
    do
        x = rng_next(rt_now->rng);
    while (x >= limit);
    return x % n;
}

const char *
rt_env(const char *name)
{
    return rt_is_simulated() ? NULL : getenv(name);
}

char *const *
rt_environ(void)
{
    static char *const none[] = {NULL};
    return rt_is_simulated() ? none : environ;
}

void
rt_note(struct rt *rt, uint64_t x)
{
    if (!rt->simulated)
        return;
    rt->digest = (rt->digest ^ x) * 0x100000001b3u;
    rt->digest ^= (rt->digest >> 29) ^ (uint64_t)rt->sim_now_ms;
}

/* ---- opening and closing --------------------------------------------------- */

static void
rt_posted_run(struct rt *rt)
{
    pthread_mutex_lock(&rt->posted_lock);
    struct posted *p = rt->posted_first;
    rt->posted_first = rt->posted_last = NULL;
    pthread_mutex_unlock(&rt->posted_lock);
    while (p) {
        struct posted *next = p->next;
        p->fn(p->arg);
        free(p);
        p = next;
    }
}

static void
rt_on_async(uv_async_t *a)
{
    rt_posted_run(a->data);
}

void
rt_post(struct rt *rt, void (*fn)(void *arg), void *arg)
{
    struct posted *p = xcalloc(1, sizeof *p);
    p->fn = fn;
    p->arg = arg;
    pthread_mutex_lock(&rt->posted_lock);
    if (rt->posted_last)
        rt->posted_last->next = p;
    else
        rt->posted_first = p;
    rt->posted_last = p;
    pthread_mutex_unlock(&rt->posted_lock);
    if (!rt->simulated)
        uv_async_send(&rt->uv_async);
}

/* Where stdin, stdout or stderr are closed, what is opened next gets their numbers: what is printed
 * would go there, and libuv aborts when it is to close one of them. */
static void
stdio_fill(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR); /* the lowest number that is free; programs inherit it */
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

struct err *
rt_open(const struct rt_opts *opts, struct rt **ret_rt)
{
    assert(!rt_now);
    struct rt *rt = xcalloc(1, sizeof *rt);
    rt->simulated = opts->simulated;
    rt->guarded_max = opts->guarded_max ? opts->guarded_max : GUARDED_MAX;
    rt->sim_wall_base_ms = SIM_WALL_START;
    uint64_t seed = opts->seed;
    if (!rt->simulated && getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        abort();
    rng_seed(rt->rng, seed);
    pthread_mutex_init(&rt->posted_lock, NULL);
    if (!rt->simulated) {
        stdio_fill();
        int rc = uv_loop_init(&rt->loop);
        if (rc) {
            free(rt);
            return FAIL(ERR_LIMIT, "the event loop could not be made: %s", uv_strerror(rc));
        }
        uv_timer_init(&rt->loop, &rt->uv_timer);
        uv_async_init(&rt->loop, &rt->uv_async, rt_on_async);
        rt->uv_async.data = rt;
        struct sigaction pipe;
        if (sigaction(SIGPIPE, NULL, &pipe) == 0 && pipe.sa_handler == SIG_DFL)
            signal(SIGPIPE, SIG_IGN); /* a peer that goes away is an error of the write */
    }
    rt_now = rt;
    *ret_rt = rt;
    return NULL;
}

void
rt_close(struct rt *rt)
{
    assert(rt == rt_now && !rt->running);
    sim_dismiss(rt);
    assert(rt->fibers == 0); /* whoever spawned them waits for them first */
    sim_fini(rt);
    if (!rt->simulated) {
        for (size_t i = 0; i < COUNT(rt->signals); i++) {
            if (rt->signals[i].open)
                uv_close((uv_handle_t *)&rt->signals[i].handle, NULL);
        }
        uv_close((uv_handle_t *)&rt->uv_timer, NULL);
        uv_close((uv_handle_t *)&rt->uv_async, NULL);
        uv_run(&rt->loop, UV_RUN_DEFAULT);
        int rc = uv_loop_close(&rt->loop);
        assert(rc == 0); /* a handle was left open */
        (void)rc;
    }
    rt_posted_run(rt);
    stacks_free(rt);
    vec_fini(&rt->ready);
    vec_fini(&rt->heap);
    vec_fini(&rt->idle_jobs);
    pthread_mutex_destroy(&rt->posted_lock);
    rt_now = NULL;
    free(rt);
}

/* ---- the loop -------------------------------------------------------------- */

static struct fiber *
ready_take(struct rt *rt)
{
    if (rt->simulated) {
        size_t n = rt->ready.len - rt->ready_head;
        size_t i = rt->ready_head + (n > 1 ? rt_random_below(n) : 0);
        struct fiber *f = rt->ready.at[i];
        rt->ready.at[i] = rt->ready.at[rt->ready_head];
        rt->ready.at[rt->ready_head] = f;
    }
    struct fiber *f = rt->ready.at[rt->ready_head++];
    if (rt->ready_head == rt->ready.len)
        rt->ready_head = rt->ready.len = 0;
    return f;
}

static bool
ready_any(const struct rt *rt)
{
    return rt->ready_head < rt->ready.len;
}

static void
ready_run(struct rt *rt)
{
    size_t n = rt->ready.len - rt->ready_head; /* those woken meanwhile wait for the next turn */
    while (n-- && ready_any(rt)) {
        struct fiber *f = ready_take(rt);
        fiber_switch_in(rt, f);
        while (rt->deep_fn) { /* it asked for the large stack: serve it and go on with it at once */
            void (*fn)(void *) = rt->deep_fn;
            fn(rt->deep_arg);
            rt->deep_fn = NULL;
            fiber_switch_in(rt, f);
        }
    }
    if (rt->ready_head > 1024 && rt->ready_head * 2 > rt->ready.len) {
        rt->ready.len -= rt->ready_head;
        memmove(rt->ready.at, rt->ready.at + rt->ready_head, rt->ready.len * sizeof *rt->ready.at);
        rt->ready_head = 0;
    }
}

static void
on_uv_timer(uv_timer_t *t)
{
    (void)t; /* only ends uv_run; due ticks are run by the loop below */
}

static bool
turn_real(struct rt *rt)
{
    int64_t next = tick_next(rt);
    bool wait = !ready_any(rt);
    if (wait && next != DEADLINE_NONE) {
        int64_t ms = next - rt_now_ms();
        wait = ms > 0;
        uv_update_time(&rt->loop);
        /* It repeats: were it due before uv_run polls, a one-shot timer would be gone by then and
         * the poll would wait for ever. */
        if (wait)
            uv_timer_start(&rt->uv_timer, on_uv_timer, (uint64_t)ms, 1);
    }
    uv_run(&rt->loop, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    uv_timer_stop(&rt->uv_timer);
    return true;
}

static bool
turn_simulated(struct rt *rt)
{
    rt_posted_run(rt);
    if (ready_any(rt))
        return true;
    for (size_t i = 0; i < rt->idle_jobs.len; i++) {
        if (rt->idle_jobs.at[i].fn(rt->idle_jobs.at[i].ctx))
            return true;
    }
    int64_t next = tick_next(rt);
    if (next == DEADLINE_NONE)
        return ready_any(rt);
    rt->sim_now_ms = MAX(rt->sim_now_ms, next);
    return true;
}

bool
rt_drive(struct rt *rt, bool (*done)(void *arg), void *arg)
{
    assert(rt == rt_now && !rt->running);
    while (!done(arg)) {
        ready_run(rt);
        for (unsigned i = 1; i < ROUNDS_MAX && !rt->simulated && ready_any(rt); i++)
            ready_run(rt);
        tick_run_due(rt);
        if (done(arg))
            break;
        if (!(rt->simulated ? turn_simulated(rt) : turn_real(rt)))
            return false;
        tick_run_due(rt);
    }
    return true;
}

struct root {
    struct scope scope;
    void (*fn)(void *arg);
    void *arg;
};

static bool
root_done(void *arg)
{
    return ((struct root *)arg)->scope.count == 0;
}

void
rt_run(struct rt *rt, void (*fn)(void *arg), void *arg)
{
    struct root root = {.fn = fn, .arg = arg};
    scope_init_root(&root.scope);
    fiber_new(&root.scope, "main", fn, arg);
    bool ended = rt_drive(rt, root_done, &root);
    if (!ended) {
        /* Every fiber waits for something that cannot come: a bug, or a peer of a simulation that
         * never answers without any deadline set. Let them unwind. */
        rt->crashed = true;
        for (struct fiber *f = rt->all; f; f = f->all_next)
            fiber_wake_as(f, WAKE_CANCEL);
        ended = rt_drive(rt, root_done, &root);
        assert(ended);
    }
}

void
rt_on_idle(bool (*fn)(void *ctx), void *ctx)
{
    vec_push(&rt_now->idle_jobs, ((struct idle_job){fn, ctx}));
}

void
rt_off_idle(void *ctx)
{
    struct rt *rt = rt_now;
    for (size_t i = 0; i < rt->idle_jobs.len; i++) {
        if (rt->idle_jobs.at[i].ctx == ctx)
            rt->idle_jobs.at[i--] = vec_pop(&rt->idle_jobs);
    }
}

static void
on_uv_signal(uv_signal_t *h, int signum)
{
    struct signal_slot *s = h->data;
    if (s->fn)
        s->fn(s->ctx, signum);
}

struct err *
rt_on_signal(int signum, void (*fn)(void *ctx, int signum), void *ctx)
{
    struct rt *rt = rt_now;
    if (rt->simulated)
        return NULL;
    struct signal_slot *s = NULL;
    for (size_t i = COUNT(rt->signals); i-- > 0;) {
        if (!rt->signals[i].open || rt->signals[i].handle.signum == signum)
            s = &rt->signals[i];
    }
    if (!s)
        return FAIL(ERR_LIMIT, "too many signals are watched");
    if (!s->open)
        uv_signal_init(&rt->loop, &s->handle);
    s->open = true;
    s->handle.data = s;
    s->fn = fn;
    s->ctx = ctx;
    if (fn)
        uv_signal_start(&s->handle, on_uv_signal, signum);
    else
        uv_signal_stop(&s->handle);
    uv_unref((uv_handle_t *)&s->handle);
    return NULL;
}

void
rt_stats(struct rt_stats *ret_stats)
{
    const struct rt *rt = rt_now;
    *ret_stats = (struct rt_stats){.fibers = rt->fibers,
                                   .fibers_peak = rt->fibers_peak,
                                   .stacks = rt->stacks,
                                   .switches = rt->switches,
                                   .timers = rt->heap.len};
}
