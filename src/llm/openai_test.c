/* openai_test.c - chat completions: requests and answers in their exact bytes. */
#include "llm/testcuts.h"

#define P  "{'provider':'openai','model':'gpt-4o-mini','api_key':'sk-secret-1'}"
#define PS "{'provider':'openai','model':'gpt-4o-mini','api_key':'sk-secret-1','stream':true}"
#define HI "{'messages':[{'role':'user','content':[{'type':'text','text':'Hi'}]}]}"
#define TOOL                                                                                       \
    "{'name':'files.read','description':'Reads.','input_schema':{'type':'object','properties':{'"  \
    "p':{'type':'string'}}}}"
#define ASK_TOOL                                                                                   \
    "{'messages':[{'role':'user','content':[{'type':'text','text':'Hi'}]}],'tools':[" TOOL "]}"
#define USAGE "'usage':{'prompt_tokens':12,'completion_tokens':3,'total_tokens':15}"

static const struct fixture whole[] = {
    {.name = "plain",
     .profile = P,
     .request = HI,
     .body =
         "{'id':'chatcmpl-1','object':'chat.completion','created':1,'model':'gpt-4o-mini-2024-07-"
         "18',"
         "'choices':[{'index':0,'message':{'role':'assistant','content':'Hello!','refusal':null},"
         "'logprobs':null,'finish_reason':'stop'}],'usage':{'prompt_tokens':1200,"
         "'completion_tokens':30,'total_tokens':1230,'prompt_tokens_details':{'cached_tokens':1024,"
         "'audio_tokens':0},'completion_tokens_details':{'reasoning_tokens':10}},"
         "'system_fingerprint':'fp_1'}",
     .sent = "{'model':'gpt-4o-mini','messages':[{'role':'user','content':'Hi'}]}",
     .want = "stop [{'type':'text','text':'Hello!'}] 1200/30 cached=1024 think=10 "
             "(gpt-4o-mini-2024-07-18 chatcmpl-1)"},
    {.name = "priced: cached tokens once, at their own price",
     .profile =
         "{'provider':'openai','model':'m','price':{'input':1,'cached_input':0.1,'output':4}}",
     .request = HI,
     .body =
         "{'choices':[{'message':{'content':'x'},'finish_reason':'stop'}],'usage':{'prompt_tokens':"
         "1000,'completion_tokens':10,'prompt_tokens_details':{'cached_tokens':900}}}",
     .want = "stop [{'type':'text','text':'x'}] 1000/10 cached=900 usd=0.000230 (- -)"},
    {.name = "no price for what is cached: no cost",
     .profile = "{'provider':'openai','model':'m','price':{'input':1,'output':4}}",
     .request = HI,
     .body =
         "{'choices':[{'message':{'content':'x'},'finish_reason':'stop'}],'usage':{'prompt_tokens':"
         "1000,'completion_tokens':10,'prompt_tokens_details':{'cached_tokens':900}}}",
     .want = "stop [{'type':'text','text':'x'}] 1000/10 cached=900 (- -)"},
    {.name = "two calls at once, one without arguments",
     .profile = P,
     .request = ASK_TOOL,
     .body = "{'id':'c','model':'m','choices':[{'message':{'role':'assistant','content':null,'tool_"
             "calls':["
             "{'id':'call_a','type':'function','function':{'name':'files_read','arguments':'{\\'"
             "p\\':\\'x\\'}'}},"
             "{'id':'call_b','type':'function','function':{'name':'other','arguments':''}}]},"
             "'finish_reason':'tool_calls'}]," USAGE "}",
     .sent = "{'model':'gpt-4o-mini','messages':[{'role':'user','content':'Hi'}],'tools':[{'type':'"
             "function',"
             "'function':{'name':'files_read','description':'Reads.','parameters':{'type':'object',"
             "'properties':{'p':{'type':'string'}}}}}]}",
     .want =
         "tool_calls [{'type':'tool_call','id':'call_a','name':'files.read','arguments':{'p':'x'}},"
         "{'type':'tool_call','id':'call_b','name':'other','arguments':{}}] 12/3 (m c)"},
    {.name = "no id, arguments an object, finish_reason stop",
     .profile = P,
     .request = ASK_TOOL,
     .body = "{'choices':[{'message':{'tool_calls':[{'function':{'name':'files_read','arguments':{'"
             "p':1}}},"
             "{'function':{'name':'files_read','arguments':'\\'{\\\\\\'p\\\\\\':2}\\''}}]},'finish_"
             "reason':'stop'}]}",
     .want =
         "tool_calls [{'type':'tool_call','id':'call_1_1','name':'files.read','arguments':{'p':1}},"
         "{'type':'tool_call','id':'call_1_2','name':'files.read','arguments':{'p':2}}] 0/0 (- -)"},
    {.name = "garbled arguments",
     .profile = P,
     .request = ASK_TOOL,
     .body = "{'choices':[{'message':{'tool_calls':[{'id':'a','function':{'name':'files_read','"
             "arguments':"
             "'{\\'p\\': '}}]},'finish_reason':'tool_calls'}]}",
     .want =
         "tool_calls [{'type':'tool_call','id':'a','name':'files.read','arguments':{},'invalid':"
         "'{\\'p\\': '}] 0/0 (- -)"},
    {.name = "a refusal",
     .profile = P,
     .request = HI,
     .body = "{'choices':[{'message':{'content':null,'refusal':'I "
             "cannot.'},'finish_reason':'stop'}]," USAGE "}",
     .want = "filter [{'type':'text','text':'I cannot.'}] 12/3 (- -)"},
    {.name = "cut short, content in parts",
     .profile = P,
     .request = HI,
     .body = "{'choices':[{'message':{'content':[{'type':'text','text':'a'},{'type':'thinking'},"
             "{'type':'text','text':'b'}]},'finish_reason':'length'}]," USAGE "}",
     .want = "length [{'type':'text','text':'a'},{'type':'text','text':'b'}] 12/3 (- -)"},
    {.name = "filtered",
     .profile = P,
     .request = HI,
     .body = "{'choices':[{'message':{'content':''},'finish_reason':'content_filter'}]}",
     .want = "filter [] 0/0 (- -)"},
    {.name = "usage inside the choice, half a surrogate pair, a NUL",
     .profile = P,
     .request = HI,
     .body = "{'choices':[{'usage':{'prompt_tokens':4,'completion_tokens':2},'message':{'content':"
             "'a\\ud83d\\u0000b\\ud83d\\ude00'},'finish_reason':'stop'}]}",
     .want = "stop [{'type':'text','text':'a\xef\xbf\xbd\xef\xbf\xbd"
             "b\xf0\x9f\x98\x80'}] 4/2 (- -)"},
    {.name = "thinking to be sent back in a tool loop",
     .profile = "{'provider':'deepseek','model':'deepseek-chat'}",
     .request = ASK_TOOL,
     .body = "{'choices':[{'message':{'reasoning_content':'hm','tool_calls':[{'id':'a','function':{"
             "'name':"
             "'x','arguments':'{}'},'extra_content':{'google':{'thought_signature':'s'}}}]},"
             "'finish_reason':'tool_calls'}],'usage':{'prompt_tokens':9,'completion_tokens':1,"
             "'prompt_cache_hit_tokens':8}}",
     .want =
         "tool_calls [{'type':'provider','provider':'openai','data':{'reasoning_content':'hm'}},"
         "{'type':'tool_call','id':'a','name':'x','arguments':{},'keep':{'openai':{'extra_content':"
         "{'google':{'thought_signature':'s'}}}}}] 9/1 cached=8 (- -)"},
    {.name = "numbers that nobody can have counted",
     .profile = P,
     .request = HI,
     .body = "{'choices':[{'message':{'content':'x'},'finish_reason':'stop'}],'usage':{'prompt_"
             "tokens':9223372036854775807,'completion_tokens':9223372036854775807,'completion_"
             "tokens_details':{'reasoning_tokens':-5}}}",
     .want = "stop [{'type':'text','text':'x'}] 1099511627776/1099511627776 (- -)"},
    {.name = "half of the numbers: the cost is not known",
     .profile = "{'provider':'openai','model':'m','price':{'input':1,'output':4}}",
     .request = HI,
     .body = "{'choices':[{'message':{'content':'x'},'finish_reason':'stop'}],'usage':{'prompt_"
             "tokens':10,'completion_tokens':'many'}}",
     .want = "stop [{'type':'text','text':'x'}] 10/0 (- -)"},
};

