/* The environment, faults that are found later, and printing; files: test_config. */
#include "common/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct values {
	char *mode, *url, *password, *keys_file;
	bool create;
	int64_t bytes, timeout_ms;
};

struct client {
	char *kind, *key_file;
	int64_t rate;
};

#define AT(member) offsetof(struct values, member)
#define OF_CLIENT(member) offsetof(struct client, member)

static const struct config_key keys[] = {
	{"mode", CONFIG_WORD, AT(mode), "development", 0, 0, "development|production", "What it is",
		false, false},
	{"postgres.url", CONFIG_TEXT, AT(url), NULL, 0, 0, NULL, "Where", true, false},
	{"postgres.password", CONFIG_TEXT, AT(password), NULL, 0, 0, NULL, "Its password", false,
		true},
	{"lanes.batch_bytes", CONFIG_SIZE, AT(bytes), "1MB", 1024, 1 << 24, NULL, "Bytes", false,
		false},
	{"topics.create", CONFIG_BOOL, AT(create), NULL, 0, 0, NULL, "Whether", false, false},
	{"client.*.kind", CONFIG_WORD, OF_CLIENT(kind), NULL, 0, 0, "pipes|salesforce", "Which",
		true, false},
	{"client.*.key_file", CONFIG_FILE, OF_CLIENT(key_file), NULL, 0, 0, NULL, "The key", false,
		false},
	{"client.*.rate", CONFIG_INT, OF_CLIENT(rate), "6000", 1, 0, NULL, "Calls", false, false},
	{"lanes.timeout", CONFIG_DURATION, AT(timeout_ms), "90s", 0, 0, NULL, "How long", false,
		false},
	{"keys.file", CONFIG_FILE, AT(keys_file), "keys.txt", 0, 0, NULL, "Keys", false, false},
};

struct loaded {
	struct config c;
	struct values values;
	bool ok;
};

static char path[] = "/tmp/onbehalf-config-XXXXXX";

static int make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

static void unload(struct loaded *l)
{
	config_release(&l->c, &l->values);
}

static struct loaded load_path(const char *from, char **environment)
{
	struct loaded l = {.c = {.keys = keys,
				   .key_count = ARRAY_LEN(keys),
				   .pass_section = "kafka",
				   .named_section = "client",
				   .named_size = sizeof(struct client)}};

	l.ok = config_load(&l.c, from, environment, &l.values);
	return l;
}

static struct loaded load(const char *text, char **environment)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	return load_path(path, environment);
}

static void assert_ok(const struct loaded *l)
{
	if (!l->ok)
		fail_msg("%zu faults: %s", l->c.fault_count, l->c.faults[0]);
}

static void assert_last_fault(const struct loaded *l, const char *rest)
{
	char expected[400];

	assert_true(l->c.fault_count > 0);
	snprintf(expected, sizeof(expected), "%s%s",
		strncmp(rest, "environment", 11) == 0 ? "" : path, rest);
	assert_string_equal(l->c.faults[l->c.fault_count - 1], expected);
}

#define GOOD "[postgres]\nurl = u\n" /* lines 1 and 2 */

/* ---- the environment ---- */

static void the_environment_alone_is_enough(void **state)
{
	freed_by(unload) struct loaded l =
		load_path(NULL, (char *[]){"PATH=/bin", "ONBEHALF_POSTGRES_URL=a # b",
					"ONBEHALF_MODE=production", "ONBEHALF_KEYS_FILE=k.txt",
					"ONBEHALF_KAFKA_SASL_PASSWORD=p", "ONBEHALF", NULL});

	(void)state;
	assert_ok(&l);
	assert_string_equal(l.values.url, "a # b");
	assert_string_equal(l.values.mode, "production");
	assert_string_equal(l.values.keys_file, "k.txt");
	assert_int_equal(l.c.pair_count, 1);
	assert_string_equal(l.c.pairs[0].name, "sasl.password");
	assert_string_equal(l.c.pairs[0].value, "p");
	assert_true(l.c.pairs[0].secret);
}

