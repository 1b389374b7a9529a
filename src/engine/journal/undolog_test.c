/* undolog_test.c - what can be undone, told from records; and records that are not what they should
 * be. */
#include "base/test.h"
#include "engine/journal/undolog.h"

static struct err *
feed(struct undolog *log, enum record_kind kind, const char *path, const char *json)
{
    AUTO(freep) char *body = xasprintf("%c%s", JOURNAL_FORMAT, json);
    return undolog_feed(log, &(struct record){kind, path, body, strlen(body)});
}

/* The paths of what is due, newest first. */
static void
list(const struct undolog *log, const char *below, size_t from, const char *want)
{
    AUTO(str_fini) struct str s = STR_INIT;
    const struct undo_entry *x;
    for (size_t i = undolog_len(log); (x = undolog_before(log, &i, from, below));) {
        if (undo_is_due(x))
            str_addf(&s, "%s %s %u;", x->path, undo_state_name(x->state), x->tries);
    }
    assert_string_equal(str_c(&s), want);
    assert_int_equal(undolog_is_due(log, below, from), s.len > 0);
}

static void
document(const struct undolog *log, const char *want)
{
    AUTO(json_freep) json_t *doc = undolog_document(log);
    AUTO(freep) char *text = doc ? json_text(doc) : xstrdup("nothing");
    assert_string_equal(text, want);
}

#define BEGUN "{\"state\":\"begun\",\"request\":{\"agent\":\"x\"}}"
#define READY "{\"state\":\"ready\",\"request\":{\"agent\":\"x\",\"action\":\"go\"}}"

static void
order(void **state)
{
    struct undolog *log = undolog_new();
    (void)state;
    assert_ok(feed(log, REC_UNDO, "a", BEGUN));
    assert_ok(feed(log, REC_UNDO, "b", BEGUN));
    assert_ok(feed(log, REC_UNDO, "b/c", BEGUN));
    assert_ok(feed(log, REC_UNDO, "bc", BEGUN));
    list(log, "", 0, ""); /* nothing has completed */
    assert_ok(feed(log, REC_UNDO, "b/c", READY));
    assert_ok(feed(log, REC_UNDO, "a", READY));
    assert_ok(feed(log, REC_UNDO, "bc", READY));
    list(log, "", 0, "bc ready 0;a ready 0;b/c ready 0;");
    list(log, "b", 0,
         "b/c ready 0;"); /* itself is not below itself, nor is what is only named so */
    list(log, "", 5, "bc ready 0;a ready 0;");
    list(log, "nobody", 0, "");
    document(log, "nothing"); /* is being undone */
    assert_ok(feed(log, REC_UNDOING, "", "{\"reason\":\"failed\"}"));
    assert_ok(feed(log, REC_UNDO, "bc", "{\"state\":\"trying\",\"try\":1}"));
    assert_ok(feed(log, REC_UNDO, "bc", "{\"state\":\"failed\",\"try\":1,\"error\":\"no\"}"));
    assert_string_equal(undolog_at(log, "bc")->error, "no");
    assert_ok(feed(log, REC_UNDO, "a", "{\"state\":\"done\",\"try\":1}"));
    list(log, "", 0, "bc failed 1;b/c ready 0;");
    document(log, "{\"reason\":\"failed\",\"undone\":1,\"by_hand\":0,\"not_done\":0,\"given_up\":0,"
                  "\"left\":2}");
    assert_ok(feed(log, REC_UNDO, "bc", "{\"state\":\"given_up\",\"try\":1}"));
    assert_ok(feed(log, REC_UNDO, "b/c", "{\"state\":\"by_hand\",\"try\":1}"));
    list(log, "", 0, "");
    document(log, "{\"reason\":\"failed\",\"undone\":1,\"by_hand\":1,\"not_done\":0,\"given_up\":1,"
                  "\"left\":0}");
    assert_ok(
        feed(log, REC_UNDOING, "", "{\"reason\":\"rollback\"}")); /* once more: the last counts */
    assert_string_equal(json_str(undolog_begun(log, ""), "reason", ""), "rollback");
    assert_null(undolog_begun(log, "b"));
    undolog_free(log);
}