static void
whole_bodies(void **state)
{
    (void)state;
    check_fixtures(whole);
}

#define CHUNK(delta)                                                                               \
    "data: {'id':'c1','model':'m1','choices':[{'index':0,'delta':" delta                           \
    ",'finish_reason':null}]}\n\n"
#define FINISH(why)                                                                                \
    "data: {'id':'c1','model':'m1','choices':[{'index':0,'delta':{},'finish_reason':'" why         \
    "'}]}\n\n"
#define LAST "data: {'id':'c1','choices':[],'usage':{'prompt_tokens':5,'completion_tokens':2}}\n\n"
#define DONE "data: [DONE]\n\n"

static const struct fixture streamed[] = {
    {.name = "text",
     .profile = PS,
     .request = HI,
     .body = CHUNK("{'role':'assistant','content':''}") CHUNK("{'content':'Gr\xc3\xbc'}")
         CHUNK("{'content':'\xc3\x9f dich'}") FINISH("stop") LAST DONE,
     .sent = "{'model':'gpt-4o-mini','messages':[{'role':'user','content':'Hi'}],'stream':true,"
             "'stream_options':{'include_usage':true}}",
     .want = "stop [{'type':'text','text':'Gr\xc3\xbc\xc3\x9f dich'}] 5/2 (m1 c1)"},
    {.name = "calls by index, interleaved",
     .profile = PS,
     .request = ASK_TOOL,
     .body = CHUNK("{'tool_calls':[{'index':0,'id':'a','type':'function','function':{'name':'files_"
                   "read','arguments':''}}]}")
         CHUNK("{'tool_calls':[{'index':1,'id':'b','function':{'name':'t2','arguments':'{\\'n'}}]}")
             CHUNK("{'tool_calls':[{'index':0,'function':{'arguments':'{\\'p\\':'}},{'index':1,'"
                   "function':{'arguments':'\\':2}'}}]}")
                 CHUNK("{'tool_calls':[{'index':0,'function':{'arguments':'\\'x\\'}'}}]}")
                     FINISH("tool_calls") LAST DONE,
     .want = "tool_calls [{'type':'tool_call','id':'a','name':'files.read','arguments':{'p':'x'}},"
             "{'type':'tool_call','id':'b','name':'t2','arguments':{'n':2}}] 5/2 (m1 c1)"},
    {.name = "every call under index 0, no [DONE]",
     .profile = PS,
     .request = ASK_TOOL,
     .body =
         CHUNK("{'tool_calls':[{'index':0,'id':'a','function':{'name':'t1','arguments':'{}'}}]}")
             CHUNK("{'tool_calls':[{'index':0,'id':'b','function':{'name':'t2','arguments':'{'}}]}")
                 CHUNK("{'tool_calls':[{'index':0,'function':{'arguments':'}'}}]}") FINISH("stop"),
     .want = "tool_calls [{'type':'tool_call','id':'a','name':'t1','arguments':{}},"
             "{'type':'tool_call','id':'b','name':'t2','arguments':{}}] 0/0 (m1 c1)"},
    {.name = "calls without index or id",
     .profile = PS,
     .request = ASK_TOOL,
     .body = CHUNK("{'tool_calls':[{'function':{'name':'t1','arguments':'{\\'a\\':'}}]}")
         CHUNK("{'tool_calls':[{'function':{'arguments':'1}'}}]}")
             CHUNK("{'tool_calls':[{'function':{'name':'t1','arguments':'{}'}}]}")
                 FINISH("tool_calls") DONE,
     .want = "tool_calls [{'type':'tool_call','id':'call_1_1','name':'t1','arguments':{'a':1}},"
             "{'type':'tool_call','id':'call_1_2','name':'t1','arguments':{}}] 0/0 (m1 c1)"},
    {.name = "thinking, usage with each chunk, groq's corner, comments",
     .profile = PS,
     .request = ASK_TOOL,
     .body =
         ": keep-alive\n\n"
         "data: "
         "{'choices':[{'delta':{'reasoning_content':'h'}}],'usage':null,'x_groq':{'id':'r'}}"
         "\r\n\r\n"
         "data: "
         "{'choices':[{'delta':{'reasoning_content':'m'}}],'usage':{'prompt_tokens':7,'completion_"
         "tokens':1}}\n\n"
         "data: "
         "{'choices':[{'delta':{'tool_calls':[{'index':0,'id':'a','function':{'name':'t'}}]}}]}\n\n"
         "data: "
         "{'choices':[{'delta':{},'finish_reason':'tool_calls'}],'x_groq':{'usage':{'prompt_tokens'"
         ":7,'completion_tokens':9}}}\n\n" DONE,
     .want =
         "tool_calls [{'type':'provider','provider':'openai','data':{'reasoning_content':'hm'}},"
         "{'type':'tool_call','id':'a','name':'t','arguments':{}}] 7/9 (- -)"},
    {.name = "a refusal in pieces",
     .profile = PS,
     .request = HI,
     .body = CHUNK("{'refusal':'No'}") CHUNK("{'refusal':'.'}") FINISH("stop") DONE,
     .want = "filter [{'type':'text','text':'No.'}] 0/0 (m1 c1)"},
    {.name = "asked for a stream, answered whole",
     .profile = PS,
     .request = HI,
     .type = "application/json; charset=utf-8",
     .body = "{'choices':[{'message':{'content':'x'},'finish_reason':'stop'}]}",
     .want = "stop [{'type':'text','text':'x'}] 0/0 (- -)"},
};

