/* machine_file_test.c - machine files: words, options, and what is wrong. */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/bmc/machine_file.h"
#include "t/unit/unit.h"

static int parse(struct machine_file *f, const char *text, struct complaint *c)
{
	return machine_file_parse(f, "two-nics", text, strlen(text), c);
}

/* The text is refused with exactly these words. */
static void check_wrong(const char *text, const char *words)
{
	struct complaint c = { "" };
	struct machine_file f;

	CHECK_INT(parse(&f, text, &c), -EINVAL);
	CHECK_STR(c.text, words);
	CHECK_INT(f.n, 0);
}

static void programs(void)
{
	struct complaint c = { "" };
	struct machine_file f;

	if (!CHECK_INT(parse(&f,
			     "# two programs\n"
			     "\n"
			     "bridge: rootbridge\n"
			     "  \t# and\n"
			     "nic0:RESTART=on-failure iovdev --type nic\n"
			     "x-1_a: RESTART=always  /bin/sleep 10 # forever",
			     &c),
		       0))
		return;
	CHECK_INT(f.n, 3);
	CHECK_STR(f.line[0].name, "bridge");
	CHECK_INT(f.line[0].number, 3);
	CHECK_INT(f.line[0].restart, RESTART_NO);
	CHECK_INT(f.line[0].argc, 1);
	CHECK(!f.line[0].foreign);
	CHECK_INT(f.line[1].restart, RESTART_ON_FAILURE);
	CHECK_INT(f.line[1].argc, 3);
	CHECK_STR(f.line[1].argv[2], "nic");
	CHECK(!f.line[1].argv[3]);
	CHECK_INT(f.line[2].number, 6);
	CHECK_INT(f.line[2].restart, RESTART_ALWAYS);
	CHECK(f.line[2].foreign);
	CHECK_INT(f.line[2].argc, 2);
	machine_file_fini(&f);
}

static void quoting(void)
{
	static const char *const words[] = {
		"/bin/x", "a b",   "c\"d$e", "f g#h", "",    "RESTART=no",
		"\\n",    "$HOME", "*",      "x\\y",  "i'j", "klm",
	};
	struct complaint c = { "" };
	struct machine_file f;
	unsigned i;

	if (!CHECK_INT(parse(&f,
			     "a: /bin/x 'a b' \"c\\\"d\\$e\" f\\ g#h '' "
			     "RESTART=no \\\n\t'\\n' $HOME * \"x\\y\" \"i'j\" "
			     "k'l'\"m\"\n",
			     &c),
		       0)) {
		CHECK_STR(c.text, "");
		return;
	}
	CHECK_INT(f.line[0].argc, sizeof(words) / sizeof(words[0]));
	for (i = 0; i < f.line[0].argc; i++)
		CHECK_STR(f.line[0].argv[i], words[i]);
	machine_file_fini(&f);
}

static void wrong(void)
{
	check_wrong("", "two-nics: no programs");
	check_wrong("# nothing\n\n", "two-nics: no programs");
	check_wrong("\n\nnic0 iovdev\n",
		    "two-nics:3: no colon after the name 'nic0'");
	check_wrong("nic0:\n", "two-nics:1: no program after 'nic0:'");
	check_wrong("nic0: RESTART=no\n",
		    "two-nics:1: no program after 'nic0:'");
	check_wrong("bmc: iovdev\n",
		    "two-nics:1: the name 'bmc' is the board controller's");
	check_wrong("a: guestd\nb: guestd\n\na: guestd",
		    "two-nics:4: second program named 'a' (line 1)");
	check_wrong("a: iovdv\n",
		    "two-nics:1: unknown program 'iovdv' (rootbridge, iovdev, "
		    "hvmon, guestd, or a path)");
	check_wrong("a: RESTART=maybe guestd\n",
		    "two-nics:1: RESTART is no, on-failure or always, not "
		    "'maybe'");
	check_wrong("a: RESTART=no RESTART=always guestd\n",
		    "two-nics:1: RESTART= is given twice");
	check_wrong("a: NICE=3 guestd\n",
		    "two-nics:1: unknown option 'NICE=3' (only RESTART=)");
	check_wrong("a: guestd 'x\nb: guestd y'\n",
		    "two-nics:1: unterminated quote");
	check_wrong("a: guestd \"x", "two-nics:1: unterminated quote");
	check_wrong("a: guestd \\", "two-nics:1: nothing after the backslash");
	check_wrong("a: guestd x\r\n", "two-nics:1: control character 0x0d");
}

