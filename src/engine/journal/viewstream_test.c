/* viewstream_test.c - what is known of very many items: little of those that are done, all of the
 * others, and of damaged records where they are wrong. */
#include "base/test.h"
#include "engine/journal/undolog.h"
#include "engine/journal/viewstream.h"

static struct err *
feed(struct view *v, bool recall, enum record_kind kind, const char *path, const char *body)
{
    AUTO(freep) char *bytes = xasprintf("%c%s", JOURNAL_FORMAT, body);
    static int64_t seq;
    const struct record rec = {kind, path, bytes, strlen(bytes), ++seq};
    return recall ? view_recall(v, &rec) : view_feed(v, &rec);
}

#define OPENED  "{\"at\":1,\"member\":\"sum\",\"source\":{},\"results\":\"out.jsonl\"}"
#define STEP    "{\"at\":5,\"value\":1,\"usage\":{\"input_tokens\":3,\"model_calls\":1}}"
#define STARTED "{\"at\":2,\"type\":\"task\"}"

static struct view *
opened(bool recall)
{
    struct view *v = view_new("R");
    assert_ok(feed(v, recall, REC_RUN_STARTED, "", "{\"at\":0,\"workflow\":\"main\"}"));
    assert_ok(feed(v, recall, REC_NODE_STARTED, "each", STARTED));
    assert_ok(feed(v, recall, REC_STREAM_OPENED, "each", OPENED));
    return v;
}

static bool
step_known(const struct view *v, const char *path)
{
    AUTO(json_freep) json_t *body = NULL;
    bool failed;
    assert_ok(view_step(v, path, &body, &failed));
    return body != NULL;
}

/* Its steps are found until it is done, and cost what they did afterwards. */
static void
forgotten(void **state)
{
    (void)state;
    struct view *v = opened(true);
    assert_ok(feed(v, true, REC_NODE_STARTED, "each/sum[0]", STARTED));
    assert_ok(feed(v, true, REC_STEP_DONE, "each/sum[0]/turn[0]", STEP));
    assert_ok(feed(v, true, REC_STEP_DONE, "each/sum[1]/a/turn[0]", STEP));
    assert_ok(feed(v, true, REC_STEP_DONE, "each/sum[1x]/turn[0]", STEP)); /* no item's */
    assert_true(step_known(v, "each/sum[0]/turn[0]"));
    assert_ok(feed(v, true, REC_ITEM_DONE, "each/sum[0]", "{\"output\":1}"));
    assert_false(step_known(v, "each/sum[0]/turn[0]"));
    assert_true(step_known(v, "each/sum[1]/a/turn[0]"));
    const struct viewstream *s = view_stream(v, "each");
    assert_true(doneset_has(&s->done, 0));
    assert_false(doneset_has(&s->done, 1));
    assert_int_equal(s->steps.input_tokens, 3);
    struct view_cost cost;
    bool more = true;
    int64_t tokens = 0;
    for (size_t i = 0; more;) {
        assert_ok(view_step_cost(v, &i, &cost, &more));
        tokens += more ? cost.usage.input_tokens : 0;
    }
    assert_int_equal(tokens, 9);
    assert_ok(feed(v, true, REC_NODE_ENDED, "each", "{\"status\":\"failed\"}"));
    assert_false(step_known(v, "each/sum[1]/a/turn[0]"));
    assert_true(step_known(v, "each/sum[1x]/turn[0]"));
    assert_null(view_stream(v, "other"));
    view_free(v);
}

