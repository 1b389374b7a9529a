/* yaml.c - libfyaml's events to our tree: duplicates, anchors, merge keys, limits.
 *
 * Containers under construction wait on a stack; their children gather in one array each, which is
 * copied to the arena when the container ends. An anchor is known from the start of its node, as
 * "open" until the node ends, so that an alias inside itself is seen. */
#include "spec/yaml.h"
#include "base/map.h"
#include "spec/yaml_error.h"
#include "spec/yaml_variable.h"
#include <assert.h>
#include <libfyaml.h>
#include <string.h>

struct frame { /* a container that is not closed yet */
    struct ynode *node;
    const char *anchor;
    struct ynode *key; /* of a map: read, its value is still to come */
    VEC(struct ynode *) items;
    VEC(struct ypair) pairs;
};

struct yparser {
    struct arena *arena;
    const struct yfile *file;
    size_t from;          /* byte of the file where the text begins */
    unsigned line_offset; /* lines before it */
    struct problems *problems;
    struct map *anchors; /* name -> struct ynode, or &open_anchor */
    struct fy_parser *fy;
    struct fy_diag *diag;
    VEC(struct frame) stack;
    size_t nodes, expanded, expanded_bytes;
    unsigned documents;
    struct ynode *root;
};

static struct ynode open_anchor; /* stands for an anchored node that has not ended */

static void
frame_fini(struct frame *f)
{
    vec_fini(&f->items);
    vec_fini(&f->pairs);
}

static void
parser_fini(struct yparser *p)
{
    vec_each (&p->stack, f)
        frame_fini(f);
    vec_fini(&p->stack);
    map_free(p->anchors);
    if (p->fy)
        fy_parser_destroy(p->fy);
    if (p->diag)
        fy_diag_destroy(p->diag); /* unref alone leaks what was collected */
}

static struct src_pos
event_pos(const struct yparser *p, struct fy_event *ev)
{
    const struct fy_mark *m = fy_event_start_mark(ev);
    if (!m)
        return (struct src_pos){p->file->path, 1 + p->line_offset, 1};
    return (struct src_pos){p->file->path, (unsigned)m->line + 1 + p->line_offset,
                            (unsigned)m->column + 1};
}

static struct err *MUST
node_new(struct yparser *p, struct fy_event *ev, enum ykind kind, struct ynode **ret_node)
{
    const struct src_pos at = event_pos(p, ev);
    if (++p->nodes > YAML_NODES_MAX)
        return FAIL_AT(at, ERR_LIMIT, "more than %d values in one file", YAML_NODES_MAX);
    struct ynode *n = arena_make(p->arena, struct ynode);
    n->kind = (unsigned char)kind;
    n->height = 1;
    n->weight = 1;
    n->line = at.line;
    n->col = at.col;
    n->file = p->file;
    *ret_node = n;
    return NULL;
}

/* ---- map keys: duplicates and merging -------------------------------------- */
#define PAIRS_SCANNED_MAX 12 /* up to here comparing each with each is faster than a table */

struct seen { /* the pairs of one map by key; the table is made when it pays */
    struct frame *frame;
    struct map *table;
};

static struct ynode *
seen_key(struct seen *s, const char *key)
{
    if (s->table)
        return map_get(s->table, key);
    vec_each (&s->frame->pairs, i) {
        if (strcmp(i->key->text, key) == 0)
            return i->key;
    }
    return NULL;
}

static void
seen_add(struct seen *s, struct frame *f, struct ypair pair)
{
    vec_push(&f->pairs, pair);
    if (s->table) {
        map_put(s->table, pair.key->text, pair.key);
    } else if (f->pairs.len > PAIRS_SCANNED_MAX) {
        s->table = map_new();
        vec_each (&f->pairs, i)
            map_put(s->table, i->key->text, i->key);
    }
}

static void
duplicate_add(struct yparser *p, const struct ynode *key, const struct ynode *first)
{
    problems_add(p->problems, p->file->index,
                 FAIL_AT(yaml_pos(key), ERR_INVALID, "duplicate key '%.60s', first at %u:%u",
                         key->text, first->line, first->col));
}

static bool
is_merge_key(const struct ynode *key)
{
    return key->style == Y_PLAIN && strcmp(key->text, "<<") == 0;
}

/* `what` is there once more; told at `at`. */
static struct err *MUST
expanded_add(struct yparser *p, struct src_pos at, const struct ynode *what)
{
    p->expanded += what->weight;
    p->expanded_bytes += what->bytes;
    if (p->expanded > YAML_EXPANDED_MAX)
        return FAIL_AT(at, ERR_LIMIT, "aliases and merge keys expand to more than %d values",
                       YAML_EXPANDED_MAX);
    if (p->expanded_bytes > YAML_EXPANDED_BYTES_MAX)
        return FAIL_AT(at, ERR_LIMIT, "aliases and merge keys expand to more than 16 MiB of text");
    return NULL;
}