static void bad_names(void)
{
	static const char *const names[] = {
		"",
		"Nic",
		"0nic",
		"-x",
		"a.b",
		"a/b",
		"abcdefghijklmnopq",
		"an-endless-name-an-endless-name-an-endless-name-an-endless",
	};
	struct complaint c;
	struct machine_file f;
	char text[128];
	unsigned i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(text, sizeof(text), "%s: guestd\n", names[i]);
		CHECK_INT(parse(&f, text, &c), -EINVAL);
		CHECK_HAS(c.text, "two-nics:1: bad name '");
	}
	CHECK_INT(parse(&f, "abcdefghijklmnop: guestd\n", &c), 0);
	machine_file_fini(&f);
	/* A NUL byte ends no name. */
	CHECK_INT(machine_file_parse(&f, "x", "a\0b: guestd\n", 12, &c),
		  -EINVAL);
	CHECK_INT(machine_file_parse(&f, "x", "a: guestd \0\n", 12, &c),
		  -EINVAL);
}

static void range(void)
{
	struct complaint c = { "" };
	struct machine_file f;

	if (!CHECK_INT(parse(&f,
			     "bridge: rootbridge %i\n"
			     "guest[9-11]: RESTART=always guestd --vm %i "
			     "'--x=%n/%i0 %%'\n",
			     &c),
		       0))
		return;
	CHECK_INT(f.n, 4);
	CHECK(!f.line[0].many);
	CHECK_STR(f.line[0].argv[1], "%i");
	CHECK_STR(f.line[1].name, "guest9");
	CHECK_STR(f.line[3].name, "guest11");
	CHECK_INT(f.line[1].number, 2);
	CHECK_INT(f.line[3].number, 2);
	CHECK(f.line[3].many);
	CHECK_INT(f.line[3].restart, RESTART_ALWAYS);
	CHECK_INT(f.line[3].argc, 4);
	CHECK_STR(f.line[3].argv[2], "11");
	CHECK_STR(f.line[3].argv[3], "--x=3/110 %");
	CHECK(!f.line[3].argv[4]);
	machine_file_fini(&f);
	CHECK_INT(parse(&f, "g[0-0]: guestd\n", &c), 0);
	CHECK_INT(f.n, 1);
	machine_file_fini(&f);
}

static void bad_range(void)
{
	static const char *const bad[] = {
		"g[]",     "g[1]",    "g[1-]",  "g[-1]",       "g[1-2",
		"g[1-2]x", "g[01-2]", "g[1-b]", "g[1-100000]", "g[1-2][3-4]",
	};
	char text[64], words[160];
	unsigned i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "%s: guestd\n", bad[i]);
		snprintf(words, sizeof(words),
			 "two-nics:1: bad range in '%s': NAME[FIRST-LAST], "
			 "numbers from 0 to 99999",
			 bad[i]);
		check_wrong(text, words);
	}
	check_wrong("g[5-2]: guestd\n",
		    "two-nics:1: range [5-2] ends before it begins");
	check_wrong("g[1-4609]: guestd\n",
		    "two-nics:1: more than 4608 programs");
	check_wrong("abcdefghijklmno[9-10]: guestd\n",
		    "two-nics:1: bad name 'abcdefghijklmno10': a small letter, "
		    "then up to 15 of a-z 0-9 _ -");
	check_wrong("[1-2]: guestd\n",
		    "two-nics:1: bad name '2': a small letter, then up to 15 "
		    "of a-z 0-9 _ -");
	check_wrong("g[1-3]: guestd\ng2: guestd\n",
		    "two-nics:2: second program named 'g2' (line 1)");
	check_wrong("g[1-2]: guestd --vm %d\n",
		    "two-nics:1: '%d' in a line with a range: %i (number), %n "
		    "(how manieth), or %%");
	check_wrong("g[1-2]: guestd 5%\n",
		    "two-nics:1: '%' in a line with a range: %i (number), %n "
		    "(how manieth), or %%");
}

static const struct unit_case cases[] = {
	{ "programs", programs }, { "quoting", quoting },
	{ "wrong", wrong },       { "bad_names", bad_names },
	{ "range", range },       { "bad_range", bad_range },
	{ NULL, NULL },
};

const struct unit_suite machine_file_suite = { "machine_file", cases };