static void the_environment_goes_over_the_file(void **state)
{
	freed_by(unload) struct loaded l = load(GOOD
		"[kafka]\nbootstrap.servers = a:1\nodd_name-x = 1\n"
		"[client.a-b]\nkind = pipes\n[lanes]\nbatch_bytes = 2MB\n",
		(char *[]){"ONBEHALF_POSTGRES_URL=v", "ONBEHALF_LANES_BATCH_BYTES=3MB",
			"ONBEHALF_KAFKA_BOOTSTRAP_SERVERS=b:2", "ONBEHALF_KAFKA_ODD_NAME_X=2",
			"ONBEHALF_CLIENT_A_B_KIND=salesforce", "ONBEHALF_CLIENT_A_B_KEY_FILE=k",
			"ONBEHALF_TOPICS_CREATE=yes", NULL});
	const struct client *client;

	(void)state;
	assert_ok(&l);
	assert_string_equal(l.values.url, "v");
	assert_int_equal(l.values.bytes, 3 * 1024 * 1024);
	assert_true(l.values.create);
	assert_int_equal(l.c.pair_count, 2);
	assert_string_equal(l.c.pairs[0].value, "b:2");
	assert_string_equal(l.c.pairs[1].name, "odd_name-x");
	assert_string_equal(l.c.pairs[1].value, "2");
	client = l.c.sections[0].values;
	assert_string_equal(client->kind, "salesforce");
	assert_string_equal(client->key_file, "/tmp/k"); /* counts from the file all the same */
}

static void a_variable_that_fits_no_key_is_a_fault(void **state)
{
	static const struct {
		char *variable, *fault;
	} rows[] = {
		{"ONBEHALF_LANES_BATCH_BITES=1",
			"environment: ONBEHALF_LANES_BATCH_BITES: no such key; "
			"did you mean ONBEHALF_LANES_BATCH_BYTES?"},
		{"ONBEHALF_CLIENT_A_KIN=pipes",
			"environment: ONBEHALF_CLIENT_A_KIN: no such key; did "
			"you mean ONBEHALF_CLIENT_A_KIND?"},
		{"ONBEHALF_CLIENT_OTHER_KIND=pipes",
			"environment: ONBEHALF_CLIENT_OTHER_KIND: no such key"},
		{"ONBEHALF_SERVICE_HOST=10.0.0.1",
			"environment: ONBEHALF_SERVICE_HOST: no such key"},
		{"ONBEHALF_KAFKA_=1", "environment: ONBEHALF_KAFKA_: no such key"},
		/* bytes that no key of a file has */
		{"ONBEHALF_KAFKA_A\xdf=1", "environment: ONBEHALF_KAFKA_A\xdf: no such key"},
		{"ONBEHALF_KAFKA_A B=1", "environment: ONBEHALF_KAFKA_A B: no such key"},
		{"ONBEHALF_=1", "environment: ONBEHALF_: no such key"},
		{"ONBEHALF_postgres_url=1", "environment: ONBEHALF_postgres_url: no such key"},
		{"ONBEHALF_CONFIGS=1", "environment: ONBEHALF_CONFIGS: no such key"},
		{"ONBEHALF_POSTGRES_URL=\xff", "environment: ONBEHALF_POSTGRES_URL: not UTF-8"},
		{"ONBEHALF_POSTGRES_URL=\x01",
			"environment: ONBEHALF_POSTGRES_URL: a control character"},
		{"ONBEHALF_LANES_BATCH_BYTES=1",
			"environment: ONBEHALF_LANES_BATCH_BYTES: "
			"lanes.batch_bytes: 1 is not between 1kB and 16MB"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		freed_by(unload) struct loaded l =
			load(GOOD "[client.a]\nkind=pipes\n", (char *[]){rows[i].variable, NULL});

		assert_false(l.ok);
		assert_int_equal(l.c.fault_count, 1);
		assert_string_equal(l.c.faults[0], rows[i].fault);
	}
}

static void variables_of_other_meaning_are_passed_over(void **state)
{
	freed_by(unload) struct loaded l = load(GOOD,
		(char *[]){"ONBEHALF_CONFIG=/etc/x", "ONBEHALF_BUILD=/b", "ONBEHALF_TEST_=1",
			"ONBEHALF_TEST_ANYTHING=1", "ONBEHALFMODE=x", "NOT_ONBEHALF_MODE=x", NULL});

	(void)state;
	assert_ok(&l);
}

static void a_variable_that_fits_two_keys_is_a_fault(void **state)
{
	freed_by(unload) struct loaded l =
		load(GOOD "[client.a-b]\nkind=pipes\n[client.a_b]\nkind=pipes\n",
			(char *[]){"ONBEHALF_CLIENT_A_B_RATE=5", NULL});

	(void)state;
	assert_int_equal(l.c.fault_count, 1);
	assert_last_fault(&l, "environment: ONBEHALF_CLIENT_A_B_RATE: names more than one key");
}

static void without_a_file_a_missing_key_is_still_told(void **state)
{
	freed_by(unload) struct loaded l = load_path(NULL, NULL);

	(void)state;
	assert_int_equal(l.c.fault_count, 1);
	assert_last_fault(&l, "environment: postgres.url: is required: Where");
}

/* ---- faults found later ---- */

static void a_later_fault_names_the_place_of_its_key(void **state)
{
	freed_by(unload) struct loaded l = load(GOOD "[kafka]\na.b = 1\n[client.a]\nkind = pipes\n",
		(char *[]){"ONBEHALF_MODE=production", NULL});

	(void)state;
	assert_ok(&l);
	config_fault(&l.c, "postgres.url", "no user in it, %d", 5);
	assert_last_fault(&l, ":2: postgres.url: no user in it, 5");
	config_fault(&l.c, "kafka.a.b", "is ours to set");
	assert_last_fault(&l, ":4: kafka.a.b: is ours to set");
	config_fault(&l.c, "client.a", "has neither");
	assert_last_fault(&l, ":5: client.a: has neither");
	config_fault(&l.c, "client.a.kind", "is odd");
	assert_last_fault(&l, ":6: client.a.kind: is odd");
	config_fault(&l.c, "mode", "is odd");
	assert_last_fault(&l, "environment: ONBEHALF_MODE: mode: is odd");
	config_fault(&l.c, "lanes.batch_bytes", "is odd");
	assert_last_fault(&l, ": lanes.batch_bytes: is odd");
	config_fault(&l.c, NULL, "no client");
	assert_last_fault(&l, ": no client");
	assert_int_equal(l.c.fault_count, 7);
}

/* ---- printing ---- */

static char *print(const struct loaded *l)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	config_print(&l->c, &l->values, f);
	fclose(f);
	return text;
}

