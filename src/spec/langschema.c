/* langschema.c - the tables as a JSON Schema for editors.
 *
 * Editors complete and check as one types; what a schema can say is less than what spec_load
 * checks, but nothing that loads is refused by it. Each key is listed in both spellings. Kinds are
 * told apart by if/then on `type`, each with a definition of its own under $defs. */
#include "spec/check.h"
#include "spec/tables.h"
#include <ctype.h>
#include <string.h>

static json_t *OWN param_schema(const struct param *p);

static json_t *OWN
ref_to(const char *definition)
{
    return json_pack("{s:o}", "$ref", json_stringf("#/$defs/%s", definition));
}

static json_t *OWN
any_of(json_t *OWN a, json_t *OWN b)
{
    return json_pack("{s:[o,o]}", "anyOf", a, b);
}

/* The value, or a text with a variable that gives it. */
static json_t *OWN
or_variable(json_t *OWN schema)
{
    return any_of(schema, ref_to("variable"));
}

static void
camel_case(const char *snake, struct str *to)
{
    str_reset(to);
    for (const char *p = snake; *p; p++) {
        if (*p == '_' && p[1] && p > snake)
            str_addc(to, (char)toupper((unsigned char)*++p));
        else
            str_addc(to, *p);
    }
}

/* ---- scalars --------------------------------------------------------------- */
static json_t *OWN
string_schema(const struct param *p)
{
    json_t *j = json_object();
    if (p->flags & PARAM_PLAIN)
        json_object_set_new(j, "type", json_pack("[sss]", "string", "number", "boolean"));
    else
        json_object_set_new(j, "type", json_string("string"));
    if (p->flags & PARAM_NONEMPTY)
        json_object_set_new(j, "minLength", json_integer(1));
    return j;
}

static json_t *OWN
number_json(double x)
{
    return x == (double)(int64_t)x ? json_integer((int64_t)x) : json_real(x);
}

static json_t *OWN
number_schema(const struct param *p)
{
    json_t *j = json_pack("{s:s}", "type", p->type == P_INT ? "integer" : "number");
    if (p->min < p->max) {
        json_object_set_new(j, "minimum", number_json(p->min));
        json_object_set_new(j, "maximum", number_json(p->max));
    }
    return or_variable(j);
}

static json_t *OWN
unit_schema(const struct param *p)
{
    const char *units = p->type == P_DURATION ? "(ms|s|m|h|d)?" : "(K|M|G|KB|MB|GB|KiB|MiB|GiB)?";
    json_t *number = json_pack("{s:s,s:i}", "type", "number", "minimum", 0);
    json_t *text = json_object();
    json_object_set_new(text, "type", json_string("string"));
    json_object_set_new(text, "pattern", json_stringf("^[0-9]+(\\.[0-9]+)?%s$|\\$\\{", units));
    return any_of(number, text);
}

static json_t *OWN
enum_schema(const struct param *p)
{
    json_t *list = json_array();
    for (size_t i = 0; p->choices[i]; i++)
        json_array_append_new(list, json_string(p->choices[i]));
    return or_variable(json_pack("{s:o}", "enum", list));
}

/* ---- containers ------------------------------------------------------------ */
static json_t *OWN
list_schema(const struct param *p)
{
    json_t *item = param_schema(p->fields);
    json_t *j = json_pack("{s:s,s:O}", "type", "array", "items", item);
    if (p->flags & PARAM_NONEMPTY)
        json_object_set_new(j, "minItems", json_integer(1));
    if (p->flags & PARAM_ONE)
        return any_of(j, item);
    json_decref(item);
    return j;
}

static json_t *OWN
map_schema(const struct param *p)
{
    json_t *named =
        json_pack("{s:[{s:[s]},{s:[s]}]}", "anyOf", "required", "name", "required", "id");
    return any_of(
        json_pack("{s:s,s:o}", "type", "object", "additionalProperties", param_schema(p->fields)),
        json_pack("{s:s,s:o}", "type", "array", "items", named));
}

