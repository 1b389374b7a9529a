/* control.h - the owner of a folder serves the other processes on it, through DIR/control.sock.
 *
 * Each connection is a node of its own: what it claims is owned by it, and is reaped when its
 * socket closes (its process is gone). At most 64 connections of 256 requests under way each. */
#ifndef STORE_REMOTE_CONTROL_H
#define STORE_REMOTE_CONTROL_H
#include "store/front.h"

struct err *MUST control_open(struct store *s, const char *path, struct control **OWN ret_control);
void control_close(struct control *OWN c) YIELDS;         /* their runs stay theirs; accepts NULL */
void control_news(struct control *c, const char *run_id); /* to every connection */
/* The nodes that are connected; valid until the next wait. */
const char *const *control_nodes(struct control *c, size_t *ret_n);

#endif
