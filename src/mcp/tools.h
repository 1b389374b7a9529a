/* tools.h - the tools of one server as it last listed them; pure.
 *
 * What cannot be called or told apart is left out: see session_tools. Schemas of results are
 * compiled when first needed; one that does not compile is treated as absent. */
#ifndef MCP_TOOLS_H
#define MCP_TOOLS_H
#include "base/json.h"

struct tools;
struct tools *OWN tools_new(const json_t *listed); /* the array of all pages */
void tools_free(struct tools *OWN t);              /* accepts NULL */
json_t *tools_all(const struct tools *t);          /* array, borrowed */
const json_t *tools_find(const struct tools *t, const char *name);
unsigned tools_dropped(const struct tools *t);
/* What is wrong with the result's structuredContent, or NULL. A result that says isError is not
 * checked. Needs a large stack: call it by rt_deep. */
char *OWN tools_misfit(struct tools *t, const char *name, const json_t *result);
bool tool_name_ok(const char *name);

#endif
