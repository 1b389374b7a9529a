/* app_test.c - files become flows: where they are looked for, what they may include, which model
 * and key a profile gets. A folder with files, a real runtime; written down in the fiber, compared
 * outside. */
#include "app/app.h"
#include "base/test.h"
#include "plan/plan.h"
#include "rt/file.h"
#include "rt/rt.h"
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct scene {
    struct str out;
    char dir[64];
    struct app_opts opts;
    struct app *a;
    void (*play)(struct scene *s);
};

static void
note(struct scene *s, const char *what, struct err *e)
{
    AUTO(freep) char *text = e ? err_text(e) : xstrdup("ok");
    str_addf(&s->out, "%s: %s\n", what, text);
    err_free(e);
}

static char *
put(const struct scene *s, const char *name, const char *text)
{
    char *path = xasprintf("%s/%s", s->dir, name);
    err_drop(file_write(path, text, strlen(text), 0600));
    return path;
}

static void
scene_main(void *arg)
{
    struct scene *s = arg;
    struct err *e = app_open(&s->opts, &s->a);
    if (e) {
        note(s, "open", e);
        return;
    }
    s->play(s);
    app_close(s->a);
}

static void
scene(struct scene s, const char *want)
{
    struct rt *rt;
    snprintf(s.dir, sizeof s.dir, "/tmp/app_test.XXXXXX");
    assert_non_null(mkdtemp(s.dir));
    assert_ok(rt_open(&(struct rt_opts){0}, &rt));
    rt_run(rt, scene_main, &s);
    rt_close(rt);
    AUTO(freep) char *command = xasprintf("rm -rf %s", s.dir);
    assert_int_equal(system(command), 0);
    for (char *at = s.out.p; at && (at = strstr(at, s.dir)); at++) /* the folder: "" */
        memmove(at, at + strlen(s.dir), strlen(at + strlen(s.dir)) + 1);
    assert_string_equal(s.out.p ? s.out.p : "", want);
    str_fini(&s.out);
}

#define FLOW "agents: {a: {instruction: x}}\nworkflows: {main: {type: chain, sequence: [a]}}\n"

/* Loads the text and shows a part of it. */
static void
load(struct scene *s, const char *text, const char *section)
{
    AUTO(spec_freep) struct spec *spec = NULL;
    AUTO(freep) char *path = put(s, "flow.yaml", text);
    struct err *e = app_load(s->a, path, &spec);
    if (e) {
        note(s, "load", e);
        return;
    }
    AUTO(freep) char *shown = json_text(json_object_get(spec->doc, section));
    str_addf(&s->out, "%s %s\n", section, shown);
}

/* ---- models and keys --------------------------------------------------------------------------
 */

static void
profiles(struct scene *s)
{
    load(s, "profiles: {p: {provider: openai, model: m}}\n" FLOW, "profiles");
    load(s, "profiles: {p: {provider: openai, model: m}}\n" FLOW, "default_profile");
    load(s, "profiles: {p: {provider: openai, model: m, base_url: 'http://x'}}\n" FLOW, "profiles");
    load(s, "profiles: {p: {provider: openai, model: m, api_key: k}}\n" FLOW, "profiles");
    load(s, "profiles: {p: {provider: script}, q: {provider: script}}\n" FLOW, "default_profile");
}

static void
model_given(struct scene *s)
{
    load(s, "profiles: {p: {provider: openai, model: m}}\n" FLOW, "default_profile");
    load(s,
         "agents: {a: {profile: p}}\nprofiles: {p: {provider: script}}\n"
         "workflows: {main: {type: chain, sequence: [a]}}\n",
         "agents");
    load(s, FLOW, "profiles");
}

static void
models(void **state)
{
    (void)state;
    scene((struct scene){.play = profiles},
          "profiles "
          "{\"p\":{\"provider\":\"openai\",\"model\":\"m\",\"api_key\":\"${OPENAI_API_KEY}\"}}\n"
          "default_profile \"p\"\n"
          "profiles {\"p\":{\"provider\":\"openai\",\"model\":\"m\",\"base_url\":\"http://x\"}}\n"
          "profiles {\"p\":{\"provider\":\"openai\",\"model\":\"m\",\"api_key\":\"k\"}}\n"
          "default_profile null\n");
    scene((struct scene){.play = model_given, .opts = {.model = "anthropic/big-1"}},
          "default_profile \"anthropic/big-1\"\n"
          "agents {\"a\":{\"type\":\"llm\"}}\n"
          "profiles "
          "{\"anthropic/"
          "big-1\":{\"provider\":\"anthropic\",\"model\":\"big-1\",\"api_key\":\"${ANTHROPIC_API_"
          "KEY}\"}}\n");
    scene((struct scene){.play = model_given, .opts = {.model = "p"}},
          "default_profile \"p\"\n"
          "agents {\"a\":{\"type\":\"llm\"}}\n"
          "load: 'p' is neither a profile of the file nor provider.model\n");
    scene((struct scene){.play = model_given, .opts = {.model = "nobody.big"}},
          "load: 'nobody.big' is neither a profile of the file nor provider.model\n"
          "load: 'nobody.big' is neither a profile of the file nor provider.model\n"
          "load: 'nobody.big' is neither a profile of the file nor provider.model\n");
}

