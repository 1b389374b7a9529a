/* timeline_test.c - a run as a tree of places, over time; folding, widths, hostile names. */
#include "base/printable.h"
#include "base/test.h"
#include "observe/timeline.h"

#define T0 1767225600000 /* 2026-01-01T00:00:00Z */

static void
tell(struct trace *t, int64_t at_ms, const char *name, const char *path, const char *detail)
{
    AUTO(json_freep) json_t *d = NULL;
    assert_ok(json_parse(detail, strlen(detail), &d));
    trace_event(t,
                &(struct run_event){
                    .run = "R1", .name = name, .path = path, .wall_ms = T0 + at_ms, .detail = d});
}

static struct trace *
story(void)
{
    struct trace *t = trace_new(2);
    tell(t, 0, EVENT_RUN_STARTED, "", "{\"workflow\":\"main\"}");
    tell(t, 100, EVENT_NODE_STARTED, "ask", "{\"agent\":\"ann\",\"type\":\"task\"}");
    tell(t, 900, EVENT_STEP_COMPLETED, "ask/turn[0]",
         "{\"type\":\"model\",\"target\":\"p:m\",\"at\":1767225600900,\"began\":1767225600100,"
         "\"attempts\":3,\"waited_ms\":300,\"usage\":{\"model_calls\":1,\"input_tokens\":5}}");
    tell(t, 500, EVENT_NODE_PROGRESS, "ask", "{}"); /* nothing begins or ends */
    tell(t, 900, EVENT_NODE_COMPLETED, "ask",
         "{\"agent\":\"ann\",\"status\":\"completed\",\"started\":1767225600100,"
         "\"duration_ms\":800,\"attempts\":3,\"usage\":{\"model_calls\":1,\"input_tokens\":5}}");
    tell(t, 900, EVENT_STEP_STARTED, "pay/call", "{\"type\":\"http\",\"target\":\"shop\"}");
    tell(t, 950, EVENT_RUN_RESUMED, "", "{}");
    tell(t, 1000, EVENT_NODE_FAILED, "l\033[2Jate",
         "{\"status\":\"failed\",\"started\":1767225600900,\"duration_ms\":100,\"error\":\"no\"}");
    tell(t, 1000, EVENT_NODE_SKIPPED, "never", "{\"status\":\"skipped\"}");
    tell(t, 1000, EVENT_RUN_FAILED, "", "{\"status\":\"failed\",\"error\":\"no\"}");
    return t;
}

static void
rows(void **state)
{
    (void)state;
    AUTO(trace_freep) struct trace *t = story();
    AUTO(str_fini) struct str text = STR_INIT;
    timeline_text(t, 80, &text);
    assert_string_equal(
        str_c(&text),
        "main R1  failed  1.0 s  taken up again 1 time  5 tokens\n"
        "ask                100 ms      800 ms      | =============  | ann  2 retries...\n"
        "  turn[0]          100 ms      800 ms      | =============  | p:m  2 retries...\n"
        "pay                900 ms      0 ms        |              . |\n"
        "  call             900 ms      100 ms      |              >>| in doubt or un...\n"
        "l [2Jate           900 ms      100 ms      |              xx| failed  no\n"
        "never                                      |                | skipped\n");
}

static void
json(void **state)
{
    (void)state;
    AUTO(trace_freep) struct trace *t = story();
    AUTO(json_freep) json_t *doc = timeline_json(t);
    static const char *const row[] = {
        "{\"path\":\"ask\",\"what\":\"node\",\"type\":\"task\",\"agent\":\"ann\","
        "\"status\":\"completed\",\"start_ms\":100,\"duration_ms\":800,\"waited_ms\":0,"
        "\"retries\":2,\"usage\":{\"input_tokens\":5,\"output_tokens\":0,\"cached_tokens\":0,"
        "\"model_calls\":1,\"tool_calls\":0,\"cost_usd\":null}}",
        NULL,
        "{\"path\":\"pay\",\"what\":\"part\",\"start_ms\":900,\"duration_ms\":0,"
        "\"waited_ms\":0,\"retries\":0}",
        "{\"path\":\"pay/call\",\"what\":\"step\",\"type\":\"http\",\"target\":\"shop\","
        "\"status\":\"running\",\"start_ms\":900,\"duration_ms\":100,\"waited_ms\":0,"
        "\"retries\":0}"};
    const json_t *rows_made = json_object_get(doc, "rows");
    assert_int_equal(json_array_size(rows_made), 6);
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(freep) char *text = json_text(json_array_get(rows_made, i));
        if (row[i])
            assert_string_equal(text, row[i]);
    }
    json_object_del(doc, "rows");
    AUTO(freep) char *head = json_text(doc);
    assert_string_equal(head, "{\"run\":\"R1\",\"workflow\":\"main\",\"status\":\"failed\","
                              "\"started\":\"2026-01-01T00:00:00.000Z\",\"duration_ms\":1000,"
                              "\"lives\":2}");
}

