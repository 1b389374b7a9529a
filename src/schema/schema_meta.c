/* schema_meta.c - the names of the official dialects, and their meta-schemas.
 *
 * What a keyword's value must look like hardly changes between drafts, so one table says it for
 * all, and each meta-schema, with its parts under meta/, is put together from its rows when a
 * $ref asks for it. They say what the published ones say, without titles, comments and defaults. */
#include "schema/schema_node.h"
#include <string.h>

#define D2020 "https://json-schema.org/draft/2020-12/"
#define D2019 "https://json-schema.org/draft/2019-09/"

/* Shapes of a keyword's value. Quotes are written ' and @ stands for "any schema". */
#define SCHEMA  "@"
#define SCHEMAS "{'type':'array','minItems':1,'items':@}"
#define MAP     "{'type':'object','additionalProperties':@}"
#define REGEXES "{'type':'object','additionalProperties':@,'propertyNames':{'format':'regex'}}"
#define EITHER  "{'anyOf':[{'type':'boolean'},@]}"
#define FORMS   "{'anyOf':[@,{'type':'array','minItems':1,'items':@}]}"
#define COUNTER "{'type':'integer','minimum':0}"
#define NUMBER  "{'type':'number'}"
#define ABOVE_0 "{'type':'number','exclusiveMinimum':0}"
#define STRING  "{'type':'string'}"
#define FLAG    "{'type':'boolean'}"
#define ANY     "{}"
#define LIST    "{'type':'array'}"
#define NAMES   "{'type':'array','items':{'type':'string'},'uniqueItems':true}"
#define NEEDS   "{'type':'object','additionalProperties':" NAMES "}"
#define DEPENDS "{'type':'object','additionalProperties':{'anyOf':[@," NAMES "]}}"
#define TYPE    "{'enum':['array','boolean','integer','null','number','object','string']}"
#define TYPES                                                                                      \
    "{'anyOf':[" TYPE ",{'type':'array','items':" TYPE ",'minItems':1,'uniqueItems':true}]}"
#define PATTERN "{'type':'string','format':'regex'}"
#define URI     "{'type':'string','format':'uri'}"
#define URI_REF "{'type':'string','format':'uri-reference'}"
#define ID      "{'type':'string','format':'uri-reference','pattern':'^[^#]*#?$'}"
#define ANCHOR  "{'type':'string','pattern':'^[A-Za-z_][-A-Za-z0-9._]*$'}"
#define VOCABS  "{'type':'object','propertyNames':" URI ",'additionalProperties':" FLAG "}"

#define CORE   "core"
#define APPLY  "applicator"
#define REST   "unevaluated"
#define CHECKS "validation"
#define REMARK "meta-data"
#define FORMAT "format-annotation"
#define BYTES  "content"
#define WHOLE  "schema" /* what the whole adds to its parts */
#define D4     DRAFT_4
#define D6     DRAFT_6
#define D7     DRAFT_7
#define D19    DRAFT_2019
#define D20    DRAFT_2020

