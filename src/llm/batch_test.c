/* batch_test.c - submitting, looking and taking, in the very bytes of the providers. */
#include "llm/batchworld_test.h"

/* ---- the wire
 * -------------------------------------------------------------------------------------- */

static void
openai_bytes(void **state)
{
    (void)state;
    struct scene s = {
        .provider = "openai",
        .bodies = true,
        .play = play_pair_taken,
        .rules =
            {{"POST /v1/files", "{'id':'file-1'}"},
             {"POST /v1/batches", "{'id':'batch_1','status':'validating'}"},
             {"GET /v1/batches/batch_1",
              "{'id':'batch_1','status':'completed','output_file_id':'file-2',"
              "'error_file_id':'file-3'}"},
             {"GET /v1/files/file-2/content",
              "{'id':'r','custom_id':'b','response':{'status_code':200,'body':{'id':'c1','model':"
              "'m-1','choices':[{'index':0,'message':{'role':'assistant','content':'hi'},"
              "'finish_reason':'stop'}],'usage':{'prompt_tokens':3,'completion_tokens':1}}},"
              "'error':null}\n"},
             {"GET /v1/files/file-3/content",
              "{'custom_id':'a','response':{'status_code':429,'body':{'error':{'message':'slow "
              "down'}}},'error':null}"}},
    };
    scene_check(&s, "openai",
                "POST /v1/files @1\n"
                "  Authorization: Bearer sk-1\n"
                "  Content-Type: multipart/form-data; boundary=tutti-a7a366c27b1c2e647336239a"
                "e2487ab2\n"
                "  --tutti-a7a366c27b1c2e647336239ae2487ab2\r\n"
                "Content-Disposition: form-data; name=\"purpose\"\r\n"
                "\r\n"
                "batch\r\n"
                "--tutti-a7a366c27b1c2e647336239ae2487ab2\r\n"
                "Content-Disposition: form-data; name=\"file\"; filename=\"batch.jsonl\"\r\n"
                "Content-Type: application/jsonl\r\n"
                "\r\n"
                "{\"custom_id\":\"b\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\","
                "\"body\":{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hel"
                "lo\"}]}}\n"
                "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\","
                "\"body\":{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hel"
                "lo\"}]}}\n"
                "\r\n"
                "--tutti-a7a366c27b1c2e647336239ae2487ab2--\r\n"
                "\n"
                "POST /v1/batches @1\n"
                "  Authorization: Bearer sk-1\n"
                "  Content-Type: application/json\n"
                "  {\"input_file_id\":\"file-1\",\"endpoint\":\"/v1/chat/completions\",\"comp"
                "letion_window\":\"24h\"}\n"
                "b: batch_1 @1\n"
                "a: batch_1 @1\n"
                "GET /v1/batches/batch_1 @1\n"
                "  Authorization: Bearer sk-1\n"
                "  \n"
                "GET /v1/files/file-2/content @1\n"
                "  Authorization: Bearer sk-1\n"
                "  \n"
                "GET /v1/files/file-3/content @1\n"
                "  Authorization: Bearer sk-1\n"
                "  \n"
                "a: limit: openai limits requests to model 'm' (429): 'slow down' @1\n"
                "b: stop [{\"type\":\"text\",\"text\":\"hi\"}] 3/1 usd=0.000005 (m-1 c1) @1\n");
}

