/* batchgemini.c - Gemini's batches, with the requests in the request.
 *
 * Format: the references of models.batchGenerateContent, batches.get and batches.list, v1beta
 * (https://ai.google.dev/api/batch-api), and the guide of the Batch API for what they leave out.
 * The answer to each is an Operation: its name is "batches/ID", its metadata has displayName and
 * state (BATCH_STATE_PENDING, _RUNNING, _SUCCEEDED, _FAILED, _CANCELLED, _EXPIRED), and once it is
 * done the responses stand in it, each with the metadata of its request. A batch whose submission
 * was lost is found again by its displayName, which is a number that we drew. Larger batches would
 * go by file; this one takes what fits the request. */
#include "base/hash.h"
#include "llm/batchwire.h"
#include "llm/gemini.h"
#include "rt/rt.h"
#include <stdlib.h>
#include <string.h>

#define LIST_PAGES 10 /* of 100 batches, among which a lost one is looked for */
#define PREFIX     "batches/"

static struct err *
batch_create(const struct batch_peer *p, const char *mark, const struct str *requests,
             int64_t deadline_ms, char **ret_batch)
{
    AUTO(str_fini) struct str url = STR_INIT, body = STR_INIT;
    AUTO(freep) char *path = gemini_path(p->profile->model, "batchGenerateContent");
    AUTO(json_freep) json_t *answer = NULL;
    batch_base(p, path, &url);
    str_addf(&body, "{\"batch\":{\"displayName\":\"%s\",\"inputConfig\":{\"requests\":", mark);
    str_addn(&body, str_c(requests), requests->len);
    str_add(&body, "}}}");
    const struct batch_post post = {"POST", str_c(&url), "application/json", &body};
    PASS(batch_ask(p, &post, deadline_ms, &answer));
    const char *name = json_str(answer, "name", "");
    return batch_name_take(p, str_starts(name, PREFIX) ? name + strlen(PREFIX) : NULL, ret_batch);
}

static struct err *
page_find(const struct batch_peer *p, const json_t *page, const char *mark, char **ret_batch)
{
    const json_t *one;
    size_t i;
    json_array_foreach (json_object_get(page, "operations"), i, one) {
        const char *name = json_str(one, "name", "");
        if (strcmp(json_str(json_object_get(one, "metadata"), "displayName", ""), mark) != 0)
            continue;
        name += str_starts(name, PREFIX) ? strlen(PREFIX) : 0;
        PASS(batch_name_check(p, name));
        *ret_batch = xstrdup(name);
        return NULL;
    }
    return NULL;
}

/* A token that a page gave, to be put into a URL. */
static void
token_add(struct str *url, const char *token)
{
    for (; *token; token++)
        str_addf(url, "%%%02X", (unsigned char)*token);
}

static struct err *
batch_find(const struct batch_peer *p, const char *mark, int64_t deadline_ms, char **ret_batch)
{
    AUTO(str_fini) struct str next = STR_INIT;
    for (int page = 0; page < LIST_PAGES; page++) {
        AUTO(str_fini) struct str url = STR_INIT;
        AUTO(json_freep) json_t *list = NULL;
        batch_base(p, "/batches?pageSize=100", &url);
        if (next.len) {
            str_add(&url, "&pageToken=");
            token_add(&url, str_c(&next));
        }
        const struct batch_post get = {"GET", str_c(&url), NULL, NULL};
        PASS(batch_ask(p, &get, deadline_ms, &list));
        PASS(page_find(p, list, mark, ret_batch));
        str_reset(&next);
        str_add(&next, json_str(list, "nextPageToken", ""));
        if (*ret_batch || !next.len || next.len > 4096)
            return NULL;
    }
    return FAIL(ERR_LIMIT, "%s lists more than %d batches", p->profile->provider, LIST_PAGES * 100);
}

static struct err *
gemini_submit(const struct batch_peer *p, const struct batch_line *items, size_t n,
              int64_t deadline_ms, char **ret_batch)
{
    AUTO(str_fini) struct str requests = STR_INIT;
    unsigned char chance[16];
    char mark[sizeof "tutti-" + 2 * sizeof chance] = "tutti-";
    rt_random(chance, sizeof chance);
    hex_encode(chance, sizeof chance, mark + strlen("tutti-"));
    str_add(&requests, "{\"requests\":[");
    for (size_t i = 0; i < n; i++) {
        str_add(&requests, i ? ",{\"request\":" : "{\"request\":");
        str_add(&requests, items[i].body);
        str_addf(&requests, ",\"metadata\":{\"key\":\"%s\"}}", items[i].id);
    }
    str_add(&requests, "]}");
    struct err *e = batch_create(p, mark, &requests, deadline_ms, ret_batch);
    if (e && err_in_doubt(e))
        e = batch_recover(p, &(struct batch_lost){batch_find, mark}, e, deadline_ms, ret_batch);
    return e ? WRAP(e, "submitting a batch of %zu calls", n) : NULL;
}

