/* gemini_test.c - generateContent: requests and answers in their exact bytes. */
#include "llm/testcuts.h"

#define P  "{'provider':'gemini','model':'gemini-2.5-flash','api_key':'AIza-1'}"
#define PS "{'provider':'gemini','model':'gemini-2.5-flash','api_key':'AIza-1','stream':true}"
#define HI "{'messages':[{'role':'user','content':[{'type':'text','text':'Hi'}]}]}"
#define ASK_TOOL                                                                                   \
    "{'messages':[{'role':'user','content':[{'type':'text','text':'Hi'}]}],'tools':[{'name':'"     \
    "files.read'}]}"

static const struct fixture whole[] = {
    {.name = "plain: thoughts are output, cached tokens part of the input",
     .profile = P,
     .request = HI,
     .body = "{'candidates':[{'content':{'parts':[{'text':'Hello!'}],'role':'model'},'finishReason'"
             ":'STOP','index':0}],"
             "'usageMetadata':{'promptTokenCount':100,'cachedContentTokenCount':60,'"
             "candidatesTokenCount':5,'thoughtsTokenCount':20,"
             "'totalTokenCount':125},'modelVersion':'gemini-2.5-flash','responseId':'r1'}",
     .sent = "{'contents':[{'role':'user','parts':[{'text':'Hi'}]}]}",
     .want =
         "stop [{'type':'text','text':'Hello!'}] 100/25 cached=60 think=20 (gemini-2.5-flash r1)"},
    {.name = "two calls, a signature, thoughts",
     .profile = P,
     .request = ASK_TOOL,
     .body = "{'candidates':[{'content':{'parts':[{'text':'hm','thought':true},{'functionCall':{'"
             "name':'files_read','args':{'p':1}},"
             "'thoughtSignature':'sig'},{'functionCall':{'name':'files_read','id':'f2'}}]},'"
             "finishReason':'STOP'}]}",
     .sent = "{'contents':[{'role':'user','parts':[{'text':'Hi'}]}],'tools':[{'"
             "functionDeclarations':[{'name':'files_read','description':''}]}]}",
     .want =
         "tool_calls [{'type':'provider','provider':'gemini','data':{'text':'hm','thought':true}},"
         "{'type':'tool_call','id':'call_1_1','name':'files.read','arguments':{'p':1},'keep':{'"
         "gemini':{'thoughtSignature':'sig'}}},"
         "{'type':'tool_call','id':'f2','name':'files.read','arguments':{},'keep':{'gemini':{'id':'"
         "f2'}}}] 0/0 (- -)"},
    {.name = "blocked before it began",
     .profile = P,
     .request = HI,
     .body = "{'promptFeedback':{'blockReason':'SAFETY'},'usageMetadata':{'promptTokenCount':4}}",
     .want = "filter [] 4/0 (- -)"},
    {.name = "blocked in the middle",
     .profile = P,
     .request = HI,
     .body = "{'candidates':[{'content':{'parts':[{'text':'a'}]},'finishReason':'PROHIBITED_"
             "CONTENT'}]}",
     .want = "filter [{'type':'text','text':'a'}] 0/0 (- -)"},
    {.name = "cut short",
     .profile = P,
     .request = HI,
     .body = "{'candidates':[{'content':{'role':'model'},'finishReason':'MAX_TOKENS'}]}",
     .want = "length [] 0/0 (- -)"},
    {.name = "a call the model garbled",
     .profile = P,
     .request = HI,
     .body = "{'candidates':[{'content':{},'finishReason':'MALFORMED_FUNCTION_CALL'}]}",
     .want =
         "transient: gemini sent a garbled answer: the model made a tool call that cannot be read"},
    {.name = "nothing in it",
     .profile = P,
     .request = HI,
     .body = "{}",
     .want = "transient: gemini sent a garbled answer: no finished candidate in it"},
};

#define CHUNK(parts)                                                                               \
    "data: {'candidates':[{'content':{'parts':[" parts                                             \
    "],'role':'model'}}],'modelVersion':'g','responseId':'r'}\r\n\r\n"
#define FINISH(parts)                                                                              \
    "data: {'candidates':[{'content':{'parts':[" parts                                             \
    "]},'finishReason':'STOP'}],'usageMetadata':{'promptTokenCount':7,'candidatesTokenCount':3}}"  \
    "\r\n\r\n"

