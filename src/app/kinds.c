/* kinds.c - the tables of all kinds, one row each. */
#include "app/kinds.h"
#include "agents/agentlib.h"
#include "engine/control_node.h"
#include "plan/lower.h"

/* clang-format off */
const struct kind *const app_agents[] = {
    &llm_kind,
    &mcp_kind,
    &http_kind,
    &exec_kind,
    &lua_kind,
    &custom_kind,
    &human_agent_kind,
    NULL,
};

const struct kind *const app_workflows[] = {
    &dag_kind,
    &task_kind,
    &chain_kind,
    &pipeline_kind,
    &parallel_kind,
    &reduce_kind,
    &gate_kind,
    &switch_kind,
    &loop_kind,
    &router_kind,
    &evaluator_kind,
    &maker_kind,
    &orchestrator_kind,
    &manager_kind,
    &peers_kind,
    &foreach_kind,
    &human_kind,
    &wait_kind,
    &queue_kind,
    &session_kind,
    NULL,
};
/* clang-format on */
