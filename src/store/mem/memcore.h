/* memcore.h - the inside of the mem driver, for its files only. */
#ifndef STORE_MEM_MEMCORE_H
#define STORE_MEM_MEMCORE_H
#include "base/map.h"
#include "base/vec.h"
#include "store/mem/mem.h"

struct mem_record {
    int kind;
    uint32_t crc;
    char *path, *body;
    size_t body_len;
};
struct mem_run {
    int64_t no, batch; /* batch: of the last request that changed it */
    struct store_run row;
    uint32_t crc;                     /* of the last record */
    VEC(struct mem_record) journal;   /* seq - 1 */
    VEC(struct store_signal) signals; /* in order of arrival */
    struct map *signal_keys;          /* to index + 1 */
    bool parked;                      /* in the list of runs that may become ready */
    struct mem_run *next, *prev;
};
struct mem_def {
    char *name;
    int64_t created;
    struct str body;
};
struct mem_value {
    uint32_t crc; /* of key and body */
    struct str body;
};
struct mem { /* one store open on it: one process, so to say */
    struct store_mem *m;
    char node[RUN_ID_LEN];
    news_fn news;
    void *news_ctx;
    struct store_numbers numbers;
};
struct store_mem {
    VEC(struct mem_run *) runs; /* in order of creation */
    struct map *by_id, *by_key, *defs;
    struct map *values; /* key to struct mem_value */
    struct mem_run *parked;
    VEC(struct mem *) handles;
    int64_t last_no, clock;
};

void mem_read(struct mem *h, struct request *r);
void values_free(struct map *OWN values);
void value_put(struct mem *h, struct request *r);
void values_delete(struct mem *h, struct request *r);
void value_get(struct mem *h, struct request *r);
void values_list(struct mem *h, struct request *r);
int64_t values_damaged(const struct store_mem *m);
char *OWN signal_key(const char *name, const char *dedupe);

#endif
