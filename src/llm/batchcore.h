/* batchcore.h - the inside of batches; for batch.c and batchknown.c only. */
#ifndef LLM_BATCHCORE_H
#define LLM_BATCHCORE_H
#include "base/map.h"
#include "llm/llm.h"
#include "rt/fiber.h"

struct batches {
    struct scope scope;    /* of the submissions */
    struct map *gathering; /* key -> group that calls can join */
    struct map *groups;    /* id -> group that is full, until it is sent */
    struct map *known;     /* batch -> what was last seen of it */
    struct map *doors;     /* account -> its requests */
    int64_t ids;
    uint64_t uses;   /* counts looks: the longest unused is forgotten first */
    size_t kept_max; /* bytes of results that are kept, beside those just fetched */
};

struct profile_copy { /* a profile that outlives the call it was made for */
    struct llm_profile profile;
    char *texts[5];
    json_t *objects[3];
};
void profile_copy_make(struct profile_copy *to, const struct llm_profile *p);
void profile_copy_fini(struct profile_copy *c);

struct batches *llm_batches(struct llm *llm);

/* batchdoor.c */
void doors_free(struct map *OWN doors);

/* batchknown.c */
void known_free_all(struct batches *b);

#endif