static void
anthropic_bytes(void **state)
{
    (void)state;
    struct scene s = {
        .provider = "anthropic",
        .bodies = true,
        .play = play_pair_taken,
        .rules =
            {{"POST /v1/messages/batches", "{'id':'mb_1','processing_status':'in_progress'}"},
             {"GET /v1/messages/batches/mb_1/results",
              "{'custom_id':'b','result':{'type':'succeeded','message':{'id':'x','model':'m-1',"
              "'content':[{'type':'text','text':'hi'}],'stop_reason':'end_turn','usage':{"
              "'input_tokens':3,'output_tokens':1}}}}\n\n{'custom_id':'a','result':{'type':"
              "'errored','error':{'type':'error','error':{'type':'overloaded_error','message':"
              "'busy'}}}}\n"},
             {"GET /v1/messages/batches/mb_1",
              "{'id':'mb_1','processing_status':'ended','results_url':'http://evil/v1'}"}},
    };
    scene_check(&s, "anthropic",
                "POST /v1/messages/batches @1\n"
                "  anthropic-version: 2023-06-01\n"
                "  x-api-key: sk-1\n"
                "  Content-Type: application/json\n"
                "  {\"requests\":[{\"custom_id\":\"b\",\"params\":{\"model\":\"m\",\"messages"
                "\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hello\"}]}"
                "],\"max_tokens\":4096}},{\"custom_id\":\"a\",\"params\":{\"model\":\"m\",\"m"
                "essages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hel"
                "lo\"}]}],\"max_tokens\":4096}}]}\n"
                "a: mb_1 @1\n"
                "b: mb_1 @1\n"
                "GET /v1/messages/batches/mb_1 @1\n"
                "  anthropic-version: 2023-06-01\n"
                "  x-api-key: sk-1\n"
                "  \n"
                "GET /v1/messages/batches/mb_1/results @1\n"
                "  anthropic-version: 2023-06-01\n"
                "  x-api-key: sk-1\n"
                "  \n"
                "a: transient: anthropic is in trouble (overloaded_error): 'busy' @1\n"
                "b: stop [{\"type\":\"text\",\"text\":\"hi\"}] 3/1 usd=0.000005 (m-1 x) @1\n");
}

static void
gemini_bytes(void **state)
{
    (void)state;
    struct scene s = {
        .provider = "gemini",
        .bodies = true,
        .play = play_pair_taken,
        .rules =
            {{"POST /v1beta/models/m:batchGenerateContent",
              "{'name':'batches/b-1','metadata':{'state':'BATCH_STATE_PENDING'}}"},
             {"GET /v1beta/batches/b-1",
              "{'name':'batches/b-1','done':true,'metadata':{'state':'BATCH_STATE_SUCCEEDED'},"
              "'response':{'inlinedResponses':{'inlinedResponses':[{'metadata':{'key':'a'},"
              "'response':{'candidates':[{'content':{'role':'model','parts':[{'text':'hi'}]},"
              "'finishReason':'STOP'}],'usageMetadata':{'promptTokenCount':3,"
              "'candidatesTokenCount':1},'modelVersion':'m-1','responseId':'r1'}},{'metadata':{"
              "'key':'b'},'error':{'code':14,'message':'busy'}}]}}}"}},
    };
    scene_check(
        &s, "gemini",
        "POST /v1beta/models/m:batchGenerateContent @1\n"
        "  x-goog-api-key: sk-1\n"
        "  Content-Type: application/json\n"
        "  "
        "{\"batch\":{\"displayName\":\"tutti-a7a366c27b1c2e647336239ae2487ab2\",\"inputConfig\":{"
        "\"requests\":{\"requests\":[{\"request\":{\"contents\":[{\"role\":\"user\",\"parts\":[{"
        "\"text\":\"hello\"}]}]},\"metadata\":{\"key\":\"b\"}},{\"request\":{\"contents\":[{"
        "\"role\":\"user\",\"parts\":[{\"text\":\"hello\"}]}]},\"metadata\":{\"key\":\"a\"}}]}}}}\n"
        "b: b-1 @1\n"
        "a: b-1 @1\n"
        "GET /v1beta/batches/b-1 @1\n"
        "  x-goog-api-key: sk-1\n"
        "  \n"
        "GET /v1beta/batches/b-1 @1\n"
        "  x-goog-api-key: sk-1\n"
        "  \n"
        "a: stop [{\"type\":\"text\",\"text\":\"hi\"}] 3/1 usd=0.000005 (m-1 r1) @1\n"
        "b: transient: gemini is in trouble (503): 'busy' @1\n");
}

/* ---- what goes wrong
 * --------------------------------------------------------------------------------- */

