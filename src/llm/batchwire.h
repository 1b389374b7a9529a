/* batchwire.h - how providers take batches; for batch*.c and llmcall.c. */
#ifndef LLM_BATCHWIRE_H
#define LLM_BATCHWIRE_H
#include "base/map.h"
#include "base/vec.h"
#include "llm/batch.h"
#include "llm/provider.h"
#include "rt/fiber.h"

#define BATCH_BYTES_MAX   ((size_t)180 << 20) /* of a request; OpenAI takes 200 MB, Anthropic 256 */
#define BATCH_RESULTS_MAX ((size_t)512 << 20) /* of all answers */
#define BATCH_LINE_MAX    ((size_t)32 << 20)

struct batch_line { /* an item of a batch that is being put together */
    char *id, *body;
};
struct batch_state {
    bool ended;
    char *files[2]; /* where the results are: ids, or NULL */
};
struct batch_peer { /* who is spoken to; borrowed */
    const struct llm_profile *profile;
    const struct llm_provider *provider;
    const char *base_url;
};
struct batch_result { /* of one item; borrowed from its line */
    const char *id;
    const json_t *body; /* as a call's answer; NULL: it failed */
    struct refusal refusal;
    bool expired; /* its time was over before it was worked on */
};
struct batch_wire {
    /* The request that the items make; total bytes. */
    struct err *(*submit)(const struct batch_peer *p, const struct batch_line *items, size_t n,
                          int64_t deadline_ms, char **OWN ret_batch)MUST YIELDS;
    struct err *(*look)(const struct batch_peer *p, const char *batch, int64_t deadline_ms,
                        struct batch_state *ret)MUST YIELDS;
    void (*results_url)(const struct batch_peer *p, const char *batch, const char *file,
                        struct str *url);
    void (*read)(const json_t *line, struct batch_result *ret);
};
extern const struct batch_wire batch_openai, batch_anthropic;

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
/* A name that a provider gave, to be put into a URL. */
struct err *MUST batch_name_check(const struct batch_peer *p, const char *name);
/* The name of what was submitted, from the answer's id; without a sound one nobody knows of it. */
struct err *MUST batch_name_take(const struct batch_peer *p, const json_t *answer,
                                 char **OWN ret_batch);
void batch_base(const struct batch_peer *p, const char *path, struct str *url);

/* batch.c */
struct batches;
void batches_free(struct batches *OWN b) YIELDS; /* accepts NULL */
struct llm {
    struct cassette *cassette; /* or NULL */
    struct batches *batches;   /* NULL until one is gathered */
};

#endif
