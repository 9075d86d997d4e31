package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/objectstore"
	"github.com/slipwayhq/slipway/internal/objectstore/s3test"
	"github.com/slipwayhq/slipway/internal/redisconn/redistest"
)

var objectStores s3test.Builder //nolint:gochecknoglobals // the tests of a binary share what was built

// operator runs the program with the variables of the AWS SDK, in a folder.
type operator struct {
	env    []string
	folder string
}

func (o operator) run(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env, cmd.Dir = append(o.env, asProgram+"=1", "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE="+os.DevNull), o.folder
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		require.ErrorAs(t, err, new(*exec.ExitError))
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestBackup_ByTheVariablesThatEveryProgramKnows(t *testing.T) {
	t.Parallel()
	files := redistest.Certificates(t)
	at := objectStores.Start(t, "--cert", files.ServerCert, "--key", files.ServerKey, "--region", "eu-central-1")
	me := operator{folder: t.TempDir(), env: []string{
		"AWS_ENDPOINT_URL_S3=https://" + at.Address, "AWS_REGION=eu-central-1", "AWS_CA_BUNDLE=" + files.CA,
		"AWS_ACCESS_KEY_ID=" + s3test.AccessKey, "AWS_SECRET_ACCESS_KEY=" + s3test.SecretKey,
	}}
	for _, name := range []string{"signer-1.dump", "signer-2.dump", "signer-3.dump", "signer-4.dump.part"} {
		require.NoError(t, os.WriteFile(filepath.Join(me.folder, name), []byte(name), 0o600))
	}
	where := []string{"--bucket", "copies", "--prefix", "atk"}

	_, stderr, code := me.run(t, append([]string{"backup", "push", "signer-1.dump"}, where...)...)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "make the bucket copies")
	for _, name := range []string{"signer-1.dump", "signer-2.dump"} {
		_, stderr, code = me.run(t, append([]string{"backup", "push", "--make-bucket", name}, where...)...)
		require.Equal(t, 0, code, stderr)
	}
	stdout, stderr, code := me.run(t, append([]string{"backup", "push", "signer-*.dump", "--keep", "2"}, where...)...)
	require.Equal(t, 0, code, stderr)
	require.Contains(t, stdout, "signer-3.dump: 13 bytes are there, and were read back")
	require.Contains(t, stdout, "signer-1.dump: removed, since 2 are kept")

	stdout, stderr, code = me.run(t, append([]string{"backup", "list", "-o", "json"}, where...)...)
	require.Equal(t, 0, code, stderr)
	var list []objectstore.Copy
	require.NoError(t, json.Unmarshal([]byte(stdout), &list))
	require.Len(t, list, 2)
	require.Equal(t, "signer-3.dump", list[1].Name)
	stdout, _, _ = me.run(t, append([]string{"backup", "list"}, where...)...)
	require.Contains(t, stdout, "signer-2.dump  13 bytes  20")

	stdout, stderr, code = me.run(t, append([]string{"backup", "verify", "signer-2.dump"}, where...)...)
	require.Equal(t, 0, code, stderr)
	require.Contains(t, stdout, "as it was put")
	_, stderr, code = me.run(t, append([]string{"backup", "fetch", "signer-3.dump"}, where...)...)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "signer-3.dump is there already")
	_, stderr, code = me.run(t, append([]string{"backup", "fetch", "signer-3.dump", "--to", "back.dump"}, where...)...)
	require.Equal(t, 0, code, stderr)
	back, err := os.ReadFile(filepath.Join(me.folder, "back.dump"))
	require.NoError(t, err)
	require.Equal(t, "signer-3.dump", string(back))

	keyless := operator{folder: me.folder, env: me.env[:3]}
	_, stderr, code = keyless.run(t, append([]string{"backup", "list"}, where...)...)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "or give the account a role")
}

func TestBackup_RefusesWhatItCannotMean(t *testing.T) {
	t.Parallel()
	me := operator{folder: t.TempDir()}
	require.NoError(t, os.WriteFile(filepath.Join(me.folder, "signer-1.dump"), nil, 0o600))
	for want, args := range map[string][]string{
		"no file fits other-*.dump":   {"backup", "push", "other-*.dump", "--bucket", "b"},
		"--keep: goes with a pattern": {"backup", "push", "signer-1.dump", "--keep", "2", "--bucket", "b"},
		"--bucket":                    {"backup", "list"},
		"is no pattern of names":      {"backup", "push", "signer-[.dump", "--bucket", "b"},
	} {
		_, stderr, code := me.run(t, args...)
		require.NotEqual(t, 0, code, args)
		require.Contains(t, stderr, want)
	}
}
