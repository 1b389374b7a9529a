/* journal_test.c - records there and back, damaged ones refused, and what is told from them. */
#include "base/test.h"
#include "engine/journal.h"

static json_t *
parse(const char *text)
{
    json_t *j = NULL;
    assert_ok(json_parse(text, strlen(text), &j));
    return j;
}

static void
codec(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{}", "{\"a\":[1,2.5,null,true,\"\xc3\xa9\\u0001\"],\"b\":{\"c\":\"\"}}",
        "{\"n\":9223372036854775807,\"m\":-9223372036854775808}"};
    for (size_t i = 0; i < COUNT(bodies); i++) {
        AUTO(json_freep) json_t *body = parse(bodies[i]), *back = NULL;
        AUTO(str_fini) struct str bytes = STR_INIT;
        record_encode(body, &bytes);
        assert_int_equal(bytes.p[0], JOURNAL_FORMAT);
        assert_ok(record_decode(bytes.p, bytes.len, &back));
        assert_true(json_equal(body, back));
        for (size_t n = 0; n < bytes.len; n++) { /* cut anywhere: refused, never half read */
            json_t *half = NULL;
            struct err *e = record_decode(bytes.p, n, &half);
            assert_non_null(e);
            assert_null(half);
            err_free(e);
        }
    }
}

static void
damaged(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *told;
    } row[] = {
        {"", "a journal record of an unknown format (written by a newer version?)"},
        {"1", "a journal record of an unknown format (written by a newer version?)"},
        {"2{}", "a journal record of an unknown format (written by a newer version?)"},
        {"{}", "a journal record of an unknown format (written by a newer version?)"},
        {"1[]", "a journal record that is not an object"},
        {"1\"text\"", "a journal record that is not an object"},
        {"1null", "a journal record that is not an object"},
    };
    json_t *body = NULL;
    for (size_t i = 0; i < COUNT(row); i++) {
        assert_err(record_decode(row[i].bytes, strlen(row[i].bytes), &body), ERR_INVALID,
                   row[i].told);
        assert_null(body);
    }
    static const char *const broken[] = {"1{", "1{\"a\":}", "1{\"a\":\"\xff\"}", "1{} ?",
                                         "1{\"a\":1,\"a\":2}"};
    for (size_t i = 0; i < COUNT(broken); i++) {
        struct err *e = record_decode(broken[i], strlen(broken[i]), &body);
        assert_non_null(e);
        AUTO(freep) char *text = err_text(e);
        assert_true(str_starts(text, "a journal record: "));
        assert_int_equal(err_kind(e), ERR_INVALID);
        err_free(e);
        assert_null(body);
    }
}

static void
event_names(void **state)
{
    (void)state;
    static const struct {
        int kind;
        const char *status, *event;
    } row[] = {
        {REC_RUN_STARTED, "", "run.started"},
        {REC_RUN_RESUMED, "", "run.resumed"},
        {REC_RUN_WAITING, "", "run.waiting"},
        {REC_RUN_ENDED, "completed", "run.completed"},
        {REC_RUN_ENDED, "partial", "run.completed"},
        {REC_RUN_ENDED, "failed", "run.failed"},
        {REC_RUN_ENDED, "cancelled", "run.cancelled"},
        {REC_NODE_STARTED, "running", "node.started"},
        {REC_NODE_ENDED, "completed", "node.completed"},
        {REC_NODE_ENDED, "failed", "node.failed"},
        {REC_NODE_ENDED, "skipped", "node.skipped"},
        {REC_NODE_ENDED, "cancelled", "node.cancelled"},
        {REC_STEP_INTENT, "", "step.started"},
        {REC_STEP_DONE, "", "step.completed"},
        {REC_STEP_FAILED, "", "step.failed"},
        {99, "", "unknown"}, /* of a later version */
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(json_freep) json_t *body = json_pack("{ss}", "status", row[i].status);
        assert_string_equal(record_event((enum record_kind)row[i].kind, body), row[i].event);
    }
}

struct line {
    int kind;
    const char *path, *body;
};

static void
feed(struct view *v, struct memo *m, const struct line *lines, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        AUTO(json_freep) json_t *body = parse(lines[i].body);
        if (v)
            view_feed(v, (enum record_kind)lines[i].kind, lines[i].path, body);
        if (m)
            memo_feed(m, (enum record_kind)lines[i].kind, lines[i].path, body);
    }
}

