package local

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/accounts"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signing"
	"github.com/slipwayhq/slipway/internal/signing/signingtest"
)

const junk = "test test test test test test test test test test test junk"

// The accounts every development tool shows for this phrase.
func TestAccounts_DevelopmentPhrase(t *testing.T) {
	t.Parallel()

	signers, err := Accounts(Config{Mnemonic: secret.New(" " + strings.ReplaceAll(junk, " ", "  ") + "\n"), Accounts: 3})

	require.NoError(t, err)
	require.Equal(t, common.HexToAddress("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"), signers[0].Address())
	require.Equal(t, common.HexToAddress("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"), signers[1].Address())
	require.Equal(t, common.HexToAddress("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"), signers[2].Address())
	require.EqualValues(t, "local:m/44'/60'/0'/0/2", signers[2].Ref())
}

// The vectors of the BIP-39 reference implementation, passphrase "TREZOR".
func TestSeed_PublishedVectors(t *testing.T) {
	t.Parallel()

	text, err := os.ReadFile("testdata/bip39.json")
	require.NoError(t, err)
	var vectors []struct{ Mnemonic, Seed string }
	require.NoError(t, json.Unmarshal(text, &vectors))
	require.Len(t, vectors, 24)
	for _, v := range vectors {
		got, err := seedOf(secret.New(v.Mnemonic), secret.New("TREZOR"))
		require.NoError(t, err, v.Mnemonic)
		require.Equal(t, v.Seed, hex.EncodeToString(got), v.Mnemonic)
	}
}

// BIP-39: mnemonic and passphrase are taken in normal form NFKD.
func TestSeed_OneFormOfAPassphrase(t *testing.T) {
	t.Parallel()

	composed, err := seedOf(secret.New(junk), secret.New("caf\u00e9"))
	require.NoError(t, err)
	decomposed, err := seedOf(secret.New(junk), secret.New("cafe\u0301"))
	require.NoError(t, err)
	require.Equal(t, decomposed, composed)
}

func TestSeed_RefusesWithoutRepeatingWords(t *testing.T) {
	t.Parallel()

	cases := map[string]string{
		"":                          "0 words",
		"test test test":            "3 words",
		strings.Repeat("test ", 12): "checksum",
		strings.Replace(junk, "junk", "hunter", 1): "word 12 is not in the English word list",
	}
	for mnemonic, want := range cases {
		_, err := Accounts(Config{Mnemonic: secret.New(mnemonic), Accounts: 1})
		require.ErrorIs(t, err, ErrMnemonic)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "hunter")
	}

	_, err := Accounts(Config{Mnemonic: secret.New(junk), Path: "m/44'/x", Accounts: 1})
	require.ErrorContains(t, err, "derivation path")
	_, err = Accounts(Config{Mnemonic: secret.New(junk), Path: "m/44'/60'/0'/0/2147483647", Accounts: 2})
	require.ErrorContains(t, err, "no room for 2 accounts")
}

func TestAccounts_AnyPath(t *testing.T) {
	t.Parallel()

	// The last index may be hardened, and is counted up all the same.
	signers, err := Accounts(Config{Name: "treasury", Mnemonic: secret.New(junk), Path: "m/44'/1'/7'", Accounts: 2})
	require.NoError(t, err)
	require.EqualValues(t, "local:treasury/m/44'/1'/8'", signers[1].Ref())
}

