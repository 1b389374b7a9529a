/* tell_test.c - what a run is told: answers that fit and those that do not, tokens, signals. */
#include "engine/enginetest.h"
#include "engine/pause.h"
#include "engine/tell.h"
#include "rt/fiber.h"

#define ASKING                                                                                     \
    "{\"workflows\":{\"main\":{\"nodes\":[{\"id\":\"a\",\"type\":\"human\",\"prompt\":\"A?\","     \
    "\"choices\":[\"red\",\"blue\",\"yes\"]},{\"id\":\"b\",\"type\":\"human\",\"prompt\":\"B?\","  \
    "\"schema\":{\"type\":\"integer\"}},{\"id\":\"c\",\"type\":\"wait\",\"signal\":\"go\"}]}}}"

static void
ended(struct scene *s, struct run *OWN r)
{
    err_drop(run_wait(r, DEADLINE_NONE));
    str_addf(&s->out, "end: %s\n", run_status_name(run_state(r)));
    run_unref(r);
}

static void
asking(struct scene *s)
{
    AUTO(json_freep) json_t *doc = NULL;
    struct flow *f = NULL;
    struct run *r = NULL;
    bool existing;
    struct err *e = json_parse(ASKING, strlen(ASKING), &doc);
    if (!e)
        e = engine_flow(s->e, &(struct flow_source){.doc = doc, .workflow = "main"}, &f);
    if (!e)
        e = engine_start(s->e, &(struct run_request){.flow = f, .run_id = "asks"}, &r, &existing);
    flow_unref(f);
    if (e)
        note(s, "start", e);
    else
        ended(s, r);
}

/* value: JSON. */
static void
answer(struct scene *s, struct answer a, const char *value)
{
    AUTO(json_freep) json_t *question = NULL;
    AUTO(json_freep) json_t *said = NULL;
    if (value)
        err_drop(json_parse(value, strlen(value), &said));
    a.value = said;
    if (!a.run && !a.token)
        a.run = "asks";
    note(s, value ? value : "(nothing)", engine_answer(s->e, &a, &question));
}

static void
resume(struct scene *s)
{
    struct run *r = NULL;
    struct store_run row = {0};
    struct err *e = engine_find_run(s->e, "asks", &row);
    if (!e)
        e = engine_resume(s->e, row.id, NULL, &r);
    store_run_fini(&row);
    if (e)
        note(s, "resume", e);
    else
        ended(s, r);
}

static void
fits_or_not(struct scene *s)
{
    asking(s);
    answer(s, (struct answer){0}, "\"red\"");
    answer(s, (struct answer){.path = "d"}, "\"red\"");
    answer(s, (struct answer){.path = "a"}, "\"green\"");
    answer(s, (struct answer){.path = "a"}, NULL);
    answer(s, (struct answer){.path = "b"}, "\"one\"");
    answer(s, (struct answer){.path = "a", .by = "\xff"}, "\"red\"");
    answer(s, (struct answer){.run = "nobody"}, "\"red\"");
    answer(s, (struct answer){.path = "a", .by = "ann"}, "true");
    answer(s, (struct answer){.path = "a"}, "\"blue\"");
    answer(s, (struct answer){.path = "b/question"}, "7");
    resume(s);
    answer(s, (struct answer){0}, "1");
}

static void
what_fits(void **state)
{
    (void)state;
    scene(fits_or_not,
          "end: waiting\n"
          "\"red\": several questions are open: say which of 'a/question', 'b/question'\n"
          "\"red\": nothing is asked at 'd'; open: 'a/question', 'b/question'\n"
          "\"green\": 'a/question': 'green' is none of 'red', 'blue', 'yes'\n"
          "(nothing): 'a/question': there is no answer in it\n"
          "\"one\": 'b/question': the answer: the value: expected an integer, found \"one\"\n"
          "\"red\": 'a/question': the name of who answers is not valid UTF-8\n"
          "\"red\": there is no run 'nobody'\n"
          "true: ok\n"
          "\"blue\": 'a/question': it was answered already\n"
          "7: ok\n"
          "end: waiting\n"
          "1: the run 'asks' asks nobody anything\n");
}

