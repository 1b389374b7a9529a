/* spec_test.c - files that are right: the normal form they get, and what is known beside it. */
#include "base/test.h"
#include "schema/schema.h"
#include "spec/testkinds.h"
#include "spec/yaml.h"
#include <stdio.h>

/* YAML in; the normal form without the two sections that are always there when they are empty. */
static const struct {
    const char *yaml, *json;
} normal[] = {
    {"name: x\nversion: 1.0\n", "{'name':'x','version':'1.0','agents':{},'workflows':{}}"},
    /* agents: lists and maps, kinds by other names, camelCase, durations */
    {"agents:\n  a: {instruction: hi}\n",
     "{'agents':{'a':{'type':'llm','instruction':'hi'}},'workflows':{}}"},
    {"agents:\n  - name: a\n    type: ai_agent\n    timeout: 30\n"
     "    retryConfig: {initialDelay: 0.5, max_delay: 2m, retryOn: timeout}\n",
     "{'agents':{'a':{'type':'llm','timeout':30000,'retry':{'initial_delay':500,"
     "'max_delay':120000,'retry_on':['timeout']}}},'workflows':{}}"},
    {"agents:\n  e: {type: exec, command: [jq, .a, 5, true], env: {N: 1, B: yes, V: 1.50}, "
     "stderrMax: 64K, effect: pure}\n",
     "{'agents':{'e':{'type':'exec','command':['jq','.a','5','true'],'env':{'N':'1','B':'yes',"
     "'V':'1.50'},'stderr_max':65536,'effect':'pure'}},'workflows':{}}"},
    /* user data is never renamed */
    {"agents:\n  a:\n    customParams: {userAgent: x, n: 0x1f, o: 0o17, f: 1e3, z: ~, "
     "b: True, l: [1, two]}\n",
     "{'agents':{'a':{'type':'llm','custom_params':{'userAgent':'x','n':31,'o':15,'f':1000.0,"
     "'z':null,'b':true,'l':[1,'two']}}},'workflows':{}}"},
    {"agents:\n  a: {outputSchema: {type: object, properties: {userName: {type: string}}}}\n",
     "{'agents':{'a':{'type':'llm','output_schema':{'type':'object','properties':{'userName':"
     "{'type':'string'}}}}},'workflows':{}}"},
    /* anchors and merge keys */
    {"profiles:\n  a: &a {provider: openai, model: m, temperature: 0.5}\n"
     "  b: {<<: *a, model: n}\n",
     "{'profiles':{'a':{'provider':'openai','model':'m','temperature':0.5},'b':{'model':'n',"
     "'provider':'openai','temperature':0.5}},'agents':{},'workflows':{}}"},
    /* profiles, limits, price */
    {"profiles:\n  p:\n    apiBase: http://x\n    apiKey: '${KEY}'\n    limits: development\n"
     "    fallbacks: [q, {provider: openai, model: m}]\n    price: {input: 0.25, output: null}\n"
     "    batch: {size: 10, flushInterval: 1.0}\n  q: {provider: script, echo: true}\n"
     "limits: development\n",
     "{'profiles':{'p':{'base_url':'http://x','api_key':'${KEY}','limits':{'rpm':60,'rpd':1000,"
     "'max_concurrency':5},'fallbacks':['q',{'provider':'openai','model':'m'}],'price':{'input':"
     "0.25},'batch':{'size':10,'flush_interval':1000},'provider':'openai'},'q':{'provider':"
     "'script','echo':true}},'limits':{'*':{'rpm':60,'rpd':1000,'max_concurrency':5}},'agents':"
     "{},'workflows':{}}"},
    /* servers and their shorthands */
    {"mcpServers:\n  a: {command: npx, args: [-y, x, 8080], env: {P: 80}}\n  b: {root: /data}\n"
     "  c: {type: playwright}\n  d: {url: 'http://x', callTimeout: 5s}\n"
     "  e: {command: [node, s.js], args: [-v]}\n",
     "{'mcp_servers':{'a':{'command':'npx','args':['-y','x','8080'],'env':{'P':'80'},'type':"
     "'stdio'},'b':{'command':'npx','args':['-y','@modelcontextprotocol/server-filesystem',"
     "'/data'],'roots':['/data'],'type':'stdio'},'c':{'type':'stdio','command':'npx','args':"
     "['-y','@playwright/mcp@latest']},'d':{'url':'http://x','call_timeout':5000,'type':'http'},"
     "'e':{'command':'node','args':['s.js','-v'],'type':'stdio'}},'agents':{},'workflows':{}}"},
    {"{\"mcpServers\": {\"fs\": {\"command\": \"npx\", \"args\": [\"-y\"], \"disabled\": false, "
     "\"alwaysAllow\": [\"read\"]}}}",
     "{'mcp_servers':{'fs':{'command':'npx','args':['-y'],'disabled':false,'auto_approve':"
     "['read'],'type':'stdio'}},'agents':{},'workflows':{}}"},
    /* a file that is one workflow */
    {"name: first\nparallel_execution: true\nglobal_timeout: 300\n"
     "agents: [{name: a, type: http_api, endpoint: 'http://x'}]\n"
     "tasks:\n  - {name: t, agent_name: a, action: fetch}\n"
     "  - {name: u, agentName: a, dependsOn: t, retryConfig: {max_attempts: 2}}\n",
     "{'name':'first','agents':{'a':{'type':'http','endpoint':'http://x'}},'workflows':{'first':"
     "{'type':'dag','parallel_execution':true,'timeout':300000,'nodes':[{'id':'t','type':'task',"
     "'agent':'a','action':'fetch'},{'id':'u','type':'task','agent':'a','depends_on':['t'],"
     "'retry':{'max_attempts':2}}]}}}"},
    {"agents: {a: {}}\ntasks: {t: {agent: a}}\ninputs: {type: object}\n",
     "{'agents':{'a':{'type':'llm'}},'workflows':{'flow':{'type':'dag','nodes':[{'id':'t','type':"
     "'task','agent':'a'}],'inputs':{'type':'object'},'parallel_execution':false}}}"},
    {"agents: {a: {}}\nnodes:\n  - {id: r, type: reduce, agent: a, inputs: {from_ids: [x, y], "
     "instruction: Sum}}\nedges: [[x, r]]\n",
     "{'agents':{'a':{'type':'llm'}},'workflows':{'flow':{'type':'dag','nodes':[{'id':'r','type':"
     "'reduce','agent':'a','from':['x','y'],'instruction':'Sum'}],'edges':[['x','r']]}}}"},
    /* nodes inside of nodes */
    {"agents: {a: {}}\nworkflows:\n  w:\n    nodes:\n      - id: l\n        type: loop\n"
     "        body: [{id: i, agent: a}]\n        until: true\n      - {id: p, type: parallel, "
     "fanOut: [a, {type: chain, sequence: [a]}], failureStrategy: continue_on_failure}\n",
     "{'agents':{'a':{'type':'llm'}},'workflows':{'w':{'type':'dag','nodes':[{'id':'l','type':"
     "'loop','body':[{'id':'i','type':'task','agent':'a'}],'until':'true'},{'id':'p','type':"
     "'parallel','fan_out':['a',{'type':'chain','sequence':['a']}],'failure_strategy':"
     "'continue_on_failure'}]}}}"},
    {"nodes:\n  - {id: h, type: human, prompt: Go?, choices: [yes, no], timeout: 2d, default: "
     "no}\n",
     "{'agents':{},'workflows':{'flow':{'type':'dag','nodes':[{'id':'h','type':'human','prompt':"
     "'Go?','choices':['yes','no'],'timeout':172800000,'default':'no'}]}}}"},
    /* variables: kept in texts, resolved elsewhere */
    {"settings: {max_iterations: '${N}', debug_mode: \"${D:-true}\", request_timeout: ${T:-5m}}\n"
     "agents: {a: {description: '${UNKNOWN} $${x}', effect: '${E:-once}'}}\n",
     "{'settings':{'max_iterations':7,'debug_mode':true,'request_timeout':300000},'agents':{'a':"
     "{'type':'llm','description':'${UNKNOWN} $${x}','effect':'once'}},'workflows':{}}"},
    {"agents: {h: {type: http, endpoint: ${U}, headers: {A: x${V:-a b}y, B: \"${W}\\x7f\"}}}",
     "{'agents':{'h':{'type':'http','endpoint':'${U}','headers':{'A':'x${V:-a b}y','B':'${W}\x7f'"
     "}}},'workflows':{}}"},
    {"description: |\n  two\n  lines\n",
     "{'description':'two\\nlines\\n','agents':{},'workflows':{}}"},
    {"\xef\xbb\xbfname: bom\r\nversion: \"2\"\r\n",
     "{'name':'bom','version':'2','agents':{},'workflows':{}}"},
};