static const struct fixture streamed[] = {
    {.name = "text with a signature behind it",
     .profile = PS,
     .request = HI,
     .body = CHUNK("{'text':'Hel'}") CHUNK("{'text':'lo'}")
         FINISH("{'text':'','thoughtSignature':'s'}"),
     .want = "stop [{'type':'text','text':'Hello','keep':{'gemini':{'thoughtSignature':'s'}}}] 7/3 "
             "(g r)"},
    {.name = "text and calls",
     .profile = PS,
     .request = ASK_TOOL,
     .body = CHUNK("{'text':'a'}")
         CHUNK("{'functionCall':{'name':'files_read','args':{'p':1}},'thoughtSignature':'x'}")
             CHUNK("{'functionCall':{'name':'t','args':{}}}") FINISH("{'text':'b'}"),
     .want = "tool_calls "
             "[{'type':'text','text':'a'},{'type':'tool_call','id':'call_1_1','name':'files.read','"
             "arguments':{'p':1},"
             "'keep':{'gemini':{'thoughtSignature':'x'}}},{'type':'tool_call','id':'call_1_2','"
             "name':'t','arguments':{}},"
             "{'type':'text','text':'b'}] 7/3 (g r)"},
    {.name = "ends early",
     .profile = PS,
     .request = HI,
     .body = CHUNK("{'text':'a'}"),
     .want = "transient: the stream of gemini ended early"},
    {.name = "an error in the stream",
     .profile = PS,
     .request = HI,
     .body = CHUNK("{'text':'a'}") "data: {'error':{'code':503,'message':'The model is "
                                   "overloaded.','status':'UNAVAILABLE'}}\r\n\r\n",
     .want = "transient: gemini is in trouble (503, UNAVAILABLE): 'The model is overloaded.'"},
};

static void
answers(void **state)
{
    (void)state;
    check_fixtures(whole);
    check_fixtures(streamed);
    check_cuts(&streamed[0]);
    check_cuts(&streamed[1]);
    AUTO(freep) char *body = quoted(streamed[1].body);
    check_drops(&streamed[1], strlen(body) - 4);
    check_drops(&whole[1], 0);
}

