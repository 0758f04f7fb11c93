#include "common/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define K1 "k1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
#define K2 "k2 a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf\n"
#define HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static char path[] = "/tmp/onbehalf-secret-XXXXXX";

static int make_file(void **state)
{
	struct err err = {0};
	int fd = mkstemp(path);

	(void)state;
	close(fd);
	return fd < 0 ? -1 : secret_start(&err);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

static void write_bytes(const char *bytes, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	fclose(f);
}

static struct secret_ring *open_ring(const char *text)
{
	struct secret_ring *ring = NULL;
	struct err err = {0};

	write_bytes(text, strlen(text));
	if (secret_ring_open(path, &ring, &err) < 0)
		fail_msg("%s", err.text);
	return ring;
}

static void free_textp(char **text)
{
	secret_text_free(*text);
}

static void assert_hex(const unsigned char *bytes, size_t len, const char *hex)
{
	freed_by(buf_release) struct buf b = {0};

	buf_add_hex(&b, bytes, len);
	assert_string_equal(b.data, hex);
}

static size_t from_hex(const char *hex, char *ret)
{
	size_t len = 0;

	for (; *hex; hex += 2)
		ret[len++] = (char)strtol((char[]){hex[0], hex[1], 0}, NULL, 16);
	return len;
}

/* ---- files ---- */

static void a_secret_file_loses_its_one_trailing_newline(void **state)
{
	static const struct {
		const char *bytes, *text;
	} rows[] = {{"sk_1", "sk_1"}, {"sk_1\n", "sk_1"}, {"sk_1\r\n", "sk_1"},
		{" sk 1 \n\n", " sk 1 \n"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		freed_by(free_textp) char *text = NULL;
		struct err err = {0};

		write_bytes(rows[i].bytes, strlen(rows[i].bytes));
		assert_int_equal(secret_read_file(path, &text, &err), 0);
		assert_string_equal(text, rows[i].text);
	}
	secret_text_free(NULL);
}

static void assert_no_secret(const char *file, int code, const char *why)
{
	struct err err = {0};
	char *text = NULL;

	assert_int_equal(secret_read_file(file, &text, &err), -1);
	assert_null(text);
	assert_int_equal(err.kind, ERR_FATAL);
	assert_int_equal(err.code, code);
	if (!strstr(err.text, why) || !strstr(err.text, file))
		fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static void a_file_that_is_no_secret_is_refused(void **state)
{
	(void)state;
	assert_no_secret("/nonexistent/key", ENOENT, "No such file");
	assert_no_secret("/tmp", EISDIR, "directory");
	write_bytes("", 0);
	assert_no_secret(path, 0, "empty");
	write_bytes("\n", 1);
	assert_no_secret(path, 0, "empty");
	write_bytes("a\0b", 3);
	assert_no_secret(path, 0, "NUL");
}

static void a_secret_file_has_at_most_64_kib(void **state)
{
	freed_by(free_textp) char *text = NULL;
	static char bytes[64 * 1024 + 1];
	struct err err = {0};

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	write_bytes(bytes, sizeof(bytes) - 1);
	assert_int_equal(secret_read_file(path, &text, &err), 0);
	assert_int_equal(strlen(text), sizeof(bytes) - 1);
	write_bytes(bytes, sizeof(bytes));
	assert_no_secret(path, 0, "more than 65536 bytes");
}

/* ---- the ring ---- */

static void the_first_key_is_the_active_one(void **state)
{
	freed_by(secret_ring_freep) struct secret_ring *ring =
		open_ring("# keys\n\n \t" K2 "\r\nk1\t \t" HEX "  \r\n");

	(void)state;
	assert_string_equal(secret_ring_active(ring), "k2");
	secret_ring_free(NULL);
}

static void a_malformed_key_file_is_refused_with_its_line_and_without_its_content(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"# nothing\n", ": no key"},
		{K1 "k1 " HEX "\n", ":2: a key id that stood before"},
		{K1 "k2\n", ":2: a key has 64"},
		{"k1 " HEX "0\n", ":1: a key has 64"},
		{"k1 0" HEX "\n", ":1: a key has 64"},
		{"k1 x" HEX "\n", ":1: a key has 64"},
		{"\nk1 g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", ":2: "},
		{"k1 00010203 405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n", ":1: "},
		{"k1 " HEX " more\n", ":1: "},
		{"k:1 " HEX "\n", ":1: a key id has"},
		{"k\xc3\xbc " HEX "\n", ":1: a key id has"},
		{HEX "\n", ":1: a key id has"},
		{"a23456789012345678901234567890123 " HEX "\n", ":1: a key id has"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct secret_ring *ring = NULL;
		struct err err = {0};

		write_bytes(rows[i].text, strlen(rows[i].text));
		assert_int_equal(secret_ring_open(path, &ring, &err), -1);
		assert_null(ring);
		assert_int_equal(err.kind, ERR_FATAL);
		if (!strstr(err.text, rows[i].why))
			fail_msg("\"%s\" does not say \"%s\"", err.text, rows[i].why);
		assert_null(strstr(err.text, "0102030405"));
	}
}

static void the_longest_key_id_fits(void **state)
{
	freed_by(secret_ring_freep) struct secret_ring *ring =
		open_ring("A-z_0.6789012345678901234567890a " HEX);

	(void)state;
	assert_string_equal(secret_ring_active(ring), "A-z_0.6789012345678901234567890a");
}

/* The expected bytes were computed with Python's hashlib. */
static void a_fingerprint_tells_keys_and_not_names(void **state)
{
	freed_by(secret_ring_freep) struct secret_ring *ring = open_ring(K1 K2 "other " HEX "\n");
	unsigned char first[16], second[16], other[16], none[16] = {9};

	(void)state;
	assert_true(secret_ring_fingerprint(ring, "k1", first));
	assert_true(secret_ring_fingerprint(ring, "k2", second));
	assert_true(secret_ring_fingerprint(ring, "other", other));
	assert_false(secret_ring_fingerprint(ring, "k", none));
	assert_false(secret_ring_fingerprint(ring, "k11", none));
	assert_int_equal(none[0], 9);
	assert_hex(first, 16, "1c0fc0350a889191ae39a0883aa87159");
	assert_memory_equal(first, other, 16);
	assert_memory_not_equal(first, second, 16);
}

/* ---- digests ---- */

static void digests_are_as_another_program_computes_them(void **state)
{
	freed_by(secret_ring_freep) struct secret_ring *ring = open_ring(K1 K2);
	const struct slice parts[] = {SLICE("a"), SLICE("bc")};
	unsigned char d[SECRET_DIGEST_BYTES];

	(void)state;
	assert_true(secret_digest(ring, SECRET_DIGEST, NULL, parts, 2, d));
	assert_hex(d, 32, "62fe6ef54723db8f544c3a9dafba3a4d0b151bcb1052bb6750e6eca8782480ba");
	assert_true(secret_digest(ring, SECRET_DIGEST, "k1", parts, 2, d));
	assert_hex(d, 32, "62fe6ef54723db8f544c3a9dafba3a4d0b151bcb1052bb6750e6eca8782480ba");
	assert_true(secret_digest(ring, SECRET_MAC, "k1", parts, 2, d));
	assert_hex(d, 32, "ed2054bcb7327425223ce9e8c9f8c2b2d5d1ce05fddf4c38208e61f4ecfde6d8");
	assert_true(secret_digest(ring, SECRET_DIGEST, "k2", parts, 2, d));
	assert_hex(d, 32, "00831dd32800fcbef2e03c46a49cf4ec2cd63e2d38dc1ed2f47558b7fd0663c7");
	secret_sha256_parts(parts, 2, d);
	assert_hex(d, 32, "3fafa1cf2f19a7c1129beb20cf0983f73a489a221fc0dd2f16d1be292d089205");
	secret_sha256("abc", 3, d);
	assert_hex(d, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void moving_a_byte_between_parts_changes_the_digest(void **state)
{
	freed_by(secret_ring_freep) struct secret_ring *ring = open_ring(K1);
	const struct slice a[] = {SLICE("a"), SLICE("bc")}, b[] = {SLICE("ab"), SLICE("c")},
			   c[] = {SLICE("abc")}, d[] = {SLICE("abc"), SLICE("")};
	unsigned char da[32], db[32], dc[32], dd[32];

	(void)state;
	assert_true(secret_digest(ring, SECRET_DIGEST, NULL, a, 2, da));
	assert_true(secret_digest(ring, SECRET_DIGEST, NULL, b, 2, db));
	assert_true(secret_digest(ring, SECRET_DIGEST, NULL, c, 1, dc));
	assert_true(secret_digest(ring, SECRET_DIGEST, NULL, d, 2, dd));
	assert_false(secret_equal(da, db, 32));
	assert_false(secret_equal(db, dc, 32));
	assert_false(secret_equal(dc, dd, 32));
	secret_sha256_parts(a, 2, da);
	secret_sha256_parts(b, 2, db);
	assert_false(secret_equal(da, db, 32));
}

static void without_the_key_there_is_no_digest(void **state)
{
	freed_by(secret_ring_freep) struct secret_ring *ring = open_ring(K1);
	unsigned char d[32] = {9};

	(void)state;
	assert_false(secret_digest(ring, SECRET_MAC, "k2", NULL, 0, d));
	assert_int_equal(d[0], 9);
}

static void the_sealing_key_makes_no_digests(void **state)
{
	freed_by(secret_ring_freep) struct secret_ring *ring = open_ring(K1);
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		unsigned char d[32];

		signal(SIGABRT, SIG_DFL);
		setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
		close(STDERR_FILENO);
		(void)!secret_digest(ring, SECRET_SEAL, NULL, NULL, 0, d);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* ---- seals ---- */

static void a_seal_of_another_program_opens(void **state)
{
	freed_by(secret_ring_freep) struct secret_ring *ring = open_ring(K2 K1);
	freed_by(buf_release) struct buf plain = {0};
	struct err err = {0};
	char sealed[128];
	size_t len = from_hex("01026b316465666768696a6b6c6d6e6f707172737475767778797a7b"
			      "88252b9a7736a2a7f70b054abed92f2a9181de020c15e3b350876f8a07",
		sealed);

	(void)state;
	buf_add_text(&plain, "before ");
	assert_int_equal(
		secret_open(ring, (struct slice){sealed, len}, SLICE("connection 7"), &plain, &err),
		0);
	assert_string_equal(plain.data, "before refresh token");
}

static void what_is_sealed_opens_again_and_never_looks_the_same(void **state)
{
	freed_by(secret_ring_freep) struct secret_ring *ring = open_ring(K1 K2);
	freed_by(buf_release) struct buf first = {0}, second = {0}, plain = {0}, empty = {0};
	struct err err = {0};

	(void)state;
	secret_seal(ring, SLICE("token"), SLICE("bound"), &first);
	secret_seal(ring, SLICE("token"), SLICE("bound"), &second);
	assert_int_equal(first.len, 2 + 2 + 24 + 5 + 16);
	assert_memory_equal(first.data, "\1\2k1", 4);
	assert_memory_not_equal(first.data, second.data, first.len);
	for (size_t i = 0; i + 5 <= first.len; i++)
		assert_memory_not_equal(first.data + i, "token", 5);
	assert_int_equal(secret_open(ring, buf_slice(&first), SLICE("bound"), &plain, &err), 0);
	assert_int_equal(secret_open(ring, buf_slice(&second), SLICE("bound"), &plain, &err), 0);
	assert_string_equal(plain.data, "tokentoken");
	secret_seal(ring, (struct slice){0}, (struct slice){0}, &empty);
	assert_int_equal(secret_open(ring, buf_slice(&empty), SLICE(""), &plain, &err), 0);
	assert_int_equal(plain.len, 10);
}

static void assert_sealed_shut(
	const struct secret_ring *ring, struct slice sealed, struct slice bound, const char *why)
{
	freed_by(buf_release) struct buf plain = {0};
	struct err err = {0};

	buf_add_text(&plain, "kept");
	assert_int_equal(secret_open(ring, sealed, bound, &plain, &err), -1);
	assert_int_equal(err.kind, ERR_REJECTED);
	assert_string_equal(plain.data, "kept");
	assert_int_equal(plain.len, 4);
	if (!strstr(err.text, why))
		fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static void every_changed_or_missing_byte_keeps_the_seal_shut(void **state)
{
	freed_by(secret_ring_freep) struct secret_ring *ring = open_ring(K1 "k3 " HEX);
	freed_by(buf_release) struct buf sealed = {0};

	(void)state;
	secret_seal(ring, SLICE("token"), SLICE("bound"), &sealed);
	for (size_t i = 0; i < sealed.len; i++) {
		for (int bit = 0; bit < 8; bit++) {
			sealed.data[i] = (char)(sealed.data[i] ^ 1 << bit);
			assert_sealed_shut(ring, buf_slice(&sealed), SLICE("bound"), "seal");
			sealed.data[i] = (char)(sealed.data[i] ^ 1 << bit);
		}
		assert_sealed_shut(ring, (struct slice){sealed.data, i}, SLICE("bound"), "seal");
	}
	buf_add_char(&sealed, 'x');
	assert_sealed_shut(ring, buf_slice(&sealed), SLICE("bound"), "does not fit");
}

static void a_seal_opens_only_with_its_key_and_what_it_is_bound_to(void **state)
{
	freed_by(secret_ring_freep) struct secret_ring *ring = open_ring(K1);
	freed_by(secret_ring_freep) struct secret_ring *other = NULL, *renamed = NULL;
	freed_by(buf_release) struct buf sealed = {0};

	(void)state;
	secret_seal(ring, SLICE("token"), SLICE("bound"), &sealed);
	assert_sealed_shut(ring, buf_slice(&sealed), SLICE("bounds"), "does not fit");
	assert_sealed_shut(ring, buf_slice(&sealed), SLICE(""), "does not fit");
	other = open_ring(K2);
	assert_sealed_shut(other, buf_slice(&sealed), SLICE("bound"), "key k1");
	renamed = open_ring("k1 ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
	assert_sealed_shut(renamed, buf_slice(&sealed), SLICE("bound"), "does not fit");
}

/* The same master key under another id: the id is authenticated. */
static void a_seal_does_not_move_to_another_key_id(void **state)
{
	freed_by(secret_ring_freep) struct secret_ring *ring = open_ring(K1 "k9 " HEX);
	freed_by(buf_release) struct buf sealed = {0};

	(void)state;
	secret_seal(ring, SLICE("token"), SLICE("bound"), &sealed);
	sealed.data[3] = '9';
	assert_sealed_shut(ring, buf_slice(&sealed), SLICE("bound"), "does not fit");
}

static void odd_sealed_bytes_are_refused(void **state)
{
	freed_by(secret_ring_freep) struct secret_ring *ring = open_ring(K1);
	char odd[300] = {1};

	(void)state;
	assert_sealed_shut(ring, (struct slice){0}, SLICE(""), "version");
	assert_sealed_shut(ring, (struct slice){odd, sizeof(odd)}, SLICE(""), "cut short");
	odd[1] = 2;
	odd[2] = '\n';
	assert_sealed_shut(ring, (struct slice){odd, sizeof(odd)}, SLICE(""), "no proper id");
	odd[1] = (char)255;
	assert_sealed_shut(ring, (struct slice){odd, sizeof(odd)}, SLICE(""), "cut short");
	odd[0] = 2;
	assert_sealed_shut(ring, (struct slice){odd, sizeof(odd)}, SLICE(""), "version");
}

static void small_helpers_do_what_they_say(void **state)
{
	char a[64] = "same", b[64] = "same", zero[64] = {0};

	(void)state;
	assert_true(secret_equal(a, b, 64));
	secret_random(a, sizeof(a));
	secret_random(b, sizeof(b));
	assert_false(secret_equal(a, b, 64));
	secret_zero(a, sizeof(a));
	assert_memory_equal(a, zero, 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_secret_file_loses_its_one_trailing_newline),
		cmocka_unit_test(a_file_that_is_no_secret_is_refused),
		cmocka_unit_test(a_secret_file_has_at_most_64_kib),
		cmocka_unit_test(the_first_key_is_the_active_one),
		cmocka_unit_test(
			a_malformed_key_file_is_refused_with_its_line_and_without_its_content),
		cmocka_unit_test(the_longest_key_id_fits),
		cmocka_unit_test(a_fingerprint_tells_keys_and_not_names),
		cmocka_unit_test(digests_are_as_another_program_computes_them),
		cmocka_unit_test(moving_a_byte_between_parts_changes_the_digest),
		cmocka_unit_test(without_the_key_there_is_no_digest),
		cmocka_unit_test(the_sealing_key_makes_no_digests),
		cmocka_unit_test(a_seal_of_another_program_opens),
		cmocka_unit_test(what_is_sealed_opens_again_and_never_looks_the_same),
		cmocka_unit_test(every_changed_or_missing_byte_keeps_the_seal_shut),
		cmocka_unit_test(a_seal_opens_only_with_its_key_and_what_it_is_bound_to),
		cmocka_unit_test(a_seal_does_not_move_to_another_key_id),
		cmocka_unit_test(odd_sealed_bytes_are_refused),
		cmocka_unit_test(small_helpers_do_what_they_say),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
