/*
 * worker/options.h - the worker's configuration as a struct.
 *
 * The table in options.c is the only list of keys: type, default, range, doc.
 * Read once at the start; everything is owned by the struct.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base.h"
#include "common/config.h"

struct client {     /* [client.<name>] */
	char *kind; /* pipes or salesforce */
	char *base_url;
	char *slug;
	char *key_file;    /* pipes: the API key */
	char *id;          /* salesforce: client id */
	char *secret_file; /* salesforce: client secret */
	int64_t rate_per_minute;
	char *key; /* read from key_file or secret_file by options_load(); secret */
};

struct options {
	char *mode; /* development or production */
	char *group;
	struct {
		char *lead_create, *lead_result, *lead_reauth_required, *lead_revoked,
			*lead_invalid;
		bool create;
		int64_t partitions, replication;
	} topics;
	struct {
		char *url, *password_file;
		char *password; /* read from password_file; NULL: none */
	} postgres;
	struct {
		char *file;
	} keys;
	struct {
		char *ca_file, *connect_to;
		int64_t connect_timeout_ms, timeout_ms;
	} http;
	struct {
		char *api_version, *insecure_hosts, *login_host;
		int64_t per_org, in_flight, backoff_base_ms, backoff_cap_ms, retry_after_cap_ms;
	} salesforce;
	struct {
		int64_t leads, bytes;
	} batch;
	int64_t window, window_bytes;
	int64_t park_after_ms;
	int64_t drain_timeout_ms;
	char *log_format, *log_level;

	struct config config; /* kafka.* pairs, client sections, faults, origins */
};

/**
 * Reads @path (NULL: the environment alone), checks what belongs together and
 * reads the secret files.  False when there are faults: options->config.faults.
 */
must_check bool options_load(struct options *o, const char *path, char **environment);
void options_print(const struct options *o);
void options_release(struct options *o);
/** NULL when there is no such client. */
const struct client *options_client(const struct options *o, const char *name);
