/* torture.h - the parts of `tutti torture`: killing a worker at random, and knowing what it did.
 *
 * The parent is the outside world: it starts the worker (this program again), kills it with
 * SIGKILL, carries out its effects in a ledger that no kill touches, and remembers each line that
 * the worker wrote after a commit. In the end the journals and the ledger are held against that. */
#ifndef CLI_TORTURE_H
#define CLI_TORTURE_H
#include "base/map.h"
#include "base/vec.h"
#include "cli/cli.h"

#define TORTURE_LIFE_ENV "TUTTI_TORTURE_LIFE" /* number of the worker's life, for the ledger */
#define TORTURE_KEY_LEN  32                   /* digits of an idempotency key */

/* ---- the ledger: an HTTP server and a file; one line "life key" an effect -------------------- */

struct ledger;
struct err *MUST ledger_open(const char *path, uint64_t seed, struct ledger **OWN ret_ledger);
void ledger_close(struct ledger *OWN l); /* accepts NULL */
int ledger_port(const struct ledger *l);
size_t ledger_open_connections(const struct ledger *l);
/* Serves until fd (-1: none) can be read or the time (ms) is over. True: fd can be read. */
bool ledger_serve(struct ledger *l, int fd, int64_t ms);
/* One effect: the line is appended and synced when this returns. fd was opened with O_APPEND. */
bool ledger_append(int fd, const char *life, const char *key);
/* Calls fn for each whole line from *offset on and moves it behind the last one. */
typedef void (*ledger_line_fn)(void *ctx, unsigned life, const char *key);
struct err *MUST ledger_read(const char *path, size_t *offset, ledger_line_fn fn, void *ctx);

/* ---- what the worker told -------------------------------------------------------------------- */

struct told_record { /* an acknowledged record: its commit was over when the line was written */
    int64_t seq;
    char *name, *path;
};
struct told_run {
    VEC(struct told_record) records;
    bool stored; /* the store has the run */
};
struct told_step {         /* a step or a node */
    unsigned starts;       /* how often it was begun, in all lives */
    unsigned done_in_life; /* 0: no end was acknowledged */
    bool model;
};
struct told {
    struct map *runs;  /* id -> told_run */
    struct map *steps; /* "id path" -> told_step */
    int64_t acknowledged, steps_ended, parked, model_calls, model_cut;
    int64_t open_models;           /* of this life: begun and not ended */
    int64_t commits, life_commits; /* of former lives; of this one so far */
    int64_t again;                 /* begun although an end was acknowledged */
    json_t *examples;              /* texts: the first violations */
};
void told_init(struct told *t);
void told_fini(struct told *t);
void told_line(struct told *t, unsigned life, char *line);
void told_life_over(struct told *t);
/* Notes a violation, for people. */
void told_example(struct told *t, const char *fmt, ...) FMT(2);

/* ---- the worker, an effect, the check -------------------------------------------------------- */

struct torture_work {
    const char *dir;
    unsigned at_once;
    bool settled; /* nothing of former lives is under way: the ledger decides what is in doubt */
    bool finish;  /* starts nothing; ends when no live run is left */
};
char *OWN torture_flow(const char *program, const char *dir, int port); /* text of the workflow */
int torture_worker(const struct torture_work *w);                       /* exit code */
int torture_effect(const char *ledger_path);

struct torture_counts { /* of the parent */
    unsigned kills, lives, own_ends, orphans, listings, listings_failed;
    double seconds;
    uint64_t seed;
    bool unfinished;
};
/* Prints the report; *ret_failed checks do not hold. */
struct err *MUST torture_check(const char *dir, struct told *t, const struct torture_counts *c,
                               bool json, unsigned *ret_failed);
#endif
