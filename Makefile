# Bare `make` prints the targets.

GO         ?= go
ARGS       ?=
PKG        ?= ./...
LINT_VERSION := v2.15.0
LINT       := bin/tools/golangci-lint-$(LINT_VERSION)

# Release builds carry the commit they were built from. Where git refuses to
# answer (no repository, or one that belongs to another user), a build without
# it is better than none.
VCS := $(if $(shell git rev-parse HEAD 2>/dev/null),,-buildvcs=false)

.DEFAULT_GOAL := help

.PHONY: help
help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/gateway, bin/signer and bin/slipway
	@mkdir -p bin
	$(GO) build $(VCS) -o bin/ ./cmd/...

.PHONY: run
run: deps-run build ## Run everything on this machine; ARGS="..." are handed to slipway dev
	./bin/slipway dev $(ARGS)

# They render charts hundreds and thousands of times. The race detector would find nothing
# that it does not find in the other tests which render, and take minutes.
RENDERS := ^(TestEveryKey_HasAnEffect|TestToggles_TellTheTruth)$$

.PHONY: test
test: deps-test vaultserver versitygw cluster-tools ## Vet, test with the race detector, then test a real API server and real clients
	$(GO) vet ./...
	$(GO) vet -tags cluster ./internal/deploy ./cmd/slipway
	$(GO) test -race -timeout 25m -skip '$(RENDERS)' ./...
	$(GO) test -timeout 15m -run '$(RENDERS)' ./internal/deploy
	$(IN_CLUSTER) $(GO) test -race -tags cluster -run '^TestCluster_Short$$' -count 1 -timeout 10m ./cmd/slipway
	@if [ -x test/clients/run.sh ]; then test/clients/run.sh; fi

# A module of its own, that nothing shipped depends on. Tests build it themselves
# where it is not up to date; here it does not count as a test's time.
.PHONY: vaultserver
vaultserver: ## Build the Vault that tests run against (minutes, the first time)
	@mkdir -p bin/tools
	cd test/vaultserver && CGO_ENABLED=0 GOFLAGS= GOWORK=off $(GO) build -buildvcs=false -trimpath -o ../../bin/tools/vaultserver .

.PHONY: versitygw
versitygw: ## Build the S3 server that tests run against (a minute, the first time)
	@mkdir -p bin/tools
	cd test/versitygw && CGO_ENABLED=0 GOFLAGS= GOWORK=off $(GO) build -buildvcs=false -trimpath -o ../../bin/tools/versitygw github.com/versity/versitygw/cmd/versitygw

.PHONY: bench
bench: bench-signer bench-gateway ## Measure signer and gateway on this machine (6 minutes)

.PHONY: bench-signer
bench-signer: ## Measure the signer; ARGS="..." are handed to it, -help lists them
	$(GO) run ./bench/signer $(ARGS)

.PHONY: bench-gateway
bench-gateway: ## Measure the gateway; ARGS="..." are handed to it, -help lists them
	$(GO) run ./bench/gateway $(ARGS)

.PHONY: bench-hits
bench-hits: ## Measure how much the gateway answers without a node (1 minute); ARGS="-duration 5s" are handed to it
	$(GO) run $(VCS) ./bench/hitratio $(ARGS)

.PHONY: bench-report
bench-report: ## Print time and allocations of the gateway's stages; never fails on a figure
	@$(GO) test -run '^$$' -bench . -benchtime 2000x -cpu 1 ./internal/gateway ./internal/upstreams ./internal/cache ./internal/methods ./internal/jsonrpc | grep '^Benchmark'

.PHONY: soak
soak: ## Run the gateway in a bad world for 20 minutes; ARGS="-duration 2m" are handed to it
	$(GO) run $(VCS) ./bench/soak $(ARGS)

.PHONY: chaos
chaos: deps-test ## Prove exactly-once: every fault of docs/reliability.md, long (6 minutes); RUN=TestRow09 narrows it
	$(GO) test ./internal/failpoint -tags failpoints
	SLIPWAY_CHAOS=long $(GO) test ./internal/chaos -count 1 -timeout 90m -v -run '$(or $(RUN),TestRow)'

.PHONY: chaos-mutants
chaos-mutants: deps-test ## Take the signer's protections out one by one: each time the proof must fail (5 minutes)
	SLIPWAY_CHAOS=mutants $(GO) test ./internal/chaos -count 1 -timeout 60m -v -run TestMutants

# Where tests find the control plane that they start.
IN_CLUSTER := SLIPWAY_CLUSTER=$(CURDIR)/bin/cluster

