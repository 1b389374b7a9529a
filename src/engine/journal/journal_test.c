/* journal_test.c - records there and back, damaged ones refused, and what is told from them. */
#include "base/test.h"
#include "engine/journal/journal.h"

static json_t *
parse(const char *text)
{
    json_t *j = NULL;
    assert_ok(json_parse(text, strlen(text), &j));
    return j;
}

static struct err *
decode(const char *bytes, size_t n, json_t **ret_body)
{
    return record_decode(&(struct record){.body = bytes, .body_len = n}, ret_body);
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
        assert_ok(decode(bytes.p, bytes.len, &back));
        assert_true(json_equal(body, back));
        for (size_t n = 0; n < bytes.len; n++) { /* cut anywhere: refused, never half read */
            json_t *half = NULL;
            struct err *e = decode(bytes.p, n, &half);
            assert_non_null(e);
            assert_null(half);
            err_free(e);
        }
    }
}

/* What an agent may return, nested as deep as it may be, can be read again with all around it. */
static void
deep(void **state)
{
    (void)state;
    json_t *value = json_array();
    for (int i = 1; i < JSON_DEPTH_MAX; i++)
        value = json_pack("[o]", value);
    AUTO(json_freep) json_t *body = json_pack("{s{s{so}}}", "value", "a", "b", value);
    AUTO(json_freep) json_t *back = NULL;
    AUTO(str_fini) struct str bytes = STR_INIT;
    record_encode(body, &bytes);
    assert_ok(decode(bytes.p, bytes.len, &back));
    assert_true(json_equal(body, back));
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
        assert_err(decode(row[i].bytes, strlen(row[i].bytes), &body), ERR_INVALID, row[i].told);
        assert_null(body);
    }
    static const char *const broken[] = {"1{", "1{\"a\":}", "1{\"a\":\"\xff\"}", "1{} ?",
                                         "1{\"a\":1,\"a\":2}"};
    for (size_t i = 0; i < COUNT(broken); i++) {
        struct err *e = decode(broken[i], strlen(broken[i]), &body);
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
        {REC_RUN_ENDED, "compensated", "run.compensated"},
        {REC_RUN_FORKED, "", "run.forked"},
        {REC_UNDOING, "", "run.compensating"},
        {REC_NODE_STARTED, "running", "node.started"},
        {REC_NODE_ENDED, "completed", "node.completed"},
        {REC_NODE_ENDED, "failed", "node.failed"},
        {REC_NODE_ENDED, "skipped", "node.skipped"},
        {REC_NODE_ENDED, "cancelled", "node.cancelled"},
        {REC_STEP_INTENT, "", "step.started"},
        {REC_STEP_DONE, "", "step.completed"},
        {REC_STEP_FAILED, "", "step.failed"},
        {REC_STEP_RESERVED, "", "budget.reserved"},
        {REC_WAIT_REFUSED, "", "approval.refused"},
        {REC_RECALLED, "", "history.read"},
        {REC_REMEMBERED, "", "history.added"},
        {REC_STREAM_OPENED, "", "node.progress"},
        {REC_STREAM_CURSOR, "", "node.progress"},
        {REC_ITEM_DONE, "", "node.completed"},
        {REC_ITEM_FAILED, "", "node.failed"},
        {REC_DECIDED, "", "decided"},
        {99, "", "unknown"}, /* of a later version */
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(json_freep) json_t *body = json_pack("{ss}", "status", row[i].status);
        assert_string_equal(record_event((enum record_kind)row[i].kind, body), row[i].event);
    }
}

/* Some have a name that is for their body to say. */
static void
event_names_by_body(void **state)
{
    (void)state;
    static const struct {
        int kind;
        const char *body, *event;
    } row[] = {
        {REC_DECIDED, "{\"event\":\"router.decided\"}", "router.decided"},
        {REC_WAIT_OPEN, "{\"type\":\"human\"}", "approval.requested"},
        {REC_WAIT_OPEN, "{\"type\":\"signal\"}", "wait.started"},
        {REC_WAIT_DONE, "{\"type\":\"human\",\"by\":\"ann\"}", "approval.answered"},
        {REC_WAIT_DONE, "{\"type\":\"human\",\"by\":\"cancelled\"}", "wait.ended"},
        {REC_WAIT_DONE, "{\"type\":\"signal\",\"by\":\"ann\"}", "wait.ended"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(json_freep) json_t *body = parse(row[i].body);
        assert_string_equal(record_event((enum record_kind)row[i].kind, body), row[i].event);
    }
}

struct line {
    int kind;
    const char *path, *body;
};

typedef struct err *(*feed_fn)(struct view *v, const struct record *rec);

static void
feed(struct view *v, feed_fn fn, const struct line *lines, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        AUTO(freep) char *body = xasprintf("1%s", lines[i].body);
        struct record rec = {(enum record_kind)lines[i].kind, lines[i].path, body, strlen(body)};
        assert_ok(fn(v, &rec));
    }
}

