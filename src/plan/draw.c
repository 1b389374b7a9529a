/* draw.c - plans as text, mermaid and dot. What is drawn is what runs. */
#include "plan/plan.h"
#include <string.h>

static const char *
label_of(const struct node *n)
{
    return n->worker && *n->worker ? n->worker : n->kind;
}

/* ---- text ------------------------------------------------------------------ */

/* Names of stored definitions are unchecked: they must not move a terminal's cursor. */
static void
name_add(struct str *to, const char *name)
{
    for (const char *p = name; *p; p++)
        str_addc(to, (unsigned char)*p < 0x20 || *p == 0x7f ? ' ' : *p);
}

static void
text_graph(const struct graph *g, unsigned depth, struct str *to)
{
    for (size_t i = 0; i < g->nnodes; i++) {
        const struct node *n = g->nodes[i];
        str_addf(to, "%*s", (int)(2 * depth + 2), "");
        name_add(to, n->id);
        if (strcmp(label_of(n), n->id) != 0) {
            str_add(to, " (");
            name_add(to, label_of(n));
            str_addc(to, ')');
        }
        for (size_t k = 0; k < n->ndeps; k++) {
            str_add(to, k ? ", " : "  <- ");
            name_add(to, g->nodes[n->deps[k]]->id);
        }
        if (n->when)
            str_add(to, "  [when]");
        str_addc(to, '\n');
        if (n->child)
            text_graph(n->child, depth + 1, to);
    }
}

void
plan_draw_text(const struct plan *p, struct str *to)
{
    const struct graph *g = plan_root(p);
    str_addf(to, "%s (%s)\n", g->name, g->type);
    text_graph(g, 0, to);
}

/* ---- mermaid and dot: nodes get numbers as names, texts are quoted --------- */

struct drawing {
    struct str *to;
    unsigned next;
    bool dot;
};

static void
quoted(struct str *to, const char *text, bool dot)
{
    str_addc(to, '"');
    for (const char *p = text; *p; p++) {
        if (*p == '"')
            str_add(to, dot ? "\\\"" : "#quot;");
        else if (*p == '\\' && dot)
            str_add(to, "\\\\");
        else
            str_addc(to, (unsigned char)*p < 0x20 || *p == 0x7f ? ' ' : *p);
    }
    str_addc(to, '"');
}

static void
node_text(const struct node *n, struct str *text)
{
    str_add(text, n->id);
    if (strcmp(label_of(n), n->id) != 0)
        str_addf(text, ": %s", label_of(n));
}

/* A graph inside a node is a box; arrows lead to the boxes' first and from their last nodes. */
static void
shape_graph(struct drawing *d, const struct graph *g, unsigned depth)
{
    unsigned *name = xcalloc(g->nnodes, sizeof *name);
    for (size_t i = 0; i < g->nnodes; i++) {
        const struct node *n = g->nodes[i];
        AUTO(str_fini) struct str text = STR_INIT;
        name[i] = d->next++;
        node_text(n, &text);
        str_addf(d->to, "%*sn%u", (int)(2 * depth + 2), "", name[i]);
        str_add(d->to, d->dot ? " [label=" : "[");
        quoted(d->to, str_c(&text), d->dot);
        str_add(d->to, d->dot ? "];\n" : "]\n");
        if (!n->child)
            continue;
        str_addf(d->to, "%*ssubgraph %s%u%s", (int)(2 * depth + 2), "", d->dot ? "cluster_" : "g",
                 name[i], d->dot ? " { label=" : "[");
        quoted(d->to, n->child->name, d->dot);
        str_add(d->to, d->dot ? ";\n" : "]\n");
        unsigned first = d->next;
        shape_graph(d, n->child, depth + 1);
        str_addf(d->to, "%*s%s\n", (int)(2 * depth + 2), "", d->dot ? "}" : "end");
        str_addf(d->to, "%*sn%u %s n%u%s\n", (int)(2 * depth + 2), "", name[i],
                 d->dot ? "->" : "-.->", first, d->dot ? " [style=dotted];" : "");
    }
    for (size_t i = 0; i < g->nnodes; i++) {
        for (size_t k = 0; k < g->nodes[i]->ndeps; k++)
            str_addf(d->to, "%*sn%u %s n%u%s\n", (int)(2 * depth + 2), "",
                     name[g->nodes[i]->deps[k]], d->dot ? "->" : "-->", name[i], d->dot ? ";" : "");
    }
    freep(&name);
}

void
plan_draw_mermaid(const struct plan *p, struct str *to)
{
    struct drawing d = {.to = to};
    str_add(to, "flowchart TD\n");
    shape_graph(&d, plan_root(p), 0);
}

void
plan_draw_dot(const struct plan *p, struct str *to)
{
    struct drawing d = {.to = to, .dot = true};
    str_add(to, "digraph ");
    quoted(to, plan_root(p)->name, true);
    str_add(to, " {\n  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n");
    shape_graph(&d, plan_root(p), 0);
    str_add(to, "}\n");
}
