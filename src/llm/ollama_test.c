/* ollama_test.c - Ollama's chat: requests and answers in their exact bytes. */
#include "llm/testcuts.h"

#define P   "{'provider':'ollama','model':'qwen3'}"
#define PS  "{'provider':'ollama','model':'qwen3','stream':true}"
#define HI  "{'messages':[{'role':'user','content':[{'type':'text','text':'Hi'}]}]}"
#define END "'done':true,'done_reason':'stop','prompt_eval_count':11,'eval_count':4}"

static const struct fixture answers[] = {
    {.name = "plain",
     .profile = P,
     .request = HI,
     .body = "{'model':'qwen3','created_at':'2026-01-01T00:00:00Z','message':{'role':'assistant','"
             "content':'Hello!','thinking':'hm'}," END,
     .sent = "{'model':'qwen3','messages':[{'role':'user','content':'Hi'}],'stream':false}",
     .want = "stop [{'type':'text','text':'Hello!'}] 11/4 (qwen3 -)"},
    {.name = "calls without ids; counts left out",
     .profile = "{'provider':'ollama','model':'qwen3','price':{'input':0,'output':0}}",
     .request = "{'messages':[],'tools':[{'name':'files.read'}]}",
     .body = "{'message':{'role':'assistant','content':'','tool_calls':[{'function':{'name':'files_"
             "read','arguments':{'p':1}}},"
             "{'function':{'name':'files_read','arguments':'{}'}}]},'done':true,'done_reason':'"
             "stop','eval_count':4}",
     .sent = "{'model':'qwen3','messages':[],'tools':[{'type':'function','function':{'name':'files_"
             "read','description':'','parameters':"
             "{'type':'object','properties':{}}}}],'stream':false}",
     .want =
         "tool_calls [{'type':'tool_call','id':'call_0_1','name':'files.read','arguments':{'p':1}},"
         "{'type':'tool_call','id':'call_0_2','name':'files.read','arguments':{}}] 0/4 (- -)"},
    {.name = "cut short",
     .profile = P,
     .request = HI,
     .body = "{'message':{'content':'a'},'done':true,'done_reason':'length'}",
     .want = "length [{'type':'text','text':'a'}] 0/0 (- -)"},
    {.name = "not done",
     .profile = P,
     .request = HI,
     .body = "{'message':{'content':'a'}}",
     .want = "transient: ollama sent a garbled answer: it is not done"},
    {.name = "no message",
     .profile = P,
     .request = HI,
     .body = "{'done':true}",
     .want = "transient: ollama sent a garbled answer: no message in it"},
    {.name = "no such model",
     .profile = P,
     .request = HI,
     .status = 404,
     .body = "{'error':'model \\'qwen3\\' not found'}",
     .want =
         "missing: ollama refuses the request to model 'qwen3' (404): 'model 'qwen3' not found'"},
    {.name = "streamed text",
     .profile = PS,
     .request = HI,
     .type = "application/x-ndjson",
     .body = "{'model':'qwen3','message':{'role':'assistant','content':'Hel'},'done':false}\n\n{'"
             "message':{'content':'lo'},'done':false}\r\n"
             "{'message':{'content':''}," END "\n",
     .sent = "{'model':'qwen3','messages':[{'role':'user','content':'Hi'}],'stream':true}",
     .want = "stop [{'type':'text','text':'Hello'}] 11/4 (qwen3 -)"},
    {.name = "streamed calls, no line end at the end",
     .profile = PS,
     .request = HI,
     .body = "{'message':{'content':'a','tool_calls':[{'function':{'name':'t','arguments':{}}}]},'"
             "done':false}\n{'message':{'tool_calls':["
             "{'id':'x','function':{'name':'u','arguments':{'a':1}}}]},'done':false}\n{'message':{'"
             "content':''}," END,
     .want = "tool_calls "
             "[{'type':'text','text':'a'},{'type':'tool_call','id':'call_1_1','name':'t','"
             "arguments':{}},"
             "{'type':'tool_call','id':'x','name':'u','arguments':{'a':1}}] 11/4 (- -)"},
    {.name = "an error in the stream",
     .profile = PS,
     .request = HI,
     .body = "{'message':{'content':'a'},'done':false}\n{'error':'an error was encountered while "
             "running the model'}\n",
     .want = "transient: ollama is in trouble: 'an error was encountered while running the model'"},
    {.name = "ends early",
     .profile = PS,
     .request = HI,
     .body = "{'message':{'content':'a'},'done':false}\n",
     .want = "transient: the stream of ollama ended early"},
    {.name = "a line that is no object",
     .profile = PS,
     .request = HI,
     .body = "7\n",
     .want = "transient: ollama sent a garbled answer: a line that is no object"},
    {.name = "numbers that nobody can have counted",
     .profile = "{'provider':'ollama','model':'qwen3','price':{'input':0,'output':0}}",
     .request = HI,
     .body = "{'message':{'content':'a'},'done':true,'eval_count':9223372036854775807,"
             "'prompt_eval_count':'7'}",
     .want = "stop [{'type':'text','text':'a'}] 0/1099511627776 (- -)"},
};