/* A step whose end nobody knows makes the nearest node around it one to be looked at. */
static void
doubts(void **state)
{
    struct undolog *log = undolog_new();
    (void)state;
    undolog_doubt(log, "a/request", true); /* of nothing that can be undone */
    assert_ok(feed(log, REC_UNDO, "a", BEGUN));
    assert_ok(feed(log, REC_UNDO, "a/b", BEGUN));
    undolog_doubt(log, "a/b/tool[0]/call", true);
    list(log, "", 0, "a/b begun 0;");
    undolog_doubt(log, "a/c/call", true);
    list(log, "", 0, "a/b begun 0;a begun 0;");
    undolog_doubt(log, "a/b/undo[1]/call", true); /* an undo's own doubt is told elsewhere */
    undolog_doubt(log, "a/b/tool[0]/call", false);
    undolog_doubt(log, "a/b/tool[0]/call", false); /* never below none */
    list(log, "", 0, "a begun 0;");
    assert_ok(feed(log, REC_UNDO, "d",
                   "{\"state\":\"begun\",\"tolerates_not_done\":true,"
                   "\"request\":{}}"));
    list(log, "", 0, "d begun 0;a begun 0;"); /* no harm where nothing was done */
    undolog_free(log);
}

static void
none(void **state)
{
    size_t i = undolog_len(NULL);
    (void)state;
    assert_int_equal(i, 0);
    assert_null(undolog_before(NULL, &i, 0, ""));
    assert_null(undolog_at(NULL, "a"));
    assert_null(undolog_begun(NULL, ""));
    assert_false(undolog_is_due(NULL, "", 0));
    undolog_doubt(NULL, "a/b", true);
    document(NULL, "nothing");
    undolog_free(NULL);
}

static void
strange(void **state)
{
    struct undolog *log = undolog_new();
    AUTO(json_freep) json_t *request = NULL;
    (void)state;
    assert_err(feed(log, REC_UNDO, "a", "{\"state\":\"done\"}"), ERR_INVALID,
               "an undo of 'a' without its request");
    assert_ok(feed(log, REC_UNDO, "a", "{\"state\":\"of a later version\"}"));
    assert_ok(feed(log, REC_UNDO, "a", "{}"));
    assert_err(undolog_feed(log, &(struct record){REC_UNDO, "a", "9{}", 3}), ERR_INVALID,
               "a journal record of an unknown format (written by a newer version?)");
    assert_err(undolog_feed(log, &(struct record){REC_UNDOING, "a", "9{}", 3}), ERR_INVALID,
               "a journal record of an unknown format (written by a newer version?)");
    assert_ok(feed(log, REC_UNDO, "a", "{\"state\":\"ready\",\"request\":7}"));
    assert_err(undo_request(undolog_at(log, "a"), &request), ERR_INVALID,
               "the undo of 'a' has no request");
    assert_ok(feed(log, REC_UNDO, "b", READY));
    assert_ok(undo_request(undolog_at(log, "b"), &request));
    assert_string_equal(json_str(request, "action", ""), "go");
    undolog_free(log);
}

static void
parts(void **state)
{
    static const struct {
        const char *path, *part;
    } row[] = {{"", NULL},
               {"a/b", NULL},
               {"undo[1]/x", NULL}, /* of nothing */
               {"a/undone[1]", NULL},
               {"a/undo/x", NULL}, /* a node may be called so */
               {"a/undo[1]", "undo[1]"},
               {"a/undo[12]/b/request", "undo[12]/b/request"},
               {"a/undo[1]/b/undo[2]/c", "undo[2]/c"}};
    (void)state;
    for (size_t i = 0; i < COUNT(row); i++) {
        const char *part = undo_part(row[i].path);
        assert_true(part ? row[i].part && strcmp(part, row[i].part) == 0 : !row[i].part);
    }
}

TESTS(undolog_test, cmocka_unit_test(order), cmocka_unit_test(doubts), cmocka_unit_test(none),
      cmocka_unit_test(strange), cmocka_unit_test(parts))
