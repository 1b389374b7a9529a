/* defaults.c - what a document gets that its writer left unsaid. */
#include "app/defaults.h"
#include "llm/llm.h"
#include <string.h>

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
    return NULL;
}

/* A profile of a known provider without a key takes the usual variable; never with an address of
 * its own, because that would hand the key to whoever runs it. */
void
keys_default(json_t *doc)
{
    const char *name;
    json_t *profile;
    json_object_foreach (json_object_get(doc, "profiles"), name, profile) {
        const char *variable = llm_key_env(json_str(profile, "provider", ""));
        if (!variable || json_object_get(profile, "api_key") ||
            json_object_get(profile, "base_url"))
            continue;
        json_object_set_new(profile, "api_key", json_stringf("${%s}", variable));
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