static struct err *MUST
merge_map(struct yparser *p, struct frame *f, struct seen *s, const struct ynode *key,
          const struct ynode *from)
{
    if (from->kind != Y_MAP)
        return FAIL_AT(yaml_pos(key), ERR_INVALID,
                       "'<<' merges maps: its value must be a map or a list of maps");
    PASS(expanded_add(p, yaml_pos(key), from));
    for (unsigned i = 0; i < from->count; i++) {
        if (!seen_key(s, from->pairs[i].key->text))
            seen_add(s, f, from->pairs[i]);
    }
    return NULL;
}

static struct err *MUST
merge_pair(struct yparser *p, struct frame *f, struct seen *s, const struct ypair *merge)
{
    const struct ynode *v = merge->value;
    if (v->kind != Y_LIST)
        return merge_map(p, f, s, merge->key, v);
    for (unsigned i = 0; i < v->count; i++)
        PASS(merge_map(p, f, s, merge->key, v->items[i]));
    return NULL;
}

/* Turns the pairs as written into those of the map: no duplicates, merge keys followed. */
static struct err *MUST
pairs_settle(struct yparser *p, struct frame *f)
{
    struct seen seen = {.frame = f};
    VEC(struct ypair) written = {f->pairs.at, f->pairs.len, f->pairs.cap};
    VEC(struct ypair) merges = {0};
    struct err *e = NULL;
    f->pairs.at = NULL;
    f->pairs.len = f->pairs.cap = 0;
    vec_each (&written, i) {
        if (is_merge_key(i->key)) {
            vec_push(&merges, *i);
            continue;
        }
        const struct ynode *first = seen_key(&seen, i->key->text);
        if (first)
            duplicate_add(p, i->key, first);
        else
            seen_add(&seen, f, *i);
    }
    for (size_t i = 0; !e && i < merges.len; i++)
        e = merge_pair(p, f, &seen, &merges.at[i]);
    map_free(seen.table);
    vec_fini(&written);
    vec_fini(&merges);
    return e;
}

/* ---- the tree under construction ------------------------------------------- */
static struct err *MUST
key_check(const struct ynode *key)
{
    if (key->kind == Y_MAP)
        return FAIL_AT(yaml_pos(key), ERR_INVALID,
                       "a map cannot be a key; a template must be quoted: \"{{ ... }}\"");
    if (key->kind == Y_LIST)
        return FAIL_AT(yaml_pos(key), ERR_INVALID, "a list cannot be a key");
    return NULL;
}

/* A finished node (or a followed alias) becomes part of the container around it. */
static struct err *MUST
node_place(struct yparser *p, struct ynode *n)
{
    if (!p->stack.len) {
        p->root = n;
        return NULL;
    }
    struct frame *f = &vec_last(&p->stack);
    if (p->stack.len + n->height > YAML_DEPTH_MAX)
        return FAIL_AT(yaml_pos(n), ERR_LIMIT, "nested deeper than %d levels", YAML_DEPTH_MAX);
    f->node->height = (unsigned char)MAX(f->node->height, n->height + 1);
    f->node->weight += n->weight; /* neither can overflow: both budgets are far below */
    f->node->bytes += n->bytes;
    if (f->node->kind == Y_LIST) {
        vec_push(&f->items, n);
        return NULL;
    }
    if (!f->key) {
        PASS(key_check(n));
        f->key = n;
        return NULL;
    }
    const struct ypair pair = {STEAL(f->key), n};
    vec_push(&f->pairs, pair);
    return NULL;
}

static const char *
event_anchor(struct yparser *p, struct fy_event *ev)
{
    struct fy_token *t = fy_event_get_anchor_token(ev);
    size_t n;
    const char *s = t ? fy_token_get_text(t, &n) : NULL;
    return s ? arena_strndup(p->arena, s, n) : NULL;
}

static struct err *MUST
container_open(struct yparser *p, struct fy_event *ev, enum ykind kind)
{
    struct frame f = {.anchor = event_anchor(p, ev)};
    if (p->stack.len >= YAML_DEPTH_MAX)
        return FAIL_AT(event_pos(p, ev), ERR_LIMIT, "nested deeper than %d levels", YAML_DEPTH_MAX);
    PASS(yaml_tag_check(fy_event_get_tag_token(ev), event_pos(p, ev), kind == Y_MAP ? "map" : "seq",
                        NULL));
    PASS(node_new(p, ev, kind, &f.node));
    if (f.anchor)
        map_put(p->anchors, f.anchor, &open_anchor);
    vec_push(&p->stack, f);
    return NULL;
}

