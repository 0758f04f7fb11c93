#include "common/http.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/clock.h"

/*
 * The peer is a child of this process, with a child of its own for each
 * connection; the path of a request says how it behaves.
 */

static pid_t server;
static int server_port;

/* ---- the peer ---- */

struct request {
	char text[65536];
	size_t len;
};

static size_t length_of(const struct request *q, size_t head)
{
	const char *at = strstr(q->text, "\r\nContent-Length:");

	return at && at < q->text + head ? strtoul(at + 17, NULL, 10) : 0;
}

/* Reads one whole request; false when the other side is gone. */
static bool read_request(int fd, struct request *q)
{
	q->len = 0;
	for (;;) {
		ssize_t got = read(fd, q->text + q->len, sizeof(q->text) - 1 - q->len);
		const char *end;

		if (got <= 0)
			return false;
		q->len += (size_t)got;
		q->text[q->len] = '\0';
		end = strstr(q->text, "\r\n\r\n");
		if (end) {
			size_t head = (size_t)(end - q->text) + 4;

			if (q->len >= head + length_of(q, head))
				return true;
		}
	}
}

static void say(int fd, const char *head, const char *body, size_t len)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "Content-Length: %zu\r\n\r\n", len);

	if (write(fd, head, strlen(head)) < 0 || write(fd, line, (size_t)n) < 0 ||
		write(fd, body, len) < 0)
		_exit(1);
}

static const struct {
	const char *path, *head;
} heads[] = {
	{"/seconds", "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n"},
	{"/date", "HTTP/1.1 429 Slow\r\nDate: Wed, 21 Oct 2015 07:28:00 GMT\r\n"
		  "Retry-After: Wed, 21 Oct 2015 07:29:30 GMT\r\n"},
	{"/past", "HTTP/1.1 429 Slow\r\nDate: Wed, 21 Oct 2015 07:28:00 GMT\r\n"
		  "retry-after: Tue, 20 Oct 2015 07:29:30 GMT\r\n"},
	{"/nonsense", "HTTP/1.1 503 Busy\r\nRetry-After: soon\r\n"},
	{"/limit", "HTTP/1.1 200 OK\r\nSforce-Limit-Info:  api-usage=18/5000 \r\n"},
	{"/1703", "HTTP/1.1 401 No\r\nSfdc-OAuth-Error: 1703\r\n"},
	{"/continue", "HTTP/1.1 100 Continue\r\nRetry-After: 9\r\nSfdc-OAuth-Error: 1703\r\n\r\n"
		      "HTTP/1.1 201 Made\r\n"},
	{"/redirect", "HTTP/1.1 302 Found\r\nLocation: /echo\r\n"},
	{"/encoded", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"},
};

static bool path_is(const struct request *q, const char *path)
{
	const char *at = strchr(q->text, ' ');

	return at && strncmp(at + 1, path, strlen(path)) == 0 && at[1 + strlen(path)] == ' ';
}

static void answer_by_path(int fd, const struct request *q)
{
	static char big[50000];

	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		if (!path_is(q, heads[i].path))
			continue;
		say(fd, heads[i].head, "x", 1);
		return;
	}
	memset(big, 'b', sizeof(big));
	if (path_is(q, "/big"))
		say(fd, "HTTP/1.1 200 OK\r\n", big, sizeof(big));
	else
		say(fd, "HTTP/1.1 200 OK\r\n", q->text, q->len);
}

static void serve(int fd)
{
	static struct request q;
	bool dies_next = false;

	while (read_request(fd, &q)) {
		if (path_is(&q, "/drop") || dies_next)
			break;
		dies_next = path_is(&q, "/dies-next");
		if (path_is(&q, "/hang"))
			continue;
		if (path_is(&q, "/half")) {
			say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nX-", "", 0);
			break;
		}
		answer_by_path(fd, &q);
	}
	_exit(0);
}

