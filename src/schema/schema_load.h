/* schema_load.h - from a JSON document to a complete schema: the state while it is being built.
 *
 * schema_load fills in s->root from doc and from what doc refers to; s has its arena and options,
 * and is thrown away as a whole on failure. See schema.h for the kinds of errors. The rest is
 * between schema_load.c (documents, resources, nodes) and schema_refs.c. */
#ifndef SCHEMA_SCHEMA_LOAD_H
#define SCHEMA_SCHEMA_LOAD_H
#include "base/vec.h"
#include "schema/schema_node.h"

#define URI_MAX 4096

struct pending {
    struct node *node;
    struct word *word;
};

struct loader {
    struct schema *schema;
    const struct schema_options *options;
    struct map *resources;    /* by URI, aliases included */
    struct map *nodes;        /* by address of their JSON object */
    VEC(struct pending) refs; /* still to be looked up, from refs_done on */
    VEC(struct node *) all;
    size_t refs_done, values, documents;
};

struct err *MUST schema_load(struct schema *s, const json_t *doc,
                             const struct schema_options *options);

/* schema_load.c */
struct err *MUST node_fail(enum err_kind kind, const struct node *n, const char *keyword,
                           const char *text); /* "schema at '#/x/type': text" */
/* Compiles a node that is like `like` as to its place, in the resource `outer`. */
struct err *MUST node_add(struct loader *l, const struct node *like, const struct resource *outer,
                          struct node **ret_node);
struct node *loader_node(const struct loader *l, const json_t *json); /* NULL: not compiled */
/* The resource of that URI, loaded if need be. ERR_MISSING: it cannot be had without fetching. */
struct err *MUST resource_find(struct loader *l, const char *uri, struct resource **ret_res);

/* schema_refs.c */
struct err *MUST references_find(struct loader *l);
struct err *MUST cycles_check(struct loader *l);
#endif