static void
with_tokens(struct scene *s)
{
    AUTO(json_freep) json_t *list = NULL;
    char whole[ENGINE_TOKEN_LEN];
    asking(s);
    note(s, "questions", engine_questions(s->e, "asks", &list));
    const char *token = json_str(json_array_get(list, 0), "token", "");
    snprintf(whole, sizeof whole, "%s", token);
    whole[strlen(whole) - 1] ^= 1;
    answer(s, (struct answer){.token = whole}, "\"red\"");
    whole[strlen(whole) - 1] = '\0';
    answer(s, (struct answer){.token = whole}, "\"red\"");
    answer(s, (struct answer){.token = token}, "\"red\"");
    answer(s, (struct answer){.token = token}, "\"blue\"");
    resume(s);
    answer(s, (struct answer){.token = token}, "\"blue\"");
    json_freep(&list);
    note(s, "questions", engine_questions(s->e, "nobody", &list));
}

static void
tokens(void **state)
{
    (void)state;
    scene(with_tokens,
          "end: waiting\n"
          "questions: ok\n"
          "\"red\": the token fits no open question: it was answered, or the token is not whole\n"
          "\"red\": the token fits no open question: it was answered, or the token is not whole\n"
          "\"red\": ok\n"
          "\"blue\": 'a/question': it was answered already\n"
          "end: waiting\n"
          "\"blue\": the token fits no open question: it was answered, or the token is not whole\n"
          "questions: there is no run 'nobody'\n");
}

/* Somebody wrote to the store without asking whether it fits. */
static void
past_the_check(struct scene *s)
{
    struct store_run row = {0};
    bool is_new;
    asking(s);
    err_drop(engine_find_run(s->e, "asks", &row));
    note(s, "odd",
         store_signal(s->store, row.id, "answer:a/question", "1", "{\"value\":5}", 11, &is_new));
    note(s, "text", store_signal(s->store, row.id, "signal:go", "1", "not JSON", 8, &is_new));
    resume(s);
    answer(s, (struct answer){.path = "a"}, "\"blue\"");
    answer(s, (struct answer){.path = "b"}, "1");
    resume(s);
    AUTO(json_freep) json_t *doc = NULL;
    note(s, "document", engine_document(s->e, row.id, &doc));
    AUTO(freep) char *text = json_text(json_object_get(doc, "output"));
    str_addf(&s->out, "%s\n", text);
    store_run_fini(&row);
}

static void
refused_later(void **state)
{
    (void)state;
    scene(past_the_check, "end: waiting\n"
                          "odd: ok\n"
                          "text: ok\n"
                          "end: waiting\n"
                          "\"blue\": ok\n"
                          "1: ok\n"
                          "end: completed\n"
                          "document: ok\n"
                          "{\"a\":\"blue\",\"b\":1,\"c\":\"not JSON\"}\n");
}

static void
tell(struct scene *s, const char *run, const char *dedupe, json_t *OWN value)
{
    bool is_new = false;
    struct err *e = engine_signal(
        s->e, &(struct signal){.run = run, .name = "go", .dedupe = dedupe, .value = value},
        &is_new);
    note(s, e ? "signal" : is_new ? "new" : "known", e);
    json_decref(value);
}

static void
signals_play(struct scene *s)
{
    AUTO(freep) char *large = xcalloc(1, (2 << 20) + 1);
    memset(large, 'x', 2 << 20);
    asking(s);
    tell(s, "nobody", NULL, NULL);
    tell(s, "asks", "1", json_integer(1));
    tell(s, "asks", "1", json_integer(2));
    tell(s, "asks", NULL, NULL);
    tell(s, "asks", NULL, json_string(large));
    answer(s, (struct answer){.path = "a"}, "\"red\"");
    answer(s, (struct answer){.path = "b"}, "1");
    resume(s);
    tell(s, "asks", NULL, NULL);
}

