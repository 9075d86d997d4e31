package sharedstate

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMissedPurges(t *testing.T) {
	t.Parallel()

	everything := []Purge{{}}
	texts := map[string]string{"n": "7", "5": `{"method":"a"}`, "6": `{"network":"evm:1"}`, "7": `{"project":"p"}`}
	cases := map[string]struct {
		seen, stored uint64
		texts        map[string]string
		want         []Purge
	}{
		"nothing new":              {7, 7, nil, nil},
		"one":                      {6, 7, texts, []Purge{{Project: "p"}}},
		"in their order":           {4, 7, texts, []Purge{{Method: "a"}, {Network: "evm:1"}, {Project: "p"}}},
		"one that is not kept":     {3, 7, texts, everything},
		"more than are kept":       {0, keptPurges + 1, texts, everything},
		"Redis began anew":         {9, 7, texts, everything},
		"one that cannot be read":  {0, 1, map[string]string{"1": "?"}, everything},
		"Redis has lost them":      {9, 0, nil, everything},
		"there has never been one": {0, 0, nil, nil},
	}
	for name, c := range cases {
		require.Equal(t, c.want, missedPurges(c.seen, c.stored, c.texts), name)
	}
}