.PHONY: cluster-tools
cluster-tools: ## Build a Kubernetes control plane into bin/cluster (minutes, the first time)
	@scripts/cluster-tools.sh

.PHONY: cluster-test
cluster-test: cluster-tools ## Run all tests that speak to Kubernetes against a real API server (RUN=TestCluster_Short narrows it)
	$(IN_CLUSTER) $(GO) test -race -count 1 -timeout 15m ./internal/network/cluster
	$(IN_CLUSTER) $(GO) test -tags cluster -run '$(or $(RUN),^TestCluster_)' -p 1 -count 1 -timeout 25m ./internal/deploy ./cmd/slipway

.PHONY: traefik-test
traefik-test: cluster-tools ## Test the chart's ingress controller itself against a real API server (root, for addresses of its own; builds Traefik the first time)
	@scripts/cluster-tools.sh traefik
	$(GO) test -tags cluster,traefik -c -o bin/cluster/traefik.test ./internal/deploy
	cd internal/deploy && $(IN_CLUSTER) unshare --net sh -c 'ip link set lo up && ip address add 10.99.0.1/32 dev lo && exec $(CURDIR)/bin/cluster/traefik.test -test.run "^TestTraefik_" -test.timeout 10m'

# Everything that pods run in, beside the tests: programs, and images without a registry.
.PHONY: cluster-node
cluster-node: deps-cluster
	@scripts/cluster-tools.sh node
	@scripts/cluster-images.sh

.PHONY: cluster-e2e
cluster-e2e: cluster-node ## Install the charts into a Kubernetes with pods that really run (root; 10 minutes); RUN=TestX narrows it
	CGO_ENABLED=0 $(GO) test $(VCS) -trimpath -c -tags e2e -o bin/cluster/e2e.test ./internal/e2e/pods
	cd internal/e2e/pods && SLIPWAY=$(CURDIR)/bin/cluster/image/slipway $(CURDIR)/scripts/cluster-run.sh $(CURDIR)/bin/cluster/e2e.test -test.v -test.timeout 30m -test.run '$(or $(RUN),.)'

.PHONY: cluster-shell
cluster-shell: cluster-node ## Open a shell beside that Kubernetes, for kubectl and bin/cluster/image/slipway (root)
	@scripts/cluster-run.sh bash

.PHONY: programs-test
programs-test: cluster-tools ## Run programs of others as the rendered pods would, built from source (root; half an hour the first time); RUN=TestX narrows it
	@scripts/programs.sh
	CGO_ENABLED=0 $(GO) test $(VCS) -trimpath -c -tags programs -o bin/programs/programs.test ./internal/deploy/programstest
	cd internal/deploy/programstest && $(IN_CLUSTER) SLIPWAY_PROGRAMS=$(CURDIR)/bin/programs $(CURDIR)/scripts/programs-run.sh $(CURDIR)/bin/programs/programs.test -test.v -test.timeout 20m -test.run '$(or $(RUN),.)'

.PHONY: fuzz
fuzz: ## Fuzz each target for 30 s; FUZZTIME=5m changes that
	@scripts/fuzz.sh

.PHONY: lint
lint: $(LINT) ## Run golangci-lint; PKG=./internal/x/... narrows it
	$(LINT) run $(PKG)

.PHONY: fmt
fmt: $(LINT) ## Format the code
	$(LINT) fmt

.PHONY: generate
generate: ## Write generated files anew
	$(GO) generate ./...

.PHONY: check
check: lint ## Before a commit: format, lint, vet, generated files, tests of what changed
	@$(LINT) fmt --diff
	$(GO) vet ./...
	$(GO) mod tidy -diff
	@scripts/check-generated.sh
	@scripts/test-changed.sh

.PHONY: deps
deps: deps-run deps-test ## Install what running and testing need

.PHONY: deps-run
deps-run: ## Install what running needs: PostgreSQL
	@scripts/deps.sh postgres

.PHONY: deps-test
deps-test: ## Install what testing needs: PostgreSQL, PgBouncer, Redis, Node.js, a C compiler
	@scripts/deps.sh postgres pgbouncer redis node cc

.PHONY: deps-cluster
deps-cluster: ## Install what running pods needs: containerd, runc, CNI plug-ins, iptables, conntrack, mmdebstrap
	@scripts/deps.sh containers

.PHONY: clean
clean: ## Remove what was built (not the state of slipway dev in .slipway)
	rm -rf bin

$(LINT):
	@mkdir -p bin/tools
	GOBIN=$(CURDIR)/bin/tools $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	@mv bin/tools/golangci-lint $(LINT)
