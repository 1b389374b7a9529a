/* schema_load.c - documents to resources to nodes, then references to the nodes they mean.
 *
 * All documents are copied, so that the address of a JSON object names a subschema for good. A
 * reference is noted and looked up when its document is whole (schema_refs.c). */
#include "schema/schema_load.h"
#include "schema/schema_eval.h"
#include "schema/schema_node.h"
#include "schema/schema_uri.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct arena *
loader_arena(struct loader *l)
{
    return l->schema->arena;
}

bool
loader_asserts_formats(const struct loader *l, const struct node *n)
{
    return l->schema->assert_formats || (n->res->dialect.vocab & VOCAB_ASSERT_FORMAT);
}

/* ---- places and messages ---------------------------------------------------------------------*/

void
node_locate(struct str *s, const struct node *n)
{
    VEC(const struct node *) way = {0};
    for (; n->up; n = n->up)
        vec_push(&way, n);
    str_addf(s, "%s#", n->res->uri);
    while (way.len) {
        const struct node *at = vec_pop(&way);
        str_addf(s, "/%s", at->step);
        if (at->name)
            pointer_token_add(s, at->name);
        else if (at->index != SIZE_MAX)
            str_addf(s, "/%zu", at->index);
    }
    vec_fini(&way);
}

struct err *
node_fail(enum err_kind kind, const struct node *n, const char *keyword, const char *text)
{
    AUTO(str_fini) struct str at = STR_INIT;
    node_locate(&at, n);
    if (keyword)
        str_addf(&at, "/%s", keyword);
    return FAIL(kind, "schema at '%s': %s", str_c(&at), text);
}

struct err *
word_fail(const struct node *n, const struct word *w, const char *fmt, ...)
{
    AUTO(str_fini) struct str text = STR_INIT;
    va_list ap;
    va_start(ap, fmt);
    str_addv(&text, fmt, ap);
    va_end(ap);
    return node_fail(ERR_INVALID, n, w->def->name, str_c(&text));
}

/* ---- dialects --------------------------------------------------------------------------------*/

/* A $schema that is none of the official ones: its $vocabulary says what it means, when it can be
 * had. Otherwise it is read as 2020-12, which is what most of such documents are. */
static struct err *
dialect_custom(struct loader *l, const char *uri, struct dialect *ret)
{
    json_t *meta = l->options->find ? l->options->find(l->options->ctx, uri) : NULL;
    *ret = (struct dialect){DRAFT_2020, VOCAB_USUAL, meta == NULL};
    if (!meta)
        return NULL;
    json_t *list = json_object_get(meta, "$vocabulary");
    const char *base = json_str(meta, "$schema", "");
    if (!json_is_object(list)) {
        dialect_known(base, ret);
        return NULL;
    }
    struct dialect based;
    if (dialect_known(base, &based))
        ret->draft = based.draft;
    ret->vocab = VOCAB_CORE;
    const char *name;
    json_t *needed;
    json_object_foreach (list, name, needed) {
        unsigned vocab = 0;
        if (vocab_known(name, &vocab))
            ret->vocab |= vocab;
        else if (json_is_true(needed))
            return FAIL(ERR_INVALID, "'$schema' '%s' needs the vocabulary '%s', which is not known",
                        uri, name);
    }
    return NULL;
}

static struct err *
dialect_read(struct loader *l, const json_t *json, bool root, struct dialect *ret)
{
    const char *uri = json_str(json, "$schema", root ? l->options->dialect : NULL);
    if (!uri || dialect_known(uri, ret))
        return NULL;
    if (strstr(uri, "json-schema.org/draft-03/") || strlen(uri) > URI_MAX)
        return FAIL(ERR_INVALID, "'$schema' '%.99s' is not supported; use 2020-12", uri);
    AUTO(freep) char *base = uri_join("", uri);
    return dialect_custom(l, base, ret);
}

/* ---- resources and anchors -------------------------------------------------------------------*/

static void
map_freer(void *m)
{
    map_free(m);
}

