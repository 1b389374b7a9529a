/* anthropic_test.c - messages: requests and answers in their exact bytes. */
#include "llm/testcuts.h"

#define P "{'provider':'anthropic','model':'claude-sonnet-4-5','api_key':'sk-ant-1'}"
#define PS                                                                                         \
    "{'provider':'anthropic','model':'claude-sonnet-4-5','api_key':'sk-ant-1',"                    \
    "'stream':true}"
#define HI   "{'messages':[{'role':'user','content':[{'type':'text','text':'Hi'}]}]}"
#define TOOL "{'name':'files.read','description':'Reads.','input_schema':{'type':'object'}}"
#define ASK_TOOL                                                                                   \
    "{'messages':[{'role':'user','content':[{'type':'text','text':'Hi'}]}],'tools':[" TOOL "]}"

static const struct fixture whole[] = {
    {.name = "plain, cached tokens beside the input",
     .profile = "{'provider':'anthropic','model':'claude-sonnet-4-5','price':{'input':3,'cached_"
                "input':0.3,"
                "'cache_write':3.75,'output':15}}",
     .request = HI,
     .body =
         "{'id':'msg_1','type':'message','role':'assistant','model':'claude-sonnet-4-5-20250929','"
         "content':"
         "[{'type':'text','text':'Hello!'}],'stop_reason':'end_turn','stop_sequence':null,'usage':{"
         "'input_tokens':10,"
         "'cache_creation_input_tokens':100,'cache_read_input_tokens':1000,'output_tokens':20}}",
     .sent = "{'model':'claude-sonnet-4-5','messages':[{'role':'user','content':[{'type':'text','"
             "text':'Hi'}]}],"
             "'max_tokens':4096}",
     /* 10 x 3 + 1000 x 0.3 + 100 x 3.75 + 20 x 15 per million */
     .want = "stop [{'type':'text','text':'Hello!'}] 1110/20 cached=1000 write=100 usd=0.001005 "
             "(claude-sonnet-4-5-20250929 msg_1)"},
    {.name = "half of the numbers, and those that nobody can have counted: the cost is not known",
     .profile = "{'provider':'anthropic','model':'m','price':{'input':3,'output':15}}",
     .request = HI,
     .body = "{'id':'i','model':'m','content':[{'type':'text','text':'a'}],'stop_reason':"
             "'end_turn','usage':{'output_tokens':9223372036854775807}}",
     .want = "stop [{'type':'text','text':'a'}] 0/1099511627776 (m i)"},
    {.name = "thinking and a call",
     .profile = P,
     .request = ASK_TOOL,
     .body = "{'id':'msg_2','model':'m','content':[{'type':'thinking','thinking':'hm','signature':'"
             "sig'},"
             "{'type':'redacted_thinking','data':'xx'},{'type':'text','text':'ok'},"
             "{'type':'tool_use','id':'toolu_1','name':'files_read','input':{'p':1}}],'stop_reason'"
             ":'tool_use',"
             "'usage':{'input_tokens':1,'output_tokens':2}}",
     .sent = "{'model':'claude-sonnet-4-5','messages':[{'role':'user','content':[{'type':'text','"
             "text':'Hi'}]}],"
             "'tools':[{'name':'files_read','description':'Reads.','input_schema':{'type':'object'}"
             "}],'max_tokens':4096}",
     .want = "tool_calls "
             "[{'type':'provider','provider':'anthropic','data':{'type':'thinking','thinking':'hm',"
             "'signature':'sig'}},"
             "{'type':'provider','provider':'anthropic','data':{'type':'redacted_thinking','data':'"
             "xx'}},"
             "{'type':'text','text':'ok'},{'type':'tool_call','id':'toolu_1','name':'files.read','"
             "arguments':{'p':1}}] 1/2 (m msg_2)"},
    {.name = "cut short",
     .profile = P,
     .request = HI,
     .body = "{'content':[{'type':'text','text':'a'}],'stop_reason':'max_tokens','usage':{'input_"
             "tokens':1,'output_tokens':2}}",
     .want = "length [{'type':'text','text':'a'}] 1/2 (- -)"},
    {.name = "refused",
     .profile = P,
     .request = HI,
     .body = "{'content':[],'stop_reason':'refusal','usage':{'input_tokens':1,'output_tokens':0}}",
     .want = "filter [] 1/0 (- -)"},
    {.name = "no content",
     .profile = P,
     .request = HI,
     .body = "{'type':'message'}",
     .want = "transient: anthropic sent a garbled answer: no content in it"},
    {.name = "a number as content",
     .profile = P,
     .request = HI,
     .body = "{'content':[1,null,{'type':3},{'type':'tool_use'}],'stop_reason':'tool_use'}",
     .want = "tool_calls "
             "[{'type':'provider','provider':'anthropic','data':1},{'type':'provider','provider':'"
             "anthropic','data':null},"
             "{'type':'provider','provider':'anthropic','data':{'type':3}},{'type':'tool_call','id'"
             ":'call_1_1','name':'','arguments':{}}] 0/0 (- -)"},
};

