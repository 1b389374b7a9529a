/* doctorcmd.c - `tutti doctor`: what is there, what is missing, whether the store is sound. */
#include "cli/cli.h"
#include "rt/file.h"
#include "rt/rt.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct doctor {
    struct app *app;
    const char *file, *store;
    bool json;
    json_t *checks;
    unsigned bad;
};

enum verdict { GOOD, NOTE, BAD };

static void found(struct doctor *d, enum verdict v, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void
found(struct doctor *d, enum verdict v, const char *what, const char *fmt, ...)
{
    static const char *const words[] = {"ok", "note", "problem"};
    AUTO(str_fini) struct str said = STR_INIT, s = STR_INIT;
    va_list ap;
    va_start(ap, fmt);
    str_addv(&said, fmt, ap);
    va_end(ap);
    app_redact(d->app, str_c(&said), said.len, &s);
    d->bad += v == BAD;
    json_array_append_new(d->checks, json_pack("{ss ss so}", "check", what, "result", words[v],
                                               "text", json_string_lossy(str_c(&s), s.len)));
    if (!d->json)
        print_shown(stdout, "%-8s %-14s %s\n", words[v], what, str_c(&s));
}

static bool
on_path(const char *program)
{
    const char *path = rt_env("PATH");
    AUTO(freep) char *all = xstrdup(path ? path : "");
    char *rest = all;
    for (char *dir; (dir = strsep(&rest, ":"));) {
        AUTO(freep) char *file = path_join(*dir ? dir : ".", program);
        if (file_exists(file))
            return true;
    }
    return false;
}

static void
check_programs(struct doctor *d)
{
    static const struct {
        const char *name, *why;
    } programs[] = {{"npx", "starts MCP servers from npm"},
                    {"uvx", "starts MCP servers from PyPI"},
                    {"dot", "draws `graph --format svg`"}};
    for (size_t i = 0; i < COUNT(programs); i++) {
        bool there = on_path(programs[i].name);
        found(d, there ? GOOD : NOTE, programs[i].name, "%s; %s", there ? "there" : "not on PATH",
              programs[i].why);
    }
}

static void
check_keys(struct doctor *d, const json_t *doc)
{
    const char *name;
    json_t *profile;
    json_object_foreach (json_object_get(doc, "profiles"), name, profile) {
        const char *key = json_str(profile, "api_key", NULL);
        AUTO(freep) char *what = xasprintf("profile %s", name);
        if (!key || strncmp(key, "${", 2) != 0 || strstr(key, ":-")) {
            found(d, GOOD, what, "%s %s", json_str(profile, "provider", ""),
                  json_str(profile, "model", ""));
            continue;
        }
        AUTO(freep) char *variable = xstrndup(key + 2, strcspn(key + 2, "}"));
        bool set = rt_env(variable) != NULL;
        found(d, set ? GOOD : NOTE, what, "%s is %s", variable,
              set ? "set" : "not set: calls of this profile will fail");
    }
}

static void
check_servers(struct doctor *d, struct app *a, const json_t *doc)
{
    const char *name;
    json_t *def;
    json_object_foreach (json_object_get(doc, "mcp_servers"), name, def) {
        AUTO(json_freep) json_t *tools = NULL;
        AUTO(freep) char *what = xasprintf("server %s", name);
        struct err *e = app_server_tools(a, name, rt_after(30000), &tools);
        if (!e) {
            found(d, GOOD, what, "%zu tools", json_array_size(tools));
            continue;
        }
        AUTO(freep) char *text = err_text(e);
        err_free(e);
        found(d, BAD, what, "%s", text);
    }
}

static void
check_file(struct doctor *d, struct app *a)
{
    AUTO(freep) char *file = NULL;
    AUTO(spec_freep) struct spec *spec = NULL;
    struct err *e = app_find_file(d->file, &file);
    if (e && !d->file) {
        err_drop(e);
        found(d, NOTE, "file", "no tutti.yaml here");
        return;
    }
    if (!e)
        e = app_load(a, file, &spec);
    if (!e)
        e = app_check(a, spec);
    if (!e)
        e = app_servers_know(a, spec->doc);
    if (e) {
        AUTO(freep) char *text = err_text(e);
        found(d, BAD, "file", "%zu mistake%s, the first: %s (see tutti validate)", err_count(e),
              err_count(e) == 1 ? "" : "s", text);
        err_free(e);
        return;
    }
    found(d, GOOD, "file", "%s is valid", file);
    check_keys(d, spec->doc);
    check_servers(d, a, spec->doc);
}

static void
check_store(struct doctor *d, struct app *a)
{
    struct store_invariants inv;
    struct err *e = store_check(app_store(a), &inv);
    if (e) {
        AUTO(freep) char *text = err_text(e);
        err_free(e);
        found(d, BAD, "store", "%s", text);
        return;
    }
    bool sound = !inv.lost_runs && !inv.gaps && !inv.orphans && !inv.damaged;
    found(d, sound ? GOOD : BAD, "store",
          "%s (%s): %lld lost runs, %lld gaps, %lld orphans, %lld damaged records", d->store,
          store_driver(app_store(a)), (long long)inv.lost_runs, (long long)inv.gaps,
          (long long)inv.orphans, (long long)inv.damaged);
}

static struct err *
doctor(struct app *a, void *arg)
{
    struct doctor *d = arg;
    d->app = a;
    found(d, GOOD, "tutti", "%s", tutti_version());
    check_programs(d);
    check_file(d, a);
    check_store(d, a);
    if (d->json)
        print_json(d->checks);
    return d->bad ? FAIL(ERR_TRANSIENT, "%u problem%s found", d->bad, d->bad == 1 ? "" : "s")
                  : NULL;
}

static int
doctor_main(int argc, char **argv)
{
    struct doctor d = {0};
    const struct option_def defs[] = {{"--json", .flag = &d.json}, {"--store", .value = &d.store}};
    if (options_take(defs, COUNT(defs), &argc, argv))
        return TUTTI_USAGE;
    if (argc > 2)
        return usage_error(&cmd_doctor, "'%s' is one word too many", argv[2]);
    d.file = argc > 1 ? argv[1] : NULL;
    d.checks = json_array();
    AUTO(freep) char *dir = app_store_dir(d.store, d.file);
    d.store = dir;
    int code = with_app(&(struct with_app){
        .opts = {.store_dir = file_is_dir(dir) ? dir : NULL}, .fn = doctor, .arg = &d});
    json_decref(d.checks);
    return code;
}

const struct command cmd_doctor = {"doctor", "doctor [FILE] [--store DIR] [--json]",
                                   "look for what is missing or wrong", doctor_main};
