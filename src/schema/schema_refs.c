/* schema_refs.c - from references to the nodes they mean, and the search for references without
 * end.
 *
 * A reference may lead to a place that is no known subschema (under an unknown keyword): that place
 * is then compiled as one, which may bring new references. It ends when none is left; the limits
 * of the loader are on totals, so hostile documents cannot make it long. */
#include "base/near.h"
#include "schema/schema_load.h"
#include "schema/schema_uri.h"
#include <stdlib.h>
#include <string.h>

/* ---- references ------------------------------------------------------------------------------*/

void
loader_refer(struct loader *l, struct node *n, struct word *w)
{
    vec_push(&l->refs, ((struct pending){n, w}));
}

static struct err *
member_missing(const json_t *at, const char *token)
{
    struct near near = NEAR_INIT(token);
    const char *key;
    json_t *v;
    size_t offered = 0;
    if (json_is_object(at)) {
        json_object_foreach ((json_t *)(uintptr_t)at, key, v) {
            if (offered++ < 256)
                near_offer(&near, key);
        }
    }
    return FAIL(ERR_MISSING, "it leads nowhere: there is no '%s'%s%s%s", token,
                near.best ? " (did you mean '" : "", near.best ? near.best : "",
                near.best ? "'?)" : "");
}

/* The reference token that ends at `end`, with ~1 and ~0 undone (RFC 6901). */
static char *OWN
token_read(const char *p, const char *end)
{
    char *token = xmalloc((size_t)(end - p) + 1), *to = token;
    for (; p < end; p++) {
        bool escape = *p == '~' && p + 1 < end && (p[1] == '0' || p[1] == '1');
        *to++ = escape ? (p[1] == '0' ? '~' : '/') : *p;
        p += escape;
    }
    *to = '\0';
    return token;
}

static const json_t *
member_of(const json_t *at, const char *token)
{
    if (json_is_object(at))
        return json_object_get(at, token);
    size_t digits = strspn(token, "0123456789");
    if (!json_is_array(at) || !digits || token[digits] || digits > 9)
        return NULL;
    return json_array_get(at, (size_t)strtol(token, NULL, 10));
}

static struct err *
pointer_find(struct loader *l, const struct resource *res, const char *pointer,
             struct node **ret_node)
{
    const json_t *at = res->json;
    const struct node *near = res->root;
    for (const char *p = pointer; *p;) {
        const char *end = p + 1 + strcspn(p + 1, "/");
        AUTO(freep) char *token = token_read(p + 1, end);
        const json_t *next = member_of(at, token);
        if (!next)
            return member_missing(at, token);
        at = next;
        const struct node *known = loader_node(l, at);
        near = known ? known : near;
        p = end;
    }
    struct node *known = loader_node(l, at);
    if (known) {
        *ret_node = known;
        return NULL;
    }
    struct node n = {.json = at,
                     .up = near,
                     .step = arena_strdup(l->schema->arena, pointer + 1),
                     .index = SIZE_MAX};
    return node_add(l, &n, near->res, ret_node);
}

static struct err *
reference_find(struct loader *l, struct node *n, struct word *w)
{
    const char *ref = json_string_value(w->value);
    if (strlen(ref) > URI_MAX)
        return FAIL(ERR_LIMIT, "a reference of more than %d bytes", URI_MAX);
    AUTO(freep) char *uri = uri_join(n->res->uri, ref);
    AUTO(freep) char *fragment = uri_decode(uri_fragment(ref));
    if (!fragment)
        return FAIL(ERR_INVALID, "bad percent escape in '%s'", ref);
    struct resource *res;
    PASS(resource_find(l, uri, &res));
    if (!*fragment) {
        w->node = res->root;
    } else if (*fragment == '/') {
        PASS(pointer_find(l, res, fragment, &w->node));
    } else {
        w->node = res->anchors ? map_get(res->anchors, fragment) : NULL;
        if (!w->node)
            return FAIL(ERR_MISSING, "it leads nowhere: no schema here has the $anchor '%s'",
                        fragment);
        if (res->dynamic && map_has(res->dynamic, fragment))
            w->dynamic = arena_strdup(l->schema->arena, fragment);
    }
    return NULL;
}

struct err *
references_find(struct loader *l)
{
    while (l->refs_done < l->refs.len) {
        struct pending p = l->refs.at[l->refs_done++];
        struct err *e = reference_find(l, p.node, p.word);
        if (!e)
            continue;
        AUTO(freep) char *text = err_text(e);
        AUTO(str_fini) struct str s = STR_INIT;
        str_addf(&s, "'%.200s': %s", json_string_value(p.word->value), text);
        enum err_kind kind = err_kind(e);
        err_drop(e);
        return node_fail(kind, p.node, p.word->def->name, str_c(&s));
    }
    return NULL;
}

/* ---- cycles ----------------------------------------------------------------------------------*/

/* A subschema that leads to itself without going down into the value would never end. Marks: 0 not
 * visited, 1 on the way, 2 done. */
static struct err *
cycle_search(struct node *n, unsigned depth)
{
    if (n->mark == 2)
        return NULL;
    if (n->mark == 1)
        return node_fail(ERR_INVALID, n, NULL, "it refers to itself for the same value: no end");
    if (depth > SCHEMA_DEPTH_MAX)
        return node_fail(ERR_LIMIT, n, NULL, "too many subschemas apply to one value");
    n->mark = 1;
    for (size_t i = 0; i < n->words_len; i++) {
        const struct word *w = &n->words[i];
        if (!w->def->in_place)
            continue;
        if (w->node)
            PASS(cycle_search(w->node, depth + 1));
        for (size_t k = 0; w->nodes && k < w->len; k++) {
            if (w->nodes[k])
                PASS(cycle_search(w->nodes[k], depth + 1));
        }
    }
    n->mark = 2;
    return NULL;
}

struct err *
cycles_check(struct loader *l)
{
    vec_each (&l->all, n)
        PASS(cycle_search(*n, 0));
    return NULL;
}
