/* agentlist_test.c - what is told: of the agents of a document and their tool servers, of limits
 * and circuit breakers, of keys that do nothing. A real runtime, a store of memory, a server that
 * is a few lines of shell. */
#include "app/app.h"
#include "app/defaults.h"
#include "app/registry.h"
#include "base/test.h"
#include "rt/rt.h"
#include <stdio.h>

struct scene {
    void (*play)(struct scene *s, struct spec *spec);
    struct str out;
    struct app *a;
    const char *text;
    struct err *e;
};

static struct err *
scene_load(struct scene *s)
{
    AUTO(spec_freep) struct spec *spec = NULL;
    PASS(app_open(&(struct app_opts){0}, &s->a));
    PASS(app_load_text(s->a, "flow.yaml", s->text, strlen(s->text), &spec));
    s->play(s, spec);
    return s->e;
}

static void
scene_main(void *arg)
{
    struct scene *s = arg;
    s->e = scene_load(s);
    app_close(s->a);
}

static void
scene(struct scene s, const char *want)
{
    struct rt *rt;
    assert_ok(rt_open(&(struct rt_opts){0}, &rt));
    rt_run(rt, scene_main, &s);
    rt_close(rt);
    assert_ok(s.e);
    assert_string_equal(str_c(&s.out), want);
    str_fini(&s.out);
}

static void
show(struct scene *s, const json_t *j)
{
    AUTO(freep) char *text = json_text(j);
    str_addf(&s->out, "%s\n", text);
}

/* ---- agents -----------------------------------------------------------------------------------
 */

static void
members(struct scene *s, struct spec *spec)
{
    AUTO(json_freep) json_t *list = agents_list(s->a, spec->doc);
    const json_t *row;
    size_t i;
    json_array_foreach (list, i, row)
        show(s, row);
}

static void
listed(void **state)
{
    (void)state;
    scene((struct scene){.play = members,
                         .text = "profiles:\n"
                                 "  p: {provider: script, model: m, max_tokens: 7}\n"
                                 "  q: {provider: openai, model: gpt-4}\n"
                                 "default_profile: q\n"
                                 "mcp_servers: {box: {command: none}}\n"
                                 "agents:\n"
                                 "  usual: {instruction: Work}\n"
                                 "  named: {profile: p, description: D}\n"
                                 "  own: {profile: {provider: script, model: o, max_tokens: 9}}\n"
                                 "  tool: {type: mcp, server: box}\n"
                                 "workflows:\n"
                                 "  main: {type: chain, description: W, sequence: [usual]}\n"},
          "{\"name\":\"usual\",\"kind\":\"llm\",\"description\":\"Work\",\"profile\":\"q\","
          "\"provider\":\"openai\",\"model\":\"gpt-4\",\"multimodal\":false,\"max_tokens\":8192,"
          "\"context_window\":8192,\"status\":\"idle\",\"done\":0,\"failed\":0}\n"
          "{\"name\":\"named\",\"kind\":\"llm\",\"description\":\"D\",\"profile\":\"p\","
          "\"provider\":\"script\",\"model\":\"m\",\"multimodal\":null,\"max_tokens\":7,\"context_"
          "window\":null,\"status\":\"idle\",\"done\":0,\"failed\":0}\n"
          "{\"name\":\"own\",\"kind\":\"llm\",\"description\":\"\",\"provider\":\"script\","
          "\"model\":\"o\",\"multimodal\":null,\"max_tokens\":9,\"context_window\":null,\"status\":"
          "\"idle\",\"done\":0,\"failed\":0}\n"
          "{\"name\":\"tool\",\"kind\":\"mcp\",\"description\":\"\",\"servers\":[\"box\"],"
          "\"status\":\"idle\",\"done\":0,\"failed\":0}\n"
          "{\"name\":\"main\",\"kind\":\"chain\",\"description\":\"W\",\"workflow\":true}\n");
}

static void
find(struct scene *s, struct spec *spec)
{
    static const char *const names[] = {"writer", "main", "writr", "somebody else"};
    for (size_t i = 0; i < COUNT(names); i++) {
        AUTO(json_freep) json_t *row = NULL;
        struct err *e = agents_find(s->a, spec->doc, names[i], &row);
        AUTO(freep) char *text = e ? err_text(e) : xstrdup(json_str(row, "kind", ""));
        str_addf(&s->out, "%s\n", text);
        err_free(e);
    }
}

static void
found(void **state)
{
    (void)state;
    scene((struct scene){.play = find,
                         .text = "agents: {writer: {type: lua, script: return 1}}\n"
                                 "workflows: {main: {type: chain, sequence: [writer]}}\n"},
          "lua\n"
          "chain\n"
          "there is no agent or workflow 'writr' (did you mean 'writer'?)\n"
          "there is no agent or workflow 'somebody else'\n");
}

/* ---- tool servers -----------------------------------------------------------------------------
 */

