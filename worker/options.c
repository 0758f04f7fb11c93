#include "worker/options.h"

#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/mem.h"
#include "common/secret.h"
#include "worker/options_check.h"

#define AT(member) offsetof(struct options, member)
#define IN(member) offsetof(struct client, member)

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define KILO INT64_C(1024)
#define MEGA (1024 * KILO)

/* In the order in which they are printed. */
static const struct config_key keys[] = {
	{"mode", CONFIG_WORD, AT(mode), "production", .words = "development|production",
		.doc = "development allows plain http to the hosts of salesforce.insecure_hosts"},
	{"group", CONFIG_TEXT, AT(group), "onbehalf",
		.doc = "The Kafka consumer group; one ledger serves one group"},

	{"topics.lead_create", CONFIG_TEXT, AT(topics.lead_create), "lead.create",
		.doc = "The leads to write"},
	{"topics.lead_result", CONFIG_TEXT, AT(topics.lead_result), "lead.result",
		.doc = "Leads that were written, rejected or given up"},
	{"topics.lead_reauth_required", CONFIG_TEXT, AT(topics.lead_reauth_required),
		"lead.reauth-required", .doc = "Leads whose user has to consent again"},
	{"topics.lead_revoked", CONFIG_TEXT, AT(topics.lead_revoked), "lead.revoked",
		.doc = "Leads whose connection was ended"},
	{"topics.lead_invalid", CONFIG_TEXT, AT(topics.lead_invalid), "lead.invalid",
		.doc = "Records that are no lead.create event, as they came"},
	{"topics.create", CONFIG_BOOL, AT(topics.create), "true",
		.doc = "Topics that are missing are created, the outcomes' with as many partitions "
		       "as lead_create"},
	{"topics.partitions", CONFIG_INT, AT(topics.partitions), "4", 1, 10000,
		.doc = "Partitions of lead_create, should it have to be created"},
	{"topics.replication", CONFIG_INT, AT(topics.replication), "1", 1, 100,
		.doc = "Replicas of topics that are created; 3 where nothing may be lost"},

	{"postgres.url", CONFIG_TEXT, AT(postgres.url), .required = true, .secret = true,
		.doc = "Where the ledger is: a postgresql:// URI or a conninfo string"},
	{"postgres.password_file", CONFIG_FILE, AT(postgres.password_file), "",
		.doc = "A file with the password; empty: as the URL, PGPASSWORD or ~/.pgpass say"},

	{"keys.file", CONFIG_FILE, AT(keys.file), .required = true,
		.doc = "Lines of `<key id> <64 hex digits>`; the first signs and seals, all "
		       "verify"},

	{"http.ca_file", CONFIG_FILE, AT(http.ca_file), "",
		.doc = "The certificates to trust; empty: the system's"},
	{"http.connect_to", CONFIG_TEXT, AT(http.connect_to), "",
		.doc = "Space separated host:port:connect-host:connect-port, as curl --connect-to"},
	{"http.connect_timeout", CONFIG_DURATION, AT(http.connect_timeout_ms), "5s", 100, MINUTE,
		.doc = "How long a connection may take, TLS included"},
	{"http.timeout", CONFIG_DURATION, AT(http.timeout_ms), "30s", 100, 10 * MINUTE,
		.doc = "How long one call may take; after that it is unknown what became of it"},

	{"salesforce.api_version", CONFIG_TEXT, AT(salesforce.api_version), "v66.0",
		.doc = "The REST API's version"},
	{"salesforce.insecure_hosts", CONFIG_TEXT, AT(salesforce.insecure_hosts), "",
		.doc = "Space separated host:port spoken to in plain http; for tests, never in "
		       "production"},
	{"salesforce.login_host", CONFIG_TEXT, AT(salesforce.login_host), "login.salesforce.com",
		.doc = "Where a token's org and user are asked for"},
	{"salesforce.per_org", CONFIG_INT, AT(salesforce.per_org), "10", 1, 100,
		.doc = "Calls to one org at a time"},
	{"salesforce.in_flight", CONFIG_INT, AT(salesforce.in_flight), "256", 1, 10000,
		.doc = "Calls to all orgs at a time"},
	{"salesforce.backoff_base", CONFIG_DURATION, AT(salesforce.backoff_base_ms), "500ms", 1,
		HOUR, .doc = "The wait before a second attempt, which grows from there"},
	{"salesforce.backoff_cap", CONFIG_DURATION, AT(salesforce.backoff_cap_ms), "60s", 1,
		24 * HOUR, .doc = "The longest wait between two attempts"},
	{"salesforce.retry_after_cap", CONFIG_DURATION, AT(salesforce.retry_after_cap_ms), "5min",
		1, 24 * HOUR, .doc = "The longest Retry-After that is honoured in full"},

	{"lanes.batch_leads", CONFIG_INT, AT(batch.leads), "200", 1, 200,
		.doc = "Leads in one call; Salesforce takes at most 200"},
	{"lanes.batch_bytes", CONFIG_SIZE, AT(batch.bytes), "1MB", 4 * KILO, 8 * MEGA,
		.doc = "Bytes in one call; a lead that is larger goes alone"},

	{"intake.window", CONFIG_INT, AT(window), "20000", 1, 1000000,
		.doc = "Leads in flight a partition"},
	{"intake.bytes", CONFIG_SIZE, AT(window_bytes), "64MB", 1048576, 1099511627776,
		.doc = "Memory that leads in flight may take a partition"},

	{"park.after", CONFIG_DURATION, AT(park_after_ms), "60s", 100, 24 * HOUR,
		.doc = "A lead whose next attempt is further away than this is parked"},

	{"drain.timeout", CONFIG_DURATION, AT(drain_timeout_ms), "10s", 0, 10 * MINUTE,
		.doc = "How long SIGTERM waits for calls under way"},

	{"log.format", CONFIG_WORD, AT(log_format), "logfmt", .words = "logfmt|json",
		.doc = "How a line of the log is written"},
	{"log.level", CONFIG_WORD, AT(log_level), "info", .words = "debug|info|warn|error",
		.doc = "The least important lines that are written"},

	{"client.*.kind", CONFIG_WORD, IN(kind), "pipes", .words = "pipes|salesforce",
		.doc = "Where tokens come from: WorkOS Pipes, or Salesforce with our own client"},
	{"client.*.base_url", CONFIG_TEXT, IN(base_url), "https://api.workos.com",
		.doc = "pipes: the API"},
	{"client.*.slug", CONFIG_TEXT, IN(slug), "salesforce",
		.doc = "pipes: the provider's name there"},
	{"client.*.key_file", CONFIG_FILE, IN(key_file), "",
		.doc = "pipes: a file with the API key"},
	{"client.*.id", CONFIG_TEXT, IN(id), "", .doc = "salesforce: the client's id"},
	{"client.*.secret_file", CONFIG_FILE, IN(secret_file), "",
		.doc = "salesforce: a file with the client's secret"},
	{"client.*.rate_per_minute", CONFIG_INT, IN(rate_per_minute), "6000", 1, 1000000,
		.doc = "Token requests a minute of one worker; WorkOS takes 6000 an API key"},
};