static struct resource *
resource_make(struct loader *l, const json_t *json, const char *uri)
{
    struct resource *res = arena_make(l->schema->arena, struct resource);
    res->json = json;
    res->uri = arena_strdup(l->schema->arena, uri);
    return res;
}

/* Two subschemas of one URI are an error, unless they are the same text: generators that inline a
 * named schema wherever it is used leave its $id in each copy. */
static struct err *
resource_register(struct loader *l, struct resource *res, const char *uri)
{
    const struct resource *other = map_get(l->resources, uri);
    int64_t left = SCHEMA_VALUES_MAX * 16;
    if (other && other != res && !value_equal(other->json, res->json, &left))
        return FAIL(ERR_INVALID, "'%s' is the $id of two different schemas", uri);
    if (!other)
        map_put(l->resources, uri, res);
    return NULL;
}

static struct err *
anchor_add(struct loader *l, struct map **map, const char *name, struct node *n)
{
    static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    static const char rest[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789.-";
    if (!*name || !strchr(first, *name) || name[strspn(name, rest)])
        return FAIL(ERR_INVALID, "'%s' is no name for an anchor", name);
    if (!*map) {
        *map = map_new();
        arena_defer(l->schema->arena, map_freer, *map);
    }
    if (map_put(*map, name, n))
        return FAIL(ERR_INVALID, "the anchor '%s' is given twice", name);
    return NULL;
}

static struct err *
anchors_read(struct loader *l, struct node *n, struct resource *res)
{
    enum draft draft = res->dialect.draft;
    const char *id = json_str(n->json, draft == DRAFT_4 ? "id" : "$id", "");
    bool by_id = draft <= DRAFT_7 ? !json_object_get(n->json, "$ref") : res->dialect.undeclared;
    if (by_id && id[0] == '#' && id[1])
        PASS(anchor_add(l, &res->anchors, id + 1, n));
    if (draft < DRAFT_2019)
        return NULL;
    const char *anchor = json_str(n->json, "$anchor", NULL);
    if (anchor)
        PASS(anchor_add(l, &res->anchors, anchor, n));
    const char *dynamic = draft == DRAFT_2020 ? json_str(n->json, "$dynamicAnchor", NULL) : NULL;
    if (dynamic) {
        PASS(anchor_add(l, &res->anchors, dynamic, n));
        PASS(anchor_add(l, &res->dynamic, dynamic, n));
    }
    if (draft == DRAFT_2019 && n->json == res->json)
        res->recursive = json_bool(n->json, "$recursiveAnchor", false);
    return NULL;
}

/* The URI that the object claims for itself, or NULL. Before 2019-09 a $ref hides it, and a mere
 * "#name" is an anchor. */
static const char *
id_read(const json_t *json, const struct dialect *d)
{
    const char *id = json_str(json, d->draft == DRAFT_4 ? "id" : "$id", NULL);
    bool older = d->draft <= DRAFT_7;
    if (!id || (older && json_object_get(json, "$ref")))
        return NULL;
    return (older || d->undeclared) && id[0] == '#' ? NULL : id;
}

/* The resource to which this object belongs: `outer`, or a new one with its own URI. The root of a
 * document is always the root of `outer`. */
static struct err *
resource_enter(struct loader *l, const json_t *json, struct resource *outer,
               struct resource **ret_res)
{
    bool root = outer->json == json;
    struct dialect dialect = outer->dialect;
    if (root || json_object_get(json, "$id") || json_object_get(json, "id"))
        PASS(dialect_read(l, json, root, &dialect));
    const char *id = id_read(json, &dialect);
    *ret_res = outer;
    if (root)
        outer->dialect = dialect;
    if (!id)
        return NULL;
    if (dialect.draft >= DRAFT_2019 && *uri_fragment(id))
        return FAIL(ERR_INVALID, "$id '%s' has a fragment; use $anchor for that", id);
    if (strlen(id) > URI_MAX)
        return FAIL(ERR_LIMIT, "$id of more than %d bytes", URI_MAX);
    AUTO(freep) char *uri = uri_join(outer->uri, id);
    if (strcmp(uri, outer->uri) == 0)
        return NULL;
    struct resource *res = root ? outer : resource_make(l, json, uri);
    res->dialect = dialect;
    if (root)
        res->uri = arena_strdup(l->schema->arena, uri);
    *ret_res = res;
    return resource_register(l, res, uri);
}

/* ---- nodes -----------------------------------------------------------------------------------*/

/* Hexadecimal, as maps have names for keys. */
static void
node_register(struct loader *l, struct node *n)
{
    char key[24];
    snprintf(key, sizeof key, "%" PRIxPTR, (uintptr_t)n->json);
    map_put(l->nodes, key, n);
}

struct node *
loader_node(const struct loader *l, const json_t *json)
{
    char key[24];
    if (!json_is_object(json))
        return NULL; /* true and false are the same address everywhere */
    snprintf(key, sizeof key, "%" PRIxPTR, (uintptr_t)json);
    return map_get(l->nodes, key);
}

static bool
keyword_applies(const struct keyword *k, const struct node *n, bool ref_only)
{
    const struct dialect *d = &n->res->dialect;
    if (!(k->vocab & d->vocab) || d->draft < k->from || d->draft > k->to)
        return false;
    /* Before 2019-09 a $ref is alone, but the root of many documents is {$ref, definitions}. */
    return !ref_only || strcmp(k->name, "$ref") == 0 || k->vocab == VOCAB_CORE;
}

static struct err *
words_parse(struct loader *l, struct node *n)
{
    bool ref_only = n->res->dialect.draft <= DRAFT_7 && json_object_get(n->json, "$ref");
    n->words = arena_array(l->schema->arena, struct word,
                           MIN(json_object_size(n->json), schema_keywords_len));
    for (size_t i = 0; i < schema_keywords_len; i++) {
        const struct keyword *k = &schema_keywords[i];
        const json_t *value = json_object_get(n->json, k->name);
        if (!value || !keyword_applies(k, n, ref_only))
            continue;
        if (n->res->dialect.draft == DRAFT_2019 && strcmp(k->name, "$dynamicRef") == 0)
            continue;
        struct word *w = &n->words[n->words_len];
        *w = (struct word){.def = k, .value = value};
        PASS(k->parse(l, n, w));
        if (w->def)
            n->words_len++;
    }
    return NULL;
}

static struct err *
node_fill(struct loader *l, struct node *n, struct resource *outer)
{
    if (json_is_boolean(n->json)) {
        n->kind = json_is_true(n->json) ? NODE_TRUE : NODE_FALSE;
        if (outer->json == n->json)
            outer->root = n;
        return NULL;
    }
    if (!json_is_object(n->json)) {
        AUTO(str_fini) struct str s = STR_INIT;
        str_add(&s, "expected a schema (an object, true or false), found ");
        value_describe(&s, n->json);
        return node_fail(ERR_INVALID, n, NULL, str_c(&s));
    }
    struct resource *res;
    struct err *e = resource_enter(l, n->json, outer, &res);
    if (!e) {
        n->res = res;
        if (res->json == n->json)
            res->root = n;
        node_register(l, n);
        e = anchors_read(l, n, res);
    }
    if (e) {
        AUTO(freep) char *text = err_text(e);
        enum err_kind kind = err_kind(e);
        err_drop(e);
        return node_fail(kind, n, NULL, text);
    }
    return words_parse(l, n);
}

struct err *
node_add(struct loader *l, const struct node *like, const struct resource *outer,
         struct node **ret_node)
{
    if (l->all.len >= SCHEMA_NODES_MAX)
        return FAIL(ERR_LIMIT, "the schema has more than %d subschemas", SCHEMA_NODES_MAX);
    struct node *n = arena_make(l->schema->arena, struct node);
    *n = *like;
    n->res = outer;
    vec_push(&l->all, n);
    PASS(node_fill(l, n, (struct resource *)(uintptr_t)outer)); /* ours, being built */
    *ret_node = n;
    return NULL;
}

struct err *
node_make(struct loader *l, const struct node *up, const struct word *from, struct node **ret_node)
{
    struct node n = {.json = from->value, .up = up, .step = from->def->name, .index = SIZE_MAX};
    return node_add(l, &n, up->res, ret_node);
}

struct err *
node_make_at(struct loader *l, const struct node *up, const struct word *from, size_t index,
             struct node **ret_node)
{
    struct node n = {.json = json_array_get(from->value, index), .up = up, .index = index};
    n.step = from->def->name;
    return node_add(l, &n, up->res, ret_node);
}

struct err *
node_make_named(struct loader *l, const struct node *up, const struct word *from, const char *name,
                struct node **ret_node)
{
    struct node n = {.json = json_object_get(from->value, name), .up = up, .name = name};
    n.step = from->def->name;
    n.index = SIZE_MAX;
    return node_add(l, &n, up->res, ret_node);
}

/* ---- documents -------------------------------------------------------------------------------*/

static struct err *
size_check(struct loader *l, const json_t *v, unsigned depth)
{
    if (depth > JSON_DEPTH_MAX)
        return FAIL(ERR_LIMIT, "the schema is nested deeper than %d", JSON_DEPTH_MAX);
    if (++l->values > SCHEMA_VALUES_MAX)
        return FAIL(ERR_LIMIT, "the schema has more than %d values", SCHEMA_VALUES_MAX);
    size_t i;
    const char *key;
    json_t *sub;
    if (json_is_array(v)) {
        json_array_foreach (v, i, sub)
            PASS(size_check(l, sub, depth + 1));
    } else if (json_is_object(v)) {
        json_object_foreach ((json_t *)(uintptr_t)v, key, sub)
            PASS(size_check(l, sub, depth + 1));
    }
    return NULL;
}

static void
json_freer(void *j)
{
    json_decref(j);
}

static struct err *
document_add(struct loader *l, const json_t *doc, const char *uri, struct resource **ret_res)
{
    if (++l->documents > SCHEMA_DOCUMENTS_MAX)
        return FAIL(ERR_LIMIT, "the schema draws in more than %d documents", SCHEMA_DOCUMENTS_MAX);
    PASS(size_check(l, doc, 1));
    json_t *copy = json_deep_copy(doc);
    arena_defer(l->schema->arena, json_freer, copy);
    struct resource *res = resource_make(l, copy, uri);
    res->dialect = (struct dialect){DRAFT_2020, VOCAB_USUAL, true};
    map_put(l->resources, uri, res);
    struct node n = {.json = copy, .index = SIZE_MAX}, *root;
    PASS(node_add(l, &n, res, &root));
    *ret_res = res;
    return NULL;
}

struct err *
resource_find(struct loader *l, const char *uri, struct resource **ret_res)
{
    *ret_res = map_get(l->resources, uri);
    if (*ret_res)
        return NULL;
    AUTO(json_freep) json_t *meta = meta_schema_load(uri);
    if (meta)
        return document_add(l, meta, uri, ret_res);
    json_t *doc = l->options->find ? l->options->find(l->options->ctx, uri) : NULL;
    if (doc)
        return document_add(l, doc, uri, ret_res);
    return FAIL(ERR_MISSING,
                "it leads to '%s', which is not in this document, and references are never "
                "fetched; put that schema under $defs, with its $id",
                uri);
}

/* ---- all together ----------------------------------------------------------------------------*/

static struct err *
document_load(struct loader *l, const json_t *doc)
{
    const char *given = l->options->uri ? l->options->uri : "";
    if (strlen(given) > URI_MAX)
        return FAIL(ERR_LIMIT, "a URI of more than %d bytes", URI_MAX);
    AUTO(freep) char *uri = uri_join("", given);
    struct resource *res;
    PASS(document_add(l, doc, uri, &res));
    l->schema->root = res->root;
    PASS(references_find(l));
    return cycles_check(l);
}

struct err *
schema_load(struct schema *s, const json_t *doc, const struct schema_options *options)
{
    struct loader l = {.schema = s, .options = options};
    l.resources = map_new();
    l.nodes = map_new();
    struct err *e = document_load(&l, doc);
    map_free(l.resources);
    map_free(l.nodes);
    vec_fini(&l.refs);
    vec_fini(&l.all);
    return e;
}
