/* forkcmd.c - `tutti runs fork`: a new run that takes over what a former one did before a place. */
#include "app/again.h"
#include "cli/runs.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
look_print(const json_t *look)
{
    const json_t *one;
    size_t i;
    const long long taken = (long long)json_int(look, "taken", 0);
    print_shown(stderr, "taken over: %lld place%s; done anew:", taken, taken == 1 ? "" : "s");
    json_array_foreach (json_object_get(look, "anew"), i, one)
        print_shown(stderr, "%s %s", i ? "," : "", json_string_value(one));
    print_shown(stderr, "%s\n", i ? "" : " nothing that was done before");
}

/* What must not happen twice is said before it does. */
static struct err *
again_refuse(const json_t *look)
{
    const json_t *one;
    size_t i;
    AUTO(str_fini) struct str all = STR_INIT;
    json_array_foreach (json_object_get(look, "again"), i, one)
        str_addf(&all, "%s'%s' at %s", i ? ", " : "", json_str(one, "target", ""),
                 json_str(one, "path", ""));
    return all.len
               ? FAIL(ERR_INVALID,
                      "these calls were made once and will be made again: %s; say --yes if that "
                      "is wanted",
                      str_c(&all))
               : NULL;
}

static struct err *
fork_run(struct app *a, void *arg)
{
    struct asked *q = arg;
    AUTO(json_freep) json_t *look = NULL;
    AUTO(json_freep)
    json_t *input =
        q->inputs.text.len ? json_string_lossy(str_c(&q->inputs.text), q->inputs.text.len) : NULL;
    struct fork_request f = {.run = q->id,
                             .from = q->from,
                             .input = input,
                             .inputs = json_object_size(q->inputs.keys) ? q->inputs.keys : NULL};
    PASS(engine_fork_look(app_engine(a), &f, &look));
    if (q->dry_run && q->json) {
        print_json(look);
        return NULL;
    }
    if (!q->json && !q->quiet)
        look_print(look);
    if (!q->yes)
        PASS(again_refuse(look));
    if (q->dry_run)
        return NULL;
    PASS(app_fork(a, &f, q->model, q->forked));
    if (!q->json && !q->quiet)
        print_shown(stderr, "forked %s as %s\n", json_str(look, "run", ""), q->forked);
    return NULL;
}

int
runs_fork(struct asked *q, const struct watch_opts *watch)
{
    if (q->inputs.e)
        return fail(STEAL(q->inputs.e));
    if (!q->from)
        return usage_error(&cmd_runs, "fork needs --from NODE: where it goes on anew");
    AUTO(freep) char *dir = app_store_dir(q->store, NULL);
    int code = with_app(&(struct with_app){.opts = {.store_dir = dir}, .fn = fork_run, .arg = q});
    if (code || q->dry_run)
        return code;
    q->id = q->forked;
    return runs_resume(q, watch);
}