static void run_server(int listener)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			_exit(1);
		if (fork() == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			serve(fd);
		}
		close(fd);
	}
}

static int listen_on_any(int *ret_port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*ret_port = ntohs(at.sin_port);
	return fd;
}

static int start_server(void **state)
{
	int listener = listen_on_any(&server_port);
	struct err err;

	(void)state;
	server = fork();
	if (server == 0)
		run_server(listener);
	close(listener);
	return server > 0 ? http_start(&err) : -1;
}

static int stop_server(void **state)
{
	(void)state;
	(void)kill(server, SIGKILL);
	return waitpid(server, NULL, 0) == server ? 0 : -1;
}

/* ---- this side ---- */

struct seen {
	struct http *http;
	int asked, refuse_from; /* may_send says no from this time on, counted from 1; 0: never */
	int done;
	enum http_result result;
	int status;
	bool refused, oauth_1703, has_limit;
	int64_t retry_after_ms, sent_wall_ms, answered_wall_ms;
	struct err err;
	char body[65536];
	char limit[64];
	size_t body_len;
	bool close_inside, send_inside;
};

struct fixture {
	struct loop *loop;
	struct http *http;
	struct seen seen;
};

static void fixture_release(struct fixture *f)
{
	if (f->http)
		http_close(f->http);
	loop_free(f->loop);
}

static void fixture_init(struct fixture *f)
{
	struct http_options o = {
		.connect_timeout_ms = 2000, .timeout_ms = 5000, .max_connections = 8};
	struct err err;

	memset(f, 0, sizeof(*f));
	f->loop = loop_new();
	assert_int_equal(http_open(f->loop, &o, &f->http, &err), 0);
	f->seen.http = f->http;
}

static const char *url(const char *path)
{
	static char text[200];

	snprintf(text, sizeof(text), "http://127.0.0.1:%d%s", server_port, path);
	return text;
}

static bool on_may_send(void *arg)
{
	struct seen *s = arg;

	s->asked++;
	return s->refuse_from == 0 || s->asked < s->refuse_from;
}

static struct http_call *start(struct seen *s, const char *path);

static void on_done(void *arg, const struct http_answer *a)
{
	struct seen *s = arg;

	s->done++;
	s->result = a->result;
	s->status = a->status;
	s->refused = a->refused;
	s->oauth_1703 = a->oauth_1703;
	s->retry_after_ms = a->retry_after_ms;
	s->sent_wall_ms = a->sent_wall_ms;
	s->answered_wall_ms = a->answered_wall_ms;
	s->err = a->err;
	s->body_len = a->body.len;
	s->has_limit = a->limit_info.data != NULL;
	snprintf(s->limit, sizeof(s->limit), "%.*s", (int)a->limit_info.len,
		s->has_limit ? a->limit_info.data : "");
	snprintf(s->body, sizeof(s->body), "%.*s", (int)a->body.len,
		a->body.len ? a->body.data : "");
	if (s->send_inside) {
		s->send_inside = false;
		start(s, "/echo");
	}
	if (s->close_inside)
		http_close(s->http);
}

static struct http_request request(struct seen *s, const char *path)
{
	return (struct http_request){
		.method = "GET",
		.url = url(path),
		.plain = true,
		.max_answer_bytes = 60000,
		.may_send = on_may_send,
		.done = on_done,
		.arg = s,
	};
}

static struct http_call *start(struct seen *s, const char *path)
{
	struct http_request r = request(s, path);

	return http_send(s->http, &r);
}

static void wait_done(struct fixture *f, int times)
{
	int64_t until_ms = clock_age_ms() + 10000;

	while (f->seen.done < times && clock_age_ms() < until_ms)
		loop_turn(f->loop, 1000);
	assert_int_equal(f->seen.done, times);
}

static void get(struct fixture *f, const char *path)
{
	int before = f->seen.done;

	start(&f->seen, path);
	assert_int_equal(f->seen.done, before); /* never before it returns */
	wait_done(f, before + 1);
}

