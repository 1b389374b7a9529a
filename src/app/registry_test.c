/* registry_test.c - agents that a program registers: what is refused, what they become, what is
 * told of them. The library as a program uses it; no store on disk, no network. */
#include "app/registry.h"
#include "base/json.h"
#include "base/test.h"
#include "llm/knownmodel.h"
#include "tutti/tutti.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name, *definition, *told; /* NULL: taken */
} row[] = {
    {"ann", "{type: lua, script: 'return message'}", NULL},
    {"bob", "# who writes\ninstruction: |\n  Write\n  well.\nprofile: p\n", NULL},
    {"json", "{\"instruction\": \"x\", \"servers\": [\"files\"]}", NULL},
    {"ann", "{}", "the agent 'ann' is already registered"},
    {"", "{}", "the name of an agent is empty"},
    {"a/b", "{}",
     "name 'a/b' holds a character that names cannot have: one of / [ "
     "] "
     "{ } \" or a line end"},
    {"c", "{instructoin: x}",
     "agent 'c': unknown key 'instructoin' (did you mean "
     "'instruction'?)"},
    {"c", "just text", "agent 'c': must be a map, found the text 'just text'"},
    {"c", "{type: lua}", "agent 'c': 'script' is missing"},
    {"c", "{", NULL /* the parser's words */},
    {"c", "instruction: x\rprofiles: {p: {provider: script}}",
     "agent 'c': unknown key 'profiles' (did you mean 'profile'?)"},
    {"c", "instruction: x\n---\nagents: {}", NULL /* the parser's words */},
    {"c", "instruction: x\n\xff: y", "the name or the definition is not valid UTF-8"},
};

static void
refusals(void **state)
{
    (void)state;
    struct registry *r = registry_new();
    unsigned wrong = 0;
    for (size_t i = 0; i < COUNT(row); i++) {
        struct err *e = registry_add(r, row[i].name, row[i].definition);
        AUTO(freep) char *text = e ? err_text(e) : xstrdup("taken");
        const char *want = row[i].told ? row[i].told : "taken";
        const bool parser = strcmp(row[i].definition, "{") == 0 || strstr(row[i].definition, "---");
        if (parser ? !e : strcmp(text, want) != 0) {
            print_error("row %zu: expected\n%s\ngot\n%s\n", i, want, text);
            wrong++;
        }
        err_free(e);
    }
    size_t n;
    registry_texts(r, &n);
    assert_int_equal(n, 3);
    registry_texts(NULL, &n);
    assert_int_equal(n, 0);
    registry_free(r);
    registry_free(NULL);
    assert_int_equal(wrong, 0);
}

static void
many(void **state)
{
    (void)state;
    struct registry *r = registry_new();
    for (size_t i = 0; i < REGISTERED_MAX; i++) {
        AUTO(freep) char *name = xasprintf("a%zu", i);
        assert_ok(registry_add(r, name, "{}"));
    }
    assert_err(registry_add(r, "one", "{}"), ERR_LIMIT,
               "200 agents are registered; more belong into a file");
    registry_free(r);
}

struct told {
    struct str text;
};

static void
on_event(void *ctx, const struct tutti_event *ev)
{
    struct told *t = ctx;
    json_t *detail = NULL;
    if (strcmp(ev->name, "agent.status") != 0)
        return;
    err_drop(json_parse(ev->detail, strlen(ev->detail), &detail));
    str_addf(&t->text, "%s %s; ", json_str(detail, "agent", ""), json_str(detail, "status", ""));
    json_decref(detail);
}

static json_t *
parsed(char *text)
{
    json_t *j = NULL;
    assert_ok(json_parse(text, strlen(text), &j));
    tutti_free(text);
    return j;
}

