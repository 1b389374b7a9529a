/* registry.c - agents that a program adds to the documents it loads. */
#include "app/registry.h"
#include "app/kinds.h"
#include "base/vec.h"
#include "rt/rt.h"
#include <stdlib.h>
#include <string.h>

#define DEFINITION_BYTES_MAX ((size_t)1 << 20)

struct registry {
    VEC(struct spec_text) texts; /* one an agent */
    VEC(char *) names;
};

struct registry *
registry_new(void)
{
    return xcalloc(1, sizeof(struct registry));
}

void
registry_free(struct registry *r)
{
    if (!r)
        return;
    vec_each (&r->texts, t) {
        free((char *)(uintptr_t)t->path);
        free((char *)(uintptr_t)t->text);
    }
    vec_each (&r->names, name)
        free(*name);
    vec_fini(&r->texts);
    vec_fini(&r->names);
    free(r);
}

const struct spec_text *
registry_texts(const struct registry *r, size_t *ret_n)
{
    *ret_n = r ? r->texts.len : 0;
    return r ? r->texts.at : NULL;
}

/* The definition as it would stand in a file: moved in below its name. A comment in the first line
 * is counted as that line; so places in messages are those of the definition, one further down. */
static char *
as_file(const char *name, const char *definition)
{
    struct str s = STR_INIT;
    AUTO(json_freep) json_t *key = json_string(name);
    AUTO(freep) char *quoted = json_text(key);
    str_addf(&s, "agents:\n  %s:\n", quoted);
    for (const char *line = definition; *line;) {
        const size_t n = strcspn(line, "\r\n"); /* in YAML a '\r' alone ends a line, too */
        str_add(&s, "    ");
        str_addn(&s, line, n);
        str_addc(&s, '\n');
        line += n + (line[n] == '\r' && line[n + 1] == '\n') + (line[n] != '\0');
    }
    return str_steal(&s);
}

static const struct spec_tables tables = {app_agents, app_workflows};

struct loading {
    const struct registry *registry;
    struct spec *spec;
    struct err *e;
};

static void
load_deep(void *arg)
{
    static const char nothing[] = "agents: {}\n";
    struct loading *l = arg;
    size_t n;
    const struct spec_text *texts = registry_texts(l->registry, &n);
    const struct spec_source source = {.path = "registered agents",
                                       .text = nothing,
                                       .len = sizeof nothing - 1,
                                       .texts = texts,
                                       .ntexts = n,
                                       .is_part = true};
    l->e = spec_load(&tables, &source, &l->spec);
}

struct err *
registry_load(const struct registry *r, struct spec **ret_spec)
{
    struct loading l = {.registry = r};
    rt_deep(load_deep, &l);
    PASS(l.e);
    *ret_spec = l.spec;
    return NULL;
}

/* Checked by itself: whatever it names may be in a file that is not known yet. */
static struct err *
check(const struct spec_text *t, const char *name)
{
    struct spec *spec = NULL;
    const struct spec_source source = {
        .path = t->path, .text = t->text, .len = t->len, .is_part = true};
    PASS(spec_load(&tables, &source, &spec));
    json_t *agents = json_object_get(spec->doc, "agents");
    const bool alone = json_object_size(agents) == 1 && json_object_get(agents, name);
    spec_free(spec);
    return alone ? NULL : FAIL(ERR_INVALID, "the definition of '%s' is more than a map", name);
}

struct err *
registry_add(struct registry *r, const char *name, const char *definition)
{
    const size_t n = strlen(definition);
    vec_each (&r->names, taken) {
        if (strcmp(*taken, name) == 0)
            return FAIL(ERR_INVALID, "the agent '%s' is already registered", name);
    }
    if (r->names.len >= REGISTERED_MAX)
        return FAIL(ERR_LIMIT, "%d agents are registered; more belong into a file", REGISTERED_MAX);
    if (n > DEFINITION_BYTES_MAX)
        return FAIL(ERR_INVALID, "a definition of %zu bytes; %zu are possible", n,
                    DEFINITION_BYTES_MAX);
    if (!utf8_valid(name, strlen(name)) || !utf8_valid(definition, n))
        return FAIL(ERR_INVALID, "the name or the definition is not valid UTF-8");
    AUTO(freep) char *path = xasprintf("registered agent '%s'", name);
    AUTO(freep) char *text = as_file(name, definition);
    const struct spec_text t = {path, text, strlen(text)};
    PASS(check(&t, name));
    vec_push(&r->texts, t);
    vec_push(&r->names, xstrdup(name));
    path = text = NULL; /* they are the registry's */
    return NULL;
}
