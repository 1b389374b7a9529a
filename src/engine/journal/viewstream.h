/* viewstream.h - what is known of a run's streams: each a foreach over the items of a file.
 *
 * A million items are not a million places. Of an item that is done one bit is kept, and what was
 * known of its steps and nodes is dropped; of failed ones the first few reasons. Only what has not
 * reached the file of results yet is kept whole, and a cursor (REC_STREAM_CURSOR) says now and then
 * how far that is; so a run is taken up again in the memory of its last few thousand items.
 *
 * An item's path is its node's with [index] behind it: "each/sum[17]"; all of it is below that. */
#ifndef ENGINE_VIEWSTREAM_H
#define ENGINE_VIEWSTREAM_H
#include "base/vec.h"
#include "engine/journal/doneset.h"
#include "engine/journal/journal.h"
#include "engine/journal/seqset.h"
#include "guard/budget.h"

#define STREAM_ERRORS_MAX 100 /* failed items that are told by themselves */

struct unwritten { /* an item's end that no cursor covers, as it is stored */
    int64_t index;
    bool failed;
    char *body;
    size_t len;
};
struct item_error {
    int64_t index;
    enum err_kind kind;
    char *error;
};
struct viewstream {
    char *path;             /* of its node */
    char *items;            /* of its items, without their number: "each/sum" */
    json_t *opened;         /* body of REC_STREAM_OPENED */
    struct doneset done;    /* their end is recorded */
    struct doneset covered; /* of these: their results are in the first `bytes` of the file */
    int64_t bytes, completed, failed;
    struct usage usage;              /* of items that are done */
    struct usage steps;              /* of their steps that were dropped, and what tries of which */
    struct amount held;              /* nothing is known may have taken beside that */
    VEC(struct unwritten) unwritten; /* only while a former life is recalled */
    VEC(struct item_error) errors;   /* the first STREAM_ERRORS_MAX */
    struct seqset
        undos; /* records with what is to be undone in items that have ended (undolog.h) */
    bool over; /* its node has ended */
};

struct viewstreams;
struct viewstreams *OWN viewstreams_new(void);
void viewstreams_free(struct viewstreams *OWN vs);  /* accepts NULL */
bool viewstreams_has(const struct viewstreams *vs); /* any? */
/* By the path of its node; NULL: that is none. Walks all with viewstreams_next. */
struct viewstream *viewstreams_find(const struct viewstreams *vs, const char *path);
struct viewstream *viewstreams_next(const struct viewstreams *vs, size_t *i);

/* Nobody will ask for it again; what it cost is added to the stream's `steps` and `held`. */
typedef void (*place_drop_fn)(void *ctx, const char *path, struct viewstream *of);
/* A record of REC_STREAM_* or REC_ITEM_*. recall: of a run that goes on. */
struct err *MUST viewstreams_feed(struct viewstreams *vs, const struct record *rec, bool recall,
                                  place_drop_fn drop, void *ctx);
/* That of the innermost item that the path is of or in; NULL: there is none. */
struct viewstream *viewstreams_around(const struct viewstreams *vs, const char *path);
/* Something is kept of this path: it goes when its item is done. */
void viewstreams_place(struct viewstreams *vs, const char *path);
/* What a node did is undone. When its item has ended, what was kept of that since goes. */
void viewstreams_undone(struct viewstreams *vs, const char *path, place_drop_fn drop, void *ctx);
/* The node at this path has ended; if it was a stream, what was kept of its items goes. */
void viewstreams_ended(struct viewstreams *vs, const char *path, place_drop_fn drop, void *ctx);
/* {completed, failed, failures}: counted, and told by themselves only the first that failed. */
json_t *OWN viewstream_document(struct viewstream *s);
/* The record of an item as that of any node, for whoever is told of it. */
void item_event_fill(enum record_kind kind, json_t *body);
void viewstream_written(struct viewstream *s); /* drops what was unwritten */

#endif
