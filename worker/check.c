#include "worker/check.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/clock.h"
#include "worker/check_private.h"

/* ---- what is printed ---- */

static printf_like(3, 0) void print_line(
	const char *verdict, const char *name, const char *fmt, va_list args)
{
	printf("%-4s  %-13s  ", verdict, name);
	vprintf(fmt, args);
	putchar('\n');
	(void)fflush(stdout);
}

void check_ok(const char *name, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_line("ok", name, fmt, args);
	va_end(args);
}

void check_fail(struct check *c, const char *name, const char *fmt, ...)
{
	va_list args;

	c->failed = true;
	va_start(args, fmt);
	print_line("FAIL", name, fmt, args);
	va_end(args);
}

bool check_wait(struct check *c, const bool *done)
{
	int64_t until_ms = clock_age_ms() + CHECK_LIMIT_MS;

	while (!*done) {
		int64_t left_ms = until_ms - clock_age_ms();

		if (left_ms <= 0)
			return false;
		loop_turn(c->loop, (int)left_ms);
	}
	return true;
}

/* ---- the checks ---- */

/* Its faults were printed when it was read. */
static void check_configuration(struct check *c)
{
	const struct options *o = c->options;

	if (!o->config.section_count)
		check_fail(c, "configuration",
			"no [client.<name>]: nobody's token can be had, add one");
	else
		check_ok("configuration", "mode %s, group %s, %zu client%s", o->mode, o->group,
			o->config.section_count, o->config.section_count == 1 ? "" : "s");
}

bool check_run(const struct options *o)
{
	static void (*const checks[])(struct check * c) = {
		check_configuration, check_kafka, check_topics, check_postgres, check_http};
	freed_by(loop_freep) struct loop *loop = loop_new();
	struct check c = {.options = o, .loop = loop};

	for (size_t i = 0; i < ARRAY_LEN(checks); i++)
		checks[i](&c);
	return !c.failed;
}