static void free_textp(char **text)
{
	free(*text);
}

static void printing_shows_each_key_with_doc_default_and_origin(void **state)
{
	freed_by(unload) struct loaded l =
		load("mode = production\n" GOOD "[lanes]\nbatch_bytes = 64kB\n"
		     "[kafka]\na.b = 1\n[client.a]\nkind = pipes\n",
			(char *[]){"ONBEHALF_POSTGRES_PASSWORD=hunter2",
				"ONBEHALF_KAFKA_SASL_PASSWORD=hunter2", NULL});
	freed_by(free_textp) char *text = print(&l);
	char expected[2000];

	(void)state;
	assert_ok(&l);
	snprintf(expected, sizeof(expected),
		"# What it is\n# default: development; set in %s:1\nmode = production\n"
		"\n[postgres]\n"
		"# Where\n# required; set in %s:3\nurl = u\n"
		"# Its password\n# no default; set by ONBEHALF_POSTGRES_PASSWORD\npassword = "
		"********\n"
		"\n[lanes]\n"
		"# Bytes\n# default: 1MB; set in %s:5\nbatch_bytes = 64kB\n"
		"# How long\n# default: 90s; not set\ntimeout = 90s\n"
		"\n[topics]\n"
		"# Whether\n# no default; not set\n# create =\n"
		"\n[keys]\n"
		"# Keys\n# default: keys.txt; not set\nfile = /tmp/keys.txt\n"
		"\n[kafka]\n"
		"# set in %s:7\na.b = 1\n"
		"# set by ONBEHALF_KAFKA_SASL_PASSWORD\nsasl.password = ********\n"
		"\n[client.a]\n"
		"# Which\n# required; set in %s:9\nkind = pipes\n"
		"# The key\n# no default; not set\n# key_file =\n"
		"# Calls\n# default: 6000; not set\nrate = 6000\n",
		path, path, path, path, path);
	assert_string_equal(text, expected);
}

