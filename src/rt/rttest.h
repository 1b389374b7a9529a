/* rttest.h - what the tests of the runtime share: a world, what was seen in it, and processes of
 * their own that the kernel refuses things to. */
#ifndef RT_RTTEST_H
#define RT_RTTEST_H
#include "base/test.h"
#include "rt/rt.h"

/* What a fiber saw, to be asserted on the main stack. */
struct seen {
    struct str log;
    int64_t end_ms;
    int n;
};
void in_world(bool simulated, uint64_t seed, void (*fn)(void *), void *arg);
void say_err(struct seen *s, const char *who, struct err *OWN e); /* "who:kind@ms" */
void say_text(struct seen *s, struct err *OWN e);                 /* "kind: text;" or "ok;" */

#define CHILD_ABORTED 77
/* A process of its own plays fn. Returns its exit status, CHILD_ABORTED when it called abort;
 * *ret_log is what it saw. */
int in_child(void (*fn)(struct seen *s), char **OWN ret_log);
int child_start(void (*fn)(struct seen *s), int *ret_pid); /* a descriptor with its log */
int child_end(int fd, int pid, char **OWN ret_log);

/* From now on this process and those it starts are refused the system call. */
struct refusal {
    int call;
    int arg;             /* looked at; only where it & mask == want */
    uint32_t mask, want; /* 0, 0: always */
    int no;              /* errno; 0: the caller is killed */
};
void refuse(const struct refusal *r);

#endif