/* A stream inside of an item is gone with it. */
static void
nested(void **state)
{
    (void)state;
    struct view *v = opened(true);
    assert_ok(feed(v, true, REC_STREAM_OPENED, "each/sum[3]/rows", "{\"member\":\"row\"}"));
    assert_ok(feed(v, true, REC_STEP_DONE, "each/sum[3]/rows/row[0]/turn[0]", STEP));
    assert_ok(feed(v, true, REC_ITEM_DONE, "each/sum[3]/rows/row[0]", "{}"));
    assert_ok(feed(v, true, REC_STEP_DONE, "each/sum[3]/rows/row[1]/turn[0]", STEP));
    assert_int_equal(view_stream(v, "each/sum[3]/rows")->done.count, 1);
    assert_true(step_known(v, "each/sum[3]/rows/row[1]/turn[0]"));
    assert_ok(feed(v, true, REC_ITEM_DONE, "each/sum[3]", "{\"output\":1}"));
    assert_null(view_stream(v, "each/sum[3]/rows"));
    assert_false(step_known(v, "each/sum[3]/rows/row[1]/turn[0]"));
    assert_int_equal(view_stream(v, "each")->steps.input_tokens, 6);
    view_free(v);
}

/* Of what can be undone in items that are over a number is kept, and that of inner streams with it;
 * of what their undos did nothing, when they are done. */
static void
undos(void **state)
{
#define ROW "each/sum[3]/rows/row[0]"
    (void)state;
    struct view *v = opened(true);
    assert_ok(feed(v, true, REC_STREAM_OPENED, "each/sum[3]/rows", "{\"member\":\"row\"}"));
    assert_ok(feed(v, true, REC_UNDO, ROW, "{\"state\":\"ready\",\"request\":{}}"));
    assert_ok(feed(v, true, REC_ITEM_DONE, ROW, "{}"));
    assert_int_equal(view_stream(v, "each/sum[3]/rows")->undos.count, 1);
    const int64_t seq = undolog_newest(view_undo(v), "each/sum[3]", 0, INT64_MAX);
    assert_true(seq > 0);
    assert_ok(feed(v, true, REC_UNDOING, "each/sum[3]", "{\"reason\":\"failed\"}"));
    assert_ok(feed(v, true, REC_ITEM_FAILED, "each/sum[3]", "{\"error\":\"no\"}"));
    assert_null(undolog_begun(view_undo(v), "each/sum[3]"));
    assert_int_equal(view_stream(v, "each")->undos.count, 1);
    assert_int_equal(undolog_newest(view_undo(v), "", 0, INT64_MAX), seq);
    AUTO(freep)
    char *of = xasprintf("{\"state\":\"trying\",\"try\":1,\"of\":%lld}", (long long)seq);
    assert_ok(feed(v, true, REC_UNDO, ROW, of));
    assert_int_equal(view_stream(v, "each")->undos.count, 0);
    assert_ok(feed(v, true, REC_NODE_STARTED, ROW "/undo[1]", STARTED));
    assert_ok(feed(v, true, REC_STEP_DONE, ROW "/undo[1]/turn[0]", STEP));
    assert_ok(feed(v, true, REC_STREAM_OPENED, ROW "/undo[1]/s", "{\"member\":\"x\"}"));
    assert_true(step_known(v, ROW "/undo[1]/turn[0]"));
    assert_ok(feed(v, true, REC_UNDO, ROW, "{\"state\":\"done\",\"try\":1}"));
    assert_false(step_known(v, ROW "/undo[1]/turn[0]"));
    assert_null(view_stream(v, ROW "/undo[1]/s"));
    assert_int_equal(view_stream(v, "each")->steps.input_tokens, 3);
    assert_int_equal(undolog_count(view_undo(v), UNDO_DONE), 1);
    view_free(v);
}

/* Ends that no cursor covers are kept to be written again; only by a run that goes on. */
static void
unwritten(void **state)
{
    (void)state;
    for (int recall = 0; recall < 2; recall++) {
        struct view *v = opened(recall);
        for (int i = 0; i < 6; i++) {
            AUTO(freep) char *path = xasprintf("each/sum[%d]", 5 - i);
            AUTO(freep) char *body = xasprintf("{\"output\":%d}", i);
            assert_ok(feed(v, recall, REC_ITEM_DONE, path, body));
            assert_ok(feed(v, recall, REC_ITEM_DONE, path, body)); /* twice is once */
        }
        assert_ok(feed(v, recall, REC_STREAM_CURSOR, "each", "{\"written\":[0,2,5],\"bytes\":77}"));
        assert_ok(feed(v, recall, REC_STREAM_OPENED, "each", "{\"member\":\"sum\"}"));
        struct viewstream *s = view_stream(v, "each");
        assert_int_equal(s->completed, 6);
        assert_int_equal(s->unwritten.len, recall ? 2 : 0);
        assert_int_equal(s->bytes, recall ? 77 : 0);
        if (recall)
            assert_int_equal(s->unwritten.at[0].index + s->unwritten.at[1].index, 1);
        viewstream_written(s);
        assert_int_equal(s->unwritten.len, 0);
        view_free(v);
    }
}

