/* check.h - one value of the tree against one row of a table; for this folder.
 *
 * Every function here takes tree nodes and returns their normal form (owned), or NULL: then the
 * value is absent or wrong, and what is wrong has been noted in c->problems with its place. The
 * check goes on after a mistake, so that all of them are told.
 *
 * Messages are "<where>: '<path>' expects ..., found ...": `where` names the innermost agent, node,
 * profile ... and `path` the keys from there. `pointer` follows in the normal form, and each
 * value's place is noted under it. */
#ifndef SPEC_CHECK_H
#define SPEC_CHECK_H
#include "base/map.h"
#include "spec/spec.h"
#include "spec/yaml.h"

struct expr_space;

struct place {
    const struct ynode *key, *value; /* key: NULL in a list */
};

struct spec_places { /* where things are; lives in the spec */
    struct arena *arena;
    struct map *by_pointer; /* JSON pointer -> struct place */
    VEC(struct yfile *) files;
};

struct pending { /* a reference, looked up when all files are read */
    enum param_ref ref;
    const char *name, *where; /* where: "workflow 'x': 'sequence[2]'" */
    const struct ynode *node;
};

struct deferred { /* a kind's own check, of a definition that has no mistake so far */
    const struct kind *kind;
    const char *pointer, *where;
    unsigned file;
};

struct check {
    const struct spec_tables *tables;
    const struct spec_env *env;
    struct expr_space *space;
    struct spec_places *places;
    struct arena *arena; /* the places' */
    struct problems problems, warnings;
    struct str where, path, pointer;
    VEC(struct pending) refs;
    VEC(struct deferred) deferred;
    VEC(const char *) locals; /* names that enclosing nodes add for templates (`as`) */
};

/* ---- context -------------------------------------------------------------------------------- */
struct mark { /* how long the three texts were */
    size_t path, pointer;
};
/* Goes down to a member (name) or an item (NULL, index); notes the place of the value. */
struct mark check_down(struct check *c, const char *shown, const char *canonical, size_t index,
                       struct place place);
void check_up(struct check *c, struct mark m);
void pointer_add(struct str *s, const char *token); /* "/token", escaped (RFC 6901) */

/* A new entry with a name of its own ("agent 'x'"): path begins anew; the caller restores. */
struct saved {
    char *where, *path;
};
struct saved check_enter(struct check *c, const char *what, const char *name);
void check_leave(struct check *c, struct saved s);

/* ---- telling what is wrong ------------------------------------------------------------------ */
/* "<where>: <message>" at the node. */
void check_fail(struct check *c, const struct ynode *at, const char *fmt, ...) FMT(3);
void check_fail_at(struct check *c, unsigned file, struct src_pos at, enum err_kind kind,
                   const char *text);
/* "... expects EXPECTED, found FOUND" */
void check_unfit(struct check *c, const struct ynode *n, const char *expected);
void expected_add(struct str *s, const struct param *p); /* "an integer from 1 to 5" */
const char *found_text(const struct ynode *n, struct str *s);
char *OWN pos_text(const struct ynode *at,
                   const struct ynode *seen_from); /* "12:3", "b.yaml:1:2" */

/* ---- values --------------------------------------------------------------------------------- */
json_t *OWN check_value(struct check *c, const struct ynode *n, const struct param *p);

struct object { /* one map, or several that add up to one */
    const struct ynode *const *maps;
    size_t nmaps;
    const struct param *tables[6]; /* NULL-ended; an earlier one wins */
    const char *skip[3];           /* canonical keys the caller handles, NULL-ended */
    const struct ynode *at;        /* where a missing key is told; NULL: the first map */
    bool lax;                      /* neither unknown nor missing keys are told */
    /* Told of an unknown key: a hint, or NULL. */
    const char *(*hint)(struct check *c, const char *key);
};
/* Adds the members to `to`. */
void check_object(struct check *c, const struct object *o, json_t *to);
/* name -> item, from maps or lists with names; n of them add up. */
json_t *OWN check_map(struct check *c, const struct ynode *const *nodes, size_t n,
                      const struct param *p);

/* The text of a scalar of any type with ${} resolved; NULL after an error. *ret_loose: the value
 * came from a variable, so "5" may be a number. Borrowed until the next call with buf. */
const char *
scalar_resolve(struct check *c, const struct ynode *n, struct str *buf, bool *ret_loose);

/* The row of the tables a key means: as it stands, or camelCase read as snake_case. */
const struct param *field_find(const struct param *const *tables, const char *key);
void snake_case(const char *key, struct str *to);

/* ---- text.c: templates, conditions, schemas, variables --------------------------------------- */
void check_template(struct check *c, const struct ynode *n);
void check_condition(struct check *c, const struct ynode *n);
void check_schema(struct check *c, const struct ynode *n, const json_t *schema);
/* strict: a "${" that is no reference is an error; else it is passed over. */
void check_variables(struct check *c, const struct ynode *n, bool strict);
void check_locals_push(struct check *c, const char *name); /* name: NULL is fine */
void check_locals_pop(struct check *c, const char *name);

/* ---- entry.c: what has a kind ---------------------------------------------------------------- */
struct entry {
    enum role role;
    const char *name;                /* NULL: an inline node */
    const struct ynode *key;         /* where the name stands; NULL: nowhere */
    const struct ynode *const *maps; /* the definition */
    size_t nmaps;
    const char *name_key; /* member of the map that holds the name, or NULL */
};
json_t *OWN check_entry(struct check *c, const struct entry *e);
/* The tables a definition of this kind (NULL: unknown) is checked by, NULL after the last. */
void entry_tables(const struct kind *k, enum role role, const struct param *tables[6]);
json_t *OWN check_nodes(struct check *c, const struct ynode *n);
bool check_name(struct check *c, const struct ynode *at, const char *what, const char *name);
const struct kind *kind_find(const struct kind *const *kinds, const char *name, unsigned roles);

#endif