static const struct line story[] = {
    {REC_RUN_STARTED, "", "{\"workflow\":\"main\",\"at\":1000,\"goal\":\"try\"}"},
    {REC_NODE_STARTED, "a",
     "{\"type\":\"task\",\"agent\":\"ann\",\"at\":1001,\"status\":\"running\"}"},
    {REC_STEP_INTENT, "a/call", "{\"type\":\"tool\",\"target\":\"box.add\"}"},
    {REC_STEP_DONE, "a/call", "{\"value\":{\"x\":1},\"usage\":{\"tool_calls\":1}}"},
    {REC_STEP_FAILED, "a/turn[0]",
     "{\"error\":{\"kind\":\"limit\",\"text\":\"429\"},\"usage\":{\"model_calls\":1,\"input_"
     "tokens\":5,"
     "\"cost_usd\":null}}"},
    {REC_NODE_ENDED, "a",
     "{\"type\":\"task\",\"agent\":\"ann\",\"status\":\"completed\",\"output\":[1,2],\"attempts\":"
     "2,"
     "\"started\":1001,\"duration_ms\":9,\"usage\":{\"tool_calls\":1}}"},
    {REC_NODE_STARTED, "b",
     "{\"type\":\"task\",\"agent\":\"bob\",\"at\":1011,\"status\":\"running\"}"},
    {REC_RUN_WAITING, "", "{\"reason\":\"somebody has to look\",\"at\":1020}"},
};

/* What there is to see while it waits; a node under way is there too. */
static void
document_waiting(void **state)
{
    (void)state;
    struct view *v = view_new("R1");
    assert_null(view_started(v));
    feed(v, NULL, story, COUNT(story));
    assert_int_equal(view_status(v), RUN_WAITING);
    AUTO(json_freep) json_t *d = view_document(v, 1500);
    AUTO(freep) char *text = json_text(d);
    assert_string_equal(
        text,
        "{\"run\":\"R1\",\"workflow\":\"main\",\"status\":\"waiting\",\"output\":null,\"text\":"
        "null,"
        "\"error\":null,\"nodes\":{"
        "\"a\":{\"type\":\"task\",\"agent\":\"ann\",\"status\":\"completed\",\"output\":[1,2],"
        "\"text\":\"[1,2]\",\"error\":null,\"attempts\":2,\"started\":1001,\"duration_ms\":9,"
        "\"usage\":{\"tool_calls\":1}},"
        "\"b\":{\"type\":\"task\",\"agent\":\"bob\",\"status\":\"running\",\"output\":null,"
        "\"text\":null,\"error\":null,\"attempts\":null,\"started\":null,\"duration_ms\":null,"
        "\"usage\":null}},"
        "\"usage\":{\"input_tokens\":5,\"output_tokens\":0,\"cached_tokens\":0,\"model_calls\":1,"
        "\"tool_calls\":1,\"cost_usd\":null},\"duration_ms\":500,"
        "\"waiting\":\"somebody has to look\",\"goal\":\"try\"}");
    assert_string_equal(json_str(view_started(v), "workflow", ""), "main");
    view_free(v);
}

static void
document_ends(void **state)
{
    (void)state;
    static const struct {
        const char *ended; /* body */
        enum run_status status;
        const char *output, *text, *error;
        int duration;
    } row[] = {
        {"{\"status\":\"completed\",\"at\":3000,\"output\":\"hi\"}", RUN_COMPLETED, "\"hi\"",
         "\"hi\"", "null", 2000},
        {"{\"status\":\"partial\",\"at\":3000,\"output\":{\"a\":1},\"text\":\"one\"}", RUN_PARTIAL,
         "{\"a\":1}", "\"one\"", "null", 2000},
        {"{\"status\":\"failed\",\"at\":1,\"error\":\"no luck\"}", RUN_FAILED, "null", "null",
         "\"no luck\"", 0}, /* a clock that went back */
        {"{\"status\":\"cancelled\"}", RUN_CANCELLED, "null", "null", "null", 8000},
        {"{\"status\":\"of a later version\",\"at\":3000,\"output\":null}", RUN_RUNNING, "null",
         "null", "null", 2000},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct view *v = view_new("R1");
        const struct line lines[] = {{REC_RUN_STARTED, "", "{\"at\":1000}"},
                                     {REC_RUN_WAITING, "", "{\"reason\":\"x\"}"},
                                     {REC_RUN_RESUMED, "", "{\"at\":1200}"},
                                     {REC_RUN_ENDED, "", row[i].ended}};
        feed(v, NULL, lines, COUNT(lines));
        assert_int_equal(view_status(v), row[i].status);
        AUTO(json_freep) json_t *d = view_document(v, 9000);
        AUTO(freep) char *output = json_text(json_object_get(d, "output"));
        AUTO(freep) char *text = json_text(json_object_get(d, "text"));
        AUTO(freep) char *error = json_text(json_object_get(d, "error"));
        assert_string_equal(output, row[i].output);
        assert_string_equal(text, row[i].text);
        assert_string_equal(error, row[i].error);
        assert_int_equal(json_int(d, "duration_ms", -1), row[i].duration);
        assert_null(json_object_get(d, "waiting"));
        view_free(v);
    }
}