static json_t *
document(const struct view *v, int64_t now)
{
    json_t *d = NULL;
    assert_ok(view_document(v, now, true, &d));
    return d;
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
    feed(v, view_feed, story, COUNT(story));
    assert_int_equal(view_status(v), RUN_WAITING);
    AUTO(json_freep) json_t *d = document(v, 1500);
    AUTO(freep) char *text = json_text(d);
    assert_string_equal(
        text,
        "{\"run\":\"R1\",\"workflow\":\"main\",\"status\":\"waiting\",\"output\":null,\"text\":"
        "null,"
        "\"error\":null,\"nodes\":{"
        "\"a\":{\"type\":\"task\",\"agent\":\"ann\",\"status\":\"completed\",\"output\":[1,2],"
        "\"text\":\"[1,2]\",\"error\":null,\"attempts\":2,\"started\":1001,\"duration_ms\":9,"
        "\"usage\":{\"input_tokens\":0,\"output_tokens\":0,\"cached_tokens\":0,\"model_calls\":0,"
        "\"tool_calls\":1,\"cost_usd\":0.0}},"
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
        feed(v, view_feed, lines, COUNT(lines));
        assert_int_equal(view_status(v), row[i].status);
        AUTO(json_freep) json_t *d = document(v, 9000);
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

/* Numbers no clock and no provider ever gave: there is still a document. */
static void
document_numbers(void **state)
{
    (void)state;
    static const struct line lines[] = {
        {REC_RUN_STARTED, "", "{\"at\":-9223372036854775808}"},
        {REC_STEP_DONE, "a",
         "{\"usage\":{\"input_tokens\":9223372036854775807,\"cost_usd\":1e308}}"},
        {REC_STEP_DONE, "b",
         "{\"usage\":{\"input_tokens\":9223372036854775807,\"cost_usd\":1e308}}"},
        {REC_RUN_ENDED, "", "{\"status\":\"completed\",\"at\":9223372036854775807}"}};
    struct view *v = view_new("R1");
    feed(v, view_recall, lines, COUNT(lines));
    AUTO(json_freep) json_t *d = document(v, 0);
    assert_true(view_former_ms(v, INT64_MIN) > 0);
    assert_true(json_int(d, "duration_ms", 0) == INT64_MAX);
    assert_true(json_int(json_object_get(d, "usage"), "input_tokens", 0) == INT64_MAX);
    view_free(v);
}

/* What is recorded is found by path; the first start of a node counts, a success before a failure.
 */
static void
recall(void **state)
{
    (void)state;
    struct view *v = view_new("R1");
    bool failed;
    static const struct line more[] = {
        {REC_NODE_STARTED, "b", "{\"at\":7777}"},
        {REC_STEP_FAILED, "a/call", "{\"error\":{}}"},
        {REC_NODE_ENDED, "c", "{\"status\":\"skipped\"}"},
        {REC_STEP_INTENT, "b/call", "{\"target\":\"till\"}"},
        {99, "a", "{\"of\":\"a later version\"}"},
    };
    feed(v, view_recall, story, COUNT(story));
    feed(v, view_recall, more, COUNT(more));
    assert_true(view_node_ended(v, "a"));
    assert_true(view_node_ended(v, "c"));
    assert_false(view_node_ended(v, "b"));
    assert_false(view_node_ended(v, "e"));
    int64_t started;
    assert_ok(view_node_started(v, "b", &started));
    assert_int_equal(started, 1011);
    assert_ok(view_node_started(v, "e", &started));
    assert_int_equal(started, 0);

    AUTO(json_freep) json_t *step = NULL;
    AUTO(json_freep) json_t *turn = NULL;
    AUTO(json_freep) json_t *none = NULL;
    assert_ok(view_step(v, "a/call", &step, &failed));
    assert_int_equal(json_int(json_object_get(step, "value"), "x", 0), 1);
    assert_false(failed);
    assert_ok(view_step(v, "a/turn[0]", &turn, &failed));
    assert_string_equal(json_str(json_object_get(turn, "error"), "kind", ""), "limit");
    assert_true(failed);
    static const char *const open[] = {"a/turn[1]", "b/call", "b"};
    for (size_t i = 0; i < COUNT(open); i++) {
        assert_ok(view_step(v, open[i], &none, &failed));
        assert_null(none);
        assert_false(failed);
    }
    assert_true(view_step_begun(v, "a/call"));
    assert_true(view_step_begun(v, "b/call"));
    assert_false(view_step_begun(v, "a/turn[0]"));
    assert_false(view_step_begun(v, "x"));
    view_free(v);
    view_free(NULL);
}

/* What former lives worked counts, the time between them does not. */
static void
former_lives(void **state)
{
    (void)state;
    static const struct line lines[] = {
        {REC_RUN_STARTED, "", "{\"at\":1000}"},
        {REC_NODE_STARTED, "a", "{\"at\":1100}"},
        {REC_STEP_DONE, "a/x", "{\"at\":1400}"},
        {REC_NODE_ENDED, "a", "{\"started\":1100,\"duration_ms\":300}"},
        {REC_STEP_DONE, "b/x", "{\"at\":1300}"}, /* a clock that went back */
        {REC_RUN_RESUMED, "", "{\"at\":900000}"},
        {REC_RUN_RESUMED, "", "{\"at\":950000}"},
        {REC_STEP_FAILED, "b/y", "{\"at\":950050}"},
    };
    static const struct {
        int64_t since, ms;
    } row[] = {{0, 450},     {1000, 450},  {1100, 350}, {1400, 50},
               {950000, 50}, {950040, 10}, {950050, 0}, {999999, 0}};
    struct view *v = view_new("R1");
    assert_int_equal(view_former_ms(v, 0), 0);
    feed(v, view_recall, lines, COUNT(lines));
    for (size_t i = 0; i < COUNT(row); i++)
        assert_int_equal(view_former_ms(v, row[i].since), row[i].ms);
    /* what this life adds is not a former one's */
    struct record now = {REC_RUN_RESUMED, "", "1{\"at\":970000}", 13};
    assert_ok(view_feed(v, &now));
    assert_int_equal(view_former_ms(v, 0), 450);
    view_free(v);
}

/* What is at a path has its own time where somebody was waited for: steps and short waits. */
static void
former_work(void **state)
{
    (void)state;
    static const struct line lines[] = {
        {REC_RUN_STARTED, "", "{\"at\":1000}"},
        {REC_STEP_DONE, "a/x", "{\"began\":1000,\"at\":1400}"},
        {REC_STEP_DONE, "a/y", "{\"began\":1300,\"at\":1500}"}, /* 100 of it at the same time */
        {REC_WAIT_OPEN, "a/ask/question", "{\"at\":1500}"},
        {REC_WAIT_DONE, "a/nap/wait", "{\"began\":1600,\"at\":1650}"},
        {REC_WAIT_DONE, "a/long/wait", "{\"at\":1650}"},
        {REC_STEP_FAILED, "a/z", "{\"began\":2000,\"at\":2900,\"rested_ms\":800}"},
        {REC_STEP_DONE, "b/x", "{\"began\":1000,\"at\":9000}"},
        {REC_STEP_DONE, "a.b/x", "{\"began\":1000,\"at\":9000}"},
        {REC_RUN_RESUMED, "", "{\"at\":900000}"},
        {REC_STEP_DONE, "a/w", "{\"began\":900000,\"at\":900007}"},
    };
    static const struct {
        const char *path;
        int64_t since, ms;
    } row[] = {{"a", 0, 657}, {"a", 1450, 207}, {"a", 900000, 7}, {"b", 0, 8007},
               {"", 0, 8007}, {"a/ask", 0, 0},  {"c", 0, 8007}};
    struct view *v = view_new("R1");
    feed(v, view_recall, lines, COUNT(lines));
    for (size_t i = 0; i < COUNT(row); i++)
        assert_int_equal(view_worked_ms(v, row[i].path, row[i].since), row[i].ms);
    view_free(v);
}

/* Only what was asked for comes out of a node's end; nothing comes of one that has none. */
static void
node_members(void **state)
{
    (void)state;
    struct view *v = view_new("R1");
    feed(v, view_feed, story, COUNT(story));
    static const char *const paths[] = {"a", "b", "x"};
    for (size_t i = 0; i < COUNT(paths); i++) {
        AUTO(json_freep) json_t *output = NULL;
        AUTO(json_freep) json_t *error = NULL;
        const struct json_want want[] = {{"output", &output}, {"error", &error}};
        assert_ok(view_node_pick(v, paths[i], want, COUNT(want)));
        assert_int_equal(json_array_size(output), i == 0 ? 2 : 0);
        assert_null(error);
    }
    view_free(v);
}

/* Who asks for the sum of 10,000 steps gets no list of them. */
static void
document_small(void **state)
{
    (void)state;
    struct view *v = view_new("R1");
    feed(v, view_feed, story, COUNT(story));
    AUTO(json_freep) json_t *d = NULL;
    assert_ok(view_document(v, 1500, false, &d));
    assert_null(json_object_get(d, "nodes"));
    assert_int_equal(json_int(json_object_get(d, "usage"), "input_tokens", 0), 5);
    assert_string_equal(json_str(d, "waiting", ""), "somebody has to look");
    view_free(v);
}

/* The run ended while something of a node was open: what may have happened is named. */
static void
document_cut_off(void **state)
{
    (void)state;
    static const struct line lines[] = {
        {REC_RUN_STARTED, "", "{\"at\":1000}"},
        {REC_NODE_STARTED, "pay", "{\"status\":\"running\"}"},
        {REC_STEP_INTENT, "pay/call", "{\"target\":\"till\"}"},
        {REC_NODE_STARTED, "payer", "{\"status\":\"running\"}"},
        {REC_STEP_INTENT, "payer/call", "{\"target\":\"purse\"}"},
        {REC_STEP_DONE, "payer/call", "{\"value\":1}"},
        {REC_RUN_ENDED, "", "{\"status\":\"cancelled\",\"at\":2000}"},
    };
    struct view *v = view_new("R1");
    feed(v, view_feed, lines, COUNT(lines));
    AUTO(json_freep) json_t *d = document(v, 0);
    const json_t *pay = json_at(d, "nodes", "pay", NULL),
                 *payer = json_at(d, "nodes", "payer", NULL);
    assert_string_equal(json_str(pay, "status", ""), "cancelled");
    assert_string_equal(json_str(pay, "error", ""),
                        "the run ended while 'till' was in doubt: it may have been carried out");
    assert_string_equal(json_str(payer, "error", ""), "the run ended first");
    view_free(v);
}

/* Each kind of record, damaged in each way, is refused by name, when it is fed or when it is read.
 */
static void
damaged_records(void **state)
{
    (void)state;
    static const enum record_kind kinds[] = {REC_RUN_STARTED,  REC_RUN_WAITING, REC_RUN_ENDED,
                                             REC_NODE_STARTED, REC_NODE_ENDED,  REC_STEP_INTENT,
                                             REC_STEP_DONE,    REC_STEP_FAILED};
    static const struct {
        const char *body, *error;
    } row[] = {
        {"", "a journal record of an unknown format (written by a newer version?)"},
        {"2{}", "a journal record of an unknown format (written by a newer version?)"},
        {"1{\"usage\":", "a journal record: not JSON: "},
        {"1[1]", NULL},
    };
    for (size_t k = 0; k < COUNT(kinds); k++) {
        for (size_t i = 0; i < COUNT(row); i++) {
            struct view *v = view_new("R1");
            struct record rec = {kinds[k], "a", row[i].body, strlen(row[i].body)};
            struct err *e = view_recall(v, &rec);
            json_t *doc = NULL;
            if (!e)
                e = view_document(v, 0, true, &doc);
            assert_null(doc);
            assert_non_null(e);
            assert_int_equal(err_kind(e), ERR_INVALID);
            AUTO(freep) char *text = err_text(e);
            if (row[i].error && !str_starts(text, row[i].error))
                fail_msg("kind %d: %s", (int)kinds[k], text);
            err_free(e);
            view_free(v);
        }
    }
}

/* What was worked on calls that were left open is gone from a workflow's time; waiting is not. */
static void
left_open(void **state)
{
    (void)state;
    static const struct line lines[] = {
        {REC_RUN_STARTED, "", "{\"at\":1000}"},
        {REC_STEP_DONE, "a/x", "{\"began\":1000,\"at\":1400}"},
        {REC_RUN_WAITING, "", "{\"reason\":\"in doubt\",\"at\":1900,\"left_open\":true}"},
        {REC_RUN_RESUMED, "", "{\"at\":5000}"},
        {REC_RUN_WAITING, "", "{\"reason\":\"a person\",\"at\":5500}"},
        {REC_RUN_RESUMED, "", "{\"at\":9000}"},
    };
    static const struct {
        int64_t timeout, since, left;
    } row[] = {{0, 0, 0}, {2000, 0, 1500}, {2000, 1800, 1900}, {2000, 5000, 2000}, {500, 0, 1}};
    struct view *v = view_new("R1");
    feed(v, view_recall, lines, COUNT(lines));
    for (size_t i = 0; i < COUNT(row); i++)
        assert_int_equal(view_workflow_ms(v, row[i].timeout, row[i].since), row[i].left);
    view_free(v);
}

/* What steps of former lives took, and may have taken: the last word of each counts. */
static void
costs(void **state)
{
    (void)state;
    static const struct line lines[] = {
        {REC_RUN_STARTED, "", "{\"at\":1}"},
        {REC_STEP_RESERVED, "a", "{\"held\":{\"usd\":0.5,\"tokens\":50}}"},
        {REC_STEP_DONE, "a", "{\"usage\":{\"input_tokens\":7,\"cost_usd\":0.25}}"},
        {REC_STEP_RESERVED, "b", "{\"held\":{\"usd\":0.5,\"tokens\":50}}"},
        {REC_STEP_RESERVED, "b", "{\"held\":{\"usd\":0.75,\"tokens\":-1}}"},
        {REC_STEP_FAILED, "c", "{\"error\":{},\"held\":{\"usd\":0.125,\"tokens\":3}}"},
        {REC_STEP_RESERVED, "c", "{\"held\":{\"usd\":9}}"}, /* it has an end */
        {REC_STEP_INTENT, "d", "{\"target\":\"x\"}"}};
    struct view *v = view_new("R1");
    struct view_cost cost;
    struct amount held;
    AUTO(str_fini) struct str all = STR_INIT;
    bool more = true;
    feed(v, view_recall, lines, COUNT(lines));
    for (size_t i = 0; more;) {
        assert_ok(view_step_cost(v, &i, &cost, &more));
        if (more)
            str_addf(&all, "%s %lld %g+%g %lld\n", cost.path, (long long)cost.usage.input_tokens,
                     cost.usage.cost_usd, usd_of(cost.held.nusd), (long long)cost.held.tokens);
    }
    assert_string_equal(all.p, "a 7 0.25+0 0\nb 0 0+0.75 0\nc 0 0+0.125 3\n");
    assert_ok(view_step_held(v, "b", &held));
    assert_int_equal(held.nusd, 750000000);
    assert_ok(view_step_held(v, "a", &held));
    assert_true(amount_is_zero(held));
    AUTO(json_freep) json_t *body = NULL;
    bool failed;
    assert_ok(view_step(v, "b", &body, &failed)); /* it has no end: it is done again */
    assert_null(body);
    view_free(v);
}

TESTS(journal_test, cmocka_unit_test(codec), cmocka_unit_test(deep), cmocka_unit_test(damaged),
      cmocka_unit_test(event_names), cmocka_unit_test(event_names_by_body),
      cmocka_unit_test(document_waiting), cmocka_unit_test(document_ends),
      cmocka_unit_test(document_small), cmocka_unit_test(document_numbers),
      cmocka_unit_test(document_cut_off), cmocka_unit_test(recall), cmocka_unit_test(node_members),
      cmocka_unit_test(former_lives), cmocka_unit_test(former_work), cmocka_unit_test(left_open),
      cmocka_unit_test(damaged_records), cmocka_unit_test(costs))
