#include "worker/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/secret.h"

#define KEY "k1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
/* What has to be there, in three parts since top-level keys stand before any section. */
#define NEEDED                                                                                     \
	"[kafka]\nbootstrap.servers = 127.0.0.1:9092\n"                                            \
	"[postgres]\nurl = postgresql://worker:s3cret@db/onbehalf\n"                               \
	"[keys]\nfile = keys.txt\n"
#define DEVELOPMENT "mode = development\n" NEEDED
#define PIPES "[client.main]\nkind = pipes\nkey_file = pipes.key\n"

static char folder[] = "/tmp/onbehalf-options-XXXXXX";
static char *no_environment[] = {NULL};

static char *in_folder(const char *name)
{
	return mem_textf("%s/%s", folder, name);
}

static void write_file(const char *name, const char *text)
{
	freed_by(mem_freep) char *path = in_folder(name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static const char *const files[] = {
	"onbehalf.conf", "keys.txt", "pipes.key", "empty", "two-lines", "password", "printed"};

static int make_folder(void **state)
{
	(void)state;
	if (secret_start(NULL) < 0 || !mkdtemp(folder))
		return -1;
	write_file("keys.txt", KEY);
	write_file("pipes.key", "sk_test_1\n");
	write_file("empty", "");
	write_file("two-lines", "one\ntwo\n");
	write_file("password", "pass word\n");
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		freed_by(mem_freep) char *path = in_folder(files[i]);

		(void)unlink(path);
	}
	return rmdir(folder);
}

/* True when there are no faults; the options are to be released either way. */
static bool load(struct options *o, const char *text)
{
	freed_by(mem_freep) char *path = in_folder("onbehalf.conf");

	write_file("onbehalf.conf", text);
	return options_load(o, path, no_environment);
}

static void loads(struct options *o, const char *text)
{
	if (!load(o, text))
		fail_msg("%zu faults: %s", o->config.fault_count, o->config.faults[0]);
}

/* Exactly one fault, and @what in it. */
static void has_one_fault(const struct options *o, const char *what)
{
	if (o->config.fault_count != 1)
		fail_msg("%zu faults instead of \"%s\"", o->config.fault_count, what);
	if (!strstr(o->config.faults[0], what))
		fail_msg("\"%s\" is not in \"%s\"", what, o->config.faults[0]);
}

static void is_refused(const char *text, const char *what)
{
	freed_by(options_release) struct options o;

	assert_false(load(&o, text));
	has_one_fault(&o, what);
}

static void is_fine(const char *text)
{
	freed_by(options_release) struct options o;

	loads(&o, text);
}

/* ---- the table ---- */

static void what_is_not_set_has_its_default(void **state)
{
	freed_by(options_release) struct options o;

	(void)state;
	loads(&o, NEEDED);
	assert_string_equal(o.mode, "production");
	assert_string_equal(o.group, "onbehalf");
	assert_string_equal(o.topics.lead_create, "lead.create");
	assert_string_equal(o.topics.lead_result, "lead.result");
	assert_string_equal(o.topics.lead_reauth_required, "lead.reauth-required");
	assert_string_equal(o.topics.lead_revoked, "lead.revoked");
	assert_string_equal(o.topics.lead_invalid, "lead.invalid");
	assert_true(o.topics.create);
	assert_int_equal(o.topics.partitions, 4);
	assert_int_equal(o.topics.replication, 1);
	assert_string_equal(o.postgres.password_file, "");
	assert_null(o.postgres.password);
	assert_string_equal(o.http.ca_file, "");
	assert_string_equal(o.http.connect_to, "");
	assert_int_equal(o.http.connect_timeout_ms, 5000);
	assert_int_equal(o.http.timeout_ms, 30000);
	assert_string_equal(o.salesforce.api_version, "v66.0");
	assert_string_equal(o.salesforce.insecure_hosts, "");
	assert_string_equal(o.salesforce.login_host, "login.salesforce.com");
	assert_int_equal(o.salesforce.per_org, 10);
	assert_int_equal(o.salesforce.in_flight, 256);
	assert_int_equal(o.salesforce.backoff_base_ms, 500);
	assert_int_equal(o.salesforce.backoff_cap_ms, 60000);
	assert_int_equal(o.salesforce.retry_after_cap_ms, 300000);
	assert_int_equal(o.batch.leads, 200);
	assert_int_equal(o.batch.bytes, 1024 * 1024);
	assert_int_equal(o.window, 20000);
	assert_int_equal(o.park_after_ms, 60000);
	assert_int_equal(o.drain_timeout_ms, 10000);
	assert_string_equal(o.log_format, "logfmt");
	assert_string_equal(o.log_level, "info");
	assert_null(options_client(&o, "main"));
}

static void what_is_set_arrives_where_it_belongs(void **state)
{
	freed_by(options_release) struct options o;

	(void)state;
	loads(&o,
		"group = g\n" DEVELOPMENT
		"[topics]\nlead_create = a\nlead_result = b\nlead_reauth_required = c\n"
		"lead_revoked = d\nlead_invalid = e\ncreate = no\npartitions = 5\nreplication = 3\n"
		"[http]\nca_file = /ca.pem\nconnect_to = ::h:1\nconnect_timeout = 1s\n"
		"timeout = 2s\n"
		"[salesforce]\napi_version = v61.0\ninsecure_hosts = h:1\n"
		"login_host = test.salesforce.com\nper_org = 1\nin_flight = 2\n"
		"backoff_base = 3ms\nbackoff_cap = 4ms\nretry_after_cap = 5ms\n"
		"[lanes]\nbatch_leads = 6\nbatch_bytes = 7kB\n[intake]\nwindow = 8\n"
		"[park]\nafter = 900ms\n[drain]\ntimeout = 0\n[log]\nformat = json\nlevel = "
		"warn\n");
	assert_string_equal(o.mode, "development");
	assert_string_equal(o.group, "g");
	assert_string_equal(o.topics.lead_create, "a");
	assert_string_equal(o.topics.lead_result, "b");
	assert_string_equal(o.topics.lead_reauth_required, "c");
	assert_string_equal(o.topics.lead_revoked, "d");
	assert_string_equal(o.topics.lead_invalid, "e");
	assert_false(o.topics.create);
	assert_int_equal(o.topics.partitions, 5);
	assert_int_equal(o.topics.replication, 3);
	assert_string_equal(o.postgres.url, "postgresql://worker:s3cret@db/onbehalf");
	assert_string_equal(o.http.ca_file, "/ca.pem");
	assert_string_equal(o.http.connect_to, "::h:1");
	assert_int_equal(o.http.connect_timeout_ms, 1000);
	assert_int_equal(o.http.timeout_ms, 2000);
	assert_string_equal(o.salesforce.api_version, "v61.0");
	assert_string_equal(o.salesforce.insecure_hosts, "h:1");
	assert_string_equal(o.salesforce.login_host, "test.salesforce.com");
	assert_int_equal(o.salesforce.per_org, 1);
	assert_int_equal(o.salesforce.in_flight, 2);
	assert_int_equal(o.salesforce.backoff_base_ms, 3);
	assert_int_equal(o.salesforce.backoff_cap_ms, 4);
	assert_int_equal(o.salesforce.retry_after_cap_ms, 5);
	assert_int_equal(o.batch.leads, 6);
	assert_int_equal(o.batch.bytes, 7 * 1024);
	assert_int_equal(o.window, 8);
	assert_int_equal(o.park_after_ms, 900);
	assert_int_equal(o.drain_timeout_ms, 0);
	assert_string_equal(o.log_format, "json");
	assert_string_equal(o.log_level, "warn");
}

static void every_key_tells_what_it_is(void **state)
{
	freed_by(options_release) struct options o;

	(void)state;
	loads(&o, NEEDED);
	for (size_t i = 0; i < o.config.key_count; i++) {
		assert_non_null(o.config.keys[i].doc);
		assert_true(o.config.keys[i].preset || o.config.keys[i].required);
	}
}

static void all_faults_come_at_once(void **state)
{
	freed_by(options_release) struct options o;

	(void)state;
	assert_false(
		load(&o, "mode = testing\n[lanes]\nbatch_leads = 500\n[keys]\nfile = nowhere\n"));
	assert_int_equal(o.config.fault_count, 5); /* and postgres.url, bootstrap.servers */
}

static void a_file_that_is_not_there_is_the_only_fault(void **state)
{
	freed_by(options_release) struct options o;

	(void)state;
	assert_false(options_load(&o, "/nowhere/onbehalf.conf", no_environment));
	has_one_fault(&o, "could not be read");
}

static void the_environment_alone_will_do(void **state)
{
	freed_by(options_release) struct options o;
	freed_by(mem_freep) char *keys = mem_textf("ONBEHALF_KEYS_FILE=%s/keys.txt", folder);
	char *environment[] = {keys, (char[]){"ONBEHALF_POSTGRES_URL=host=db"},
		(char[]){"ONBEHALF_KAFKA_BOOTSTRAP_SERVERS=k:9092"},
		(char[]){"ONBEHALF_CONFIG=ignored"}, NULL};

	(void)state;
	assert_true(options_load(&o, NULL, environment));
	assert_string_equal(o.postgres.url, "host=db");
}

static void what_is_printed_hides_the_url_and_its_password(void **state)
{
	freed_by(options_release) struct options o;
	freed_by(mem_freep) char *path = in_folder("printed");
	char text[16384] = "";
	int out = dup(STDOUT_FILENO);
	FILE *f;

	(void)state;
	loads(&o, DEVELOPMENT PIPES);
	(void)fflush(stdout);
	assert_non_null(freopen(path, "w", stdout));
	options_print(&o);
	(void)fflush(stdout);
	assert_true(dup2(out, STDOUT_FILENO) >= 0);
	close(out);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
	fclose(f);
	assert_non_null(strstr(text, "\nmode = development\n"));
	assert_non_null(strstr(text, "\nbootstrap.servers = 127.0.0.1:9092\n"));
	assert_non_null(strstr(text, "\n[client.main]\n"));
	assert_null(strstr(text, "s3cret"));
	assert_null(strstr(text, "sk_test_1"));
}

/* ---- Kafka ---- */

static void brokers_are_required_and_other_properties_pass(void **state)
{
	freed_by(options_release) struct options o;

	(void)state;
	is_refused("[postgres]\nurl = x\n[keys]\nfile = keys.txt\n", "kafka.bootstrap.servers");
	is_refused("[kafka]\nbootstrap.servers =\n[postgres]\nurl = x\n[keys]\nfile = keys.txt\n",
		"kafka.bootstrap.servers");
	loads(&o, NEEDED "[kafka]\nsession.timeout.ms = 6000\n");
	assert_int_equal(o.config.pair_count, 2);
	assert_string_equal(o.config.pairs[1].name, "session.timeout.ms");
	assert_string_equal(o.config.pairs[1].value, "6000");
}

static void names_of_group_and_topics_are_kafkas(void **state)
{
	(void)state;
	is_fine("group = a.B-c_9\n" NEEDED);
	is_refused("group = a b\n" NEEDED, "group:");
	is_refused("group =\n" NEEDED, "group:");
	is_refused(NEEDED "[topics]\nlead_create = a/b\n", "topics.lead_create");
	is_refused(NEEDED "[topics]\nlead_revoked =\n", "topics.lead_revoked");
	is_refused(NEEDED "[topics]\nlead_invalid = ..\n", "topics.lead_invalid");
}

static void a_topic_serves_one_purpose(void **state)
{
	(void)state;
	is_refused(NEEDED "[topics]\nlead_result = lead.create\n",
		"is the topic of topics.lead_create");
	is_refused(NEEDED "[topics]\nlead_invalid = lead.result\n",
		"is the topic of topics.lead_result");
}

/* ---- hosts ---- */

static void connect_to_has_four_parts(void **state)
{
	static const char *const good[] = {"a:443:b:8443", "::127.0.0.1:1",
		":::", "a:443::", "[::1]:443:[::2]:8443", "a:1:b:2 c:3:d:4"};
	static const char *const bad[] = {"a", "a:443", "a:443:b", "a:443:b:8443:c", "a:x:b:1",
		"a:1:b:123456", "::1:443:b:1", "a:1:b:2,c:3:d:4"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		freed_by(mem_freep) char *text =
			mem_textf(NEEDED "[http]\nconnect_to = %s\n", good[i]);

		is_fine(text);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		freed_by(mem_freep) char *text =
			mem_textf(NEEDED "[http]\nconnect_to = %s\n", bad[i]);

		is_refused(text, "http.connect_to");
	}
}

static void insecure_hosts_are_for_development(void **state)
{
	(void)state;
	is_fine(DEVELOPMENT "[salesforce]\ninsecure_hosts = 127.0.0.1:8080 [::1]:80\n");
	is_refused(NEEDED "[salesforce]\ninsecure_hosts = 127.0.0.1:8080\n", "mode = production");
	is_refused(DEVELOPMENT "[salesforce]\ninsecure_hosts = localhost\n", "is not host:port");
	is_refused(DEVELOPMENT "[salesforce]\ninsecure_hosts = localhost:\n", "is not host:port");
	is_refused(DEVELOPMENT "[salesforce]\ninsecure_hosts = :80\n", "is not host:port");
	is_refused(DEVELOPMENT "[salesforce]\ninsecure_hosts = http://a:80\n", "is not host:port");
}

static void users_log_in_at_salesforce(void **state)
{
	(void)state;
	is_fine(NEEDED "[salesforce]\nlogin_host = test.salesforce.com\n");
	is_fine(NEEDED "[salesforce]\nlogin_host = acme.my.salesforce.com\n");
	is_fine(DEVELOPMENT "[salesforce]\ninsecure_hosts = 127.0.0.1:8080\n"
			    "login_host = 127.0.0.1:8080\n");
	is_refused(DEVELOPMENT "[salesforce]\nlogin_host = 127.0.0.1:8080\n", "login_host");
	is_refused(NEEDED "[salesforce]\nlogin_host = login.example.com\n", "login_host");
	is_refused(
		NEEDED "[salesforce]\nlogin_host = https://acme.my.salesforce.com\n", "login_host");
	is_refused(NEEDED "[salesforce]\nlogin_host =\n", "login_host");
}

/* ---- Salesforce ---- */

static void a_version_is_written_as_in_a_path(void **state)
{
	(void)state;
	is_fine(NEEDED "[salesforce]\napi_version = v100.0\n");
	is_refused(NEEDED "[salesforce]\napi_version = 66.0\n", "api_version");
	is_refused(NEEDED "[salesforce]\napi_version = v66\n", "api_version");
	is_refused(NEEDED "[salesforce]\napi_version = v66.0/..\n", "api_version");
}

static void times_fit_each_other(void **state)
{
	(void)state;
	is_refused(NEEDED "[http]\ntimeout = 1s\n", "is longer than http.timeout");
	is_refused(NEEDED "[salesforce]\nbackoff_cap = 100ms\n",
		"is longer than salesforce.backoff_cap");
}

/* ---- clients and secrets ---- */

static void a_client_is_found_with_its_key(void **state)
{
	freed_by(options_release) struct options o;
	const struct client *client;

	(void)state;
	loads(&o, NEEDED PIPES);
	client = options_client(&o, "main");
	assert_non_null(client);
	assert_string_equal(client->kind, "pipes");
	assert_string_equal(client->base_url, "https://api.workos.com");
	assert_string_equal(client->slug, "salesforce");
	assert_int_equal(client->rate_per_minute, 6000);
	assert_string_equal(client->key, "sk_test_1");
	assert_null(options_client(&o, "other"));
}

static void a_client_needs_what_its_kind_needs(void **state)
{
	freed_by(options_release) struct options o;

	(void)state;
	is_refused(NEEDED "[client.a]\nkind = pipes\n", "client.a.key_file: is required");
	is_refused(NEEDED PIPES "slug =\n", "client.main.slug: is required");
	is_refused(NEEDED PIPES "slug = a/b\n", "client.main.slug");
	is_refused(NEEDED "[client.a]\nkind = salesforce\nid = x\n",
		"client.a.secret_file: is required");
	is_refused(NEEDED "[client.a]\nkind = salesforce\nsecret_file = pipes.key\n",
		"client.a.id: is required");
	loads(&o, NEEDED "[client.a]\nkind = salesforce\nid = x\nsecret_file = pipes.key\n");
	assert_string_equal(options_client(&o, "a")->key, "sk_test_1");
}

static void a_clients_url_is_https_or_listed_in_development(void **state)
{
	static const char *const bad[] = {"api.workos.com", "ftp://a", "https://", "https:///x",
		"https://a/", "https://a?b", "https://u:p@a", "https://:443"};

	(void)state;
	is_fine(NEEDED PIPES "base_url = HTTPS://proxy.example:8443/workos\n");
	is_fine(DEVELOPMENT PIPES "base_url = http://127.0.0.1:8080\n"
				  "[salesforce]\ninsecure_hosts = a:1 127.0.0.1:8080\n");
	is_refused(DEVELOPMENT PIPES "base_url = http://127.0.0.1:8080\n"
				     "[salesforce]\ninsecure_hosts = 127.0.0.1:80801\n",
		"is not https");
	is_refused(NEEDED PIPES "base_url = http://127.0.0.1:8080\n", "is not https");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		freed_by(mem_freep) char *text = mem_textf(NEEDED PIPES "base_url = %s\n", bad[i]);

		is_refused(text, "client.main.base_url: is no URL");
	}
}

