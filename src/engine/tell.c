/* tell.c - what people and others tell a run: answers to its questions, and signals.
 *
 * Both are stored first and found by the run, wherever it is; an answer is checked before that, so
 * that whoever gives it hears what is wrong with it. */
#include "engine/tell.h"
#include "base/hash.h"
#include "base/units.h"
#include "engine/runcore.h"
#include "schema/schema.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SIGNAL_BYTES_MAX ((size_t)1 << 20)

char *
answer_signal(const char *path)
{
    return xasprintf("answer:%s", path);
}

char *
named_signal(const char *name)
{
    return xasprintf("signal:%s", name);
}

/* ---- does it fit? ---------------------------------------------------------- */

/* What people say for yes and no. */
static const char *
meant(const char *said)
{
    static const char *const yes[] = {"yes", "y", "true", "ok", "approve", "approved"};
    static const char *const no[] = {"no", "n", "false", "deny", "denied", "reject", "rejected"};
    for (size_t i = 0; i < COUNT(yes); i++) {
        if (strcasecmp(yes[i], said) == 0)
            return "yes";
    }
    for (size_t i = 0; i < COUNT(no); i++) {
        if (strcasecmp(no[i], said) == 0)
            return "no";
    }
    return said;
}

static const json_t *
choice_find(const json_t *choices, const char *said)
{
    const json_t *one;
    size_t i;
    json_array_foreach (choices, i, one) {
        AUTO(freep) char *text = json_as_text(one);
        if (strcasecmp(text, said) == 0)
            return one;
    }
    return NULL;
}

static struct err *
choice_check(const json_t *choices, const json_t *value, json_t **ret_value)
{
    AUTO(freep)
    char *said =
        json_is_boolean(value) ? xstrdup(json_is_true(value) ? "yes" : "no") : json_as_text(value);
    const json_t *found = choice_find(choices, said);
    if (!found)
        found = choice_find(choices, meant(said));
    if (found) {
        *ret_value = json_incref((json_t *)(uintptr_t)found);
        return NULL;
    }
    AUTO(str_fini) struct str all = STR_INIT;
    const json_t *one;
    size_t i;
    json_array_foreach (choices, i, one) {
        AUTO(freep) char *text = json_as_text(one);
        str_addf(&all, "%s'%s'", i ? ", " : "", text);
    }
    return FAIL(ERR_INVALID, "'%.100s' is none of %s", said, str_c(&all));
}

struct fitting {
    const json_t *schema, *value;
    struct err *e;
};

static void
fit_deep(void *arg)
{
    struct fitting *f = arg;
    AUTO(schema_freep) struct schema *schema = NULL;
    f->e = schema_compile(f->schema, &schema);
    if (!f->e)
        f->e = schema_enforce(schema, f->value);
}

struct err *
answer_check(const json_t *question, const json_t *value, json_t **ret_value)
{
    const json_t *choices = json_object_get(question, "choices");
    struct fitting f = {.schema = json_object_get(question, "schema"), .value = value};
    if (!value)
        return FAIL(ERR_INVALID, "there is no answer in it");
    if (json_array_size(choices))
        return choice_check(choices, value, ret_value);
    if (f.schema) {
        rt_deep(fit_deep, &f);
        TRY(f.e, "the answer");
    }
    *ret_value = json_incref((json_t *)(uintptr_t)value);
    return NULL;
}

struct err *
answer_in_time(const json_t *wait)
{
    const int64_t until = json_int(wait, "until", INT64_MAX);
    char iso[32];
    if (rt_wall_ms() <= until)
        return NULL;
    time_iso(until, iso);
    return FAIL(ERR_INVALID, "its time was over at %s", iso);
}

/* ---- who is asked what ----------------------------------------------------- */

void
engine_token(const struct engine *e, const char *run, const char *path,
             char ret_token[ENGINE_TOKEN_LEN])
{
    char mac[SHA256_HEX];
    AUTO(freep) char *text = xasprintf("answer|%s|%s", run, path);
    hmac_sha256_hex(e->opts.install_key, 32, text, strlen(text), mac);
    snprintf(ret_token, ENGINE_TOKEN_LEN, "%s.%.32s", run, mac);
}

/* Compared in a time that does not tell how much of it is right. */
static bool
same_token(const char *a, const char *b)
{
    size_t n = strlen(a);
    unsigned char differs = strlen(b) != n;
    for (size_t i = 0; !differs && i < n; i++)
        differs |= (unsigned char)(a[i] ^ b[i]);
    return !differs;
}

/* The waits of a live run that a person can end. */
static struct err *
questions_of(struct engine *e, const struct store_run *row, json_t **ret_list)
{
    AUTO(json_freep) json_t *all = json_array();
    json_t *one, *list = json_array();
    size_t i;
    struct view *view = view_new(row->id);
    struct err *err = store_read(e->opts.store, row->id, 1, run_read, view);
    if (!err && row->status < RUN_ENDED)
        err = view_waits(view, all);
    view_free(view);
    json_array_foreach (all, i, one) {
        char token[ENGINE_TOKEN_LEN];
        const char *path = json_str(one, "path", "");
        if (strcmp(json_str(one, "type", ""), PAUSE_HUMAN) != 0)
            continue;
        engine_token(e, row->id, path, token);
        json_object_set_new(one, "run", json_string(row->id));
        json_object_set_new(one, "workflow", json_string(row->name));
        json_object_set_new(one, "token", json_string(token));
        json_array_append(list, one);
    }
    if (err)
        json_decref(list);
    else
        *ret_list = list;
    return err;
}

struct err *
engine_questions(struct engine *e, const char *run, json_t **ret_list)
{
    struct store_run row = {0};
    PASS(engine_find_run(e, run, &row));
    struct err *err = questions_of(e, &row, ret_list);
    store_run_fini(&row);
    return err;
}

