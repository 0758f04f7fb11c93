/*
 * tests/fuzz/replay.c - runs a harness over saved inputs, without a fuzzer.
 *
 * replay FILE|FOLDER...   each input once; one line of TAP an argument
 * replay                  the input is read from the standard input, as afl-fuzz gives it
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

static void run_stream(FILE *in)
{
	size_t len = 0, room = 0, got;
	uint8_t *bytes = NULL, *whole;

	do {
		if (len == room) {
			room = room ? 2 * room : 4096;
			bytes = realloc(bytes, room);
			assert(bytes);
		}
		got = fread(bytes + len, 1, room - len, in);
		len += got;
	} while (got);
	whole = malloc(len + (len == 0)); /* exactly as long */
	assert(whole);
	memcpy(whole, bytes, len);
	free(bytes);
	(void)LLVMFuzzerTestOneInput(whole, len);
	free(whole);
}

/* The name comes first: an input that crashes is the last one named. */
static void run_file(const char *path)
{
	FILE *in = fopen(path, "rb");

	printf("# %s\n", path);
	fflush(stdout);
	if (!in) {
		printf("Bail out! %s: %s\n", path, strerror(errno));
		exit(1);
	}
	run_stream(in);
	fclose(in);
}

static size_t run_folder(const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, NULL, alphasort);
	size_t run = 0;

	for (int i = 0; i < count; i++) {
		char file[4096];

		if (entries[i]->d_name[0] != '.') {
			snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
			run_file(file);
			run++;
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return run;
}

int main(int argc, char **argv)
{
	bool failed = false;

	if (argc < 2) {
		run_stream(stdin);
		return 0;
	}
	printf("1..%d\n", argc - 1);
	for (int i = 1; i < argc; i++) {
		struct stat st;
		size_t run = 1;

		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
			run = run_folder(argv[i]);
		else
			run_file(argv[i]);
		/* a folder that is empty or gone tests nothing */
		printf("%sok %d - %zu inputs of %s\n", run ? "" : "not ", i, run, argv[i]);
		failed = failed || !run;
	}
	return failed;
}
