/* spec.h - what users write, as a checked tree: YAML or JSON bytes to one normal form.
 *
 * spec_load reads a file and all it includes and gives `doc`, a JSON object in normal form:
 * canonical snake_case keys in the order written; agents, workflows, profiles and mcp_servers by
 * name; the nodes of a graph as a list with `id` first; durations in milliseconds, sizes in bytes;
 * `type` always there, by the kind's own name; shorthands spelled out (README.md lists them all).
 * ${NAME} stays in texts, so that no secret is in the tree; spec_expand resolves it when it is
 * used. In numbers, durations, choices and names it is resolved at load.
 *
 * A spec exists only for files without a mistake. All mistakes of all files come as one list in
 * order of file and line (ERR_INVALID with position each; err_print shows them).
 *
 * Pure: files and environment come by callbacks. What is not here: cycles, edges and names of nodes
 * (plan, by the callback `more`), what a template's names refer to (plan), anything at run time.
 * Not thread safe. */
#ifndef SPEC_SPEC_H
#define SPEC_SPEC_H
#include "base/json.h"
#include "model/kind.h"

#define SPEC_FILES_MAX         256 /* included files and agent cards of one configuration */
#define SPEC_INCLUDE_DEPTH_MAX 16
#define SPEC_NAME_MAX          128 /* bytes of a name of an agent, a node, ... */

struct expr_space;
struct spec;

struct spec_tables { /* what kinds there are; NULL-ended lists */
    const struct kind *const *agents;
    const struct kind *const *workflows; /* workflows and nodes, told apart by their roles */
};

struct spec_env {
    const char *(*get)(void *ctx, const char *name); /* NULL: not set */
    /* "NAME=value" by index, NULL after the last; for TUTTI_SECTION__KEY. May be NULL. */
    const char *(*at)(void *ctx, size_t i);
    void *ctx;
};

struct spec_files {
    /* Fills ret_text. The path is relative to what spec_source.path is relative to; it may hold
     * "..": keeping it below a root is the callback's duty (ERR_DENIED). */
    struct err *(*read)(void *ctx, const char *path, struct str *ret_text)MUST;
    /* Calls found() with the path of each file of the folder whose name ends in `suffix`, in
     * sorted order; no such folder: none. May be NULL. */
    struct err *(*list)(void *ctx, const char *folder, const char *suffix,
                        void (*found)(void *arg, const char *path), void *arg)MUST;
    void *ctx;
};

struct spec_text { /* a file that is not on disk */
    const char *path, *text;
    size_t len;
};
struct spec_source {  /* all borrowed for the call */
    const char *path; /* as messages show it; includes are relative to its folder */
    const char *text;
    size_t len;
    const struct spec_env *env;     /* NULL: nothing is set */
    const struct spec_files *files; /* NULL: include and cards are errors, respectively none */
    const struct spec_text *texts;  /* read as if it included them */
    size_t ntexts;
    bool is_part;             /* of a configuration: what it names may be defined elsewhere */
    struct expr_space *space; /* compiles templates and conditions; NULL: a passing one */
    /* Called when there are mistakes, with what was understood: who knows more than this folder can
     * find others that do not follow from them, as a list with positions. May be NULL. */
    struct err *(*more)(void *ctx, struct spec *partial)MUST;
    void *more_ctx;
};

struct spec {
    json_t *doc;                /* normal form; treat as read-only */
    struct spec_places *places; /* NULL when made from a stored doc */
    struct err *warnings;       /* a list, may be NULL; see spec_warnings */
};

struct err *MUST spec_load(const struct spec_tables *tables, const struct spec_source *source,
                           struct spec **OWN ret_spec);
/* From a normal form stored earlier; nothing is checked again, and no position is known. */
struct spec *OWN spec_from_doc(json_t *OWN doc);
void spec_free(struct spec *OWN s); /* accepts NULL */
void spec_freep(struct spec **s);

/* What is odd but no mistake, as a list with positions: variables that are not set, files that
 * were passed over. Borrowed; NULL: nothing. */
const struct err *spec_warnings(const struct spec *s);

/* The place of a value of `doc` by JSON pointer (RFC 6901), or of its nearest known ancestor. Maps
 * and lists are where their key is, other values where they stand. NOWHERE: nothing known. */
struct src_pos spec_pos(const struct spec *s, const char *pointer);
/* The place of line `line`, column `col` (1-based, in characters) inside of a text of `doc`: where
 * a template's error or reference is in the file, whatever quoting or folding the text had. */
struct src_pos
spec_text_pos(const struct spec *s, const char *pointer, unsigned line, unsigned col);
/* The files that were read, in order; NULL after the last. */
const char *spec_file(const struct spec *s, size_t i);

/* Appends text to `out` with ${NAME} and ${NAME:-default} resolved and $${ as ${. An empty variable
 * takes the default, as in a shell. ERR_MISSING names a variable that is not set; ERR_INVALID: a
 * "${" that is no such form. */
struct err *MUST spec_expand(const char *text, const struct spec_env *env, struct str *out);

/* ---- .env files ----------------------------------------------------------------------------- */
/* Calls set() for each NAME=value in order. Understood: blank lines, # comments, `export`, 'single'
 * (as it stands) and "double" quotes (\n \t \r \" \\ \$; may span lines), # after a blank behind a
 * bare value. Nothing is expanded. ERR_INVALID with the line. */
struct err *MUST spec_dotenv_parse(const char *path, const char *text, size_t len,
                                   void (*set)(void *ctx, const char *name, const char *value),
                                   void *ctx);

/* The JSON Schema (2020-12) of the language, for editors: both spellings of every key. */
json_t *OWN spec_schema(const struct spec_tables *tables);
#endif
