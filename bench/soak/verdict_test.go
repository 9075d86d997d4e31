package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// rising is a run in which a figure rises from 100 to another value.
func rising(to float64) []sample {
	const from, count = 100, 40
	out := make([]sample, count)
	for i := range out {
		v := from + (to-from)*float64(i)/count
		out[i] = sample{rss: v * mebibyte, heap: 10 * mebibyte, goroutines: 100, files: 50}
	}
	return out
}

func TestJudge(t *testing.T) {
	t.Parallel()

	warm := rising(100)
	for i := range warm[:10] {
		warm[i].rss = mebibyte // the first quarter does not count
	}
	peak := rising(100)
	peak[30].goroutines, peak[35].files = 10_000, 10_000 // nor does a moment
	leak := rising(100)
	for i := range leak {
		leak[i].goroutines, leak[i].files = float64(100+10*i), float64(50+10*i)
	}
	for name, c := range map[string]struct {
		samples              []sample
		right, wrong, failed int
		want                 []string
	}{
		"flat":             {samples: rising(100), right: 1000},
		"warming up":       {samples: warm, right: 1000},
		"a peak":           {samples: peak, right: 1000},
		"a little more":    {samples: rising(140), right: 1000},
		"growing memory":   {samples: rising(300), right: 1000, want: []string{"resident memory grew from 172 to 272"}},
		"leaks":            {samples: leak, right: 1000, want: []string{"goroutines grew from 245 to 445", "open files grew from 195 to 395"}},
		"few errors":       {samples: rising(100), right: 1000, failed: 10},
		"many errors":      {samples: rising(100), right: 1000, failed: 20, want: []string{"20 of 1020 calls failed"}},
		"one wrong answer": {samples: rising(100), right: 1000, wrong: 1, want: []string{"1 wrong answers"}},
		"no calls":         {samples: rising(100), want: []string{"0 of 0 calls failed"}},
		"no samples":       {right: 1000, want: []string{"0 samples are too few"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, judge(c.samples, c.right, c.wrong, c.failed))
		})
	}
}

func TestParseSample(t *testing.T) {
	t.Parallel()

	const page = "# HELP go_goroutines Number.\ngo_goroutines 42\nprocess_open_fds 17\nprocess_resident_memory_bytes 5.24288e+07\ngo_memstats_heap_inuse_bytes 1048576\n"
	s, err := parseSample(page)
	require.NoError(t, err)
	require.Equal(t, sample{rss: 50 * mebibyte, heap: mebibyte, goroutines: 42, files: 17}, s)
	_, err = parseSample("go_goroutines 42\n")
	require.Error(t, err)
}