static void what_is_printed_reads_back_equal(void **state)
{
	static const char *const urls[] = {"plain", "a # b", " a", "a ", "\"quoted\"",
		"back\\slash", "\"\\", "#", "a\nb\r\tc", "größe", "a=b"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		char variable[100], *environment[] = {variable, "ONBEHALF_LANES_TIMEOUT=2h", NULL};
		freed_by(unload) struct loaded first = {0}, second = {0};
		freed_by(free_textp) char *text = NULL;

		snprintf(variable, sizeof(variable), "ONBEHALF_POSTGRES_URL=%s", urls[i]);
		first = load("[client.x]\nkind=pipes\nkey_file=k\n[kafka]\na=\" \"", environment);
		assert_ok(&first);
		text = print(&first);
		second = load(text, NULL);
		assert_ok(&second);
		assert_string_equal(second.values.url, urls[i]);
		assert_int_equal(second.values.timeout_ms, 7200000);
		assert_string_equal(second.values.keys_file, first.values.keys_file);
		assert_string_equal(second.c.pairs[0].value, " ");
		assert_string_equal(
			((struct client *)second.c.sections[0].values)->key_file, "/tmp/k");
	}
}

static void durations_and_sizes_are_printed_in_their_largest_whole_unit(void **state)
{
	static const struct {
		char *variable;
		const char *printed;
	} rows[] = {
		{"ONBEHALF_LANES_TIMEOUT=0", "\ntimeout = 0ms\n"},
		{"ONBEHALF_LANES_TIMEOUT=1500ms", "\ntimeout = 1500ms\n"},
		{"ONBEHALF_LANES_TIMEOUT=60000ms", "\ntimeout = 1min\n"},
		{"ONBEHALF_LANES_TIMEOUT=120min", "\ntimeout = 2h\n"},
		{"ONBEHALF_LANES_TIMEOUT=48h", "\ntimeout = 2d\n"},
		{"ONBEHALF_LANES_BATCH_BYTES=1025", "\nbatch_bytes = 1025\n"},
		{"ONBEHALF_LANES_BATCH_BYTES=2048kB", "\nbatch_bytes = 2MB\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		freed_by(unload) struct loaded l = load(GOOD, (char *[]){rows[i].variable, NULL});
		freed_by(free_textp) char *text = print(&l);

		assert_ok(&l);
		if (!strstr(text, rows[i].printed))
			fail_msg("%s is not in %s", rows[i].printed, text);
	}
}

static void a_path_counts_from_the_folder_of_the_file_even_after_chdir(void **state)
{
	freed_by(free_textp) char *before = getcwd(NULL, 0);
	freed_by(unload) struct loaded l = load(GOOD, NULL);

	(void)state;
	assert_int_equal(chdir("/tmp"), 0);
	unload(&l);
	l = load_path(path + strlen("/tmp/"), NULL);
	assert_ok(&l);
	assert_string_equal(l.values.keys_file, "/tmp/keys.txt");
	unload(&l);
	assert_int_equal(chdir("/"), 0);
	l = load_path(path + 1, NULL);
	assert_string_equal(l.values.keys_file, "/tmp/keys.txt");
	assert_int_equal(chdir(before), 0);
}

static void releasing_twice_or_nothing_is_harmless(void **state)
{
	struct config c = {.keys = keys, .key_count = ARRAY_LEN(keys), .named_section = "client"};
	struct values values = {0};

	(void)state;
	config_fault(&c, "mode", "before anything is loaded");
	assert_string_equal(c.faults[0], "environment: mode: before anything is loaded");
	config_release(&c, &values);
	config_release(&c, &values);
	assert_int_equal(c.fault_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_environment_alone_is_enough),
		cmocka_unit_test(the_environment_goes_over_the_file),
		cmocka_unit_test(a_variable_that_fits_no_key_is_a_fault),
		cmocka_unit_test(variables_of_other_meaning_are_passed_over),
		cmocka_unit_test(a_variable_that_fits_two_keys_is_a_fault),
		cmocka_unit_test(without_a_file_a_missing_key_is_still_told),
		cmocka_unit_test(a_later_fault_names_the_place_of_its_key),
		cmocka_unit_test(printing_shows_each_key_with_doc_default_and_origin),
		cmocka_unit_test(what_is_printed_reads_back_equal),
		cmocka_unit_test(durations_and_sizes_are_printed_in_their_largest_whole_unit),
		cmocka_unit_test(a_path_counts_from_the_folder_of_the_file_even_after_chdir),
		cmocka_unit_test(releasing_twice_or_nothing_is_harmless),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
