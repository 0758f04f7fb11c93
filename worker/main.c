/*
 * worker/main.c - arguments, subcommands, exit codes; everything else is in the library.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/http.h"
#include "common/json.h"
#include "common/kafka.h"
#include "common/log.h"
#include "common/pg.h"
#include "common/secret.h"
#include "worker/check.h"
#include "worker/cmd_lead.h"
#include "worker/migrate.h"
#include "worker/options.h"
#include "worker/worker.h"

#define DEFAULT_CONFIG "/etc/onbehalf.conf"

enum exit_code { EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_CONFIG };

struct arguments {
	const char *config;   /* NULL: the environment alone */
	const char *postgres; /* NULL: as the configuration says */
	bool print;
	char *const *words; /* behind the subcommand */
	size_t word_count;
};

/* ---- subcommands ---- */

/* Prints every fault; the options are to be released either way. */
static bool load(struct options *o, const struct arguments *a)
{
	if (options_load(o, a->config, environ))
		return true;
	for (size_t i = 0; i < o->config.fault_count; i++)
		fprintf(stderr, "%s\n", o->config.faults[i]);
	return false;
}

static void setup_log(const struct options *o)
{
	static const char *const levels[] = {[LOG_DEBUG] = "debug",
		[LOG_INFO] = "info",
		[LOG_WARN] = "warn",
		[LOG_ERROR] = "error"};
	enum log_level level = LOG_DEBUG;

	while (level < LOG_ERROR && strcmp(levels[level], o->log_level) != 0)
		level++;
	log_setup(strcmp(o->log_format, "json") == 0 ? LOG_JSON : LOG_LOGFMT, level);
}

static int fail(const struct err *err)
{
	fprintf(stderr, "onbehalf: %s\n", err->text);
	return EXIT_FAILED;
}

static int run(const struct arguments *a)
{
	freed_by(options_release) struct options o;

	if (!load(&o, a))
		return EXIT_CONFIG;
	setup_log(&o);
	return worker_run(&o);
}

static int migrate(const struct arguments *a)
{
	freed_by(options_release) struct options o = {0};
	const char *conninfo = a->postgres;
	struct err err;

	/* with --postgres nothing else is needed, least of all the worker's secrets */
	if (!conninfo) {
		if (!load(&o, a))
			return EXIT_CONFIG;
		conninfo = o.postgres.url;
	}
	return migrate_run(conninfo, o.postgres.password, &err) < 0 ? fail(&err) : EXIT_OK;
}

static int check(const struct arguments *a)
{
	freed_by(options_release) struct options o;
	bool loaded = load(&o, a);

	if (a->print)
		options_print(&o);
	if (!loaded)
		return EXIT_CONFIG;
	return check_run(&o) ? EXIT_OK : EXIT_FAILED;
}

static int wrong_usage(const char *what, const char *word);

static int lead(const struct arguments *a)
{
	if (a->word_count != 2 || strcmp(a->words[0], "validate") != 0)
		return wrong_usage("lead validate takes one FILE, or - for standard input", NULL);
	return cmd_lead_validate(a->words[1]) ? EXIT_OK : EXIT_FAILED;
}

static int version(const struct arguments *a)
{
	int pg = pg_library_version();

	(void)a;
	printf("onbehalf %s\n", ONBEHALF_VERSION);
	printf("librdkafka %s\n", kafka_library_version());
	printf("libcurl %s\n", http_library_version());
	printf("jansson %s\n", json_library_version());
	printf("libpq %d.%d\n", pg / 10000, pg % 10000);
	printf("libsodium %s\n", secret_library_version());
	return EXIT_OK;
}

static const struct subcommand {
	const char *name;
	int (*fn)(const struct arguments *a);
	const char *doc;
} subcommands[] = {
	{"run", run, "read leads and write them to Salesforce until SIGTERM"},
	{"migrate", migrate, "bring the database to this release's schema"},
	{"check", check, "try the configuration and everything it names"},
	{"lead", lead, "validate FILE: say what the worker would answer to an event"},
	{"version", version, "say what this is and what it is made of"},
};

/* ---- arguments ---- */

static void print_help(FILE *out)
{
	fprintf(out, "usage: onbehalf SUBCOMMAND [OPTION...]\n\n");
	for (size_t i = 0; i < ARRAY_LEN(subcommands); i++)
		fprintf(out, "  %-20s %s\n", subcommands[i].name, subcommands[i].doc);
	fprintf(out,
		"\n  --config FILE        the configuration; else ONBEHALF_CONFIG names it, else\n"
		"                       " DEFAULT_CONFIG " is it, if it is there\n"
		"  --postgres CONNINFO  migrate: where to; the configuration is not read\n"
		"  --print              check: the effective configuration, too\n"
		"  --help               this\n\n"
		"exit codes: 0 done, 1 failed, 2 wrong usage, 3 faults in the configuration\n");
}

/* @what NULL: getopt_long() has said it. */
static int wrong_usage(const char *what, const char *word)
{
	if (what)
		fprintf(stderr, "onbehalf: %s%s%s\n", what, word ? ": " : "", word ? word : "");
	fprintf(stderr, "onbehalf --help says how it is called\n");
	return EXIT_USAGE;
}

static const char *default_config(void)
{
	const char *path = getenv("ONBEHALF_CONFIG");

	if (path && *path)
		return path;
	return access(DEFAULT_CONFIG, F_OK) == 0 ? DEFAULT_CONFIG : NULL;
}

static const struct subcommand *find_subcommand(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(subcommands); i++)
		if (strcmp(subcommands[i].name, name) == 0)
			return &subcommands[i];
	return NULL;
}

static int start(const struct subcommand *subcommand, const struct arguments *a)
{
	struct err err;

	if (a->postgres && subcommand->fn != migrate)
		return wrong_usage("--postgres is for migrate", NULL);
	if (a->print && subcommand->fn != check)
		return wrong_usage("--print is for check", NULL);
	/* a peer that hangs up is an error of that call, and no reason to end */
	signal(SIGPIPE, SIG_IGN);
	if (secret_start(&err) < 0 || http_start(&err) < 0)
		return fail(&err);
	return subcommand->fn(a);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"postgres", required_argument, NULL, 'p'}, {"print", no_argument, NULL, 'P'},
		{"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0}};
	struct arguments a = {.config = default_config()};
	const struct subcommand *subcommand = NULL;
	int option;

	/* the subcommand may stand before or behind its options */
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'c')
			a.config = optarg;
		else if (option == 'p')
			a.postgres = optarg;
		else if (option == 'P')
			a.print = true;
		else if (option == 'V')
			subcommand = find_subcommand("version");
		else if (option == 'h')
			return print_help(stdout), EXIT_OK;
		else
			return wrong_usage(NULL, NULL);
	}
	if (!subcommand && optind == argc)
		return print_help(stderr), EXIT_USAGE;
	if (!subcommand)
		subcommand = find_subcommand(argv[optind++]);
	if (!subcommand)
		return wrong_usage("no such subcommand", argv[optind - 1]);
	a.words = argv + optind;
	a.word_count = (size_t)(argc - optind);
	if (a.word_count && subcommand->fn != lead)
		return wrong_usage("too many words", argv[optind]);
	return start(subcommand, &a);
}
