#include "common/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/rfc3339.h"
#include "common/json.h"

/* Standard error as a socket that keeps each write(2) apart. */
static int kept_fd = -1, reader_fd = -1;

static int capture(void **state)
{
	int fds[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) < 0)
		return -1;
	kept_fd = dup(STDERR_FILENO);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	reader_fd = fds[0];
	return 0;
}

static int restore(void **state)
{
	(void)state;
	dup2(kept_fd, STDERR_FILENO);
	close(kept_fd);
	close(reader_fd);
	return 0;
}

/* What the next write(2) wrote; "" when there was none. */
static const char *next_line(void)
{
	static char line[8192];
	ssize_t got = recv(reader_fd, line, sizeof(line) - 1, MSG_DONTWAIT);

	line[got > 0 ? got : 0] = '\0';
	return line;
}

/* The same behind the time, which changes. */
static const char *next_line_behind_time(void)
{
	const char *line = next_line();
	size_t head = strlen("time=2026-11-24T10:00:00.000Z ");

	return strlen(line) > head ? line + head : line;
}

static void a_line_begins_with_the_time_in_utc_and_milliseconds(void **state)
{
	const char *line;
	int64_t ms = 0;

	(void)state;
	log_setup(LOG_LOGFMT, LOG_INFO);
	log_info("worker ready");
	line = next_line();
	assert_memory_equal(line, "time=", 5);
	assert_true(rfc3339_parse(line + 5, 24, &ms));
	assert_true(clock_wall_ms() - ms < 60000);
	assert_string_equal(line + 29, " level=info msg=\"worker ready\"\n");
}

static void each_level_has_its_name_and_lower_ones_are_left_out(void **state)
{
	(void)state;
	log_setup(LOG_LOGFMT, LOG_DEBUG);
	log_debug("a");
	assert_string_equal(next_line_behind_time(), "level=debug msg=a\n");
	log_warn("a");
	assert_string_equal(next_line_behind_time(), "level=warn msg=a\n");
	log_setup(LOG_LOGFMT, LOG_ERROR);
	log_debug("a");
	log_info("a");
	log_warn("a");
	assert_false(log_enabled(LOG_WARN));
	assert_string_equal(next_line(), "");
	log_error("a");
	assert_true(log_enabled(LOG_ERROR));
	assert_string_equal(next_line_behind_time(), "level=error msg=a\n");
}

static void logfmt_quotes_what_could_be_misread(void **state)
{
	static const struct {
		const char *text, *written;
	} rows[] = {
		{"plain", "plain"},
		{"a:b/c,d[e]{f}'g", "a:b/c,d[e]{f}'g"},
		{"größe", "größe"},
		{"", "\"\""},
		{"two words", "\"two words\""},
		{"a=b", "\"a=b\""},
		{"say \"hi\"", "\"say \\\"hi\\\"\""},
		{"\"", "\"\\\"\""},
		{"back\\slash", "\"back\\\\slash\""},
		{"line\nlevel=error msg=forged", "\"line\\nlevel=error msg=forged\""},
		{"\r\t\b\f\x01\x1f", "\"\\r\\t\\b\\f\\u0001\\u001f\""},
		{"\x1b[31m", "\"\\u001b[31m\""},
		{"\x7f", "\"\x7f\""},
		{"bad \xff\xc3", "\"bad \uFFFD\uFFFD\""},
		{"bad\xe2\x82", "bad\uFFFD\uFFFD"},
	};
	char expected[200];

	(void)state;
	log_setup(LOG_LOGFMT, LOG_INFO);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		log_info("m", F_TEXT("key", rows[i].text));
		snprintf(expected, sizeof(expected), "level=info msg=m key=%s\n", rows[i].written);
		assert_string_equal(next_line_behind_time(), expected);
	}
}

static void numbers_and_absent_texts_are_fields_too(void **state)
{
	const char *absent = NULL;

	(void)state;
	log_setup(LOG_LOGFMT, LOG_INFO);
	log_info("m", F_INT("least", INT64_MIN), F_INT("most", INT64_MAX), F_TEXT("none", absent));
	assert_string_equal(next_line_behind_time(),
		"level=info msg=m least=-9223372036854775808 most=9223372036854775807 none=\"\"\n");
	log_write(LOG_INFO, "m", NULL);
	assert_string_equal(next_line_behind_time(), "level=info msg=m\n");
}