static const struct {
    const char *keyword, *shape, *part;
    enum draft from, to;
} rows[] = {
    {"id", STRING, CORE, D4, D4},
    {"$id", URI_REF, CORE, D6, D7},
    {"$id", ID, CORE, D19, D20},
    {"$schema", URI, CORE, D4, D20},
    {"$ref", URI_REF, CORE, D6, D20},
    {"$anchor", ANCHOR, CORE, D19, D20},
    {"$recursiveRef", URI_REF, CORE, D19, D19},
    {"$recursiveAnchor", FLAG, CORE, D19, D19},
    {"$dynamicRef", URI_REF, CORE, D20, D20},
    {"$dynamicAnchor", ANCHOR, CORE, D20, D20},
    {"$vocabulary", VOCABS, CORE, D19, D20},
    {"$comment", STRING, CORE, D7, D20},
    {"$defs", MAP, CORE, D19, D20},
    {"definitions", MAP, WHOLE, D4, D20},
    {"dependencies", DEPENDS, WHOLE, D4, D20},
    {"$recursiveRef", URI_REF, WHOLE, D20, D20},
    {"$recursiveAnchor", ANCHOR, WHOLE, D20, D20},
    {"prefixItems", SCHEMAS, APPLY, D20, D20},
    {"items", FORMS, APPLY, D4, D19},
    {"items", SCHEMA, APPLY, D20, D20},
    {"additionalItems", EITHER, APPLY, D4, D4},
    {"additionalItems", SCHEMA, APPLY, D6, D19},
    {"contains", SCHEMA, APPLY, D6, D20},
    {"additionalProperties", EITHER, APPLY, D4, D4},
    {"additionalProperties", SCHEMA, APPLY, D6, D20},
    {"properties", MAP, APPLY, D4, D20},
    {"patternProperties", MAP, APPLY, D4, D4},
    {"patternProperties", REGEXES, APPLY, D6, D20},
    {"dependentSchemas", MAP, APPLY, D19, D20},
    {"propertyNames", SCHEMA, APPLY, D6, D20},
    {"if", SCHEMA, APPLY, D7, D20},
    {"then", SCHEMA, APPLY, D7, D20},
    {"else", SCHEMA, APPLY, D7, D20},
    {"allOf", SCHEMAS, APPLY, D4, D20},
    {"anyOf", SCHEMAS, APPLY, D4, D20},
    {"oneOf", SCHEMAS, APPLY, D4, D20},
    {"not", SCHEMA, APPLY, D4, D20},
    {"unevaluatedItems", SCHEMA, APPLY, D19, D19},
    {"unevaluatedProperties", SCHEMA, APPLY, D19, D19},
    {"unevaluatedItems", SCHEMA, REST, D20, D20},
    {"unevaluatedProperties", SCHEMA, REST, D20, D20},
    {"multipleOf", ABOVE_0, CHECKS, D4, D20},
    {"maximum", NUMBER, CHECKS, D4, D20},
    {"exclusiveMaximum", FLAG, CHECKS, D4, D4},
    {"exclusiveMaximum", NUMBER, CHECKS, D6, D20},
    {"minimum", NUMBER, CHECKS, D4, D20},
    {"exclusiveMinimum", FLAG, CHECKS, D4, D4},
    {"exclusiveMinimum", NUMBER, CHECKS, D6, D20},
    {"maxLength", COUNTER, CHECKS, D4, D20},
    {"minLength", COUNTER, CHECKS, D4, D20},
    {"pattern", PATTERN, CHECKS, D4, D20},
    {"maxItems", COUNTER, CHECKS, D4, D20},
    {"minItems", COUNTER, CHECKS, D4, D20},
    {"uniqueItems", FLAG, CHECKS, D4, D20},
    {"maxContains", COUNTER, CHECKS, D19, D20},
    {"minContains", COUNTER, CHECKS, D19, D20},
    {"maxProperties", COUNTER, CHECKS, D4, D20},
    {"minProperties", COUNTER, CHECKS, D4, D20},
    {"required", NAMES, CHECKS, D4, D20},
    {"dependentRequired", NEEDS, CHECKS, D19, D20},
    {"const", ANY, CHECKS, D6, D20},
    {"enum", LIST, CHECKS, D4, D20},
    {"type", TYPES, CHECKS, D4, D20},
    {"title", STRING, REMARK, D4, D20},
    {"description", STRING, REMARK, D4, D20},
    {"default", ANY, REMARK, D4, D20},
    {"deprecated", FLAG, REMARK, D19, D20},
    {"readOnly", FLAG, REMARK, D7, D20},
    {"writeOnly", FLAG, REMARK, D7, D20},
    {"examples", LIST, REMARK, D6, D20},
    {"format", STRING, FORMAT, D4, D20},
    {"contentMediaType", STRING, BYTES, D7, D20},
    {"contentEncoding", STRING, BYTES, D7, D20},
    {"contentSchema", SCHEMA, BYTES, D19, D20},
};

/* Where each meta-schema or part of one is found, and of which rows it consists. */
static const struct {
    const char *uri, *part; /* NULL: the rows of all parts */
    enum draft draft;
} metas[] = {
    {D2020 "schema", WHOLE, D20},
    {D2020 "meta/core", CORE, D20},
    {D2020 "meta/applicator", APPLY, D20},
    {D2020 "meta/unevaluated", REST, D20},
    {D2020 "meta/validation", CHECKS, D20},
    {D2020 "meta/meta-data", REMARK, D20},
    {D2020 "meta/format-annotation", FORMAT, D20},
    {D2020 "meta/content", BYTES, D20},
    {D2020 "meta/format-assertion", FORMAT, D20},
    {D2019 "schema", WHOLE, D19},
    {D2019 "meta/core", CORE, D19},
    {D2019 "meta/applicator", APPLY, D19},
    {D2019 "meta/validation", CHECKS, D19},
    {D2019 "meta/meta-data", REMARK, D19},
    {D2019 "meta/format", FORMAT, D19},
    {D2019 "meta/content", BYTES, D19},
    {"http://json-schema.org/draft-07/schema", NULL, D7},
    {"http://json-schema.org/draft-06/schema", NULL, D6},
    {"http://json-schema.org/draft-04/schema", NULL, D4},
};

static json_t *OWN
shape_make(const char *shape, enum draft draft)
{
    const char *any = draft == D20   ? "{'$dynamicRef':'#meta'}"
                      : draft == D19 ? "{'$recursiveRef':'#'}"
                                     : "{'$ref':'#'}";
    AUTO(str_fini) struct str s = STR_INIT;
    for (; *shape; shape++)
        str_addn(&s, *shape == '@' ? any : shape, *shape == '@' ? strlen(any) : 1);
    for (size_t i = 0; i < s.len; i++)
        s.p[i] = s.p[i] == '\'' ? '"' : s.p[i];
    return json_loads(str_c(&s), 0, NULL);
}