static struct err *MUST
frame_close(struct yparser *p, struct frame *f)
{
    struct ynode *n = f->node;
    if (n->kind == Y_LIST) {
        n->count = (unsigned)f->items.len;
        n->items = arena_array(p->arena, struct ynode *, f->items.len);
        if (f->items.len)
            memcpy(n->items, f->items.at, f->items.len * sizeof *n->items);
    } else {
        PASS(pairs_settle(p, f));
        n->count = (unsigned)f->pairs.len;
        n->pairs = arena_array(p->arena, struct ypair, f->pairs.len);
        if (f->pairs.len)
            memcpy(n->pairs, f->pairs.at, f->pairs.len * sizeof *n->pairs);
    }
    if (f->anchor)
        map_put(p->anchors, f->anchor, n);
    return node_place(p, n);
}

static struct err *MUST
container_close(struct yparser *p)
{
    assert(p->stack.len);
    struct frame f = vec_pop(&p->stack);
    struct err *e = frame_close(p, &f);
    frame_fini(&f);
    return e;
}

static enum ystyle
token_style(struct fy_token *t)
{
    static const unsigned char styles[] = {[FYSS_PLAIN] = Y_PLAIN,
                                           [FYSS_SINGLE_QUOTED] = Y_SINGLE,
                                           [FYSS_DOUBLE_QUOTED] = Y_DOUBLE,
                                           [FYSS_LITERAL] = Y_LITERAL,
                                           [FYSS_FOLDED] = Y_FOLDED};
    const enum fy_scalar_style style = t ? fy_token_scalar_style(t) : FYSS_PLAIN;
    return style >= 0 && style < (int)COUNT(styles) ? styles[style] : Y_PLAIN;
}

static void
scalar_text(struct yparser *p, struct ynode *n, struct fy_token *t)
{
    size_t len = 0;
    char *text;
    if (n->style == Y_SINGLE && n->end <= p->file->len && n->start <= n->end) {
        text = arena_alloc(p->arena, n->end - n->start + 1);
        len = yaml_single_decode(p->file->text + n->start, n->end - n->start, text);
    } else {
        const char *s = t ? fy_token_get_text(t, &len) : NULL;
        text = arena_strndup(p->arena, s ? s : "", s ? len : 0);
        yaml_variables_show(text, len);
    }
    n->text = text;
    n->count = n->bytes = (unsigned)len;
}

static void
scalar_set(struct yparser *p, struct ynode *n, struct fy_token *t)
{
    const struct fy_mark *m = t ? fy_token_start_mark(t) : NULL;
    const struct fy_mark *m2 = t ? fy_token_end_mark(t) : NULL;
    n->style = (unsigned char)token_style(t);
    n->start = m ? (unsigned)(p->from + m->input_pos) : 0;
    n->end = m2 ? (unsigned)(p->from + m2->input_pos) : n->start;
    scalar_text(p, n, t);
    if ((n->style == Y_SINGLE || n->style == Y_DOUBLE) && n->col > 1)
        n->col--; /* the mark is after the quote; the value begins with it */
}

static struct err *MUST
scalar_add(struct yparser *p, struct fy_event *ev)
{
    struct ynode *n = NULL;
    PASS(node_new(p, ev, Y_SCALAR, &n));
    assert(n);
    if (!fy_event_start_mark(ev) && p->stack.len) { /* `key:` with nothing after it: the key's */
        const struct frame *f = &vec_last(&p->stack);
        n->line = f->key ? f->key->line : f->node->line;
        n->col = f->key ? f->key->col : f->node->col;
    }
    scalar_set(p, n, ev->scalar.value);
    if (memchr(n->text, '\0', n->count))
        return FAIL_AT(yaml_pos(n), ERR_INVALID, "a text cannot hold the character NUL");
    if (!utf8_valid(n->text, n->count))
        return FAIL_AT(yaml_pos(n), ERR_INVALID, "an escape gives half of a surrogate pair");
    PASS(yaml_tag_check(fy_event_get_tag_token(ev), yaml_pos(n), "scalar", n));
    const char *anchor = event_anchor(p, ev);
    if (anchor)
        map_put(p->anchors, anchor, n);
    return node_place(p, n);
}

