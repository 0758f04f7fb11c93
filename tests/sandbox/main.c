/*
 * tests/sandbox/main.c - onbehalf-sandbox: arguments, start, end.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include "server.h"
#include "timer.h"

struct arguments {
	const char *listen;
	const char *tls_listen;
	const char *tls_cert;
	const char *tls_key;
	const char *journal;
	size_t journal_max;
	unsigned int threads;
};

static const char usage[] = "usage: onbehalf-sandbox --listen ADDRESS:PORT\n"
			    "    [--tls-listen ADDRESS:PORT --tls-cert FILE --tls-key FILE]\n"
			    "    [--journal FILE] [--journal-max ENTRIES] [--threads N]\n"
			    "Plays Salesforce and WorkOS Pipes for tests.  Port 0 is any port.\n";

static const struct option options[] = {
	{"listen", required_argument, NULL, 'l'},
	{"tls-listen", required_argument, NULL, 't'},
	{"tls-cert", required_argument, NULL, 'c'},
	{"tls-key", required_argument, NULL, 'k'},
	{"journal", required_argument, NULL, 'j'},
	{"journal-max", required_argument, NULL, 'm'},
	{"threads", required_argument, NULL, 'n'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

/* False on wrong usage. */
static bool take_option(int option, struct arguments *arguments)
{
	switch (option) {
	case 'l':
		arguments->listen = optarg;
		return true;
	case 't':
		arguments->tls_listen = optarg;
		return true;
	case 'c':
		arguments->tls_cert = optarg;
		return true;
	case 'k':
		arguments->tls_key = optarg;
		return true;
	case 'j':
		arguments->journal = optarg;
		return true;
	case 'm':
		arguments->journal_max = strtoull(optarg, NULL, 10);
		return arguments->journal_max > 0;
	case 'n':
		arguments->threads = (unsigned int)strtoul(optarg, NULL, 10);
		return arguments->threads > 0 && arguments->threads <= 64;
	default:
		return false;
	}
}

static bool take_arguments(int argc, char **argv, struct arguments *ret)
{
	int option;

	*ret = (struct arguments){.journal_max = 2000000, .threads = 1};
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (!take_option(option, ret))
			return false;
	if (optind != argc || !ret->listen)
		return false;
	return !ret->tls_listen == !ret->tls_cert && !ret->tls_listen == !ret->tls_key;
}

static bool take_address(const char *text, struct sockaddr_in *ret)
{
	char host[64];
	unsigned int port;
	int used = 0;

	*ret = (struct sockaddr_in){.sin_family = AF_INET};
	if (sscanf(text, "%63[^:]:%u%n", host, &port, &used) != 2 || text[used] || port > 65535)
		return false;
	if (strcmp(host, "localhost") == 0)
		strcpy(host, "127.0.0.1");
	ret->sin_port = htons((uint16_t)port);
	return inet_pton(AF_INET, host, &ret->sin_addr) == 1;
}

static void filep_close(FILE **file)
{
	if (*file)
		fclose(*file);
}

/* The text of a small file; NULL when it cannot be read.  The caller frees it. */
static char *read_file(const char *path)
{
	freed_by(filep_close) FILE *file = fopen(path, "re");
	char *text = must(calloc(1, 65536));

	if (file && fread(text, 1, 65535, file) > 0)
		return text;
	free(text);
	return NULL;
}

static int complain(const char *what, const char *which)
{
	fprintf(stderr, "onbehalf-sandbox: %s: %s\n", what, which);
	return 1;
}

static void print_ready(const char *word, const struct sockaddr_in *address, uint16_t port)
{
	char host[INET_ADDRSTRLEN];

	(void)inet_ntop(AF_INET, &address->sin_addr, host, sizeof(host));
	printf("%s %s:%u\n", word, host, port);
	(void)fflush(stdout);
}

static void wait_for_the_end(void)
{
	sigset_t ends;
	int got;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	(void)sigwait(&ends, &got);
}

/* Threads inherit the mask, so this comes before the first of them. */
static void prepare_process(void)
{
	sigset_t blocked;
	struct rlimit files;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGPIPE);
	(void)pthread_sigmask(SIG_BLOCK, &blocked, NULL);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
}

struct sandbox {
	struct world world;
	struct timer *timer;
	struct server *plain;
	struct server *tls;
	char url[64]; /* of the plain listener */
};

static void sandbox_stop(struct sandbox *sandbox)
{
	timer_stop(sandbox->timer); /* a request that waits would hold its server up */
	server_free(sandbox->plain);
	server_free(sandbox->tls);
	timer_free(sandbox->timer);
	world_release(&sandbox->world);
}

static int start_plain(struct sandbox *sandbox, const struct arguments *arguments)
{
	struct server_options plain = {.threads = arguments->threads};
	char host[INET_ADDRSTRLEN];

	if (!take_address(arguments->listen, &plain.address))
		return complain("no address", arguments->listen);
	sandbox->plain = server_new(&plain, &sandbox->world, sandbox->timer);
	if (!sandbox->plain)
		return complain("cannot listen", arguments->listen);
	(void)inet_ntop(AF_INET, &plain.address.sin_addr, host, sizeof(host));
	(void)snprintf(sandbox->url, sizeof(sandbox->url), "http://%s:%u", host,
		server_port(sandbox->plain));
	server_open(sandbox->plain);
	print_ready("ready", &plain.address, server_port(sandbox->plain));
	return 0;
}

static int start_tls(struct sandbox *sandbox, const struct arguments *arguments)
{
	struct server_options tls = {.threads = arguments->threads};
	freed_by(charp_free) char *certificate = NULL;
	freed_by(charp_free) char *key = NULL;

	if (!arguments->tls_listen)
		return 0;
	certificate = read_file(arguments->tls_cert);
	key = read_file(arguments->tls_key);
	if (!certificate || !key)
		return complain(
			"cannot read", certificate ? arguments->tls_key : arguments->tls_cert);
	tls.certificate = certificate;
	tls.key = key;
	if (!take_address(arguments->tls_listen, &tls.address))
		return complain("no address", arguments->tls_listen);
	sandbox->tls = server_new(&tls, &sandbox->world, sandbox->timer);
	if (!sandbox->tls)
		return complain("cannot listen with TLS", arguments->tls_listen);
	server_open(sandbox->tls);
	print_ready("ready-tls", &tls.address, server_port(sandbox->tls));
	return 0;
}

int main(int argc, char **argv)
{
	static struct sandbox sandbox;
	struct arguments arguments;
	int failed;

	if (!take_arguments(argc, argv, &arguments)) {
		(void)fputs(usage, stderr);
		return 2;
	}
	prepare_process();
	world_init(&sandbox.world, sandbox.url);
	if (journal_init(&sandbox.world.journal, arguments.journal_max, arguments.journal) < 0)
		return complain("cannot write", arguments.journal);
	sandbox.timer = timer_new();
	failed = start_plain(&sandbox, &arguments) || start_tls(&sandbox, &arguments);
	if (!failed)
		wait_for_the_end();
	sandbox_stop(&sandbox);
	return failed;
}
