/* app.c - joins the parts: store, engine, models, tool servers, the real network. */
#include "app/appcore.h"
#include "app/budgetcheck.h"
#include "app/defaults.h"
#include "app/hedgecheck.h"
#include "app/kinds.h"
#include "app/registry.h"
#include "app/secrets.h"
#include "base/log.h"
#include "net/client.h"
#include "rt/fiber.h"
#include "rt/file.h"
#include "rt/rt.h"
#include <stdlib.h>
#include <string.h>

#define KEEP_MS ((int64_t)30 * 86400 * 1000) /* ended runs are kept this long */

static const struct spec_tables tables = {app_agents, app_workflows};

/* ---- the environment ------------------------------------------------------- */

static const char *
env_get(void *ctx, const char *name)
{
    struct app *a = ctx;
    const char *value = rt_env(name);
    if (!value)
        value = map_get(a->dotenv, name);
    if (value && secret_name(name))
        secrets_add(a->secrets, value);
    return value;
}

static const char *
env_at(void *ctx, size_t i)
{
    (void)ctx;
    char *const *all = rt_environ();
    for (size_t k = 0; k < i && all[k]; k++) {
        if (!all[k + 1])
            return NULL;
    }
    return all[i];
}

static void
dotenv_set(void *ctx, const char *name, const char *value)
{
    free(map_put(((struct app *)ctx)->dotenv, name, xstrdup(value)));
}

static struct err *
dotenv_read(struct app *a, const char *dir)
{
    AUTO(freep) char *path = path_join(dir, ".env");
    AUTO(str_fini) struct str text = STR_INIT;
    if (!file_exists(path))
        return NULL;
    PASS(file_read(path, FILE_BYTES_MAX, &text));
    return spec_dotenv_parse(path, str_c(&text), text.len, dotenv_set, a);
}

struct err *
app_expand(void *ctx, const char *text, char **ret_text)
{
    struct app *a = ctx;
    struct str out = STR_INIT;
    struct err *e = spec_expand(text, &a->env, &out);
    if (e && (a->opts.replaying || a->opts.unresolved)) { /* nobody will be called with it */
        err_drop(e);
        str_reset(&out);
        str_add(&out, text);
        e = NULL;
    }
    if (e)
        str_fini(&out);
    else
        *ret_text = str_steal(&out);
    return e;
}

static void *
app_service(void *ctx, const char *name)
{
    struct app *a = ctx;
    if (strcmp(name, "llm") == 0)
        return a->llm;
    if (strcmp(name, "mcp") == 0)
        return app_servers(a);
    if (strcmp(name, "lua") == 0)
        return engine_lua(a->engine);
    if (strcmp(name, "watching") == 0)
        return a->opts.stream ? a : NULL;
    if (strcmp(name, "dir") == 0)
        return (void *)(uintptr_t)a->root;
    return NULL;
}

void
app_redact(struct app *a, const char *text, size_t n, struct str *to)
{
    secrets_hide(a->secrets, text, n, to);
}

json_t *
app_redact_json(struct app *a, const json_t *j)
{
    return secrets_hide_json(a->secrets, j);
}

static void
redact_record(void *ctx, struct str *record)
{
    secrets_hide_in(((struct app *)ctx)->secrets, record);
}

static void
app_log(void *ctx, enum log_level level, const char *area, const char *text)
{
    static const char *const names[] = {"debug", "info", "warning", "error", ""};
    struct app *a = ctx;
    AUTO(str_fini) struct str shown = STR_INIT;
    secrets_hide(a->secrets, text, strlen(text), &shown);
    fprintf(stderr, "%s: %s: %s\n", names[level], area, str_c(&shown));
}

/* ---- opening and closing --------------------------------------------------- */

static struct err *
install_key_load(struct app *a)
{
    AUTO(str_fini) struct str key = STR_INIT;
    rt_random(a->install_key, KEY_BYTES);
    if (!a->opts.store_dir && a->opts.mem) /* shared: whoever has it next makes the same keys */
        memset(a->install_key, 'k', KEY_BYTES);
    if (!a->opts.store_dir)
        return NULL;
    AUTO(freep) char *path = path_join(a->opts.store_dir, "install.key");
    if (file_exists(path)) {
        PASS(file_read(path, 1024, &key));
        if (key.len != KEY_BYTES)
            return FAIL(ERR_INVALID, "'%s' is damaged: %zu bytes instead of %d", path, key.len,
                        KEY_BYTES);
        memcpy(a->install_key, key.p, KEY_BYTES);
        return NULL;
    }
    return a->opts.read_only ? NULL : file_write(path, a->install_key, KEY_BYTES, 0600);
}

