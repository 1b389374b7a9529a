/* schema.h - does this JSON value fit that JSON Schema, and if not, what should be changed?
 *
 * JSON Schema 2020-12 (core and validation papers of json-schema.org), whole: $ref, $dynamicRef,
 * bundled documents, unevaluatedProperties, vocabularies. A document whose $schema names draft 4,
 * 6, 7 or 2019-09 is read by those rules; another unknown $schema counts as 2020-12, and a
 * document without $schema may also use older forms that cannot be mistaken: `items` as an array,
 * exclusiveMinimum as a flag, $id: "#name" as an anchor.
 *
 * Invariant: a compiled schema is complete and read-only. Every reference leads to a part of it,
 * every pattern is compiled, no $ref leads back to itself without going down into the value; so a
 * check can only answer yes, no, or "too much work" (ERR_LIMIT), and many checks may share it.
 *
 * It never reads a file, a clock or the network: a $ref to another document is refused unless
 * `find` hands that document over. It does not change values (but for schema_defaults), does
 * not read content* keywords, and treats `format` as a remark unless told to assert it.
 * Patterns are those of ECMA-262 in Unicode mode, run by PCRE2 under limits; lookbehind must be
 * of bounded length, and the common Python forms (?P<n>..), \A, \Z and (?i) are also accepted.
 * Nothing here yields. Stack use stays below 150 KB at the deepest value. */
#ifndef SCHEMA_SCHEMA_H
#define SCHEMA_SCHEMA_H
#include "base/json.h"

#define SCHEMA_NODES_MAX     20000    /* subschemas of a document and all it refers to */
#define SCHEMA_VALUES_MAX    200000   /* JSON values in them */
#define SCHEMA_DOCUMENTS_MAX 64       /* documents that one schema may draw in */
#define SCHEMA_PATTERN_MAX   8192     /* bytes of one regular expression */
#define SCHEMA_DEPTH_MAX     320      /* subschemas entered one inside the other in a check */
#define SCHEMA_STEPS_MAX     10000000 /* units of work of one check; about a second at worst */
#define SCHEMA_FAILURES_MAX  20       /* failures told one by one; the rest are counted */

struct schema;

/* A document held locally that has this absolute URI (without fragment), or NULL. Borrowed; it is
 * copied before the next call. */
typedef json_t *(*schema_find_fn)(void *ctx, const char *uri);

struct schema_options {
    const char *uri;     /* where the document comes from, as base of its references; or NULL */
    schema_find_fn find; /* other documents that may be referred to; NULL: none */
    void *ctx;           /* handed to find */
    const char *dialect; /* the $schema of documents that name none; NULL: 2020-12, leniently */
    bool assert_formats; /* a known `format` must hold; unknown ones never fail */
};

/* Compiles a copy of doc. ERR_INVALID: not a schema, with the place in it ("schema at
 * '#/properties/x': ..."). ERR_MISSING: a reference to what is not there. ERR_LIMIT: too large. */
struct err *MUST schema_compile(const json_t *doc, struct schema **OWN ret_schema);
struct err *MUST schema_compile_with(const json_t *doc, const struct schema_options *options,
                                     struct schema **OWN ret_schema);
void schema_free(struct schema *OWN s); /* accepts NULL */
void schema_freep(struct schema **s);

/* One thing to be changed in the value. */
struct schema_failure {
    char *at;            /* JSON pointer (RFC 6901) into the value; "" is the whole of it */
    char *text;          /* "expected a string, found 3" */
    const char *keyword; /* the one that failed: "type", "required", "anyOf", ... */
    unsigned types;      /* for "type": the set it allows, in bits of schema_value.h; else 0 */
};

struct schema_report {
    bool valid;
    struct schema_failure *list; /* the first SCHEMA_FAILURES_MAX that were found */
    size_t len;
    size_t total; /* all that were seen: total - len are not in the list */
};
#define SCHEMA_REPORT_INIT ((struct schema_report){0})
void schema_report_fini(struct schema_report *r);

/* Just yes or no, which is cheapest. ERR_LIMIT: it would take more than SCHEMA_STEPS_MAX steps,
 * SCHEMA_DEPTH_MAX levels, or a pattern that backtracks without end; the answer is unknown. */
struct err *MUST schema_holds(const struct schema *s, const json_t *value, bool *ret_valid);
/* The same with reasons. ret_report is overwritten; free it with schema_report_fini. */
struct err *MUST schema_check(const struct schema *s, const json_t *value,
                              struct schema_report *ret_report);
/* All failures as text for a person or a model, one a line: "/facts/0/source: expected a string,
 * found 3\n"; "" when valid. */
char *OWN schema_explain(const struct schema_report *r);
/* For who needs no list: ERR_INVALID with all failures in one line ("; " between them). */
struct err *MUST schema_enforce(const struct schema *s, const json_t *value);

/* Sets members that `value` lacks to the `default` of their property, when both are objects; looks
 * at the top level of `schema` (the JSON, not the compiled form) only, and does not check the
 * result. Return how many were set. */
size_t schema_defaults(const json_t *schema, json_t *value);
#endif
