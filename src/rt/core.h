/* core.h - the inside of the runtime, for the files of this folder only. */
#ifndef RT_CORE_H
#define RT_CORE_H
#include "base/vec.h"
#include "rt/fiber.h"
#include "rt/http.h"
#include "rt/rt.h"
#include "rt/sanitize.h"
#include "rt/sim.h"
#include <pthread.h>
#include <setjmp.h>
#include <ucontext.h>
#include <uv.h>

#define STACK_SIZE  ((size_t)256 * 1024)
#define STACKS_KEPT 512 /* free stacks that keep their memory; further ones are given back */

/* One entry of the timer heap; embedded in what it wakes. */
struct tick {
    int64_t when_ms;
    uint64_t order; /* ties go in order of arming */
    size_t at;      /* index in the heap + 1; 0: not armed */
    void (*fn)(struct tick *t);
};

enum wake { WAKE_NONE, WAKE_DONE, WAKE_TIMER, WAKE_CANCEL };

struct stack {
    struct stack *next;
    char *low;    /* above the guard page */
    bool in_slab; /* others lie beside it: no guard of its own */
    size_t size;
    unsigned valgrind_id;
};

#if WITH_ASAN || WITH_TSAN
typedef ucontext_t place; /* where a fiber, or the loop, goes on */
#else
typedef jmp_buf place;
#endif

struct fiber {
    place here;
    struct stack *stack;
    void (*fn)(void *arg);
    void *arg;
    const char *name;
    struct scope *home;                /* where it was spawned */
    struct scope *scope;               /* the innermost open around what it does now */
    struct fiber *next, *prev;         /* in home->fibers */
    struct fiber *all_next, *all_prev; /* in rt->all */
    struct tick tick;
    int64_t until_ms; /* of its wait, beside the deadline of its scope */
    uint64_t id;
    enum wake wake;
    bool begun, parked, shielded, done;
    void *asan_fake;
    void *tsan;
};

struct posted {
    struct posted *next;
    void (*fn)(void *arg);
    void *arg;
};

struct idle_job { /* simulation: called when every fiber waits, before time moves; true: did
                     something */
    bool (*fn)(void *ctx);
    void *ctx;
};

struct rt {
    bool simulated, crashed;
    uint64_t rng[4];
    int64_t sim_now_ms, sim_wall_base_ms;
    int64_t wall_last_ms;
    uint64_t digest;
    VEC(struct fiber *) ready; /* from ready_head on */
    size_t ready_head;
    VEC(struct tick *) heap;
    uint64_t tick_order, switches, fiber_ids;
    unsigned fibers, fibers_peak, stacks, stacks_free, guarded_max;
    struct stack *free_stacks;
    struct slab *slabs; /* of stacks without guards of their own */
    struct fiber *running, *all;
    place loop_here;
    void (*deep_fn)(void *arg);
    void *deep_arg;
    const void *main_stack; /* for AddressSanitizer */
    size_t main_stack_size;
    void *main_fake, *main_tsan;
    const struct http_ops *http_ops;
    void *http_ctx;
    uv_loop_t loop;
    uv_timer_t uv_timer;
    uv_async_t uv_async;
    pthread_mutex_t posted_lock;
    struct posted *posted_first, *posted_last;
    unsigned external; /* threads' answers still to come: rt_drive must wait for them */
    VEC(struct idle_job) idle_jobs;
    void *sim_peers;
    struct signal_slot {
        uv_signal_t handle;
        void (*fn)(void *ctx, int signum);
        void *ctx;
        bool open;
    } signals[4];
};

extern _Thread_local struct rt *rt_now;

void tick_arm(struct tick *t, int64_t when_ms); /* DEADLINE_NONE: disarm */
void tick_disarm(struct tick *t);
int64_t tick_next(struct rt *rt); /* when the first one is due, or DEADLINE_NONE */
void tick_run_due(struct rt *rt);

struct fiber *fiber_new(struct scope *home, const char *name, void (*fn)(void *), void *arg);
void fiber_switch_in(struct rt *rt, struct fiber *f); /* from the loop */
struct stack *stack_take(struct rt *rt);
void stack_give(struct rt *rt, struct stack *s);
void stacks_free(struct rt *rt);
void fiber_wake_as(struct fiber *f, enum wake why);

/* Opens a service scope's links; the root scope of rt_run. */
void scope_init_root(struct scope *s);

void sim_dismiss(struct rt *rt);
void sim_fini(struct rt *rt);
void rt_on_idle(bool (*fn)(void *ctx), void *ctx);
void rt_off_idle(void *ctx);
void rt_note(struct rt *rt, uint64_t x); /* into the digest */

#endif
