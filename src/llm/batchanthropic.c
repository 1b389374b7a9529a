/* batchanthropic.c - Anthropic's message batches.
 *
 * Format: the reference of Message Batches (/v1/messages/batches). One request holds all items;
 * processing_status goes from in_progress (or canceling) to ended; results are JSON lines, of type
 * succeeded, errored, canceled or expired. They are fetched from the batch's own address, never
 * from the results_url of an answer: credentials go to nobody whom the profile does not name. */
#include "llm/batchwire.h"
#include <string.h>

static void
batches_url(const struct batch_peer *p, struct str *url)
{
    size_t n = strlen(p->base_url);
    while (n && p->base_url[n - 1] == '/')
        n--;
    const bool versioned = n > 3 && memcmp(p->base_url + n - 3, "/v1", 3) == 0;
    batch_base(p, versioned ? "/messages/batches" : "/v1/messages/batches", url);
}

static struct err *
anthropic_submit(const struct batch_peer *p, const struct batch_line *items, size_t n,
                 int64_t deadline_ms, char **ret_batch)
{
    AUTO(str_fini) struct str url = STR_INIT, body = STR_INIT;
    AUTO(json_freep) json_t *answer = NULL;
    batches_url(p, &url);
    str_add(&body, "{\"requests\":[");
    for (size_t i = 0; i < n; i++) {
        str_addf(&body, "%s{\"custom_id\":\"%s\",\"params\":", i ? "," : "", items[i].id);
        str_add(&body, items[i].body);
        str_addc(&body, '}');
    }
    str_add(&body, "]}");
    const struct batch_post post = {"POST", str_c(&url), "application/json", &body};
    TRY(batch_ask(p, &post, deadline_ms, &answer), "submitting a batch of %zu calls", n);
    return batch_name_take(p, json_str(answer, "id", NULL), ret_batch);
}

static struct err *
anthropic_look(const struct batch_peer *p, const char *batch, int64_t deadline_ms,
               struct batch_state *ret)
{
    AUTO(str_fini) struct str url = STR_INIT;
    AUTO(json_freep) json_t *answer = NULL;
    batches_url(p, &url);
    str_addf(&url, "/%s", batch);
    PASS(batch_ask(p, &(struct batch_post){"GET", str_c(&url), NULL, NULL}, deadline_ms, &answer));
    ret->ended = strcmp(json_str(answer, "processing_status", ""), "ended") == 0;
    if (ret->ended)
        ret->files[0] = xstrdup("results");
    return NULL;
}

static void
anthropic_results_url(const struct batch_peer *p, const char *batch, const char *file,
                      struct str *url)
{
    batches_url(p, url);
    str_addf(url, "/%s/%s", batch, file);
}

static void
anthropic_read(const json_t *line, struct batch_result *ret)
{
    const json_t *result = json_object_get(line, "result");
    const json_t *message = json_object_get(result, "message");
    const char *type = json_str(result, "type", "");
    ret->id = json_str(line, "custom_id", NULL);
    ret->refusal = (struct refusal){.retry_after_ms = -1};
    if (strcmp(type, "succeeded") == 0 && json_is_object(message)) {
        ret->body = message;
        return;
    }
    ret->expired = strcmp(type, "expired") == 0;
    ret->failed = ret->expired || strcmp(type, "errored") == 0 || strcmp(type, "canceled") == 0;
    if (strcmp(type, "errored") == 0)
        provider_anthropic.fault(json_object_get(result, "error"), &ret->refusal);
    else
        ret->refusal.message = *type ? type : NULL;
}

const struct batch_wire batch_anthropic = {.bytes_max = (size_t)180 << 20, /* they take 256 MB */
                                           .submit = anthropic_submit,
                                           .look = anthropic_look,
                                           .results_url = anthropic_results_url,
                                           .read = anthropic_read};
