/* custodian.h - the small process between us and a child; for proc.c. */
#ifndef RT_CUSTODIAN_H
#define RT_CUSTODIAN_H
#include "rt/proc.h"

struct custodian_report { /* what it writes to the control socket */
    char what;            /* 'p': value is the child's pid; 'x': exec failed, value is errno;
                             'd': chdir failed; 'e': the child ended, value as proc_wait says */
    int value;
};
#define CUSTODIAN_TERM 'T' /* orders: SIGTERM to the tree */
#define CUSTODIAN_KILL                                                                             \
    'K' /* SIGKILL to the tree; also what happens 2 s after the socket closes                      \
         */

/* Forks the custodian, which runs the child with the three descriptors as its stdio. `control` is
 * its end of a socket pair. Returns its pid, or -1 with errno. The caller closes its copies. */
int
custodian_start(const struct proc_opts *opts, char *const *env, const int stdio[3], int control);

#endif