/* A node that was under way when the run ended says so, and whether something it did may have been
 * carried out; one that had ended stays as it was. */
static void
document_cut_off(void **state)
{
    (void)state;
    static const struct {
        struct line last;
        const char *error;
    } row[] = {
        {{REC_NODE_STARTED, "b/child", "{\"status\":\"running\"}"}, "the run ended first"},
        {{REC_STEP_INTENT, "b/send", "{\"target\":\"mail\"}"},
         "the run ended while 'mail' was in doubt: it may have been carried out"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct view *v = view_new("R1");
        const struct line end = {REC_RUN_ENDED, "", "{\"status\":\"cancelled\"}"};
        feed(v, NULL, story, COUNT(story));
        feed(v, NULL, &row[i].last, 1);
        feed(v, NULL, &end, 1);
        AUTO(json_freep) json_t *d = view_document(v, 9000);
        const json_t *nodes = json_object_get(d, "nodes");
        const json_t *a = json_object_get(nodes, "a"), *b = json_object_get(nodes, "b");
        assert_string_equal(json_str(a, "status", ""), "completed");
        assert_true(json_is_null(json_object_get(a, "error")));
        assert_string_equal(json_str(b, "status", ""), "cancelled");
        assert_string_equal(json_str(b, "error", ""), row[i].error);
        view_free(v);
    }
}

/* What is recorded is found by path; the first start of a node counts, a success before a failure.
 */
static void
memo(void **state)
{
    (void)state;
    struct memo *m = memo_new();
    bool failed;
    static const struct line more[] = {
        {REC_NODE_STARTED, "a", "{\"at\":7777}"},
        {REC_STEP_FAILED, "a/call", "{\"error\":{}}"},
    };
    feed(NULL, m, story, COUNT(story));
    feed(NULL, m, more, COUNT(more));
    assert_string_equal(json_str(memo_node(m, "a"), "agent", ""), "ann");
    assert_null(memo_node(m, "b"));
    assert_int_equal(memo_started(m, "a"), 1001);
    assert_int_equal(memo_started(m, "b"), 1011);
    assert_int_equal(memo_started(m, "c"), 0);
    assert_int_equal(json_int(json_object_get(memo_step(m, "a/call", &failed), "value"), "x", 0),
                     1);
    assert_false(failed);
    assert_non_null(memo_step(m, "a/turn[0]", &failed));
    assert_true(failed);
    assert_null(memo_step(m, "a/turn[1]", &failed));
    assert_false(failed);
    assert_true(memo_intent(m, "a/call"));
    assert_false(memo_intent(m, "a/turn[0]"));
    memo_free(m);
    /* a run that was not resumed has none */
    assert_null(memo_node(NULL, "a"));
    assert_null(memo_step(NULL, "a", &failed));
    assert_false(memo_intent(NULL, "a"));
    assert_int_equal(memo_started(NULL, "a"), 0);
    memo_free(NULL);
    view_free(NULL);
}

TESTS(journal_test, cmocka_unit_test(codec), cmocka_unit_test(damaged),
      cmocka_unit_test(event_names), cmocka_unit_test(document_waiting),
      cmocka_unit_test(document_ends), cmocka_unit_test(document_cut_off), cmocka_unit_test(memo))
