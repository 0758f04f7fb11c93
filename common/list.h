/*
 * common/list.h - a ring of nodes that live inside their owners.
 *
 * A node is in at most one list.  Header only; no memory of its own.
 */
#pragma once

#include <stdbool.h>

#include "common/base.h"

struct list {
	struct list *prev, *next;
};

#define list_owner(node, type, member) container_of(node, type, member)
#define list_each(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)
/** The node may be removed inside. */
#define list_each_safe(it, head)                                                                   \
	for (struct list *it = (head)->next, *it##_next = it->next; it != (head);                  \
		it = it##_next, it##_next = it->next)

static inline void list_init(struct list *l)
{
	l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_add_tail(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

static inline void list_add_head(struct list *head, struct list *node)
{
	list_add_tail(head->next, node);
}

/** Takes @node out and leaves it a list of its own, so that removing twice is harmless. */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/** Takes the first node out; NULL when there is none. */
static inline struct list *list_pop(struct list *head)
{
	struct list *first = head->next;

	if (first == head)
		return NULL;
	head->next = first->next;
	first->next->prev = head;
	list_init(first);
	return first;
}
