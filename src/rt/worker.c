/* worker.c - the thread pool for blocking calls, and the batching thread for commits. */
#include "rt/worker.h"
#include "rt/core.h"
#include "rt/loop.h"
#include "rt/sync.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct offloaded {
    uv_work_t work;
    void (*fn)(void *arg);
    void *arg;
    struct event done;
};

static void
offload_run(uv_work_t *w)
{
    struct offloaded *o = w->data;
    o->fn(o->arg);
}

static void
offload_after(uv_work_t *w, int status)
{
    struct offloaded *o = w->data;
    (void)status;
    event_set(&o->done);
}

/* Waits whatever happens: another thread is using our memory. Only a simulated crash ends it
 * before; there is no other thread then. */
static void
wait_for(struct event *done)
{
    bool was = fiber_shield(true);
    err_drop(event_wait(done, DEADLINE_NONE));
    fiber_shield(was);
}

void
offload(void (*fn)(void *arg), void *arg)
{
    if (!fiber_self() || rt_now->simulated) {
        fn(arg);
        return;
    }
    struct offloaded o = {.fn = fn, .arg = arg};
    o.work.data = &o;
    int rc = uv_queue_work(&rt_now->loop, &o.work, offload_run, offload_after);
    assert(rc == 0);
    (void)rc;
    wait_for(&o.done);
}

struct job {
    struct job *next;
    void *what;
    struct event done;
};

struct worker {
    struct rt *rt;
    const char *name;
    worker_fn fn;
    void *ctx;
    size_t batch_max;
    struct job *first, *last; /* waiting; in a simulation without the lock */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    bool stopping;
};

static struct job *
jobs_take(struct worker *w, size_t *ret_n)
{
    struct job *taken = w->first, *last = NULL;
    size_t n = 0;
    for (struct job *j = taken; j && n < w->batch_max; j = j->next) {
        last = j;
        n++;
    }
    w->first = last ? last->next : NULL;
    if (!w->first)
        w->last = NULL;
    if (last)
        last->next = NULL;
    *ret_n = n;
    return taken;
}

static void
jobs_do(struct worker *w, struct job *jobs, size_t n)
{
    void *stack_room[16];
    void **what = n <= COUNT(stack_room) ? stack_room : xmalloc(n * sizeof *what);
    size_t i = 0;
    for (struct job *j = jobs; j; j = j->next)
        what[i++] = j->what;
    w->fn(w->ctx, what, n);
    if (what != stack_room)
        free(what);
}

static void
jobs_finish(void *arg)
{
    for (struct job *j = arg, *next; j; j = next) {
        next =
            j->next; /* the job is gone once its fiber runs; fibers do not run before we return */
        event_set(&j->done);
    }
}

static void *
worker_main(void *arg)
{
    struct worker *w = arg;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        while (!w->first && !w->stopping)
            pthread_cond_wait(&w->more, &w->lock);
        if (!w->first)
            break;
        size_t n;
        struct job *jobs = jobs_take(w, &n);
        pthread_mutex_unlock(&w->lock);
        jobs_do(w, jobs, n);
        rt_post(w->rt, jobs_finish, jobs);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* Simulation: a batch is done when every fiber waits, so that jobs gather as they do on a thread.
 */
static bool
worker_idle(void *ctx)
{
    struct worker *w = ctx;
    if (!w->first)
        return false;
    size_t n;
    struct job *jobs = jobs_take(w, &n);
    jobs_do(w, jobs, n);
    jobs_finish(jobs);
    return true;
}

struct worker *
worker_new(const char *name, worker_fn fn, void *ctx, size_t batch_max)
{
    struct worker *w = xcalloc(1, sizeof *w);
    w->rt = rt_now;
    w->name = name;
    w->fn = fn;
    w->ctx = ctx;
    w->batch_max = batch_max;
    if (rt_now->simulated) {
        rt_on_idle(worker_idle, w);
        return w;
    }
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->more, NULL);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 1024 * 1024);
    /* Signals belong to the loop's thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&w->thread, &attr, worker_main, w) != 0)
        abort();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return w;
}

/* After a simulated crash: what was not begun is never done. */
static void
job_withdraw(struct worker *w, const struct job *j)
{
    struct job **at = &w->first, *before = NULL;
    while (*at != j) {
        before = *at;
        at = &before->next;
    }
    *at = j->next;
    if (w->last == j)
        w->last = before;
}

void
worker_do(struct worker *w, void *job)
{
    struct job j = {.what = job};
    if (rt_now->crashed)
        return;
    if (!rt_now->simulated)
        pthread_mutex_lock(&w->lock);
    if (w->last)
        w->last->next = &j;
    else
        w->first = &j;
    w->last = &j;
    if (!rt_now->simulated) {
        pthread_cond_signal(&w->more);
        pthread_mutex_unlock(&w->lock);
    }
    wait_for(&j.done);
    if (!j.done.set)
        job_withdraw(w, &j);
}

void
worker_free(struct worker *w)
{
    if (!w)
        return;
    if (rt_now->simulated) {
        while (!rt_now->crashed && worker_idle(w))
            ;
        rt_off_idle(w);
        free(w);
        return;
    }
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL); /* whoever had a job for it has waited: it ends at once */
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->more);
    free(w);
}
