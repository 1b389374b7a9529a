/* check.c - the context of a check: where it is, and how mistakes are told. */
#include "spec/check.h"
#include "base/near.h"
#include <stdio.h>
#include <string.h>

void
pointer_add(struct str *s, const char *token)
{
    str_addc(s, '/');
    for (; *token; token++) {
        if (*token == '~' || *token == '/')
            str_add(s, *token == '~' ? "~0" : "~1");
        else
            str_addc(s, *token);
    }
}

struct mark
check_down(struct check *c, const char *shown, const char *canonical, size_t index,
           struct place place)
{
    const struct mark m = {c->path.len, c->pointer.len};
    if (shown) {
        str_addf(&c->path, "%s%.60s", c->path.len ? "." : "", shown);
        pointer_add(&c->pointer, canonical);
    } else {
        str_addf(&c->path, "[%zu]", index + 1);
        str_addf(&c->pointer, "/%zu", index);
    }
    if (place.value && place.value->file) {
        struct place *p = arena_make(c->arena, struct place);
        *p = place;
        map_put(c->places->by_pointer, str_c(&c->pointer), p);
    }
    return m;
}

static void
str_shorten(struct str *s, size_t len)
{
    if (!s->p)
        return;
    s->len = len;
    s->p[len] = '\0';
}

void
check_up(struct check *c, struct mark m)
{
    str_shorten(&c->path, m.path);
    str_shorten(&c->pointer, m.pointer);
}

struct saved
check_enter(struct check *c, const char *what, const char *name)
{
    const struct saved s = {str_steal(&c->where), str_steal(&c->path)};
    if (name)
        str_addf(&c->where, "%s '%.60s'", what, name);
    else
        str_addf(&c->where, "%s%s%s", s.where, s.where[0] && s.path[0] ? ": " : "", s.path);
    return s;
}

static void
str_set(struct str *s, char *OWN text)
{
    str_reset(s);
    str_add(s, text);
    free(text);
}

void
check_leave(struct check *c, struct saved s)
{
    str_set(&c->where, s.where);
    str_set(&c->path, s.path);
}

/* ---- messages -------------------------------------------------------------- */
void
check_fail_at(struct check *c, unsigned file, struct src_pos at, enum err_kind kind,
              const char *text)
{
    const char *where = str_c(&c->where);
    if (problems_full(&c->problems)) {
        c->problems.total++;
        return;
    }
    problems_add(&c->problems, file, FAIL_AT(at, kind, "%s%s%s", where, *where ? ": " : "", text));
}

void
check_fail(struct check *c, const struct ynode *at, const char *fmt, ...)
{
    AUTO(str_fini) struct str s = STR_INIT;
    va_list ap;
    va_start(ap, fmt);
    str_addv(&s, fmt, ap);
    va_end(ap);
    check_fail_at(c, at->file ? at->file->index : 0, yaml_pos(at), ERR_INVALID, str_c(&s));
}

char *
pos_text(const struct ynode *at, const struct ynode *seen_from)
{
    if (!at->file)
        return xstrdup("elsewhere");
    if (seen_from && seen_from->file == at->file)
        return xasprintf("%u:%u", at->line, at->col);
    return xasprintf("%s:%u:%u", at->file->path, at->line, at->col);
}

/* The beginning of a text in quotes, on one line. */
static void
quoted_add(struct str *s, const char *text)
{
    const size_t n = strlen(text), shown = n > 40 ? utf8_floor(text, 40) : n;
    str_addc(s, '\'');
    for (size_t i = 0; i < shown; i++) {
        if (text[i] == '\n')
            str_add(s, "\\n");
        else if ((unsigned char)text[i] >= ' ')
            str_addc(s, text[i]);
        else
            str_addf(s, "\\x%02x", text[i]);
    }
    str_add(s, shown < n ? "...'" : "'");
}

const char *
found_text(const struct ynode *n, struct str *s)
{
    str_reset(s);
    if (n->kind != Y_SCALAR) {
        str_add(s, n->kind == Y_MAP ? "a map" : "a list");
        return str_c(s);
    }
    switch (yaml_scalar(n).type) {
    case YT_NULL:
        str_add(s, n->count ? "null" : "nothing");
        break;
    case YT_BOOL:
        str_add(s, n->text);
        break;
    case YT_STRING:
        str_add(s, "the text ");
        quoted_add(s, n->text);
        break;
    default:
        str_addf(s, "the number %.40s", n->text);
    }
    return str_c(s);
}

static void
range_add(struct str *s, const char *what, const struct param *p)
{
    str_add(s, what);
    if (p->min < p->max && p->max >= 1e9)
        str_addf(s, " of at least %.15g", p->min);
    else if (p->min < p->max)
        str_addf(s, " from %.15g to %.15g", p->min, p->max);
}

static void
choices_add(struct str *s, const char *const *choices)
{
    for (size_t i = 0; choices[i]; i++)
        str_addf(s, "%s%s", !i ? "" : choices[i + 1] ? ", " : " or ", choices[i]);
}

static void
alternatives_add(struct str *s, const struct param *p)
{
    for (const struct param *a = p->fields; a->name; a++) {
        if (a != p->fields)
            str_add(s, a[1].name ? ", " : " or ");
        expected_add(s, a);
    }
}

static const char *
ref_text(enum param_ref ref)
{
    static const char *const names[] = {[REF_AGENT] = "an agent",
                                        [REF_PROFILE] = "a profile",
                                        [REF_SERVER] = "an MCP server",
                                        [REF_NODE] = "a node",
                                        [REF_WORKER] = "an agent or a workflow"};
    return names[ref];
}

void
expected_add(struct str *s, const struct param *p)
{
    static const char *const names[P_TYPES] = {[P_STRING] = "a text",
                                               [P_TEXT] = "a text",
                                               [P_COND] = "a condition",
                                               [P_VALUE] = "a value",
                                               [P_ANY] = "a value",
                                               [P_SCHEMA] = "a JSON Schema",
                                               [P_BOOL] = "true or false",
                                               [P_DURATION] =
                                                   "a duration (30, 1.5, 500ms, 30s, 5m, 2h or 7d)",
                                               [P_SIZE] = "a size (4096, 64K, 10M or 1G)",
                                               [P_LIST] = "a list",
                                               [P_MAP] = "a map",
                                               [P_OBJECT] = "a map",
                                               [P_PATH] = "a path",
                                               [P_NODES] = "a list of nodes",
                                               [P_NODE] = "a node written out as a map"};
    if (p->type == P_INT)
        range_add(s, "an integer", p);
    else if (p->type == P_NUMBER)
        range_add(s, "a number", p);
    else if (p->type == P_ENUM)
        choices_add(s, p->choices);
    else if (p->type == P_REF)
        str_addf(s, "the name of %s", ref_text(p->ref));
    else if (p->type == P_ONE_OF)
        alternatives_add(s, p);
    else
        str_add(s, names[p->type]);
}

void
check_unfit(struct check *c, const struct ynode *n, const char *expected)
{
    AUTO(str_fini) struct str found = STR_INIT;
    found_text(n, &found);
    if (n->kind == Y_SCALAR && strstr(n->text, "${")) { /* not the value: it may be a secret */
        str_reset(&found);
        str_add(&found, "the value of ");
        quoted_add(&found, n->text);
    }
    if (c->path.len)
        check_fail(c, n, "'%s' expects %s, found %s", str_c(&c->path), expected, str_c(&found));
    else
        check_fail(c, n, "must be %s, found %s", expected, str_c(&found));
}
