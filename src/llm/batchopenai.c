/* batchopenai.c - OpenAI's batches: a file of requests, a batch of that file, files of results.
 *
 * Format: the reference of Files and Batch (/v1/files, /v1/batches); one JSON line a request, with
 * custom_id, method, url and body. A batch ends as completed, expired, cancelled or failed; what
 * was answered is in output_file_id, what was not in error_file_id. */
#include "base/hash.h"
#include "llm/batchwire.h"
#include "rt/rt.h"
#include <stdlib.h>
#include <string.h>

#define LISTED 100 /* the newest batches, among which a lost one is looked for */

static struct err *
file_upload(const struct batch_peer *p, const struct batch_line *items, size_t n,
            int64_t deadline_ms, char **ret_file)
{
    AUTO(str_fini) struct str form = STR_INIT, url = STR_INIT;
    AUTO(json_freep) json_t *answer = NULL;
    unsigned char chance[16];
    char mark[2 * sizeof chance + 1];
    rt_random(chance, sizeof chance);
    hex_encode(chance, sizeof chance, mark);
    AUTO(freep) char *type = xasprintf("multipart/form-data; boundary=tutti-%s", mark);
    str_addf(&form,
             "--tutti-%s\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n"
             "--tutti-%s\r\nContent-Disposition: form-data; name=\"file\"; "
             "filename=\"batch.jsonl\"\r\nContent-Type: application/jsonl\r\n\r\n",
             mark, mark);
    for (size_t i = 0; i < n; i++) {
        str_addf(&form,
                 "{\"custom_id\":\"%s\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",",
                 items[i].id);
        str_add(&form, "\"body\":");
        str_add(&form, items[i].body);
        str_add(&form, "}\n");
    }
    str_addf(&form, "\r\n--tutti-%s--\r\n", mark);
    batch_base(p, "/files", &url);
    PASS(
        batch_ask(p, &(struct batch_post){"POST", str_c(&url), type, &form}, deadline_ms, &answer));
    const char *id = json_str(answer, "id", NULL);
    PASS(batch_name_check(p, id));
    *ret_file = xstrdup(id);
    return NULL;
}

/* The batch of our file, among the newest. NULL: there is none. */
static struct err *
batch_find(const struct batch_peer *p, const char *file, int64_t deadline_ms, char **ret_batch)
{
    AUTO(str_fini) struct str url = STR_INIT;
    AUTO(json_freep) json_t *list = NULL;
    const json_t *batch;
    size_t i;
    batch_base(p, "/batches", &url);
    str_addf(&url, "?limit=%d", LISTED);
    PASS(batch_ask(p, &(struct batch_post){"GET", str_c(&url), NULL, NULL}, deadline_ms, &list));
    json_array_foreach (json_object_get(list, "data"), i, batch) {
        if (strcmp(json_str(batch, "input_file_id", ""), file) != 0)
            continue;
        PASS(batch_name_check(p, json_str(batch, "id", NULL)));
        free(*ret_batch); /* if they list it twice */
        *ret_batch = xstrdup(json_str(batch, "id", ""));
    }
    return NULL;
}

static struct err *
batch_create(const struct batch_peer *p, const char *file, int64_t deadline_ms, char **ret_batch)
{
    AUTO(str_fini) struct str url = STR_INIT, body = STR_INIT;
    AUTO(json_freep) json_t *answer = NULL;
    batch_base(p, "/batches", &url);
    str_addf(&body,
             "{\"input_file_id\":\"%s\",\"endpoint\":\"/v1/chat/completions\","
             "\"completion_window\":\"24h\"}",
             file);
    const struct batch_post post = {"POST", str_c(&url), "application/json", &body};
    PASS(batch_ask(p, &post, deadline_ms, &answer));
    return batch_name_take(p, json_str(answer, "id", NULL), ret_batch);
}

