/* load.h - the parts of loading a configuration; for this folder. spec_load puts them together. */
#ifndef SPEC_LOAD_H
#define SPEC_LOAD_H
#include "spec/check.h"

struct given { /* one key at the top of a file */
    const struct ynode *key, *value;
};

struct source_file {
    const struct yfile *file;
    const struct ynode *root; /* NULL: it could not be read */
    VEC(struct ypair) own;    /* keys of the workflow that the file itself is */
    bool is_workflow;
};

struct card { /* an agent from a Markdown file */
    const struct ynode *name, *def;
};

struct loader {
    struct check c;
    const struct spec_source *source;
    VEC(struct source_file) files;
    VEC(struct card) cards;
    VEC(const char *) stack; /* files that are including each other */
    bool incomplete;         /* a file could not be parsed: names may be missing */
};

/* ---- files.c ----------------------------------------------------------------------------------
 */
/* Reads the file, all it includes and the cards beside it; mistakes go to l->c.problems. */
void files_read(struct loader *l);
/* "dir/a.yaml" and "b.yaml" to "dir/b.yaml"; "./" is dropped, ".." is kept. */
char *OWN include_path(const char *including, const char *path);
char *OWN path_stem(const char *path); /* "dir/a.b.yaml" to "a.b" */

/* ---- card.c -----------------------------------------------------------------------------------
 */
/* The front matter and body of an agent card as an entry of `agents`: *ret_def is a map with
 * `instruction` added, *ret_name the node that names it (`name`, else the file's stem). *ret_def is
 * NULL when the text has no front matter: then it is no card. */
struct err *MUST card_parse(struct arena *a, const struct yfile *file, struct problems *problems,
                            struct card *ret_card);

/* ---- sections.c -------------------------------------------------------------------------------
 */
json_t *OWN sections_check(struct loader *l); /* the whole doc */

/* ---- shorthand.c ------------------------------------------------------------------------------
 */
/* Spells shorthands out and checks what tables cannot say. */
void shorthand_profiles(struct check *c, json_t *profiles);
void shorthand_servers(struct check *c, json_t *servers);
json_t *OWN shorthand_limits(json_t *OWN limits); /* "development" to its numbers */

/* ---- override.c -------------------------------------------------------------------------------
 */
void override_apply(struct check *c, json_t *doc); /* settings from the environment */

/* ---- refs.c -----------------------------------------------------------------------------------
 */
void refs_check(struct check *c, const json_t *doc);

#endif
