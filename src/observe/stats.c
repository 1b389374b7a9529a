/* stats.c - numbers over many runs. */
#include "observe/stats.h"
#include "base/map.h"
#include "base/printable.h"
#include "base/units.h"
#include "model/kind.h"
#include "observe/tally.h"
#include <stdlib.h>
#include <string.h>

enum table { WORKFLOWS, AGENTS, TARGETS, TABLES };
enum outcome { COMPLETED, PARTIAL, FAILED, CANCELLED, LIVE, OUTCOMES };
static const char *const outcome_names[] = {"completed", "partial", "failed", "cancelled", "live"};

struct row {
    char *name, *type; /* type: of targets */
    uint64_t count[OUTCOMES];
    struct tally took; /* ms */
    struct usage usage;
    bool used; /* some usage was added: usage.cost_known means something */
    int64_t retries, waited_ms, tripped;
};
struct stats {
    struct map *rows[TABLES]; /* name -> struct row */
    int64_t runs;
    /* the run that is being read */
    struct row *workflow;
    int64_t started_ms;
    enum outcome outcome;
    int64_t ended_ms;
    struct usage usage;
    bool used, taken; /* taken: what was seen so far is another run's */
    int64_t retries, tripped;
};

struct stats *
stats_new(void)
{
    struct stats *s = xcalloc(1, sizeof *s);
    for (size_t i = 0; i < TABLES; i++)
        s->rows[i] = map_new();
    return s;
}

void
stats_free(struct stats *s)
{
    void *value;
    for (size_t t = 0; s && t < TABLES; t++) {
        for (size_t i = 0; map_next(s->rows[t], &i, NULL, &value);) {
            struct row *r = value;
            tally_fini(&r->took);
            free(r->name);
            free(r->type);
            free(r);
        }
        map_free(s->rows[t]);
    }
    free(s);
}

static struct row *
row_at(struct stats *s, enum table t, const char *type, const char *name)
{
    AUTO(freep) char *key = xasprintf("%s %s", type, name);
    struct row *r = map_get(s->rows[t], key);
    if (!r && map_len(s->rows[t]) >= STATS_NAMES_MAX && strcmp(name, "(others)") != 0)
        return row_at(s, t, "", "(others)");
    if (r)
        return r;
    r = xcalloc(1, sizeof *r);
    r->name = xstrdup(name);
    r->type = xstrdup(type);
    map_put(s->rows[t], key, r);
    return r;
}

static void
usage_count(struct usage *sum, bool *used, const struct usage *more)
{
    if (!more->model_calls && !more->tool_calls && !more->cost_usd)
        return;
    usage_add(sum, more);
    *used = true;
}

/* ---- events ---------------------------------------------------------------- */

static void
run_begin(struct stats *s, const struct run_event *ev)
{
    stats_run_end(s);
    s->runs++;
    s->workflow = row_at(s, WORKFLOWS, "", json_str(ev->detail, "workflow", ""));
    s->started_ms = ev->wall_ms;
    s->ended_ms = 0;
    s->outcome = LIVE;
    s->usage = (struct usage){0};
    s->retries = s->tripped = 0;
    s->used = false;
    s->taken = json_object_get(ev->detail, "fork") != NULL;
}

void
stats_run_end(struct stats *s)
{
    struct row *w = s->workflow;
    if (!w)
        return;
    w->count[s->outcome]++;
    if (s->outcome < CANCELLED)
        tally_add(&w->took, MAX(s->ended_ms - s->started_ms, 0));
    if (s->used)
        usage_count(&w->usage, &w->used, &s->usage);
    w->retries += s->retries;
    w->tripped += s->tripped;
    s->workflow = NULL;
}

static void
run_ended(struct stats *s, const struct run_event *ev)
{
    static const enum outcome of[] = {[RUN_COMPLETED - RUN_ENDED] = COMPLETED,
                                      [RUN_PARTIAL - RUN_ENDED] = PARTIAL,
                                      [RUN_FAILED - RUN_ENDED] = FAILED,
                                      [RUN_CANCELLED - RUN_ENDED] = CANCELLED,
                                      [RUN_COMPENSATED - RUN_ENDED] = FAILED};
    enum run_status status;
    if (!run_status_parse(json_str(ev->detail, "status", ""), &status) || status < RUN_ENDED)
        return;
    s->outcome = of[status - RUN_ENDED];
    if (!s->ended_ms) /* undone days later, it still took what it took */
        s->ended_ms = ev->wall_ms;
}