static void
streams(void **state)
{
    (void)state;
    check_fixtures(streamed);
    for (size_t i = 0; i < 3; i++)
        check_cuts(&streamed[i]);
    check_cuts(&whole[3]);
}

static void
drops(void **state)
{
    (void)state;
    AUTO(freep) char *body = quoted(streamed[0].body);
    /* once the reason to stop is there a clean end would do, a broken connection does not */
    check_drops(&streamed[0], (size_t)(strstr(body, "data: [DONE]") - body));
    check_drops(&whole[0], 0);
}

static const struct fixture broken[] = {
    {.name = "not JSON",
     .profile = P,
     .request = HI,
     .body = "<html>",
     .want = "transient: openai sent a garbled answer: not JSON: invalid token near '<' at "
             "line 1, column 1"},
    {.name = "not JSON that quotes our key",
     .profile = P,
     .request = HI,
     .body = "{'a' 'sk-secret-1'}",
     .want = "transient: openai sent a garbled answer: not JSON: ':' expected near ''[key]'' "
             "at line 1, column 18"},
    {.name = "no choices",
     .profile = P,
     .request = HI,
     .body = "{'choices':[]}",
     .want = "transient: openai sent a garbled answer: no choices[0].message in it"},
    {.name = "an empty answer",
     .profile = P,
     .request = HI,
     .body = "",
     .want = "transient: openai sent a garbled answer: not JSON: unexpected token near end of file "
             "at line 1, "
             "column 0"},
    {.name = "an error behind status 200",
     .profile = P,
     .request = HI,
     .body = "{'error':{'message':'Upstream is overloaded','code':502}}",
     .want = "transient: openai is in trouble (502): 'Upstream is overloaded'"},
    {.name = "an error in the stream",
     .profile = PS,
     .request = HI,
     .body =
         CHUNK("{'content':'a'}") "data: {'error':{'message':'Rate limit "
                                  "reached','type':'requests','code':'rate_limit_exceeded'}}\n\n",
     .want = "limit: openai limits requests to model 'gpt-4o-mini' (rate_limit_exceeded): 'Rate "
             "limit reached'"},
    {.name = "the stream ends without an end",
     .profile = PS,
     .request = HI,
     .body = CHUNK("{'content':'a'}"),
     .want = "transient: the stream of openai ended early"},
    {.name = "an event that is no JSON",
     .profile = PS,
     .request = HI,
     .body = "data: {'choices':\n\n",
     .want = "transient: openai sent a garbled answer: not JSON: unexpected token near end of file "
             "at line 1, column 11"},
    {.name = "an event that is a list",
     .profile = PS,
     .request = HI,
     .body = "data: [1]\n\n",
     .want = "transient: openai sent a garbled answer: an event that is no object"},
};

