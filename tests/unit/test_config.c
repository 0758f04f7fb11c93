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
	char *mode, *url, *password, *keys_file, *ca_file;
	bool create;
	int64_t leads, bytes, timeout_ms, number;
};

struct client {
	char *kind, *key;
	int64_t rate;
};

#define AT(member) offsetof(struct values, member)
#define OF_CLIENT(member) offsetof(struct client, member)

static const struct config_key keys[] = {
	{"mode", CONFIG_WORD, AT(mode), "development", 0, 0, "development|production", "What it is",
		false, false},
	{"postgres.url", CONFIG_TEXT, AT(url), NULL, 0, 0, NULL, "Where the ledger is", true,
		false},
	{"postgres.password", CONFIG_TEXT, AT(password), NULL, 0, 0, NULL, "Its password", false,
		true},
	{"lanes.batch_leads", CONFIG_INT, AT(leads), "200", 1, 200, NULL, "Leads a call", false,
		false},
	{"lanes.batch_bytes", CONFIG_SIZE, AT(bytes), "1MB", 1024, 1 << 24, NULL, "Bytes a call",
		false, false},
	{"drain.timeout", CONFIG_DURATION, AT(timeout_ms), "10s", 500, 300000, NULL, "How long",
		false, false},
	{"topics.create", CONFIG_BOOL, AT(create), "true", 0, 0, NULL, "Whether to", false, false},
	{"topics.number", CONFIG_INT, AT(number), NULL, 0, 0, NULL, "Any number", false, false},
	{"http.ca_file", CONFIG_FILE, AT(ca_file), "", 0, 0, NULL, "Authorities", false, false},
	{"keys.file", CONFIG_FILE, AT(keys_file), "keys.txt", 0, 0, NULL, "Keys", false, false},
	{"client.*.kind", CONFIG_WORD, OF_CLIENT(kind), NULL, 0, 0, "pipes|salesforce",
		"Which kind", true, false},
	{"client.*.key", CONFIG_TEXT, OF_CLIENT(key), NULL, 0, 0, NULL, "The key", false, true},
	{"client.*.rate", CONFIG_INT, OF_CLIENT(rate), "6000", 1, 0, NULL, "Calls", false, false},
};

struct loaded {
	struct config c;
	struct values values;
	bool ok;
};

static char path[] = "/tmp/onbehalf-config-XXXXXX";
static char *no_environment[] = {NULL};

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
	assert_int_equal(l.ok, l.c.fault_count == 0);
	return l;
}

static struct loaded load_bytes(const char *bytes, size_t len, char **environment)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	fclose(f);
	return load_path(path, environment);
}

static struct loaded load(const char *text, char **environment)
{
	return load_bytes(text, strlen(text), environment);
}

static void assert_ok(const struct loaded *l)
{
	if (!l->ok)
		fail_msg("%zu faults: %s", l->c.fault_count, l->c.faults[0]);
}

/* A fault is "<path>" and then @rest; a @rest of the environment has no path before it. */
static void assert_fault_at(const struct loaded *l, size_t i, const char *rest)
{
	char expected[400];

	if (i >= l->c.fault_count)
		fail_msg("only %zu faults, not \"%s\"", l->c.fault_count, rest);
	snprintf(expected, sizeof(expected), "%s%s",
		strncmp(rest, "environment", 11) == 0 ? "" : path, rest);
	assert_string_equal(l->c.faults[i], expected);
}

#define GOOD "[postgres]\nurl = u\n" /* lines 1 and 2 */

static void assert_only_fault(const char *text, char **environment, const char *rest)
{
	freed_by(unload) struct loaded l = load(text, environment);

	assert_fault_at(&l, 0, rest);
	if (l.c.fault_count != 1)
		fail_msg("also %s", l.c.faults[1]);
}

/* ---- what is read ---- */

static void what_is_not_set_has_its_preset(void **state)
{
	freed_by(unload) struct loaded l = load(GOOD, no_environment);

	(void)state;
	assert_ok(&l);
	assert_string_equal(l.values.mode, "development");
	assert_string_equal(l.values.url, "u");
	assert_null(l.values.password);
	assert_int_equal(l.values.leads, 200);
	assert_int_equal(l.values.bytes, 1024 * 1024);
	assert_int_equal(l.values.timeout_ms, 10000);
	assert_true(l.values.create);
	assert_string_equal(l.values.ca_file, "");
	assert_string_equal(l.values.keys_file, "/tmp/keys.txt");
	assert_int_equal(l.c.section_count, 0);
	assert_int_equal(l.c.pair_count, 0);
}