static void
spelling_add(json_t *properties, json_t *names, const char *name, json_t *schema)
{
    AUTO(str_fini) struct str camel = STR_INIT;
    camel_case(name, &camel);
    for (int i = 0; i < 2; i++) {
        const char *key = i ? str_c(&camel) : name;
        if (json_object_get(properties, key))
            continue;
        json_object_set(properties, key, schema);
        json_array_append_new(names, json_pack("{s:[s]}", "required", key));
    }
}

static void
property_add(json_t *properties, json_t *all_of, const struct param *p)
{
    AUTO(json_freep) json_t *names = json_array(), *schema = param_schema(p);
    if (json_object_get(properties, p->name))
        return; /* a table in front of this one has it */
    spelling_add(properties, names, p->name, schema);
    for (const char *const *a = p->also; a && *a; a++)
        spelling_add(properties, names, *a, schema);
    if (p->flags & PARAM_REQUIRED)
        json_array_append_new(all_of, json_pack("{s:O}", "anyOf", names));
}

static json_t *OWN
object_schema(const struct param *const *tables, bool inputs)
{
    json_t *properties = json_object(), *all_of = json_array();
    for (; *tables; tables++) {
        for (const struct param *p = *tables; p->name; p++)
            property_add(properties, all_of, p);
    }
    json_t *j = json_pack("{s:s,s:o,s:b}", "type", "object", "properties", properties,
                          "additionalProperties", 0);
    if (json_array_size(all_of) && !inputs)
        json_object_set(j, "allOf", all_of);
    json_decref(all_of);
    return j;
}

static json_t *OWN
one_of_schema(const struct param *p)
{
    json_t *list = json_array();
    for (const struct param *a = p->fields; a->name; a++)
        json_array_append_new(list, param_schema(a));
    return json_pack("{s:o}", "anyOf", list);
}

static json_t *OWN
typed_schema(const struct param *p)
{
    switch (p->type) {
    case P_COND:
        return json_pack("{s:[ss]}", "type", "string", "boolean");
    case P_VALUE:
    case P_ANY:
        return json_object();
    case P_SCHEMA:
        return json_pack("{s:[ss]}", "type", "object", "boolean");
    case P_BOOL:
        return or_variable(json_pack("{s:s}", "type", "boolean"));
    case P_INT:
    case P_NUMBER:
        return number_schema(p);
    case P_DURATION:
    case P_SIZE:
        return unit_schema(p);
    case P_ENUM:
        return enum_schema(p);
    case P_REF:
        return json_pack("{s:[ss]}", "type", "string", "integer");
    case P_LIST:
        return list_schema(p);
    case P_MAP:
        return map_schema(p);
    case P_OBJECT:
        if (p->fields == spec_profile_params)
            return ref_to("profile");
        return object_schema((const struct param *const[]){p->fields, NULL}, false);
    case P_ONE_OF:
        return one_of_schema(p);
    case P_NODES:
        return ref_to("nodes");
    case P_NODE:
        return ref_to("node");
    default:
        return string_schema(p);
    }
}

static json_t *OWN
default_json(const struct param *p)
{
    if (p->type == P_BOOL)
        return json_boolean(p->def != 0);
    if (p->type == P_DURATION && p->def % 1000 == 0)
        return json_stringf("%llds", (long long)p->def / 1000);
    if (p->type == P_DURATION)
        return json_stringf("%lldms", (long long)p->def);
    return json_integer(p->def);
}

static json_t *OWN
param_schema(const struct param *p)
{
    json_t *j = typed_schema(p);
    if (p->flags & PARAM_NULL)
        j = any_of(j, json_pack("{s:s}", "type", "null"));
    if (p->doc)
        json_object_set_new(j, "description", json_string(p->doc));
    if (p->def)
        json_object_set_new(j, "default", default_json(p));
    return j;
}

/* ---- kinds ----------------------------------------------------------------- */
static json_t *OWN
names_of(const struct kind *k)
{
    json_t *names = json_pack("[s]", k->name);
    for (const char *const *a = k->also; a && *a; a++)
        json_array_append_new(names, json_string(*a));
    return names;
}

