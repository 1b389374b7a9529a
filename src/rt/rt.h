/* rt.h - the runtime: one thread, one loop, many fibers, and the world they see.
 *
 * Time, chance and the network are inputs. A real runtime takes them from the machine, a simulated
 * one (sim.h) from a seed: its clock jumps to the next timer when every fiber waits. Nothing above
 * rt names a clock, a socket, a thread or a source of randomness; it asks here.
 *
 * A real one opens /dev/null for each of stdin, stdout and stderr that is closed.
 * A runtime belongs to the thread that opened it; at most one is current in a thread, and the calls
 * below mean that one. */
#ifndef RT_RT_H
#define RT_RT_H
#include "base/err.h"

struct rt;
struct rt_opts {
    bool simulated;
    uint64_t seed; /* simulated: order of ready fibers and all randomness */
    /* Stacks with a guard page of their own, each two of the 65,530 memory maps that a process
     * has; further ones share their maps and guards. 0: 28000. */
    unsigned guarded_max;
};
/* Makes the runtime current for this thread. ERR_LIMIT when the kernel refuses descriptors. */
struct err *MUST rt_open(const struct rt_opts *opts, struct rt **OWN ret_rt);
void rt_close(struct rt *OWN rt); /* asserts that no fiber is left */
bool rt_is_simulated(void);

/* Runs fn as a fiber, and everything it spawns, until it has returned. Not from inside a fiber. */
void rt_run(struct rt *rt, void (*fn)(void *arg), void *arg);
/* Turns the loop until done(arg); for hosts that start work first and wait later. Returns false
 * when nothing is left that could make it true (no fiber ready, no timer, no descriptor). */
bool rt_drive(struct rt *rt, bool (*done)(void *arg), void *arg);

int64_t rt_now_ms(void);  /* monotonic; deadlines are in this time */
int64_t rt_wall_ms(void); /* since 1970, UTC; never goes back within a process */
int64_t rt_now_us(void);  /* monotonic, for measuring */
int64_t
rt_after(int64_t ms); /* rt_now_ms() + ms, saturating at DEADLINE_NONE; ms < 0: DEADLINE_NONE */

void rt_random(void *bytes, size_t n); /* simulated: from the seed */
uint64_t rt_random_below(uint64_t n);  /* uniform in 0..n-1 */
const char *rt_env(const char *name);  /* environment variable or NULL; not in a simulation */
char *const *rt_environ(void);         /* NULL-ended "NAME=value" list; empty in a simulation */

/* Runs fn at once on the large main stack: for deep or foreign code (parsers, Lua). fn must not
 * switch fibers. Outside of fibers it is a plain call. */
void rt_deep(void (*fn)(void *arg), void *arg);

/* Called on the loop, not in a fiber, when the signal arrives; NULL takes it back. */
struct err *MUST rt_on_signal(int signum, void (*fn)(void *ctx, int signum), void *ctx);

struct rt_stats {
    unsigned fibers, fibers_peak, stacks; /* living now, most at once, stacks mapped */
    uint64_t switches, timers;
};
void rt_stats(struct rt_stats *ret_stats);

#endif
