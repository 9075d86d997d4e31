package deploy

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProblems_NameTheKeyAndWhatWouldBeRight(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"gateway: {replicsa: 3}":                                    "gateway.replicsa: there is no such key; did you mean replicas?",
		"sigtner: {}":                                               "sigtner: there is no such key; did you mean signer?",
		"global: {chainid: '5'}":                                    "global.chainid: there is no such key; did you mean chainId?",
		"global: {chainId: 5}":                                      "global.chainId: must be string, not number: put it into quotes, or use --set-string (Chain id, as text: numbers above 2^53 do not survive YAML)",
		"global: {chainId: '0x5'}":                                  "global.chainId: must match ^[1-9][0-9]{0,19}$ (Chain id, as text: numbers above 2^53 do not survive YAML)",
		"global: {networkNodes: {validatorReplicaCount: 0}}":        "global.networkNodes.validatorReplicaCount: must be at least 1 (How many validators there are)",
		"network: {bootstrap: {consensus: Raft}}":                   "network.bootstrap.consensus: must be one of [qbft ibft2]",
		"signer: {datastores: {postgresql: {sslmode: require}}}":    "signer.datastores.postgresql.sslmode: there is no such key; did you mean sslMode?",
		"gateway: {replicas: x, foo: 1}":                            "gateway.foo: there is no such key\ngateway.replicas: must be integer, not string (How many pods run)",
		"global: {datastores: {hasura: {redis: {ratelimitDb: 3}}}}": "global.datastores.hasura.redis.ratelimitDb: there is no such key; did you mean rateLimitDb?",
		"gateway: {enabled: false}":                                 "global.endpoints.gateway: is needed, because gateway.enabled is false and blockscout calls it",
		"observability: {alloy: {logs: {username: me}}}":            "observability.alloy.logs.existingSecret: is needed, because a user needs a password",
		"support: {redis: {enabled: false}}":                        "global.datastores.erpc.redis.host: is needed, because support.redis.enabled is false and gateway uses it",
		"support: {redis: {resources: {limits: {memory: 1e9}}}}":    "support.redis.resources.limits.memory: must be given in Mi or Gi, because settings follow from it",
		"global: {networkNodes: {rpcReplicaCount: 0}}":              "gateway.upstreams: nodes are needed, because global.networkNodes.rpcReplicaCount is 0",
	} {
		_, err := Render(t.Context(), Target{Release: "slipway", Namespace: "atk"}, values(t, text))
		var problems Problems
		require.ErrorAs(t, err, &problems, text)
		require.EqualError(t, err, want, text)
	}
}

func TestProblems_DoNotShowSecrets(t *testing.T) {
	t.Parallel()
	_, err := Render(t.Context(), Target{Release: "slipway", Namespace: "atk"}, values(t, "global: {datastores: {txsigner: {postgresql: {password: [c4nary]}}}}"))
	require.ErrorContains(t, err, "global.datastores.txsigner.postgresql.password: must be string, not array")
	require.NotContains(t, err.Error(), "c4nary")
	_, err = Sources{Set: []string{"signer.mnemonic.value=a b,c4nary"}}.Load()
	require.ErrorContains(t, err, "--set signer.mnemonic.value")
	require.NotContains(t, err.Error(), "c4nary")
}

func TestSources_LaterOnesWin(t *testing.T) {
	t.Parallel()
	v, err := Sources{Profiles: []string{"preview"}, Set: []string{"gateway.replicas=5", "global.chainName=Mine", "global.chainId=7"}, SetString: []string{"global.chainId=1337"}}.Load()
	require.NoError(t, err)
	require.Equal(t, int64(5), v["gateway"].(map[string]any)["replicas"]) //nolint:forcetypeassert // the profile has it
	global := v["global"].(map[string]any)                                //nolint:forcetypeassert // so it has this
	require.Equal(t, "Mine", global["chainName"])
	require.Equal(t, "1337", global["chainId"])
	require.Contains(t, global, "networkNodes")
	_, err = Sources{Profiles: []string{"huge"}}.Load()
	require.EqualError(t, err, `there is no profile "huge"; there are aks, eks, gke, onprem, openshift, preview, production`)
}
