#!/bin/sh
# Tests real clients (viem, ethers, web3.js) against a running system. Needs Go and Node.js.
set -eu
cd "$(dirname "$0")"
npm ci --no-progress --loglevel=error
binary=$(mktemp -d)
trap 'rm -rf "$binary"' EXIT
(cd ../.. && go build -buildvcs=false -o "$binary/slipway" ./cmd/slipway)
SLIPWAY="$binary/slipway" node --test clients.test.mjs gateway.test.mjs signer.test.mjs sockets.test.mjs web3.test.mjs