static void every_type_is_read(void **state)
{
	freed_by(unload) struct loaded l = load("\xef\xbb\xbf mode=production\r\n"
						"\t[ postgres ]  # where\n"
						"url = postgresql://u@h/db?a=b # and why\n"
						"password = \"\"\n"
						"  # a comment\n\n"
						"[lanes]\nbatch_leads = 7\nbatch_bytes = 64kB\n"
						"[drain]\ntimeout = 2min\n"
						"[topics]\ncreate = off\nnumber = 0\n"
						"[http]\nca_file = /etc/ca.pem\n"
						"[keys]\nfile = sub/k.txt",
		no_environment);

	(void)state;
	assert_ok(&l);
	assert_string_equal(l.values.mode, "production");
	assert_string_equal(l.values.url, "postgresql://u@h/db?a=b");
	assert_string_equal(l.values.password, "");
	assert_int_equal(l.values.leads, 7);
	assert_int_equal(l.values.bytes, 65536);
	assert_int_equal(l.values.timeout_ms, 120000);
	assert_false(l.values.create);
	assert_string_equal(l.values.ca_file, "/etc/ca.pem");
	assert_string_equal(l.values.keys_file, "/tmp/sub/k.txt");
}

static void quotes_and_comments_are_understood(void **state)
{
	static const struct {
		const char *written, *meant;
	} rows[] = {
		{"a#b", "a#b"},
		{"a #b", "a"},
		{"a\t# b", "a"},
		{"  a b  ", "a b"},
		{"# only", ""},
		{"", ""},
		{"\"\"", ""},
		{"\" a #b \" # c", " a #b "},
		{"\"a\\\"\\\\b\\n\\r\\t\"", "a\"\\b\n\r\t"},
		{"a \"b\" \\n", "a \"b\" \\n"},
		{"'a'", "'a'"},
		{"=", "="},
		{"größe", "größe"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		freed_by(unload) struct loaded l = {0};
		char text[200];

		snprintf(text, sizeof(text), GOOD "password = %s\n", rows[i].written);
		l = load(text, no_environment);
		assert_ok(&l);
		assert_string_equal(l.values.password, rows[i].meant);
	}
}

static void pairs_are_passed_through_in_order_and_secrets_are_told(void **state)
{
	freed_by(unload) struct loaded l = load(GOOD "[kafka]\n"
						     "bootstrap.servers = a:1,b:2\n"
						     "sasl.password = p\n"
						     "ssl.key.location=/k\n"
						     "client.secret=\n",
		no_environment);

	(void)state;
	assert_ok(&l);
	assert_int_equal(l.c.pair_count, 4);
	assert_string_equal(l.c.pairs[0].name, "bootstrap.servers");
	assert_string_equal(l.c.pairs[0].value, "a:1,b:2");
	assert_false(l.c.pairs[0].secret);
	for (int i = 1; i < 4; i++)
		assert_true(l.c.pairs[i].secret);
	assert_string_equal(l.c.pairs[3].value, "");
}

static void named_sections_have_values_of_their_own(void **state)
{
	freed_by(unload) struct loaded l = load(GOOD "[client.main]\nkind = pipes\n"
						     "[client.b-2_x]\nkind = salesforce\nrate = 5\n"
						     "[client.main]\nkey = k\n",
		no_environment);
	struct client *first, *second;

	(void)state;
	assert_ok(&l);
	assert_int_equal(l.c.section_count, 2);
	first = l.c.sections[0].values;
	second = l.c.sections[1].values;
	assert_string_equal(l.c.sections[0].name, "main");
	assert_int_equal(l.c.sections[0].line, 3);
	assert_string_equal(first->kind, "pipes");
	assert_string_equal(first->key, "k");
	assert_int_equal(first->rate, 6000);
	assert_string_equal(l.c.sections[1].name, "b-2_x");
	assert_string_equal(second->kind, "salesforce");
	assert_null(second->key);
	assert_int_equal(second->rate, 5);
}

/* ---- faults of the file ---- */

static void a_value_that_does_not_fit_is_a_fault_with_its_line(void **state)
{
	static const struct {
		const char *line, *rest;
	} rows[] = {
		{"[lanes]\nbatch_leads = 500",
			":4: lanes.batch_leads: 500 is not between 1 and 200"},
		{"[lanes]\nbatch_leads = 0", ":4: lanes.batch_leads: 0 is not between 1 and 200"},
		{"[lanes]\nbatch_leads = 99999999999999999999",
			":4: lanes.batch_leads: 99999999999999999999 is not between 1 and 200"},
		{"[lanes]\nbatch_leads = 5s", ":4: lanes.batch_leads: 5s is not a whole number"},
		{"[lanes]\nbatch_leads =",
			":4: lanes.batch_leads: an empty value is not a whole number"},
		{"[lanes]\nbatch_leads = +5", ":4: lanes.batch_leads: +5 is not a whole number"},
		{"[lanes]\nbatch_leads = 1.5", ":4: lanes.batch_leads: 1.5 is not a whole number"},
		{"[lanes]\nbatch_bytes = 1023",
			":4: lanes.batch_bytes: 1023 is not between 1kB and 16MB"},
		{"[lanes]\nbatch_bytes = 9999999999GB",
			":4: lanes.batch_bytes: 9999999999GB is not between 1kB and 16MB"},
		{"[lanes]\nbatch_bytes = 64KB",
			":4: lanes.batch_bytes: 64KB is not a size such as 4096, 64kB, 1MB or 2GB"},
		{"[drain]\ntimeout = 7min",
			":4: drain.timeout: 7min is not between 500ms and 5min"},
		{"[drain]\ntimeout = 0", ":4: drain.timeout: 0 is not between 500ms and 5min"},
		{"[drain]\ntimeout = 5",
			":4: drain.timeout: 5 is not a duration such as 500ms, 5s, 2min, 1h or 7d"},
		{"[topics]\ncreate = maybe", ":4: topics.create: maybe is neither true nor false"},
		{"[topics]\nnumber = -1", ":4: topics.number: -1 is less than 0"},
		{"[topics]\nnumber = 9223372036854775808",
			":4: topics.number: 9223372036854775808 is too large"},
		{"[client.a]\nkind = prod", ":4: client.a.kind: prod is none of pipes, salesforce"},
		{"[client.a]\nkind = pipes|salesforce",
			":4: client.a.kind: pipes|salesforce is none of pipes, salesforce"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[200];

		snprintf(text, sizeof(text), GOOD "%s", rows[i].line);
		assert_only_fault(text, no_environment, rows[i].rest);
	}
}

static void the_ends_of_a_range_are_inside_it(void **state)
{
	freed_by(unload) struct loaded least =
		load(GOOD "[lanes]\nbatch_leads=1\nbatch_bytes=1024\n[drain]\ntimeout=500ms\n"
			  "[topics]\nnumber = 9223372036854775807\n",
			no_environment);
	freed_by(unload) struct loaded most =
		load(GOOD "[lanes]\nbatch_leads=200\nbatch_bytes=16MB\n[drain]\ntimeout=5min\n",
			no_environment);

	(void)state;
	assert_ok(&least);
	assert_true(least.values.number == INT64_MAX);
	assert_ok(&most);
}

static void unknown_names_are_faults_with_a_suggestion_when_one_is_near(void **state)
{
	static const struct {
		const char *lines, *rest;
	} rows[] = {
		{"[lanes]\nbatch_leds = 1",
			":4: lanes.batch_leds: no such key; did you mean lanes.batch_leads?"},
		{"[lanes]\nbach_lead = 1",
			":4: lanes.bach_lead: no such key; did you mean lanes.batch_leads?"},
		{"[lanes]\nbach_led = 1", ":4: lanes.bach_led: no such key"},
		{"[lanes]\ntimeout = 1",
			":4: lanes.timeout: no such key; did you mean drain.timeout?"},
		{"[lanes]\nmode = x", ":4: lanes.mode: no such key; did you mean mode?"},
		{"[client.a]\nkind = pipes\nrat = 1",
			":5: client.a.rat: no such key; did you mean client.a.rate?"},
		{"[lane]\nbatch_leads = 0\nnonsense = 1",
			":3: [lane]: no such section; did you mean lanes?"},
		{"[clients]\n", ":3: [clients]: no such section; did you mean client?"},
		{"[kafkaesque]\n", ":3: [kafkaesque]: no such section"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[200];

		snprintf(text, sizeof(text), GOOD "%s", rows[i].lines);
		assert_only_fault(text, no_environment, rows[i].rest);
	}
	assert_only_fault("mod = production\n" GOOD, no_environment,
		":1: mod: no such key; did you mean mode?");
	assert_only_fault("lanes.batch_leads = 5\n" GOOD, no_environment,
		":1: lanes.batch_leads: a key of a section is written below its [section]");
}

static void what_is_set_twice_is_a_fault_that_names_both_lines(void **state)
{
	(void)state;
	assert_only_fault(GOOD "[lanes]\nbatch_leads = 5\n[postgres]\nurl = v\n", no_environment,
		":6: postgres.url: is already set on line 2");
	assert_only_fault(GOOD "[kafka]\na.b=1\na.c=1\na.b=1\n", no_environment,
		":6: kafka.a.b: is already set on line 4");
	assert_only_fault(GOOD
		"[client.a]\nkind=pipes\n[client.b]\nkind=pipes\n[client.a]\nkind=pipes",
		no_environment, ":8: client.a.kind: is already set on line 4");
}

static void a_line_that_says_nothing_is_a_fault(void **state)
{
	static const struct {
		const char *line, *rest;
	} rows[] = {
		{"batch leads", ":3: expected key = value, but there is no '='"},
		{"password", ":3: expected key = value, but there is no '='"},
		{"= 5", ":3: expected key = value, the key of A-Z a-z 0-9 _ . -"},
		{"pass word = 5", ":3: expected key = value, the key of A-Z a-z 0-9 _ . -"},
		{"größe = 5", ":3: expected key = value, the key of A-Z a-z 0-9 _ . -"},
		{"password = \"a", ":3: the closing quote is missing"},
		{"password = \"a\\\"", ":3: the closing quote is missing"},
		{"password = \"a\" b", ":3: something stands behind the closing quote"},
		{"password = \"a\"#b", ":3: something stands behind the closing quote"},
		{"password = \"\\x\"", ":3: behind a \\ stands one of \" \\ n r t"},
		{"password = \"\\", ":3: behind a \\ stands one of \" \\ n r t"},
		{"password = \xff", ":3: not UTF-8"},
		{"# \xc3(", ":3: not UTF-8"},
		{"password = a\x01", ":3: a control character"},
		{"password = a\rb", ":3: a control character"},
		{"[lanes", ":3: a section is written [name]"},
		{"[]", ":3: a section is written [name]"},
		{"[lanes] x", ":3: a section is written [name]"},
		{"[lanes]#x", ":3: a section is written [name]"},
		{"[la nes]", ":3: a section is written [name]"},
		{"[client]", ":3: [client]: expected [client.NAME], NAME of a-z 0-9 _ -"},
		{"[client.]", ":3: [client.]: expected [client.NAME], NAME of a-z 0-9 _ -"},
		{"[client.Main]", ":3: [client.Main]: expected [client.NAME], NAME of a-z 0-9 _ -"},
		{"[client.a.b]", ":3: [client.a.b]: expected [client.NAME], NAME of a-z 0-9 _ -"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[200];

		snprintf(text, sizeof(text), GOOD "%s\n# end\n", rows[i].line);
		assert_only_fault(text, no_environment, rows[i].rest);
	}
}

static void a_nul_inside_is_a_fault(void **state)
{
	freed_by(unload) struct loaded l =
		load_bytes(GOOD "password = a\0b\n", sizeof(GOOD "password = a\0b\n") - 1, NULL);

	(void)state;
	assert_fault_at(&l, 0, ":3: a control character");
	assert_null(l.values.password);
}

static void all_faults_are_told_at_once_and_the_rest_is_read(void **state)
{
	freed_by(unload) struct loaded l = load("mode = fast\n"
						"[lanes]\nbatch_leads = 500\nbatch_bytes = 2MB\n"
						"nothing\n"
						"[client.a]\n",
		(char *[]){"ONBEHALF_TOPICS_CREATE=perhaps", NULL});

	(void)state;
	assert_int_equal(l.c.fault_count, 6);
	assert_fault_at(&l, 0, ":1: mode: fast is none of development, production");
	assert_fault_at(&l, 1, ":3: lanes.batch_leads: 500 is not between 1 and 200");
	assert_fault_at(&l, 2, ":5: expected key = value, but there is no '='");
	assert_fault_at(&l, 3,
		"environment: ONBEHALF_TOPICS_CREATE: topics.create: perhaps is neither true nor "
		"false");
	assert_fault_at(&l, 4, ": postgres.url: is required: Where the ledger is");
	assert_fault_at(&l, 5, ":6: client.a.kind: is required: Which kind");
	assert_string_equal(l.values.mode, "development");
	assert_int_equal(l.values.leads, 200);
	assert_int_equal(l.values.bytes, 2 * 1024 * 1024);
}

static void what_is_required_must_not_be_empty(void **state)
{
	(void)state;
	assert_only_fault("[postgres]\nurl =\n", no_environment,
		":2: postgres.url: is empty, but required: Where the ledger is");
	assert_only_fault("", (char *[]){"ONBEHALF_POSTGRES_URL=", NULL},
		"environment: ONBEHALF_POSTGRES_URL: postgres.url: is empty, but required: Where "
		"the "
		"ledger is");
}

static void a_secret_is_not_repeated_in_a_fault(void **state)
{
	static const struct config_key row = {
		"pin", CONFIG_INT, 0, NULL, 0, 0, NULL, "Pin", false, true};
	struct config c = {.keys = &row, .key_count = 1};
	int64_t value = 0;

	(void)state;
	assert_false(config_load(&c, NULL, (char *[]){"ONBEHALF_PIN=hunter2", NULL}, &value));
	assert_string_equal(
		c.faults[0], "environment: ONBEHALF_PIN: pin: the value is not a whole number");
	config_release(&c, &value);
}

static void an_unreadable_file_is_the_only_fault(void **state)
{
	freed_by(unload) struct loaded missing = load_path("/nonexistent/onbehalf.conf", NULL);
	freed_by(unload) struct loaded folder = load_path("/tmp", NULL);

	(void)state;
	assert_int_equal(missing.c.fault_count, 1);
	assert_string_equal(missing.c.faults[0],
		"/nonexistent/onbehalf.conf: could not be read: No such file or directory");
	assert_int_equal(folder.c.fault_count, 1);
	assert_string_equal(folder.c.faults[0], "/tmp: could not be read: Is a directory");
}

static void a_file_has_at_most_256_kib(void **state)
{
	static char bytes[256 * 1024 + 1];
	freed_by(unload) struct loaded fits = {0}, large = {0};

	(void)state;
	memset(bytes, '\n', sizeof(bytes));
	memcpy(bytes, GOOD, sizeof(GOOD) - 1);
	fits = load_bytes(bytes, sizeof(bytes) - 1, NULL);
	assert_ok(&fits);
	large = load_bytes(bytes, sizeof(bytes), NULL);
	assert_fault_at(&large, 0, ": more than 262144 bytes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_set_has_its_preset),
		cmocka_unit_test(every_type_is_read),
		cmocka_unit_test(quotes_and_comments_are_understood),
		cmocka_unit_test(pairs_are_passed_through_in_order_and_secrets_are_told),
		cmocka_unit_test(named_sections_have_values_of_their_own),
		cmocka_unit_test(a_value_that_does_not_fit_is_a_fault_with_its_line),
		cmocka_unit_test(the_ends_of_a_range_are_inside_it),
		cmocka_unit_test(unknown_names_are_faults_with_a_suggestion_when_one_is_near),
		cmocka_unit_test(what_is_set_twice_is_a_fault_that_names_both_lines),
		cmocka_unit_test(a_line_that_says_nothing_is_a_fault),
		cmocka_unit_test(a_nul_inside_is_a_fault),
		cmocka_unit_test(all_faults_are_told_at_once_and_the_rest_is_read),
		cmocka_unit_test(what_is_required_must_not_be_empty),
		cmocka_unit_test(a_secret_is_not_repeated_in_a_fault),
		cmocka_unit_test(an_unreadable_file_is_the_only_fault),
		cmocka_unit_test(a_file_has_at_most_256_kib),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