static struct err *
app_open_parts(struct app *a)
{
    struct store_opts so = {
        .dir = a->opts.store_dir, .read_only = a->opts.read_only, .mem = a->opts.mem};
    struct llm_opts lo = {.record = a->opts.record, .replay = a->opts.replay};
    PASS(llm_new(&lo, &a->llm));
    PASS(store_open(&so, &a->store));
    PASS(install_key_load(a));
    struct engine_opts eo = {.store = a->store,
                             .agents = app_agents,
                             .workflows = app_workflows,
                             .service = app_service,
                             .expand = app_expand,
                             .redact = redact_record,
                             .run_over = app_run_over,
                             .ctx = a,
                             .install_key = a->install_key,
                             .recorded_only = a->opts.replaying,
                             .keep_ms = KEEP_MS};
    a->engine = engine_new(&eo);
    return NULL;
}

struct err *
app_open(const struct app_opts *opts, struct app **ret_app)
{
    struct app *a = xcalloc(1, sizeof *a);
    a->opts = *opts;
    a->secrets = secrets_new();
    a->dotenv = map_new();
    a->env = (struct spec_env){.get = env_get, .at = env_at, .ctx = a};
    log_set(opts->debug ? LOG_DEBUG : LOG_WARN, app_log, a);
    if (!rt_is_simulated())
        net_client_install(NULL);
    struct err *e = app_open_parts(a);
    if (e) {
        app_close(a);
        return e;
    }
    *ret_app = a;
    return NULL;
}

void
app_close(struct app *a)
{
    if (!a)
        return;
    bool was = fiber_shield(true);
    engine_free(a->engine);
    servers_free(a->servers);
    store_close(a->store);
    llm_free(a->llm);
    if (!rt_is_simulated())
        net_client_remove();
    fiber_shield(was);
    log_set(LOG_WARN, NULL, NULL);
    size_t i = 0;
    void *value;
    while (map_next(a->dotenv, &i, NULL, &value))
        free(value);
    map_free(a->dotenv);
    secrets_free(a->secrets);
    vec_each (&a->roots, root)
        free(*root);
    vec_fini(&a->roots);
    free(a);
}

struct engine *
app_engine(struct app *a)
{
    return a->engine;
}

struct store *
app_store(struct app *a)
{
    return a->store;
}

/* ---- files ----------------------------------------------------------------- */

/* Included files are held under the folder of the first one, links resolved. */
static struct err *
read_under_root(void *ctx, const char *path, struct str *ret_text)
{
    struct app *a = ctx;
    AUTO(freep) char *here = realpath(".", NULL);
    AUTO(freep) char *absolute = path_join(here ? here : ".", path);
    AUTO(freep) char *real = NULL;
    if (!a->root)
        return FAIL(ERR_DENIED, "the folder it would be held under is not there");
    PASS(path_under(a->root, absolute, &real));
    return file_read(real, FILE_BYTES_MAX, ret_text);
}

static struct err *
list_under_root(void *ctx, const char *folder, const char *suffix,
                void (*found)(void *arg, const char *path), void *arg)
{
    char **names = NULL;
    size_t n = 0;
    (void)ctx;
    if (!file_is_dir(folder))
        return NULL;
    PASS(dir_list(folder, &names, &n));
    for (size_t i = 0; i < n; i++) {
        AUTO(freep) char *path = path_join(folder, names[i]);
        if (str_ends(names[i], suffix))
            found(arg, path);
    }
    file_names_free(names, n);
    return NULL;
}

static void
root_set(struct app *a, const char *path)
{
    a->root = NULL;
    vec_each (&a->roots, root) {
        if (path && strcmp(*root, path) == 0)
            a->root = *root;
    }
    if (a->root || !path)
        return;
    vec_push(&a->roots, xstrdup(path));
    a->root = vec_last(&a->roots);
}

/* What stands under such a name is a secret, written there or from a variable of whatever name; of
 * "Bearer abc" the last word too. */
