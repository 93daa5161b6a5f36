# Everything a developer does with this repository. `make` alone lists it.

VERSION       := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS       := -s -w -X main.version=$(VERSION)
BINARY        := bin/borealis
GOLANGCI      := v2.15.0
FUZZTIME      ?= 20s
TEST_TIMEOUT  := 15m
DEVICES       ?= 15000

export CGO_ENABLED ?= 0

.DEFAULT_GOAL := help
.PHONY: build demo run test check bench gen gen-compat fuzz tools clean help

build: ## Build bin/borealis: one static binary
	go build -trimpath -ldflags '$(LDFLAGS)' -o $(BINARY) ./cmd/borealis

demo: build ## Start a demo server with simulated devices and send a push
	$(BINARY) demo

run: build ## Start a server with its data in ./data
	$(BINARY) serve

test: ## Vet and run all tests (installs what they run beside Go where it may)
	build/ensure-test-tools.sh
	go vet ./...
	go test -timeout $(TEST_TIMEOUT) ./...
	@for note in bin/not-run bin/not-run-sdk; do [ ! -f $$note ] || { echo "DID NOT RUN ($$note):"; cat $$note; }; done

check: tools gen ## What a change must pass before review: format, lint, race detector, nothing left to generate
	build/ensure-test-tools.sh
	@unformatted=$$(gofmt -l cmd internal sdk test); [ -z "$$unformatted" ] || { echo "gofmt: $$unformatted"; exit 1; }
	go mod tidy -diff
	bin/golangci-lint run ./...
	CGO_ENABLED=1 go test -race -timeout $(TEST_TIMEOUT) ./...
	git diff --exit-code -- api docs

bench: build ## Measure a whole server with DEVICES (15000) beside nats-server in the same run, and print the ratios
	$(BINARY) bench all --devices $(DEVICES)

gen: build ## Write what the binary knows best: the OpenAPI document and the sample configuration
	mkdir -p api docs
	$(BINARY) openapi > bin/openapi.yaml && mv bin/openapi.yaml api/openapi.yaml
	$(BINARY) config > bin/sample.yaml && mv bin/sample.yaml docs/borealis.sample.yaml

gen-compat: ## Write what the vendor's libraries were seen to do into docs/compatibility.md
	build/ensure-test-tools.sh
	UPDATE=1 go test -count=1 -run '^TestVendorLibraries$$' ./test/conformance

fuzz: ## Run every fuzz test for FUZZTIME (20s)
	@grep -rho --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' -H . | sed 's|^\(.*\)/[^/]*:func \(.*\)$$|\1 \2|' | sort -u | \
	while read -r dir name; do \
		echo "$$dir $$name"; \
		go test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x "$$dir" || exit 1; \
	done

tools: ## Install the pinned linter into ./bin
	@bin/golangci-lint version 2>/dev/null | grep -q 'version $(GOLANGCI:v%=%) ' || \
		GOBIN='$(CURDIR)/bin' go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI)

clean: ## Remove what was built; data stays
	rm -rf bin

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