static void
failures(void **state)
{
    (void)state;
    struct view *v = opened(false);
    for (int i = 0; i < STREAM_ERRORS_MAX + 5; i++) {
        AUTO(freep) char *path = xasprintf("each/sum[%d]", i);
        AUTO(freep)
        char *body = xasprintf("{\"error\":\"no %d\",\"kind\":\"denied\",\"usage\":"
                               "{\"input_tokens\":2,\"model_calls\":1}}",
                               i);
        assert_ok(feed(v, false, REC_ITEM_FAILED, path, body));
    }
    const struct viewstream *s = view_stream(v, "each");
    assert_int_equal(s->failed, STREAM_ERRORS_MAX + 5);
    assert_int_equal(s->errors.len, STREAM_ERRORS_MAX);
    assert_int_equal(s->errors.at[0].kind, ERR_DENIED);
    assert_int_equal(s->usage.input_tokens, 2 * (STREAM_ERRORS_MAX + 5));
    AUTO(json_freep) json_t *doc = NULL;
    assert_ok(view_document(v, 9, true, &doc));
    const json_t *items = json_at(doc, "nodes", "each", "items", NULL);
    assert_int_equal(json_int(items, "failed", 0), STREAM_ERRORS_MAX + 5);
    assert_int_equal(json_int(items, "completed", -1), 0);
    assert_int_equal(json_array_size(json_object_get(items, "failures")), STREAM_ERRORS_MAX);
    const json_t *first = json_array_get(json_object_get(items, "failures"), 0);
    assert_int_equal(json_int(first, "index", 0), 1);
    assert_string_equal(json_str(first, "error", ""), "no 0");
    view_free(v);
}

static void
damaged(void **state)
{
    (void)state;
    static const struct {
        enum record_kind kind;
        const char *path, *body, *told;
    } rows[] = {
        {REC_ITEM_DONE, "each/sum[0]/a", "{}", "an item of no stream: 'each/sum[0]/a'"},
        {REC_ITEM_DONE, "each/other[0]", "{}", "an item of no stream: 'each/other[0]'"},
        {REC_ITEM_FAILED, "each/sum[-1]", "{}", "an item of no stream: 'each/sum[-1]'"},
        {REC_ITEM_DONE, "each/sum[]", "{}", "an item of no stream: 'each/sum[]'"},
        {REC_ITEM_DONE, "", "{}", "an item of no stream: ''"},
        {REC_STREAM_CURSOR, "sum", "{\"written\":[0]}", "a cursor of no stream: 'sum'"},
        {REC_STREAM_CURSOR, "each", "{\"written\":[3,1,2]}", "a list of what is done that is none"},
        {REC_STREAM_OPENED, "other", "[]", "a journal record that is not an object"},
    };
    struct view *v = opened(true);
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_err(feed(v, true, rows[i].kind, rows[i].path, rows[i].body), ERR_INVALID,
                   rows[i].told);
    /* Too far from all others to be kept: it will be done again. */
    assert_ok(feed(v, true, REC_ITEM_DONE, "each/sum[99999999999]", "{}"));
    assert_int_equal(view_stream(v, "each")->completed, 0);
    view_free(v);
    viewstreams_free(NULL);
}

TESTS(viewstream_test, cmocka_unit_test(forgotten), cmocka_unit_test(nested),
      cmocka_unit_test(undos), cmocka_unit_test(unwritten), cmocka_unit_test(failures),
      cmocka_unit_test(damaged))