static void
secrets_note(struct app *a, const char *name, const json_t *v)
{
    const char *key;
    json_t *m;
    json_object_foreach ((json_t *)(uintptr_t)v, key, m)
        secrets_note(a, key, m);
    if (!json_is_string(v) || !secret_name(name))
        return;
    AUTO(freep) char *value = NULL;
    struct err *e = app_expand(a, json_string_value(v), &value);
    if (e) {
        err_drop(e); /* told when it is used */
        return;
    }
    secrets_add(a->secrets, value);
    const char *last = strrchr(value, ' ');
    if (last)
        secrets_add(a->secrets, last + 1);
}

void
app_secrets_of(struct app *a, const json_t *doc)
{
    static const char *const parts[] = {"authentication", "headers", "profile"};
    const char *name;
    json_t *agent;
    secrets_note(a, "", json_object_get(doc, "profiles"));
    secrets_note(a, "", json_object_get(doc, "mcp_servers"));
    json_object_foreach (json_object_get(doc, "agents"), name, agent) {
        for (size_t i = 0; i < COUNT(parts); i++)
            secrets_note(a, "", json_object_get(agent, parts[i]));
    }
}

struct loading {
    struct spec_source source;
    struct spec *spec;
    struct err *e;
};

static struct src_pos
pos_of(void *ctx, const char *pointer)
{
    return spec_pos(ctx, pointer);
}

static struct src_pos
text_pos_of(void *ctx, const char *pointer, unsigned line, unsigned col)
{
    return spec_text_pos(ctx, pointer, line, col);
}

/* Names of nodes, in a file that has other mistakes: all are told in one go. */
static struct err *
check_partial(void *app, struct spec *spec)
{
    const struct app *a = app;
    const struct plan_source source = {.doc = spec->doc,
                                       .pos = pos_of,
                                       .text_pos = text_pos_of,
                                       .pos_ctx = spec,
                                       .kinds = app_workflows,
                                       .partial = true};
    return plan_check_all(&source, engine_space(a->engine));
}

static void
load_deep(void *arg)
{
    struct loading *l = arg;
    l->e = spec_load(&tables, &l->source, &l->spec);
}

struct err *
app_load_text(struct app *a, const char *path, const char *text, size_t n, struct spec **ret_spec)
{
    AUTO(freep) char *dir = path_dir(path);
    AUTO(freep) char *real = realpath(dir, NULL);
    root_set(a, real);
    PASS(dotenv_read(a, dir));
    struct spec_files files = {read_under_root, list_under_root, a};
    size_t ntexts;
    const struct spec_text *texts = registry_texts(a->opts.registry, &ntexts);
    struct loading l = {.source = {.path = path,
                                   .text = text,
                                   .len = n,
                                   .env = &a->env,
                                   .files = &files,
                                   .texts = texts,
                                   .ntexts = ntexts,
                                   .space = engine_space(a->engine),
                                   .more = check_partial,
                                   .more_ctx = a}};
    rt_deep(load_deep, &l);
    PASS(l.e);
    struct err *e = a->opts.model ? model_apply(l.spec->doc, a->opts.model) : NULL;
    if (!e)
        e = hedge_check(l.spec);
    if (e) {
        spec_free(l.spec);
        return e;
    }
    if (!a->opts.testing)
        json_object_del(l.spec->doc, "tests"); /* no part of what runs */
    keys_default(l.spec->doc);
    app_secrets_of(a, l.spec->doc);
    profile_default(l.spec->doc);
    without_effect(l.spec);
    if (json_bool(json_object_get(l.spec->doc, "settings"), "debug_mode", false))
        log_set(LOG_DEBUG, app_log, a);
    *ret_spec = l.spec;
    return NULL;
}

struct err *
app_adopt(struct app *a, const char *path, const struct spec *spec)
{
    AUTO(freep) char *dir = path_dir(path);
    AUTO(freep) char *real = realpath(dir, NULL);
    root_set(a, real);
    PASS(dotenv_read(a, dir));
    app_secrets_of(a, spec->doc);
    return NULL;
}

struct err *
app_load(struct app *a, const char *path, struct spec **ret_spec)
{
    AUTO(str_fini) struct str text = STR_INIT;
    PASS(file_read(path, FILE_BYTES_MAX, &text));
    return app_load_text(a, path, str_c(&text), text.len, ret_spec);
}

