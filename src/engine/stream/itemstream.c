/* itemstream.c - the window that moves over the items of a file. */
#include "engine/stream/itemstream.h"
#include "engine/stream/resultfile.h"
#include "engine/stream/source.h"
#include "engine/turn.h"
#include "rt/file.h"
#include <stdlib.h>
#include <string.h>

#define YIELD_EVERY   8    /* items that never wait, in a row */
#define PENDING_MAX   2048 /* records that wait to be committed */
#define TELL_EVERY_MS 1000
#define PARKED_TOLD   10
#define PARKED_MAX    1000 /* items that wait for somebody: no more are begun then */

struct itemstream {
    struct control *control;
    struct run *run;
    const struct node *member;
    struct itemstream_how how;
    struct viewstream *known; /* of this and of former lives, as far as it is committed */
    struct source *source;
    struct resultfile *results; /* or NULL */
    struct sem reading;         /* one reads the next item at a time */
    struct scope scope;
    struct turnstile turns;
    unsigned workers, parked;
    bool over; /* there are no more items */
    int64_t completed, failed;
    struct err *ended; /* what ends it before its time */
    struct str waits;  /* why items are parked */
    int64_t told_ms;
};

/* ---- where the items are --------------------------------------------------- */

/* Under the folder of the run, or named by whoever started it. */
static struct err *
path_allowed(const struct run *r, const char *written, char **ret_path)
{
    const json_t *started = view_started(r->view), *named;
    size_t i;
    json_array_foreach (json_object_get(started, "files"), i, named) {
        if (str_eq(json_string_value(named), written)) {
            *ret_path = xstrdup(written);
            return NULL;
        }
    }
    return path_under(json_str(started, "dir", "."), written, ret_path);
}

struct places { /* of one stream; what its specification borrows */
    json_t *items;
    char *path, *results;
};

static void
places_fini(struct places *p)
{
    json_decref(p->items);
    free(p->path);
    free(p->results);
}

static struct err *
results_place(struct control *c, struct places *p)
{
    AUTO(json_freep) json_t *written = NULL;
    if (!c->graph->results)
        return NULL;
    PASS(control_value(c, c->graph->results, &written));
    if (!json_is_string(written) || !*json_string_value(written))
        return FAIL(ERR_INVALID, "a file name is expected");
    PASS(path_allowed(control_run_of(c), json_string_value(written), &p->results));
    if (str_eq(p->results, p->path))
        return FAIL(ERR_INVALID, "'%s' is where the items are", json_string_value(written));
    return NULL;
}

static struct err *
places_find(struct control *c, struct places *p, struct source_spec *ret_spec)
{
    TRY(control_value(c, c->graph->items, &p->items), "its items");
    const char *file = json_str(p->items, "file", "");
    if (!*file)
        return FAIL(ERR_INVALID, "its items: `file` is no name of a file");
    TRY(path_allowed(control_run_of(c), file, &p->path), "its items");
    TRY(results_place(c, p), "its results");
    const char *separator = json_str(p->items, "separator", "");
    *ret_spec = (struct source_spec){.path = p->path,
                                     .shown = file,
                                     .format = json_str(p->items, "format", NULL),
                                     .separator = *separator,
                                     .match = json_str(p->items, "match", NULL)};
    return NULL;
}

/* The same file as in former lives; in the first one what it is gets recorded. */
static struct err *
stream_begin(struct itemstream *x, const struct places *p)
{
    AUTO(json_freep) json_t *identity = source_identity(x->source);
    if (!x->known) {
        run_append(x->run, REC_STREAM_OPENED, x->control->path,
                   json_pack("{sI ss sO ss*}", "at", rt_wall_ms(), "member", x->member->id,
                             "source", identity, "results", p->results),
                   false);
        PASS(run_barrier(x->run));
        x->known = view_stream(x->run->view, x->control->path);
    }
    const json_t *before = json_object_get(x->known->opened, "source");
    if (!json_equal(before, identity)) {
        AUTO(freep) char *how = source_difference(before, identity);
        return source_lost(FAIL(ERR_INVALID, "'%s' has changed: %s", p->path, how));
    }
    if (!p->results)
        return NULL;
    struct err *e = resultfile_open(x->run, x->known, &x->results);
    const bool new = !x->known->bytes && !x->known->done.count;
    return e && !new ? source_lost(e) : e;
}

/* ---- one item -------------------------------------------------------------- */

static void
stream_end(struct itemstream *x, struct err *e)
{
    if (x->ended)
        err_free(e);
    else
        x->ended = e;
    scope_cancel(&x->scope);
}

