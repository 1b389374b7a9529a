/* param.h - what a key of the configuration may hold, as data.
 *
 * Each kind (and each section of a file) declares a table of these. From the tables come the checks
 * with positions, the suggestions, the normal form of the tree and the JSON Schema for editors, so
 * that the four can never disagree. */
#ifndef MODEL_PARAM_H
#define MODEL_PARAM_H
#include "base/lang.h"

enum param_type {
    P_STRING, /* text; ${NAME} inside is kept and resolved when it is used */
    P_TEXT,   /* text with {{ templates }}, compiled (for errors) at load */
    P_COND,   /* a condition, compiled at load; true and false are accepted too */
    P_VALUE,  /* any value; every string inside may hold {{ templates }}; kept as written */
    P_ANY,    /* any value, the user's own data: never renamed, never checked */
    P_SCHEMA, /* a JSON Schema, compiled (for errors) at load */
    P_BOOL,
    P_INT,      /* min..max */
    P_NUMBER,   /* min..max */
    P_DURATION, /* normal form: integer milliseconds */
    P_SIZE,     /* normal form: integer bytes */
    P_ENUM,     /* one of choices; normal form: as in choices */
    P_REF,      /* the name of an entry of a section: ref says which */
    P_LIST,     /* of item; a single value is read as a list of one when PARAM_ONE is set */
    P_MAP,      /* name -> item; a list whose items have `name` (or `id`) is read as one */
    P_OBJECT,   /* with fields */
    P_PATH,   /* a file or folder, relative to the file it is written in; normal form: as written */
    P_ONE_OF, /* any of the alternatives in fields, told apart by the value's YAML type; `name` of
                 an alternative is a label for messages */
    P_NODES,  /* the nodes of a graph: a list whose items have `id` (or `name`), or a map; each is
                 checked by its kind's table; normal form: a list, `id` first */
    P_NODE,   /* one inline node or workflow, without an id: a map with `type` */
    P_TYPES
};

enum param_ref {
    REF_AGENT = 1,
    REF_PROFILE,
    REF_SERVER,
    REF_NODE,
    REF_WORKER /* agent or workflow */
};

enum param_flag {
    PARAM_REQUIRED = 1,
    PARAM_ONE = 2,      /* P_LIST: one bare value is a list of one */
    PARAM_NONEMPTY = 4, /* P_STRING, P_TEXT, P_LIST, P_MAP */
    PARAM_SECRET = 8,   /* its value is redacted from every log and event */
    PARAM_NULL = 16,    /* null is accepted and means absent */
    PARAM_PLAIN = 32,   /* P_STRING: a bare number or boolean is taken as it is written */
};

struct param {
    const char *name; /* canonical snake_case key; NULL ends a table */
    enum param_type type;
    unsigned flags;          /* enum param_flag */
    const char *doc;         /* one line, for the schema and the manual */
    const char *const *also; /* further spellings (camelCase is understood without); NULL-ended */
    const char *const *choices; /* P_ENUM; NULL-ended */
    const struct param *fields; /* P_OBJECT: its table; P_LIST, P_MAP: one entry, the item;
                                   P_ONE_OF: the alternatives */
    enum param_ref ref;         /* P_REF */
    double min, max;            /* P_INT, P_NUMBER; both 0: no bounds */
    int64_t def;                /* documented default for the schema; 0: none is printed */
};
/* `loop_guard` of whatever may go round in circles (guard/loopguard.h). */
#define LOOP_GUARD_PARAM(doc_text)                                                                 \
    {                                                                                              \
        "loop_guard", P_ONE_OF, 0, doc_text,                                                       \
            .fields = FIELDS({"on", P_BOOL},                                                       \
                             {"guard", P_OBJECT,                                                   \
                              .fields = FIELDS({"repeats", P_INT, 0,                               \
                                                "the so-many-th equal turn is worth a word, and "  \
                                                "twice that an end",                               \
                                                .min = 2, .max = 1000, .def = 3})})                \
    }
#define NAMES(...)  ((const char *const[]){__VA_ARGS__, NULL})
#define FIELDS(...) ((const struct param[]){__VA_ARGS__, {0}})
#define ITEM(...)   ((const struct param[]){{__VA_ARGS__}, {0}})

#endif