static void
assert_doc(const struct spec *s, const char *json)
{
    AUTO(freep) char *text = json_text(s->doc), *want = xstrdup(json);
    for (char *p = want; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    assert_string_equal(text, want);
}

static void
test_normal(void **state)
{
    (void)state;
    static const char *const env[] = {"N=7", NULL};
    for (size_t i = 0; i < COUNT(normal); i++) {
        AUTO(spec_freep) struct spec *s = NULL;
        struct test_world w = {.env = env};
        assert_ok(test_load(&w, "flow.yaml", normal[i].yaml, &s));
        assert_doc(s, normal[i].json);
    }
}

/* ---- several files --------------------------------------------------------- */
static void
test_include(void **state)
{
    (void)state;
    static const char *const files[] = {
        "conf/models.yaml",
        "include: deeper/more.json\nprofiles: {p: {provider: script}}\nsettings: {maxIterations: "
        "3}",
        "conf/deeper/more.json",
        "{\"mcpServers\": {\"x\": {\"command\": \"c\"}}}",
        "conf/flow2.yaml",
        "name: second\nagents: {b: {}}\ntasks: [{name: t, agent: a}]\n",
        "conf/agents/critic.md",
        "---\ndescription: judges\nprofile: p\n---\n\nJudge {{ input }}\nhard.\n",
        "conf/agents/README.md",
        "# not a card\n",
        "conf/agents/x.md",
        "---\r\nname: named\r\n---\r\nBody\r\n",
        NULL};
    struct test_world w = {.files = files};
    AUTO(spec_freep) struct spec *s = NULL;
    assert_ok(test_load(&w, "./conf/main.yaml",
                        "include: [models.yaml, ./flow2.yaml, deeper/more.json]\nname: main\n"
                        "agents: {a: {profile: p}}\nsettings: {max_concurrency: 2}\n",
                        &s));
    assert_doc(s, "{'name':'main','profiles':{'p':{'provider':'script'}},'settings':{'max_"
                  "concurrency':2,'max_iterations':3},'mcp_servers':{'x':{'command':'c','type':"
                  "'stdio'}},'agents':{'a':{'type':'llm','profile':'p'},'b':{'type':'llm'},"
                  "'critic':{'type':'llm',"
                  "'description':'judges','profile':'p','instruction':'Judge {{ input }}\\nhard.'},"
                  "'named':{'type':'llm','instruction':'Body'}},'workflows':{'second':{'type':'dag'"
                  ",'nodes':[{'id':'t','type':'task','agent':"
                  "'a'}],'parallel_execution':false}}}");
}

/* ---- the JSON Schema of the language --------------------------------------- */
static json_t *
yaml_json(const char *yaml)
{
    AUTO(arena_freep) struct arena *a = arena_new(0);
    struct problems p = {0};
    struct ynode *root = NULL;
    json_t *j = NULL;
    const struct yfile f = {"t.yaml", yaml, strlen(yaml), 1};
    assert_ok(yaml_parse(a, yaml_whole(&f), &p, &root));
    assert_ok(yaml_to_json(root, &j));
    return j;
}

static void
test_schema(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "agnets: {}",
        "agents: {a: {type: lmm}}",
        "agents: {a: {type: http}}",
        "agents: {a: {type: exec, command: [x], instruction: y}}",
        "agents: [{name: a, instrution: x}]",
        "agents: {a: {timeout: soon}}",
        "settings: {maxConcurrency: 0}",
        "settings: {debug_mode: yes}",
        "workflows: {w: {type: chain}}",
        "workflows: {w: {type: chain, sequence: []}}",
        "workflows: {w: {type: task, agent: a}}",
        "tasks: [{name: t, agentname: a}]",
        "nodes: [{id: g, type: gate, whenn: x}]",
        "profiles: {p: {provider: openai, fallbacks: [{modl: x}]}}",
        "limits: production",
    };
    AUTO(json_freep) json_t *doc = spec_schema(&test_tables);
    AUTO(schema_freep) struct schema *schema = NULL;
    assert_ok(schema_compile(doc, &schema));
    for (size_t i = 0; i < COUNT(normal); i++) { /* what loads is not refused */
        AUTO(json_freep) json_t *value = yaml_json(normal[i].yaml);
        struct err *e = schema_enforce(schema, value);
        if (e)
            fprintf(stderr, "%s", normal[i].yaml);
        assert_ok(e);
    }
    for (size_t i = 0; i < COUNT(refused); i++) {
        AUTO(json_freep) json_t *value = yaml_json(refused[i]);
        struct err *e = schema_enforce(schema, value);
        if (!e)
            fail_msg("accepted: %s", refused[i]);
        err_free(e);
    }
    const json_t *camel = json_at(doc, "$defs", "agent.llm", "properties", "outputSchema", NULL);
    assert_string_equal(json_str(camel, "description", ""), "the reply's form");
}