#define OK "{'candidates':[{'content':{'parts':[{'text':'x'}]},'finishReason':'STOP'}]}"
static const struct fixture requests[] = {
    {.name = "a whole conversation",
     .profile = "{'provider':'gemini','model':'m','system_prompt':'A'}",
     .request =
         "{'messages':[{'role':'system','content':[{'type':'text','text':'B'}]},"
         "{'role':'user','content':[{'type':'text','text':'see'},{'type':'image','mime':'image/"
         "png','data':'iVBO'},"
         "{'type':'file','mime':'application/pdf','url':'https://x/f'}]},"
         "{'role':'assistant','content':[{'type':'provider','provider':'gemini','data':{'text':'hm'"
         ",'thought':true}},"
         "{'type':'text','text':'t','keep':{'gemini':{'thoughtSignature':'s1'}}},"
         "{'type':'tool_call','id':'call_1_1','name':'files.read','arguments':{'p':1},'keep':{'"
         "gemini':{'thoughtSignature':'s2'}}},"
         "{'type':'tool_call','id':'f2','name':'u','arguments':{},'keep':{'gemini':{'id':'f2'}}}]},"
         "{'role':'tool','content':[{'type':'tool_result','id':'call_1_1','content':[{'type':'text'"
         ",'text':'{\\'a\\':1}'},"
         "{'type':'image','mime':'image/gif','data':'R0lG'}]}]},"
         "{'role':'tool','content':[{'type':'tool_result','id':'f2','content':[{'type':'text','"
         "text':'no'}],'is_error':true}]}]}",
     .body = OK,
     .sent = "{'systemInstruction':{'parts':[{'text':'A\\n\\nB'}]},'contents':[{'role':'user','"
             "parts':[{'text':'see'},"
             "{'inlineData':{'data':'iVBO','mimeType':'image/png'}},{'fileData':{'fileUri':'https:/"
             "/x/f','mimeType':'application/pdf'}}]},"
             "{'role':'model','parts':[{'text':'hm','thought':true},{'text':'t','thoughtSignature':"
             "'s1'},"
             "{'functionCall':{'name':'files_read','args':{'p':1}},'thoughtSignature':'s2'},"
             "{'functionCall':{'name':'u','args':{},'id':'f2'}}]},"
             "{'role':'user','parts':[{'functionResponse':{'name':'files_read','response':{'a':1}}}"
             ",{'inlineData':{'data':'R0lG','mimeType':'image/gif'}},"
             "{'functionResponse':{'name':'u','response':{'error':'no'},'id':'f2'}}]}]}"},
    {.name = "calls another model made, for the third generation",
     .profile = "{'provider':'gemini','model':'gemini-3-pro'}",
     .request = "{'messages':[{'role':'assistant','content':[{'type':'tool_call','id':'a','name':'"
                "t','arguments':{}},"
                "{'type':'tool_call','id':'b','name':'t','arguments':{}}]},{'role':'tool','content'"
                ":[{'type':'tool_result','id':'a','content':[]},"
                "{'type':'tool_result','id':'b','content':[{'type':'text','text':'r'}]}]}]}",
     .body = OK,
     .sent = "{'contents':[{'role':'model','parts':[{'functionCall':{'name':'t','args':{}},'"
             "thoughtSignature':'skip_thought_signature_validator'},"
             "{'functionCall':{'name':'t','args':{}}}]},{'role':'user','parts':[{'functionResponse'"
             ":{'name':'t','response':{'result':''}}},"
             "{'functionResponse':{'name':'t','response':{'result':'r'}}}]}]}"},
    {.name = "parameters and a schema cut to what it knows",
     .profile = "{'provider':'gemini','model':'m','temperature':1,'top_p':0.5,'top_k':3,'max_"
                "tokens':9,'stop':'x','seed':4,'reasoning':100,"
                "'extra':{'generationConfig':{'candidateCount':1},'safetySettings':[]}}",
     .request = "{'messages':[],'output_schema':{'$schema':'x','type':'object','"
                "additionalProperties':false,'required':['a'],'properties':{"
                "'a':{'type':['string','null'],'format':'email'},'b':{'$ref':'#/$defs/"
                "n'},'c':{'oneOf':[{'type':'integer','format':'int32'},{'type':'null'}]},"
                "'d':{'const':'k'},'e':{'enum':[1,2]},'f':{'type':'array','items':{'$ref':'#/$defs/"
                "n'}}},'$defs':{'n':{'type':'number','minimum':1}}}}",
     .body = OK,
     .sent =
         "{'contents':[],'generationConfig':{'temperature':1,'topP':0.5,'topK':3,'maxOutputTokens':"
         "9,'seed':4,'stopSequences':['x'],"
         "'thinkingConfig':{'thinkingBudget':100},'responseMimeType':'application/"
         "json','responseSchema':{'required':['a'],'type':'object',"
         "'properties':{'a':{'type':'string','nullable':true},'b':{'minimum':1,'type':'number'},"
         "'c':{'nullable':true,'anyOf':[{'format':'int32','type':'integer'}]},'d':{'enum':['k'],'"
         "type':'string'},'e':{},"
         "'f':{'type':'array','items':{'minimum':1,'type':'number'}}}},'candidateCount':1},'"
         "safetySettings':[]}"},
    {.name = "tools and a schema: the schema in words",
     .profile = "{'provider':'gemini','model':'m','reasoning':'low'}",
     .request = "{'messages':[],'tools':[{'name':'t','description':'D','input_schema':{'type':'"
                "object','properties':{'a':{'type':'string'}}}}],"
                "'tool_choice':'t','output_schema':{'type':'object'}}",
     .body = OK,
     .sent = "{'systemInstruction':{'parts':[{'text':'Reply with one JSON value that follows this "
             "JSON Schema, and with nothing else, no matter "
             "the language of the "
             "conversation:\\n{\\'type\\':\\'object\\'}'}]},'contents':[],'tools':[{'"
             "functionDeclarations':[{'name':'t',"
             "'description':'D','parameters':{'type':'object','properties':{'a':{'type':'string'}}}"
             "}]}],"
             "'toolConfig':{'functionCallingConfig':{'mode':'ANY','allowedFunctionNames':['t']}},'"
             "generationConfig':{'thinkingConfig':{'thinkingLevel':'low'}}}"},
    {.name = "a schema that never ends",
     .profile = P,
     .request = "{'messages':[],'tools':[{'name':'t','input_schema':{'properties':{'a':{'$ref':'#/"
                "$defs/n'}},'$defs':{'n':{'type':'object','properties':{"
                "'x':{'$ref':'#/$defs/n'},'y':{'$ref':'#/$defs/n'}}}}}}]}",
     .body = OK,
     .want = "stop [{'type':'text','text':'x'}] 0/0 (- -)"},
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
    static const struct {
        const char *profile, *url;
    } row[] = {
        {P, "https://generativelanguage.googleapis.com/v1beta/models/"
            "gemini-2.5-flash:generateContent"},
        {PS, "https://generativelanguage.googleapis.com/v1beta/models/"
             "gemini-2.5-flash:streamGenerateContent?alt=sse"},
        {"{'provider':'google','model':'tunedModels/a b?c','api_key':'AIza-1'}",
         "https://generativelanguage.googleapis.com/v1beta/tunedModels/a%20b%3Fc:generateContent"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        const struct fixture f = {.profile = row[i].profile, .request = HI, .body = OK};
        struct server s;
        server_init(&s, &f);
        struct ask a = {.server = &s, .f = &f};
        in_sim(ask_fiber, &a);
        assert_string_equal(str_c(&s.url), row[i].url);
        assert_string_equal(str_c(&s.headers),
                            "Content-Type: application/json\nx-goog-api-key: AIza-1\n");
        ask_fini(&a);
        server_fini(&s);
    }
}

TESTS(gemini_test, cmocka_unit_test(answers), cmocka_unit_test(request_bodies),
      cmocka_unit_test(address))
