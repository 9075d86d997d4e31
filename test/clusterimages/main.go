// Program clusterimages packs what the cluster tests run into archives of
// images, without a registry and without a build daemon:
//
//	clusterimages programs BIN BESU SLIPWAY-NAME BESU-NAME OUT      our programs, and what stands in for Besu
//	clusterimages stores ROOTFS POSTGRES-NAME REDIS-NAME OUT        PostgreSQL and Redis of a Debian file system
//
// The names are those that the charts have. Each image has what its chart expects
// of the official one: the same paths, and the same user; PostgreSQL and Redis are
// of Debian's versions, whatever the name says.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/slipwayhq/slipway/internal/clustertest"
)

// postgresEntrypoint stands in for that of the official image.
//
//go:embed postgres-entrypoint.sh
var postgresEntrypoint []byte

// accounts are the users that the charts' pods run as. initdb wants a name for its own.
const accounts = "root:x:0:0::/root:/bin/sh\npostgres:x:999:999::/tmp:/bin/sh\n"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "clusterimages:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 6 && args[0] == "programs":
		return programs(args[1], args[2], args[3], args[4], args[5])
	case len(args) == 5 && args[0] == "stores":
		return stores(args[1], args[2], args[3], args[4])
	}
	return fmt.Errorf("arguments %q: want programs BIN BESU SLIPWAY-NAME BESU-NAME OUT, or stores ROOTFS POSTGRES-NAME REDIS-NAME OUT", args)
}

func programs(bin, besu, slipwayName, besuName, out string) error {
	ours, err := layerOf(file{"usr/local/bin/gateway", filepath.Join(bin, "gateway")}, file{"usr/local/bin/signer", filepath.Join(bin, "signer")},
		file{"usr/local/bin/slipway", filepath.Join(bin, "slipway")})
	if err != nil {
		return err
	}
	node, err := layerOf(file{"opt/besu/bin/besu", besu})
	if err != nil {
		return err
	}
	return write(out,
		// As the Dockerfile has it.
		image{names: []string{slipwayName, upgraded(slipwayName)}, layers: []v1.Layer{ours}, config: v1.Config{
			User: "65532:65532", Env: []string{"PATH=/usr/local/bin"}, Cmd: []string{"gateway"},
		}},
		image{names: []string{besuName, upgraded(besuName)}, layers: []v1.Layer{node}, config: v1.Config{
			User: "1000:1000", Env: []string{"PATH=/opt/besu/bin"}, Entrypoint: []string{"besu"},
		}})
}

// upgraded is the name of a newer version; a test upgrades to the same image under it.
func upgraded(image string) string {
	return image[:strings.LastIndexByte(image, ':')] + ":99.0.0"
}

func stores(rootfs, postgresName, redisName, out string) error {
	debian, err := tarball.LayerFromFile(rootfs, tarball.WithCompressionLevel(gzip.BestSpeed))
	if err != nil {
		return fmt.Errorf("read %s: %w", rootfs, err)
	}
	extra, err := layer([]entry{
		{"etc/passwd", 0o644, []byte(accounts)},
		{"usr/local/bin/docker-entrypoint.sh", 0o755, postgresEntrypoint},
	})
	if err != nil {
		return err
	}
	const path = "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:/usr/lib/postgresql/15/bin"
	layers := []v1.Layer{debian, extra}
	return write(out,
		image{names: []string{postgresName}, layers: layers, config: v1.Config{
			Env: []string{path, "PGDATA=/var/lib/postgresql/data"}, Entrypoint: []string{"docker-entrypoint.sh"}, Cmd: []string{"postgres"},
		}},
		image{names: []string{redisName}, layers: layers, config: v1.Config{Env: []string{path}, Cmd: []string{"redis-server"}}},
		image{names: []string{clustertest.PauseImage}, layers: layers, config: v1.Config{Env: []string{path}, Cmd: []string{"sleep", "infinity"}}})
}

type image struct {
	names  []string
	layers []v1.Layer
	config v1.Config
}

// write makes an archive that containerd imports.
func write(out string, images ...image) error {
	refs := make(map[name.Reference]v1.Image)
	for _, one := range images {
		made, err := mutate.AppendLayers(empty.Image, one.layers...)
		if err != nil {
			return fmt.Errorf("make image %s: %w", one.names[0], err)
		}
		file, err := made.ConfigFile()
		if err != nil {
			return fmt.Errorf("make image %s: %w", one.names[0], err)
		}
		file = file.DeepCopy()
		file.OS, file.Architecture, file.Config = "linux", "amd64", one.config
		if made, err = mutate.ConfigFile(made, file); err != nil {
			return fmt.Errorf("make image %s: %w", one.names[0], err)
		}
		for _, text := range one.names {
			ref, err := name.NewTag(text)
			if err != nil {
				return fmt.Errorf("name image %s: %w", text, err)
			}
			refs[ref] = made
		}
	}
	if err := tarball.MultiRefWriteToFile(out, refs); err != nil {
		return fmt.Errorf("write %s: %w", out, err)
	}
	return nil
}

// file is a program of this machine and where it is in the image.
type file struct{ to, from string }

type entry struct {
	path string
	mode int64
	text []byte
}

func layerOf(files ...file) (v1.Layer, error) {
	entries := make([]entry, 0, len(files))
	for _, one := range files {
		text, err := os.ReadFile(one.from)
		if err != nil {
			return nil, fmt.Errorf("read a program: %w", err)
		}
		entries = append(entries, entry{one.to, 0o755, text})
	}
	return layer(entries)
}

func layer(entries []entry) (v1.Layer, error) {
	var out bytes.Buffer
	archive := tar.NewWriter(&out)
	for _, one := range entries {
		if err := archive.WriteHeader(&tar.Header{Name: one.path, Mode: one.mode, Size: int64(len(one.text)), Typeflag: tar.TypeReg}); err != nil {
			return nil, fmt.Errorf("pack %s: %w", one.path, err)
		}
		if _, err := archive.Write(one.text); err != nil {
			return nil, fmt.Errorf("pack %s: %w", one.path, err)
		}
	}
	if err := archive.Close(); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	read := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(out.Bytes())), nil }
	made, err := tarball.LayerFromOpener(read, tarball.WithCompressionLevel(gzip.BestSpeed))
	if err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	return made, nil
}