static void the_request_is_what_was_asked_for_and_nothing_else(void **state)
{
	freed_by(fixture_release) struct fixture f;
	const char *headers[] = {"Content-Type: application/json", "X-One: 1", NULL};
	struct http_request r;

	(void)state;
	fixture_init(&f);
	r = request(&f.seen, "/a/../echo?q=1");
	r.method = "PATCH";
	r.bearer = "secret-token";
	r.headers = headers;
	r.body = SLICE("{\"a\":1}");
	http_send(f.http, &r);
	assert_int_equal(http_in_flight(f.http), 1);
	wait_done(&f, 1);
	assert_int_equal(http_in_flight(f.http), 0);
	assert_int_equal(f.seen.result, HTTP_ANSWERED);
	assert_int_equal(f.seen.status, 200);
	assert_non_null(strstr(f.seen.body, "PATCH /a/../echo?q=1 HTTP/1.1\r\n"));
	assert_non_null(strstr(f.seen.body, "\r\nAuthorization: Bearer secret-token\r\n"));
	assert_non_null(strstr(f.seen.body, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(f.seen.body, "\r\nX-One: 1\r\n"));
	assert_non_null(strstr(f.seen.body, "\r\nContent-Length: 7\r\n"));
	assert_non_null(strstr(f.seen.body, "\r\nUser-Agent: onbehalf/"));
	assert_non_null(strstr(f.seen.body, "\r\n\r\n{\"a\":1}"));
	assert_null(strstr(f.seen.body, "Expect"));
	assert_null(strstr(f.seen.body, "Accept-Encoding"));
}

static void methods_without_a_body_are_sent_as_they_are(void **state)
{
	static const struct {
		const char *method, *start;
	} rows[] = {{"GET", "GET /echo "}, {"POST", "POST /echo "}, {"DELETE", "DELETE /echo "}};
	freed_by(fixture_release) struct fixture f;

	(void)state;
	fixture_init(&f);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct http_request r = request(&f.seen, "/echo");

		r.method = rows[i].method;
		http_send(f.http, &r);
		wait_done(&f, (int)i + 1);
		assert_memory_equal(f.seen.body, rows[i].start, strlen(rows[i].start));
		assert_null(strstr(f.seen.body, "Authorization")); /* nothing stays behind */
	}
}

static void a_large_body_goes_out_at_once(void **state)
{
	freed_by(fixture_release) struct fixture f;
	struct http_request r;
	static char body[60000];

	(void)state;
	memset(body, 'y', sizeof(body));
	fixture_init(&f);
	r = request(&f.seen, "/limit");
	r.method = "POST";
	r.body = (struct slice){body, sizeof(body)};
	http_send(f.http, &r);
	wait_done(&f, 1);
	assert_int_equal(f.seen.status, 200);
	assert_true(http_stats(f.http).bytes_out > sizeof(body));
}

static void headers_of_note_are_told(void **state)
{
	freed_by(fixture_release) struct fixture f;

	(void)state;
	fixture_init(&f);
	get(&f, "/limit");
	assert_string_equal(f.seen.limit, "api-usage=18/5000");
	assert_int_equal(f.seen.retry_after_ms, -1);
	assert_false(f.seen.oauth_1703);
	assert_true(f.seen.sent_wall_ms > 0);
	assert_true(f.seen.answered_wall_ms >= f.seen.sent_wall_ms);
	get(&f, "/1703");
	assert_true(f.seen.oauth_1703);
	assert_false(f.seen.has_limit);
	get(&f, "/encoded");
	assert_string_equal(f.seen.body, "x");
}

