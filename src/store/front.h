/* front.h - the inside of struct store, for store.c, opening.c and remote/control.c.
 *
 * A store is a driver plus who we are. The driver may change under it: a remote store whose owner
 * goes away takes the folder over or finds the new owner; calls under way wait and are asked again
 * with the same batch number, which makes that harmless. */
#ifndef STORE_FRONT_H
#define STORE_FRONT_H
#include "base/map.h"
#include "rt/fiber.h"
#include "store/driver.h"

struct control;
struct store {
    const struct driver_ops *ops;
    void *driver;
    char node[RUN_ID_LEN]; /* this process, this opening */
    char *node_name;
    char *dir; /* NULL: mem */
    bool read_only;
    int64_t renew_ms;
    int64_t clock_floor; /* wall time seen by earlier processes */
    int64_t batch_next;
    struct map *owned; /* run id to &quiet or &news, while we own it */
    bool (*hook)(void *ctx, int64_t n, bool after);
    void *hook_ctx;
    int64_t hook_n;
    struct store_mem *own_mem; /* opts.mem was NULL */
    int lock_fd;               /* of DIR/lock; -1: we are not the owner */
    struct control *control;   /* serves other processes; NULL: not the owner */
    int dir_fd;                /* for a socket path that would be too long; or -1 */
    struct scope scope;        /* detached; of stores on disk: ticks, finding a new owner */
    bool was_guest;            /* of another process: what we own stays ours when we take over */
    bool switching, closing;   /* the driver is being replaced; the store is being closed */
    struct waitq switched;     /* who waits for switching to end */
    struct err *lost;          /* why the last search for an owner failed */
    unsigned active;           /* calls inside the driver */
    struct waitq idle;         /* who waits for active to become 0 */
};

/* One request through the driver, without hooks and bounds: also for other processes' requests. */
void store_exec(struct store *s, struct request *r) YIELDS;
/* The way of every call of the API: bounds, hooks, then store_exec. The result is r's; the error is
 * taken out of it. */
struct err *MUST store_call(struct store *s, struct request *r) YIELDS;
struct err *MUST store_malformed(const struct store *s, const char *what); /* an owner's answer */
void store_news(void *store, const char *run_id); /* a news_fn; NULL: any of the runs */

/* opening.c */
struct err *MUST store_attach(struct store *s, int64_t deadline_ms) YIELDS;
void store_switch(void *store); /* the owner went away: finds the new one or becomes it */

#endif