static void a_json_line_is_one_object_that_holds_the_same(void **state)
{
	freed_by(json_dropp) struct json_t *object = NULL;
	struct err err = {0};
	const char *line;
	int64_t number = 0;

	(void)state;
	log_setup(LOG_JSON, LOG_INFO);
	log_warn("two\nlines", F_TEXT("text", "a \"b\" \xff"), F_INT("number", -5));
	line = next_line();
	assert_int_equal(json_read((struct slice){line, strlen(line)}, 1, &object, &err), 0);
	assert_int_equal(line[strlen(line) - 1], '\n');
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	assert_int_equal(json_count(object), 5);
	assert_int_equal(strlen(json_member_text(object, "time")), 24);
	assert_string_equal(json_member_text(object, "level"), "warn");
	assert_string_equal(json_member_text(object, "msg"), "two\nlines");
	assert_string_equal(json_member_text(object, "text"), "a \"b\" \uFFFD");
	assert_true(json_to_int(json_member(object, "number"), &number));
	assert_int_equal(number, -5);
}

static void a_long_value_is_cut_at_a_character(void **state)
{
	char lengthy[4000], expected[5000];

	(void)state;
	log_setup(LOG_LOGFMT, LOG_INFO);
	for (size_t i = 0; i + 3 < sizeof(lengthy); i += 3)
		memcpy(lengthy + i, "€", 4);
	log_info("m", F_TEXT("key", lengthy), F_INT("after", 1));
	snprintf(expected, sizeof(expected), "level=info msg=m key=%.1023s… after=1\n", lengthy);
	assert_string_equal(next_line_behind_time(), expected);
	lengthy[1023] = 'x';
	lengthy[1024] = '\0';
	log_info("m", F_TEXT("key", lengthy));
	snprintf(expected, sizeof(expected), "level=info msg=m key=%s\n", lengthy);
	assert_string_equal(next_line_behind_time(), expected);
}

static void errno_is_left_alone_even_when_nobody_reads(void **state)
{
	int held;

	(void)state;
	log_setup(LOG_LOGFMT, LOG_INFO);
	errno = EXDEV;
	log_info("m");
	assert_int_equal(errno, EXDEV);
	(void)next_line();
	held = dup(STDERR_FILENO);
	close(STDERR_FILENO);
	errno = EXDEV;
	log_info("to nobody");
	assert_int_equal(errno, EXDEV);
	dup2(held, STDERR_FILENO);
	close(held);
}

static void *write_lines(void *arg)
{
	for (int i = 0; i < 200; i++)
		log_info("from a thread", F_TEXT("name", arg), F_INT("i", i));
	return NULL;
}

static void lines_of_several_threads_stay_whole(void **state)
{
	char names[4][2] = {"a", "b", "c", "d"};
	pthread_t threads[4];
	char expected[20];
	int seen[4] = {0};

	(void)state;
	log_setup(LOG_LOGFMT, LOG_INFO);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_lines, names[i]), 0);
	while (seen[0] + seen[1] + seen[2] + seen[3] < 800) {
		const char *line = next_line_behind_time();
		const char *head = "level=info msg=\"from a thread\" name=";
		int thread;

		if (!*line)
			continue;
		assert_memory_equal(line, head, strlen(head));
		thread = line[strlen(head)] - 'a';
		snprintf(expected, sizeof(expected), "%s i=%d\n", names[thread], seen[thread]++);
		assert_string_equal(line + strlen(head), expected);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_begins_with_the_time_in_utc_and_milliseconds),
		cmocka_unit_test(each_level_has_its_name_and_lower_ones_are_left_out),
		cmocka_unit_test(logfmt_quotes_what_could_be_misread),
		cmocka_unit_test(numbers_and_absent_texts_are_fields_too),
		cmocka_unit_test(a_json_line_is_one_object_that_holds_the_same),
		cmocka_unit_test(a_long_value_is_cut_at_a_character),
		cmocka_unit_test(errno_is_left_alone_even_when_nobody_reads),
		cmocka_unit_test(lines_of_several_threads_stay_whole),
	};

	/* cmocka reports on standard error, which is taken: send it to standard output */
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, capture, restore);
}