static struct err *
openai_submit(const struct batch_peer *p, const struct batch_line *items, size_t n,
              int64_t deadline_ms, char **ret_batch)
{
    AUTO(freep) char *file = NULL;
    struct err *e = batch_certain(file_upload(p, items, n, deadline_ms, &file));
    if (e) /* a file alone does nothing */
        return WRAP(e, "uploading a batch of %zu calls", n);
    e = batch_create(p, file, deadline_ms, ret_batch);
    if (e && err_in_doubt(e)) /* its file is ours alone */
        e = batch_recover(p, &(struct batch_lost){batch_find, file}, e, deadline_ms, ret_batch);
    return e ? WRAP(e, "submitting a batch of %zu calls", n) : NULL;
}

/* It was refused after its submission: a file that cannot be read is a mistake, one that is too
 * much for now is not, and others can be asked. Nothing of it is billed. */
static struct err *
failed(const struct batch_peer *p, const json_t *batch, const char *id, struct batch_state *ret)
{
    const json_t *first =
        json_array_get(json_object_get(json_object_get(batch, "errors"), "data"), 0);
    char *why = batch_words(p, json_str(first, "message", "it does not say why"));
    if (strstr(json_str(first, "code", ""), "limit")) {
        *ret = (struct batch_state){.ended = true, .failure = why, .free = true};
        return NULL;
    }
    struct err *e = FAIL(ERR_INVALID, "batch '%s' was refused: %s", id, why);
    free(why);
    return e;
}

static struct err *
openai_look(const struct batch_peer *p, const char *batch, int64_t deadline_ms,
            struct batch_state *ret)
{
    static const char *const ends[] = {"completed", "expired", "cancelled"};
    static const char *const files[] = {"output_file_id", "error_file_id"};
    AUTO(str_fini) struct str url = STR_INIT;
    AUTO(json_freep) json_t *answer = NULL;
    batch_base(p, "/batches/", &url);
    str_add(&url, batch);
    PASS(batch_ask(p, &(struct batch_post){"GET", str_c(&url), NULL, NULL}, deadline_ms, &answer));
    const char *status = json_str(answer, "status", "");
    if (strcmp(status, "failed") == 0)
        return failed(p, answer, batch, ret);
    for (size_t i = 0; i < COUNT(ends); i++)
        ret->ended |= strcmp(status, ends[i]) == 0;
    for (size_t i = 0; ret->ended && i < COUNT(files); i++) {
        const char *file = json_str(answer, files[i], NULL);
        struct err *e = file && *file ? batch_name_check(p, file) : NULL;
        if (e)
            return e;
        if (file && *file)
            ret->files[i] = xstrdup(file);
    }
    return NULL;
}

static void
openai_results_url(const struct batch_peer *p, const char *batch, const char *file, struct str *url)
{
    (void)batch;
    batch_base(p, "/files/", url);
    str_addf(url, "%s/content", file);
}

static void
openai_read(const json_t *line, struct batch_result *ret)
{
    const json_t *response = json_object_get(line, "response");
    const json_t *error = json_object_get(line, "error");
    const json_t *body = json_object_get(response, "body");
    const int status = (int)json_int(response, "status_code", 0);
    ret->id = json_str(line, "custom_id", NULL);
    ret->refusal = (struct refusal){.status = status, .retry_after_ms = -1};
    ret->failed = json_is_object(error) || status >= 400;
    if (status >= 200 && status <= 299 && json_is_object(body)) {
        ret->body = body;
    } else if (json_is_object(error)) {
        ret->expired = strcmp(json_str(error, "code", ""), "batch_expired") == 0;
        ret->refusal.code = json_str(error, "code", NULL);
        ret->refusal.message = json_str(error, "message", NULL);
    } else {
        refusal_read(body, &ret->refusal);
    }
}

const struct batch_wire batch_openai = {.bytes_max = (size_t)180 << 20, /* they take 200 MB */
                                        .submit = openai_submit,
                                        .look = openai_look,
                                        .results_url = openai_results_url,
                                        .read = openai_read};