/* ---- mistakes of all sorts, in one go ---------------------------------------------------------
 */

/* All that is wrong with the text, with its places. */
static void
load_wrong(struct scene *s, const char *text)
{
    struct spec *spec = NULL;
    AUTO(freep) char *path = put(s, "flow.yaml", text);
    AUTO(err_freep) struct err *all = app_load(s->a, path, &spec);
    for (const struct err *e = all; e; e = err_next(e)) {
        AUTO(freep) char *why = err_text(e);
        str_addf(&s->out, "%u:%u: %s\n", err_pos(e).line, err_pos(e).col, why);
    }
    str_add(&s->out, all ? "--\n" : "valid\n");
    spec_free(spec);
}

static void
mistaken(struct scene *s)
{
    load_wrong(s,
               "agents:\n"
               "  a: {instruction: x, modle: 3}\n"
               "  l: {type: lua, script: \"return (\"}\n"
               "workflows:\n"
               "  main:\n"
               "    nodes:\n"
               "      - {id: one, agent: a, retry: {max_attempts: many}}\n"
               "      - {id: two, agent: a, depends_on: [oen]}\n"
               "      - {id: three, agent: b, input: \"{{ steps.tow.output }}\", when: \"1 and\"}\n"
               "      - {id: five, agent: a, depends_on: [six]}\n"
               "      - {id: six, agent: a, depends_on: [five]}\n"
               "      - {id: six, agent: a}\n"
               "    output: \"{{ steps.sixx.output }}\"\n"
               "  odd: {type: chian, sequence: [a]}\n");
    /* what follows from a mistake is not told: a node that is not there has no empty graph */
    load_wrong(s, "agents: {a: {instruction: x}}\nworkflows: {main: {nodes: 3}}\n");
    /* a file that cannot be read may have all the names */
    load_wrong(s, "include: [nowhere.yaml]\nworkflows: {main: {nodes: [{id: x, agent: a, "
                  "depends_on: [y]}]}}\n");
}

static void
mistakes(void **state)
{
    (void)state;
    scene((struct scene){.play = mistaken},
          "2:23: agent 'a': unknown key 'modle' (did you mean 'model'?)\n"
          "3:3: agent 'l': script, line 1: '(' is never closed by ')'\n"
          "7:51: node 'one': 'retry.max_attempts' expects an integer from 1 to 1000, found the "
          "text 'many'\n"
          "8:42: workflow 'main': node 'two': there is no node 'oen' (did you mean 'one'?)\n"
          "9:28: node 'three': 'agent': there is no agent or workflow 'b'\n"
          "9:48: workflow 'main': node 'three': there is no node 'tow' (did you mean 'two'?)\n"
          "9:76: node 'three': 'when': the expression ends too early\n"
          "10:14: workflow 'main': nodes wait for each other: 'five' -> 'six' -> 'five'\n"
          "12:14: workflow 'main': node 'six' is already defined at 11:14\n"
          "13:23: workflow 'main': output: there is no node 'sixx' (did you mean 'six'?)\n"
          "14:15: workflow 'odd': unknown kind 'chian' (did you mean 'chain'?)\n"
          "--\n"
          "2:27: workflow 'main': 'nodes' expects a list of nodes, found the number 3\n"
          "--\n"
          "1:11: cannot include 'nowhere.yaml': reading '/nowhere.yaml': No such file or "
          "directory\n"
          "--\n");
}

/* ---- files ------------------------------------------------------------------------------------
 */

static void
included(struct scene *s)
{
    AUTO(freep) char *sub = xasprintf("%s/sub", s->dir);
    AUTO(freep) char *link = xasprintf("%s/link.yaml", s->dir);
    mkdir(sub, 0700);
    AUTO(freep) char *more = put(s, "sub/more.yaml", "agents: {b: {instruction: y}}\n");
    if (symlink("/etc/passwd", link) != 0)
        str_add(&s->out, "no link\n");
    load(s, "include: [sub/more.yaml]\n" FLOW, "agents");
    load(s, "include: [../outside.yaml]\n" FLOW, "agents");
    load(s, "include: [/etc/passwd]\n" FLOW, "agents");
    load(s, "include: [link.yaml]\n" FLOW, "agents");
    load(s, "include: [missing.yaml]\n" FLOW, "agents");
    AUTO(spec_freep) struct spec *spec = NULL;
    note(s, "nowhere", app_load(s->a, "/nowhere/flow.yaml", &spec));
    static const char text[] = "include: [more.yaml]\n" FLOW;
    note(s, "folder gone", app_load_text(s->a, "/nowhere/flow.yaml", text, sizeof text - 1, &spec));
    AUTO(freep) char *env = put(s, ".env", "1NAME=x\n");
    load(s, FLOW, "agents");
}