static void
node_ended(struct stats *s, const struct run_event *ev)
{
    const char *agent = json_str(ev->detail, "agent", "");
    enum node_status status;
    struct usage u;
    if (!*agent || !node_status_parse(ev->name + strlen("node."), &status) ||
        status < NODE_COMPLETED || status == NODE_SKIPPED)
        return;
    struct row *r = row_at(s, AGENTS, "", agent);
    r->count[status == NODE_COMPLETED ? COMPLETED : status == NODE_FAILED ? FAILED : CANCELLED]++;
    if (status != NODE_CANCELLED)
        tally_add(&r->took, MAX(json_int(ev->detail, "duration_ms", 0), 0));
    usage_from_json(json_object_get(ev->detail, "usage"), &u);
    usage_count(&r->usage, &r->used, &u);
    r->retries += MAX(json_int(ev->detail, "attempts", 1) - 1, 0);
}

static void
step_ended(struct stats *s, const struct run_event *ev, bool ok)
{
    const int64_t at = json_int(ev->detail, "at", 0), began = json_int(ev->detail, "began", at);
    const int64_t retries = MAX(json_int(ev->detail, "attempts", 1) - 1, 0);
    const int64_t waited = MAX(json_int(ev->detail, "waited_ms", 0), 0);
    const bool tripped = json_bool(ev->detail, "tripped", false);
    struct row *r =
        row_at(s, TARGETS, json_str(ev->detail, "type", ""), json_str(ev->detail, "target", ""));
    struct usage u;
    usage_from_json(json_object_get(ev->detail, "usage"), &u);
    usage_count(&r->usage, &r->used, &u);
    usage_count(&s->usage, &s->used, &u);
    r->count[ok ? COMPLETED : FAILED]++;
    tally_add(&r->took, MAX(at - began - waited, 0));
    r->retries += retries;
    r->waited_ms = add_saturating(r->waited_ms, waited);
    r->tripped += tripped;
    s->retries += retries;
    s->tripped += tripped;
}

void
stats_event(struct stats *s, const struct run_event *ev)
{
    if (strcmp(ev->name, EVENT_RUN_STARTED) == 0) {
        run_begin(s, ev);
        return;
    }
    if (strcmp(ev->name, EVENT_RUN_FORKED) == 0)
        s->taken = false;
    if (s->taken || !s->workflow)
        return;
    if (!*ev->path)
        run_ended(s, ev);
    else if (strcmp(ev->name, EVENT_STEP_COMPLETED) == 0)
        step_ended(s, ev, true);
    else if (strcmp(ev->name, EVENT_STEP_FAILED) == 0)
        step_ended(s, ev, false);
    else if (str_starts(ev->name, "node.") && strcmp(ev->name, EVENT_NODE_PROGRESS) != 0)
        node_ended(s, ev);
}

/* ---- telling --------------------------------------------------------------- */

static uint64_t
carried_out(const struct row *r)
{
    return r->count[COMPLETED] + r->count[PARTIAL] + r->count[FAILED];
}

static uint64_t
counted(const struct row *r)
{
    return carried_out(r) + r->count[CANCELLED] + r->count[LIVE];
}

static json_t *
row_json(struct row *r)
{
    json_t *j = json_pack("{so ss* sI}", "name", json_string_lossy(r->name, strlen(r->name)),
                          "type", *r->type ? r->type : NULL, "count", (json_int_t)counted(r));
    for (size_t i = 0; i < OUTCOMES; i++) {
        if (r->count[i] || i == COMPLETED || i == FAILED)
            json_object_set_new(j, outcome_names[i], json_integer((json_int_t)r->count[i]));
    }
    const uint64_t done = carried_out(r);
    json_object_set_new(j, "success_rate",
                        done ? json_real((double)r->count[COMPLETED] / (double)done) : json_null());
    json_object_set_new(
        j, "duration_ms",
        r->took.count
            ? json_pack("{sI sf sI sI sI}", "min", tally_percentile(&r->took, 0), "avg",
                        tally_mean(&r->took), "p50", tally_percentile(&r->took, 50), "p95",
                        tally_percentile(&r->took, 95), "max", tally_percentile(&r->took, 100))
            : json_null());
    json_object_set_new(j, "usage", usage_to_json(&r->usage));
    if (!r->usage.cost_known && r->usage.cost_usd > 0)
        json_object_set_new(j, "cost_usd_at_least", json_real(r->usage.cost_usd));
    json_object_set_new(j, "retries", json_integer(r->retries));
    json_object_set_new(j, "breaker_openings", json_integer(r->tripped));
    if (r->waited_ms)
        json_object_set_new(j, "waited_ms", json_integer(r->waited_ms));
    return j;
}

