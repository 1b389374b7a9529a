/* source.h - the items of a file or a folder, one after the other.
 *
 * A line of JSONL is any value, a record of CSV an object by column, a line of text a text; of a
 * folder each file is {path, name, size}, in order of names. Item 0, 1, 2, ... is the same in every
 * life of a run, because the source is: its identity says whether it has changed. Little is held:
 * what was read last, or the names of a folder. */
#ifndef ENGINE_SOURCE_H
#define ENGINE_SOURCE_H
#include "engine/journal/doneset.h"
#include "rt/fiber.h"

#define SOURCE_FILES_MAX 100000 /* of a folder */

struct source_spec {    /* borrowed while the source is open */
    const char *path;   /* where it is; checked already */
    const char *shown;  /* as its user wrote it */
    const char *format; /* jsonl, csv, text, folder; NULL: by its name */
    char separator;     /* of CSV; 0: by its name */
    const char *match;  /* of a folder: a pattern of names; or NULL */
};
struct source;
struct err *MUST source_open(const struct source_spec *spec, struct source **OWN ret_source) YIELDS;
void source_free(struct source *OWN s); /* accepts NULL */

/* What has to be the same when it is read again: compared by json_equal. */
json_t *OWN source_identity(const struct source *s);
/* How two identities differ, for people. */
char *OWN source_difference(const json_t *before, const json_t *now);

struct item {
    int64_t index;
    json_t *value;     /* owned; NULL: */
    struct err *error; /* owned; what is wrong with this one */
};
/* The next item that is not in `skip`; *ret_end: there is none. An error is of the source itself:
 * it cannot be read on. */
struct err *MUST source_next(struct source *s, const struct doneset *skip, struct item *ret_item,
                             bool *ret_end) YIELDS;
/* What a run that has begun cannot read or write any more is waited for: items that are done stay
 * done. ERR_PARKED with the reason of e, which is freed. */
struct err *MUST source_lost(struct err *OWN e);
/* How much of it was read, in bytes or files. */
void source_progress(const struct source *s, int64_t *ret_read, int64_t *ret_all);

/* What `format` can say, NULL-ended. */
extern const char *const source_formats[];

#endif