static const json_t *
question_at(const json_t *list, const char *path)
{
    const json_t *one;
    size_t i;
    json_array_foreach (list, i, one) {
        if (strcmp(json_str(one, "path", ""), path) == 0)
            return one;
        size_t n = strlen(path); /* the node itself will do */
        if (strncmp(json_str(one, "path", ""), path, n) == 0 &&
            json_str(one, "path", "")[n] == '/' && !strchr(json_str(one, "path", "") + n + 1, '/'))
            return one;
    }
    return NULL;
}

static const json_t *
question_of_token(const json_t *list, const char *token)
{
    const json_t *one;
    size_t i;
    json_array_foreach (list, i, one) {
        if (same_token(json_str(one, "token", ""), token))
            return one;
    }
    return NULL;
}

static struct err *
question_choose(const json_t *list, const struct answer *a, const json_t **ret)
{
    AUTO(str_fini) struct str all = STR_INIT;
    const json_t *one;
    size_t i;
    if (a->token) {
        *ret = question_of_token(list, a->token);
        return *ret ? NULL
                    : FAIL(ERR_DENIED, "the token fits no open question: it was answered, or the "
                                       "token is not whole");
    }
    if (!json_array_size(list))
        return FAIL(ERR_INVALID, "the run '%s' asks nobody anything", a->run);
    *ret = a->path ? question_at(list, a->path)
                   : (json_array_size(list) == 1 ? json_array_get(list, 0) : NULL);
    if (*ret)
        return NULL;
    json_array_foreach (list, i, one)
        str_addf(&all, "%s'%s'", i ? ", " : "", json_str(one, "path", ""));
    if (a->path)
        return FAIL(ERR_INVALID, "nothing is asked at '%s'; open: %s", a->path, str_c(&all));
    return FAIL(ERR_INVALID, "several questions are open: say which of %s", str_c(&all));
}

/* ---- telling it ------------------------------------------------------------ */

/* The number of the next answer to a question; ERR_INVALID: there is one that nobody has looked at
 * yet. Refused ones are used up. */
static struct err *
answer_number(struct engine *e, const char *run, const char *name, unsigned *ret_number)
{
    struct store_signal *signals = NULL;
    size_t n = 0;
    bool open = false;
    *ret_number = 1;
    PASS(store_signals(e->opts.store, run, &signals, &n));
    for (size_t i = 0; i < n; i++) {
        if (strcmp(signals[i].name, name) != 0)
            continue;
        open |= !signals[i].consumed_seq;
        ++*ret_number;
    }
    store_signals_free(signals, n);
    return open ? FAIL(ERR_INVALID, "it was answered already") : NULL;
}

struct stored { /* a signal as the store has it */
    const char *run, *name, *dedupe;
    const json_t *body;
};

static struct err *
signal_put(struct engine *e, const struct stored *s, bool *ret_new)
{
    AUTO(freep) char *text = json_text(s->body);
    if (strlen(text) > SIGNAL_BYTES_MAX)
        return FAIL(ERR_INVALID, "it is larger than %zu KB", SIGNAL_BYTES_MAX >> 10);
    return store_signal(e->opts.store, s->run, s->name, s->dedupe, text, strlen(text), ret_new);
}

static struct err *
answer_store(struct engine *e, const char *run, const json_t *question, const struct answer *a)
{
    AUTO(json_freep) json_t *value = NULL;
    AUTO(freep) char *name = answer_signal(json_str(question, "path", ""));
    unsigned number;
    bool is_new = false;
    PASS(answer_in_time(question));
    PASS(answer_check(question, a->value, &value));
    PASS(answer_number(e, run, name, &number));
    AUTO(freep) char *dedupe = xasprintf("%u", number);
    AUTO(json_freep)
    json_t *body =
        json_pack("{sO ss sI}", "value", value, "by", a->by ? a->by : "person", "at", rt_wall_ms());
    if (!body)
        return FAIL(ERR_INVALID, "the name of who answers is not valid UTF-8");
    PASS(signal_put(e, &(struct stored){run, name, dedupe, body}, &is_new));
    return is_new ? NULL : FAIL(ERR_INVALID, "it was answered already");
}

struct err *
engine_answer(struct engine *e, const struct answer *a, json_t **ret_question)
{
    AUTO(json_freep) json_t *list = NULL;
    AUTO(freep)
    char *of_token = a->token ? xstrndup(a->token, strcspn(a->token, ".")) : NULL;
    const json_t *question = NULL;
    PASS(engine_questions(e, of_token ? of_token : a->run, &list));
    PASS(question_choose(list, a, &question));
    TRY(answer_store(e, json_str(question, "run", ""), question, a), "'%s'",
        json_str(question, "path", ""));
    *ret_question = json_incref((json_t *)(uintptr_t)question);
    return NULL;
}

struct err *
engine_signal(struct engine *e, const struct signal *s, bool *ret_new)
{
    struct store_run row = {0};
    char chance[17];
    PASS(engine_find_run(e, s->run, &row));
    snprintf(chance, sizeof chance, "%016llx", (unsigned long long)rt_random_below(UINT64_MAX));
    AUTO(freep) char *name = named_signal(s->name);
    AUTO(json_freep)
    json_t *body = json_pack("{sO? ss sI}", "value", s->value, "by", s->by ? s->by : "signal", "at",
                             rt_wall_ms());
    struct err *err =
        row.status >= RUN_ENDED
            ? FAIL(ERR_INVALID, "the run '%s' has ended: %s", row.id,
                   run_status_name((enum run_status)row.status))
            : signal_put(e, &(struct stored){row.id, name, s->dedupe ? s->dedupe : chance, body},
                         ret_new);
    store_run_fini(&row);
    return err;
}