/* Knows one tool and one prompt; of resources it knows nothing. */
#define SERVER                                                                                     \
    "        answer() { echo \"{\\\"jsonrpc\\\":\\\"2.0\\\",\\\"id\\\":$i,$1}\"; }\n"              \
    "        while read -r line; do\n"                                                             \
    "          i=$(printf %s \"$line\" | sed 's/.*\"id\":\\([0-9]*\\).*/\\1/')\n"                  \
    "          case $line in\n"                                                                    \
    "          *'\"initialize\"'*) answer '\"result\":{\"protocolVersion\":\"2025-11-25\","        \
    "\"capabilities\":{\"tools\":{},\"prompts\":{}},"                                              \
    "\"serverInfo\":{\"name\":\"f\",\"version\":\"1\"}}';;\n"                                      \
    "          *'\"tools/list\"'*) answer '\"result\":{\"tools\":[{\"name\":\"dig\","              \
    "\"inputSchema\":{\"type\":\"object\"}}]}';;\n"                                                \
    "          *'\"prompts/list\"'*) answer '\"result\":{\"prompts\":[{\"name\":\"ask\"}]}';;\n"   \
    "          *'\"id\"'*) answer '\"error\":{\"code\":-32601,\"message\":\"no\"}';;\n"            \
    "          esac\n"                                                                             \
    "        done\n"

static void
probe(struct scene *s, struct spec *spec)
{
    static const char *const names[] = {"digger", "nobody", "alone"};
    struct err *e = app_servers_know(s->a, spec->doc);
    for (size_t i = 0; i < COUNT(names); i++) {
        AUTO(json_freep) json_t *row = NULL;
        if (!e)
            e = agents_find(s->a, spec->doc, names[i], &row);
        if (e)
            break;
        agents_probe(s->a, row, rt_after(10000));
        show(s, json_object_get(row, "probed"));
    }
    s->e = e;
}

static void
probed(void **state)
{
    (void)state;
    scene((struct scene){.play = probe,
                         .text =
                             "profiles: {p: {provider: script}}\n"
                             "mcp_servers:\n"
                             "  box:\n    command: sh\n    args:\n      - -c\n      - |\n" SERVER
                             "  gone: {command: no-such-program-here}\n"
                             "agents:\n"
                             "  digger: {servers: [box]}\n"
                             "  nobody: {servers: [gone]}\n"
                             "  alone: {instruction: x}\n"
                             "workflows: {main: {type: chain, sequence: [digger]}}\n"},
          "{\"box\":{\"tools\":[\"dig\"],\"resources\":[],\"prompts\":[\"ask\"]}}\n"
          "{\"gone\":{\"error\":\"server 'gone': starting it: running 'no-such-program-here': no "
          "such program in PATH\"}}\n"
          "{}\n");
}

/* ---- limits and breakers ----------------------------------------------------------------------
 */

/* How the run ends. */
static void
run_one(struct scene *s, struct spec *spec, const char *workflow)
{
    struct flow *flow = NULL;
    struct run *run = NULL;
    bool existing;
    struct err *e = app_flow(s->a, spec, workflow, &flow);
    if (!e)
        e = engine_start(app_engine(s->a), &(struct run_request){.flow = flow}, &run, &existing);
    if (!e)
        e = run_wait(run, rt_after(10000));
    AUTO(freep) char *text = e ? err_text(e) : xstrdup(run_status_name(run_state(run)));
    str_addf(&s->out, "%s: %s\n", workflow, text);
    err_free(e);
    flow_unref(flow);
    run_unref(run);
}

static void
measure(struct scene *s, struct spec *spec)
{
    run_one(s, spec, "good");
    run_one(s, spec, "bad");
    run_one(s, spec, "bad");
    AUTO(json_freep) json_t *found = app_meters(s->a);
    json_t *breaker = json_array_get(json_object_get(found, "breakers"), 0), *row;
    size_t i;
    json_array_foreach (json_object_get(found, "limits"), i, row) {
        if (json_int(row, "waited_ms", -1) < 0)
            continue;
        json_object_set_new(row, "waited_ms", json_integer(0)); /* real time: how long is chance */
        json_object_set_new(row, "waited_ms_max", json_integer(0));
    }
    if (json_int(breaker, "since", 0) > 0)
        json_object_del(breaker, "since");
    show(s, json_object_get(found, "limits"));
    show(s, json_object_get(found, "breakers"));
}

