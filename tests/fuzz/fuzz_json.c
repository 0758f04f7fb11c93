/* JSON: what is read can be written, and reads back as the same. */
#include "tests/fuzz/fuzz.h"

#include "common/json.h"

#include <jansson.h>
#undef json_is_true

#define LEVELS_MAX 16

static unsigned levels_of(const struct json_t *value)
{
	unsigned deepest = 0;
	struct json_walk w = {0};

	if (json_kind(value) == JSON_IS_OBJECT)
		while (json_walk(value, &w)) {
			unsigned levels = levels_of(w.value);

			assert(json_member(value, w.name) == w.value);
			assert(utf8_valid(w.name, w.name_len));
			deepest = levels > deepest ? levels : deepest;
		}
	else if (json_kind(value) == JSON_IS_LIST)
		for (size_t i = 0; i < json_count(value); i++) {
			unsigned levels = levels_of(json_item(value, i));

			deepest = levels > deepest ? levels : deepest;
		}
	else
		return 0;
	return deepest + 1;
}

static void check_text(const struct json_t *value)
{
	struct slice text = json_slice(value);

	if (json_kind(value) != JSON_IS_TEXT) {
		assert(!text.data && !text.len);
		return;
	}
	assert(utf8_valid(text.data, text.len) && !memchr(text.data, '\0', text.len));
	assert(text.data[text.len] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	freed_by(fuzz_freep) char *copy = fuzz_copy((struct slice){(const char *)data, size});
	freed_by(json_dropp) struct json_t *value = NULL, *back = NULL;
	freed_by(buf_release) struct buf once = {0}, twice = {0};
	struct err err = {0};

	if (json_read((struct slice){copy, size}, LEVELS_MAX, &value, &err)) {
		assert(!value && err.kind == ERR_REJECTED);
		assert(fuzz_is_line((struct slice){err.text, strlen(err.text)}));
		return 0;
	}
	assert(levels_of(value) <= LEVELS_MAX);
	check_text(value);
	json_put(&once, value);
	assert(utf8_valid(once.data, once.len) && !memchr(once.data, '\n', once.len));
	assert(!json_read(buf_slice(&once), LEVELS_MAX, &back, &err));
	assert(json_kind(back) == json_kind(value) && json_count(back) == json_count(value));
	assert(fuzz_is_same(json_slice(back), json_slice(value)));
	assert(json_equal(value, back)); /* to the last bit of a number */
	json_put(&twice, back);
	assert(fuzz_is_same(buf_slice(&once), buf_slice(&twice)));
	return 0;
}
