/* draw.c - pictures as text, mermaid and dot. What is drawn is what runs. */
#include "plan/picture.h"
#include <string.h>

/* ---- text ------------------------------------------------------------------ */

/* Names of stored definitions are unchecked: they must not move a terminal's cursor. */
static void
name_add(struct str *to, const char *name)
{
    for (const char *p = name; *p; p++)
        str_addc(to, (unsigned char)*p < 0x20 || *p == 0x7f ? ' ' : *p);
}

static void
text_node(const struct picture *in, const struct picture_node *n, unsigned depth, struct str *to)
{
    static const char marks[] = {
        [PICTURE_PLAIN] = ' ',     [PICTURE_UNREACHED] = '.', [PICTURE_RUNNING] = '>',
        [PICTURE_COMPLETED] = '+', [PICTURE_FAILED] = 'x',    [PICTURE_SKIPPED] = '-',
        [PICTURE_CANCELLED] = '!'};
    str_addf(to, "%*s", (int)(2 * depth + 2), "");
    if (n->state)
        str_addf(to, "%c ", marks[n->state]);
    if (in->about && !n->invented)
        str_add(to, "? ");
    name_add(to, n->id);
    if (strcmp(n->label, n->id) != 0) {
        str_add(to, " (");
        name_add(to, n->label);
        str_addc(to, ')');
    }
    for (size_t k = 0; k < n->ndeps; k++) {
        str_add(to, k ? ", " : "  <- ");
        name_add(to, in->nodes[n->deps[k]]->id);
    }
    if (n->when) {
        str_add(to, "  [when ");
        name_add(to, n->when);
        str_addc(to, ']');
    }
    if (n->child && n->child->about)
        str_addf(to, "  %s: %s", n->child->type, n->child->about);
    if (n->note) {
        str_add(to, "  ");
        name_add(to, n->note);
    }
    str_addc(to, '\n');
}

static void
text_graph(const struct picture *p, unsigned depth, struct str *to)
{
    for (size_t i = 0; i < p->nnodes; i++) {
        text_node(p, p->nodes[i], depth, to);
        if (p->nodes[i]->child)
            text_graph(p->nodes[i]->child, depth + 1, to);
    }
}

void
picture_text(const struct picture *p, struct str *to)
{
    name_add(to, p->title);
    str_addf(to, " (%s)", p->type);
    if (p->about)
        str_addf(to, "  %s", p->about);
    if (p->note) {
        str_add(to, "  ");
        name_add(to, p->note);
    }
    str_addc(to, '\n');
    text_graph(p, 0, to);
}

/* ---- mermaid and dot: nodes get numbers as names, texts are quoted --------- */

struct drawing {
    struct str *to;
    unsigned next;
    bool dot;
    unsigned of_state[PICTURE_CANCELLED + 1]; /* how many nodes are in it */
};

/* In mermaid's labels a '<' begins markup, and a '#' the name of a letter. */
static void
quoted(struct str *to, const char *text, bool dot)
{
    str_addc(to, '"');
    for (const char *p = text; *p; p++) {
        if (*p == '"')
            str_add(to, dot ? "\\\"" : "#quot;");
        else if (*p == '\\' && dot)
            str_add(to, "\\\\");
        else if (*p == '<' && !dot)
            str_add(to, "#lt;");
        else if (*p == '#' && !dot)
            str_add(to, "#35;");
        else
            str_addc(to, (unsigned char)*p < 0x20 || *p == 0x7f ? ' ' : *p);
    }
    str_addc(to, '"');
}

static void
label_add(const struct picture_node *n, struct str *text)
{
    str_add(text, n->id);
    if (strcmp(n->label, n->id) != 0)
        str_addf(text, ": %s", n->label);
    if (n->note)
        str_addf(text, " (%s)", n->note);
}

static void
box_add(struct drawing *d, const struct picture_node *n, unsigned name)
{
    static const char *const fill[] = {
        [PICTURE_UNREACHED] = "gray95",    [PICTURE_RUNNING] = "lightblue",
        [PICTURE_COMPLETED] = "palegreen", [PICTURE_FAILED] = "salmon",
        [PICTURE_SKIPPED] = "gray85",      [PICTURE_CANCELLED] = "khaki"};
    const bool decides = n->child && n->child->about;
    AUTO(str_fini) struct str text = STR_INIT;
    label_add(n, &text);
    d->of_state[n->state]++;
    if (d->dot) {
        str_addf(d->to, "n%u [label=", name);
        quoted(d->to, str_c(&text), true);
        str_add(d->to, decides ? ", shape=hexagon" : "");
        if (n->state)
            str_addf(d->to, ", style=\"%sfilled\", fillcolor=%s",
                     decides       ? ""
                     : n->invented ? "rounded,dashed,"
                                   : "rounded,",
                     fill[n->state]);
        str_add(d->to, "];\n");
        return;
    }
    str_addf(d->to, "n%u%s", name, decides ? "{{" : "[");
    quoted(d->to, str_c(&text), false);
    str_add(d->to, decides ? "}}" : "]");
    if (n->state)
        str_addf(d->to, ":::s%u", (unsigned)n->state);
    str_addc(d->to, '\n');
}

struct arrow {
    unsigned from, to;
    const char *when; /* what it depends on, if anything */
    bool dotted;      /* from the outside of a box into it */
};

