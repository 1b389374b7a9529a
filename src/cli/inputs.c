/* inputs.c - `-i key=value`, `-i text`, `-i @file`. */
#include "cli/inputs.h"
#include "rt/file.h"
#include <stdlib.h>
#include <string.h>

#define INPUT_BYTES_MAX ((size_t)16 << 20)

struct err *
inputs_file(const char *path, struct str *to)
{
    if (strcmp(path, "-") == 0)
        path = "/dev/stdin";
    return file_read(path, INPUT_BYTES_MAX, to);
}

void
inputs_add(void *ctx, const char *value)
{
    struct inputs *in = ctx;
    size_t key = strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    if (in->e)
        return;
    if (value[0] == '@') {
        in->e = inputs_file(value + 1, &in->text);
        return;
    }
    if (!key || value[key] != '=') {
        str_addf(&in->text, "%s%s", in->text.len ? "\n" : "", value);
        return;
    }
    AUTO(freep) char *name = xstrndup(value, key);
    AUTO(str_fini) struct str text = STR_INIT;
    if (value[key + 1] == '@')
        in->e = inputs_file(value + key + 2, &text);
    else
        str_add(&text, value + key + 1);
    if (in->e)
        return;
    json_object_set_new(in->keys, name, json_or_text(str_c(&text), text.len));
}