static void
broken_answers(void **state)
{
    (void)state;
    check_fixtures(broken);
}

#define OK "{'choices':[{'message':{'content':'x'},'finish_reason':'stop'}]}"
static const struct fixture requests[] = {
    {.name = "everything a message can hold",
     .profile = "{'provider':'openai','model':'m','system_prompt':'Be \\'brief\\'.\\n'}",
     .request = "{'messages':[{'role':'system','content':[{'type':'text','text':'S'}]},"
                "{'role':'user','content':[{'type':'text','text':'look\\t\\u0001'},{'type':'image',"
                "'mime':'image/png','data':'iVBO'},"
                "{'type':'image','url':'https://x/y.png'},{'type':'audio','mime':'audio/"
                "mpeg','data':'SUQz'},"
                "{'type':'file','mime':'application/pdf','name':'a.pdf','data':'JVBE'}]},"
                "{'role':'assistant','content':[{'type':'text','text':'ok'},{'type':'provider','"
                "provider':'anthropic','data':{'type':'thinking'}},"
                "{'type':'tool_call','id':'c1','name':'files.read','arguments':{'p':'\\'q\\''}},"
                "{'type':'tool_call','id':'c2','name':'t','arguments':{},'invalid':'{oops'}]},"
                "{'role':'tool','content':[{'type':'tool_result','id':'c1','name':'files.read','"
                "content':[{'type':'text','text':'r1'},"
                "{'type':'image','mime':'image/gif','data':'R0lG'}]}]},"
                "{'role':'tool','content':[{'type':'tool_result','id':'c2','content':[],'is_error':"
                "true}]},"
                "{'role':'user','content':[]},"
                "{'role':'user','content':[{'type':'text','text':'go'}]}]}",
     .body = OK,
     .sent = "{'model':'m','messages':[{'role':'system','content':'Be "
             "\\'brief\\'.\\n'},{'role':'system','content':'S'},"
             "{'role':'user','content':[{'type':'text','text':'look\\t\\u0001'},"
             "{'type':'image_url','image_url':{'url':'data:image/png;base64,iVBO'}},"
             "{'type':'image_url','image_url':{'url':'https://x/y.png'}},"
             "{'type':'input_audio','input_audio':{'data':'SUQz','format':'mp3'}},"
             "{'type':'file','file':{'filename':'a.pdf','file_data':'data:application/"
             "pdf;base64,JVBE'}}]},"
             "{'role':'assistant','content':'ok','tool_calls':[{'id':'c1','type':'function','"
             "function':{'name':'files_read',"
             "'arguments':'{\\'p\\':\\'\\\\\\'q\\\\\\'\\'}'}},{'id':'c2','type':'function','"
             "function':{'name':'t','arguments':'{oops'}}]},"
             "{'role':'tool','tool_call_id':'c1','content':'r1'},{'role':'tool','tool_call_id':'c2'"
             ",'content':''},"
             "{'role':'user','content':[{'type':'image_url','image_url':{'url':'data:image/"
             "gif;base64,R0lG'}}]},"
             "{'role':'user','content':'go'}]}"},
    {.name = "what came with a call goes back with it",
     .profile = P,
     .request = "{'messages':[{'role':'assistant','content':[{'type':'provider','provider':'openai'"
                ",'data':{'reasoning_content':'hm'}},"
                "{'type':'tool_call','id':'a','name':'t','arguments':{},'keep':{'openai':{'extra_"
                "content':{'g':1}}}}]},"
                "{'role':'tool','content':[{'type':'tool_result','id':'a','content':[{'type':'text'"
                ",'text':'r'}]}]}]}",
     .body = OK,
     .sent = "{'model':'gpt-4o-mini','messages':[{'role':'assistant','content':null,'reasoning_"
             "content':'hm','tool_calls':["
             "{'id':'a','type':'function','function':{'name':'t','arguments':'{}'},'extra_content':"
             "{'g':1}}]},"
             "{'role':'tool','tool_call_id':'a','content':'r'}]}"},
    {.name = "parameters, choice, schema that can be strict",
     .profile = "{'provider':'openai','model':'gpt-4o','temperature':0.5,'max_tokens':100,'top_p':"
                "1,'top_k':3,'stop':['a','b'],"
                "'seed':7,'presence_penalty':0.1,'frequency_penalty':0.2,'reasoning':'low'}",
     .request = "{'messages':[],'tools':[" TOOL
                "],'tool_choice':'files.read','output_schema':{'type':'object','properties':"
                "{'a':{'type':'string'}},'required':['a'],'additionalProperties':false}}",
     .body = OK,
     .sent =
         "{'model':'gpt-4o','messages':[],'tools':[{'type':'function','function':{'name':'files_"
         "read','description':'Reads.',"
         "'parameters':{'type':'object','properties':{'p':{'type':'string'}}}}}],"
         "'tool_choice':{'type':'function','function':{'name':'files_read'}},"
         "'response_format':{'type':'json_schema','json_schema':{'name':'output','strict':true,'"
         "schema':{'type':'object',"
         "'properties':{'a':{'type':'string'}},'required':['a'],'additionalProperties':false}}},"
         "'temperature':0.5,'top_p':1,'max_tokens':100,'stop':['a','b'],'seed':7,'presence_penalty'"
         ":0.1,"
         "'frequency_penalty':0.2,'reasoning_effort':'low'}"},
    {.name = "a reasoning model",
     .profile =
         "{'provider':'openai','model':'o3-mini','temperature':0.5,'max_tokens':100,'seed':7}",
     .request = "{'messages':[],'tools':[" TOOL
                "],'tool_choice':'required','output_schema':{'type':'object'}}",
     .body = OK,
     .sent = "{'model':'o3-mini','messages':[],'tools':[{'type':'function','function':{'name':'"
             "files_read','description':'Reads.',"
             "'parameters':{'type':'object','properties':{'p':{'type':'string'}}}}}],'tool_choice':"
             "'required',"
             "'response_format':{'type':'json_schema','json_schema':{'name':'output','strict':"
             "false,'schema':{'type':'object'}}},"
             "'max_completion_tokens':100,'seed':7}"},
    {.name = "extra wins, merges, and leaves out",
     .profile = "{'provider':'openai','model':'m','temperature':1,'max_tokens':5,'stream':true,"
                "'extra':{'temperature':0,'stream_options':{'x':1},'max_tokens':null,'user':'u'}}",
     .request = HI,
     .body = DONE,
     .sent = "{'model':'m','messages':[{'role':'user','content':'Hi'}],'stream':true,'stream_"
             "options':{'include_usage':true,'x':1},"
             "'temperature':0,'user':'u'}"},
    {.name = "a file by URL",
     .profile = P,
     .request = "{'messages':[{'role':'user','content':[{'type':'file','url':'https://x'}]}]}",
     .body = OK,
     .want = "invalid: openai takes file parts as data, not by URL"},
    {.name = "a result nobody asked for",
     .profile = P,
     .request =
         "{'messages':[{'role':'tool','content':[{'type':'tool_result','id':'a','content':[]}]}]}",
     .body = OK,
     .want = "invalid: the conversation is not valid: message 1: tool result 'a' has no open call "
             "before it"},
};

