/* agentlib_test.c - headers and secrets of a definition, what statuses mean, replies from foreign
 * bytes; tools offered and refused, with a host that only answers questions. */
#include "agents/agentlib.h"
#include "agents/toolbox.h"
#include "base/test.h"

/* ---- a host -----------------------------------------------------------------------------------
 */

struct fake_host {
    struct host base;
    const char *told; /* what the one step answers, as JSON; NULL: it fails */
    enum err_kind kind;
    struct step last;
    char last_target[64];
    const char *answer; /* of a person; NULL: none in time */
    char *asked;
};

static struct err *
fake_expand(struct host *h, const char *text, char **ret_text)
{
    (void)h;
    const char *at = strstr(text, "${KEY}");
    if (strstr(text, "${GONE}"))
        return FAIL(ERR_MISSING, "${GONE} is not set");
    *ret_text = at ? xasprintf("%.*ss3cret%s", (int)(at - text), text, at + 6) : xstrdup(text);
    return NULL;
}

static struct err *
fake_step(struct host *h, const struct step *s, json_t **ret_value)
{
    struct fake_host *f = container_of(h, struct fake_host, base);
    f->last = *s;
    snprintf(f->last_target, sizeof f->last_target, "%s", s->target);
    if (!f->told)
        return FAIL(f->kind, "it broke");
    return json_parse(f->told, strlen(f->told), ret_value);
}

static void *
fake_service(struct host *h, const char *name)
{
    (void)h, (void)name;
    return NULL;
}

static const json_t *
fake_section(struct host *h, const char *section, const char *name)
{
    (void)h, (void)section, (void)name;
    return NULL;
}

/* A person who answers with what the test says; no answer: the time is over. */
static struct err *
fake_pause(struct host *h, const struct pause *p, json_t **ret_value)
{
    struct fake_host *f = container_of(h, struct fake_host, base);
    f->asked = xstrdup(json_str(p->detail, "prompt", ""));
    if (f->answer && strcmp(f->answer, "away") == 0)
        return FAIL(ERR_PARKED, "it waits");
    *ret_value = f->answer ? json_string(f->answer) : NULL;
    return NULL;
}

static const struct host_ops fake_ops = {.expand = fake_expand,
                                         .step = fake_step,
                                         .pause = fake_pause,
                                         .service = fake_service,
                                         .section = fake_section};

static json_t *
parse(const char *text)
{
    json_t *j = NULL;
    assert_ok(json_parse(text, strlen(text), &j));
    return j;
}

/* ---- definitions ------------------------------------------------------------------------------
 */

