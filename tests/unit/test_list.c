#include "common/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct item {
	int number;
	struct list node;
};

static int number_of(const struct list *node)
{
	return list_owner(node, struct item, node)->number;
}

static void a_new_list_is_empty_and_gives_out_nothing(void **state)
{
	struct list head;

	(void)state;
	list_init(&head);
	assert_true(list_empty(&head));
	assert_null(list_pop(&head));
}

static void nodes_come_out_in_the_order_they_were_added_at_the_tail(void **state)
{
	struct item a = {.number = 1}, b = {.number = 2}, c = {.number = 3};
	struct list head;

	(void)state;
	list_init(&head);
	list_add_tail(&head, &a.node);
	list_add_tail(&head, &b.node);
	list_add_head(&head, &c.node);
	assert_false(list_empty(&head));
	assert_int_equal(number_of(list_pop(&head)), 3);
	assert_int_equal(number_of(list_pop(&head)), 1);
	assert_int_equal(number_of(list_pop(&head)), 2);
	assert_null(list_pop(&head));
}

static void removing_twice_is_harmless(void **state)
{
	struct item a = {.number = 1}, b = {.number = 2};
	struct list head;

	(void)state;
	list_init(&head);
	list_add_tail(&head, &a.node);
	list_add_tail(&head, &b.node);
	list_remove(&a.node);
	list_remove(&a.node);
	assert_int_equal(number_of(head.next), 2);
	assert_ptr_equal(head.prev, &b.node);
	assert_ptr_equal(b.node.next, &head);
	assert_true(list_empty(&a.node));
}

static void a_walk_sees_every_node_and_the_safe_one_may_remove_them(void **state)
{
	struct item items[5];
	struct list head;
	int sum = 0;

	(void)state;
	list_init(&head);
	for (int i = 0; i < 5; i++) {
		items[i].number = i;
		list_add_tail(&head, &items[i].node);
	}
	list_each(it, &head)
		sum = 10 * sum + number_of(it);
	assert_int_equal(sum, 1234);
	list_each_safe(it, &head)
		if (number_of(it) % 2 == 0)
			list_remove(it);
	sum = 0;
	list_each(it, &head)
		sum = 10 * sum + number_of(it);
	assert_int_equal(sum, 13);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_list_is_empty_and_gives_out_nothing),
		cmocka_unit_test(nodes_come_out_in_the_order_they_were_added_at_the_tail),
		cmocka_unit_test(removing_twice_is_harmless),
		cmocka_unit_test(a_walk_sees_every_node_and_the_safe_one_may_remove_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