#define FILE_1                                                                                     \
    {                                                                                              \
        "POST /v1/files", "{'id':'file-1'}"                                                        \
    }

static void
submissions(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"the answer is lost, the batch is there",
         {.provider = "openai",
          .play = play_pair,
          .rules = {FILE_1,
                    {.on = "POST /v1/batches", .drop = true},
                    {"GET /v1/batches?limit=100",
                     "{'data':[{'id':'batch_9','input_file_id':'file-9'},{'id':'batch_1',"
                     "'input_file_id':'file-1'}]}"}}},
         "POST /v1/files @1\n"
         "POST /v1/batches @1\n"
         "GET /v1/batches?limit=100 @1\n"
         "b: batch_1 @1\n"
         "a: batch_1 @1\n"},
        {"the answer is lost, the batch is not there",
         {.provider = "openai",
          .play = play_pair,
          .rules = {FILE_1,
                    {.on = "POST /v1/batches", .drop = true},
                    {"GET /v1/batches?limit=100", "{'data':[]}"}}},
         "POST /v1/files @1\n"
         "POST /v1/batches @1\n"
         "GET /v1/batches?limit=100 @1\n"
         "GET /v1/batches?limit=100 @3001\n"
         "b: transient: submitting a batch of 2 calls: calling openai: the connection "
         "was reset @3001\n"
         "a: transient: submitting a batch of 2 calls: calling openai: the connection "
         "was reset @3001\n"},
        {"the answer is lost, the batch comes behind",
         {.provider = "openai",
          .play = play_pair,
          .rules = {FILE_1,
                    {.on = "POST /v1/batches", .drop = true},
                    {.on = "GET /v1/batches?limit=100", .body = "{'data':[]}", .times = 1},
                    {"GET /v1/batches?limit=100",
                     "{'data':[{'id':'batch_1','input_file_id':'file-1'}]}"}}},
         "POST /v1/files @1\n"
         "POST /v1/batches @1\n"
         "GET /v1/batches?limit=100 @1\n"
         "GET /v1/batches?limit=100 @3001\n"
         "b: batch_1 @3001\n"
         "a: batch_1 @3001\n"},
        {"the answer is lost, and nobody can be asked",
         {.provider = "openai",
          .play = play_pair,
          .rules = {FILE_1,
                    {.on = "POST /v1/batches", .status = 502},
                    {.on = "GET /v1/batches?limit=100", .drop = true}}},
         "POST /v1/files @1\n"
         "POST /v1/batches @1\n"
         "GET /v1/batches?limit=100 @1\n"
         "b: transient?: submitting a batch of 2 calls: openai is in trouble (502) @1\n"
         "a: transient?: submitting a batch of 2 calls: openai is in trouble (502) @1\n"},
        {"the list is no list of ours",
         {.provider = "openai",
          .play = play_pair,
          .rules = {FILE_1,
                    {.on = "POST /v1/batches", .body = "{'id':'../../other'}"},
                    {"GET /v1/batches?limit=100",
                     "{'data':[{'id':'','input_file_id':'file-1'}]}"}}},
         "POST /v1/files @1\n"
         "POST /v1/batches @1\n"
         "GET /v1/batches?limit=100 @1\n"
         "b: transient?: submitting a batch of 2 calls: openai sent a garbled answer: "
         "it names no batch @1\n"
         "a: transient?: submitting a batch of 2 calls: openai sent a garbled answer: "
         "it names no batch @1\n"},
        {"the upload is lost: nothing has happened",
         {.provider = "openai",
          .play = play_pair,
          .rules = {{.on = "POST /v1/files", .drop = true}}},
         "POST /v1/files @1\n"
         "b: transient: uploading a batch of 2 calls: calling openai: the connection w"
         "as reset @1\n"
         "a: transient: uploading a batch of 2 calls: calling openai: the connection w"
         "as reset @1\n"},
        {"the upload is refused",
         {.provider = "openai",
          .play = play_pair,
          .rules = {{"POST /v1/files", "{'error':{'message':'Incorrect API key: sk-1'}}", 401}}},
         "POST /v1/files @1\n"
         "b: denied: uploading a batch of 2 calls: openai denies access (401): 'Incorr"
         "ect API key: [key]': check the key and its credit (api_key of profile 'p', u"
         "sually OPENAI_API_KEY) @1\n"
         "a: denied: uploading a batch of 2 calls: openai denies access (401): 'Incorr"
         "ect API key: [key]': check the key and its credit (api_key of profile 'p', u"
         "sually OPENAI_API_KEY) @1\n"},
        {"a file without a name",
         {.provider = "openai", .play = play_pair, .rules = {{"POST /v1/files", "{'id':7}"}}},
         "POST /v1/files @1\n"
         "b: transient: uploading a batch of 2 calls: openai sent a garbled answer: it"
         " names no batch @1\n"
         "a: transient: uploading a batch of 2 calls: openai sent a garbled answer: it"
         " names no batch @1\n"},
        {"no JSON",
         {.provider = "openai", .play = play_pair, .rules = {{"POST /v1/files", "<html>"}}},
         "POST /v1/files @1\n"
         "b: transient: uploading a batch of 2 calls: openai sent a garbled answer @1\n"
         "a: transient: uploading a batch of 2 calls: openai sent a garbled answer @1\n"},
        {"refused for being too many",
         {.provider = "openai",
          .play = play_pair,
          .rules = {FILE_1,
                    {"POST /v1/batches", "{'error':{'message':'Enqueued token limit reached'}}",
                     429}}},
         "POST /v1/files @1\n"
         "POST /v1/batches @1\n"
         "b: limit: submitting a batch of 2 calls: openai limits requests to model 'm'"
         " (429): 'Enqueued token limit reached' @1\n"
         "a: limit: submitting a batch of 2 calls: openai limits requests to model 'm'"
         " (429): 'Enqueued token limit reached' @1\n"},
        {"Gemini's lost answer is found by its name, on a second page",
         {.provider = "gemini",
          .play = play_pair,
          .rules = {{.on = "POST /v1beta/models/m:batchGenerateContent", .drop = true},
                    {"GET /v1beta/batches?pageSize=100&pageToken=%61%2F",
                     "{'operations':[{'name':'batches/b7','metadata':{'displayName':"
                     "'tutti-a7a366c27b1c2e647336239ae2487ab2'}}]}"},
                    {"GET /v1beta/batches?pageSize=100",
                     "{'operations':[{'name':'batches/b6','metadata':{'displayName':'other'}},7],"
                     "'nextPageToken':'a/'}"}}},
         "POST /v1beta/models/m:batchGenerateContent @1\n"
         "GET /v1beta/batches?pageSize=100 @1\n"
         "GET /v1beta/batches?pageSize=100&pageToken=%61%2F @1\n"
         "b: b7 @1\n"
         "a: b7 @1\n"},
        {"Gemini's lost answer is not there",
         {.provider = "gemini",
          .play = play_pair,
          .rules = {{.on = "POST /v1beta/models/m:batchGenerateContent", .status = 504},
                    {"GET /v1beta/batches?pageSize=100", "{}"}}},
         "POST /v1beta/models/m:batchGenerateContent @1\n"
         "GET /v1beta/batches?pageSize=100 @1\n"
         "GET /v1beta/batches?pageSize=100 @3001\n"
         "b: transient: submitting a batch of 2 calls: gemini is in trouble (504) @3001\n"
         "a: transient: submitting a batch of 2 calls: gemini is in trouble (504) @3001\n"},
        {"Gemini lists without an end",
         {.provider = "gemini",
          .play = play_pair,
          .rules = {{.on = "POST /v1beta/models/m:batchGenerateContent", .body = "{'name':'b'}"},
                    {"GET /v1beta/batches?pageSize=100", "{'nextPageToken':'x'}"}}},
         "POST /v1beta/models/m:batchGenerateContent @1\n"
         "GET /v1beta/batches?pageSize=100 @1\n"
         "GET /v1beta/batches?pageSize=100&pageToken=%78 @1\n"
         "GET /v1beta/batches?pageSize=100&pageToken=%78 @1\n"
         "GET /v1beta/batches?pageSize=100&pageToken=%78 @1\n"
         "GET /v1beta/batches?pageSize=100&pageToken=%78 @1\n"
         "GET /v1beta/batches?pageSize=100&pageToken=%78 @1\n"
         "GET /v1beta/batches?pageSize=100&pageToken=%78 @1\n"
         "GET /v1beta/batches?pageSize=100&pageToken=%78 @1\n"
         "GET /v1beta/batches?pageSize=100&pageToken=%78 @1\n"
         "GET /v1beta/batches?pageSize=100&pageToken=%78 @1\n"
         "b: transient?: submitting a batch of 2 calls: gemini sent a garbled answer: it names no "
         "batch @1\n"
         "a: transient?: submitting a batch of 2 calls: gemini sent a garbled answer: it names no "
         "batch @1\n"},
        {"Gemini refuses",
         {.provider = "gemini",
          .play = play_pair,
          .rules = {{.on = "POST /v1beta/models/m:batchGenerateContent",
                     .body = "{'error':{'code':429,'message':'Quota.','status':"
                             "'RESOURCE_EXHAUSTED','details':[{'retryDelay':'7s'}]}}",
                     .status = 429}}},
         "POST /v1beta/models/m:batchGenerateContent @1\n"
         "b: limit: submitting a batch of 2 calls: gemini limits requests to model 'm' (429, "
         "RESOURCE_EXHAUSTED): 'Quota.' @1\n"
         "a: limit: submitting a batch of 2 calls: gemini limits requests to model 'm' (429, "
         "RESOURCE_EXHAUSTED): 'Quota.' @1\n"},
        {"Anthropic's lost answer stays in doubt",
         {.provider = "anthropic",
          .play = play_pair,
          .rules = {{.on = "POST /v1/messages/batches", .drop = true}}},
         "POST /v1/messages/batches @1\n"
         "a: transient?: submitting a batch of 2 calls: calling anthropic: the connect"
         "ion was reset @1\n"
         "b: transient?: submitting a batch of 2 calls: calling anthropic: the connect"
         "ion was reset @1\n"},
        {"Anthropic names nothing",
         {.provider = "anthropic",
          .play = play_pair,
          .rules = {{"POST /v1/messages/batches", "{}"}}},
         "POST /v1/messages/batches @1\n"
         "a: transient?: anthropic sent a garbled answer: it names no batch @1\n"
         "b: transient?: anthropic sent a garbled answer: it names no batch @1\n"},
    };
    rows_check(rows, COUNT(rows));
}