static void
signals(void **state)
{
    (void)state;
    scene(signals_play, "end: waiting\n"
                        "signal: there is no run 'nobody'\n"
                        "new: ok\n"
                        "known: ok\n"
                        "new: ok\n"
                        "signal: it is larger than 1024 KB\n"
                        "\"red\": ok\n"
                        "1: ok\n"
                        "end: completed\n"
                        "signal: the run '' has ended: completed\n");
}

/* What people say for yes and no, where that is a choice. */
static void
words(void **state)
{
    (void)state;
    static const struct {
        const char *choices, *said, *want; /* want NULL: refused */
    } row[] = {
        {"[\"yes\",\"no\"]", "\"Y\"", "\"yes\""},
        {"[\"yes\",\"no\"]", "\"ok\"", "\"yes\""},
        {"[\"yes\",\"no\"]", "\"denied\"", "\"no\""},
        {"[\"yes\",\"no\"]", "false", "\"no\""},
        {"[\"yes\",\"no\"]", "\"maybe\"", NULL},
        {"[\"y\",\"n\"]", "\"Y\"", "\"y\""},
        {"[1,2]", "\"2\"", "2"},
        {"[1,2]", "3", NULL},
        {"[\"ok\",\"retry\"]", "\"OK\"", "\"ok\""},
        {"[\"a\"]", "null", NULL},
        {"[]", "{\"any\":1}", "{\"any\":1}"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(json_freep) json_t *question = json_object();
        AUTO(json_freep) json_t *said = NULL;
        AUTO(json_freep) json_t *value = NULL;
        json_t *choices = NULL;
        assert_ok(json_parse(row[i].choices, strlen(row[i].choices), &choices));
        json_object_set_new(question, "choices", choices);
        assert_ok(json_parse(row[i].said, strlen(row[i].said), &said));
        struct err *e = answer_check(question, said, &value);
        assert_int_equal(e == NULL, row[i].want != NULL);
        err_free(e);
        AUTO(freep) char *text = value ? json_text(value) : NULL;
        if (row[i].want)
            assert_string_equal(text, row[i].want);
    }
}

#define LATE                                                                                       \
    "{\"workflows\":{\"main\":{\"nodes\":[{\"id\":\"a\",\"type\":\"human\",\"prompt\":\"A?\","     \
    "\"timeout\":3600000,\"default\":\"none\"},{\"id\":\"c\",\"type\":\"wait\",\"signal\":\"go\"," \
    "\"timeout\":3600000,\"default\":\"none\"},{\"id\":\"d\",\"type\":\"wait\",\"signal\":\"go\"," \
    "\"depends_on\":[\"c\"]}]}}}"

/* Nobody has the run when the time of its questions is over: what comes then is too late for them,
 * and a signal is kept for the next who waits for it. */
static void
too_late(struct scene *s)
{
    bool is_new;
    struct run *r = begin(s, "main", "");
    AUTO(freep) char *id = xstrdup(run_id(r));
    ended(s, r);
    err_drop(fiber_sleep(3600000));
    err_drop(fiber_sleep(1));
    answer(s, (struct answer){.run = id, .path = "a"}, "\"late\"");
    note(s, "signal", engine_signal(s->e, &(struct signal){.run = id, .name = "go"}, &is_new));
    struct err *e = engine_resume(s->e, id, NULL, &r);
    if (e)
        note(s, "resume", e);
    else
        ended(s, r);
    show(s, id);
}

static void
late(void **state)
{
    (void)state;
    scene_in_folder(LATE, too_late,
                    "end: waiting\n"
                    "\"late\": 'a/question': its time was over at 2026-01-01T01:00:00.000Z\n"
                    "signal: ok\n"
                    "end: completed\n"
                    "completed [a]:\nnone\n\n[d]:\n ! -\n"
                    "  c completed none ! -\n"
                    "  a completed none ! -\n"
                    "  d completed  ! -\n");
}

TESTS(tell_test, cmocka_unit_test(late), cmocka_unit_test(what_fits), cmocka_unit_test(tokens),
      cmocka_unit_test(refused_later), cmocka_unit_test(signals), cmocka_unit_test(words))
