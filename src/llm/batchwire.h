/* batchwire.h - how providers take batches; for batch*.c and llmcall.c. */
#ifndef LLM_BATCHWIRE_H
#define LLM_BATCHWIRE_H
#include "base/map.h"
#include "base/vec.h"
#include "llm/batch.h"
#include "llm/provider.h"
#include "rt/fiber.h"

#define BATCH_RESULTS_MAX ((size_t)512 << 20) /* of all answers */
#define BATCH_LINE_MAX    ((size_t)32 << 20)

struct batch_line { /* an item of a batch that is being put together */
    char *id, *body;
};
struct batch_state {
    bool ended;
    char *files[2]; /* where the results are: ids, or NULL */
    char *failure;  /* it ended as a whole, because of this; or NULL */
    bool free;      /* and nothing of it is billed */
};
struct batch_peer { /* who is spoken to; borrowed */
    const struct llm_profile *profile;
    const struct llm_provider *provider;
    const char *base_url;
    struct map *doors; /* batchdoor.c; of the process */
    unsigned rpm;      /* 0: no limit */
};
struct batch_result { /* of one item; borrowed from its line */
    const char *id;
    const json_t *body; /* as a call's answer; NULL: it failed */
    struct refusal refusal;
    bool expired; /* its time was over before it was worked on */
    bool failed;  /* the provider says so; neither this nor a body: nobody can read it */
};
struct batch_wire {
    size_t bytes_max; /* of all its items */
    struct err *(*submit)(const struct batch_peer *p, const struct batch_line *items, size_t n,
                          int64_t deadline_ms, char **OWN ret_batch)MUST YIELDS;
    struct err *(*look)(const struct batch_peer *p, const char *batch, int64_t deadline_ms,
                        struct batch_state *ret)MUST YIELDS;
    void (*results_url)(const struct batch_peer *p, const char *batch, const char *file,
                        struct str *url);
    /* The results in one answer; NULL: they are lines. */
    const json_t *(*results)(const json_t *answer);
    void (*read)(const json_t *line, struct batch_result *ret);
};
extern const struct batch_wire batch_openai, batch_anthropic, batch_gemini;

/* One exchange with the profile's credentials. type NULL: no body. *ret_http is open, with a status
 * of 2xx. */
struct batch_post {
    const char *method, *url, *type;
    const struct str *body;
};
struct err *MUST batch_open(const struct batch_peer *p, const struct batch_post *post,
                            int64_t deadline_ms, struct http **OWN ret_http) YIELDS;
/* The same with its answer, a JSON object. */
struct err *MUST batch_ask(const struct batch_peer *p, const struct batch_post *post,
                           int64_t deadline_ms, json_t **OWN ret_body) YIELDS;
/* Was a submission whose answer was lost carried out? `find` sets *ret_batch if it finds it; asked
 * twice, as what is slow may come behind us. e is what was lost; on success it is dropped. */
struct batch_lost {
    struct err *(*find)(const struct batch_peer *p, const char *mark, int64_t deadline_ms,
                        char **OWN ret_batch)MUST YIELDS;
    const char *mark;
};
struct err *MUST batch_recover(const struct batch_peer *p, const struct batch_lost *lost,
                               struct err *OWN e, int64_t deadline_ms, char **OWN ret_batch) YIELDS;
/* A name that a provider gave, to be put into a URL. */
struct err *MUST batch_name_check(const struct batch_peer *p, const char *name);
/* The name of what was submitted; without a sound one (id may be NULL) nobody knows of it. */
struct err *MUST batch_name_take(const struct batch_peer *p, const char *id, char **OWN ret_batch);
/* A provider's words, as they may be told. */
char *OWN batch_words(const struct batch_peer *p, const char *text);
/* An error that is not in doubt: what is lost so has done nothing. */
struct err *OWN batch_certain(struct err *OWN e);
void batch_base(const struct batch_peer *p, const char *path, struct str *url);

/* batchdoor.c: before each request, which may wait; and when there is an answer, e if it failed. */
struct batch_door;
struct err *MUST door_enter(const struct batch_peer *p, int64_t deadline_ms,
                            struct batch_door **ret_door) YIELDS;
void door_leave(struct batch_door *d, const struct err *e);

/* batch.c */
struct batches;
void batches_free(struct batches *OWN b) YIELDS; /* accepts NULL */
struct llm {
    struct cassette *cassette; /* or NULL */
    struct batches *batches;   /* NULL until one is gathered */
};

#endif