static void
batch_url(const struct batch_peer *p, const char *batch, struct str *url)
{
    batch_base(p, "/batches/", url);
    str_add(url, batch);
}

/* "BATCH_STATE_FAILED" and, in older answers, "JOB_STATE_FAILED". */
static bool
state_is(const char *state, const char *what)
{
    return str_ends(state, what) && strstr(state, "_STATE_");
}

static char *
failure_of(const struct batch_peer *p, const json_t *answer, const char *state)
{
    const char *text = json_str(json_object_get(answer, "error"), "message", NULL);
    if (state_is(state, "_EXPIRED"))
        text = "it was not done within its time";
    else if (state_is(state, "_CANCELLED"))
        text = "it was cancelled";
    else if (!text && state_is(state, "_FAILED"))
        text = "it does not say why";
    return text ? batch_words(p, text) : NULL;
}

static struct err *
gemini_look(const struct batch_peer *p, const char *batch, int64_t deadline_ms,
            struct batch_state *ret)
{
    static const char *const ends[] = {"_SUCCEEDED", "_FAILED", "_CANCELLED", "_EXPIRED"};
    AUTO(str_fini) struct str url = STR_INIT;
    AUTO(json_freep) json_t *answer = NULL;
    batch_url(p, batch, &url);
    PASS(batch_ask(p, &(struct batch_post){"GET", str_c(&url), NULL, NULL}, deadline_ms, &answer));
    const char *state = json_str(json_object_get(answer, "metadata"), "state", "");
    ret->ended = json_bool(answer, "done", false);
    for (size_t i = 0; i < COUNT(ends); i++)
        ret->ended |= state_is(state, ends[i]);
    if (ret->ended)
        ret->failure = failure_of(p, answer, state);
    if (ret->ended && !ret->failure)
        ret->files[0] = xstrdup(batch);
    return NULL;
}

static void
gemini_results_url(const struct batch_peer *p, const char *batch, const char *file, struct str *url)
{
    (void)file;
    batch_url(p, batch, url);
}

static const json_t *
inlined(const json_t *output)
{
    return json_object_get(json_object_get(output, "inlinedResponses"), "inlinedResponses");
}

static const json_t *
gemini_results(const json_t *answer)
{
    const json_t *list = inlined(json_object_get(answer, "response"));
    const json_t *metadata = json_object_get(answer, "metadata");
    return list ? list : inlined(json_object_get(metadata, "output"));
}

/* google.rpc.Code, where it is no status of HTTP already. */
static int
status_of(int64_t code)
{
    static const struct {
        int code, status;
    } row[] = {{3, 400}, {4, 504},  {5, 404},  {7, 403},  {8, 429},
               {9, 400}, {11, 400}, {13, 500}, {14, 503}, {16, 401}};
    for (size_t i = 0; i < COUNT(row); i++) {
        if (row[i].code == code)
            return row[i].status;
    }
    return code >= 400 && code < 600 ? (int)code : 0;
}

static void
gemini_read(const json_t *item, struct batch_result *ret)
{
    const json_t *error = json_object_get(item, "error");
    const json_t *response = json_object_get(item, "response");
    ret->id = json_str(json_object_get(item, "metadata"), "key", NULL);
    ret->refusal = (struct refusal){.retry_after_ms = -1};
    if (!json_is_object(error)) {
        ret->body = json_is_object(response) ? response : NULL;
        return;
    }
    ret->failed = true;
    ret->expired = json_int(error, "code", 0) == 4; /* DEADLINE_EXCEEDED */
    ret->refusal.status = status_of(json_int(error, "code", 0));
    ret->refusal.code = json_str(error, "status", NULL);
    ret->refusal.message = json_str(error, "message", NULL);
}

const struct batch_wire batch_gemini = {.bytes_max = (size_t)19 << 20, /* they take 20 MB */
                                        .submit = gemini_submit,
                                        .look = gemini_look,
                                        .results_url = gemini_results_url,
                                        .results = gemini_results,
                                        .read = gemini_read};
