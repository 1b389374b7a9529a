/* registry.h - who can work: the agents of a document and those that a program registered, with
 * what they can do.
 *
 * A registered agent is an entry of `agents` like those of a file, checked when it is registered;
 * it counts as defined in every document that is loaded afterwards. A name is taken once, here and
 * with the names of the file. */
#ifndef APP_REGISTRY_H
#define APP_REGISTRY_H
#include "app/app.h"

#define REGISTERED_MAX 200 /* agents that a program can add */

struct registry;
struct registry *OWN registry_new(void);
void registry_free(struct registry *OWN r); /* accepts NULL */
/* definition: a map in YAML or JSON. ERR_INVALID: its mistakes, or the name is taken. Profiles and
 * servers that it names are looked for when a document is loaded. */
struct err *MUST registry_add(struct registry *r, const char *name, const char *definition);
/* A document of them alone; what they name is not looked for. */
struct err *MUST registry_load(const struct registry *r, struct spec **OWN ret_spec);
const struct spec_text *registry_texts(const struct registry *r, size_t *ret_n);

/* Agents and workflows of a document, by name: a list of {name, kind, description, profile,
 * provider, model, servers, tools, agents, capabilities, use_history, multimodal, max_tokens,
 * context_window, status, running, done, failed, run, task, error}; null where something is
 * unknown. */
json_t *OWN agents_list(struct app *a, const json_t *doc);
/* The same for one. ERR_MISSING with the nearest name. */
struct err *MUST agents_find(struct app *a, const json_t *doc, const char *name,
                             json_t **OWN ret_row);
/* Asks the tool servers of a row what they have: adds `probed`: {SERVER: {tools, resources, prompts
 * | error}}. Starts them. */
void agents_probe(struct app *a, json_t *row, int64_t deadline_ms) YIELDS;

#endif