/* ---- secrets ---- */

/* The content of @path in @ret; a fault at @key when it cannot be had. */
static void read_secret(struct config *c, const char *key, const char *path, char **ret)
{
	struct err err;

	if (secret_read_file(path, ret, &err) < 0) {
		config_fault(c, key, "%s", err.text);
		return;
	}
	for (const char *at = *ret; *at; at++)
		if (*at <= ' ' || *at > '~') {
			config_fault(c, key, "%s: is not one word on one line", path);
			return;
		}
}

static void read_client_secret(struct config *c, const struct config_section *section)
{
	struct client *client = section->values;
	bool pipes = strcmp(client->kind, "pipes") == 0;
	const char *path = pipes ? client->key_file : client->secret_file;
	freed_by(mem_freep) char *key =
		mem_textf("client.%s.%s", section->name, pipes ? "key_file" : "secret_file");

	if (*path)
		read_secret(c, key, path, &client->key);
}

static void read_password(struct options *o)
{
	struct err err;

	if (*o->postgres.password_file &&
		secret_read_file(o->postgres.password_file, &o->postgres.password, &err) < 0)
		config_fault(&o->config, "postgres.password_file", "%s", err.text);
}

/* The ring is opened for its faults alone. */
static void try_keys(struct options *o)
{
	freed_by(secret_ring_freep) struct secret_ring *ring = NULL;
	struct err err;

	if (o->keys.file && *o->keys.file && secret_ring_open(o->keys.file, &ring, &err) < 0)
		config_fault(&o->config, "keys.file", "%s", err.text);
}

/* ---- the whole ---- */

bool options_load(struct options *o, const char *path, char **environment)
{
	*o = (struct options){.config = {.keys = keys,
				      .key_count = ARRAY_LEN(keys),
				      .pass_section = "kafka",
				      .named_section = "client",
				      .named_size = sizeof(struct client)}};
	if (!config_load(&o->config, path, environment, o) && path && access(path, R_OK) != 0)
		return false; /* that is the fault, and not what is missing */
	options_check(o);
	read_password(o);
	try_keys(o);
	for (size_t i = 0; i < o->config.section_count; i++)
		read_client_secret(&o->config, &o->config.sections[i]);
	return o->config.fault_count == 0;
}

void options_print(const struct options *o)
{
	config_print(&o->config, o, stdout);
}

void options_release(struct options *o)
{
	for (size_t i = 0; i < o->config.section_count; i++) {
		struct client *client = o->config.sections[i].values;

		secret_text_free(steal(&client->key));
	}
	secret_text_free(steal(&o->postgres.password));
	config_release(&o->config, o);
}

const struct client *options_client(const struct options *o, const char *name)
{
	for (size_t i = 0; i < o->config.section_count; i++)
		if (strcmp(o->config.sections[i].name, name) == 0)
			return o->config.sections[i].values;
	return NULL;
}
