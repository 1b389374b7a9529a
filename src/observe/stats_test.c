/* stats_test.c - exact percentiles; numbers over runs told event by event. */
#include "base/test.h"
#include "observe/stats.h"
#include "observe/tally.h"

#define T0 1767225600000 /* 2026-01-01T00:00:00Z */

/* Against sorting all: nearest rank, at every number of values. */
static void
percentiles(void **state)
{
    (void)state;
    static const double percent[] = {0, 1, 50, 95, 99, 100};
    for (unsigned spread = 1; spread < 100000; spread *= 7) {
        struct tally t = {0};
        unsigned *counts = xcalloc(spread, sizeof *counts), x = 12345;
        for (unsigned n = 1; n <= 5000; n++) {
            x = x * 1103515245 + 12345;
            tally_add(&t, (x >> 8) % spread);
            counts[(x >> 8) % spread]++;
            for (size_t p = 0; n % 997 == 3 && p < COUNT(percent); p++) {
                const double rank = percent[p] / 100 * n;
                unsigned below = 0, want = 0;
                while (below += counts[want], below < rank || !below)
                    want++;
                assert_int_equal(tally_percentile(&t, percent[p]), want);
            }
        }
        assert_true(t.all.len <= 2 * MAX((size_t)spread, 1024) + 1); /* not 5000 if few differ */
        free(counts);
        tally_fini(&t);
    }
    struct tally none = {0};
    assert_int_equal(tally_percentile(&none, 50), 0);
    assert_true(tally_mean(&none) == 0.0);
}

static void
tell(struct stats *s, int64_t at_ms, const char *name, const char *path, const char *detail)
{
    AUTO(json_freep) json_t *d = NULL;
    assert_ok(json_parse(detail, strlen(detail), &d));
    stats_event(s,
                &(struct run_event){
                    .run = "R1", .name = name, .path = path, .wall_ms = T0 + at_ms, .detail = d});
}

static void
run(struct stats *s, const char *workflow, const char *status, int64_t took_ms)
{
    AUTO(freep) char *start = xasprintf("{\"workflow\":\"%s\"}", workflow);
    AUTO(freep) char *end = xasprintf("{\"status\":\"%s\"}", status);
    tell(s, 0, EVENT_RUN_STARTED, "", start);
    tell(s, took_ms, EVENT_RUN_COMPLETED, "", end);
}

static const json_t *
row_of(const json_t *doc, const char *table, const char *name)
{
    const json_t *row;
    size_t i;
    json_array_foreach (json_object_get(doc, table), i, row) {
        if (strcmp(json_str(row, "name", ""), name) == 0)
            return row;
    }
    fail_msg("no row '%s'", name);
    return NULL;
}

static void
outcomes(void **state)
{
    (void)state;
    struct stats *s = stats_new();
    run(s, "w", "completed", 100);
    run(s, "w", "completed", 300);
    run(s, "w", "partial", 200);
    run(s, "w", "failed", 50);
    run(s, "w", "compensated", 60);
    run(s, "w", "cancelled", 9000); /* its time says nothing */
    run(s, "w", "waiting", 9000);
    tell(s, 0, EVENT_RUN_STARTED, "", "{\"workflow\":\"only live\"}");
    AUTO(json_freep) json_t *doc = stats_json(s);
    AUTO(freep) char *w = json_text(row_of(doc, "workflows", "w"));
    assert_string_equal(
        w, "{\"name\":\"w\",\"count\":7,\"completed\":2,\"partial\":1,\"failed\":2,"
           "\"cancelled\":1,\"live\":1,\"success_rate\":0.4,\"duration_ms\":{\"min\":50,"
           "\"avg\":142.0,\"p50\":100,\"p95\":300,\"max\":300},\"usage\":{"
           "\"input_tokens\":0,\"output_tokens\":0,\"cached_tokens\":0,"
           "\"model_calls\":0,\"tool_calls\":0,\"cost_usd\":0.0},\"retries\":0,"
           "\"breaker_openings\":0}");
    AUTO(freep) char *live = json_text(row_of(doc, "workflows", "only live"));
    assert_non_null(strstr(live, "\"success_rate\":null,\"duration_ms\":null"));
    stats_free(s);
}