static void
arrow_add(struct drawing *d, unsigned depth, struct arrow a)
{
    const bool said = a.when != NULL;
    str_addf(d->to, "%*sn%u %s", (int)(2 * depth + 2), "", a.from,
             d->dot     ? "->"
             : a.dotted ? "-.->"
                        : "-->");
    if (said && !d->dot) {
        str_addc(d->to, '|');
        quoted(d->to, a.when, false);
        str_addc(d->to, '|');
    }
    str_addf(d->to, " n%u", a.to);
    if (d->dot && (a.dotted || said)) {
        str_add(d->to, a.dotted ? " [style=dotted" : " [");
        str_add(d->to, said ? a.dotted ? ", label=" : "label=" : "");
        if (said)
            quoted(d->to, a.when, true);
        str_addc(d->to, ']');
    }
    str_add(d->to, d->dot ? ";\n" : "\n");
}

static void shape_graph(struct drawing *d, const struct picture *p, unsigned depth, unsigned *from);

static void
shape_inside(struct drawing *d, const struct picture_node *n, unsigned name, unsigned depth)
{
    AUTO(str_fini) struct str title = STR_INIT;
    str_add(&title, n->child->title);
    if (n->child->about)
        str_addf(&title, ": %s", n->child->about);
    str_addf(d->to, "%*ssubgraph %s%u%s", (int)(2 * depth + 2), "", d->dot ? "cluster_" : "g", name,
             d->dot ? " { label=" : "[");
    quoted(d->to, str_c(&title), d->dot);
    str_add(d->to, d->dot ? ";\n" : "]\n");
    unsigned first = d->next;
    AUTO(freep) unsigned *names = xcalloc(n->child->nnodes, sizeof *names);
    shape_graph(d, n->child, depth + 1, names);
    str_addf(d->to, "%*s%s\n", (int)(2 * depth + 2), "", d->dot ? "}" : "end");
    if (!n->child->about && n->child->nnodes) {
        arrow_add(d, depth, (struct arrow){name, first, NULL, true});
        return;
    }
    for (size_t i = 0; i < n->child->nnodes; i++) {
        if (!n->child->nodes[i]->ndeps)
            arrow_add(d, depth, (struct arrow){name, names[i], n->child->nodes[i]->when, true});
    }
}

/* A graph inside a node is a box. A dotted arrow leads into it: to its first node, or, where it is
 * decided while it runs, to each that may be called. */
static void
shape_graph(struct drawing *d, const struct picture *p, unsigned depth, unsigned *name)
{
    for (size_t i = 0; i < p->nnodes; i++) {
        name[i] = d->next++;
        str_addf(d->to, "%*s", (int)(2 * depth + 2), "");
        box_add(d, p->nodes[i], name[i]);
        if (p->nodes[i]->child && p->nodes[i]->child->nnodes)
            shape_inside(d, p->nodes[i], name[i], depth);
    }
    for (size_t i = 0; i < p->nnodes; i++) {
        const struct picture_node *n = p->nodes[i];
        for (size_t k = 0; k < n->ndeps; k++)
            arrow_add(d, depth, (struct arrow){name[n->deps[k]], name[i], n->when, false});
    }
}

/* A workflow that decides has a node of its own, from which the others are called. */
static void
shape_whole(struct drawing *d, const struct picture *p)
{
    if (p->about) {
        const struct picture_node whole = {
            .id = p->title, .label = p->type, .child = (struct picture *)(uintptr_t)p};
        str_add(d->to, "  ");
        d->next = 1;
        box_add(d, &whole, 0);
        shape_inside(d, &whole, 0, 0);
        return;
    }
    AUTO(freep) unsigned *names = xcalloc(p->nnodes, sizeof *names);
    shape_graph(d, p, 0, names);
}

void
picture_mermaid(const struct picture *p, struct str *to)
{
    static const char *const style[] = {[PICTURE_UNREACHED] = "fill:whitesmoke,color:gray",
                                        [PICTURE_RUNNING] = "fill:lightblue",
                                        [PICTURE_COMPLETED] = "fill:palegreen",
                                        [PICTURE_FAILED] = "fill:salmon",
                                        [PICTURE_SKIPPED] = "fill:lightgray,stroke-dasharray:4",
                                        [PICTURE_CANCELLED] = "fill:khaki"};
    struct drawing d = {.to = to};
    str_add(to, "flowchart TD\n");
    shape_whole(&d, p);
    for (unsigned s = PICTURE_UNREACHED; s <= PICTURE_CANCELLED; s++) {
        if (d.of_state[s])
            str_addf(to, "  classDef s%u %s\n", s, style[s]);
    }
}

void
picture_dot(const struct picture *p, struct str *to)
{
    struct drawing d = {.to = to, .dot = true};
    str_add(to, "digraph ");
    quoted(to, p->title, true);
    str_add(to, " {\n");
    if (p->note) {
        str_add(to, "  label=");
        quoted(to, p->note, true);
        str_add(to, ";\n");
    }
    str_add(to, "  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n");
    shape_whole(&d, p);
    str_add(to, "}\n");
}

/* ---- a plan as it is defined ----------------------------------------------- */

static void
draw(const struct plan *p, struct str *to, void (*as)(const struct picture *p, struct str *to))
{
    struct arena *a = arena_new(0);
    as(picture_make(a, p), to);
    arena_free(a);
}

void
plan_draw_text(const struct plan *p, struct str *to)
{
    draw(p, to, picture_text);
}

void
plan_draw_mermaid(const struct plan *p, struct str *to)
{
    draw(p, to, picture_mermaid);
}

void
plan_draw_dot(const struct plan *p, struct str *to)
{
    draw(p, to, picture_dot);
}