static void retry_after_is_seconds_or_a_date_by_the_clock_of_the_peer(void **state)
{
	static const struct {
		const char *path;
		int status;
		int64_t ms;
	} rows[] = {
		{"/seconds", 503, 7000},
		{"/date", 429, 90000},
		{"/past", 429, 0},
		{"/nonsense", 503, -1},
	};
	freed_by(fixture_release) struct fixture f;

	(void)state;
	fixture_init(&f);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		get(&f, rows[i].path);
		assert_int_equal(f.seen.status, rows[i].status);
		assert_int_equal(f.seen.retry_after_ms, rows[i].ms);
	}
}

static void what_came_before_the_last_status_line_counts_for_nothing(void **state)
{
	freed_by(fixture_release) struct fixture f;

	(void)state;
	fixture_init(&f);
	get(&f, "/continue");
	assert_int_equal(f.seen.status, 201);
	assert_int_equal(f.seen.retry_after_ms, -1);
	assert_false(f.seen.oauth_1703);
}

static void a_redirect_is_an_answer(void **state)
{
	freed_by(fixture_release) struct fixture f;

	(void)state;
	fixture_init(&f);
	get(&f, "/redirect");
	assert_int_equal(f.seen.result, HTTP_ANSWERED);
	assert_int_equal(f.seen.status, 302);
	assert_int_equal(http_stats(f.http).calls, 1);
}

static void connections_are_used_again(void **state)
{
	freed_by(fixture_release) struct fixture f;

	(void)state;
	fixture_init(&f);
	for (int i = 0; i < 5; i++)
		get(&f, "/echo");
	assert_int_equal(http_stats(f.http).calls, 5);
	assert_int_equal(http_stats(f.http).connections, 1);
	assert_int_equal(http_stats(f.http).handshakes, 0);
	assert_true(http_stats(f.http).bytes_in > 5 * 40);
}

static void many_calls_are_under_way_at_once(void **state)
{
	freed_by(fixture_release) struct fixture f;

	(void)state;
	fixture_init(&f);
	for (int i = 0; i < 20; i++)
		start(&f.seen, "/echo");
	assert_int_equal(http_in_flight(f.http), 20);
	wait_done(&f, 20);
	assert_int_equal(f.seen.asked, 20);
}

static void a_refused_call_sends_nothing(void **state)
{
	freed_by(fixture_release) struct fixture f;

	(void)state;
	fixture_init(&f);
	f.seen.refuse_from = 1;
	get(&f, "/echo");
	assert_int_equal(f.seen.result, HTTP_UNSENT);
	assert_true(f.seen.refused);
	assert_int_equal(f.seen.asked, 1);
	assert_int_equal(f.seen.status, 0);
	assert_int_equal(f.seen.sent_wall_ms, 0);
	assert_int_equal(http_stats(f.http).bytes_out, 0);
}

static void without_a_connection_nothing_was_sent(void **state)
{
	freed_by(fixture_release) struct fixture f;
	struct http_request r;
	char text[100];
	int port;

	(void)state;
	fixture_init(&f);
	close(listen_on_any(&port));
	snprintf(text, sizeof(text), "http://127.0.0.1:%d/", port);
	r = request(&f.seen, "/");
	r.url = text;
	http_send(f.http, &r);
	wait_done(&f, 1);
	assert_int_equal(f.seen.result, HTTP_UNSENT);
	assert_int_equal(f.seen.err.kind, ERR_TRANSIENT);
	assert_int_equal(f.seen.asked, 0);
}

static void a_connection_that_ends_without_an_answer_leaves_it_unknown(void **state)
{
	freed_by(fixture_release) struct fixture f;

	(void)state;
	fixture_init(&f);
	get(&f, "/drop");
	assert_int_equal(f.seen.result, HTTP_UNKNOWN);
	assert_int_equal(f.seen.err.kind, ERR_TRANSIENT);
	assert_false(f.seen.refused);
	assert_true(f.seen.sent_wall_ms > 0);
	assert_int_equal(f.seen.answered_wall_ms, 0);
	get(&f, "/half");
	assert_int_equal(f.seen.result, HTTP_UNKNOWN);
	assert_int_equal(f.seen.status, 0);
	assert_int_equal(f.seen.body_len, 0);
}