static void
looking(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"now and then, for all together",
         {.provider = "openai",
          .play = play_looks,
          .rules = {{"GET /v1/batches/b1", "{'status':'in_progress'}", .times = 1},
                    {"GET /v1/batches/b1", "{'status':'cancelled'}"}}},
         "GET /v1/batches/b1 @0\n"
         "look: goes on @0\n"
         "look: goes on @400\n"
         "GET /v1/batches/b1 @800\n"
         "look: ended @800\n"
         "look: ended @1200\n"},
        {"away, and back",
         {.provider = "anthropic",
          .play = play_looks,
          .rules = {{"GET /v1/messages/batches/b1", "{}", .status = 503, .times = 1},
                    {"GET /v1/messages/batches/b1", "{'processing_status':'canceling'}",
                     .times = 1},
                    {"GET /v1/messages/batches/b1", "{'processing_status':'ended'}"}}},
         "GET /v1/messages/batches/b1 @0\n"
         "look: transient: looking at batch 'b1': anthropic is in trouble (503) @0\n"
         "look: transient: looking at batch 'b1': anthropic is in trouble (503) @400\n"
         "GET /v1/messages/batches/b1 @800\n"
         "look: goes on @800\n"
         "look: goes on @1200\n"},
        {"the provider could not read it",
         {.provider = "openai",
          .play = play_looks,
          .rules = {{"GET /v1/batches/b1",
                     "{'status':'failed','errors':{'data':[{'message':'line 1: no JSON'}]}}",
                     .times = 1},
                    {"GET /v1/batches/b1", "{'status':'failed'}", .times = 1},
                    {"GET /v1/batches/b1", "{'status':'expired','output_file_id':'a/b'}"}}},
         "GET /v1/batches/b1 @0\n"
         "look: invalid: looking at batch 'b1': batch 'b1' was refused: line 1: no JSO"
         "N @0\n"
         "look: invalid: looking at batch 'b1': batch 'b1' was refused: line 1: no JSO"
         "N @400\n"
         "GET /v1/batches/b1 @800\n"
         "look: invalid: looking at batch 'b1': batch 'b1' was refused: it does not sa"
         "y why @800\n"
         "look: invalid: looking at batch 'b1': batch 'b1' was refused: it does not sa"
         "y why @1200\n"},
    };
    rows_check(rows, COUNT(rows));
}