static void
measured(void **state)
{
    (void)state;
    scene((struct scene){.play = measure,
                         .text =
                             "limits:\n"
                             "  'script:m': {rpm: 60, rpd: 1000, tpm: 9000, tpd: 90000, "
                             "max_concurrency: 7}\n"
                             "profiles:\n"
                             "  p: {provider: script, model: m, default: 'word'}\n"
                             "  down: {provider: script, model: d, replies: [{match: '', error: "
                             "503}]}\n"
                             "default_profile: p\n"
                             "agents:\n"
                             "  fine: {instruction: x}\n"
                             "  sick: {profile: down, retry: {max_attempts: 1}, "
                             "circuit_breaker: {failure_threshold: 1}}\n"
                             "workflows:\n"
                             "  good: {type: chain, sequence: [fine]}\n"
                             "  bad: {type: chain, sequence: [sick]}\n"},
          "good: completed\n"
          "bad: failed\n"
          "bad: failed\n"
          "[{\"limit\":\"script:m\",\"in_flight\":0,\"waiting\":0,\"admitted\":1,\"waited_ms\":0,"
          "\"waited_ms_max\":0,\"refused\":0,\"held_ms\":0,\"rpm\":{\"used\":1,\"limit\":60},"
          "\"rpd\":{\"used\":1,\"limit\":1000},\"tpm\":{\"used\":10,\"limit\":9000},\"tpd\":{"
          "\"used\":10,\"limit\":90000},\"max_concurrency\":7},{\"limit\":\"script:d\",\"in_"
          "flight\":0,\"waiting\":0,\"admitted\":1,\"waited_ms\":0,\"waited_ms_max\":0,\"refused\":"
          "0,\"held_ms\":0}]\n"
          "[{\"target\":\"script:d\",\"state\":\"open\",\"failures\":1,\"failure_threshold\":1,"
          "\"recovery_ms\":60000,\"openings\":1,\"refused\":1,\"last_failure\":\"script is in "
          "trouble (503): 'as the script wants it'\"}]\n");
}

/* ---- what a document is given, and what does nothing in it ------------------------------------
 */

static void
warned(struct scene *s, struct spec *spec)
{
    for (const struct err *e = spec_warnings(spec); e; e = err_next(e)) {
        AUTO(freep) char *text = err_text(e);
        str_addf(&s->out, "%u:%u: %s\n", err_pos(e).line, err_pos(e).col, text);
    }
}

static void
without(void **state)
{
    (void)state;
    scene((struct scene){.play = warned,
                         .text = "settings: {metrics_port: 9, enable_tracing: true}\n"
                                 "agents: {a: {type: lua, script: return 1}}\n"
                                 "workflows: {main: {type: chain, sequence: [a]}}\n"},
          "1:45: 'enable_tracing' is understood, but has no effect in this version\n"
          "1:26: 'metrics_port' is understood, but has no effect in this version\n");
    scene((struct scene){.play = warned,
                         .text = "settings: {enable_tracing: false}\n"
                                 "agents: {a: {type: lua, script: return 1}}\n"
                                 "workflows: {main: {type: chain, sequence: [a]}}\n"},
          "");
}

/* A key for each profile, wherever it is written. */
static void
keys(void **state)
{
    (void)state;
    static const char doc[] =
        "{\"profiles\":{\"p\":{\"provider\":\"script\",\"fallbacks\":[{\"provider\":\"openai\"},"
        "\"q\"]}},\"agents\":{\"a\":{\"profile\":{\"provider\":\"anthropic\"}},"
        "\"b\":{\"profile\":\"p\"}},"
        "\"workflows\":{\"w\":{\"type\":\"router\",\"profile\":\"p\",\"input\":{\"type\":\"t\","
        "\"profile\":\"mine\"},\"nodes\":[{\"type\":\"router\",\"profile\":\"p\"}]}}}";
    AUTO(json_freep) json_t *j = NULL;
    assert_ok(json_parse(doc, sizeof doc - 1, &j));
    keys_default(j);
    AUTO(freep) char *agents = json_text(json_object_get(j, "agents"));
    assert_string_equal(agents, "{\"a\":{\"profile\":{\"provider\":\"anthropic\",\"api_key\":\"${"
                                "ANTHROPIC_API_KEY}\"}},\"b\":{\"profile\":\"p\"}}");
    assert_ok(model_apply(j, "openai"));
    profile_default(j); /* there is one already */
    AUTO(freep) char *text = json_text(j);
    assert_string_equal(
        text, "{\"profiles\":{\"p\":{\"provider\":\"script\",\"fallbacks\":[{\"provider\":"
              "\"openai\",\"api_key\":\"${OPENAI_API_KEY}\"},\"q\"]},\"openai\":{\"provider\":"
              "\"openai\",\"model\":\"openai\"}},\"agents\":{\"a\":{},\"b\":{}},\"workflows\":{"
              "\"w\":{\"type\":\"router\",\"input\":{\"type\":\"t\",\"profile\":\"mine\"},"
              "\"nodes\":[{\"type\":\"router\"}]}},\"default_profile\":\"openai\"}");
}

TESTS(agentlist_test, cmocka_unit_test(listed), cmocka_unit_test(found), cmocka_unit_test(probed),
      cmocka_unit_test(measured), cmocka_unit_test(without), cmocka_unit_test(keys))
