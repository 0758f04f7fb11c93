/*
 * Key files and seals: the lines up to "%" are a key file, what follows is opened as a seal and
 * sealed as a text.
 */
#include "tests/fuzz/fuzz.h"

#include "common/buf.h"

#define ID_BYTES FUZZ_UPPER FUZZ_LOWER FUZZ_DIGITS "_.-"
#define HEX FUZZ_DIGITS "abcdefABCDEF"

static void check_err(const struct err *err)
{
	size_t run = 0;

	assert(err->kind != ERR_NONE && memchr(err->text, '\0', sizeof(err->text)));
	for (const char *at = err->text; *at; at++) {
		assert(*at >= ' ' && *at < 0x7f);
		run = strchr(HEX, *at) ? run + 1 : 0;
		assert(run <= SECRET_KEY_ID_MAX); /* no half of a key is told */
	}
}

static void check_rejected(const struct secret_ring *ring, struct slice sealed, struct slice bound)
{
	freed_by(buf_release) struct buf out = {0};
	struct err err = {0};

	buf_add_text(&out, "kept");
	assert(secret_open(ring, sealed, bound, &out, &err) == -1);
	assert(err.kind == ERR_REJECTED);
	check_err(&err);
	assert(out.len == 4 && !memcmp(out.data, "kept", 5));
}

/* What was sealed opens, and nothing else does. */
static void check_seal(const struct secret_ring *ring, struct slice plain)
{
	freed_by(buf_release) struct buf sealed = {0}, out = {0};
	struct slice bound = {plain.data, plain.len / 2};
	size_t at = plain.len ? (unsigned char)plain.data[0] : 0, cut;
	char bit = (char)(1 << (at % 8));
	struct err err;

	secret_seal(ring, plain, bound, &sealed);
	assert(!secret_open(ring, buf_slice(&sealed), bound, &out, &err));
	assert(out.len == plain.len && (!out.len || !memcmp(out.data, plain.data, out.len)));
	if (plain.len > 8)
		assert(!memmem(sealed.data, sealed.len, plain.data, plain.len));

	at %= sealed.len;
	sealed.data[at] = (char)(sealed.data[at] ^ bit);
	check_rejected(ring, buf_slice(&sealed), bound);
	sealed.data[at] = (char)(sealed.data[at] ^ bit);
	cut = at;
	check_rejected(ring, (struct slice){sealed.data, cut}, bound);
	check_rejected(ring, buf_slice(&sealed), SLICE("another row"));
	buf_add_char(&sealed, 'x');
	check_rejected(ring, buf_slice(&sealed), bound);
}

static struct slice take_keys(struct slice *rest)
{
	struct slice keys = {rest->data, 0};

	while (rest->len) {
		struct slice line = fuzz_line(rest);

		if (line.len == 1 && line.data[0] == '%')
			break;
		keys.len = (size_t)(rest->data - keys.data);
	}
	return keys;
}

static void check_ring(const struct secret_ring *ring, struct slice keys)
{
	unsigned char print[16], digest[SECRET_DIGEST_BYTES], again[SECRET_DIGEST_BYTES];
	const char *id = secret_ring_active(ring);
	size_t len = strlen(id);
	bool known;

	assert(len && len <= SECRET_KEY_ID_MAX && fuzz_is_of((struct slice){id, len}, ID_BYTES));
	assert(memmem(keys.data, keys.len, id, len));
	known = secret_ring_fingerprint(ring, id, print) &&
	        secret_digest(ring, SECRET_DIGEST, NULL, &keys, 1, digest) &&
	        secret_digest(ring, SECRET_DIGEST, id, &keys, 1, again);
	assert(known && secret_equal(digest, again, sizeof(digest)));
	assert(!secret_ring_fingerprint(ring, "no such key", print));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct secret_ring *ours = fuzz_ring();
	freed_by(secret_ring_freep) struct secret_ring *ring = NULL;
	struct slice rest = {(const char *)data, size}, keys = take_keys(&rest);
	freed_by(fuzz_freep) char *copy = fuzz_copy(rest);
	struct slice tail = {copy, rest.len};
	struct err err = {0};

	if (secret_ring_open(fuzz_file(keys), &ring, &err) < 0) {
		assert(!ring && err.kind == ERR_FATAL);
		check_err(&err);
	} else {
		check_ring(ring, keys);
		check_rejected(ring, tail, SLICE("row"));
	}
	check_rejected(ours, tail, SLICE("row"));
	check_seal(ring ? ring : ours, tail);
	return 0;
}
