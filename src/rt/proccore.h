/* proccore.h - what a process looks like to both worlds; for this folder. */
#ifndef RT_PROCCORE_H
#define RT_PROCCORE_H
#include "rt/core.h"
#include "rt/proc.h"

struct proc_ops {
    struct err *(*write)(struct proc *p, const void *bytes, size_t n, int64_t deadline_ms);
    void (*close_stdin)(struct proc *p);
    struct err *(*read)(struct proc *p, int64_t deadline_ms, struct str *to, bool *ret_end);
    void (*signal)(struct proc *p, char order);
    void (*free)(struct proc *OWN p);
};
struct proc {
    const struct proc_ops *ops;
    int pid;
    bool ended;
    int status;
    struct waitq ending; /* who waits for the end */
    struct str err_tail; /* the end of stderr */
    size_t err_keep;
    char *err_text; /* err_tail as valid UTF-8, made when asked for */
};
void proc_took_stderr(struct proc *p, const char *bytes, size_t n);
void proc_has_status(struct proc *p, int status);
void proc_fini(struct proc *p);
struct err *MUST sim_proc_start(const struct proc_opts *opts, struct proc **OWN ret_proc);

#endif
