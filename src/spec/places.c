/* places.c - from the normal form back to the file. */
#include "spec/places.h"
#include <stdlib.h>
#include <string.h>

struct spec_places *
places_new(void)
{
    struct spec_places *p = xcalloc(1, sizeof *p);
    p->arena = arena_new(0);
    p->by_pointer = map_new();
    return p;
}

void
places_free(struct spec_places *p)
{
    if (!p)
        return;
    map_free(p->by_pointer);
    arena_free(p->arena);
    vec_fini(&p->files);
    free(p);
}

#define TOKEN_MAX 512

/* One token of a pointer, unescaped; returns what is behind it. */
static const char *
token_read(const char *p, char token[TOKEN_MAX])
{
    size_t k = 0;
    for (; *p && *p != '/'; p++) {
        const bool escape = *p == '~' && p[1];
        p += escape;
        if (k < TOKEN_MAX - 1)
            token[k++] = !escape ? *p : *p == '1' ? '/' : '~';
    }
    token[k] = '\0';
    return p;
}

json_t *
pointer_get(json_t *doc, const char *pointer)
{
    char token[TOKEN_MAX];
    while (doc && *pointer == '/') {
        pointer = token_read(pointer + 1, token);
        doc = json_is_array(doc) ? json_array_get(doc, strtoul(token, NULL, 10))
                                 : json_object_get(doc, token);
    }
    return doc;
}

/* The member or item that one token of a pointer names. */
static struct place
step(const struct ynode *n, const char *name)
{
    if (n->kind == Y_LIST) {
        char *end;
        const unsigned long i = strtoul(name, &end, 10);
        if (*name && !*end && i < n->count)
            return (struct place){NULL, n->items[i]};
    }
    for (unsigned i = 0; n->kind == Y_MAP && i < n->count; i++) {
        if (strcmp(n->pairs[i].key->text, name) == 0)
            return (struct place){n->pairs[i].key, n->pairs[i].value};
    }
    return (struct place){0};
}

/* The place of the pointer or of its nearest ancestor; what lies below a noted place is the user's
 * own data and is found under the names it has in the file. */
static struct place
find(const struct spec_places *p, const char *pointer, bool *ret_exact)
{
    AUTO(freep) char *at = xstrdup(pointer);
    size_t len = strlen(at);
    const struct place *known;
    while (!(known = map_get(p->by_pointer, at)) && len) {
        while (len && at[len - 1] != '/')
            len--;
        len -= len > 0;
        at[len] = '\0';
    }
    *ret_exact = false;
    if (!known)
        return (struct place){0};
    struct place place = *known;
    const char *rest = pointer + len;
    char token[TOKEN_MAX];
    while (*rest == '/') {
        rest = token_read(rest + 1, token);
        const struct place next = step(place.value, token);
        if (!next.value)
            return place;
        place = next;
    }
    *ret_exact = true;
    return place;
}

struct src_pos
spec_pos(const struct spec *s, const char *pointer)
{
    bool exact;
    if (!s->places)
        return NOWHERE;
    const struct place p = find(s->places, pointer, &exact);
    if (!p.value) {
        const struct yfile *first = s->places->files.len ? s->places->files.at[0] : NULL;
        return first ? (struct src_pos){first->path, 1, 1} : NOWHERE;
    }
    return yaml_pos(p.key && (p.value->kind != Y_SCALAR || !exact) ? p.key : p.value);
}

struct src_pos
spec_text_pos(const struct spec *s, const char *pointer, unsigned line, unsigned col)
{
    bool exact;
    if (!s->places)
        return NOWHERE;
    const struct place p = find(s->places, pointer, &exact);
    if (!exact || p.value->kind != Y_SCALAR)
        return spec_pos(s, pointer);
    return yaml_line_pos(p.value, line, col);
}

const char *
spec_file(const struct spec *s, size_t i)
{
    return s->places && i < s->places->files.len ? s->places->files.at[i]->path : NULL;
}
