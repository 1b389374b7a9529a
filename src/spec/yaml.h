/* yaml.h - YAML 1.2 (and so JSON) bytes to a tree in which every node knows its place.
 *
 * Made from libfyaml's event stream alone: its document API finds duplicates in quadratic time and
 * lets merge keys grow without bound. What the tree promises: no map has a key twice, aliases and
 * merge keys are already followed (subtrees are then shared, so a node may have several parents,
 * but never itself below itself), and all limits below hold. Texts are valid UTF-8 without NUL.
 *
 * The tree keeps what was written, not what it means: a plain `yes` is the text "yes" in plain
 * style. yaml_scalar tells what the core schema of YAML 1.2 (chapter 10.3) makes of it.
 *
 * Errors are ERR_INVALID (or ERR_LIMIT) with the place. The parser stops at the first mistake of
 * form; duplicate keys are gathered and reading goes on. Pure; the arena owns everything. */
#ifndef SPEC_YAML_H
#define SPEC_YAML_H
#include "base/arena.h"
#include "base/json.h"
#include "spec/problems.h"

#define YAML_BYTES_MAX          ((size_t)16 << 20)
#define YAML_DEPTH_MAX          64
#define YAML_NODES_MAX          1000000            /* written in one file */
#define YAML_EXPANDED_MAX       200000             /* added by aliases and merge keys */
#define YAML_EXPANDED_BYTES_MAX ((size_t)16 << 20) /* of text added by them */

struct yfile { /* a file; outlives its nodes */
    const char *path;
    const char *text; /* valid UTF-8 once yaml_parse succeeded */
    size_t len;
    unsigned index; /* 1, 2, ... in order of reading */
};

enum ykind { Y_MAP, Y_LIST, Y_SCALAR };
enum ystyle {
    Y_PLAIN,
    Y_SINGLE,  /* 'quoted' */
    Y_DOUBLE,  /* "quoted" */
    Y_LITERAL, /* | */
    Y_FOLDED,  /* > */
    Y_LINES,   /* the source as it stands: body of a Markdown card */
    Y_OUTSIDE  /* not from a file: an environment variable, whose name is in `origin` */
};

struct ypair;
struct ynode {
    unsigned char kind, style, height; /* height: levels below, this one included */
    unsigned line, col;                /* 1-based, columns count characters; 0: from no file */
    unsigned weight;                   /* nodes below, this one included, aliases followed */
    unsigned count;                    /* of items or pairs; of bytes of a text */
    unsigned bytes;                    /* of text below, aliases followed */
    unsigned start, end;               /* bytes of the source that hold a scalar's text */
    const struct yfile *file;          /* NULL: from no file */
    union {
        struct ynode **items;
        struct ypair *pairs; /* in order; merged ones last */
        const char *text;    /* NUL-terminated */
    };
    const char *origin; /* Y_OUTSIDE */
};
struct ypair {
    struct ynode *key, *value;
};

struct yrange { /* bytes [from, to) of a file */
    const struct yfile *file;
    size_t from, to;
};
struct yrange yaml_whole(const struct yfile *file);

/* *ret_root is NULL when there is nothing but comments. Duplicate keys go to `problems`. */
struct err *MUST yaml_parse(struct arena *a, struct yrange range, struct problems *problems,
                            struct ynode **ret_root);

/* The first bytes that say the file is not UTF-8 text, if any: ERR_INVALID with the place. */
struct err *MUST yaml_check_bytes(const struct yfile *file);

struct ynode *yaml_get(const struct ynode *map, const char *key); /* NULL when absent */

enum ytype { YT_NULL, YT_BOOL, YT_INT, YT_REAL, YT_SPECIAL, YT_STRING };
struct yscalar {
    enum ytype type; /* YT_SPECIAL: .inf, .nan: a number that JSON cannot hold */
    bool b;
    int64_t i;
    double d; /* YT_REAL, YT_INT */
};
struct yscalar yaml_scalar(const struct ynode *n);
struct yscalar yaml_scalar_text(const char *text); /* of a plain scalar */

/* What stands between single quotes, as text; ret_text has room for len + 1. Returns its length.
 * (libfyaml 0.7.12 loses memory on runs of doubled quotes.) */
size_t yaml_single_decode(const char *src, size_t len, char *ret_text);

struct src_pos yaml_pos(const struct ynode *n);
/* Where byte `offset` of a scalar's text stands in the file; as exact as quoting, escapes, folding
 * and indentation let us (see yaml_text.c). */
struct src_pos yaml_text_pos(const struct ynode *n, size_t offset);
/* The same for a line and a column (in characters) of the text, both 1-based. */
struct src_pos yaml_line_pos(const struct ynode *n, unsigned line, unsigned col);
struct src_pos yaml_offset_pos(const struct yfile *file, size_t offset); /* of a byte of a file */

/* The node as JSON, nothing renamed. Keys become strings as written. ERR_INVALID for what JSON
 * cannot hold (.inf, .nan). Integers beyond 64 bits become reals. */
struct err *MUST yaml_to_json(const struct ynode *n, json_t **OWN ret_json);
#endif