/* A file whose workflow is done by registered agents. */
static void
used(void **state)
{
    (void)state;
    char path[] = "/tmp/registry_test.XXXXXX";
    static const char flow[] =
        "profiles: {s: {provider: openai, model: gpt-4o-mini, api_key: x}}\n"
        "agents: {mine: {description: In the file, profile: s}}\n"
        "workflows: {main: {type: parallel, fan_out: [ann, broken]}, talk: {type: chain, sequence: "
        "[ann]}}\n";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, flow, sizeof flow - 1), (ssize_t)sizeof flow - 1);
    close(fd);
    struct tutti *t;
    struct tutti_run *run;
    struct told told = {STR_INIT};
    char *error = NULL, *text = NULL;
    assert_int_equal(tutti_open(&(struct tutti_options){.memory = 1}, &t, NULL), TUTTI_OK);
    tutti_subscribe(t, on_event, &told);
    struct tutti_request q = {.file = path, .workflow = "main", .input = "hello"};
    assert_int_equal(tutti_start(t, &q, &run, NULL), TUTTI_INVALID); /* nobody is ann */
    assert_int_equal(tutti_register(t, "ann",
                                    "{type: lua, script: 'return message', description: Echoes}",
                                    NULL),
                     TUTTI_OK);
    assert_int_equal(tutti_register(t, "ann", "{}", &error), TUTTI_USAGE);
    assert_string_equal(error, "the agent 'ann' is already registered");
    tutti_free(error);
    error = NULL;
    assert_int_equal(tutti_register(t, "broken", "{type: lua, script: 'error(1)'}", NULL),
                     TUTTI_OK);
    const enum tutti_status started = tutti_start(t, &q, &run, &error);
    assert_string_equal(error ? error : "", "");
    assert_int_equal(started, TUTTI_OK);
    assert_int_equal(tutti_wait(run, -1, &text, NULL), TUTTI_PARTIAL);
    tutti_free(text);
    tutti_release(run);
    assert_string_equal(str_c(&told.text), "ann busy; ann idle; broken busy; broken error; ");

    assert_int_equal(tutti_agent(t, path, "ann", &text, NULL), TUTTI_OK);
    AUTO(json_freep) json_t *ann = parsed(text);
    assert_string_equal(json_str(ann, "description", ""), "Echoes");
    assert_string_equal(json_str(ann, "status", ""), "idle");
    assert_int_equal(json_int(ann, "done", 0), 1);
    assert_string_equal(json_str(ann, "task", ""), "ann");
    assert_int_equal(tutti_agent(t, NULL, "broken", &text, NULL), TUTTI_OK);
    AUTO(json_freep) json_t *broken = parsed(text);
    assert_string_equal(json_str(broken, "status", ""), "error");
    assert_int_equal(json_int(broken, "failed", 0), 1);
    assert_non_null(json_str(broken, "error", NULL));
    assert_int_equal(tutti_agent(t, path, "ane", &text, &error), TUTTI_USAGE);
    assert_string_equal(error, "there is no agent or workflow 'ane' (did you mean 'ann'?)");
    tutti_free(error);
    error = NULL;

    assert_int_equal(tutti_agents(t, path, &text, NULL), TUTTI_OK);
    AUTO(json_freep) json_t *all = parsed(text);
    assert_int_equal(json_array_size(all), 5); /* mine, ann, broken; main, talk */
    const json_t *mine = json_array_get(all, 0);
    assert_string_equal(json_str(mine, "model", ""), "gpt-4o-mini");
    assert_true(json_bool(mine, "multimodal", false));
    assert_int_equal(json_int(mine, "max_tokens", 0), 16384);
    assert_int_equal(tutti_agents(t, "/nowhere.yaml", &text, NULL), TUTTI_USAGE);
    assert_int_equal(tutti_register(t, "mine", "{}", NULL), TUTTI_OK);
    assert_int_equal(tutti_agents(t, path, &text, &error), TUTTI_INVALID); /* twice now */
    assert_non_null(strstr(error, "'mine' is already defined at"));
    tutti_free(error);
    error = NULL;
    tutti_close(t);
    str_fini(&told.text);
    unlink(path);
}

/* A session and a conversation, by the library. */
static void
talked(void **state)
{
    (void)state;
    char path[] = "/tmp/registry_test.XXXXXX";
    static const char flow[] = "profiles: {s: {provider: script, default: '{{turn}} before'}}\n"
                               "agents: {a: {use_history: true}}\n"
                               "workflows:\n"
                               "  main: {type: session, busy: Later., states: {ask: {say: 'Who?', "
                               "wait: text, next: do}, do: "
                               "{agent: a, next: end}}}\n"
                               "  chat: {type: chain, sequence: [a]}\n";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, flow, sizeof flow - 1), (ssize_t)sizeof flow - 1);
    close(fd);
    struct tutti *t;
    struct tutti_run *run, *again;
    char *error = NULL, *text = NULL;
    assert_int_equal(tutti_open(&(struct tutti_options){.memory = 1}, &t, NULL), TUTTI_OK);
    struct tutti_request chat = {
        .file = path, .workflow = "chat", .input = "x", .conversation = "c"};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tutti_start(t, &chat, &run, NULL), TUTTI_OK);
        assert_int_equal(tutti_wait(run, -1, &text, NULL), TUTTI_OK);
        AUTO(json_freep) json_t *doc = parsed(text);
        AUTO(freep) char *want = xasprintf("%d before", i % 2);
        assert_string_equal(json_str(doc, "text", ""), want);
        tutti_release(run);
        if (i == 1)
            assert_int_equal(tutti_clear_history(t, "c", "a", NULL), TUTTI_OK);
    }
    struct tutti_request q = {.file = path, .workflow = "main", .input = "hi", .run_id = "s"};
    assert_int_equal(tutti_start(t, &q, &run, NULL), TUTTI_OK);
    assert_int_equal(tutti_wait(run, -1, NULL, NULL), TUTTI_WAITING);
    assert_int_equal(tutti_send(t, "s", "me", NULL), TUTTI_OK);
    assert_int_equal(tutti_send(t, "s", "me too", &error), TUTTI_BUSY); /* it has one */
    assert_string_equal(error, "Later.");
    tutti_free(error);
    assert_int_equal(tutti_send(t, "s", "me too", NULL), TUTTI_BUSY);
    assert_int_equal(tutti_send(t, "nobody", "x", NULL), TUTTI_USAGE);
    assert_int_equal(tutti_resume(t, "s", NULL, &again, NULL), TUTTI_OK);
    assert_int_equal(tutti_wait(again, -1, &text, NULL), TUTTI_OK);
    AUTO(json_freep) json_t *doc = parsed(text);
    assert_string_equal(json_str(json_object_get(doc, "output"), "ask", ""), "me");
    tutti_close(t);
    unlink(path);
}

static void
models(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        int reply; /* 0: not known */
        bool multimodal;
    } known[] = {{"gpt-4o-mini", 16384, true},
                 {"gpt-4", 8192, false},
                 {"gpt-4.1-nano", 32768, true},
                 {"claude-3-5-haiku-latest", 8192, true},
                 {"claude-3-opus-20240229", 4096, true},
                 {"gemini-2.5-pro", 65536, true},
                 {"gpt-4x", 0, false},
                 {"mine", 0, false}};
    for (size_t i = 0; i < COUNT(known); i++) {
        const struct known_model *m = known_model_find(known[i].model);
        assert_int_equal(m ? m->reply : 0, known[i].reply);
        assert_int_equal(m && m->multimodal, known[i].multimodal);
    }
}

TESTS(registry_test, cmocka_unit_test(refusals), cmocka_unit_test(many), cmocka_unit_test(used),
      cmocka_unit_test(talked), cmocka_unit_test(models))
