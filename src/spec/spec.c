/* spec.c - loading a configuration from beginning to end. */
#include "spec/spec.h"
#include "expr/expr.h"
#include "spec/load.h"
#include "spec/places.h"
#include <stdlib.h>

struct spec *
spec_from_doc(json_t *doc)
{
    struct spec *s = xcalloc(1, sizeof *s);
    s->doc = doc;
    return s;
}

void
spec_free(struct spec *s)
{
    if (!s)
        return;
    json_decref(s->doc);
    places_free(s->places);
    err_free(s->warnings);
    free(s);
}

void
spec_freep(struct spec **s)
{
    spec_free(*s);
    *s = NULL;
}

const struct err *
spec_warnings(const struct spec *s)
{
    return s->warnings;
}

static void
loader_fini(struct loader *l)
{
    struct check *c = &l->c;
    problems_fini(&c->problems);
    problems_fini(&c->warnings);
    str_fini(&c->where);
    str_fini(&c->path);
    str_fini(&c->pointer);
    vec_fini(&c->refs);
    vec_fini(&c->deferred);
    vec_fini(&c->locals);
    vec_each (&l->files, f)
        vec_fini(&f->own);
    vec_fini(&l->files);
    vec_fini(&l->cards);
    vec_fini(&l->stack);
    places_free(c->places);
}

/* The checks that kinds make themselves, on definitions that are right as far as tables can say. */
static void
deferred_check(struct check *c, struct spec *s)
{
    vec_each (&c->deferred, d) {
        struct err *e = d->kind->check(pointer_get(s->doc, d->pointer), d->pointer, s);
        if (!e)
            continue;
        AUTO(freep) char *text = err_text(e);
        const struct src_pos at = err_pos(e).line ? err_pos(e) : spec_pos(s, d->pointer);
        problems_add(&c->problems, d->file, FAIL_AT(at, ERR_INVALID, "%s: %s", d->where, text));
        err_drop(e);
    }
}

static unsigned
file_index(struct check *c, const char *path)
{
    vec_each (&c->places->files, f) {
        if (str_eq((*f)->path, path))
            return (*f)->index;
    }
    return 0;
}

static void
more_check(struct check *c, const struct spec_source *source, struct spec *s)
{
    AUTO(err_freep) struct err *found = source->more(source->more_ctx, s);
    for (const struct err *e = found; e; e = err_next(e)) {
        const struct src_pos at = err_pos(e);
        AUTO(freep) char *text = err_text(e);
        problems_add(&c->problems, file_index(c, at.file), FAIL_AT(at, ERR_INVALID, "%s", text));
    }
}

struct err *
spec_load(const struct spec_tables *tables, const struct spec_source *source,
          struct spec **ret_spec)
{
    AUTO(loader_fini) struct loader l = {.source = source};
    AUTO(expr_space_freep) struct expr_space *own = NULL;
    AUTO(spec_freep) struct spec *s = spec_from_doc(NULL);
    struct check *c = &l.c;
    if (!source->space)
        own = expr_space_new((struct luastate_limits){0});
    c->tables = tables;
    c->env = source->env;
    c->space = source->space ? source->space : own;
    c->places = places_new();
    c->arena = c->places->arena;
    files_read(&l);
    s->doc = sections_check(&l);
    override_apply(c, s->doc);
    shorthand_profiles(c, json_object_get(s->doc, "profiles"));
    shorthand_servers(c, json_object_get(s->doc, "mcp_servers"));
    if (!l.incomplete && !source->is_part)
        refs_check(c, s->doc);
    s->places = c->places;
    deferred_check(c, s);
    if (c->problems.total && !l.incomplete && source->more)
        more_check(c, source, s);
    c->places = NULL;
    if (c->problems.total)
        return problems_steal(&c->problems);
    s->warnings = problems_steal(&c->warnings);
    *ret_spec = STEAL(s);
    return NULL;
}
