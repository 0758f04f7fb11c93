/*
 * tests/sandbox/server.h - HTTP: the one file that knows libmicrohttpd.
 */
#pragma once

#include <netinet/in.h>

#include "world.h"

struct timer;
struct server; /* opaque */

struct server_options {
	struct sockaddr_in address; /* port 0: any */
	const char *certificate;    /* PEM text; NULL: plain HTTP */
	const char *key;            /* PEM text */
	unsigned int threads;
};

/** Starts listening; borrows all it is given.  NULL when it cannot. */
struct server *server_new(
	const struct server_options *options, struct world *world, struct timer *timer);
/** The timer has to be stopped: no request may be waiting. */
void server_free(struct server *server);
/** The port it listens at. */
uint16_t server_port(const struct server *server);
/**
 * Starts taking requests up.  Until then (the port is needed to make the world)
 * they are answered 503.
 */
void server_open(struct server *server);
