/* undolog_test.c - what can be undone, told from records; and records that are not what they should
 * be. */
#include "base/test.h"
#include "engine/journal/undolog.h"
#include "engine/journal/viewstream.h"

/* A log and the streams beside it, as a view has them. */
struct both {
    struct viewstreams *streams;
    struct undolog *log;
    int64_t seq; /* of the record that was fed last */
};

static struct both
both_new(void)
{
    struct viewstreams *vs = viewstreams_new();
    return (struct both){.streams = vs, .log = undolog_new(vs)};
}

static void
both_free(struct both *b)
{
    viewstreams_free(b->streams);
    undolog_free(b->log);
}

static struct err *
feed(struct both *b, enum record_kind kind, const char *path, const char *json)
{
    AUTO(freep) char *body = xasprintf("%c%s", JOURNAL_FORMAT, json);
    const struct record rec = {kind, path, body, strlen(body), ++b->seq};
    return kind >= REC_STREAM_OPENED && kind <= REC_ITEM_FAILED
               ? viewstreams_feed(b->streams, &rec, false, NULL, NULL)
               : undolog_feed(b->log, &rec);
}

/* The record of what is due, newest first; those with an entry also by its path. */
static void
list(const struct undolog *log, const char *below, int64_t since, const char *want)
{
    AUTO(str_fini) struct str s = STR_INIT;
    static const char *const path[] = {"a", "b", "b/c", "bc", "a/b", "d", "e/f[0]/p", "e/f[2]/p"};
    for (int64_t seq = INT64_MAX; (seq = undolog_newest(log, below, since, seq));) {
        str_addf(&s, "%lld", (long long)seq);
        for (size_t i = 0; i < COUNT(path); i++) {
            const struct undo_entry *x = undolog_at(log, path[i]);
            if (x && x->seq == seq)
                str_addf(&s, " %s %s %u", path[i], undo_state_name(x->state), x->tries);
        }
        str_addc(&s, ';');
    }
    assert_string_equal(str_c(&s), want);
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
    struct both b = both_new();
    struct undolog *log = b.log;
    (void)state;
    assert_ok(feed(&b, REC_UNDO, "a", BEGUN));
    assert_ok(feed(&b, REC_UNDO, "b", BEGUN));
    assert_ok(feed(&b, REC_UNDO, "b/c", BEGUN));
    assert_ok(feed(&b, REC_UNDO, "bc", BEGUN));
    list(log, "", 0, ""); /* nothing has completed */
    assert_ok(feed(&b, REC_UNDO, "b/c", READY));
    assert_ok(feed(&b, REC_UNDO, "a", READY));
    assert_ok(feed(&b, REC_UNDO, "bc", READY));
    list(log, "", 0, "7 bc ready 0;6 a ready 0;5 b/c ready 0;");
    list(log, "b", 0, "5 b/c ready 0;"); /* itself is not below itself, nor what is named so */
    list(log, "", 5, "7 bc ready 0;6 a ready 0;");
    list(log, "nobody", 0, "");
    document(log, "nothing"); /* is being undone */
    assert_ok(feed(&b, REC_UNDOING, "", "{\"reason\":\"failed\"}"));
    assert_ok(feed(&b, REC_UNDO, "bc", "{\"state\":\"trying\",\"try\":1}"));
    assert_ok(feed(&b, REC_UNDO, "bc", "{\"state\":\"failed\",\"try\":1,\"error\":\"no\"}"));
    assert_string_equal(undolog_at(log, "bc")->error, "no");
    assert_ok(feed(&b, REC_UNDO, "a", "{\"state\":\"done\",\"try\":1}"));
    assert_null(undolog_at(log, "a"));
    list(log, "", 0, "7 bc failed 1;5 b/c ready 0;");
    document(log, "{\"reason\":\"failed\",\"undone\":1,\"by_hand\":0,\"not_done\":0,\"given_up\":0,"
                  "\"left\":2}");
    assert_ok(feed(&b, REC_UNDO, "bc", "{\"state\":\"given_up\",\"try\":1}"));
    assert_ok(feed(&b, REC_UNDO, "b/c", "{\"state\":\"by_hand\",\"try\":1}"));
    list(log, "", 0, "");
    document(log, "{\"reason\":\"failed\",\"undone\":1,\"by_hand\":1,\"not_done\":0,\"given_up\":1,"
                  "\"left\":0}");
    assert_int_equal(undolog_count(log, UNDO_GIVEN_UP), 1);
    assert_ok(
        feed(&b, REC_UNDOING, "", "{\"reason\":\"rollback\"}")); /* once more: the last counts */
    assert_string_equal(json_str(undolog_begun(log, ""), "reason", ""), "rollback");
    assert_null(undolog_begun(log, "b"));
    both_free(&b);
}

