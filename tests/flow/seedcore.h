/* seedcore.h - the inside of a seed; for seedrun.c and seedaudit.c only. */
#ifndef FLOW_SEEDCORE_H
#define FLOW_SEEDCORE_H
#include "app/app.h"
#include "chaos.h"
#include "seedrun.h"

struct seed {
    uint64_t number;
    struct seed_result *out;
    json_t *spec;
    struct chaos world;
    struct store_mem *mem;
    struct dice dice;
    char id[RUN_ID_LEN];
    json_t *recorded;  /* path -> true: steps with a committed end */
    json_t *ended;     /* path -> true: nodes with a committed end */
    json_t *keys;      /* key -> path: committed intents */
    json_t *key_of;    /* path -> key */
    json_t *ready;     /* path -> place in the journal: what can be undone */
    json_t *undone;    /* path -> true: nothing of it is left to be undone */
    json_t *records;   /* of the ended run: what laws are told of */
    json_t *sends;     /* what was said to its sessions */
    int64_t moment;    /* orders what was said */
    unsigned troubles; /* lives that may still go wrong */
    unsigned doubts, retries;
    const char *in_doubt;
    int64_t wall_ms;
    bool cancelled; /* for good: the store has it */
    bool forced;    /* by force: what it has done stays */
    bool undoes;    /* the plan has undos */
    bool talks;     /* it has sessions */
    bool over;
    json_t *doc; /* of the ended run */
};

/* seedaudit.c */
void seed_fault(struct seed *s, const char *fmt, ...) FMT(2);
void seed_fault_err(struct seed *s, const char *what, struct err *OWN e);
void audit_event(struct seed *s, const struct run_event *ev);
struct err *MUST audit_history(void *seed, const struct run_event *ev);
/* After a life: is everybody whose work is over told to be free? */
void audit_roster(struct seed *s, struct app *app);
void audit_once(void *seed, const char *what, const char *key); /* chaos.on_once */
/* A fresh process reads the run again: the same document, each record once, no way to resume. */
void audit_afterwards(struct seed *s);

#endif