static void
taking(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"what becomes of items",
         {.provider = "openai",
          .play = play_takes,
          .rules = {{"GET /v1/batches/b1", "{'status':'expired','output_file_id':'f'}"},
                    {"GET /v1/files/f/content",
                     "{'custom_id':'a','response':null,'error':{'code':'batch_expired','message':"
                     "'too late'}}\nnot JSON\n{'custom_id':7}\n{'custom_id':'b','response':{"
                     "'status_code':200,'body':{'choices':[]}}}\n{'custom_id':'c','response':{"
                     "'status_code':400,'body':{'error':{'message':'bad'}}}}"}}},
         "GET /v1/batches/b1 @0\n"
         "GET /v1/files/f/content @0\n"
         "a: timeout: the provider did not come to it within its time @0\n"
         "b: transient: openai sent a garbled answer: no choices[0].message in it @0\n"
         "c: invalid: openai refuses the request to model 'm' (400): 'bad' @0\n"
         "d: missing: batch 'b1' has ended without a result for it @0\n"},
        {"too much for now: others can be asked",
         {.provider = "openai",
          .play = play_takes,
          .rules = {{"GET /v1/batches/b1",
                     "{'status':'failed','errors':{'data':[{'code':'token_limit_exceeded',"
                     "'message':'Enqueued token limit reached for sk-1'}]}}"}}},
         "GET /v1/batches/b1 @0\n"
         "a: transient: batch 'b1' failed: Enqueued token limit reached for [key] @0\n"
         "b: transient: batch 'b1' failed: Enqueued token limit reached for [key] @0\n"
         "c: transient: batch 'b1' failed: Enqueued token limit reached for [key] @0\n"
         "d: transient: batch 'b1' failed: Enqueued token limit reached for [key] @0\n"},
        {"of Gemini",
         {.provider = "gemini",
          .play = play_takes,
          .rules = {{"GET /v1beta/batches/b1",
                     "{'done':true,'metadata':{'state':'BATCH_STATE_SUCCEEDED','output':{"
                     "'inlinedResponses':{'inlinedResponses':[{'metadata':{'key':'a'},'error':{"
                     "'code':8,'message':'quota'}},7,{'metadata':{'key':'b'},'response':{"
                     "'candidates':[]}},{'metadata':{'key':'c'},'error':{'code':3,'message':"
                     "'bad'}},{'metadata':{'key':'d'}}]}}}}"}}},
         "GET /v1beta/batches/b1 @0\n"
         "GET /v1beta/batches/b1 @0\n"
         "a: limit: gemini limits requests to model 'm' (429): 'quota' @0\n"
         "b: transient: gemini sent a garbled answer: no finished candidate in it @0\n"
         "c: invalid: gemini refuses the request to model 'm' (400): 'bad' @0\n"
         "d: transient: gemini is in trouble @0\n"},
        {"of Gemini, which failed as a whole",
         {.provider = "gemini",
          .play = play_takes,
          .rules = {{"GET /v1beta/batches/b1",
                     "{'done':true,'error':{'code':13,'message':'internal, sk-1'},'metadata':{"
                     "'state':'BATCH_STATE_FAILED'}}"}}},
         "GET /v1beta/batches/b1 @0\n"
         "a: transient: batch 'b1' failed: internal, [key] @0\n"
         "b: transient: batch 'b1' failed: internal, [key] @0\n"
         "c: transient: batch 'b1' failed: internal, [key] @0\n"
         "d: transient: batch 'b1' failed: internal, [key] @0\n"},
        {"of Gemini, which took too long",
         {.provider = "gemini",
          .play = play_takes,
          .rules = {{"GET /v1beta/batches/b1", "{'metadata':{'state':'JOB_STATE_EXPIRED'}}"}}},
         "GET /v1beta/batches/b1 @0\n"
         "a: transient: batch 'b1' failed: it was not done within its time @0\n"
         "b: transient: batch 'b1' failed: it was not done within its time @0\n"
         "c: transient: batch 'b1' failed: it was not done within its time @0\n"
         "d: transient: batch 'b1' failed: it was not done within its time @0\n"},
        {"of Anthropic",
         {.provider = "anthropic",
          .play = play_takes,
          .rules = {{"GET /v1/messages/batches/b1/results",
                     "{'custom_id':'a','result':{'type':'expired'}}\n{'custom_id':'b','result':{"
                     "'type':'canceled'}}\n{'custom_id':'c','result':{'type':'errored','error':{"
                     "'type':'error','error':{'type':'invalid_request_error','message':'bad'}}}}\n"
                     "{'custom_id':'d'}"},
                    {"GET /v1/messages/batches/b1", "{'processing_status':'ended'}"}}},
         "GET /v1/messages/batches/b1 @0\n"
         "GET /v1/messages/batches/b1/results @0\n"
         "a: timeout: the provider did not come to it within its time @0\n"
         "b: transient: anthropic is in trouble: 'canceled' @0\n"
         "c: invalid: anthropic refuses the request to model 'm' (invalid_request_erro"
         "r): 'bad' @0\n"
         "d: transient: anthropic is in trouble @0\n"},
        {"the results are away at first",
         {.provider = "openai",
          .play = play_takes,
          .rules = {{"GET /v1/batches/b1", "{'status':'completed','output_file_id':'f'}"},
                    {.on = "GET /v1/files/f/content", .drop = true, .times = 1},
                    {"GET /v1/files/f/content", "{}", .status = 500, .times = 1},
                    {"GET /v1/files/f/content",
                     "GET /v1/batches/b1 @0\n"
                     "GET /v1/files/f/content @0\n"
                     "a: transient?: fetching the results of batch 'b1': calling openai: the conne"
                     "ction was reset @0\n"
                     "GET /v1/files/f/content @0\n"
                     "b: transient?: fetching the results of batch 'b1': openai is in trouble (500"
                     ") @0\n"
                     "GET /v1/files/f/content @0\n"
                     "c: missing: batch 'b1' has ended without a result for it @0\n"
                     "d: missing: batch 'b1' has ended without a result for it @0\n"}}},
         "GET /v1/batches/b1 @0\n"
         "GET /v1/files/f/content @0\n"
         "a: transient?: fetching the results of batch 'b1': calling openai: the conne"
         "ction was reset @0\n"
         "GET /v1/files/f/content @0\n"
         "b: transient?: fetching the results of batch 'b1': openai is in trouble (500"
         ") @0\n"
         "GET /v1/files/f/content @0\n"
         "c: missing: batch 'b1' has ended without a result for it @0\n"
         "d: missing: batch 'b1' has ended without a result for it @0\n"},
    };
    rows_check(rows, COUNT(rows));
}

TESTS(batch_test, cmocka_unit_test(openai_bytes), cmocka_unit_test(anthropic_bytes),
      cmocka_unit_test(gemini_bytes), cmocka_unit_test(submissions), cmocka_unit_test(looking),
      cmocka_unit_test(taking))