/* Places that nobody has any more are closed up; what stands keeps its order. */
static void
holes(void **state)
{
    struct both b = both_new();
    AUTO(freep) char *path = NULL;
    (void)state;
    assert_ok(feed(&b, REC_UNDO, "a", BEGUN));
    for (unsigned i = 0; i < 200; i++) {
        free(path);
        path = xasprintf("n%u", i);
        assert_ok(feed(&b, REC_UNDO, path, i % 50 ? BEGUN : READY));
    }
    assert_ok(feed(&b, REC_UNDO, "bc", BEGUN));
    for (unsigned i = 0; i < 200; i++) {
        free(path);
        path = xasprintf("n%u", i);
        if (i % 50)
            assert_ok(feed(&b, REC_UNDO, path, "{\"state\":\"done\"}"));
    }
    assert_ok(feed(&b, REC_UNDO, "a", READY));
    list(b.log, "", 0, "399 a ready 0;152;102;52;2;");
    both_free(&b);
}

/* A step whose end nobody knows makes the nearest node around it one to be looked at. */
static void
doubts(void **state)
{
    struct both b = both_new();
    struct undolog *log = b.log;
    (void)state;
    undolog_doubt(log, "a/request", true); /* of nothing that can be undone */
    assert_ok(feed(&b, REC_UNDO, "a", BEGUN));
    assert_ok(feed(&b, REC_UNDO, "a/b", BEGUN));
    undolog_doubt(log, "a/b/tool[0]/call", true);
    list(log, "", 0, "2 a/b begun 0;");
    undolog_doubt(log, "a/c/call", true);
    list(log, "", 0, "2 a/b begun 0;1 a begun 0;");
    undolog_doubt(log, "a/b/undo[1]/call", true); /* an undo's own doubt is told elsewhere */
    undolog_doubt(log, "a/b/tool[0]/call", false);
    undolog_doubt(log, "a/b/tool[0]/call", false); /* never below none */
    list(log, "", 0, "1 a begun 0;");
    assert_ok(feed(&b, REC_UNDO, "d",
                   "{\"state\":\"begun\",\"tolerates_not_done\":true,"
                   "\"request\":{}}"));
    list(log, "", 0, "3 d begun 0;1 a begun 0;"); /* no harm where nothing was done */
    both_free(&b);
}

static void
none(void **state)
{
    struct undo_entry *x;
    (void)state;
    assert_int_equal(undolog_newest(NULL, "", 0, INT64_MAX), 0);
    assert_int_equal(undolog_count(NULL, UNDO_DONE), 0);
    assert_null(undolog_at(NULL, "a"));
    assert_null(undolog_begun(NULL, ""));
    undolog_pack(NULL, "a", NULL);
    undolog_doubt(NULL, "a/b", true);
    document(NULL, "nothing");
    assert_err(undolog_open(NULL, &(struct record){REC_UNDO, "a", "1" READY, sizeof READY, 7}, &x),
               ERR_INVALID, "the record 7 has no undo that is to be carried out");
    undolog_free(NULL);
}

static struct err *
open(struct both *b, const char *path, const char *json, int64_t seq, struct undo_entry **ret)
{
    AUTO(freep) char *body = xasprintf("%c%s", JOURNAL_FORMAT, json);
    return undolog_open(b->log, &(struct record){REC_UNDO, path, body, strlen(body), seq}, ret);
}

#define TOLERANT "{\"state\":\"begun\",\"tolerates_not_done\":true,\"request\":{}}"

