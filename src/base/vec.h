/* vec.h - a typed array that grows.
 *
 *   VEC(struct node *) nodes = {0};
 *   vec_push(&nodes, n);
 *   vec_each(&nodes, p) use(*p);      (p points at each element in turn)
 *   vec_fini(&nodes);
 * Elements move when it grows: keep indexes, not pointers, across vec_push. */
#ifndef BASE_VEC_H
#define BASE_VEC_H
#include "base/err.h"
#include <stdlib.h>

#define VEC(type)                                                                                  \
    struct {                                                                                       \
        type *at;                                                                                  \
        size_t len, cap;                                                                           \
    }
#define vec_push(v, item)                                                                          \
    do {                                                                                           \
        if ((v)->len == (v)->cap) {                                                                \
            (v)->cap = (v)->cap ? (v)->cap * 2 : 8;                                                \
            (v)->at = xrealloc((v)->at, (v)->cap * sizeof *(v)->at);                               \
        }                                                                                          \
        (v)->at[(v)->len++] = (item);                                                              \
    } while (0)
#define vec_pop(v)       ((v)->at[--(v)->len])
#define vec_last(v)      ((v)->at[(v)->len - 1])
/* By difference: an empty vector has no array to point behind. */
#define vec_each(v, var)                                                                           \
    for (__typeof__((v)->at) var = (v)->at; (size_t)(var - (v)->at) < (v)->len; var++)
#define vec_fini(v)                                                                                \
    do {                                                                                           \
        free((v)->at);                                                                             \
        (v)->at = NULL;                                                                            \
        (v)->len = (v)->cap = 0;                                                                   \
    } while (0)
#endif
