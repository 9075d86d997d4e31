package secret

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
)

// File is a file that holds one secret, and that others change while it is in
// use, as Kubernetes changes a mounted Secret. Its methods may be called from
// anywhere.
type File struct {
	path string
	log  *slog.Logger

	mu      sync.Mutex
	last    String // the last one that was read
	trouble string // why there is none now; "" when there is
}

// OpenFile reads a file, which must hold something.
func OpenFile(path string, log *slog.Logger) (*File, error) {
	f := &File{path: path, log: log}
	var err error
	f.last, err = read(path)
	return f, err
}

// Read returns what the file holds now. While it cannot be read, or is empty,
// what it held before stays in force, which is logged once for each reason.
func (f *File) Read(ctx context.Context) String {
	now, err := read(f.path)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		f.last, f.trouble = now, ""
		return now
	}
	if err.Error() != f.trouble {
		f.trouble = err.Error()
		f.log.WarnContext(ctx, "a secret cannot be read again, the one read before stays in use", slog.Any("err", err))
	}
	return f.last
}

// maxFileBytes bounds a file. No token or password comes near it.
const maxFileBytes = 64 << 10

// read takes line ends away, which editors put at the end; spaces may be meant.
// Its errors name the file and show nothing of it.
func read(path string) (String, error) {
	file, err := os.Open(path)
	if err != nil {
		return String{}, err // names the file
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		return String{}, err
	}
	if len(text) > maxFileBytes {
		return String{}, fmt.Errorf("%s: larger than %d bytes", path, maxFileBytes)
	}
	value := strings.TrimRight(string(text), "\r\n")
	if value == "" {
		return String{}, fmt.Errorf("%s: is empty", path)
	}
	return New(value), nil
}