/* What was noted in an item that has ended is a number, until its turn comes. */
static void
packed(void **state)
{
    struct both b = both_new();
    struct undo_entry *x = NULL;
    (void)state;
    assert_ok(feed(&b, REC_STREAM_OPENED, "e", "{\"member\":\"f\"}"));
    struct viewstream *s = viewstreams_find(b.streams, "e");
    assert_ok(feed(&b, REC_UNDO, "e/f[0]/p", READY));    /* 2 */
    assert_ok(feed(&b, REC_UNDO, "e/f[1]/p", BEGUN));    /* 3: failed, so there is nothing */
    assert_ok(feed(&b, REC_UNDO, "e/f[2]/p", TOLERANT)); /* 4 */
    assert_ok(feed(&b, REC_UNDO, "e/f[3]/p", BEGUN));    /* 5: nobody knows */
    assert_ok(feed(&b, REC_UNDO, "e/f[4]/p", READY));    /* 6 */
    assert_ok(feed(&b, REC_UNDO, "a", READY));           /* 7 */
    assert_ok(feed(&b, REC_UNDOING, "e/f[4]", "{}"));
    assert_non_null(undolog_begun(b.log, "e/f[4]"));
    undolog_doubt(b.log, "e/f[3]/p/call", true);
    static const char *const all[] = {"e/f[0]/p", "e/f[1]/p", "e/f[2]/p", "e/f[3]/p",
                                      "e/f[4]/p", "e/f[4]",   "e/f[5]/p"};
    for (size_t i = 0; i < COUNT(all); i++) {
        undolog_pack(b.log, all[i], s);
        assert_null(undolog_at(b.log, all[i]));
    }
    assert_null(undolog_begun(b.log, "e/f[4]"));
    list(b.log, "", 0, "7 a ready 0;6;5;4;2;");
    list(b.log, "e", 0, "6;5;4;2;");
    list(b.log, "e", 4, "6;5;");
    list(b.log, "e/f[0]", 0, ""); /* what is over is undone with all of its stream */
    list(b.log, "a", 0, "");
    document(b.log, "{\"undone\":0,\"by_hand\":0,\"not_done\":0,\"given_up\":0,\"left\":0}");
    assert_ok(feed(&b, REC_UNDOING, "", "{}"));
    document(b.log, "{\"undone\":0,\"by_hand\":0,\"not_done\":0,\"given_up\":0,\"left\":5}");
    /* read back */
    assert_ok(open(&b, "e/f[4]/p", READY, 6, &x));
    assert_int_equal(x->state, UNDO_READY);
    assert_ptr_equal(undolog_at(b.log, "e/f[4]/p"), x);
    assert_ok(open(&b, "e/f[3]/p", BEGUN, 5, &x));
    assert_true(undo_is_due(x) && !x->tolerates && x->state == UNDO_BEGUN);
    assert_ok(open(&b, "e/f[2]/p", TOLERANT, 4, &x));
    assert_true(undo_is_due(x) && x->tolerates && !x->doubts);
    assert_int_equal(s->undos.count, 1);
    list(b.log, "e", 0, "6;5;4 e/f[2]/p begun 0;2;");
    /* or told by what became of it */
    assert_ok(feed(&b, REC_UNDO, "e/f[0]/p", "{\"state\":\"trying\",\"try\":1,\"of\":2}"));
    list(b.log, "e", 0, "6;5;4 e/f[2]/p begun 0;2 e/f[0]/p trying 1;");
    assert_int_equal(s->undos.count, 0);
    assert_ok(feed(&b, REC_UNDO, "e/f[0]/p", "{\"state\":\"done\",\"try\":1,\"of\":2}"));
    list(b.log, "e", 0, "6;5;4 e/f[2]/p begun 0;");
    document(b.log, "{\"undone\":1,\"by_hand\":0,\"not_done\":0,\"given_up\":0,\"left\":4}");
    /* what is not there */
    assert_err(feed(&b, REC_UNDO, "e/f[0]/p", "{\"state\":\"done\",\"of\":2}"), ERR_INVALID,
               "an undo of 'e/f[0]/p' without its request");
    assert_err(open(&b, "e/f[0]/p", READY, 2, &x), ERR_INVALID,
               "the record 2 has no undo that is to be carried out");
    assert_err(open(&b, "e/f[4]/p", READY, 7, &x), ERR_INVALID,
               "the record 7 has no undo that is to be carried out");
    both_free(&b);
}

static void
strange(void **state)
{
    struct both b = both_new();
    AUTO(json_freep) json_t *request = NULL;
    (void)state;
    assert_err(feed(&b, REC_UNDO, "a", "{\"state\":\"done\"}"), ERR_INVALID,
               "an undo of 'a' without its request");
    assert_ok(feed(&b, REC_UNDO, "a", "{\"state\":\"of a later version\"}"));
    assert_ok(feed(&b, REC_UNDO, "a", "{}"));
    assert_err(undolog_feed(b.log, &(struct record){REC_UNDO, "a", "9{}", 3, 1}), ERR_INVALID,
               "a journal record of an unknown format (written by a newer version?)");
    assert_err(undolog_feed(b.log, &(struct record){REC_UNDOING, "a", "9{}", 3, 1}), ERR_INVALID,
               "a journal record of an unknown format (written by a newer version?)");
    const char *odd = "1{\"state\":\"ready\",\"request\":7}";
    assert_err(undo_request(&(struct record){REC_UNDO, "a", odd, strlen(odd), 1}, &request),
               ERR_INVALID, "the undo of 'a' has no request");
    const char *good = "1" READY;
    assert_ok(undo_request(&(struct record){REC_UNDO, "b", good, strlen(good), 1}, &request));
    assert_string_equal(json_str(request, "action", ""), "go");
    both_free(&b);
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

TESTS(undolog_test, cmocka_unit_test(order), cmocka_unit_test(holes), cmocka_unit_test(packed),
      cmocka_unit_test(doubts), cmocka_unit_test(none), cmocka_unit_test(strange),
      cmocka_unit_test(parts))