/* "agent.llm": all keys of one kind in one role. */
static void
kind_define(json_t *defs, const struct kind *k, enum role role, const char *what)
{
    const struct param *tables[6] = {0};
    entry_tables(k, role, tables);
    AUTO(freep) char *name = xasprintf("%s.%s", what, k->name);
    json_t *j = object_schema(tables, role == ROLE_NODE);
    json_t *properties = json_object_get(j, "properties");
    json_object_set_new(properties, "type", json_pack("{s:o}", "enum", names_of(k)));
    if (role == ROLE_NODE) {
        json_object_set_new(properties, "id", json_pack("{s:s}", "type", "string"));
        json_object_set_new(properties, "inputs",
                            json_pack("{s:[ss]}", "type", "object", "boolean"));
    }
    if (k->doc)
        json_object_set_new(j, "description", json_string(k->doc));
    json_object_set_new(defs, name, j);
}

static void
choice_add(json_t *all_of, json_t *OWN condition, const char *what, const char *kind)
{
    AUTO(freep) char *name = xasprintf("%s.%s", what, kind);
    json_array_append_new(all_of, json_pack("{s:o,s:o}", "if", condition, "then", ref_to(name)));
}

/* "agent": whichever kind `type` says; `otherwise` is that of entries without it. */
static void
role_define(json_t *defs, const struct kind *const *kinds, enum role role, const char *what,
            const char *otherwise)
{
    const unsigned mask = role == ROLE_NODE ? ROLE_NODE | ROLE_WORKFLOW : role;
    json_t *types = json_array(), *all_of = json_array();
    for (; *kinds; kinds++) {
        if (!((*kinds)->roles & mask))
            continue;
        AUTO(json_freep) json_t *names = names_of(*kinds);
        kind_define(defs, *kinds, role, what);
        json_array_extend(types, names);
        choice_add(all_of,
                   json_pack("{s:{s:{s:O}},s:[s]}", "properties", "type", "enum", names, "required",
                             "type"),
                   what, (*kinds)->name);
        if (strcmp((*kinds)->name, otherwise) == 0)
            choice_add(all_of, json_pack("{s:{s:[s]}}", "not", "required", "type"), what,
                       otherwise);
    }
    json_t *type = or_variable(json_pack("{s:o}", "enum", types));
    json_object_set_new(defs, what,
                        json_pack("{s:s,s:{s:o},s:o}", "type", "object", "properties", "type", type,
                                  "allOf", all_of));
}

/* name -> entry, or a list of entries. */
static json_t *OWN
named(const char *definition, const char *doc)
{
    json_t *map =
        json_pack("{s:s,s:o}", "type", "object", "additionalProperties", ref_to(definition));
    json_t *list = json_pack("{s:s,s:o}", "type", "array", "items", ref_to(definition));
    json_t *j = any_of(map, list);
    if (doc)
        json_object_set_new(j, "description", json_string(doc));
    return j;
}

json_t *
spec_schema(const struct spec_tables *tables)
{
    const struct param *const profile[] = {spec_profile_params, NULL};
    struct param graph[8] = {{0}}; /* at the top, nodes are not required */
    for (size_t i = 0; spec_graph_params[i].name && i < COUNT(graph) - 1; i++) {
        graph[i] = spec_graph_params[i];
        graph[i].flags &= ~(unsigned)PARAM_REQUIRED;
    }
    const struct param *const top[] = {spec_top_params, graph, spec_workflow_params, NULL};
    json_t *defs = json_object();
    json_object_set_new(defs, "variable",
                        json_pack("{s:s,s:s,s:s}", "type", "string", "pattern", "\\$\\{",
                                  "description", "a text with ${NAME}"));
    json_object_set_new(defs, "profile", object_schema(profile, false));
    role_define(defs, tables->agents, ROLE_AGENT, "agent", "llm");
    role_define(defs, tables->workflows, ROLE_WORKFLOW, "workflow", "dag");
    role_define(defs, tables->workflows, ROLE_NODE, "node", "task");
    json_object_set_new(defs, "nodes", named("node", "what is to be done"));
    json_t *j = object_schema(top, false), *properties = json_object_get(j, "properties");
    json_object_set_new(properties, "agents", named("agent", "named workers"));
    json_object_set_new(properties, "workflows", named("workflow", "named patterns over agents"));
    json_object_set_new(j, "$defs", defs);
    json_object_set_new(j, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
    json_object_set_new(j, "title", json_string("tutti"));
    return j;
}