static void
bodies(void **state)
{
    (void)state;
    check_fixtures(answers);
    check_cuts(&answers[6]);
    check_cuts(&answers[7]);
    AUTO(freep) char *body = quoted(answers[6].body);
    check_drops(&answers[6], strlen(body) - 1);
}

#define OK "{'message':{'content':'x'},'done':true}"
static const struct fixture requests[] = {
    {.name = "a whole conversation, with options and a schema",
     .profile = "{'provider':'ollama','model':'m','system_prompt':'A','temperature':0.5,'max_"
                "tokens':9,'stop':'x','top_k':2,'reasoning':'high',"
                "'extra':{'options':{'num_ctx':8192},'keep_alive':'5m'}}",
     .request = "{'messages':[{'role':'user','content':[{'type':'text','text':'see'},{'type':'"
                "image','mime':'image/png','data':'iVBO'}]},"
                "{'role':'assistant','content':[{'type':'text','text':'ok'},{'type':'tool_call','"
                "id':'a','name':'files.read','arguments':{'p':1}},"
                "{'type':'tool_call','id':'b','name':'t','arguments':{}}]},"
                "{'role':'tool','content':[{'type':'tool_result','id':'a','name':'files.read','"
                "content':[{'type':'text','text':'r'}]},"
                "{'type':'tool_result','id':'b','name':'t','content':[{'type':'image','mime':'"
                "image/png','data':'AAAA'}]}]}],'output_schema':{'type':'object'}}",
     .body = OK,
     .sent = "{'model':'m','messages':[{'role':'system','content':'A'},{'role':'user','content':'"
             "see','images':['iVBO']},"
             "{'role':'assistant','content':'ok','tool_calls':[{'function':{'name':'files_read','"
             "arguments':{'p':1}}},{'function':{'name':'t','arguments':{}}}]},"
             "{'role':'tool','tool_name':'files_read','content':'r'},{'role':'tool','tool_name':'t'"
             ",'content':'','images':['AAAA']}],"
             "'format':{'type':'object'},'options':{'temperature':0.5,'top_k':2,'num_predict':9,'"
             "stop':['x'],'num_ctx':8192},'think':'high',"
             "'stream':false,'keep_alive':'5m'}"},
    {.name = "no tools wanted",
     .profile = P,
     .request = "{'messages':[],'tools':[{'name':'t'}],'tool_choice':'none'}",
     .body = OK,
     .sent = "{'model':'qwen3','messages':[],'stream':false}"},
    {.name = "an image by URL",
     .profile = P,
     .request = "{'messages':[{'role':'user','content':[{'type':'image','url':'http://x'}]}]}",
     .body = OK,
     .want = "invalid: ollama takes images as data, not by URL"},
    {.name = "a file",
     .profile = P,
     .request = "{'messages':[{'role':'user','content':[{'type':'file','mime':'application/"
                "pdf','data':'AAAA'}]}]}",
     .body = OK,
     .want = "invalid: ollama takes no file parts"},
};

static void
request_bodies(void **state)
{
    (void)state;
    check_fixtures(requests);
}

static void
address(void **state)
{
    (void)state;
    static const char *const bases[] = {"http://h:1",     "http://h:1/",    "http://h:1/v1",
                                        "http://h:1/v1/", "http://h:1/api", "http://h:1/api/chat"};
    for (size_t i = 0; i < COUNT(bases); i++) {
        AUTO(freep)
        char *profile = xasprintf("{'provider':'ollama','model':'m','base_url':'%s'}", bases[i]);
        const struct fixture f = {.profile = profile, .request = HI, .body = OK};
        struct server s;
        server_init(&s, &f);
        struct ask a = {.server = &s, .f = &f};
        in_sim(ask_fiber, &a);
        assert_string_equal(str_c(&s.url), "http://h:1/api/chat");
        assert_string_equal(str_c(&s.headers), "Content-Type: application/json\n");
        ask_fini(&a);
        server_fini(&s);
    }
}

TESTS(ollama_test, cmocka_unit_test(address), cmocka_unit_test(bodies),
      cmocka_unit_test(request_bodies))
