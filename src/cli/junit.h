/* junit.h - a report of tests in the form that continuous integration reads. */
#ifndef CLI_JUNIT_H
#define CLI_JUNIT_H
#include "base/json.h"

/* report: as of tests_run. A suite for each file, a case for each test; a file that could not be
 * run is a case with an error. Tests with a virtual clock have taken no time. */
struct err *MUST junit_write(const char *path, const json_t *report);

#endif
