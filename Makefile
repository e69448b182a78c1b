# Rackseed. Bare `make` lists what can be made; HACKING.md says more.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -buildid= -X main.version=$(VERSION)
BUILD   := CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'
TOOL    := $(GO) tool -modfile=tools/go.mod
SUMMARY := $(GO) run ./hack/testsummary

FUZZTIME ?= 20s

.DEFAULT_GOAL := help
.PHONY: help build check-reproducible loaders agent demo test test-packages soak race lint vuln fuzz bench e2e e2e-rack screenshots board-load clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: loaders agent ## build ./rackseed: static, reproducible, boot loaders and discovery agents inside
	$(BUILD) -o rackseed ./cmd/rackseed

check-reproducible: loaders agent ## build twice, without the cache, and compare
	hack/reproducible.sh $(BUILD)

loaders: ## fetch the iPXE boot loaders that the binary embeds (Debian package, pinned)
	@hack/loaders.sh

agent: ## build the discovery agents that the binary embeds, for amd64 and arm64
	@GO='$(GO)' hack/agent.sh

demo: ## a simulated rack goes from power-off to ready: no root, no network
	@hack/loaders.sh || echo "going on without boot loaders: the simulated machines need none"
	$(BUILD) -o rackseed ./cmd/rackseed
	./rackseed demo --exit

test: loaders agent test-packages ## every test; skipped ones are listed by name at the end
	@{ $(GO) test -race -json -timeout 10m $$(hack/packages.sh fast); \
	   $(GO) test -json -p 1 -parallel 3 -timeout 18m $$(hack/packages.sh slow); } | $(SUMMARY)

test-packages:
	@hack/debian-packages.sh go-race clients firmware answers bundle bmc web
	@hack/npm.sh || echo "tests that look at the page in a browser will be skipped, by name"
	@test/bundle/root.sh .cache/bundle >/dev/null || echo "tests that run a bundle in Debian will be skipped, by name"
	@hack/trixie.sh kickseed-common >/dev/null || echo "tests in which Debian reads kickstarts will be skipped, by name"
	@hack/netboot-iso.sh >/dev/null || echo "tests that start Debian's installer will be skipped, by name"

soak: loaders ## racks of 500 machines with every fault, while the daemon is killed, round after round
	@SOAK_MACHINES=$${SOAK_MACHINES:-500} SOAK_KILLS=$${SOAK_KILLS:-40} SOAK_ROUNDS=$${SOAK_ROUNDS:-10} $(GO) test -v -count=1 -timeout 3h -run TestEveryFault ./test/daemon

race: ## the unit tests under the race detector, three times
	@hack/debian-packages.sh go-race clients bmc
	@$(GO) test -race -count=3 -json -timeout 20m $$(hack/packages.sh fast) | $(SUMMARY)

lint: ## formatting, go vet, golangci-lint (pinned in tools/go.mod), shell scripts
	@hack/lint.sh

vuln: ## known vulnerabilities in what the code calls
	@hack/vuln.sh

fuzz: ## every fuzz target for FUZZTIME (default 20s each)
	@hack/fuzz.sh $(FUZZTIME)

bench: loaders ## load beside the peers (dnsmasq, Kea, nginx), printed as ratios
	@hack/debian-packages.sh clients bench
	@hack/bench.sh $(BENCHFLAGS)

screenshots: ## pictures of every page of the demo, in artifacts/screenshots
	@hack/debian-packages.sh web
	@hack/npm.sh
	@hack/screenshots.sh artifacts/screenshots

board-load: ## the board with 16,000 machines and 500 state changes a second: frame times and heap
	@hack/debian-packages.sh web
	@hack/npm.sh
	@hack/board-load.sh

e2e: loaders agent ## real unattended installs in QEMU; artifacts/ keeps their logs
	@hack/debian-packages.sh clients firmware install
	@hack/e2e.sh

e2e-rack: loaders ## two machines installed by their BMCs alone, one of them twice: twenty minutes
	@hack/debian-packages.sh clients firmware install bmc
	@E2E_RACK=1 hack/e2e.sh -run TestRackInstallsItself

clean: ## remove what make made
	rm -rf rackseed .cache artifacts
	find pkg/ipxe/loaders/files pkg/discovery/agents/files -type f ! -name README.md -delete
