/* env_test.c - ${NAME}, .env files, and settings from the environment. */
#include "base/test.h"
#include "spec/testkinds.h"

static const char *const vars[] = {"NAME=value", "EMPTY=", "N=5", NULL};

static void
test_expand(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want; /* want "!...": the error */
    } row[] = {
        {"", ""},
        {"plain $NAME { } $", "plain $NAME { } $"},
        {"${NAME}", "value"},
        {"a ${NAME} b ${N}${N}", "a value b 55"},
        {"${EMPTY}|${EMPTY:-d}|${NAME:-d}|${NONE:-d}|${NONE:-}", "|d|value|d|"},
        {"${NONE:-http://x:80/?a=b}", "http://x:80/?a=b"},
        {"$${NAME} $$ $$${NAME}", "${NAME} $$ $${NAME}"},
        {"${NONE}", "!environment variable 'NONE' is not set"},
        {"${}", "!'${' must be followed by NAME} or NAME:-default}; write '$${' for a plain '${'"},
        {"${1A}",
         "!'${' must be followed by NAME} or NAME:-default}; write '$${' for a plain '${'"},
        {"${A", "!'${' must be followed by NAME} or NAME:-default}; write '$${' for a plain '${'"},
        {"${A-b}",
         "!'${' must be followed by NAME} or NAME:-default}; write '$${' for a plain '${'"},
        {"${A:-b",
         "!'${' must be followed by NAME} or NAME:-default}; write '$${' for a plain '${'"},
    };
    struct test_world w = {.env = vars};
    const struct spec_env env = {test_env_get, NULL, &w};
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(str_fini) struct str out = STR_INIT;
        struct err *e = spec_expand(row[i].text, &env, &out);
        if (row[i].want[0] == '!') {
            assert_err(e, strstr(row[i].want, "not set") ? ERR_MISSING : ERR_INVALID,
                       row[i].want + 1);
            continue;
        }
        assert_ok(e);
        assert_string_equal(str_c(&out), row[i].want);
    }
    AUTO(str_fini) struct str out = STR_INIT;
    assert_err(spec_expand("${A}", NULL, &out), ERR_MISSING, "environment variable 'A' is not set");
}

static void
dotenv_set(void *ctx, const char *name, const char *value)
{
    str_addf(ctx, "[%s=%s]", name, value);
}

static void
test_dotenv(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want; /* want "!LINE message": the error */
    } row[] = {
        {"", ""},
        {"A=1\nB = two words \n", "[A=1][B=two words]"},
        {"# comment\n\n  export A=1\nexport=2\r\n", "[A=1][export=2]"},
        {"A=\nB=#c\nC=a#b\nD=a # c", "[A=][B=][C=a#b][D=a]"},
        {"A='it # stays $X \\n' # c\n", "[A=it # stays $X \\n]"},
        {"A=\"x\\ty\\\"\\\\\\$\\q\"\n", "[A=x\ty\"\\$\\q]"},
        {"A=\"two\nlines\"\nB=1\n", "[A=two\nlines][B=1]"},
        {"\xef\xbb\xbf"
         "A=${B}\n",
         "[A=${B}]"},
        {"URL=http://x/?a=b&c=d\n", "[URL=http://x/?a=b&c=d]"},
        {"A=1\nnothing\n", "!2 a '=' is missing after the name"},
        {"=1\n", "!1 a line must read NAME=value"},
        {"1A=1\n", "!1 a line must read NAME=value"},
        {"A=1\n\nB=\"open\nC=1\n", "!3 a quote is not closed"},
        {"A='x' y\n", "!1 text after the closing quote"},
        {"A=\"1\n2\" y\n", "!2 text after the closing quote"},
        {"A=\xff\n", "!1 the file is not UTF-8 text"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(str_fini) struct str got = STR_INIT;
        struct err *e =
            spec_dotenv_parse(".env", row[i].text, strlen(row[i].text), dotenv_set, &got);
        if (row[i].want[0] == '!') {
            assert_non_null(e);
            assert_int_equal(err_pos(e).line, row[i].want[1] - '0');
            assert_err(e, ERR_INVALID, row[i].want + 3);
            continue;
        }
        assert_ok(e);
        assert_string_equal(str_c(&got), row[i].want);
    }
}

