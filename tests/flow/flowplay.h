/* flowplay.h - a flow file, what comes of it, and one life of the process that plays it. */
#ifndef FLOW_FLOWPLAY_H
#define FLOW_FLOWPLAY_H
#include "world.h"

struct flow_file {
    const char *path;
    struct str text;
    char *spec, *request, *http, *expect; /* parts; not NULL */
    json_t *request_json, *http_json;
    char *dir; /* with its files; or NULL */
};

struct outcome {
    struct str journal; /* one line a record, with virtual times */
    json_t *doc;        /* of the run */
    char id[RUN_ID_LEN];
    char *error;   /* the start was refused */
    json_t *after; /* what the run after it gave */
    char *lines;   /* of the file of results; or NULL */
    int64_t commits;
};

struct play { /* one life of the process */
    struct flow_file *file;
    struct world *world;
    struct store_mem *mem;
    int64_t crash_at; /* commit number; 0: never */
    bool crash_before, resume, crashed;
    const char *in_doubt;
    bool beside; /* what comes before and after the run itself: its records are not looked at */
    int64_t commits_before;
    struct outcome *out;
    struct app *app; /* while it lives */
};

/* A fiber: does to the run (a struct play) what `at` in the request says, by the clock of the
 * world; what was done in a former life is done. */
void outside_main(void *play);

#endif