static void
expanding(void **state)
{
    (void)state;
    struct fake_host f = {.base = {&fake_ops}};
    static const struct {
        const char *def, *want;
    } row[] = {
        {"{\"a\":\"x\",\"n\":1}", "{\"a\":\"x\",\"n\":1}"},
        {"{\"a\":\"${KEY}!\",\"l\":[\"${KEY}\",2,{\"b\":\"c\"}]}",
         "{\"a\":\"s3cret!\",\"l\":[\"s3cret\",2,{\"b\":\"c\"}]}"},
        {"[\"$\"]", "[\"$\"]"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(json_freep) json_t *def = parse(row[i].def), *made = NULL;
        assert_ok(def_expand(&f.base, def, &made));
        AUTO(freep) char *text = json_text(made);
        assert_string_equal(text, row[i].want);
        if (i == 0)
            assert_ptr_equal(made, def); /* nothing to do: shared */
    }
    AUTO(json_freep) json_t *none = NULL, *bad = parse("{\"headers\":{\"X\":[\"${GONE}\"]}}");
    assert_ok(def_expand(&f.base, NULL, &none));
    assert_int_equal(json_object_size(none), 0);
    json_t *made = NULL;
    assert_err(def_expand(&f.base, bad, &made), ERR_MISSING, "'headers': 'X': ${GONE} is not set");
    assert_null(made);
}

static void
headers(void **state)
{
    (void)state;
    static const struct {
        const char *def, *want; /* lines, or an error */
    } row[] = {
        {"{}", ""},
        {"{\"headers\":{\"X-A\":\"1\",\"X-B\":2}}", "X-A: 1\nX-B: 2\n"},
        {"{\"authentication\":{\"token\":\"t\"}}", "Authorization: Bearer t\n"},
        {"{\"authentication\":{\"type\":\"api_key\",\"key\":\"k\"}}", "X-API-Key: k\n"},
        {"{\"authentication\":{\"type\":\"api_key\",\"token\":\"k\",\"header\":\"X-K\"}}",
         "X-K: k\n"},
        {"{\"authentication\":{\"type\":\"basic\",\"username\":\"u\",\"password\":\"p\"}}",
         "Authorization: Basic dTpw\n"},
        {"{\"custom_params\":{\"user_agent\":\"me/1\"}}", "User-Agent: me/1\n"},
        {"{\"authentication\":{\"type\":\"bearer\"}}", "authentication: bearer needs a token"},
        {"{\"authentication\":{\"type\":\"api_key\"}}", "authentication: api_key needs a key"},
        {"{\"authentication\":{\"type\":\"oauth2\"}}",
         "authentication of type 'oauth2' cannot be used in this version"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(json_freep) json_t *def = parse(row[i].def);
        AUTO(str_fini) struct str got = STR_INIT;
        struct headers h = {0};
        struct err *e = headers_of(def, &h);
        for (size_t k = 0; k < h.n; k++)
            str_addf(&got, "%s: %s\n", h.at[k].name, h.at[k].value);
        headers_fini(&h);
        AUTO(freep) char *text = e ? err_text(e) : NULL;
        err_free(e);
        assert_string_equal(text ? text : str_c(&got), row[i].want);
    }
}

/* What may be tried again, and what may have been done. */
static void
statuses(void **state)
{
    (void)state;
    static const struct {
        int status;
        enum err_kind kind;
        bool in_doubt;
    } row[] = {
        {400, ERR_INVALID, false},   {401, ERR_DENIED, false},    {403, ERR_DENIED, false},
        {404, ERR_MISSING, false},   {410, ERR_MISSING, false},   {408, ERR_TRANSIENT, false},
        {425, ERR_TRANSIENT, false}, {429, ERR_LIMIT, false},     {500, ERR_TRANSIENT, true},
        {502, ERR_TRANSIENT, true},  {503, ERR_TRANSIENT, false}, {504, ERR_TRANSIENT, true},
        {301, ERR_INVALID, false},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct http_reply r = {.status = row[i].status, .retry_after_ms = 1500};
        struct err *e = http_status_err("GET x", &r);
        assert_non_null(e);
        assert_int_equal(err_kind(e), row[i].kind);
        assert_int_equal(err_in_doubt(e), row[i].in_doubt);
        assert_int_equal(err_retry_after_ms(e), 1500);
        err_free(e);
    }
    struct http_reply fine = {.status = 204};
    assert_null(http_status_err("x", &fine));
    struct http_reply r = {.status = 418, .retry_after_ms = -1};
    for (int i = 0; i < 1000; i++)
        str_add(&r.body, "\xc3\xa9");
    struct err *e = http_status_err("GET x", &r);
    AUTO(freep) char *text = err_text(e);
    assert_true(str_starts(text, "GET x answered 418: \xc3\xa9"));
    assert_true(strlen(text) <= 520 && utf8_valid(text, strlen(text))); /* quoted within a bound */
    err_free(e);
    str_fini(&r.body);
}

static void
replies(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *output, *text;
    } row[] = {
        {"plain", "\"plain\"", "plain"},
        {"line\r\n\n", "\"line\"", "line"},
        {" {\"a\": 1}\n", "{\"a\":1}", "{\"a\":1}"},
        {"[1,2]", "[1,2]", "[1,2]"},
        {"{\"text\":\"told\",\"n\":1}", "{\"text\":\"told\",\"n\":1}", "told"},
        {"{not json", "\"{not json\"", "{not json"},
        {"42", "\"42\"", "42"}, /* only objects and lists are taken as values */
        {"a\xff", "\"a\xef\xbf\xbd\"", "a\xef\xbf\xbd"},
        {"", "\"\"", ""},
        {"\n\n", "\"\"", ""},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct reply r = {0};
        reply_from_text(&r, row[i].bytes, strlen(row[i].bytes));
        AUTO(freep) char *output = json_text(r.output);
        assert_string_equal(output, row[i].output);
        assert_string_equal(reply_text(&r), row[i].text);
        reply_fini(&r);
    }
}

/* ---- tools ------------------------------------------------------------------------------------
 */

static void
effects(void **state)
{
    (void)state;
    static const struct {
        const char *hints;
        int said;
        enum effect want;
    } row[] = {
        {"{}", -1, EFFECT_ONCE},
        {"{}", EFFECT_IDEMPOTENT, EFFECT_IDEMPOTENT},
        {"{\"readOnlyHint\":true}", -1, EFFECT_PURE},
        {"{\"idempotentHint\":true}", -1, EFFECT_IDEMPOTENT},
        {"{\"readOnlyHint\":false}", -1, EFFECT_ONCE},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(json_freep) json_t *tool = json_pack("{so}", "annotations", parse(row[i].hints));
        assert_int_equal(tool_effect(tool, row[i].said), row[i].want);
    }
    assert_int_equal(tool_effect(NULL, -1), EFFECT_ONCE);
    assert_int_equal(effect_of(&(struct task){.effect = -1}, EFFECT_PURE), EFFECT_PURE);
    assert_int_equal(effect_of(&(struct task){.effect = EFFECT_ONCE}, EFFECT_PURE), EFFECT_ONCE);
}

/* The model is told what was wrong, unless the run itself has to stop. */
static void
uses(void **state)
{
    (void)state;
    static const char server[] = "{\"server\":\"s\",\"tool\":\"t\",\"effect\":0}";
    static const char call[] = "{\"id\":\"1\",\"name\":\"s__t\",\"arguments\":{}}";
    static const struct {
        const char *call, *route, *told;
        enum err_kind kind;
        const char *text; /* for the model; NULL: the error goes on */
        bool error;
    } row[] = {
        {call, NULL, NULL, 0, "there is no tool 's__t'", true},
        {"{\"id\":\"1\",\"name\":\"s__t\",\"invalid\":\"{\"}", server, NULL, 0,
         "the arguments were not a JSON object; send them again", true},
        {call, server, NULL, ERR_TRANSIENT, "it broke", true},
        {call, server, NULL, ERR_CANCELLED, NULL, true},
        {call, server, NULL, ERR_PARKED, NULL, true},
        {call, server, "{\"content\":[{\"type\":\"text\",\"text\":\"fine\"}]}", 0, "fine", false},
        {call, server, "{\"isError\":true,\"content\":[{\"type\":\"text\",\"text\":\"no\"}]}", 0,
         "no", true},
        {call, server,
         "{\"content\":[{\"type\":\"image\",\"mimeType\":\"image/png\",\"data\":\"AAAA\"}]}", 0,
         NULL, false},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct fake_host f = {.base = {&fake_ops}, .told = row[i].told, .kind = row[i].kind};
        AUTO(json_freep) json_t *c = parse(row[i].call);
        AUTO(json_freep) json_t *route = row[i].route ? parse(row[i].route) : NULL;
        struct tool_use u = {.call = c, .route = route, .effect = -1};
        struct err *e = tool_use_run(&f.base, &u);
        if (!row[i].text && !row[i].told) {
            assert_err(e, row[i].kind, "it broke");
            assert_null(u.result);
            continue;
        }
        assert_ok(e);
        AUTO(freep) char *text = json_text(u.result);
        if (row[i].text)
            assert_non_null(strstr(text, row[i].text));
        else
            assert_non_null(strstr(text, "AAAA"));
        assert_int_equal(strstr(text, "\"is_error\":true") != NULL, row[i].error);
        json_decref(u.result);
    }
}

static struct err *
fake_call(struct host *h, const char *name, const char *worker, const struct task *t,
          struct reply *ret_reply)
{
    (void)name, (void)worker, (void)t;
    const struct fake_host *f = container_of(h, struct fake_host, base);
    reply_set_text(ret_reply, f->told, strlen(f->told));
    return NULL;
}

static json_t *
image(const char *mime, const char *data)
{
    return json_pack("{ss ss ss}", "type", "image", "mimeType", mime, "data", data);
}

/* Too much, and what no provider would take. */
static void
bounds(void **state)
{
    (void)state;
    struct host_ops ops = fake_ops;
    ops.call = fake_call;
    char *large = xcalloc(1, 6000001);
    memset(large, 'A', 6000000);
    AUTO(json_freep) json_t *content = json_array(), *result = json_object();
    const char *const bad[][2] = {{"image/png", ""},
                                  {"image/png", "A-A"},
                                  {"text/html", "AAAA"},
                                  {"image/gif", "BB=="},
                                  {"image/png", "=B"}};
    json_array_append_new(content, image("image/png", large));
    json_array_append_new(content, image("image/png", large)); /* no room for it */
    for (size_t i = 0; i < COUNT(bad); i++)
        json_array_append_new(content, image(bad[i][0], bad[i][1]));
    json_array_append_new(content, json_pack("{ss ss}", "type", "text", "text", large));
    json_object_set(result, "content", content);
    AUTO(freep) char *told = json_text(result);
    const char *const routes[] = {"{\"server\":\"s\",\"tool\":\"t\"}", "{\"agent\":\"a\"}"};
    for (size_t i = 0; i < COUNT(routes); i++) {
        struct fake_host f = {.base = {&ops}, .told = i ? large : told};
        AUTO(json_freep) json_t *c = parse("{\"id\":\"1\",\"name\":\"x\",\"arguments\":{}}");
        AUTO(json_freep) json_t *route = parse(routes[i]);
        struct tool_use u = {.call = c, .route = route, .effect = -1};
        assert_ok(tool_use_run(&f.base, &u));
        const json_t *parts =
            json_object_get(json_array_get(json_object_get(u.result, "content"), 0), "content");
        AUTO(freep) char *text = json_text(json_array_get(parts, 0));
        assert_true(strlen(text) < (256 << 10) + 500);
        assert_non_null(strstr(text, "more bytes left out]"));
        assert_int_equal(json_array_size(parts), i ? 1 : 3);
        if (!i)
            assert_string_equal(json_str(json_array_get(parts, 2), "data", ""), "BB==");
        json_decref(u.result);
    }
    free(large);
}

/* A call that needs a person is made only after a yes; else the model hears of it. */
static void
approved(void **state)
{
    (void)state;
    static const struct {
        const char *answer, *text;
        enum err_kind kind; /* when text is NULL */
        bool called;
    } row[] = {
        {"yes", "fine", 0, true},
        {"no", "does not allow this call", 0, false},
        {NULL, "does not allow this call", 0, false},
        {"away", NULL, ERR_PARKED, false},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct fake_host f = {.base = {&fake_ops},
                              .told = "{\"content\":[{\"type\":\"text\",\"text\":\"fine\"}]}",
                              .answer = row[i].answer};
        AUTO(json_freep) json_t *c = parse("{\"id\":\"1\",\"name\":\"s__t\",\"arguments\":{}}");
        AUTO(json_freep)
        json_t *route = parse("{\"server\":\"s\",\"tool\":\"t\",\"approve\":true}");
        struct tool_use u = {.call = c, .route = route, .effect = -1};
        struct err *e = tool_use_run(&f.base, &u);
        assert_string_equal(f.asked, "May s.t be called?");
        free(f.asked);
        assert_int_equal(*f.last_target != '\0', row[i].called);
        if (!row[i].text) {
            assert_err(e, row[i].kind, "it waits");
            continue;
        }
        assert_ok(e);
        AUTO(freep) char *text = json_text(u.result);
        assert_non_null(strstr(text, row[i].text));
        json_decref(u.result);
    }
}

/* Something said for the node counts for tools of which their server says nothing. */
static void
use_effects(void **state)
{
    (void)state;
    static const struct {
        int route, said;
        enum effect want;
    } row[] = {{EFFECT_ONCE, -1, EFFECT_ONCE},
               {EFFECT_ONCE, EFFECT_IDEMPOTENT, EFFECT_IDEMPOTENT},
               {EFFECT_PURE, EFFECT_ONCE, EFFECT_PURE}};
    for (size_t i = 0; i < COUNT(row); i++) {
        struct fake_host f = {.base = {&fake_ops}, .told = "{}"};
        AUTO(json_freep) json_t *c = parse("{\"name\":\"s__t\"}");
        AUTO(json_freep)
        json_t *route = json_pack("{sssssi}", "server", "s", "tool", "t", "effect", row[i].route);
        struct tool_use u = {.call = c, .route = route, .effect = row[i].said};
        assert_ok(tool_use_run(&f.base, &u));
        assert_int_equal(f.last.effect, row[i].want);
        assert_string_equal(f.last_target, "s.t");
        assert_true(f.last.tell_doubt); /* the model decides, not a person */
        json_decref(u.result);
    }
}

/* Providers want plain names of 64 characters, each once: what is cut or looks the same ends with a
 * hash, and what is listed twice is offered once. */
static void
offered(void **state)
{
    (void)state;
    static const char *const names[] = {
        "plain",
        "a.b",
        "a_b_474b2363", /* as the next one would be called */
        "a_b",
        "a b",
        "a-b",
        "one_name_that_is_very_long_and_goes_on_and_on_until_nobody_reads_it_1",
        "one_name_that_is_very_long_and_goes_on_and_on_until_nobody_reads_it_2"};
    struct fake_host f = {.base = {&fake_ops}};
    AUTO(json_freep) json_t *def = json_object();
    json_t *agents = json_array();
    for (size_t i = 0; i < COUNT(names); i++)
        json_array_append_new(agents, json_string(names[i]));
    for (size_t i = 0; i < COUNT(names); i++)
        json_array_append_new(agents, json_string(names[i]));
    json_object_set_new(def, "agents", agents);
    struct toolbox tb = {.host = &f.base, .def = def};
    assert_true(toolbox_has_any(&tb));
    assert_ok(toolbox_load(&tb, DEADLINE_NONE));
    assert_ok(toolbox_load(&tb, DEADLINE_NONE)); /* once is enough */
    assert_int_equal(json_array_size(tb.offered), COUNT(names));
    assert_int_equal(json_object_size(tb.routes), COUNT(names));
    for (size_t i = 0; i < COUNT(names); i++) {
        const char *wire = json_str(json_array_get(tb.offered, i), "name", "");
        assert_string_equal(json_str(json_object_get(tb.routes, wire), "agent", ""), names[i]);
        assert_true(strlen(wire) <= 64);
        assert_int_equal(strspn(wire, "abcdefghijklmnopqrstuvwxyz0123456789_-"), strlen(wire));
        if (i < 3 || i == 5) {
            static const char *const plain[] = {
                "agent__plain", "agent__a_b", "agent__a_b_474b2363", "", "", "agent__a-b"};
            assert_string_equal(wire, plain[i]);
        }
    }
    toolbox_fini(&tb);
}

TESTS(agentlib_test, cmocka_unit_test(offered), cmocka_unit_test(expanding),
      cmocka_unit_test(headers), cmocka_unit_test(statuses), cmocka_unit_test(replies),
      cmocka_unit_test(effects), cmocka_unit_test(uses), cmocka_unit_test(approved),
      cmocka_unit_test(use_effects), cmocka_unit_test(bounds))
