#include "common/secret.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"

#define FILE_MAX ((size_t)64 * 1024)
#define KEY_HEX ((size_t)2 * crypto_kdf_KEYBYTES)
#define KDF_CONTEXT "onbehalf"
#define FINGERPRINT_SUBKEY (SECRET_MAC + 1) /* behind the purposes, so that none shares it */
#define FINGERPRINT_LABEL "onbehalf.fingerprint.1"
#define SEAL_LABEL "onbehalf.seal.1"
#define SEAL_VERSION 1
#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_BYTES crypto_aead_xchacha20poly1305_ietf_ABYTES

_Static_assert(sizeof(KDF_CONTEXT) - 1 == crypto_kdf_CONTEXTBYTES, "the context fills its field");
_Static_assert(SECRET_DIGEST_BYTES == crypto_generichash_BYTES, "a digest is a BLAKE2b-256");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == SECRET_DIGEST_BYTES,
	"sub-keys have one size");

struct secret_key {
	char id[SECRET_KEY_ID_MAX + 1];
	/* by purpose; [0] is unused */
	unsigned char sub[FINGERPRINT_SUBKEY + 1][SECRET_DIGEST_BYTES];
};

struct secret_ring {
	struct secret_key *keys; /* sodium_malloc(), read only once filled */
	size_t count;
};

static void *guarded(size_t size)
{
	void *p = sodium_malloc(size);

	if (!p)
		abort();
	return p;
}

int secret_start(struct err *err)
{
	if (sodium_init() < 0)
		return err_set(err, ERR_FATAL, 0, "libsodium cannot start");
	return 0;
}

void secret_zero(void *data, size_t len)
{
	sodium_memzero(data, len);
}

void secret_random(void *data, size_t len)
{
	randombytes_buf(data, len);
}

/* ---- files ---- */