static void a_dead_connection_is_asked_about_again_and_a_refusal_leaves_it_unknown(void **state)
{
	freed_by(fixture_release) struct fixture f;

	(void)state;
	fixture_init(&f);
	get(&f, "/dies-next");
	f.seen.asked = 0;
	f.seen.refuse_from = 2;
	get(&f, "/echo");
	assert_int_equal(f.seen.asked, 2);
	assert_int_equal(f.seen.result, HTTP_UNKNOWN);
	assert_true(f.seen.refused);
}

static void a_dead_connection_is_replaced_when_it_may_send_again(void **state)
{
	freed_by(fixture_release) struct fixture f;

	(void)state;
	fixture_init(&f);
	get(&f, "/dies-next");
	f.seen.asked = 0;
	get(&f, "/echo");
	assert_int_equal(f.seen.asked, 2);
	assert_int_equal(f.seen.result, HTTP_ANSWERED);
	assert_int_equal(http_stats(f.http).connections, 2);
}

static void an_answer_of_the_limit_is_taken_and_one_byte_more_is_not(void **state)
{
	freed_by(fixture_release) struct fixture f;
	struct http_request r;

	(void)state;
	fixture_init(&f);
	r = request(&f.seen, "/big");
	r.max_answer_bytes = 50000;
	http_send(f.http, &r);
	wait_done(&f, 1);
	assert_int_equal(f.seen.result, HTTP_ANSWERED);
	assert_int_equal(f.seen.body_len, 50000);
	r.max_answer_bytes = 49999;
	http_send(f.http, &r);
	wait_done(&f, 2);
	assert_int_equal(f.seen.result, HTTP_UNKNOWN);
	assert_int_equal(f.seen.err.kind, ERR_REJECTED);
}

static void a_peer_that_says_nothing_is_given_up_in_time(void **state)
{
	freed_by(fixture_release) struct fixture f;
	struct http_request r;
	int64_t from_ms = clock_age_ms();

	(void)state;
	fixture_init(&f);
	r = request(&f.seen, "/hang");
	r.timeout_ms = 100;
	http_send(f.http, &r);
	wait_done(&f, 1);
	assert_int_equal(f.seen.result, HTTP_UNKNOWN);
	assert_true(clock_age_ms() - from_ms >= 100);
	assert_true(clock_age_ms() - from_ms < 4000);
}

static void what_must_not_be_sent_is_refused_without_a_connection(void **state)
{
	static const char *const broken[] = {"X: a\r\nInjected: 1", NULL};
	freed_by(fixture_release) struct fixture f;
	struct http_request rows[6];

	(void)state;
	fixture_init(&f);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		rows[i] = request(&f.seen, "/echo");
	rows[0].plain = false;
	rows[1].bearer = "token\r\nX-Evil: 1";
	rows[2].headers = broken;
	rows[3].url = "http://127.0.0.1/a\nb";
	rows[4].url = "file:///etc/passwd";
	rows[5].url = "http://";
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		f.seen.err.kind = ERR_NONE;
		http_send(f.http, &rows[i]);
		assert_int_equal(f.seen.done, i);
		wait_done(&f, (int)i + 1);
		assert_int_equal(f.seen.result, HTTP_UNSENT);
		assert_int_equal(f.seen.err.kind, ERR_REJECTED);
		assert_null(strstr(f.seen.err.text, "token"));
	}
	assert_int_equal(http_stats(f.http).connections, 0);
}

