/* waiting_test.c - questions and waits that are refused before anything runs. */
#include "engine/enginetest.h"

static const char doc[] =
    "{\"agents\":{},\"workflows\":{"
    "\"escalates\":{\"nodes\":[{\"id\":\"a\",\"type\":\"human\",\"prompt\":\"Well?\","
    "\"escalate\":{\"to\":\"the board\"}}]},"
    "\"both\":{\"nodes\":[{\"id\":\"a\",\"type\":\"human\",\"prompt\":\"Well?\","
    "\"choices\":[\"yes\"],\"schema\":{\"type\":\"string\"}}]},"
    "\"nothing\":{\"nodes\":[{\"id\":\"a\",\"type\":\"wait\"}]},"
    "\"twice\":{\"nodes\":[{\"id\":\"a\",\"type\":\"wait\",\"for\":1000,\"signal\":\"go\"}]}}}";

static void
each(struct scene *s)
{
    static const char *const names[] = {"escalates", "both", "nothing", "twice"};
    for (size_t i = 0; i < COUNT(names); i++)
        finish(s, begin(s, names[i], "x"));
}

static void
refused(void **state)
{
    (void)state;
    scene_in_folder(
        doc, each,
        "start: workflow 'escalates': node 'a': escalate needs a timeout: the first question "
        "never ends\n"
        "start: workflow 'both': node 'a': choices and schema: one of them says what an answer "
        "is\n"
        "start: workflow 'nothing': node 'a': a wait needs one of `for`, `until` and `signal`\n"
        "start: workflow 'twice': node 'a': a wait needs one of `for`, `until` and `signal`\n");
}

TESTS(waiting_test, cmocka_unit_test(refused))
