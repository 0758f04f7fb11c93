/*
 * common/secret.h - the door to libsodium: keys, digests, seals.
 *
 * Keys live in sodium_malloc() memory.  One key file holds one line a key,
 * `<key id> <64 hex digits>`: the first signs and seals, all verify and open.
 * Sub-keys for each purpose come from crypto_kdf.
 * https://doc.libsodium.org/key_derivation
 * https://doc.libsodium.org/secret-key_cryptography/aead/chacha20-poly1305/xchacha20-poly1305_construction
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base.h"
#include "common/buf.h"
#include "common/err.h"

#define SECRET_DIGEST_BYTES 32
#define SECRET_KEY_ID_MAX 32

enum secret_purpose { SECRET_DIGEST = 1, SECRET_SEAL, SECRET_MAC };

struct secret_ring; /* opaque: the keys of one file */

/** Before anything else; FATAL when the library cannot start. */
must_check int secret_start(struct err *err);
void secret_zero(void *data, size_t len);
void secret_random(void *data, size_t len);

/** Reads a small secret file (at most 64 KiB), without its trailing newline; the caller owns *@ret
 * (secret_text_free). */
must_check int secret_read_file(const char *path, char **ret, struct err *err);
void secret_text_free(char *text);

must_check int secret_ring_open(const char *path, struct secret_ring **ret, struct err *err);
void secret_ring_free(struct secret_ring *ring);
DEFINE_FREEP(struct secret_ring, secret_ring_free)
/** The id of the key that signs; borrowed. */
const char *secret_ring_active(const struct secret_ring *ring);
/** A public fingerprint of the key (16 bytes), so that a ledger can tell another key; false when
 * there is no such id. */
bool secret_ring_fingerprint(
	const struct secret_ring *ring, const char *key_id, unsigned char ret[16]);

/** Keyed BLAKE2b over the parts, each length-prefixed (8 bytes, big-endian).  @key_id NULL: the
 * active key.  False: no such key. */
must_check bool secret_digest(const struct secret_ring *ring, enum secret_purpose purpose,
	const char *key_id, const struct slice *parts, size_t count,
	unsigned char ret[SECRET_DIGEST_BYTES]);
bool secret_equal(const void *a, const void *b, size_t len);

/** Plain SHA-256 over the parts, each length-prefixed the same way. */
void secret_sha256_parts(const struct slice *parts, size_t count, unsigned char ret[32]);
void secret_sha256(const void *data, size_t len, unsigned char ret[32]);

/** XChaCha20-Poly1305: appends version, key id, nonce and sealed bytes; @bound is authenticated,
 * not stored. */
void secret_seal(
	const struct secret_ring *ring, struct slice plain, struct slice bound, struct buf *out);
/** Appends the plain bytes; REJECTED when key, bytes or @bound do not fit. */
must_check int secret_open(const struct secret_ring *ring, struct slice sealed, struct slice bound,
	struct buf *out, struct err *err);
const char *secret_library_version(void);
