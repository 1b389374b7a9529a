/* schema_checks.h - one function a keyword: does the value at this spot hold?
 *
 * The table in schema_words.c binds them to names and calls them only for the types of value that
 * they can judge. `seen` is NULL when nobody will ask what was looked at. */
#ifndef SCHEMA_SCHEMA_CHECKS_H
#define SCHEMA_SCHEMA_CHECKS_H
#include "schema/schema_node.h"

#define CHECK(name)                                                                                \
    bool check_##name(struct run *r, const struct node *n, const struct word *w,                   \
                      const struct spot *at, struct seen *seen)
/* schema_assert.c */
CHECK(type);
CHECK(enum);
CHECK(const);
CHECK(multiple);
CHECK(maximum);
CHECK(minimum);
CHECK(exclusive_maximum);
CHECK(exclusive_minimum);
CHECK(length_max);
CHECK(length_min);
CHECK(pattern);
CHECK(format);
CHECK(items_max);
CHECK(items_min);
CHECK(items_unique);
CHECK(properties_max);
CHECK(properties_min);
CHECK(required);
CHECK(dependent_required);
/* schema_apply.c */
CHECK(ref);
CHECK(dynamic_ref);
CHECK(recursive_ref);
CHECK(all_of);
CHECK(any_of);
CHECK(one_of);
CHECK(not );
CHECK(if);
CHECK(dependencies);
/* schema_members.c */
CHECK(properties);
CHECK(pattern_properties);
CHECK(additional_properties);
CHECK(property_names);
CHECK(unevaluated_properties);
CHECK(prefix_items);
CHECK(items);
CHECK(additional_items);
CHECK(contains);
CHECK(unevaluated_items);
#endif
