/* shorthand.c - what users may leave out of profiles, servers and limits, spelled out. */
#include "base/near.h"
#include "spec/load.h"
#include "spec/places.h"
#include "spec/tables.h"
#include <string.h>

static const struct place *
entry_place(struct check *c, const char *section, const char *name, struct str *pointer)
{
    str_reset(pointer);
    str_addf(pointer, "/%s", section);
    pointer_add(pointer, name);
    return map_get(c->places->by_pointer, str_c(pointer));
}

/* A key was written but is not in the normal form: that has been told, and what misses it would
 * only repeat it. */
static bool
is_broken(struct check *c, const char *section, const char *name, const struct param *table,
          const json_t *def)
{
    AUTO(str_fini) struct str pointer = STR_INIT;
    const struct param *const tables[] = {table, NULL};
    const struct place *entry = entry_place(c, section, name, &pointer);
    for (unsigned i = 0; entry && entry->value->kind == Y_MAP && i < entry->value->count; i++) {
        const struct param *p = field_find(tables, entry->value->pairs[i].key->text);
        if (!p || !json_object_get(def, p->name))
            return true;
    }
    return !entry || entry->value->kind != Y_MAP;
}

/* Tells at the place of an entry: /section/name[/key]. */
static void
entry_fail(struct check *c, const char *section, const char *name, const char *key,
           const char *text)
{
    struct spec spec = {.places = c->places};
    AUTO(str_fini) struct str pointer = STR_INIT;
    const struct place *entry = entry_place(c, section, name, &pointer);
    if (key)
        pointer_add(&pointer, key);
    const struct yfile *file = entry && entry->key ? entry->key->file : NULL;
    check_fail_at(c, file ? file->index : 0, spec_pos(&spec, str_c(&pointer)), ERR_INVALID, text);
}

/* ---- profiles -------------------------------------------------------------- */
json_t *
shorthand_limits(json_t *limits)
{
    if (!json_is_string(limits))
        return limits;
    json_decref(limits); /* "development", the only preset */
    return json_pack("{s:{s:i,s:i,s:i}}", "*", "rpm", 60, "rpd", 1000, "max_concurrency", 5);
}

static void
provider_check(struct check *c, const char *name, const char *provider, bool has_base)
{
    struct near near = NEAR_INIT(provider);
    for (const char *const *p = spec_providers; *p; p++) {
        if (strcmp(*p, provider) == 0)
            return;
        near_offer(&near, *p);
    }
    if (has_base || strstr(provider, "${"))
        return;
    AUTO(freep)
    char *text =
        near.best ? xasprintf("profile '%.60s': unknown provider '%.60s' (did you mean '%s'?)",
                              name, provider, near.best)
                  : xasprintf("profile '%.60s': unknown provider '%.60s'; one that is not built in "
                              "needs 'base_url'",
                              name, provider);
    entry_fail(c, "profiles", name, "provider", text);
}

/* top: an entry of profiles; else a fallback written inside of one. */
static void
profile_settle(struct check *c, const char *name, json_t *profile, bool top)
{
    const bool has_base = json_object_get(profile, "base_url") != NULL;
    const char *provider = json_str(profile, "provider", NULL);
    json_t *limits = json_object_get(profile, "limits");
    if (json_is_string(limits)) {
        AUTO(json_freep) json_t *preset = shorthand_limits(json_incref(limits));
        json_object_set(profile, "limits", json_object_get(preset, "*"));
    }
    if (!provider && has_base)
        json_object_set_new(profile, "provider", json_string("openai"));
    else if (provider)
        provider_check(c, name, provider, has_base);
    else if (top && !is_broken(c, "profiles", name, spec_profile_params, profile)) {
        AUTO(freep)
        char *text = xasprintf("profile '%.60s': 'provider' (or 'base_url') is missing", name);
        entry_fail(c, "profiles", name, NULL, text);
    }
}

void
shorthand_profiles(struct check *c, json_t *profiles)
{
    const char *name;
    json_t *profile, *fallback;
    size_t i;
    json_object_foreach (profiles, name, profile) {
        profile_settle(c, name, profile, true);
        json_array_foreach (json_object_get(profile, "fallbacks"), i, fallback) {
            if (json_is_object(fallback))
                profile_settle(c, name, fallback, false);
        }
    }
}

/* ---- servers --------------------------------------------------------------- */
/* {root: X} or {type: filesystem, root: X}: the reference server on that folder. */
static void
filesystem_spell(json_t *server)
{
    json_t *root = json_object_get(server, "root");
    json_object_set_new(server, "command", json_string("npx"));
    json_object_set_new(server, "args",
                        json_pack("[ssO]", "-y", "@modelcontextprotocol/server-filesystem", root));
    if (!json_object_get(server, "roots"))
        json_object_set_new(server, "roots", json_pack("[O]", root));
    json_object_del(server, "root");
}

/* command: [npx, -y, x]: the program and its first arguments. */
static void
command_split(json_t *server)
{
    json_t *command = json_incref(json_object_get(server, "command"));
    json_t *args = json_array();
    for (size_t i = 1; i < json_array_size(command); i++)
        json_array_append(args, json_array_get(command, i));
    json_array_extend(args, json_object_get(server, "args"));
    json_object_set(server, "command", json_array_get(command, 0));
    json_object_set_new(server, "args", args);
    json_decref(command);
}

static const char *
server_mistake(const json_t *server, const char *type)
{
    const bool command = json_object_get(server, "command"), url = json_object_get(server, "url");
    const bool root = json_object_get(server, "root");
    const bool playwright = str_eq(type, "playwright");
    if (command + url + root + playwright > 1)
        return "has more than one of 'command', 'url', 'root' and 'type: playwright'";
    if (str_eq(type, "filesystem") && !root && !command)
        return "of type filesystem needs 'root', the folder it may use";
    if (command + url + root + playwright == 0)
        return "needs 'command', 'url' or 'root'";
    if (str_eq(type, "stdio") && url)
        return "of type stdio needs 'command', not 'url'";
    if ((str_eq(type, "http") || str_eq(type, "sse") || str_starts(type, "streamable")) && command)
        return "that is reached over HTTP needs 'url', not 'command'";
    return NULL;
}

static void
server_settle(struct check *c, const char *name, json_t *server)
{
    const char *type = json_str(server, "type", "");
    const char *mistake = server_mistake(server, type);
    if (mistake) {
        AUTO(freep) char *text = xasprintf("server '%.60s' %s", name, mistake);
        entry_fail(c, "mcp_servers", name, NULL, text);
        return;
    }
    if (json_object_get(server, "root"))
        filesystem_spell(server);
    else if (strcmp(type, "playwright") == 0) {
        json_object_set_new(server, "command", json_string("npx"));
        json_object_set_new(server, "args", json_pack("[ss]", "-y", "@playwright/mcp@latest"));
    } else if (json_is_array(json_object_get(server, "command")))
        command_split(server);
    const bool url = json_object_get(server, "url");
    if (url && strcmp(type, "sse") == 0 && !json_object_get(server, "protocol"))
        json_object_set_new(server, "protocol", json_string("legacy"));
    json_object_set_new(server, "type", json_string(url ? "http" : "stdio"));
}

void
shorthand_servers(struct check *c, json_t *servers)
{
    const char *name;
    json_t *server;
    if (c->problems.total) /* what was wrong in a table would be told twice */
        return;
    json_object_foreach (servers, name, server)
        server_settle(c, name, server);
}
