// Command vaultserver is a Vault for tests: the real core of HashiCorp Vault
// with its storage in memory, and two small secrets engines that serve the
// contracts of signing plug-ins which cannot be had as modules. It is a module
// of its own, because nothing that is shipped may depend on Vault's server.
//
// It listens on a loopback address, prints one line of JSON (address, root
// token, unseal key), and ends when its standard input does.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	jwt "github.com/hashicorp/vault-plugin-auth-jwt"
	kubernetes "github.com/hashicorp/vault-plugin-auth-kubernetes"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/builtin/credential/approle"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

func main() {
	if err := run(context.Background(), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "vaultserver:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := "http://" + listener.Addr().String()
	log := hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: os.Stderr})
	storage, err := inmem.NewInmem(nil, log)
	if err != nil {
		return err
	}
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical: storage, DisableMlock: true, Logger: log, LogLevel: "error", RedirectAddr: address,
		LogicalBackends:    secrets(),
		CredentialBackends: logins(),
		BuiltinRegistry:    builtin{},
	})
	if err != nil {
		return err
	}
	made, err := core.Initialize(ctx, &vault.InitParams{BarrierConfig: &vault.SealConfig{SecretShares: 1, SecretThreshold: 1}})
	if err != nil {
		return err
	}
	if _, err := core.Unseal(made.SecretShares[0]); err != nil {
		return err
	}
	server := &http.Server{
		Handler:           vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core, ListenerConfig: &configutil.Listener{Address: listener.Addr().String()}}),
		ReadHeaderTimeout: 10 * time.Second,
	}
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		_ = server.Close()
	}()
	err = json.NewEncoder(stdout).Encode(map[string]string{
		"address": address, "token": made.RootToken, "unsealKey": hex.EncodeToString(made.SecretShares[0]),
	})
	if err != nil {
		return err
	}
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func secrets() map[string]logical.Factory {
	return map[string]logical.Factory{"kv": kv.Factory, "ethsign": ethsign, "digest": digest}
}

func logins() map[string]logical.Factory {
	return map[string]logical.Factory{"approle": approle.Factory, "jwt": jwt.Factory, "kubernetes": kubernetes.Factory}
}

// builtin tells Vault's catalogue what is compiled in.
type builtin struct{}

func (builtin) Get(name string, kind consts.PluginType) (func() (any, error), bool) {
	all := secrets()
	if kind == consts.PluginTypeCredential {
		all = logins()
	}
	factory, ok := all[name]
	return func() (any, error) { return factory, nil }, ok
}

func (b builtin) Contains(name string, kind consts.PluginType) bool {
	_, ok := b.Get(name, kind)
	return ok
}

func (builtin) Keys(kind consts.PluginType) []string {
	switch kind {
	case consts.PluginTypeSecrets:
		return []string{"kv", "ethsign", "digest"}
	case consts.PluginTypeCredential:
		return []string{"approle", "jwt", "kubernetes"}
	}
	return nil
}

func (b builtin) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, b.Contains(name, kind)
}
