#include "server.h"

#include <ctype.h>
#include <microhttpd.h>
#include <stdatomic.h>

#include "call.h"
#include "timer.h"

#define MAX_BODY_BYTES ((size_t)50 * 1024 * 1024)
#define CONNECTION_BYTES ((size_t)128 * 1024)
#define MAX_CONNECTIONS 4096u

struct server {
	struct MHD_Daemon *daemon;
	struct world *world;
	struct timer *timer;
	bool tls;
	atomic_bool open;
};

enum exchange_state { EXCHANGE_NEW, EXCHANGE_RECEIVING, EXCHANGE_READY };

struct exchange {
	struct server *server;
	struct MHD_Connection *connection;
	struct call *call;
	enum exchange_state state;
};

/* Called first for each request, with the target before it is decoded. */
static void *on_target(void *cls, const char *target, struct MHD_Connection *connection)
{
	struct exchange *exchange = must(calloc(1, sizeof(*exchange)));

	exchange->server = cls;
	exchange->connection = connection;
	exchange->call = call_new();
	exchange->call->target = must(strdup(target));
	return exchange;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **req_cls,
	enum MHD_RequestTerminationCode why)
{
	struct exchange *exchange = *req_cls;

	(void)cls;
	(void)connection;
	(void)why;
	if (!exchange)
		return;
	call_free(exchange->call);
	free(exchange);
	*req_cls = NULL;
}

static enum MHD_Result count_header(
	void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct call *call = cls;

	(void)kind;
	call->head_bytes += strlen(name) + (value ? strlen(value) : 0) + 4;
	return MHD_YES;
}

static char *header_copy(struct MHD_Connection *connection, const char *name)
{
	const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);

	return value ? must(strdup(value)) : NULL;
}

/* "Acme.my.salesforce.com:443" as "acme.my.salesforce.com". */
static char *host_of(struct MHD_Connection *connection)
{
	char *host = header_copy(connection, MHD_HTTP_HEADER_HOST);
	char *colon;

	if (!host)
		return must(strdup(""));
	for (char *c = host; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	colon = strrchr(host, ':');
	if (colon && !strchr(colon, ']'))
		*colon = '\0';
	return host;
}

static void take_head(struct exchange *exchange, const char *method)
{
	struct call *call = exchange->call;

	call->tls = exchange->server->tls;
	call->method = must(strdup(method));
	call->host = host_of(exchange->connection);
	call->authorization = header_copy(exchange->connection, MHD_HTTP_HEADER_AUTHORIZATION);
	call->content_type = header_copy(exchange->connection, MHD_HTTP_HEADER_CONTENT_TYPE);
	call->head_bytes = strlen(call->target);
	(void)MHD_get_connection_values(
		exchange->connection, MHD_HEADER_KIND, count_header, exchange->call);
}

static void take_body(struct call *call, const char *bytes, size_t len_bytes)
{
	if (call->body.len_bytes + len_bytes > MAX_BODY_BYTES)
		call->too_large = true;
	else
		buf_add(&call->body, bytes, len_bytes);
}

/* Refusing to answer makes MHD close the connection: not a byte is sent. */
static enum MHD_Result send_answer(struct exchange *exchange)
{
	struct call *call = exchange->call;
	struct MHD_Response *response;
	enum MHD_Result result;

	if (call->cut)
		return MHD_NO;
	response = MHD_create_response_from_buffer(
		call->answer.len_bytes, call->answer.data, MHD_RESPMEM_MUST_FREE);
	if (!response)
		return MHD_NO;
	call->answer = (struct buf){0};
	for (size_t i = 0; i < call->n_headers; i++)
		(void)MHD_add_response_header(
			response, call->headers[i].name, call->headers[i].value);
	result = MHD_queue_response(exchange->connection, (unsigned int)call->status, response);
	MHD_destroy_response(response);
	return result;
}

static void finish_later(void *what)
{
	struct exchange *exchange = what;

	call_finish(exchange->server->world, exchange->call);
	MHD_resume_connection(exchange->connection);
}

static enum MHD_Result take_up(struct exchange *exchange)
{
	struct server *server = exchange->server;

	exchange->state = EXCHANGE_READY;
	if (!atomic_load(&server->open)) {
		call_answer(exchange->call, 503, "text/plain");
		return send_answer(exchange);
	}
	if (call_begin(server->world, exchange->call) == CALL_ANSWERED)
		return send_answer(exchange);
	MHD_suspend_connection(exchange->connection);
	timer_add(server->timer, exchange->call->verdict.delay_ms, finish_later, exchange);
	return MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *upload_data, size_t *upload_data_size,
	void **req_cls)
{
	struct exchange *exchange = *req_cls;

	(void)cls;
	(void)connection;
	(void)url;
	(void)version;
	if (exchange->state == EXCHANGE_NEW) {
		take_head(exchange, method);
		exchange->state = EXCHANGE_RECEIVING;
		return MHD_YES;
	}
	if (*upload_data_size) {
		take_body(exchange->call, upload_data, *upload_data_size);
		*upload_data_size = 0;
		return MHD_YES;
	}
	return exchange->state == EXCHANGE_RECEIVING ? take_up(exchange) : send_answer(exchange);
}

/* The path is decoded by the segment, in call.c: an escaped slash is no separator. */
static size_t leave_escaped(void *cls, struct MHD_Connection *connection, char *text)
{
	(void)cls;
	(void)connection;
	return strlen(text);
}

static struct MHD_Daemon *start(struct server *server, const struct server_options *options)
{
	unsigned int flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
	struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)options->certificate},
		{MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)options->key},
		{MHD_OPTION_END, 0, NULL},
	};
	struct MHD_OptionItem pool[] = {
		{MHD_OPTION_THREAD_POOL_SIZE, options->threads, NULL},
		{MHD_OPTION_END, 0, NULL},
	};

	if (options->certificate)
		flags |= MHD_USE_TLS;
	else
		tls[0].option = MHD_OPTION_END;
	if (options->threads < 2)
		pool[0].option = MHD_OPTION_END;
	return MHD_start_daemon(flags, 0, NULL, NULL, on_request, server, MHD_OPTION_SOCK_ADDR,
		(const struct sockaddr *)&options->address, MHD_OPTION_CONNECTION_LIMIT,
		MAX_CONNECTIONS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES,
		MHD_OPTION_LISTEN_BACKLOG_SIZE, 1024u, MHD_OPTION_URI_LOG_CALLBACK, on_target,
		server, MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_ARRAY, tls,
		MHD_OPTION_ARRAY, pool, MHD_OPTION_END);
}

struct server *server_new(
	const struct server_options *options, struct world *world, struct timer *timer)
{
	struct server *server = must(calloc(1, sizeof(*server)));

	server->world = world;
	server->timer = timer;
	server->tls = options->certificate != NULL;
	server->daemon = start(server, options);
	if (server->daemon)
		return server;
	free(server);
	return NULL;
}

void server_free(struct server *server)
{
	if (!server)
		return;
	MHD_stop_daemon(server->daemon);
	free(server);
}

uint16_t server_port(const struct server *server)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);

	return info ? info->port : 0;
}

void server_open(struct server *server)
{
	atomic_store(&server->open, true);
}
