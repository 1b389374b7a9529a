/* defaults.c - what a document gets that its writer left unsaid. */
#include "app/defaults.h"
#include "llm/llm.h"
#include "spec/spec.h"
#include <string.h>

/* The models that choose and plan: at a workflow, or at one that is written inside another. What is
 * the user's own data stays. */
static void
profiles_forget(json_t *def)
{
    static const char *const data[] = {"parameters", "input", "inputs", "output", "items"};
    const char *key;
    json_t *member;
    size_t i;
    if (json_is_string(json_object_get(def, "type")))
        json_object_del(def, "profile");
    json_object_foreach (def, key, member) {
        bool own = false;
        for (size_t k = 0; k < COUNT(data); k++)
            own |= strcmp(key, data[k]) == 0;
        if (!own)
            profiles_forget(member);
    }
    json_array_foreach (def, i, member)
        profiles_forget(member);
}

/* "openai.gpt-4o", "openai/gpt-4o", "openai:gpt-4o" or a profile: used everywhere. */
struct err *
model_apply(json_t *doc, const char *model)
{
    json_t *profiles = json_object_get(doc, "profiles"), *agent;
    const char *name;
    if (!profiles)
        json_object_set_new(doc, "profiles", profiles = json_object());
    if (!json_object_get(profiles, model)) {
        size_t n = strcspn(model, "./:");
        AUTO(freep) char *provider = xstrndup(model, n);
        if (!llm_provider_known(provider))
            return FAIL(ERR_INVALID, "'%s' is neither a profile of the file nor provider.model",
                        model);
        json_object_set_new(profiles, model,
                            json_pack("{ssss}", "provider", provider, "model",
                                      model[n] ? model + n + 1 : provider));
    }
    json_object_set_new(doc, "default_profile", json_string(model));
    json_object_foreach (json_object_get(doc, "agents"), name, agent)
        json_object_del(agent, "profile");
    json_object_foreach (json_object_get(doc, "workflows"), name, agent)
        profiles_forget(agent);
    return NULL;
}

/* A profile of a known provider without a key takes the usual variable; never with an address of
 * its own, because that would hand the key to whoever runs it. */
static void
key_default(json_t *profile)
{
    const char *variable = llm_key_env(json_str(profile, "provider", ""));
    json_t *fallback;
    size_t i;
    json_array_foreach (json_object_get(profile, "fallbacks"), i, fallback) {
        if (json_is_object(fallback))
            key_default(fallback);
    }
    if (!variable || json_object_get(profile, "api_key") || json_object_get(profile, "base_url"))
        return;
    json_object_set_new(profile, "api_key", json_stringf("${%s}", variable));
}

void
keys_default(json_t *doc)
{
    const char *name;
    json_t *def;
    json_object_foreach (json_object_get(doc, "profiles"), name, def)
        key_default(def);
    json_object_foreach (json_object_get(doc, "agents"), name, def) {
        if (json_is_object(json_object_get(def, "profile")))
            key_default(json_object_get(def, "profile"));
    }
}

/* With one profile there is no question which one is meant. */
void
profile_default(json_t *doc)
{
    json_t *profiles = json_object_get(doc, "profiles");
    if (json_object_get(doc, "default_profile") || json_object_size(profiles) != 1)
        return;
    json_object_set_new(doc, "default_profile",
                        json_string(json_object_iter_key(json_object_iter(profiles))));
}

/* ---- keys without effect ----------------------------------------------------------------------
 */

static void
warn(struct spec *spec, const char *pointer, const char *key)
{
    AUTO(freep) char *at = xasprintf("%s/%s", pointer, key);
    err_join(&spec->warnings,
             FAIL_AT(spec_pos(spec, at), ERR_INVALID,
                     "'%s' is understood, but has no effect in this version", key));
}

static void
warn_in(struct spec *spec, const json_t *def, const char *pointer, const char *const *keys)
{
    for (; *keys; keys++) {
        const json_t *v = json_object_get(def, *keys);
        if (v && !json_is_false(v))
            warn(spec, pointer, *keys);
    }
}

void
without_effect(struct spec *spec)
{
    static const char *const of_settings[] = {"enable_tracing", "metrics_port", NULL};
    warn_in(spec, json_object_get(spec->doc, "settings"), "/settings", of_settings);
}