/* ---- size ------------------------------------------------------------------ */
static void
test_large(void **state)
{
    (void)state;
    AUTO(str_fini) struct str text = STR_INIT;
    AUTO(spec_freep) struct spec *s = NULL;
    struct test_world w = {0};
    str_add(&text, "agents:\n");
    for (int i = 0; i < 20000; i++)
        str_addf(&text, "  agent_%d: {instruction: x}\n", i);
    assert_ok(test_load(&w, "f.yaml", str_c(&text), &s));
    assert_int_equal(json_object_size(json_object_get(s->doc, "agents")), 20000);
    assert_int_equal(spec_pos(s, "/agents/agent_19999").line, 20001);
}

static void
test_too_large(void **state)
{
    (void)state;
    AUTO(str_fini) struct str text = STR_INIT;
    struct spec *s = NULL;
    struct test_world w = {0};
    while (text.len <= ((size_t)16 << 20))
        str_add(&text,
                "# a comment of some length, to reach the limit soon ......................\n");
    assert_err(test_load(&w, "f.yaml", str_c(&text), &s), ERR_LIMIT,
               "the file is larger than 16 MiB");
    str_reset(&text);
    str_add(&text, "name: ");
    for (int i = 0; i < 100002; i++)
        str_add(&text, "[");
    assert_err(test_load(&w, "f.yaml", str_c(&text), &s), ERR_LIMIT,
               "more than 100000 brackets are not closed");
    str_reset(&text);
    str_add(&text, "name: [0");
    for (int i = 0; i < 1000002; i++)
        str_add(&text, ",0");
    str_add(&text, "]\n");
    assert_err(test_load(&w, "f.yaml", str_c(&text), &s), ERR_LIMIT,
               "more than 1000000 values in one file");
    str_reset(&text);
    str_add(&text, "name: &a \"");
    for (int i = 0; i < 100000; i++)
        str_add(&text, "0123456789");
    str_add(&text, "\"\nagents: {a: {custom_params: [");
    for (int i = 0; i < 20; i++)
        str_add(&text, "*a, ");
    str_add(&text, "]}}\n");
    assert_err(test_load(&w, "f.yaml", str_c(&text), &s), ERR_LIMIT,
               "aliases and merge keys expand to more than 16 MiB of text");
}