static void
tell(struct itemstream *x, bool now)
{
    int64_t read, all;
    if (!x->run->engine->subscribers.len || (!now && rt_now_ms() - x->told_ms < TELL_EVERY_MS))
        return;
    x->told_ms = rt_now_ms();
    source_progress(x->source, &read, &all);
    control_note(x->control, EVENT_NODE_PROGRESS,
                 json_pack("{ss sI sI sI sI}", "member", x->member->id, "completed", x->completed,
                           "failed", x->failed, "read", read, "all", all));
}

static void
park(struct itemstream *x, struct err *e)
{
    AUTO(freep) char *why = err_text(e);
    err_free(e);
    if (x->parked++ < PARKED_TOLD)
        str_addf(&x->waits, "%s%s", x->waits.len ? "; " : "", why);
}

static void
failed(struct itemstream *x, const struct item *item, struct err *e)
{
    x->failed++;
    if (x->how.stop_at_error)
        stream_end(x, WRAP(e, "%s '%s[%lld]'", x->control->graph->noun, x->member->id,
                           (long long)item->index));
    else if (x->how.failures_max >= 0 && x->failed > x->how.failures_max)
        stream_end(x, WRAP(e, "more than %lld items failed; the last, '%s[%lld]'",
                           (long long)x->how.failures_max, x->member->id, (long long)item->index));
    else
        err_free(e);
}

/* False: this worker takes no further one. */
static bool
item_ended(struct itemstream *x, const struct item *item, const struct reply *reply, struct err *e)
{
    if (e && err_kind(e) == ERR_PARKED) {
        park(x, e);
        return x->parked < PARKED_MAX;
    }
    AUTO(err_freep) struct err *over = fiber_check();
    if (e && (err_kind(e) == ERR_CANCELLED || over || x->run->broken || x->run->interrupted)) {
        stream_end(x, e);
        return false;
    }
    if (x->results)
        resultfile_add(x->results, item->index, reply, e);
    if (e)
        failed(x, item, e);
    else
        x->completed++;
    return true;
}

static void
item_fini(struct item *item)
{
    json_freep(&item->value);
    err_freep(&item->error);
}

static bool
item_do(struct itemstream *x, struct item *item, struct turn *turn)
{
    AUTO(freep) char *name = xasprintf("%s[%lld]", x->member->id, (long long)item->index);
    AUTO(reply_fini) struct reply reply = {0};
    const struct graph *child = x->member->child;
    struct ask a = {.member = x->member,
                    .name = name,
                    .index = (unsigned)MIN(item->index + 1, UINT32_MAX),
                    .item = item->value,
                    .stream = true,
                    .refused = STEAL(item->error)};
    if (child && !child->sees_outer && json_is_object(item->value)) {
        a.inputs = item->value;
        a.refused = inputs_check(child, item->value);
    }
    AUTO(freep) char *path = xasprintf("%s/%s", x->control->path, name);
    turn_name(x->run, turn, path);
    struct err *e = turns_back(x->run, path);
    if (!e)
        e = control_ask(x->control, &a, &reply);
    turn_name(x->run, turn, "");
    bool more = item_ended(x, item, &reply, e);
    json_freep(&item->value);
    return more;
}

/* ---- the window ------------------------------------------------------------ */

static struct err *
item_read(struct itemstream *x, struct item *ret_item)
{
    PASS(sem_acquire(&x->reading, DEADLINE_NONE));
    struct err *e = NULL;
    if (!x->over && !x->ended)
        e = source_next(x->source, &x->known->done, ret_item, &x->over);
    sem_release(&x->reading);
    return e;
}

/* What is made must not run away from what is safe. */
static struct err *
keep_up(struct itemstream *x)
{
    if (x->results)
        PASS(resultfile_pump(x->results));
    return x->run->pending.len > PENDING_MAX ? run_flush(x->run) : NULL;
}

static bool
item_take(struct itemstream *x, struct item *ret_item)
{
    struct err *e = fiber_check();
    if (!e)
        e = keep_up(x);
    if (!e)
        e = item_read(x, ret_item);
    if (e)
        stream_end(x, e);
    return !x->ended && !x->over;
}

static void worker_main(void *arg);

static void
worker_begin(void *stream)
{
    struct itemstream *x = stream;
    scope_spawn(&x->scope, "item", worker_main, x);
}

/* False: this worker takes no further one. */
static bool
worker_turn(struct itemstream *x, struct turn *turn)
{
    AUTO(item_fini) struct item item = {0};
    const bool took = item_take(x, &item);
    x->turns.more = took && x->parked + x->run->waits.turns_left < PARKED_MAX;
    if (!took)
        return false;
    if (x->workers < x->how.limit) {
        x->workers++;
        worker_begin(x);
    }
    const bool more = item_do(x, &item, turn);
    tell(x, false);
    return more;
}

