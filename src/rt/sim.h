/* sim.h - the simulated world: scripted peers, virtual time, faults, crashes.
 *
 * Only for tests, `tutti torture`, and what runs without a world (`tutti test`, replays). Peers are
 * functions that run in a fiber of their own, so they can sleep (in virtual time), stream, drop and
 * hang. The same seed gives the same run, switch by switch. */
#ifndef RT_SIM_H
#define RT_SIM_H
#include "rt/http.h"
#include "rt/proc.h"

/* What a scripted HTTP server can do with a request; called from its handler. */
struct sim_http;
void sim_http_begin(struct sim_http *x, int status, const struct http_header *headers, size_t n);
void
sim_http_send(struct sim_http *x, const char *bytes, size_t n); /* begins with 200 if need be */
void sim_http_drop(struct sim_http *x);                         /* the connection breaks here */
bool sim_http_gone(const struct sim_http *x);                   /* the client closed or timed out */
const struct http_req *sim_http_req(const struct sim_http *x);  /* a copy; lives as long as x */
/* The handler's return ends the reply. Not to answer: fiber_park(DEADLINE_NONE). */
typedef void (*sim_http_fn)(void *ctx, struct sim_http *x);
void sim_on_http(sim_http_fn fn, void *ctx);
void sim_http_refuse(bool on); /* connections are refused (never in doubt) */

/* A scripted process: reads what was written to its stdin, writes its stdout; returns its status.
 */
struct sim_proc;
const char *const *sim_proc_argv(const struct sim_proc *x);
const char *sim_proc_env(const struct sim_proc *x, const char *name); /* given to it; or NULL */
/* As stream_read on its stdin. */
struct err *MUST sim_proc_read(struct sim_proc *x, int64_t deadline_ms, struct str *to,
                               bool *ret_end);
void sim_proc_write(struct sim_proc *x, const char *bytes, size_t n);
void sim_proc_write_stderr(struct sim_proc *x, const char *bytes, size_t n);
typedef int (*sim_proc_fn)(void *ctx, struct sim_proc *x);
void sim_on_proc(sim_proc_fn fn, void *ctx);

/* Everything stops here, as by kill -9: from now on every wait, shielded or not, returns
 * ERR_CANCELLED and every outside call is refused, until the runtime is closed. */
void sim_crash(void);
bool sim_crashed(void);
void sim_set_wall_ms(int64_t wall_ms); /* default: 2026-01-01T00:00:00Z at start */
uint64_t sim_digest(void); /* of every switch and time so far: equal digests, equal runs */

#endif