/* ---- bounds on files ------------------------------------------------------- */
static struct err *
endless_read(void *ctx, const char *path, struct str *ret_text)
{
    unsigned *n = ctx;
    (void)path;
    *n += 1;
    str_addf(ret_text, "include: f%u.yaml\n", *n);
    return NULL;
}

static struct err *
many_read(void *ctx, const char *path, struct str *ret_text)
{
    (void)ctx, (void)path;
    str_add(ret_text, "{}\n");
    return NULL;
}

static void
test_file_bounds(void **state)
{
    (void)state;
    AUTO(str_fini) struct str text = STR_INIT;
    struct spec *s = NULL;
    unsigned n = 0;
    struct spec_files files = {endless_read, NULL, &n};
    struct spec_source source = {
        .path = "f.yaml", .text = "include: f0.yaml", .len = 16, .files = &files};
    assert_err(spec_load(&test_tables, &source, &s), ERR_INVALID,
               "cannot include 'f15.yaml': files include each other too deeply");
    str_add(&text, "include:\n");
    for (int i = 0; i < 256; i++)
        str_addf(&text, "  - f%d.yaml\n", i);
    files.read = many_read;
    source.text = str_c(&text);
    source.len = text.len;
    assert_err(spec_load(&test_tables, &source, &s), ERR_INVALID,
               "cannot include 'f255.yaml': there are too many files");
    source.files = NULL;
    source.text = "include: x.yaml";
    source.len = 15;
    assert_err(spec_load(&test_tables, &source, &s), ERR_INVALID,
               "cannot include 'x.yaml': files cannot be read here");
}

