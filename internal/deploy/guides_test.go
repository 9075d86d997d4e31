package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const guidesFolder = "../../docs/install"

// TestGuides_RenderWithTheirValues renders what a reader of each guide would get.
func TestGuides_RenderWithTheirValues(t *testing.T) {
	t.Parallel()
	block := regexp.MustCompile("(?s)```yaml\n# mine.yaml\n(.*?)```")
	asked := regexp.MustCompile(`slipway install .*`)
	profile := regexp.MustCompile(`--profile (\S+)`)
	for _, guide := range guides(t) {
		text := readGuide(t, guide)
		mine := block.FindStringSubmatch(text)
		if filepath.Base(guide) == "README.md" {
			require.Empty(t, mine)
			continue
		}
		require.Len(t, mine, 2, guide)
		var profiles []string
		for _, p := range profile.FindAllStringSubmatch(asked.FindString(text), -1) {
			profiles = append(profiles, p[1])
		}
		require.Len(t, profiles, 2, guide)
		v, err := Sources{Profiles: profiles}.Load()
		require.NoError(t, err, guide)
		require.NoError(t, overlay(v, "mine.yaml", []byte(mine[1])), guide)
		r := mustRenderValues(t, v)
		require.True(t, r.says("chain.example.org"), "%s: the domain", guide)
		require.True(t, r.says("1337"), "%s: the chain id", guide)
		require.False(t, r.has("StatefulSet", "postgresql"), guide)
		gateway := loadGateway(t, r)
		require.NoError(t, gateway.App.Validate(), guide)
	}
}

// TestGuides_ExamplesAreValues renders what guides show besides the file of their
// reader; objects of Kubernetes among it need their kind alone.
func TestGuides_ExamplesAreValues(t *testing.T) {
	t.Parallel()
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	shown := 0
	for _, guide := range guides(t) {
		for _, example := range block.FindAllStringSubmatch(readGuide(t, guide), -1) {
			if strings.HasPrefix(example[1], "# mine.yaml") {
				continue
			}
			shown++
			if strings.HasPrefix(example[1], "apiVersion:") {
				require.NotEmpty(t, values(t, example[1])["kind"], guide)
				continue
			}
			r := mustRender(t, example[1])
			for _, url := range aURL.FindAllString(example[1], -1) {
				require.True(t, r.says(url), "%s: %s", guide, url)
			}
		}
	}
	require.Positive(t, shown)
}

// TestGuides_NameKeysThatExist looks up every value key that a page for
// operators names.
func TestGuides_NameKeysThatExist(t *testing.T) {
	t.Parallel()
	known := make(map[string]map[string]any)
	for _, sub := range mustLoad(t).Dependencies() {
		leafKeys(loadAlone(t, chartFolder+"/charts/"+sub.Name()).schema.raw, sub.Name(), known)
		known[sub.Name()+".enabled"] = nil
		leafKeys(loadAlone(t, chartFolder).schema.at([]string{"global"}), "global", known)
	}
	key := regexp.MustCompile("`((?:global|support|network|gateway|signer|portal|hasura|graph-node|ipfs|blockscout|dapp|observability)\\.[A-Za-z0-9.-]+)")
	for _, guide := range append(guides(t), "../../docs/deploy.md", "../../docs/runbooks.md", "../../"+promisesFile) {
		for _, named := range key.FindAllStringSubmatch(readGuide(t, guide), -1) {
			require.True(t, isKey(known, named[1]), "%s: there is no key %s", guide, named[1])
		}
	}
}

// isKey says whether a key is one of known, has some below it, or is in a section
// whose keys are the reader's.
func isKey(known map[string]map[string]any, key string) bool {
	for k := range known {
		if k == key || strings.HasPrefix(k, key+".") || strings.HasPrefix(key, k+".") {
			return true
		}
	}
	return false
}

func guides(t *testing.T) []string {
	t.Helper()
	out, err := filepath.Glob(guidesFolder + "/*.md")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(out), 7)
	return out
}

func readGuide(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}
