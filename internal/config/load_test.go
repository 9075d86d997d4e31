package config

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/secret"
)

// A file that is wrong holds its secrets wherever somebody put them: in the place
// of a name, of a number, of a section.
func TestLoad_RepeatsNothingOfTheFile(t *testing.T) {
	t.Parallel()
	type section struct {
		Name  string        `yaml:"name"`
		Token secret.String `yaml:"token"`
		Count int           `yaml:"count"`
		Wait  time.Duration `yaml:"wait"`
		Is    bool          `yaml:"is"`
		List  []string      `yaml:"list"`
	}
	for name, text := range map[string]string{
		"a name":              "hunter2 words and more: 1\n",
		"a quoted name":       "\"hunter2 \\\" words\": 1\n",
		"a long name":         "hunter2000000000000000000000000000000000000000000: 1\n",
		"a name inside":       "list: [a]\nother word:\n  hunter2 word: 1\n",
		"a name twice":        "hunter2 x: 1\nhunter2 x: 2\n",
		"a list":              "token: [hunter2, words]\n",
		"a section":           "token: {hunter2: words}\n",
		"a number":            "count: hunter2\n",
		"a duration":          "wait: hunter2\n",
		"a truth":             "is: hunter2\n",
		"no list":             "list: hunter2\n",
		"no YAML":             "token: \"hunter2\n",
		"a tab":               "token:\n\t- hunter2\n",
		"a colon":             "token: hunter2: words\n",
		"a reference":         "token: *hunter2\n",
		"a merge":             "<<: hunter2\ntoken: x\n",
		"no section":          "hunter2 words\n",
		"a number too large":  "count: 99999999999999hunter2\n",
		"a name and a number": "count: 1\nhunter2_words!: 2\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "file.yaml")
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			err := Load(path, func(string) string { return "" }, &section{})
			require.Error(t, err)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
	path := filepath.Join(t.TempDir(), "file.yaml")
	require.NoError(t, os.WriteFile(path, []byte("tokne: x\n"), 0o600))
	require.ErrorContains(t, Load(path, func(string) string { return "" }, &section{}), `unknown field "tokne"`)
}

func TestLoad_AVariableBetweenQuotesIsText(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.yaml")
	require.NoError(t, os.WriteFile(path, []byte("token: \"${TOKEN}\"\ncount: ${COUNT}\nname: \"${NAME:-a\\\"b}\"\n"), 0o600))
	for _, text := range []string{`: # " ' \ $ { } %`, `"`, `\`, `"quoted"`, " both ", "#", "- a", "{a: b}", "two\nlines\t", "${TOKEN}", "null", "ünïcode €"} {
		var into struct {
			Token secret.String `yaml:"token"`
			Count int           `yaml:"count"`
			Name  string        `yaml:"name"`
		}
		err := Load(path, func(name string) string { return map[string]string{"TOKEN": text, "COUNT": "7"}[name] }, &into)
		require.NoError(t, err, "%q", text)
		require.Equal(t, text, into.Token.Reveal())
		require.Equal(t, 7, into.Count)
		require.Equal(t, `a"b`, into.Name, "what stands in the file is as it stands there")
	}
}