#define EVENT(type, rest) "event: " type "\ndata: {'type':'" type "'" rest "}\n\n"
#define START                                                                                      \
    EVENT("message_start",                                                                         \
          ",'message':{'id':'msg_1','model':'m1','content':[],'usage':{'input_tokens':10,"         \
          "'cache_read_input_tokens':5,'output_tokens':1}}")
#define STOP(why)                                                                                  \
    EVENT("message_delta", ",'delta':{'stop_reason':'" why "'},'usage':{'output_tokens':9}")       \
    EVENT("message_stop", "")

static const struct fixture streamed[] = {
    {.name = "text, pings, unknown events",
     .profile = PS,
     .request = HI,
     .body = START EVENT("content_block_start",
                         ",'index':0,'content_block':{'type':'text','text':''}") EVENT("ping", "")
         EVENT("content_block_delta", ",'index':0,'delta':{'type':'text_delta','text':'Hel'}")
             EVENT("content_block_delta", ",'index':0,'delta':{'type':'text_delta','text':'lo'}")
                 EVENT("content_block_stop", ",'index':0") EVENT("of_the_future", ",'x':[]")
                     STOP("end_turn"),
     .sent = "{'model':'claude-sonnet-4-5','messages':[{'role':'user','content':[{'type':'text','"
             "text':'Hi'}]}],"
             "'max_tokens':4096,'stream':true}",
     .want = "stop [{'type':'text','text':'Hello'}] 15/9 cached=5 (m1 msg_1)"},
    {.name = "thinking, a call, a call without arguments",
     .profile = PS,
     .request = ASK_TOOL,
     .body = START EVENT("content_block_start", ",'index':0,'content_block':{'type':'thinking','"
                                                "thinking':'','signature':''}")
         EVENT("content_block_delta", ",'index':0,'delta':{'type':'thinking_delta','thinking':'h'}")
             EVENT("content_block_delta",
                   ",'index':0,'delta':{'type':'thinking_delta','thinking':'"
                   "m'}") EVENT("content_block_delta",
                                ",'index':0,'delta':{'type':'signature_delta','signature':'sig'}")
                 EVENT("content_block_stop", ",'index':0") EVENT(
                     "content_block_start", ",'index':1,'content_block':{'type':'tool_use','id':'"
                                            "toolu_1','name':'files_read','input':{}}")
                     EVENT("content_block_delta",
                           ",'index':1,'delta':{'type':'input_json_delta','partial_json':''}")
                         EVENT("content_block_delta", ",'index':1,'delta':{'type':'input_json_"
                                                      "delta','partial_json':'{\\'p\\''}")
                             EVENT("content_block_delta",
                                   ",'index':1,'delta':{'type':'input_json_delta','partial_json':':"
                                   "1}'}") EVENT("content_block_stop", ",'index':1")
                                 EVENT("content_block_start",
                                       ",'index':2,'content_block':{'type':'tool_use','id':'toolu_"
                                       "2','name':'t','input':{}}")
                                     EVENT("content_block_stop", ",'index':2") STOP("tool_use"),
     .want =
         "tool_calls "
         "[{'type':'provider','provider':'anthropic','data':{'type':'thinking','thinking':'hm','"
         "signature':'sig'}},"
         "{'type':'tool_call','id':'toolu_1','name':'files.read','arguments':{'p':1}},"
         "{'type':'tool_call','id':'toolu_2','name':'t','arguments':{}}] 15/9 cached=5 (m1 msg_1)"},
    {.name = "overloaded in the middle",
     .profile = PS,
     .request = HI,
     .body =
         START "event: error\ndata: "
               "{'type':'error','error':{'type':'overloaded_error','message':'Overloaded'}}\n\n",
     .want = "transient: anthropic is in trouble (overloaded_error): 'Overloaded'"},
    {.name = "an end without message_stop",
     .profile = PS,
     .request = HI,
     .body = START EVENT("message_delta",
                         ",'delta':{'stop_reason':'end_turn'},'usage':{'output_tokens':9}"),
     .want = "transient: the stream of anthropic ended early"},
};

