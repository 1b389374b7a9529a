/* geminischema.c - what of a JSON Schema survives the way to Gemini. */
#include "llm/geminischema.h"
#include <string.h>

#define DEPTH_MAX 24
#define NODES_MAX 5000 /* references can multiply: a schema of a page must not become a book */

struct cut {
    const json_t *root;
    unsigned nodes;
};

static json_t *cut_schema(struct cut *c, const json_t *s, int depth);

/* "#/$defs/x" and "#/definitions/x"; NULL for anything else. */
static const json_t *
follow(const struct cut *c, const char *ref)
{
    static const char *const places[] = {"$defs", "definitions"};
    for (size_t i = 0; i < COUNT(places); i++) {
        const size_t n = strlen(places[i]);
        if (str_starts(ref, "#/") && strncmp(ref + 2, places[i], n) == 0 && ref[2 + n] == '/')
            return json_object_get(json_object_get(c->root, places[i]), ref + 3 + n);
    }
    return NULL;
}

static bool
known_format(const json_t *s)
{
    static const char *const formats[] = {"enum", "date-time", "float", "double", "int32", "int64"};
    const char *format = json_str(s, "format", "");
    for (size_t i = 0; i < COUNT(formats); i++) {
        if (strcmp(format, formats[i]) == 0)
            return true;
    }
    return false;
}

/* ["string","null"]: nullable; of several other types the first stays. */
static void
set_type(json_t *to, const json_t *type)
{
    size_t i;
    json_t *t;
    if (json_is_string(type)) {
        json_object_set(to, "type", (json_t *)(uintptr_t)type);
        return;
    }
    json_array_foreach (type, i, t) {
        if (strcmp(json_is_string(t) ? json_string_value(t) : "", "null") == 0)
            json_object_set_new(to, "nullable", json_true());
        else if (!json_object_get(to, "type"))
            json_object_set(to, "type", t);
    }
}

/* Its enumerations hold texts only. */
static void
set_enum(json_t *to, const json_t *s)
{
    const json_t *values = json_object_get(s, "enum"), *constant = json_object_get(s, "const");
    json_t *list = json_array(), *v;
    size_t i;
    json_array_foreach (values, i, v) {
        if (json_is_string(v))
            json_array_append(list, v);
    }
    if (json_is_string(constant))
        json_array_append(list, (json_t *)(uintptr_t)constant);
    if (json_array_size(list) && json_array_size(list) >= json_array_size(values)) {
        json_object_set(to, "enum", list);
        if (!json_object_get(to, "type"))
            json_object_set_new(to, "type", json_string("string"));
    }
    json_decref(list);
}

static void
set_properties(struct cut *c, json_t *to, const json_t *properties, int depth)
{
    json_t *all = json_object(), *value;
    const char *key;
    json_object_foreach ((json_t *)(uintptr_t)properties, key, value)
        json_object_set_new(all, key, cut_schema(c, value, depth + 1));
    if (json_object_size(all))
        json_object_set(to, "properties", all);
    json_decref(all);
}

static void
set_any_of(struct cut *c, json_t *to, const json_t *list, int depth)
{
    json_t *all = json_array(), *value;
    size_t i;
    json_array_foreach (list, i, value) {
        if (strcmp(json_str(value, "type", ""), "null") == 0)
            json_object_set_new(to, "nullable", json_true());
        else
            json_array_append_new(all, cut_schema(c, value, depth + 1));
    }
    if (json_array_size(all))
        json_object_set(to, "anyOf", all);
    json_decref(all);
}

static json_t *
cut_schema(struct cut *c, const json_t *s, int depth)
{
    static const char *const plain[] = {"title",     "description",   "nullable",      "maxItems",
                                        "minItems",  "minProperties", "maxProperties", "minLength",
                                        "maxLength", "pattern",       "minimum",       "maximum",
                                        "required"};
    json_t *to = json_object();
    if (depth > DEPTH_MAX || ++c->nodes > NODES_MAX) {
        json_object_set_new(to, "type", json_string("object"));
        return to;
    }
    const char *ref = json_str(s, "$ref", NULL);
    const json_t *target = ref ? follow(c, ref) : NULL;
    if (target) {
        json_decref(to);
        return cut_schema(c, target, depth + 1);
    }
    for (size_t i = 0; i < COUNT(plain); i++) {
        json_t *v = json_object_get(s, plain[i]);
        if (v)
            json_object_set(to, plain[i], v);
    }
    if (known_format(s))
        json_object_set(to, "format", json_object_get(s, "format"));
    set_type(to, json_object_get(s, "type"));
    set_enum(to, s);
    set_properties(c, to, json_object_get(s, "properties"), depth);
    if (json_is_object(json_object_get(s, "items")))
        json_object_set_new(to, "items", cut_schema(c, json_object_get(s, "items"), depth + 1));
    const json_t *any = json_object_get(s, "anyOf"), *one = json_object_get(s, "oneOf");
    set_any_of(c, to, any ? any : one, depth);
    /* a name that is required and not described is refused */
    if (!json_object_get(to, "properties"))
        json_object_del(to, "required");
    return to;
}

json_t *
gemini_schema(const json_t *schema)
{
    struct cut c = {.root = schema};
    return cut_schema(&c, schema, 0);
}
