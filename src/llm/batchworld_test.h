/* batchworld_test.h - a provider of batches, and calls that travel in them, in the simulated world.
 */
#ifndef LLM_BATCHWORLD_TEST_H
#define LLM_BATCHWORLD_TEST_H
#include "llm/batch.h"
#include "llm/testllm.h"

struct rule { /* the first that matches answers; used so often, then passed over (0: always) */
    const char *on; /* the beginning of "METHOD /path" */
    const char *body;
    int status, times, delay_ms;
    const char *retry_after; /* a header; or NULL */
    bool drop;               /* the connection breaks instead */
};
struct scene {
    struct rule rules[12];
    void (*play)(struct scene *s);
    const char *provider;
    struct llm *llm;
    struct llm_profile profile;
    json_t *def;
    struct batching batching;
    struct str log;
    bool bodies; /* the log has them */
    int used[12];
};

struct member {
    struct scene *s;
    const char *id;
    int at_ms, cut_ms; /* cut_ms: it is cancelled then */
    int late_ms;       /* so long after it was gathered it comes with its call */
    bool only_gathers, not_gathered;
    char batch[64];
};

struct row {
    const char *name;
    struct scene scene;
    const char *want;
};

/* What is said stands in the log with its time; compared line by line with what is wanted. */
void scene_check(struct scene *s, const char *name, const char *want);
void members_run(struct scene *s, struct member *m, size_t n);
void rows_check(const struct row *row, size_t n);
void member_take(struct member *m, const char *batch);
void play_pair(struct scene *s);
void play_pair_taken(struct scene *s);
void play_looks(struct scene *s);
void play_takes(struct scene *s);
void scene_say(struct scene *s, const char *who, struct err *e, const char *text);

#endif