/* ---- cards that are wrong -------------------------------------------------- */
static void
test_bad_cards(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
        unsigned line, col;
    } row[] = {
        {"---\nname: x\n", "the front matter is not closed with a line '---'", 1, 1},
        {"---\n- a\n---\n", "the front matter must be a map of keys", 2, 1},
        {"---\nprofil: x\n---\nhi\n", "agent 'c': unknown key 'profil' (did you mean 'profile'?)",
         2, 1},
        {"---\ninstruction: x\n---\nhi\n", "agent 'c': duplicate key 'instruction', first at 2:1",
         4, 1},
        {"---\n---\n\n  Say {{ inptu }}.\n",
         "agent 'c': 'instruction': unknown name 'inptu' (did you mean 'input'?)", 4, 10},
        {"---\nname: main\n---\n", "agent 'main' is already defined at f.yaml:1:10", 2, 7},
        {"---\nname: [x]\n---\n", "'name' must be a text", 2, 7},
        {"---\n\tx: 1\n---\n", "a tab cannot be used for indentation; use spaces", 2, 1},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        const char *const files[] = {"agents/c.md", row[i].text, NULL};
        struct test_world w = {.files = files};
        AUTO(spec_freep) struct spec *s = NULL;
        struct err *e = test_load(&w, "f.yaml", "agents: {main: {}}", &s);
        assert_non_null(e);
        assert_int_equal(err_pos(e).line, row[i].line);
        assert_int_equal(err_pos(e).col, row[i].col);
        assert_string_equal(err_pos(e).file, "agents/c.md");
        assert_err(e, ERR_INVALID, row[i].want);
    }
    const char *const no_front[] = {"agents/README.md", "# text\n", NULL};
    struct test_world w = {.files = no_front};
    AUTO(spec_freep) struct spec *s = NULL;
    assert_ok(test_load(&w, "f.yaml", "name: x", &s));
    assert_int_equal(err_count(spec_warnings(s)), 1);
    AUTO(freep) char *text = err_text(spec_warnings(s));
    assert_string_equal(text, "no front matter: not read as an agent");
}

TESTS(spec_test, cmocka_unit_test(test_normal), cmocka_unit_test(test_include),
      cmocka_unit_test(test_schema), cmocka_unit_test(test_large), cmocka_unit_test(test_too_large),
      cmocka_unit_test(test_file_bounds), cmocka_unit_test(test_bad_cards))
