/* tables.h - the keys that belong to no kind, as data: files, profiles, servers, and what all
 * agents, workflows and nodes have in common. Kinds bring their own (model/kind.h).
 *
 * Checks, normal form and the JSON Schema are all made from these; a key exists by standing here.
 */
#ifndef SPEC_TABLES_H
#define SPEC_TABLES_H
#include "model/param.h"

extern const struct param spec_top_params[];      /* a file; P_ANY: by code of its own */
extern const struct param spec_profile_params[];  /* an entry of profiles */
extern const struct param spec_setting_params[];  /* settings */
extern const struct param spec_limit_params[];    /* an entry of limits */
extern const struct param spec_server_params[];   /* an entry of mcp_servers */
extern const struct param spec_agent_params[];    /* every agent */
extern const struct param spec_workflow_params[]; /* every workflow, inline ones too */
extern const struct param spec_graph_params[];    /* the kind "dag": nodes and edges */
extern const struct param spec_node_params[];     /* every node */
extern const struct param spec_work_params[];     /* nodes that are not inline workflows */

/* Environment variables that set what a file leaves out (they lose to the file). */
struct setting_env {
    const char *variable, *key; /* of settings */
};
extern const struct setting_env spec_setting_env[]; /* NULL-ended */
extern const char *const spec_providers[];          /* built in; others need base_url */
#endif