static int
by_name(const void *a, const void *b)
{
    const struct row *x = *(struct row *const *)a, *y = *(struct row *const *)b;
    const int types = strcmp(x->type, y->type);
    return types ? types : strcmp(x->name, y->name);
}

/* In order of names: malloc'd. */
static struct row **
rows_sorted(const struct stats *s, enum table t, size_t *ret_n)
{
    struct row **rows = xcalloc(map_len(s->rows[t]), sizeof *rows);
    void *value;
    *ret_n = 0;
    for (size_t i = 0; map_next(s->rows[t], &i, NULL, &value);)
        rows[(*ret_n)++] = value;
    if (*ret_n)
        qsort(rows, *ret_n, sizeof *rows, by_name);
    return rows;
}

static json_t *
table_json(struct stats *s, enum table t)
{
    size_t n;
    AUTO(freep) struct row **rows = rows_sorted(s, t, &n);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, row_json(rows[i]));
    return list;
}

json_t *
stats_json(struct stats *s)
{
    stats_run_end(s);
    return json_pack("{sI so so so}", "runs", s->runs, "workflows", table_json(s, WORKFLOWS),
                     "agents", table_json(s, AGENTS), "targets", table_json(s, TARGETS));
}

#define NAME_COLUMNS 32

static void
seconds_add(struct str *to, double ms, bool known)
{
    if (known)
        str_addf(to, " %8.3fs", ms / 1000.0);
    else
        str_addf(to, " %9s", "-");
}

static void
row_text(struct row *r, struct str *to)
{
    const uint64_t done = carried_out(r);
    const bool took = r->took.count > 0;
    AUTO(str_fini) struct str name = STR_INIT;
    str_addf(&name, "%s%s%s", r->type, *r->type ? " " : "", r->name);
    printable_fit(to, str_c(&name), NAME_COLUMNS, true);
    str_addf(to, " %10llu", (unsigned long long)counted(r));
    if (done)
        str_addf(to, " %11.1f%%", 100.0 * (double)r->count[COMPLETED] / (double)done);
    else
        str_addf(to, " %12s", "-");
    seconds_add(to, tally_mean(&r->took), took);
    seconds_add(to, (double)tally_percentile(&r->took, 0), took);
    seconds_add(to, (double)tally_percentile(&r->took, 50), took);
    seconds_add(to, (double)tally_percentile(&r->took, 95), took);
    seconds_add(to, (double)tally_percentile(&r->took, 100), took);
    str_addf(to, " %10lld", (long long)(r->usage.input_tokens + r->usage.output_tokens));
    if (!r->used || !r->usage.model_calls)
        str_addf(to, " %10s", "-");
    else if (r->usage.cost_known)
        str_addf(to, " %10.4f", r->usage.cost_usd);
    else if (r->usage.cost_usd > 0)
        str_addf(to, "   >%7.4f", r->usage.cost_usd); /* some of it had no price */
    else
        str_addf(to, " %10s", "unknown");
    str_addf(to, " %7lld %6lld\n", (long long)r->retries, (long long)r->tripped);
}

static void
table_text(struct stats *s, enum table t, const char *title, const char *what, struct str *to)
{
    size_t n;
    AUTO(freep) struct row **rows = rows_sorted(s, t, &n);
    if (!n)
        return;
    str_addf(to, "%s%s\n%-*s %10s %12s %9s %9s %9s %9s %9s %10s %10s %7s %6s\n",
             to->len ? "\n" : "", title, NAME_COLUMNS, what,
             t == WORKFLOWS ? "Executions" : "Count", "Success Rate", "Avg", "Min", "p50", "p95",
             "Max", "Tokens", "USD", "Retries", "Opened");
    for (size_t i = 0; i < n; i++)
        row_text(rows[i], to);
}

void
stats_text(struct stats *s, struct str *to)
{
    stats_run_end(s);
    table_text(s, WORKFLOWS, "Workflow Statistics", "Workflow", to);
    table_text(s, AGENTS, "Agents", "Agent", to);
    table_text(s, TARGETS, "Models and tools", "Target", to);
    if (!s->runs)
        str_add(to, "no runs\n");
}