func TestRaw_OneKey(t *testing.T) {
	t.Parallel()
	// The key of account 0 of the development phrase.
	const key = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"

	for _, text := range []string{key, "0x" + key, "0x" + strings.ToUpper(key) + "\n"} {
		s, err := Raw("faucet", secret.New(text))
		require.NoError(t, err)
		require.Equal(t, common.HexToAddress("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"), s.Address())
		require.EqualValues(t, "local:faucet", s.Ref())
	}
	for _, text := range []string{"", "hunter2", key + "00", strings.Repeat("f", 64), strings.Repeat("0", 64), strings.Repeat("xy", 32)} {
		_, err := Raw("faucet", secret.New(text))
		require.ErrorIs(t, err, ErrKey)
		if text != "" {
			require.NotContains(t, err.Error(), text)
		}
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()

	signingtest.Run(t, func(*testing.T) signingtest.Key {
		return signingtest.Key{
			Address: common.HexToAddress("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
			Open: func(t *testing.T) signing.Signer {
				t.Helper()
				signers, err := Accounts(Config{Mnemonic: secret.New(junk), Accounts: 2})
				require.NoError(t, err)
				return signers[1]
			},
		}
	})
}

// BIP-32 test vectors 1 to 4; 3 and 4 have keys with leading zeros.
func TestDerive_PublishedVectors(t *testing.T) {
	t.Parallel()

	const maxHardened = 2147483647
	cases := []struct {
		seed string
		path accounts.DerivationPath
		key  string
	}{
		{"000102030405060708090a0b0c0d0e0f", nil, "e8f32e723decf4051aefac8e2c93c9c5b214313817cdb01a1494b917c8436b35"},
		{"000102030405060708090a0b0c0d0e0f", accounts.DerivationPath{hardened}, "edb2e14f9ee77d26dd93b4ecede8d16ed408ce149b6cd80b0715a2d911a0afea"},
		{"000102030405060708090a0b0c0d0e0f", accounts.DerivationPath{hardened, 1}, "3c6cb8d0f6a264c91ea8b5030fadaa8e538b020f0a387421a12de9319dc93368"},
		{"fffcf9f6f3f0edeae7e4e1dedbd8d5d2cfccc9c6c3c0bdbab7b4b1aeaba8a5a29f9c999693908d8a8784817e7b7875726f6c696663605d5a5754514e4b484542", accounts.DerivationPath{0, hardened + maxHardened}, "877c779ad9687164e9c2f4f0f4ff0340814392330693ce95a58fe18fd52e6e93"},
		{"4b381541583be4423346c643850da4b320e46a87ae3d2a4e6da11eba819cd4acba45d239319ac14f863b8d5ab5a0d0c64d2e8a1e7d1457df2e5a3c51c73235be", accounts.DerivationPath{hardened}, "491f7a2eebc7b57028e0d3faa0acda02e75c33b03c48fb288c41e2ea44e1daef"},
		{"3ddd5602285899a946114506157c7997e5444528f3003f6134712147db19b678", accounts.DerivationPath{hardened, hardened + 1}, "3a2086edd7d9df86c3487a5905a1712a9aa664bce8cc268141e07549eaa8661d"},
	}
	for _, c := range cases {
		seed, err := hex.DecodeString(c.seed)
		require.NoError(t, err)
		key, err := derive(seed, c.path)
		require.NoError(t, err)
		require.Equal(t, c.key, hex.EncodeToString(crypto.FromECDSA(key)), "path %s", c.path)
	}
}

func TestSigner_SignsForItsAddressAndHidesItsKey(t *testing.T) {
	t.Parallel()

	signers, err := Accounts(Config{Mnemonic: secret.New(junk), Accounts: 1})
	require.NoError(t, err)
	digest := [32]byte(crypto.Keccak256([]byte("message")))

	sig, err := signers[0].Sign(t.Context(), digest)
	require.NoError(t, err)

	public, err := crypto.SigToPub(digest[:], sig[:])
	require.NoError(t, err)
	require.Equal(t, signers[0].Address(), crypto.PubkeyToAddress(*public))
	// The key of account 0 of this phrase is as public as the phrase.
	require.NotContains(t, strings.ToLower(fmt.Sprintf("%v %+v %#v %s", signers[0], signers[0], signers[0], signers[0])), "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
}

func TestHD_DerivesOnDemandAndTellsNothing(t *testing.T) {
	t.Parallel()

	hd, err := NewHD(secret.New(junk), secret.String{})
	require.NoError(t, err)
	path, err := accounts.ParseDerivationPath("m/44'/60'/0'/0/2")
	require.NoError(t, err)
	signer, err := hd.Signer(path)
	require.NoError(t, err)
	require.Equal(t, "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC", signer.Address().Hex())
	require.EqualValues(t, "local:m/44'/60'/0'/0/2", signer.Ref())

	one, err := hd.Key("one")
	require.NoError(t, err)
	two, err := hd.Key("two")
	require.NoError(t, err)
	require.Len(t, one, 32)
	require.NotEqual(t, one, two)
	for _, text := range []string{fmt.Sprint(hd), fmt.Sprintf("%+v", hd), fmt.Sprintf("%#v", hd)} {
		require.Equal(t, "mnemonic "+hd.ID().Hex(), text)
	}
	_, err = NewHD(secret.New("hunter2"), secret.String{})
	require.ErrorIs(t, err, ErrMnemonic)
}