/* So many items are one place; nothing is kept of each. */
static void
many_items(void **state)
{
    (void)state;
    AUTO(trace_freep) struct trace *t = trace_new(2);
    AUTO(str_fini) struct str text = STR_INIT;
    tell(t, 0, EVENT_RUN_STARTED, "", "{\"workflow\":\"main\"}");
    for (int i = 0; i < 20000; i++) {
        AUTO(freep) char *path = xasprintf("each/item[%d]", i);
        AUTO(freep) char *turn = xasprintf("each/item[%d]/turn[0]", i);
        tell(t, i, EVENT_NODE_STARTED, path, "{\"agent\":\"a\",\"type\":\"task\"}");
        tell(t, i, EVENT_STEP_FAILED, turn, "{\"type\":\"model\",\"error\":{\"text\":\"e\"}}");
        tell(t, i, i % 3 ? EVENT_NODE_COMPLETED : EVENT_NODE_FAILED, path,
             i % 3 ? "{\"status\":\"completed\",\"duration_ms\":2,\"started\":1767225600001}"
                   : "{\"status\":\"failed\"}");
    }
    tell(t, 9, EVENT_NODE_STARTED, "each/item[30000]", "{}");
    assert_int_equal(t->places, 7); /* each, its first two items and all others, their turns */
    timeline_text(t, 300, &text);
    assert_non_null(strstr(str_c(&text), "13332 of 19999 completed, 6666 failed, 1 running"));
}

static void
names_without_index(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t base;
    } row[] = {{"a[0]", 1},       {"a[*]", 1},       {"a", 1},           {"a[]", 3},
               {"[1]", 3},        {"ask[3].say", 3}, {"ask[*].wait", 3}, {"ask[3].told", 11},
               {".say", 4},       {"a.wait", 6},     {"a[x]", 4},        {"", 0},
               {"a[1].f[22]", 6}, {"ab[12", 5},      {"a[1", 3}};
    for (size_t i = 0; i < COUNT(row); i++)
        assert_int_equal(trace_base_len(row[i].name), row[i].base);
}

/* A conversation comes to a state again and again: what it says and waits for there is one place.
 * Remarks (where it stands) are none. */
static void
states_again(void **state)
{
    (void)state;
    AUTO(trace_freep) struct trace *t = trace_new(0);
    AUTO(str_fini) struct str text = STR_INIT;
    tell(t, 0, EVENT_RUN_STARTED, "", "{\"workflow\":\"talk\"}");
    for (int i = 1; i <= 3; i++) {
        AUTO(freep) char *say = xasprintf("ask[%d].say", i);
        AUTO(freep) char *wait = xasprintf("ask[%d].wait", i);
        AUTO(freep) char *listening = xasprintf("ask[%d].listening", i);
        tell(t, 100 * i, EVENT_NODE_COMPLETED, say, "{\"status\":\"completed\"}");
        tell(t, 100 * i, "session.state", listening, "{}");
        tell(t, 100 * i, EVENT_WAIT_STARTED, wait, "{\"signal\":\"input\"}");
        tell(t, 100 * i, EVENT_WAIT_STARTED, wait, "{\"signal\":\"input\"}"); /* told again */
        if (i < 3)
            tell(t, 100 * i + 50, EVENT_WAIT_ENDED, wait, "{}");
    }
    assert_int_equal(t->places, 2);
    timeline_text(t, 200, &text);
    assert_non_null(strstr(str_c(&text), "3 of 3 completed"));
    assert_non_null(strstr(str_c(&text), "2 of 3 completed, 1 running  input  waits"));
}

/* Neither depth nor number of places is up to whoever wrote the journal. */
static void
bounds(void **state)
{
    (void)state;
    AUTO(trace_freep) struct trace *t = trace_new(1);
    AUTO(str_fini) struct str deep = STR_INIT;
    for (int i = 0; i < 500; i++)
        str_add(&deep, i ? "/a" : "a");
    tell(t, 0, EVENT_NODE_STARTED, str_c(&deep), "{}");
    assert_int_equal(t->places, TRACE_DEPTH_MAX);
    for (int i = 0; i < TRACE_PLACES_MAX; i++) {
        AUTO(freep) char *path = xasprintf("p%d", i);
        trace_event(t, &(struct run_event){.run = "", .name = EVENT_NODE_STARTED, .path = path});
    }
    assert_int_equal(t->places, TRACE_PLACES_MAX);
    AUTO(str_fini) struct str text = STR_INIT;
    timeline_text(t, 1, &text);
    assert_non_null(strstr(str_c(&text), "... and 49600 more rows"));
}

static void
fitting(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t columns;
        bool fill;
        const char *want;
    } row[] = {{"abc", 5, true, "abc  "},
               {"abc", 5, false, "abc"},
               {"abcdefghij", 8, true, "abcde..."},
               {"abcdefghij", 4, true, "abcd"},
               {"\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2", 8, true,
                "\xe6\xbc\xa2\xe5\xad\x97... "}, /* two columns each */
               {"e\xcc\x81"
                "e\xcc\x81",
                2, true,
                "e\xcc\x81"
                "e\xcc\x81"}, /* accents take none */
               {"a\033[31mb", 20, false, "a [31mb"},
               {"\xff", 3, true, "\xef\xbf\xbd  "},
               {"\xf0\x9f\x8e\xb2", 1, true, " "}};
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(str_fini) struct str s = STR_INIT;
        printable_fit(&s, row[i].text, row[i].columns, row[i].fill);
        assert_string_equal(str_c(&s), row[i].want);
    }
}

TESTS(timeline_test, cmocka_unit_test(rows), cmocka_unit_test(json), cmocka_unit_test(many_items),
      cmocka_unit_test(names_without_index), cmocka_unit_test(states_again),
      cmocka_unit_test(bounds), cmocka_unit_test(fitting))
