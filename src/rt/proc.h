/* proc.h - child processes that never outlive us.
 *
 * Each child has a custodian between it and us: a small process that is the subreaper of the whole
 * tree below it (`npx` starts grandchildren). When our end of its pipe closes, even by kill -9, it
 * ends the tree: SIGTERM, then SIGKILL. Of stderr the end is kept. */
#ifndef RT_PROC_H
#define RT_PROC_H
#include "base/str.h"

struct proc_opts {
    const char *const *argv; /* argv[0] is searched in PATH; NULL-ended */
    const char *const *env;  /* "NAME=value" beside what is inherited, winning over it; or NULL */
    const char *cwd;         /* or NULL */
    bool minimal_env; /* inherit only what programs need to run (PATH, HOME, LANG, proxies, ...): no
                         keys */
    size_t stderr_keep; /* bytes of the end of stderr that are kept; 0: 8 KiB */
};
struct proc;
/* ERR_MISSING: no such program or folder; ERR_DENIED: not executable. */
struct err *MUST proc_start(const struct proc_opts *opts, struct proc **OWN ret_proc) YIELDS;
struct err *MUST proc_write(struct proc *p, const void *bytes, size_t n,
                            int64_t deadline_ms) YIELDS;
void proc_close_stdin(struct proc *p);
/* As stream_read, of stdout. */
struct err *MUST proc_read(struct proc *p, int64_t deadline_ms, struct str *to,
                           bool *ret_end) YIELDS;
/* Waits for the child's end: *ret_status is 0..255, or 256 + the signal that killed it. */
struct err *MUST proc_wait(struct proc *p, int64_t deadline_ms, int *ret_status) YIELDS;
int proc_pid(const struct proc *p);               /* of the child */
const char *proc_stderr(const struct proc *p);    /* the end of it, valid UTF-8; "" when none */
/* Ends it politely: stdin EOF, after grace_ms SIGTERM, after grace_ms SIGKILL to the whole tree;
 * then frees. Waits also when cancelled. Accepts NULL. */
void proc_stop(struct proc *OWN p, int64_t grace_ms) YIELDS;
void proc_kill(struct proc *OWN p) YIELDS; /* at once */

#endif