static void close_fdp(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Reads at most @room bytes; -1 with errno. */
static ssize_t read_all(int fd, char *data, size_t room)
{
	size_t len = 0;

	while (len < room) {
		ssize_t got = read(fd, data + len, room - len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		len += (size_t)got;
	}
	return (ssize_t)len;
}

static void free_textp(char **text)
{
	secret_text_free(*text);
}

int secret_read_file(const char *path, char **ret, struct err *err)
{
	freed_by(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	freed_by(free_textp) char *bytes = NULL;
	ssize_t got;
	size_t len;
	char *text;

	if (fd < 0)
		return err_set(err, ERR_FATAL, errno, "%s: %s", path, strerror(errno));
	bytes = guarded(FILE_MAX + 1);
	got = read_all(fd, bytes, FILE_MAX + 1);
	if (got < 0)
		return err_set(err, ERR_FATAL, errno, "%s: %s", path, strerror(errno));
	len = (size_t)got;
	if (len > FILE_MAX)
		return err_set(err, ERR_FATAL, 0, "%s: more than %zu bytes", path, FILE_MAX);
	if (memchr(bytes, '\0', len))
		return err_set(err, ERR_FATAL, 0, "%s: a NUL byte inside", path);
	len -= len && bytes[len - 1] == '\n';
	len -= len && bytes[len - 1] == '\r';
	if (!len)
		return err_set(err, ERR_FATAL, 0, "%s: empty", path);

	text = guarded(len + 1);
	memcpy(text, bytes, len);
	text[len] = '\0';
	*ret = text;
	return 0;
}

void secret_text_free(char *text)
{
	sodium_free(text); /* zeroes */
}

/* ---- the ring ---- */

static bool id_fits(const char *id, size_t len)
{
	if (!len || len > SECRET_KEY_ID_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!id[i] || !strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_.-",
				      id[i]))
			return false;
	return true;
}

static const struct secret_key *find(const struct secret_ring *ring, const char *id, size_t len)
{
	for (size_t i = 0; i < ring->count; i++)
		if (strlen(ring->keys[i].id) == len && memcmp(ring->keys[i].id, id, len) == 0)
			return &ring->keys[i];
	return NULL;
}

static void derive(struct secret_key *key, const unsigned char *master)
{
	for (unsigned i = SECRET_DIGEST; i <= FINGERPRINT_SUBKEY; i++)
		crypto_kdf_derive_from_key(
			key->sub[i], sizeof(key->sub[i]), i, KDF_CONTEXT, master);
}

/* What is wrong with a line of the file; NULL: the ring has one key more. */
static const char *add_key(struct secret_ring *ring, const char *line, size_t len)
{
	unsigned char *master;
	size_t id_len = 0, start, hex_len, bin_len;
	int rc;

	while (id_len < len && line[id_len] != ' ' && line[id_len] != '\t')
		id_len++;
	if (!id_fits(line, id_len))
		return "a key id has 1 to 32 of A-Z a-z 0-9 _ . -";
	if (find(ring, line, id_len))
		return "a key id that stood before";
	start = id_len + strspn(line + id_len, " \t");
	hex_len = len - start;
	if (hex_len != KEY_HEX)
		return "a key has 64 hex digits";

	master = guarded(crypto_kdf_KEYBYTES);
	rc = sodium_hex2bin(
		master, crypto_kdf_KEYBYTES, line + start, hex_len, NULL, &bin_len, NULL);
	if (rc == 0 && bin_len == crypto_kdf_KEYBYTES) {
		memcpy(ring->keys[ring->count].id, line, id_len);
		derive(&ring->keys[ring->count++], master);
	}
	sodium_free(master);
	return rc == 0 && bin_len == crypto_kdf_KEYBYTES ? NULL : "a key has 64 hex digits";
}

static size_t count_lines(const char *text)
{
	size_t lines = 1;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

static int fill(struct secret_ring *ring, const char *path, const char *text, struct err *err)
{
	int number = 1;

	for (const char *line = text;; number++) {
		const char *end = line + strcspn(line, "\n");
		const char *start = line + strspn(line, " \t\r"), *last = end, *fault;

		while (last > start && strchr(" \t\r", last[-1]))
			last--;
		if (start < last && *start != '#') {
			fault = add_key(ring, start, (size_t)(last - start));
			if (fault)
				return err_set(err, ERR_FATAL, 0, "%s:%d: %s", path, number, fault);
		}
		if (!*end)
			break;
		line = end + 1;
	}
	if (!ring->count)
		return err_set(err, ERR_FATAL, 0, "%s: no key", path);
	return 0;
}

int secret_ring_open(const char *path, struct secret_ring **ret, struct err *err)
{
	freed_by(secret_ring_freep) struct secret_ring *ring = mem_new(sizeof(*ring));
	freed_by(free_textp) char *text = NULL;
	size_t size;

	if (secret_read_file(path, &text, err) < 0)
		return -1;
	assert(text);
	size = count_lines(text) * sizeof(*ring->keys);
	ring->keys = guarded(size);
	sodium_memzero(ring->keys, size);
	if (fill(ring, path, text, err) < 0)
		return -1;
	sodium_mprotect_readonly(ring->keys);
	*ret = steal(&ring);
	return 0;
}

void secret_ring_free(struct secret_ring *ring)
{
	if (!ring)
		return;
	sodium_free(ring->keys);
	free(ring);
}

const char *secret_ring_active(const struct secret_ring *ring)
{
	return ring->keys[0].id;
}

bool secret_ring_fingerprint(
	const struct secret_ring *ring, const char *key_id, unsigned char ret[16])
{
	const struct secret_key *key = find(ring, key_id, strlen(key_id));
	unsigned char digest[SECRET_DIGEST_BYTES];

	if (!key)
		return false;
	crypto_generichash(digest, sizeof(digest), (const unsigned char *)FINGERPRINT_LABEL,
		sizeof(FINGERPRINT_LABEL) - 1, key->sub[FINGERPRINT_SUBKEY], sizeof(key->sub[0]));
	memcpy(ret, digest, 16);
	return true;
}

/* ---- digests ---- */

static void length_prefix(size_t len, unsigned char ret[8])
{
	for (unsigned i = 0; i < 8; i++)
		ret[i] = (unsigned char)((uint64_t)len >> (56 - 8 * i));
}

bool secret_digest(const struct secret_ring *ring, enum secret_purpose purpose, const char *key_id,
	const struct slice *parts, size_t count, unsigned char ret[SECRET_DIGEST_BYTES])
{
	const struct secret_key *key = key_id ? find(ring, key_id, strlen(key_id)) : &ring->keys[0];
	crypto_generichash_state state;
	unsigned char prefix[8];

	assert(purpose == SECRET_DIGEST || purpose == SECRET_MAC); /* sealing has its key alone */
	if (!key)
		return false;
	crypto_generichash_init(
		&state, key->sub[purpose], sizeof(key->sub[purpose]), SECRET_DIGEST_BYTES);
	for (size_t i = 0; i < count; i++) {
		length_prefix(parts[i].len, prefix);
		crypto_generichash_update(&state, prefix, sizeof(prefix));
		crypto_generichash_update(
			&state, (const unsigned char *)parts[i].data, parts[i].len);
	}
	crypto_generichash_final(&state, ret, SECRET_DIGEST_BYTES);
	sodium_memzero(&state, sizeof(state));
	return true;
}

bool secret_equal(const void *a, const void *b, size_t len)
{
	return sodium_memcmp(a, b, len) == 0;
}

void secret_sha256_parts(const struct slice *parts, size_t count, unsigned char ret[32])
{
	crypto_hash_sha256_state state;
	unsigned char prefix[8];

	crypto_hash_sha256_init(&state);
	for (size_t i = 0; i < count; i++) {
		length_prefix(parts[i].len, prefix);
		crypto_hash_sha256_update(&state, prefix, sizeof(prefix));
		crypto_hash_sha256_update(
			&state, (const unsigned char *)parts[i].data, parts[i].len);
	}
	crypto_hash_sha256_final(&state, ret);
}

void secret_sha256(const void *data, size_t len, unsigned char ret[32])
{
	crypto_hash_sha256(ret, data, len);
}

/* ---- seals: version, length of the key id, key id, nonce, ciphertext with its tag ---- */

static void add_part(struct buf *b, struct slice part)
{
	buf_add_be64(b, part.len);
	buf_add(b, part.data, part.len);
}

static void associate(struct buf *b, const struct secret_key *key, struct slice bound)
{
	add_part(b, SLICE(SEAL_LABEL));
	add_part(b, (struct slice){key->id, strlen(key->id)});
	add_part(b, bound);
}

void secret_seal(
	const struct secret_ring *ring, struct slice plain, struct slice bound, struct buf *out)
{
	const struct secret_key *key = &ring->keys[0];
	freed_by(buf_release) struct buf bound_too = {0};
	unsigned char nonce[NONCE_BYTES];
	unsigned long long added;
	size_t id_len = strlen(key->id);

	associate(&bound_too, key, bound);
	randombytes_buf(nonce, sizeof(nonce));
	buf_reserve(out, 2 + id_len + sizeof(nonce) + plain.len + TAG_BYTES);
	buf_add_char(out, SEAL_VERSION);
	buf_add_char(out, (char)id_len);
	buf_add(out, key->id, id_len);
	buf_add(out, nonce, sizeof(nonce));
	crypto_aead_xchacha20poly1305_ietf_encrypt((unsigned char *)out->data + out->len, &added,
		(const unsigned char *)plain.data, plain.len, (const unsigned char *)bound_too.data,
		bound_too.len, NULL, nonce, key->sub[SECRET_SEAL]);
	out->len += (size_t)added;
	out->data[out->len] = '\0';
}

int secret_open(const struct secret_ring *ring, struct slice sealed, struct slice bound,
	struct buf *out, struct err *err)
{
	freed_by(buf_release) struct buf bound_too = {0};
	const unsigned char *at = (const unsigned char *)sealed.data;
	const struct secret_key *key;
	unsigned long long added;
	size_t id_len, head;

	if (sealed.len < 2 || at[0] != SEAL_VERSION)
		return err_set(err, ERR_REJECTED, 0, "the seal is of no known version");
	id_len = at[1];
	head = 2 + id_len + NONCE_BYTES;
	if (!id_len || id_len > SECRET_KEY_ID_MAX || sealed.len < head + TAG_BYTES)
		return err_set(err, ERR_REJECTED, 0, "the sealed bytes are cut short");
	key = find(ring, sealed.data + 2, id_len);
	if (!key && id_fits(sealed.data + 2, id_len))
		return err_set(err, ERR_REJECTED, 0,
			"sealed with key %.*s, which is not in the ring", (int)id_len,
			sealed.data + 2);
	if (!key)
		return err_set(err, ERR_REJECTED, 0, "sealed with a key that has no proper id");

	associate(&bound_too, key, bound);
	buf_reserve(out, sealed.len - head - TAG_BYTES);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt((unsigned char *)out->data + out->len,
		    &added, NULL, at + head, sealed.len - head,
		    (const unsigned char *)bound_too.data, bound_too.len, at + 2 + id_len,
		    key->sub[SECRET_SEAL]) != 0) {
		out->data[out->len] = '\0';
		return err_set(err, ERR_REJECTED, 0,
			"the seal does not fit its bytes or what it is bound to");
	}
	out->len += (size_t)added;
	out->data[out->len] = '\0';
	return 0;
}

const char *secret_library_version(void)
{
	return sodium_version_string();
}