static void
request_bodies(void **state)
{
    (void)state;
    check_fixtures(requests);
}

static void
address_and_headers(void **state)
{
    (void)state;
    static const struct {
        const char *profile, *url, *headers;
    } row[] = {
        {P, "https://api.openai.com/v1/chat/completions",
         "Content-Type: application/json\nAuthorization: Bearer sk-secret-1\n"},
        {"{'provider':'groq','model':'m'}", "https://api.groq.com/openai/v1/chat/completions",
         "Content-Type: application/json\n"},
        {"{'base_url':'http://h:1/v1/','model':'m'}", "http://h:1/v1/chat/completions",
         "Content-Type: application/json\n"},
        {"{'provider':'mine','base_url':'http://h/x/chat/completions','model':'m','api_key':'k',"
         "'headers':{'authorization':'Token t','X-A':'b'}}",
         "http://h/x/chat/completions",
         "authorization: Token t\nX-A: b\nContent-Type: application/json\n"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        const struct fixture f = {.profile = row[i].profile, .request = HI, .body = OK};
        struct server s;
        server_init(&s, &f);
        struct ask a = {.server = &s, .f = &f};
        in_sim(ask_fiber, &a);
        assert_string_equal(str_c(&s.url), row[i].url);
        assert_string_equal(str_c(&s.headers), row[i].headers);
        ask_fini(&a);
        server_fini(&s);
    }
}

/* What the model answered is sent back with the tool's result, and reads as it was given. */
static void
tool_loop(void **state)
{
    (void)state;
    AUTO(json_freep) json_t *request = json_of(ASK_TOOL);
    json_t *messages = json_object_get(request, "messages");
    json_array_append_new(
        messages, json_of("{'role':'assistant','content':[{'type':'tool_call','id':'call_a','name':"
                          "'files.read','arguments':{'p':'x'}}]}"));
    json_array_append_new(messages, message_tool_result("call_a", "files.read", NULL, false));
    AUTO(freep) char *text = json_text(request);
    /* the id of the first turn comes again: it is replaced, as ids are unique in a conversation */
    const struct fixture f = {
        .name = "loop",
        .profile = P,
        .request = text,
        .body = whole[3].body,
        .want = "tool_calls [{'type':'tool_call','id':'call_3_1','name':'files.read','arguments':"
                "{'p':'x'}},{'type':'tool_call','id':'call_b','name':'other','arguments':{}}] 12/3 "
                "(m c)"};
    check_fixture(&f);
}

TESTS(openai_test, cmocka_unit_test(whole_bodies), cmocka_unit_test(streams),
      cmocka_unit_test(drops), cmocka_unit_test(broken_answers), cmocka_unit_test(request_bodies),
      cmocka_unit_test(address_and_headers), cmocka_unit_test(tool_loop))
