/* torturecheck.c - holds the journals and the ledger of a torture against what its worker told. */
#include "base/hash.h"
#include "cli/torture.h"
#include "rt/file.h"
#include <stdlib.h>
#include <string.h>

#define INSTALL_KEY_BYTES 32

struct effect_seen { /* what the ledger has under one key */
    unsigned count, last_life;
    bool known; /* it is the key of a recorded step */
};
struct found {
    int64_t missing, gaps, twice, once_twice, not_done, again, stray, not_completed, repeated;
    int64_t not_undone, undone_wrongly;
    int64_t runs, records, effects, compensated, undone;
    struct store_invariants inv;
};
struct listed {
    char id[RUN_ID_LEN];
    enum run_status status;
};
struct check {
    struct app *app;
    const char *dir;
    struct told *told;
    struct found found;
    struct str install_key;
    struct map *ledger; /* key -> effect_seen */
    VEC(struct listed) runs;
    VEC(struct told_record) journal; /* of the run that is looked at */
    struct map *ended;               /* paths of it */
    struct map *ready, *undone;      /* the same: what could be undone, and what was */
    struct map *called;              /* the same: for whose undoing a step completed */
};

/* ---- one run --------------------------------------------------------------------------------- */

static void
effect_check(struct check *c, const struct run_event *ev)
{
    char key[SHA256_HEX];
    const char *type = json_str(ev->detail, "type", ""),
               *target = json_str(ev->detail, "target", "");
    bool once = strcmp(target, "http:order") == 0 || strcmp(target, "exec:pay") == 0;
    if ((strcmp(type, "http") != 0 && strcmp(type, "exec") != 0) ||
        strcmp(target, "http:look") == 0)
        return;
    AUTO(freep) char *text = xasprintf("%s|%s", ev->run, ev->path);
    hmac_sha256_hex(c->install_key.p, c->install_key.len, text, strlen(text), key);
    key[TORTURE_KEY_LEN] = '\0';
    AUTO(freep) char *name = xasprintf("%s %s", ev->run, ev->path);
    const struct told_step *told = map_get(c->told->steps, name);
    struct effect_seen *seen = map_get(c->ledger, key);
    if (!seen) {
        c->found.not_done++;
        told_example(c->told, "run %s: '%s' is recorded, and the ledger does not have it", ev->run,
                     ev->path);
        return;
    }
    seen->known = true;
    if (once && seen->count > 1) {
        c->found.once_twice++;
        told_example(c->told, "run %s: '%s' happened %u times", ev->run, ev->path, seen->count);
    }
    if (told && told->done_in_life && seen->last_life > told->done_in_life) {
        c->found.again++;
        told_example(c->told, "run %s: '%s' happened in life %u; its end was acknowledged in %u",
                     ev->run, ev->path, seen->last_life, told->done_in_life);
    }
}

/* Once at most, by a step of its own, and nothing that had not been done. */
static void
undone_take(struct check *c, const struct run_event *ev)
{
    const char *wrong = map_put(c->undone, ev->path, c) ? "was undone twice"
                        : !map_has(c->ready, ev->path)  ? "was undone and had not been done"
                        : !map_has(c->called, ev->path) ? "is told undone, and nothing was called"
                                                        : NULL;
    c->found.undone++;
    if (!wrong)
        return;
    c->found.undone_wrongly++;
    told_example(c->told, "run %s: '%s' %s", ev->run, ev->path, wrong);
}

static void
called_take(struct check *c, const char *path)
{
    const char *undo = strstr(path, "/undo[");
    AUTO(freep) char *of = undo ? xstrndup(path, (size_t)(undo - path)) : NULL;
    if (of)
        map_put(c->called, of, c);
}

/* All of it in a run that was undone, nothing of it in one that completed. */
static void
undone_check(struct check *c, const struct listed *l)
{
    const char *path;
    if (l->status == RUN_COMPENSATED) {
        c->found.compensated++;
    } else if (map_len(c->undone)) {
        c->found.undone_wrongly++;
        told_example(c->told, "run %s is %s, and something of it was undone", l->id,
                     run_status_name(l->status));
    }
    for (size_t i = 0; l->status == RUN_COMPENSATED && map_next(c->ready, &i, &path, NULL);) {
        if (map_has(c->undone, path))
            continue;
        c->found.not_undone++;
        told_example(c->told, "run %s: '%s' was not undone", l->id, path);
    }
}

