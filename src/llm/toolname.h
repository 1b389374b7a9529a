/* toolname.h - tools' names as every provider accepts them.
 *
 * Tools come with names like "files.read_file"; providers take letters, digits, '_' and '-', at
 * most
 * 64. Names that fit go unchanged and, in the usual case that all do, nothing is built. Others get
 * each unfit byte replaced by '_', shortened with a hash at the end, and a number when two would be
 * the same; the map leads back. */
#ifndef LLM_TOOLNAME_H
#define LLM_TOOLNAME_H
#include "base/json.h"

#define TOOLNAME_MAX 64

struct map;
struct toolnames {
    struct map *to_wire, *from_wire; /* NULL: every name stays itself */
    char **names;                    /* the wire names, owned */
    size_t n;
};
void toolnames_init(struct toolnames *t, const json_t *tools); /* tools may be NULL */
void toolnames_fini(struct toolnames *t);
/* A name that is no tool's (an old call in the conversation) is made to fit, too. */
void toolname_add(struct str *to, const struct toolnames *t, const char *name);
/* The id of a call, quoted, where ids are held to the same letters as names: one of another
 * provider
 * ("functions.read:0") is stood for by its hash, in the call and in its result. */
void tool_id_add(struct str *to, const char *id);
const char *toolname_back(const struct toolnames *t, const char *wire); /* itself if unknown */

#endif