static void a_cancelled_call_is_never_heard_of_again(void **state)
{
	freed_by(fixture_release) struct fixture f;
	struct http_call *hanging, *failing;
	struct http_request r;

	(void)state;
	fixture_init(&f);
	hanging = start(&f.seen, "/hang");
	r = request(&f.seen, "/echo");
	r.bearer = "\n";
	failing = http_send(f.http, &r);
	http_cancel(failing);
	while (!f.seen.asked)
		loop_turn(f.loop, 1000);
	loop_turn(f.loop, 10);
	http_cancel(hanging);
	http_cancel(NULL);
	loop_turn(f.loop, 20);
	assert_int_equal(f.seen.done, 0);
	assert_int_equal(http_in_flight(f.http), 0);
	get(&f, "/echo");
	assert_int_equal(f.seen.status, 200);
}

static void closing_ends_what_is_open_without_a_word(void **state)
{
	freed_by(fixture_release) struct fixture f;
	struct http_request r;

	(void)state;
	fixture_init(&f);
	start(&f.seen, "/hang");
	r = request(&f.seen, "/echo");
	r.bearer = "\n";
	http_send(f.http, &r);
	loop_turn(f.loop, 0);
	start(&f.seen, "/echo");
	f.seen.done = 0;
	http_close(steal(&f.http));
	loop_turn(f.loop, 20);
	assert_int_equal(f.seen.done, 0);
}

static void a_call_may_be_started_and_everything_closed_from_inside_done(void **state)
{
	freed_by(fixture_release) struct fixture f;

	(void)state;
	fixture_init(&f);
	f.seen.send_inside = true;
	start(&f.seen, "/echo");
	wait_done(&f, 2);
	f.seen.close_inside = true;
	start(&f.seen, "/echo");
	start(&f.seen, "/echo");
	wait_done(&f, 3);
	f.http = NULL;
	loop_turn(f.loop, 20);
	assert_int_equal(f.seen.done, 3);
}

static void hosts_can_be_sent_elsewhere(void **state)
{
	struct http_options o = {.connect_timeout_ms = 2000, .timeout_ms = 5000};
	freed_by(fixture_release) struct fixture f;
	struct http_request r;
	struct err err;
	char to[200];

	(void)state;
	fixture_init(&f);
	http_close(steal(&f.http));
	snprintf(to, sizeof(to), "nowhere.invalid:80:127.0.0.1:1  org.example:80:127.0.0.1:%d",
		server_port);
	o.connect_to = to;
	assert_int_equal(http_open(f.loop, &o, &f.http, &err), 0);
	r = request(&f.seen, "/echo");
	r.url = "http://org.example/echo";
	http_send(f.http, &r);
	wait_done(&f, 1);
	assert_non_null(strstr(f.seen.body, "\r\nHost: org.example\r\n"));
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_request_is_what_was_asked_for_and_nothing_else),
		TEST(methods_without_a_body_are_sent_as_they_are),
		TEST(a_large_body_goes_out_at_once),
		TEST(headers_of_note_are_told),
		TEST(retry_after_is_seconds_or_a_date_by_the_clock_of_the_peer),
		TEST(what_came_before_the_last_status_line_counts_for_nothing),
		TEST(a_redirect_is_an_answer),
		TEST(connections_are_used_again),
		TEST(many_calls_are_under_way_at_once),
		TEST(a_refused_call_sends_nothing),
		TEST(without_a_connection_nothing_was_sent),
		TEST(a_connection_that_ends_without_an_answer_leaves_it_unknown),
		TEST(a_dead_connection_is_asked_about_again_and_a_refusal_leaves_it_unknown),
		TEST(a_dead_connection_is_replaced_when_it_may_send_again),
		TEST(an_answer_of_the_limit_is_taken_and_one_byte_more_is_not),
		TEST(a_peer_that_says_nothing_is_given_up_in_time),
		TEST(what_must_not_be_sent_is_refused_without_a_connection),
		TEST(a_cancelled_call_is_never_heard_of_again),
		TEST(closing_ends_what_is_open_without_a_word),
		TEST(a_call_may_be_started_and_everything_closed_from_inside_done),
		TEST(hosts_can_be_sent_elsewhere),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