static void secret_files_are_read_at_once(void **state)
{
	freed_by(options_release) struct options o;

	(void)state;
	is_refused(NEEDED "[client.a]\nkey_file = nowhere\n", "client.a.key_file");
	is_refused(NEEDED "[client.a]\nkey_file = empty\n", "empty");
	is_refused(NEEDED "[client.a]\nkey_file = two-lines\n", "is not one word on one line");
	is_refused(NEEDED "[postgres]\npassword_file = empty\n", "postgres.password_file");
	is_refused(NEEDED "[postgres]\npassword_file = nowhere\n", "postgres.password_file");
	loads(&o, NEEDED "[postgres]\npassword_file = password\n");
	assert_string_equal(o.postgres.password, "pass word");
}

static void the_keys_are_tried(void **state)
{
	static const char rest[] = "[kafka]\nbootstrap.servers = k\n[postgres]\nurl = x\n";
	static const char *const bad[] = {"nowhere", "empty", "pipes.key"};

	(void)state;
	is_refused(rest, "keys.file: is required");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		freed_by(mem_freep) char *text = mem_textf("%s[keys]\nfile = %s\n", rest, bad[i]);

		is_refused(text, "keys.file");
	}
}

/* Run from the top of the sources. */
static void the_example_lacks_its_secret_files_alone(void **state)
{
	freed_by(options_release) struct options o;

	(void)state;
	assert_false(options_load(&o, "worker/docs/onbehalf.conf.example", no_environment));
	for (size_t i = 0; i < o.config.fault_count; i++)
		if (!strstr(o.config.faults[i], "No such file"))
			fail_msg("%s", o.config.faults[i]);
	assert_int_equal(o.config.fault_count, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_set_has_its_default),
		cmocka_unit_test(what_is_set_arrives_where_it_belongs),
		cmocka_unit_test(every_key_tells_what_it_is),
		cmocka_unit_test(all_faults_come_at_once),
		cmocka_unit_test(a_file_that_is_not_there_is_the_only_fault),
		cmocka_unit_test(the_environment_alone_will_do),
		cmocka_unit_test(what_is_printed_hides_the_url_and_its_password),
		cmocka_unit_test(brokers_are_required_and_other_properties_pass),
		cmocka_unit_test(names_of_group_and_topics_are_kafkas),
		cmocka_unit_test(a_topic_serves_one_purpose),
		cmocka_unit_test(connect_to_has_four_parts),
		cmocka_unit_test(insecure_hosts_are_for_development),
		cmocka_unit_test(users_log_in_at_salesforce),
		cmocka_unit_test(a_version_is_written_as_in_a_path),
		cmocka_unit_test(times_fit_each_other),
		cmocka_unit_test(a_client_is_found_with_its_key),
		cmocka_unit_test(a_client_needs_what_its_kind_needs),
		cmocka_unit_test(a_clients_url_is_https_or_listed_in_development),
		cmocka_unit_test(secret_files_are_read_at_once),
		cmocka_unit_test(the_keys_are_tried),
		cmocka_unit_test(the_example_lacks_its_secret_files_alone),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
