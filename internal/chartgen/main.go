// Command chartgen writes what the charts have in common into each of them:
// the shared templates, values.schema.json and README.md. Its sources are
// charts/common and each chart's values.yaml, whose comments are the texts.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := write("."); err != nil { // go generate runs in charts/
		fmt.Fprintln(os.Stderr, "chartgen:", err)
		os.Exit(1) //nolint:forbidigo // this is a main, though not below cmd
	}
}

func write(root string) error {
	files, err := generate(root)
	if err != nil {
		return err
	}
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // part of the source
			return fmt.Errorf("write %s: %w", name, err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil { //nolint:gosec // part of the source
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}