static void
files(void **state)
{
    (void)state;
    scene(
        (struct scene){.play = included},
        "agents "
        "{\"a\":{\"type\":\"llm\",\"instruction\":\"x\"},\"b\":{\"type\":\"llm\",\"instruction\":"
        "\"y\"}}\n"
        "load: cannot include '../outside.yaml': the path '/../outside.yaml' leads out of ''\n"
        "load: cannot include '/etc/passwd': the path '/etc/passwd' leads out of ''\n"
        "load: cannot include 'link.yaml': the path '/link.yaml' leads out of ''\n"
        "load: cannot include 'missing.yaml': reading '/missing.yaml': No such file or directory\n"
        "nowhere: reading '/nowhere/flow.yaml': No such file or directory\n"
        "folder gone: cannot include 'more.yaml': the folder it would be held under is not there\n"
        "load: a line must read NAME=value\n");
}

static void
found(void **state)
{
    (void)state;
    struct rt *rt;
    assert_ok(rt_open(&(struct rt_opts){0}, &rt));
    static const struct {
        const char *env, *option, *file, *want;
    } row[] = {
        {NULL, NULL, NULL, ".tutti"},
        {NULL, NULL, "flow.yaml", ".tutti"},
        {NULL, NULL, "some/where/flow.yaml", "some/where/.tutti"},
        {"/env", NULL, "some/flow.yaml", "/env"},
        {"/env", "/option", "some/flow.yaml", "/option"},
        {"", NULL, "some/flow.yaml", "some/.tutti"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        if (row[i].env)
            setenv("TUTTI_STORE", row[i].env, 1);
        AUTO(freep) char *dir = app_store_dir(row[i].option, row[i].file);
        assert_string_equal(dir, row[i].want);
        unsetenv("TUTTI_STORE");
    }
    rt_close(rt);
}

/* ---- what can be asked of a file ---------------------------------------------------------------
 */

static void
asked(struct scene *s)
{
    AUTO(spec_freep) struct spec *spec = NULL;
    AUTO(plan_freep) struct plan *plan = NULL;
    AUTO(str_fini) struct str drawn = STR_INIT;
    static const char text[] =
        "agents: {a: {type: lua, script: \"return 1\"}}\n"
        "mcp_servers: {box: {command: no-such-program-here}, off: {command: x, disabled: true}}\n"
        "workflows:\n  main: {type: chain, sequence: [a]}\n"
        "  bad: {nodes: [{id: n, agent: a, depends_on: [zed]}]}\n";
    AUTO(freep) char *path = put(s, "flow.yaml", text);
    note(s, "load", app_load(s->a, path, &spec));
    if (!spec)
        return;
    str_addf(&s->out, "root %s/\n", app_root(s->a));
    note(s, "check", app_check(s->a, spec));
    note(s, "plan", app_plan(s->a, spec, "bad", &plan));
    note(s, "plan", app_plan(s->a, spec, "main", &plan));
    if (plan)
        plan_draw_text(plan, &drawn);
    str_add(&s->out, str_c(&drawn));
    json_t *result = NULL;
    note(s, "know", app_servers_know(s->a, spec->doc));
    note(s, "know", app_servers_know(s->a, spec->doc)); /* known already */
    note(s, "tools", app_server_tools(s->a, "off", rt_after(5000), &result));
    note(s, "call",
         app_server_call(s->a, &(struct app_tool){.server = "off", .tool = "t"}, rt_after(5000),
                         &result, &drawn));
    AUTO(json_freep) json_t *status = app_servers_status(s->a), *schema = app_schema();
    AUTO(freep) char *told = json_text(status);
    str_addf(&s->out, "status knows box: %d, off: %d\nschema: %s\n",
             strstr(told, "\"box\"") != NULL, strstr(told, "\"off\"") != NULL,
             json_str(schema, "$schema", "none"));
    struct run *run = NULL;
    note(s, "resume", app_resume(s->a, "nowhere", NULL, &run));
}

static void
asking(void **state)
{
    (void)state;
    scene((struct scene){.play = asked},
          "load: ok\n"
          "root /\n"
          "check: workflow 'bad': node 'n': there is no node 'zed'\n"
          "plan: workflow 'bad': node 'n': there is no node 'zed'\n"
          "plan: ok\n"
          "main (chain)\n"
          "  a\n"
          "know: ok\n"
          "know: ok\n"
          "tools: there is no server 'off'; servers are listed under 'mcp_servers'\n"
          "call: there is no server 'off'; servers are listed under 'mcp_servers'\n"
          "status knows box: 1, off: 0\n"
          "schema: https://json-schema.org/draft/2020-12/schema\n"
          "resume: there is no run 'nowhere'\n");
    scene((struct scene){.play = asked, .opts = {.replay = "/nowhere/cassette"}},
          "open: reading the cassette '/nowhere/cassette': reading '/nowhere/cassette': No such "
          "file or directory\n");
}

TESTS(app_test, cmocka_unit_test(models), cmocka_unit_test(mistakes), cmocka_unit_test(files),
      cmocka_unit_test(found), cmocka_unit_test(asking))