/* The environment (space separated), the file, the doc; or "!" and all that is told. */
static const struct {
    const char *const *env;
    const char *yaml, *want;
} overrides[] = {
    {(const char *const[]){"MAX_CONCURRENCY=7", "DEBUG_MODE=1", "RETRY_DELAY=500ms",
                           "METRICS_PORT=", NULL},
     "settings: {max_concurrency: 2}",
     "{'settings':{'max_concurrency':2,'retry_delay':500,'debug_mode':true},'agents':{},"
     "'workflows':{}}"},
    {(const char *const[]){"MAX_CONCURRENCY=7", "TUTTI_SETTINGS__MAX_CONCURRENCY=9", NULL},
     "name: x", "{'name':'x','agents':{},'workflows':{},'settings':{'max_concurrency':9}}"},
    {(const char *const[]){"TUTTI_SETTINGS__MAX_CONCURRENCY=9", "TUTTI_STORE=x", "TUTTI___X=1",
                           NULL},
     "settings: {max_concurrency: 2}",
     "{'settings':{'max_concurrency':9},'agents':{},'workflows':{}}"},
    {(const char *const[]){
         "TUTTI_PROFILES__FAST_ONE__MODEL=5", "TUTTI_PROFILES__FAST_ONE__LIMITS__RPM=3",
         "TUTTI_AGENTS__A__RETRY__MAX_ATTEMPTS=4", "TUTTI_AGENTS__A__INSTRUCTION=yes", NULL},
     "profiles: {fast-one: {provider: openai, model: m}}\nagents: {a: {retry: {jitter: true}}}",
     "!environment variable 'TUTTI_PROFILES__FAST_ONE__LIMITS__RPM': there is no key 'LIMITS'\n"},
    {(const char *const[]){"TUTTI_PROFILES__FAST_ONE__MODEL=5",
                           "TUTTI_AGENTS__A__RETRY__MAX_ATTEMPTS=4",
                           "TUTTI_AGENTS__A__INSTRUCTION=yes", "TUTTI_WORKFLOWS__W__TIMEOUT=5",
                           "TUTTI_AGENTS__A__CIRCUIT_BREAKER__FAILURE_THRESHOLD=2", NULL},
     "profiles: {fast-one: {provider: openai, model: m}}\nagents: {a: {retry: {jitter: true}}}\n"
     "workflows: {w: {type: chain, sequence: [a]}}",
     "{'profiles':{'fast-one':{'provider':'openai','model':'5'}},'agents':{'a':{'type':'llm',"
     "'retry':{'jitter':true,'max_attempts':4},'instruction':'yes','circuit_breaker':{'failure_"
     "threshold':2}}},'workflows':{'w':{'type':'chain','sequence':['a'],'timeout':5000}}}"},
    {(const char *const[]){"TUTTI_PROFILES__OTHER__MODEL=m", "TUTTI_NOWHERE__X=1", NULL}, "name: x",
     "{'name':'x','agents':{},'workflows':{}}"},
    {(const char *const[]){"TUTTI_SETTINGS__MAX_CONCURENCY=9", NULL}, "name: x",
     "!environment variable 'TUTTI_SETTINGS__MAX_CONCURENCY': there is no key 'MAX_CONCURENCY'\n"},
    {(const char *const[]){"MAX_CONCURRENCY=lots", "TUTTI_SETTINGS__DEBUG_MODE=maybe", NULL},
     "name: x",
     "!environment variable 'MAX_CONCURRENCY': 'max_concurrency' expects an integer from 1 to "
     "100000, found the text 'lots'\n"
     "environment variable 'TUTTI_SETTINGS__DEBUG_MODE': 'debug_mode' expects true or false, found "
     "the text 'maybe'\n"},
    {(const char *const[]){"TUTTI_AGENTS__A__PROFILE=fats", NULL},
     "agents: {a: {}}\nprofiles: {fast: {provider: script}}",
     "!environment variable 'TUTTI_AGENTS__A__PROFILE': 'profile': there is no profile 'fats' (did "
     "you mean 'fast'?)\n"},
    {(const char *const[]){"TUTTI_SETTINGS__=1", "TUTTI_AGENTS__A=1", NULL}, "agents: {a: {}}",
     "!environment variable 'TUTTI_SETTINGS__': there is no key ''\n"},
};

static void
test_overrides(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(overrides); i++) {
        struct test_world w = {.env = overrides[i].env};
        AUTO(spec_freep) struct spec *s = NULL;
        AUTO(freep) char *want = xstrdup(overrides[i].want);
        AUTO(err_freep) struct err *e = test_load(&w, "f.yaml", overrides[i].yaml, &s);
        if (want[0] == '!') {
            AUTO(str_fini) struct str got = STR_INIT;
            for (const struct err *one = e; one; one = err_next(one)) {
                AUTO(freep) char *text = err_text(one);
                str_addf(&got, "%s\n", text);
            }
            assert_string_equal(str_c(&got), want + 1);
            continue;
        }
        assert_ok(STEAL(e));
        for (char *p = want; *p; p++)
            *p = *p == '\'' ? '"' : *p;
        AUTO(freep) char *text = json_text(s->doc);
        assert_string_equal(text, want);
    }
}

TESTS(env_test, cmocka_unit_test(test_expand), cmocka_unit_test(test_dotenv),
      cmocka_unit_test(test_overrides))