static json_t *OWN
properties_make(const char *part, enum draft draft)
{
    json_t *properties = json_object();
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (draft < rows[i].from || draft > rows[i].to || (part && strcmp(part, rows[i].part) != 0))
            continue;
        json_object_set_new(properties, rows[i].keyword, shape_make(rows[i].shape, draft));
    }
    return properties;
}

/* All but format-assertion, which is there for others to use. */
static json_t *OWN
parts_make(enum draft draft)
{
    json_t *parts = json_array();
    for (size_t i = 0; i < COUNT(metas); i++) {
        if (metas[i].draft == draft && strstr(metas[i].uri, "/meta/") &&
            !str_ends(metas[i].uri, "-assertion"))
            json_array_append_new(parts, json_pack("{s:s}", "$ref", metas[i].uri));
    }
    return parts;
}

static json_t *OWN
meta_make(const char *uri, const char *part, enum draft draft)
{
    const char *whole = draft == D20   ? D2020 "schema"
                        : draft == D19 ? D2019 "schema"
                                       : uri; /* older ones describe themselves */
    json_t *meta =
        json_pack("{s:s, s:o}", "$schema", whole, "properties", properties_make(part, draft));
    json_object_set_new(meta, draft == D4 ? "id" : "$id", json_string(uri));
    json_object_set_new(meta, "type",
                        draft == D4 ? json_string("object")
                                    : json_pack("[s, s]", "object", "boolean"));
    if (draft == D20)
        json_object_set_new(meta, "$dynamicAnchor", json_string("meta"));
    if (draft == D19)
        json_object_set_new(meta, "$recursiveAnchor", json_true());
    if (part && strcmp(part, WHOLE) == 0)
        json_object_set_new(meta, "allOf", parts_make(draft));
    return meta;
}

json_t *
meta_schema_load(const char *uri)
{
    /* Many write https for the older drafts, too. */
    const char *rest = strstr(uri, "://");
    bool web = rest && (str_starts(uri, "http:") || str_starts(uri, "https:"));
    for (size_t i = 0; web && i < COUNT(metas); i++) {
        if (strcmp(rest, strstr(metas[i].uri, "://")) == 0)
            return meta_make(metas[i].uri, metas[i].part, metas[i].draft);
    }
    return NULL;
}

bool
dialect_known(const char *uri, struct dialect *ret_dialect)
{
    static const struct {
        const char *name;
        enum draft draft;
    } known[] = {
        {"json-schema.org/draft/2020-12/schema", DRAFT_2020},
        {"json-schema.org/draft/2019-09/schema", DRAFT_2019},
        {"json-schema.org/draft-07/schema", DRAFT_7},
        {"json-schema.org/draft-06/schema", DRAFT_6},
        {"json-schema.org/draft-04/schema", DRAFT_4},
        {"json-schema.org/schema", DRAFT_2020}, /* "the newest" of old documents */
    };
    size_t scheme = str_starts(uri, "https://") ? 8 : str_starts(uri, "http://") ? 7 : 0;
    size_t n = strcspn(uri, "#");
    if (!scheme || (uri[n] && uri[n + 1]))
        return false;
    for (size_t i = 0; i < COUNT(known); i++) {
        if (strlen(known[i].name) != n - scheme ||
            memcmp(uri + scheme, known[i].name, n - scheme) != 0)
            continue;
        *ret_dialect = (struct dialect){known[i].draft, VOCAB_USUAL, false};
        return true;
    }
    return false;
}

bool
vocab_known(const char *uri, unsigned *ret_vocab)
{
    static const struct {
        const char *uri;
        unsigned vocab;
    } known[] = {
        {D2020 "vocab/core", VOCAB_CORE},
        {D2020 "vocab/applicator", VOCAB_APPLY},
        {D2020 "vocab/unevaluated", VOCAB_UNEVALUATED},
        {D2020 "vocab/validation", VOCAB_VALIDATE},
        {D2020 "vocab/meta-data", 0},
        {D2020 "vocab/format-annotation", VOCAB_FORMAT},
        {D2020 "vocab/format-assertion", VOCAB_FORMAT | VOCAB_ASSERT_FORMAT},
        {D2020 "vocab/content", 0},
        {D2019 "vocab/core", VOCAB_CORE},
        {D2019 "vocab/applicator", VOCAB_APPLY | VOCAB_UNEVALUATED},
        {D2019 "vocab/validation", VOCAB_VALIDATE},
        {D2019 "vocab/meta-data", 0},
        {D2019 "vocab/format", VOCAB_FORMAT},
        {D2019 "vocab/content", 0},
    };
    for (size_t i = 0; i < COUNT(known); i++) {
        if (strcmp(uri, known[i].uri) == 0) {
            *ret_vocab = known[i].vocab;
            return true;
        }
    }
    return false;
}
