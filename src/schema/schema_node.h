/* schema_node.h - the compiled form, shared by the files of this folder and by nobody else.
 *
 * A document is cut into resources (what has a URI of its own: the root and each subschema with
 * $id), those into nodes (subschemas), those into words (the keywords that do something). All of
 * it lives in the schema's arena and is read-only once schema_compile returns.
 *
 * The keywords are rows of one table, in the order in which they are judged: cheap assertions
 * first, then what goes down into the value, unevaluated* last, as they read what others saw. */
#ifndef SCHEMA_SCHEMA_NODE_H
#define SCHEMA_SCHEMA_NODE_H
#include "base/arena.h"
#include "base/map.h"
#include "schema/schema.h"
#include "schema/schema_regex.h"
#include "schema/schema_seen.h"
#include "schema/schema_value.h"

enum draft { DRAFT_4, DRAFT_6, DRAFT_7, DRAFT_2019, DRAFT_2020 };

enum vocab { /* which keywords mean something */
             VOCAB_CORE = 1,
             VOCAB_APPLY = 2,
             VOCAB_UNEVALUATED = 4,
             VOCAB_VALIDATE = 8,
             VOCAB_FORMAT = 16,
             VOCAB_ASSERT_FORMAT = 32, /* format may fail */
             VOCAB_USUAL = 31
};

struct dialect {
    enum draft draft;
    unsigned vocab;
    bool undeclared; /* no $schema: older forms of 2020-12's keywords are understood, too */
};

struct resource {
    const char *uri;        /* absolute, or "" for a document from nowhere */
    const json_t *json;     /* its root */
    struct node *root;      /* the same, compiled */
    struct dialect dialect; /* inherited by inner resources */
    struct map *anchors;    /* plain names to nodes, $dynamicAnchor included; NULL: none */
    struct map *dynamic;    /* $dynamicAnchor alone; NULL: none */
    bool recursive;         /* $recursiveAnchor: true (2019-09) */
};

enum node_kind { NODE_WORDS, NODE_TRUE, NODE_FALSE };

struct node {
    enum node_kind kind;
    const json_t *json; /* borrowed from the copied document */
    const struct resource *res;
    const struct node *up;   /* the subschema around it; NULL at the root of a document */
    const char *step, *name; /* the way from there: keyword and member; name may be NULL */
    size_t index;            /* instead of name, when it is an element; SIZE_MAX: neither */
    struct word *words;      /* in the table's order */
    size_t words_len;
    /* words that others ask */
    const struct word *properties, *patterns, *prefix, *contains_min, *contains_max, *then, *other;
    bool unevaluated;   /* has unevaluated*, so what was seen must be noted */
    unsigned char mark; /* of the search for cycles */
};

struct hashed_value {
    uint64_t hash;
    const json_t *value;
};

struct word {
    const struct keyword *def; /* NULL while parsing: the word turned out to say nothing */
    const json_t *value;       /* as written */
    struct node *node;         /* one subschema or the target of a reference */
    struct node **nodes;       /* several */
    const char **names;        /* their names (properties, dependencies), or those required */
    struct regex **regexes;    /* their patterns, or one in regexes[0] */
    size_t len;                /* of the arrays above */
    struct map *by_name;       /* properties: name to node */
    struct hashed_value *set;  /* enum, by hash */
    size_t count;              /* of minLength and the like */
    unsigned types;            /* of type */
    const char *dynamic;       /* $dynamicRef: the anchor to look for; NULL: a plain reference */
    bool (*format)(const char *s, size_t n);
};

struct loader;
struct run;

struct spot {              /* a place in the value, and the way to it */
    json_t *value;         /* borrowed, never changed; not const as jansson's iterators are not */
    const struct spot *up; /* NULL at the root */
    const char *key;       /* NULL: an item */
    size_t index;
    bool is_name; /* the value is the key itself (propertyNames) */
};

typedef struct err *(*word_parse_fn)(struct loader *l, struct node *n, struct word *w);
typedef bool (*word_check_fn)(struct run *r, const struct node *n, const struct word *w,
                              const struct spot *at, struct seen *seen);

struct keyword {
    const char *name;
    enum vocab vocab;
    enum draft from, to;
    unsigned types;      /* of values that it can judge; 0: it only serves other keywords */
    word_parse_fn parse; /* sets the word's fields from its value */
    word_check_fn check; /* NULL: none */
    bool in_place;       /* its subschemas judge the same value */
};

extern const struct keyword schema_keywords[];
extern const size_t schema_keywords_len;

struct schema {
    struct arena *arena;
    struct node *root;
    bool assert_formats;
};

/* ---- loading (schema_load.c) ----------------------------------------------------------------- */

/* Compiles the keyword's value as one subschema, its element, or its member. */
struct err *MUST node_make(struct loader *l, const struct node *up, const struct word *from,
                           struct node **ret_node);
struct err *MUST node_make_at(struct loader *l, const struct node *up, const struct word *from,
                              size_t index, struct node **ret_node);
struct err *MUST node_make_named(struct loader *l, const struct node *up, const struct word *from,
                                 const char *name, struct node **ret_node);
/* The word's reference is looked up when all is loaded. recursive: $recursiveRef. */
void loader_refer(struct loader *l, struct node *n, struct word *w);
struct arena *loader_arena(struct loader *l);
bool loader_asserts_formats(const struct loader *l, const struct node *n);
/* "schema at '#/properties/x/type': ..." */
struct err *MUST word_fail(const struct node *n, const struct word *w, const char *fmt, ...) FMT(3);
void node_locate(struct str *s, const struct node *n); /* "#/properties/x" */
/* The official meta-schemas, compactly. Borrowed; NULL when the URI is none of theirs. */
json_t *OWN meta_schema_load(const char *uri);
/* The dialect that $schema names; false when it is not a known one. */
bool dialect_known(const char *uri, struct dialect *ret_dialect);
bool vocab_known(const char *uri, unsigned *ret_vocab);

/* ---- checking (schema_eval.c) ---------------------------------------------------------------- */

struct scope { /* resources entered on the way, for $dynamicRef */
    const struct scope *up;
    const struct resource *res;
};

struct run {
    int64_t left; /* units of work; below 0 everything ends */
    unsigned depth;
    const char *stopped; /* why the answer is unknown; NULL: it is not */
    const struct scope *scope;
    struct schema_report *report; /* NULL: the answer is enough, so the first failure ends it */
    struct regex_room *room;      /* made when first used */
};

/* out: where to add what was seen if the node holds; NULL when nobody asks. */
bool node_eval(struct run *r, const struct node *n, const struct spot *at, struct seen *out);
bool run_spend(struct run *r, size_t units); /* false: over */
bool run_matches(struct run *r, const struct regex *regex, const char *s, size_t n);
/* Notes a failure when reasons are wanted. Return false, always. */
bool
run_fail(struct run *r, const struct spot *at, const char *keyword, const char *fmt, ...) FMT(4);
/* The same followed by ", found ..." with the value. */
bool run_fail_found(struct run *r, const struct spot *at, const char *keyword, const char *fmt, ...)
    FMT(4);
void report_take(struct schema_report *to, struct schema_report *from); /* from is emptied */
#endif
