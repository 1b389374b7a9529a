/* profile.c - a profile out of its definition, and which provider speaks for it.
 *
 * Many services speak OpenAI's language: they are names with an address here, and any other name
 * is as good when the profile says base_url. */
#include "base/near.h"
#include "base/units.h"
#include "llm/provider.h"
#include <string.h>

static const struct llm_provider *const own[] = {
    &provider_openai, &provider_anthropic, &provider_gemini, &provider_ollama, &provider_script};
static const struct {
    const char *name;
    const struct llm_provider *speaks;
    const char *base_url, *key_env; /* NULL: as the provider's own */
} service[] = {
    {"google", &provider_gemini, NULL, "GEMINI_API_KEY"},
    {"passthrough", &provider_script, NULL, NULL},
    {"playback", &provider_script, NULL, NULL},
    {"groq", &provider_openai, "https://api.groq.com/openai/v1", "GROQ_API_KEY"},
    {"xai", &provider_openai, "https://api.x.ai/v1", "XAI_API_KEY"},
    {"deepseek", &provider_openai, "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"},
    {"openrouter", &provider_openai, "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"},
    {"mistral", &provider_openai, "https://api.mistral.ai/v1", "MISTRAL_API_KEY"},
    {"together", &provider_openai, "https://api.together.xyz/v1", "TOGETHER_API_KEY"},
    {"fireworks", &provider_openai, "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"},
    {"cerebras", &provider_openai, "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"},
    {"generic", &provider_openai, "http://localhost:11434/v1", NULL},
};
static const char *const names[] = {"openai",   "anthropic",   "gemini",   "ollama",   "script",
                                    "google",   "passthrough", "playback", "groq",     "xai",
                                    "deepseek", "openrouter",  "mistral",  "together", "fireworks",
                                    "cerebras", "generic",     NULL};
_Static_assert(COUNT(names) == COUNT(own) + COUNT(service) + 1, "every provider is listed");

const char *const *
llm_provider_names(void)
{
    return names;
}

static const struct llm_provider *
find(const char *name, const char **ret_base_url, const char **ret_key_env)
{
    for (size_t i = 0; i < COUNT(own); i++) {
        if (strcmp(own[i]->name, name) == 0) {
            *ret_base_url = own[i]->base_url;
            *ret_key_env = own[i]->key_env;
            return own[i];
        }
    }
    for (size_t i = 0; i < COUNT(service); i++) {
        if (strcmp(service[i].name, name) == 0) {
            const struct llm_provider *speaks = service[i].speaks;
            *ret_base_url = service[i].base_url ? service[i].base_url : speaks->base_url;
            *ret_key_env = service[i].key_env;
            return speaks;
        }
    }
    return NULL;
}

const char *
llm_key_env(const char *provider)
{
    const char *url, *env = NULL;
    return find(provider, &url, &env) ? env : NULL;
}

bool
llm_provider_known(const char *provider)
{
    const char *url, *env;
    return find(provider, &url, &env) != NULL;
}

struct err *
provider_find(const struct llm_profile *p, const struct llm_provider **ret,
              const char **ret_base_url)
{
    const char *env;
    *ret_base_url = NULL;
    *ret = find(p->provider, ret_base_url, &env);
    if (!*ret && (p->base_url || p->url))
        *ret = &provider_openai;
    if (*ret) {
        *ret_base_url = p->base_url ? p->base_url : *ret_base_url;
        return NULL;
    }
    struct near near = NEAR_INIT(p->provider);
    for (size_t i = 0; names[i]; i++)
        near_offer(&near, names[i]);
    return FAIL(ERR_INVALID, "unknown provider '%s'%s%s%s; a compatible server needs base_url",
                p->provider, near.best ? " (did you mean '" : "", near.best ? near.best : "",
                near.best ? "'?)" : "");
}

/* ---- what several providers need --------------------------------------------------------------*/

void
provider_system(struct str *to, const struct llm_call *c)
{
    size_t i;
    json_t *m;
    if (c->profile->system_prompt)
        str_add(to, c->profile->system_prompt);
    json_array_foreach (c->req->messages, i, m) {
        if (!message_is(m, "system"))
            continue;
        if (to->len)
            str_add(to, "\n\n");
        message_add_text(to, m);
    }
}

