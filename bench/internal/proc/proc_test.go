package proc

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseStat_CountsTheChildrenThatEnded(t *testing.T) {
	t.Parallel()
	s, err := parseStat("4711 (a (b) c) S 42 4711 4711 0 -1 4194304 5 6 7 8 100 50 7 3 20 0 9 0 12345 0 0")
	require.NoError(t, err)
	require.Equal(t, stat{parent: 42, cpu: 1600 * time.Millisecond}, s)
}

func TestParseStat_RefusesWhatIsNoStat(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "1 (x) S 1 2", "1 (x) S y 4711 4711 0 -1 4194304 5 6 7 8 100 50 7 3 20", "1 (x) S 1 4711 4711 0 -1 4194304 5 6 7 8 a 50 7 3 20"} {
		_, err := parseStat(text)
		require.Error(t, err, text)
	}
}

func TestStatusBytes_FindsTheName(t *testing.T) {
	t.Parallel()
	const text = "Name:\tsigner\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n"
	require.EqualValues(t, 1<<20, statusBytes(text, "VmRSS"))
	require.EqualValues(t, 2<<20, statusBytes(text, "VmHWM"))
	require.Zero(t, statusBytes(text, "Vm"))
}

func TestTree_FollowsParentsDown(t *testing.T) {
	t.Parallel()
	processes := map[int]stat{1: {}, 2: {parent: 1}, 3: {parent: 2}, 4: {parent: 1}, 5: {parent: 4}}
	require.ElementsMatch(t, []int{2, 3}, tree(processes, 2))
}

func TestCPUModel_IsTheFirst(t *testing.T) {
	t.Parallel()
	require.Equal(t, "Fast One", cpuModel("processor\t: 0\nmodel name\t: Fast One\nmodel name\t: Other\n"))
	require.Equal(t, "unknown CPU", cpuModel("processor: 0\n"))
}