static struct err *
record_take(void *ctx, const struct run_event *ev)
{
    struct check *c = ctx;
    bool step = strcmp(ev->name, EVENT_STEP_COMPLETED) == 0;
    struct told_record r = {ev->seq, xstrdup(ev->name), xstrdup(ev->path)};
    vec_push(&c->journal, r);
    if (ev->seq != (int64_t)c->journal.len) {
        c->found.gaps++;
        told_example(c->told, "run %s: record %zu has the number %lld", ev->run, c->journal.len,
                     (long long)ev->seq);
    }
    if (step) {
        effect_check(c, ev);
        called_take(c, ev->path);
    }
    if (strcmp(ev->name, EVENT_UNDO_READY) == 0)
        map_put(c->ready, ev->path, c);
    if (strcmp(ev->name, EVENT_UNDO_COMPLETED) == 0)
        undone_take(c, ev);
    if (!step && strcmp(ev->name, EVENT_STEP_FAILED) != 0 &&
        strcmp(ev->name, EVENT_NODE_COMPLETED) != 0 && strcmp(ev->name, EVENT_NODE_FAILED) != 0)
        return NULL;
    AUTO(freep) char *what = xasprintf("%.4s %s", ev->name, ev->path);
    if (map_put(c->ended, what, c)) {
        c->found.twice++;
        told_example(c->told, "run %s: '%s' has two ends", ev->run, ev->path);
    }
    return NULL;
}

static void
journal_forget(struct check *c)
{
    vec_each (&c->journal, r) {
        free(r->name);
        free(r->path);
    }
    c->journal.len = 0;
}

static void
acknowledged_check(struct check *c, const char *run, struct told_run *told)
{
    vec_each (&told->records, r) {
        const struct told_record *j =
            r->seq >= 1 && r->seq <= (int64_t)c->journal.len ? &c->journal.at[r->seq - 1] : NULL;
        if (j && strcmp(j->name, r->name) == 0 && strcmp(j->path, r->path) == 0)
            continue;
        c->found.missing++;
        told_example(c->told, "run %s: record %lld, %s '%s', was acknowledged; there is %s '%s'",
                     run, (long long)r->seq, r->name, r->path, j ? j->name : "nothing",
                     j ? j->path : "");
    }
}