static void
work(struct stats *s)
{
    tell(s, 0, EVENT_NODE_STARTED, "a", "{\"agent\":\"ann\"}");
    tell(s, 5, EVENT_STEP_COMPLETED, "a/turn[0]",
         "{\"type\":\"model\",\"target\":\"p:m\",\"at\":1767225600905,\"began\":1767225600005,"
         "\"attempts\":3,\"waited_ms\":400,\"tripped\":true,"
         "\"usage\":{\"model_calls\":1,\"input_tokens\":7,\"cost_usd\":0.5}}");
    tell(s, 5, EVENT_STEP_FAILED, "a/turn[1]",
         "{\"type\":\"model\",\"target\":\"p:m\",\"at\":1767225600905,\"attempts\":1}");
    tell(s, 5, EVENT_NODE_COMPLETED, "a",
         "{\"agent\":\"ann\",\"status\":\"completed\",\"duration_ms\":30,\"attempts\":3,"
         "\"usage\":{\"model_calls\":1,\"input_tokens\":7,\"cost_usd\":0.5}}");
    tell(s, 5, EVENT_NODE_SKIPPED, "b", "{\"agent\":\"bob\",\"status\":\"skipped\"}");
}

static void
steps(void **state)
{
    (void)state;
    struct stats *s = stats_new();
    tell(s, 0, EVENT_RUN_STARTED, "", "{\"workflow\":\"w\"}");
    work(s);
    tell(s, 0, EVENT_RUN_STARTED, "", "{\"workflow\":\"w\",\"fork\":{}}");
    work(s); /* another run's */
    tell(s, 0, EVENT_RUN_FORKED, "", "{}");
    tell(s, 5, EVENT_STEP_COMPLETED, "c/turn[0]",
         "{\"type\":\"model\",\"target\":\"p:m\",\"usage\":{\"model_calls\":1,\"cost_usd\":null}}");
    AUTO(json_freep) json_t *doc = stats_json(s);
    assert_int_equal(json_array_size(json_object_get(doc, "agents")), 1); /* nobody asked bob */
    const json_t *ann = row_of(doc, "agents", "ann"), *model = row_of(doc, "targets", "p:m");
    assert_int_equal(json_int(ann, "count", 0), 1);
    assert_int_equal(json_int(ann, "retries", 0), 2);
    AUTO(freep) char *text = json_text(model);
    assert_string_equal(
        text, "{\"name\":\"p:m\",\"type\":\"model\",\"count\":3,\"completed\":2,\"failed\":1,"
              "\"success_rate\":0.6666666666666666,\"duration_ms\":{\"min\":0,\"avg\":"
              "166.66666666666666,\"p50\":0,\"p95\":500,\"max\":500},\"usage\":{\"input_tokens\":7,"
              "\"output_tokens\":0,\"cached_tokens\":0,\"model_calls\":2,\"tool_calls\":0,"
              "\"cost_usd\":null},\"cost_usd_at_least\":0.5,\"retries\":2,\"breaker_openings\":1,"
              "\"waited_ms\":400}");
    AUTO(str_fini) struct str shown = STR_INIT;
    stats_text(s, &shown);
    assert_non_null(strstr(str_c(&shown), "Workflow Statistics\nWorkflow "));
    assert_non_null(strstr(str_c(&shown), "> 0.5000"));
    stats_free(s);
}

/* Names are up to whoever writes files. */
static void
many_names(void **state)
{
    (void)state;
    struct stats *s = stats_new();
    for (int i = 0; i < STATS_NAMES_MAX + 100; i++) {
        AUTO(freep) char *name = xasprintf("w%d", i);
        run(s, name, "completed", 1);
    }
    AUTO(json_freep) json_t *doc = stats_json(s);
    assert_int_equal(json_array_size(json_object_get(doc, "workflows")), STATS_NAMES_MAX + 1);
    assert_int_equal(json_int(row_of(doc, "workflows", "(others)"), "count", 0), 100);
    stats_free(s);
}

/* A rollback long afterwards: no success any more, and as long as it took. */
static void
rolled_back(void **state)
{
    (void)state;
    struct stats *s = stats_new();
    run(s, "w", "completed", 300);
    tell(s, 9000000, EVENT_RUN_RESUMED, "", "{}");
    tell(s, 9000500, "run.compensated", "", "{\"status\":\"compensated\"}");
    AUTO(json_freep) json_t *doc = stats_json(s);
    const json_t *row = row_of(doc, "workflows", "w");
    assert_int_equal(json_int(row, "failed", 0), 1);
    assert_int_equal(json_int(row, "completed", -1), 0);
    assert_int_equal(json_int(json_object_get(row, "duration_ms"), "max", 0), 300);
    stats_free(s);
}

TESTS(stats_test, cmocka_unit_test(rolled_back), cmocka_unit_test(percentiles),
      cmocka_unit_test(outcomes), cmocka_unit_test(steps), cmocka_unit_test(many_names))
