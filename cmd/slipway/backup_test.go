package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/slipwayhq/slipway/internal/deploy"
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

// TestBackup_AsTheChartsHaveIt runs the two programs with the arguments and the
// variables that the charts give them, but for address and folders.
func TestBackup_AsTheChartsHaveIt(t *testing.T) {
	t.Parallel()
	objects, err := deploy.Render(t.Context(), deploy.Target{Release: "slipway", Namespace: "atk"}, deploy.Values{
		"support": map[string]any{"objectStore": map[string]any{"enabled": true}},
		"signer":  map[string]any{"backup": map[string]any{"enabled": true, "s3": map[string]any{"enabled": true}}},
		"global":  map[string]any{"datastores": map[string]any{"default": map[string]any{"objectStore": map[string]any{"region": "eu-central-1"}}}},
	})
	require.NoError(t, err)
	var set appsv1.StatefulSet
	var job batchv1.CronJob
	for _, o := range objects {
		switch o.Kind + "/" + o.Name {
		case "StatefulSet/object-store":
			require.NoError(t, yaml.Unmarshal([]byte(o.Text), &set))
		case "CronJob/signer-backup":
			require.NoError(t, yaml.Unmarshal([]byte(o.Text), &job))
		}
	}
	secret := map[string]string{"object-store/accessKey": "made0by0bootstrap", "object-store/secretKey": "made0by0bootstrap0too"}
	store, push := set.Spec.Template.Spec.Containers[0], job.Spec.JobTemplate.Spec.Template.Spec.Containers[0]
	at := objectStores.Run(t, variables(t, store, secret), func(address, data string) []string {
		return replaced(store.Args, map[string]string{":7070": address, "/data": data})
	})

	me := operator{folder: t.TempDir(), env: variables(t, push, secret)}
	for i, variable := range me.env {
		me.env[i] = strings.ReplaceAll(variable, "object-store:7070", at.Address)
	}
	require.NoError(t, os.WriteFile(filepath.Join(me.folder, "signer-20260101T000000Z.dump"), []byte("copy"), 0o600))
	require.Equal(t, "slipway", push.Command[0])
	args := replaced(append(push.Command[1:], push.Args...), map[string]string{"/data/signer-*.dump": filepath.Join(me.folder, "signer-*.dump")})
	stdout, stderr, code := me.run(t, args...)
	require.Equal(t, 0, code, stderr)
	require.Contains(t, stdout, "signer-20260101T000000Z.dump: 4 bytes are there")
	require.FileExists(t, filepath.Join(at.Data, "slipway", "atk", "signer-20260101T000000Z.dump"))
}

// variables are the environment of a container, with what its Secrets have.
func variables(t *testing.T, c corev1.Container, secret map[string]string) []string {
	t.Helper()
	var out []string
	for _, e := range c.Env {
		value := e.Value
		if e.ValueFrom != nil {
			value = secret[e.ValueFrom.SecretKeyRef.Name+"/"+e.ValueFrom.SecretKeyRef.Key]
			require.NotEmpty(t, value, e.Name)
		}
		out = append(out, e.Name+"="+value)
	}
	return out
}

// replaced are the texts, those of the map by what it says.
func replaced(texts []string, by map[string]string) []string {
	out := slices.Clone(texts)
	for i, text := range out {
		if other, found := by[text]; found {
			out[i] = other
		}
	}
	return out
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