static void
whole_bodies(void **state)
{
    (void)state;
    check_fixtures(whole);
    check_drops(&whole[1], 0);
}

static void
streams(void **state)
{
    (void)state;
    check_fixtures(streamed);
    check_cuts(&streamed[0]);
    check_cuts(&streamed[1]);
    AUTO(freep) char *body = quoted(streamed[1].body);
    check_drops(&streamed[1], (size_t)(strstr(body, "event: message_stop") - body));
}

#define OK "{'content':[{'type':'text','text':'x'}],'stop_reason':'end_turn'}"
static const struct fixture requests[] = {
    {.name = "ids of another provider's calls",
     .profile = "{'provider':'anthropic','model':'m'}",
     .request =
         "{'messages':[{'role':'user','content':[{'type':'text','text':'x'}]},"
         "{'role':'assistant','content':[{'type':'tool_call','id':'functions.t:0','name':'t',"
         "'arguments':{}},{'type':'tool_call','id':'call_1','name':'t','arguments':{}}]},"
         "{'role':'tool','content':[{'type':'tool_result','id':'functions.t:0','content':[]},"
         "{'type':'tool_result','id':'call_1','content':[]}]}]}",
     .body = OK,
     .sent = "{'model':'m','messages':[{'role':'user','content':[{'type':'text','text':'x'}]},"
             "{'role':'assistant','content':[{'type':'tool_use','id':'call_c4fc9b63ea952905','name'"
             ":'t','input':"
             "{}},{'type':'tool_use','id':'call_1','name':'t','input':{}}]},{'role':'user',"
             "'content':[{'type':'tool_result','tool_use_id':'call_c4fc9b63ea952905','content':[]},"
             "{'type':'tool_result','tool_use_id':'call_1','content':[]}]}],'max_tokens':4096}"},
    {.name = "roles take turns, results are the user's, thinking goes back",
     .profile = "{'provider':'anthropic','model':'m','system_prompt':'A'}",
     .request = "{'messages':[{'role':'system','content':[{'type':'text','text':'B'}]},"
                "{'role':'user','content':[{'type':'text','text':''},{'type':'text','text':'see'},{"
                "'type':'image','mime':'image/png','data':'iVBO'},"
                "{'type':'image','url':'https://x/y'},{'type':'file','mime':'application/"
                "pdf','name':'a.pdf','data':'JVBE'}]},"
                "{'role':'user','content':[{'type':'text','text':'more'}]},"
                "{'role':'assistant','content':[{'type':'provider','provider':'anthropic','data':{'"
                "type':'thinking','thinking':'t','signature':'s'}},"
                "{'type':'provider','provider':'openai','data':{}},"
                "{'type':'tool_call','id':'a','name':'files.read','arguments':{'p':1}},{'type':'"
                "tool_call','id':'b','name':'t','arguments':{}}]},"
                "{'role':'tool','content':[{'type':'tool_result','id':'a','content':[{'type':'text'"
                ",'text':'r'},{'type':'text','text':''},"
                "{'type':'image','mime':'image/gif','data':'R0lG'}]}]},"
                "{'role':'tool','content':[{'type':'tool_result','id':'b','content':[{'type':'text'"
                ",'text':'no'}],'is_error':true}]},"
                "{'role':'user','content':[{'type':'text','text':'go'}]}]}",
     .body = OK,
     .sent = "{'model':'m','system':'A\\n\\nB','messages':[{'role':'user','content':[{'type':'text'"
             ",'text':'see'},"
             "{'type':'image','source':{'type':'base64','media_type':'image/png','data':'iVBO'}},"
             "{'type':'image','source':{'type':'url','url':'https://x/y'}},"
             "{'type':'document','title':'a.pdf','source':{'type':'base64','media_type':'"
             "application/pdf','data':'JVBE'}},"
             "{'type':'text','text':'more'}]},"
             "{'role':'assistant','content':[{'type':'thinking','thinking':'t','signature':'s'},"
             "{'type':'tool_use','id':'a','name':'files_read','input':{'p':1}},{'type':'tool_use','"
             "id':'b','name':'t','input':{}}]},"
             "{'role':'user','content':[{'type':'tool_result','tool_use_id':'a','content':[{'type':"
             "'text','text':'r'},"
             "{'type':'image','source':{'type':'base64','media_type':'image/gif','data':'R0lG'}}]},"
             "{'type':'tool_result','tool_use_id':'b','content':[{'type':'text','text':'no'}],'is_"
             "error':true},"
             "{'type':'text','text':'go'}]}],'max_tokens':4096}"},
    {.name = "parameters",
     .profile = "{'provider':'anthropic','model':'m','temperature':0.5,'top_k':3,'max_tokens':100,'"
                "stop':'x','seed':1}",
     .request = "{'messages':[],'tools':[{'name':'t'}],'tool_choice':'required'}",
     .body = OK,
     .sent = "{'model':'m','messages':[],'tools':[{'name':'t','input_schema':{'type':'object'}}],'"
             "tool_choice':{'type':'any'},"
             "'max_tokens':100,'stop_sequences':['x'],'temperature':0.5,'top_k':3}"},
    {.name = "thinking: a budget below the answer's, no temperature",
     .profile = "{'provider':'anthropic','model':'m','temperature':0.5,'max_tokens':3000,'"
                "reasoning':'medium'}",
     .request = "{'messages':[],'tools':[{'name':'t'}],'tool_choice':'t'}",
     .body = OK,
     .sent = "{'model':'m','messages':[],'tools':[{'name':'t','input_schema':{'type':'object'}}],'"
             "tool_choice':{'type':'tool','name':'t'},"
             "'max_tokens':3000,'thinking':{'type':'enabled','budget_tokens':2999}}"},
    {.name = "no room to think",
     .profile = "{'provider':'anthropic','model':'m','max_tokens':1000,'reasoning':5000}",
     .request = "{'messages':[],'tools':[{'name':'t'}],'tool_choice':'auto'}",
     .body = OK,
     .sent = "{'model':'m','messages':[],'tools':[{'name':'t','input_schema':{'type':'object'}}],'"
             "tool_choice':{'type':'auto'},"
             "'max_tokens':1000}"},
    {.name = "a schema the API takes",
     .profile = P,
     .request = "{'messages':[],'output_schema':{'type':'object','properties':{},'"
                "additionalProperties':false}}",
     .body = OK,
     .sent = "{'model':'claude-sonnet-4-5','messages':[],'output_config':{'format':{'type':'json_"
             "schema','schema':{'type':'object',"
             "'properties':{},'additionalProperties':false}}},'max_tokens':4096}"},
    {.name = "a schema in words",
     .profile = "{'provider':'anthropic','model':'claude-3-5-haiku-latest'}",
     .request = "{'messages':[],'output_schema':{'type':'object','additionalProperties':false}}",
     .body = OK,
     .sent = "{'model':'claude-3-5-haiku-latest','system':'Reply with one JSON value that follows "
             "this JSON Schema, and with nothing else, "
             "no matter the language of the "
             "conversation:\\n{\\'type\\':\\'object\\',\\'additionalProperties\\':false}','"
             "messages':[],'max_tokens':4096}"},
    {.name = "audio",
     .profile = P,
     .request = "{'messages':[{'role':'user','content':[{'type':'audio','mime':'audio/"
                "wav','data':'UklG'}]}]}",
     .body = OK,
     .want = "invalid: anthropic takes no audio"},
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
        const char *profile, *url;
    } row[] = {
        {P, "https://api.anthropic.com/v1/messages"},
        {"{'provider':'anthropic','model':'m','base_url':'http://h/v1','api_key':'sk-ant-1'}",
         "http://h/v1/messages"},
        {"{'provider':'anthropic','model':'m','base_url':'http://h/v1/"
         "messages','api_key':'sk-ant-1'}",
         "http://h/v1/messages"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        const struct fixture f = {.profile = row[i].profile, .request = HI, .body = OK};
        struct server s;
        server_init(&s, &f);
        struct ask a = {.server = &s, .f = &f};
        in_sim(ask_fiber, &a);
        assert_string_equal(str_c(&s.url), row[i].url);
        assert_string_equal(str_c(&s.headers),
                            "Content-Type: application/json\nanthropic-version: 2023-06-01\n"
                            "x-api-key: sk-ant-1\n");
        ask_fini(&a);
        server_fini(&s);
    }
}

TESTS(anthropic_test, cmocka_unit_test(whole_bodies), cmocka_unit_test(streams),
      cmocka_unit_test(request_bodies), cmocka_unit_test(address_and_headers))
