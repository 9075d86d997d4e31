// Package proc reads from /proc what processes cost and what machine this is.
package proc

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Supported says why nothing can be measured here, if so.
func Supported() error {
	if runtime.GOOS != "linux" {
		return errors.New("CPU and memory are read from /proc, which only Linux has: run this on Linux, or in a container")
	}
	return nil
}

// tick is the unit of the times in /proc/PID/stat. Linux shows programs 100 a
// second on every architecture that Go runs on, whatever the kernel counts in.
const tick = time.Second / 100

// stat is the part of /proc/PID/stat that matters here.
type stat struct {
	parent int
	// cpu is user and system time, that of children which ended and were
	// waited for included: PostgreSQL's sessions come and go.
	cpu time.Duration
}

func parseStat(text string) (stat, error) {
	// The second field is the program's name in brackets and may hold anything.
	end := strings.LastIndexByte(text, ')')
	fields := strings.Fields(text[end+1:])
	const parent, firstTime, lastTime = 1, 11, 14
	if end < 0 || len(fields) <= lastTime {
		return stat{}, fmt.Errorf("not a stat file: %q", text)
	}
	var s stat
	var err error
	if s.parent, err = strconv.Atoi(fields[parent]); err != nil {
		return stat{}, fmt.Errorf("parent in a stat file: %w", err)
	}
	for _, field := range fields[firstTime : lastTime+1] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return stat{}, fmt.Errorf("time in a stat file: %w", err)
		}
		s.cpu += time.Duration(ticks) * tick
	}
	return s, nil
}

// statusBytes finds a size such as VmRSS in the text of /proc/PID/status.
func statusBytes(text, name string) int64 {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) >= 2 && fields[0] == name+":" {
			kib, _ := strconv.ParseInt(fields[1], 10, 64) // the kernel writes numbers
			return kib << 10
		}
	}
	return 0
}

// all reads the stat of every process; those that end meanwhile are left out.
func all() map[int]stat {
	out := map[int]stat{}
	paths, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well formed
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			continue
		}
		if s, err := parseStat(string(text)); err == nil {
			out[pid] = s
		}
	}
	return out
}

// tree lists a process and all below it.
func tree(processes map[int]stat, root int) []int {
	out := []int{root}
	for i := 0; i < len(out); i++ {
		for pid, s := range processes {
			if s.parent == out[i] && pid != root {
				out = append(out, pid)
			}
		}
	}
	return out
}

// CPU is the user and system time that a process and all below it have used.
func CPU(pid int) time.Duration {
	processes := all()
	var sum time.Duration
	for _, p := range tree(processes, pid) {
		sum += processes[p].cpu
	}
	return sum
}

// RSS is the memory that a process and all below it have resident, in bytes.
func RSS(pid int) int64 {
	var sum int64
	for _, p := range tree(all(), pid) {
		sum += status(p, "VmRSS")
	}
	return sum
}

// PeakRSS is the most memory that one process has had resident, in bytes.
func PeakRSS(pid int) int64 { return status(pid, "VmHWM") }

func status(pid int, name string) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	return statusBytes(string(text), name)
}