static struct err *MUST
alias_follow(struct yparser *p, struct fy_event *ev)
{
    size_t len = 0;
    const char *s = fy_token_get_text(ev->alias.anchor, &len);
    const char *name = arena_strndup(p->arena, s ? s : "", s ? len : 0);
    struct ynode *n = map_get(p->anchors, name);
    struct src_pos at = event_pos(p, ev);
    at.col -= at.col > 1; /* the mark is after the '*' */
    if (!n)
        return yaml_unknown_alias(at, name, p->anchors);
    if (n == &open_anchor)
        return FAIL_AT(at, ERR_INVALID, "alias '*%.60s' is inside of what it stands for", name);
    PASS(expanded_add(p, at, n));
    return node_place(p, n);
}

static struct err *MUST
document_open(struct yparser *p, struct fy_event *ev)
{
    if (p->documents++)
        return FAIL_AT(event_pos(p, ev), ERR_INVALID,
                       "a second document begins here; a file holds one ('---' only at its top)");
    return NULL;
}

static struct err *MUST
event_take(struct yparser *p, struct fy_event *ev)
{
    switch (ev->type) {
    case FYET_DOCUMENT_START:
        return document_open(p, ev);
    case FYET_MAPPING_START:
        return container_open(p, ev, Y_MAP);
    case FYET_SEQUENCE_START:
        return container_open(p, ev, Y_LIST);
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        return container_close(p);
    case FYET_SCALAR:
        return scalar_add(p, ev);
    case FYET_ALIAS:
        return alias_follow(p, ev);
    default:
        return NULL;
    }
}

/* libfyaml said no; tell it with what we know of the containers that are open. */
static struct err *MUST
syntax_fail(struct yparser *p)
{
    void *it = NULL;
    const struct fy_diag_error *d = fy_diag_errors_iterate(p->diag, &it);
    const struct ynode *open = p->stack.len ? vec_last(&p->stack).node : NULL;
    struct src_pos at = {p->file->path, 1 + p->line_offset, 1};
    if (!d)
        return FAIL_AT(at, ERR_INVALID, "this is not YAML");
    if (d->line > 0) {
        at.line = (unsigned)d->line + p->line_offset;
        at.col = d->column > 0 ? (unsigned)d->column : 1;
    }
    return yaml_syntax_error(at, d->msg, open);
}

static struct err *MUST
events_take(struct yparser *p)
{
    struct fy_event *ev;
    while ((ev = fy_parser_parse(p->fy))) {
        struct err *e = event_take(p, ev);
        fy_parser_event_free(p->fy, ev);
        PASS(e);
    }
    void *it = NULL;
    if (fy_parser_get_stream_error(p->fy) || fy_diag_errors_iterate(p->diag, &it))
        return syntax_fail(p);
    return NULL;
}

/* libfyaml ends quietly where a block of another kind follows at the same depth. */
static struct err *MUST
ended_check(struct yparser *p, size_t to)
{
    if (!p->stack.len && (p->documents || yaml_is_blank(p->file, p->from, to)))
        return NULL;
    return yaml_mixed_error(p->file, p->from, to);
}

struct yrange
yaml_whole(const struct yfile *file)
{
    return (struct yrange){file, 0, file->len};
}

struct err *
yaml_parse(struct arena *a, struct yrange range, struct problems *problems, struct ynode **ret_root)
{
    const struct yfile *file = range.file;
    size_t from = range.from;
    const size_t to = range.to;
    AUTO(parser_fini)
    struct yparser p = {.arena = a, .file = file, .from = from, .problems = problems};
    PASS(yaml_check_bytes(file));
    if (from == 0 && to >= 3 && memcmp(file->text, "\xef\xbb\xbf", 3) == 0)
        p.from = from = 3;
    p.line_offset = yaml_offset_pos(file, from).line - 1;
    struct fy_diag_cfg diag;
    fy_diag_cfg_default(&diag);
    diag.fp = NULL;
    p.diag = fy_diag_create(&diag);
    const struct fy_parse_cfg cfg = {.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG |
                                              FYPCF_DISABLE_DEPTH_LIMIT | FYPCF_JSON_NONE,
                                     .diag = p.diag};
    p.anchors = map_new();
    p.fy = p.diag ? fy_parser_create(&cfg) : NULL;
    if (!p.fy)
        return FAIL(ERR_BUG, "the YAML parser cannot be made");
    fy_diag_set_collect_errors(p.diag, true);
    if (to > from) {
        const char *text = yaml_variables_hide(a, file->text + from, to - from);
        PASS(yaml_check_tabs(&(struct yrange){file, from, to}, text));
        if (fy_parser_set_string(p.fy, text, to - from) != 0)
            return FAIL(ERR_BUG, "the YAML parser does not take the text");
        PASS(events_take(&p));
        PASS(ended_check(&p, to));
    }
    *ret_root = p.root;
    return NULL;
}