void
provider_ask_schema(struct str *system, const json_t *schema)
{
    if (system->len)
        str_add(system, "\n\n");
    str_add(system, "Reply with one JSON value that follows this JSON Schema, and with nothing "
                    "else, no matter the language of the conversation:\n");
    json_write(system, schema);
}

/* ---- reading ----------------------------------------------------------------------------------*/

struct reading {
    const char *name; /* the profile's */
    const json_t *def;
};

static struct err *MUST
read_text(const struct reading *r, const char *key, const char **ret)
{
    const json_t *v = json_object_get(r->def, key);
    *ret = NULL;
    if (!v || json_is_null(v))
        return NULL;
    if (!json_is_string(v))
        return FAIL(ERR_INVALID, "profile '%s': %s is not a text", r->name, key);
    if (json_string_length(v))
        *ret = json_string_value(v);
    return NULL;
}

static struct err *MUST
read_object(const struct reading *r, const char *key, const json_t **ret)
{
    const json_t *v = json_object_get(r->def, key);
    *ret = NULL;
    if (!v || json_is_null(v))
        return NULL;
    if (!json_is_object(v))
        return FAIL(ERR_INVALID, "profile '%s': %s is not a map", r->name, key);
    *ret = v;
    return NULL;
}

static struct err *MUST
read_timeout(const struct reading *r, int64_t *ret_ms)
{
    const json_t *v = json_object_get(r->def, "timeout");
    *ret_ms = 0;
    if (!v || json_is_null(v))
        return NULL;
    AUTO(freep) char *text = json_as_text(v);
    if (!duration_parse(text, ret_ms))
        return FAIL(ERR_INVALID, "profile '%s': timeout '%s' is not a duration, such as 30s",
                    r->name, text);
    return NULL;
}

/* A number is as long as it is in the type's place; what it may be the provider says best. */
static struct err *MUST
check_params(const struct reading *r)
{
    for (size_t i = 0; LLM_PARAMS[i]; i++) {
        const char *key = LLM_PARAMS[i];
        const json_t *v = param_get(&(struct llm_profile){.params = r->def}, key);
        bool stop = strcmp(key, "stop") == 0, effort = strcmp(key, "reasoning") == 0;
        if (!v || (stop && (json_is_string(v) || json_is_array(v))) ||
            (effort && (json_is_string(v) || json_is_number(v))) ||
            (!stop && !effort && json_is_number(v)))
            continue;
        return FAIL(ERR_INVALID, "profile '%s': %s is not a %s", r->name, key,
                    stop     ? "text or a list of texts"
                    : effort ? "text or a number of tokens"
                             : "number");
    }
    return NULL;
}

struct err *
llm_profile_read(const char *name, const json_t *def, struct llm_profile *ret)
{
    const struct reading r = {.name = name ? name : "", .def = def};
    struct llm_profile p = {.name = name, .params = def, .script = def};
    PASS(read_text(&r, "provider", &p.provider));
    PASS(read_text(&r, "model", &p.model));
    PASS(read_text(&r, "api_key", &p.api_key));
    PASS(read_text(&r, "base_url", &p.base_url));
    PASS(read_text(&r, "system_prompt", &p.system_prompt));
    PASS(read_object(&r, "headers", &p.headers));
    PASS(read_object(&r, "extra", &p.extra));
    PASS(read_timeout(&r, &p.timeout_ms));
    PASS(check_params(&r));
    TRY(llm_price_read(json_object_get(def, "price"), &p.price), "profile '%s'", r.name);
    p.stream = json_bool(def, "stream", false);
    if (!p.provider && p.base_url)
        p.provider = "openai";
    if (!p.provider)
        return FAIL(ERR_INVALID, "profile '%s' names no provider", r.name);
    const struct llm_provider *provider;
    const char *base_url;
    TRY(provider_find(&p, &provider, &base_url), "profile '%s'", r.name);
    if (!p.model && provider == &provider_script)
        p.model = "script";
    if (!p.model)
        return FAIL(ERR_INVALID, "profile '%s' names no model", r.name);
    *ret = p;
    return NULL;
}