struct err *
app_flow(struct app *a, struct spec *spec, const char *workflow, struct flow **ret_flow)
{
    PASS(app_servers_know(a, spec->doc));
    struct flow_source source = {.doc = spec->doc,
                                 .pos = pos_of,
                                 .text_pos = text_pos_of,
                                 .pos_ctx = spec,
                                 .workflow = workflow};
    PASS(engine_flow(a->engine, &source, ret_flow));
    struct budget_check q = {
        .spec = spec, .plan = flow_plan(*ret_flow), .expand = app_expand, .ctx = a};
    struct err *e = budget_check(&q);
    if (e)
        flow_unref(STEAL(*ret_flow));
    return e;
}

/* Its surroundings are those of its start. */
static struct err *
run_settle(struct app *a, struct run *r, struct run **ret_run)
{
    const char *dir = json_str(run_started(r), "dir", NULL);
    if (dir)
        root_set(a, dir);
    struct err *e = a->root ? dotenv_read(a, a->root) : NULL;
    app_secrets_of(a, flow_doc(run_flow(r)));
    if (!e)
        e = app_servers_know(a, flow_doc(run_flow(r)));
    if (e) {
        run_interrupt(r);
        run_unref(r);
        return e;
    }
    *ret_run = r;
    return NULL;
}

struct err *
app_resume(struct app *a, const char *id, const char *in_doubt, struct run **ret_run)
{
    struct run *r = NULL;
    struct store_run row = {0};
    PASS(engine_find_run(a->engine, id, &row)); /* the beginning of an id is enough */
    struct err *e = engine_resume(a->engine, row.id, in_doubt, &r);
    store_run_fini(&row);
    PASS(e);
    return run_settle(a, r, ret_run);
}

struct err *
app_rollback(struct app *a, const char *id, struct run **ret_run)
{
    struct run *r = NULL;
    PASS(engine_rollback(a->engine, id, &r));
    return run_settle(a, r, ret_run);
}

const char *
app_root(const struct app *a)
{
    return a->root;
}

struct planned {
    struct plan_source source;
    struct expr_space *space;
    const char *workflow;
    struct plan *plan;
    struct budget_check budgets;
    struct err *e;
};

static void
check_deep(void *arg)
{
    struct planned *p = arg;
    p->e = plan_check_all(&p->source, p->space);
    if (!p->e)
        p->e = budget_check_all(&p->budgets, &p->source, p->space);
}

static void
plan_deep(void *arg)
{
    struct planned *p = arg;
    p->e = plan_make(&p->source, p->workflow, p->space, &p->plan);
}

static struct planned
planned_of(struct app *a, struct spec *spec)
{
    return (struct planned){.source = {.doc = spec->doc,
                                       .pos = pos_of,
                                       .text_pos = text_pos_of,
                                       .pos_ctx = spec,
                                       .kinds = app_workflows},
                            .space = engine_space(a->engine),
                            .budgets = {.spec = spec, .expand = app_expand, .ctx = a}};
}

struct err *
app_check(struct app *a, struct spec *spec)
{
    struct planned p = planned_of(a, spec);
    rt_deep(check_deep, &p);
    return p.e;
}

struct err *
app_plan(struct app *a, struct spec *spec, const char *workflow, struct plan **ret_plan)
{
    struct planned p = planned_of(a, spec);
    p.workflow = workflow;
    rt_deep(plan_deep, &p);
    PASS(p.e);
    *ret_plan = p.plan;
    return NULL;
}

json_t *
app_schema(void)
{
    return spec_schema(&tables);
}

struct err *
app_find_file(const char *given, char **ret_path)
{
    static const char *const usual[] = {"tutti.yaml", "tutti.yml", "tutti.json"};
    for (size_t i = 0; !given && i < COUNT(usual); i++) {
        if (file_exists(usual[i]))
            given = usual[i];
    }
    if (!given)
        return FAIL(ERR_MISSING,
                    "no file was named, and there is no tutti.yaml here; `tutti init` makes one");
    *ret_path = xstrdup(given);
    return NULL;
}

char *
app_store_dir(const char *option, const char *file)
{
    if (!option)
        option = rt_env("TUTTI_STORE");
    if (option && *option)
        return xstrdup(option);
    if (!file)
        return xstrdup(".tutti");
    AUTO(freep) char *dir = path_dir(file);
    return path_join(dir, ".tutti");
}