static struct err *
run_check(struct check *c, const struct listed *l)
{
    c->ended = map_new();
    c->ready = map_new();
    c->undone = map_new();
    c->called = map_new();
    struct err *e = engine_history(app_engine(c->app), l->id, record_take, c);
    undone_check(c, l);
    map_free(STEAL(c->ended));
    map_free(STEAL(c->ready));
    map_free(STEAL(c->undone));
    map_free(STEAL(c->called));
    struct told_run *told = map_get(c->told->runs, l->id);
    if (!e && told) {
        told->stored = true;
        acknowledged_check(c, l->id, told);
    }
    c->found.runs++;
    c->found.records += (int64_t)c->journal.len;
    if (!e && l->status != RUN_COMPLETED && l->status != RUN_COMPENSATED) {
        c->found.not_completed++;
        told_example(c->told, "run %s is %s", l->id, run_status_name(l->status));
    }
    journal_forget(c);
    return e;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static void
ledger_take(void *ctx, unsigned life, const char *key)
{
    struct check *c = ctx;
    struct effect_seen *seen = map_get(c->ledger, key);
    if (!seen) {
        seen = xcalloc(1, sizeof *seen);
        map_put(c->ledger, key, seen);
    }
    seen->count++;
    seen->last_life = MAX(seen->last_life, life);
    c->found.effects++;
}

static struct err *
row_take(void *ctx, const struct store_run *r)
{
    struct check *c = ctx;
    struct listed l = {.status = (enum run_status)r->status};
    memcpy(l.id, r->id, sizeof l.id);
    vec_push(&c->runs, l);
    return NULL;
}

static void
steps_check(struct check *c)
{
    void *value;
    const char *name;
    for (size_t i = 0; map_next(c->told->steps, &i, NULL, &value);) {
        const struct told_step *s = value;
        c->found.repeated += s->model && s->starts > 1 ? s->starts - 1 : 0;
    }
    for (size_t i = 0; map_next(c->ledger, &i, &name, &value);) {
        if (((struct effect_seen *)value)->known)
            continue;
        c->found.stray++;
        told_example(c->told, "the ledger has the key %s, and no recorded step", name);
    }
    for (size_t i = 0; map_next(c->told->runs, &i, &name, &value);) {
        if (!((struct told_run *)value)->stored)
            acknowledged_check(c, name, value);
    }
}

static struct err *
check_all(struct check *c)
{
    AUTO(freep) char *key = path_join(c->dir, "store/install.key");
    AUTO(freep) char *ledger = path_join(c->dir, "ledger");
    size_t offset = 0;
    PASS(file_read(key, INSTALL_KEY_BYTES, &c->install_key));
    PASS(ledger_read(ledger, &offset, ledger_take, c));
    PASS(store_list(app_store(c->app), &(struct store_filter){0}, row_take, c));
    vec_each (&c->runs, l)
        PASS(run_check(c, l));
    steps_check(c);
    return store_check(app_store(c->app), &c->found.inv);
}

static struct err *
check_main(struct app *a, void *arg)
{
    struct check *c = arg;
    c->app = a;
    return check_all(c);
}

/* ---- the report ------------------------------------------------------------------------------ */

static json_t *
numbers(const struct check *c, const struct torture_counts *n)
{
    const struct told *t = c->told;
    double s = n->seconds > 0 ? n->seconds : 1;
    return json_pack("{sI si si sf sf sI sI sI sI sI sI sI sI sI sI sI sI si}", "seed",
                     (json_int_t)n->seed, "kills", (int)n->kills, "lives", (int)n->lives, "seconds",
                     n->seconds, "kills_per_s", n->kills / s, "runs", c->found.runs, "records",
                     c->found.records, "records_acknowledged", t->acknowledged,
                     "steps_acknowledged", t->steps_ended, "commits", t->commits, "parked_in_doubt",
                     t->parked, "model_calls", t->model_calls, "model_calls_cut_by_kills",
                     t->model_cut, "model_calls_repeated", c->found.repeated, "effects",
                     c->found.effects, "runs_undone", c->found.compensated, "undos",
                     c->found.undone, "listings", (int)n->listings);
}

static json_t *
checks(const struct check *c, const struct torture_counts *n)
{
    const struct found *f = &c->found;
    int64_t repeated = MAX(f->repeated - c->told->model_cut, 0);
    const struct {
        const char *what;
        int64_t count;
    } rows[] = {
        {"acknowledged records missing from the journal", f->missing},
        {"recorded steps begun again", c->told->again + f->again},
        {"steps and nodes with two recorded ends", f->twice},
        {"effects that may happen once and happened twice", f->once_twice},
        {"recorded effects that did not happen", f->not_done},
        {"effects whose key no recorded step has", f->stray},
        {"model calls repeated beyond those cut by a kill", repeated},
        {"completed work of a run that failed and was not undone", f->not_undone},
        {"work undone twice, or that had not been done, or of a good run", f->undone_wrongly},
        {"runs that neither completed nor were undone", f->not_completed + n->unfinished},
        {"gaps in the numbers of records", f->gaps + f->inv.gaps},
        {"live runs that nothing will wake", f->inv.lost_runs},
        {"runs owned by nobody there", f->inv.orphans},
        {"damaged records", f->inv.damaged},
        {"processes that outlived their worker by 5 s", n->orphans},
        {"workers that ended by themselves", n->own_ends},
        {"listings by a second process that failed", n->listings_failed},
    };
    json_t *list = json_array();
    for (size_t i = 0; i < COUNT(rows); i++)
        json_array_append_new(list, json_pack("{ss sI sb}", "check", rows[i].what, "count",
                                              rows[i].count, "holds", rows[i].count == 0));
    return list;
}

static void
show(const json_t *report)
{
    const char *key;
    const json_t *value;
    size_t i;
    json_object_foreach (json_object_get(report, "numbers"), key, value)
        printf("%-26s %12.*f\n", key, json_is_real(value) ? 1 : 0, json_number_value(value));
    printf("\n");
    json_array_foreach (json_object_get(report, "checks"), i, value)
        printf("%-6s %8lld  %s\n", json_bool(value, "holds", false) ? "ok" : "FAILED",
               (long long)json_int(value, "count", 0), json_str(value, "check", ""));
    json_array_foreach (json_object_get(report, "examples"), i, value)
        printf("  %s\n", json_string_value(value));
    printf("%lld passed, %lld failed\n", (long long)json_int(report, "passed", 0),
           (long long)json_int(report, "failed", 0));
}

static void
check_fini(struct check *c)
{
    void *value;
    for (size_t i = 0; map_next(c->ledger, &i, NULL, &value);)
        free(value);
    map_free(c->ledger);
    journal_forget(c);
    vec_fini(&c->journal);
    vec_fini(&c->runs);
    str_fini(&c->install_key);
}

struct err *
torture_check(const char *dir, struct told *t, const struct torture_counts *n, bool as_json,
              unsigned *ret_failed)
{
    AUTO(check_fini) struct check c = {.dir = dir, .told = t, .ledger = map_new()};
    AUTO(freep) char *store = path_join(dir, "store");
    if (with_app(&(struct with_app){.opts = {.store_dir = store}, .fn = check_main, .arg = &c}))
        return FAIL(ERR_TRANSIENT, "the store cannot be checked");
    AUTO(json_freep) json_t *report = json_object();
    json_t *list = checks(&c, n);
    const json_t *row;
    size_t i;
    *ret_failed = 0;
    json_array_foreach (list, i, row)
        *ret_failed += !json_bool(row, "holds", false);
    json_object_set_new(report, "numbers", numbers(&c, n));
    json_object_set_new(report, "checks", list);
    json_object_set(report, "examples", t->examples);
    json_object_set_new(report, "passed",
                        json_integer((json_int_t)(json_array_size(list) - *ret_failed)));
    json_object_set_new(report, "failed", json_integer(*ret_failed));
    if (as_json)
        print_json(report);
    else
        show(report);
    return NULL;
}