static void
worker_main(void *arg)
{
    struct itemstream *x = arg;
    bool more = true;
    for (unsigned n = 1; more && turnstile_has_room(&x->turns); n++) {
        struct turn turn;
        turn_take(x->run, &x->turns, &turn, "");
        more = worker_turn(x, &turn);
        turn_end(x->run, &turn);
        if (n % YIELD_EVERY == 0)
            fiber_yield();
    }
}

static struct err *
failed_before(const struct itemstream *x)
{
    const bool stops = x->how.stop_at_error && x->failed;
    if (!stops && (x->how.failures_max < 0 || x->failed <= x->how.failures_max))
        return NULL;
    const struct item_error *first = &x->known->errors.at[0];
    struct err *e = FAIL(first->kind, "%s", first->error);
    return stops ? WRAP(e, "%s '%s[%lld]'", x->control->graph->noun, x->member->id,
                        (long long)first->index)
                 : WRAP(e, "more than %lld items failed; the first, '%s[%lld]'",
                        (long long)x->how.failures_max, x->member->id, (long long)first->index);
}

static void
window_run(struct itemstream *x)
{
    x->completed = x->known->completed;
    x->failed = x->known->failed;
    control_spent(x->control, &x->known->usage);
    tell(x, true);
    x->ended = failed_before(x);
    if (x->ended)
        return;
    sem_setup(&x->reading, 1);
    x->turns = (struct turnstile){.limit = x->how.limit, .open = worker_begin, .ctx = x};
    scope_open(&x->scope, DEADLINE_NONE);
    x->workers = 1;
    scope_spawn(&x->scope, "item", worker_main, x);
    err_drop(scope_close(&x->scope)); /* each item has told */
    tell(x, true);
}

/* ---- its end --------------------------------------------------------------- */

static struct err *
outcome(struct itemstream *x, struct reply *ret_reply)
{
    const struct viewstream *known = x->known;
    if (x->ended)
        return STEAL(x->ended);
    if (x->parked)
        return FAIL(ERR_PARKED, "%s%s", str_c(&x->waits),
                    x->parked > PARKED_TOLD ? "; and more" : "");
    if (x->failed && !x->completed) {
        const struct item_error *first = &known->errors.at[0];
        return FAIL(first->kind, "all of %lld items failed; the first: %s", (long long)x->failed,
                    first->error);
    }
    if (x->failed)
        PASS(control_tolerate(x->control,
                              FAIL(known->errors.at[0].kind, "%lld items failed; the first: %s",
                                   (long long)x->failed, known->errors.at[0].error)));
    reply_set_json(ret_reply, json_pack("{sI sI sI sO*}", "items", x->completed + x->failed,
                                        "completed", x->completed, "failed", x->failed, "results",
                                        json_object_get(known->opened, "results")));
    return NULL;
}

/* Also of a stream that is cut short: what its items gave is in the file of results. */
static struct err *
all_safe(struct itemstream *x)
{
    const bool was = fiber_shield(true);
    struct err *e = x->results ? resultfile_finish(x->results) : run_flush(x->run);
    fiber_shield(was);
    return e;
}

static struct err *
stream_run(struct itemstream *x, struct reply *ret_reply)
{
    AUTO(places_fini) struct places places = {0};
    struct source_spec spec;
    PASS(places_find(x->control, &places, &spec));
    struct err *e = source_open(&spec, &x->source);
    if (e)
        return x->known ? source_lost(e) : WRAP(e, "its items");
    PASS(stream_begin(x, &places));
    window_run(x);
    if (x->run->interrupted) /* another life goes on with it */
        PASS(fiber_check());
    e = all_safe(x);
    struct err *cut = fiber_check();
    if (cut) {
        err_free(e);
        return cut;
    }
    if (e && (!x->ended || err_kind(e) == ERR_CANCELLED)) {
        err_freep(&x->ended);
        return e;
    }
    err_free(e);
    return outcome(x, ret_reply);
}

struct err *
itemstream_run(struct control *c, struct itemstream_how how, struct reply *ret_reply)
{
    struct itemstream *x = xcalloc(1, sizeof *x);
    x->control = c;
    x->run = control_run_of(c);
    x->member = c->graph->nodes[0];
    x->how = how;
    if (!x->how.limit)
        x->how.limit = MAX(c->graph->max_concurrency, 1);
    x->known = view_stream(x->run->view, c->path);
    struct err *e = stream_run(x, ret_reply);
    err_free(x->ended);
    str_fini(&x->waits);
    resultfile_free(x->results);
    source_free(x->source);
    free(x);
    return e;
}
