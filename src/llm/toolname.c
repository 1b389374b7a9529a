/* toolname.c - tools' names, there and back. */
#include "llm/toolname.h"
#include "base/hash.h"
#include "base/map.h"
#include <stdlib.h>
#include <string.h>

static bool
byte_fits(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

/* Gemini wants a letter or '_' first; the others do not mind. */
static bool
first_fits(char c)
{
    return byte_fits(c) && c != '-' && !(c >= '0' && c <= '9');
}

static bool
name_fits(const char *name)
{
    size_t n = strlen(name);
    if (!n || n > TOOLNAME_MAX || !first_fits(name[0]))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!byte_fits(name[i]))
            return false;
    }
    return true;
}

static void
name_fit(const char *name, char ret[TOOLNAME_MAX + 1])
{
    size_t n = strlen(name), at = 0;
    if (!n || !first_fits(name[0]))
        ret[at++] = '_';
    size_t room = TOOLNAME_MAX - at;
    for (size_t i = 0; i < MIN(n, room); i++)
        ret[at++] = byte_fits(name[i]) ? name[i] : '_';
    ret[at] = '\0';
    if (n <= room)
        return;
    char hex[17];
    uint64_t h = hash_fnv(name, n);
    hex_encode(&h, 4, hex);
    ret[TOOLNAME_MAX - 9] = '_';
    memcpy(ret + TOOLNAME_MAX - 8, hex, 8);
}

static void
name_number(char name[TOOLNAME_MAX + 1], unsigned number)
{
    char tail[16];
    int n = snprintf(tail, sizeof tail, "_%u", number);
    size_t len = MIN(strlen(name), (size_t)(TOOLNAME_MAX - n));
    memcpy(name + len, tail, (size_t)n + 1);
}

static void
names_add(struct toolnames *t, const char *name)
{
    char fit[TOOLNAME_MAX + 1], numbered[TOOLNAME_MAX + 1];
    if (map_has(t->to_wire, name))
        return;
    name_fit(name, fit);
    memcpy(numbered, fit, sizeof fit);
    for (unsigned i = 2; map_has(t->from_wire, numbered); i++) {
        memcpy(numbered, fit, sizeof fit);
        name_number(numbered, i);
    }
    char *wire = xstrdup(numbered);
    t->names[t->n++] = wire;
    map_put(t->to_wire, name, wire);
    map_put(t->from_wire, wire, (void *)(uintptr_t)name);
}

void
toolnames_init(struct toolnames *t, const json_t *tools)
{
    *t = (struct toolnames){0};
    size_t i;
    json_t *tool;
    bool all = true;
    json_array_foreach (tools, i, tool)
        all = all && name_fits(json_str(tool, "name", ""));
    if (all)
        return;
    t->to_wire = map_new();
    t->from_wire = map_new();
    t->names = xcalloc(json_array_size(tools), sizeof *t->names);
    /* Names that fit keep themselves, whatever stands in front of them. */
    json_array_foreach (tools, i, tool) {
        if (name_fits(json_str(tool, "name", "")))
            names_add(t, json_str(tool, "name", ""));
    }
    json_array_foreach (tools, i, tool)
        names_add(t, json_str(tool, "name", ""));
}

void
toolnames_fini(struct toolnames *t)
{
    map_free(t->to_wire);
    map_free(t->from_wire);
    for (size_t i = 0; i < t->n; i++)
        free(t->names[i]);
    free(t->names);
    *t = (struct toolnames){0};
}

void
toolname_add(struct str *to, const struct toolnames *t, const char *name)
{
    const char *wire = t->to_wire ? map_get(t->to_wire, name) : NULL;
    if (wire || name_fits(name)) {
        str_add(to, wire ? wire : name);
        return;
    }
    char fit[TOOLNAME_MAX + 1];
    name_fit(name, fit);
    str_add(to, fit);
}

const char *
toolname_back(const struct toolnames *t, const char *wire)
{
    const char *name = t->from_wire ? map_get(t->from_wire, wire) : NULL;
    return name ? name : wire;
}

void
tool_id_add(struct str *to, const char *id)
{
    const size_t n = strlen(id);
    bool fits = n > 0 && n <= TOOLNAME_MAX;
    for (size_t i = 0; fits && i < n; i++)
        fits = byte_fits(id[i]);
    if (fits)
        str_addf(to, "\"%s\"", id);
    else
        str_addf(to, "\"call_%016llx\"", (unsigned long long)hash_fnv(id, n));
}
