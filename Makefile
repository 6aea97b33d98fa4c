# What is done by hand, and by .ci/run.

.DEFAULT_GOAL := help
# Every target that says what it does; none of them is a file.
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*\#\# .*/\1/p' $(MAKEFILE_LIST))

CARGO ?= cargo
FUZZ_SECONDS ?= 60

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## serve with demo clients on loopback, tokens in memory
	$(CARGO) run --locked --release -- serve --dev

test: ## run every test; installs Debian's redis-tools (or brew's redis) where there is no redis-server
	@server=$$(scripts/redis-server) && echo "tests run $$server" && \
	REDIS_SERVER=$$server $(CARGO) test --locked --workspace --no-fail-fast

torture: ## kill, stop, cut and restart everything a hundred times under load; ROUNDS=5, REQUESTS=20000 and ONLY=rolling make it short
	@server=$$(scripts/redis-server) && REDIS_SERVER=$$server TORTURE_ROUNDS=$(ROUNDS) TORTURE_REQUESTS=$(REQUESTS) TORTURE_ONLY=$(ONLY) \
	  $(CARGO) test --locked --test it -- --ignored --exact torture::torture --nocapture

timing: ## measure whether time tells an unknown client from a wrong secret: Welch's t over a million samples
	$(CARGO) test --locked --release --lib -- --ignored --exact --nocapture \
	  actors::authenticator::timing::a07_time_tells_no_unknown_client_from_a_wrong_secret

lint: ## check the format and every lint; a warning is an error
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

doc: ## build the documentation, private items too; a broken link is an error
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" $(CARGO) doc --locked --workspace --no-deps --document-private-items

bench: ## measure the parts in process
	$(CARGO) bench --locked --workspace

bench-count: ## count instructions a request with valgrind's callgrind: the same on a busy machine
	$(CARGO) bench --locked --bench count

loadtest: ## measure the service on both stores beside a bare HTTP server; writes a report
	$(CARGO) build --locked --release --workspace
	@server=$$(scripts/redis-server) && REDIS_SERVER=$$server target/release/jeton-loadtest turns --tokens 50000 \
	  --commit "$$(git describe --always --dirty)" --json target/loadtest/report.json --html target/loadtest/report.html

loadtest-picture: loadtest ## draw docs/report.png from its report; needs chromium
	scripts/report-picture

profile: ## sample where the time of a request goes, in jeton on both stores and in the bare server; needs Linux' perf
	$(CARGO) build --locked --profile profiling --workspace
	@server=$$(scripts/redis-server) && REDIS_SERVER=$$server target/profiling/jeton-loadtest profile --jeton target/profiling/jeton

loadtest-peers: ## measure the service beside node's oidc-provider, in turns; needs npm
	$(CARGO) build --locked --release --workspace
	mkdir -p target/peers && cp -R loadtest/peers/oidc-provider target/peers/
	npm ci --ignore-scripts --no-audit --no-fund --prefix target/peers/oidc-provider
	@server=$$(scripts/redis-server) && REDIS_SERVER=$$server target/release/jeton-loadtest turns \
	  --peer oidc-provider=target/peers/oidc-provider --turns 7 --seconds 2 --tokens 5000 \
	  --commit "$$(git describe --always --dirty)" --json target/loadtest/peers.json --html target/loadtest/peers.html

loadtest-scale: ## measure how cost grows with clients, tokens, connections and more; LARGE=1: also 10^7 tokens in Redis
	$(CARGO) build --locked --release --workspace
	@server=$$(scripts/redis-server) && REDIS_SERVER=$$server target/release/jeton-loadtest scale $(if $(LARGE),--large) \
	  --commit "$$(git describe --always --dirty)" --json target/loadtest/scale.json

loadtest-overload: ## ask more than the store, or a core, can do, and judge what the service makes of it
	$(CARGO) build --locked --release --workspace
	@server=$$(scripts/redis-server) && REDIS_SERVER=$$server target/release/jeton-loadtest overload \
	  --commit "$$(git describe --always --dirty)" --json target/loadtest/overload.json

observe: ## let a real Prometheus watch jeton under load, ask every query of rules and dashboard, draw the dashboard
	$(CARGO) build --locked --release --workspace
	@server=$$(scripts/redis-server) && tools=$$(scripts/prometheus) && \
	REDIS_SERVER=$$server PROMETHEUS_BIN=$$tools python3 -B scripts/observe

interop: ## let clients that others wrote speak to jeton, and ask oidc-provider the same; needs Python and npm
	$(CARGO) build --locked
	python3 -m venv target/interop/venv
	target/interop/venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement scripts/interop/requirements.txt
	mkdir -p target/interop && cp -R scripts/interop/node target/interop/
	npm ci --ignore-scripts --no-audit --no-fund --prefix target/interop/node
	@server=$$(scripts/redis-server) && REDIS_SERVER=$$server target/interop/venv/bin/python -B scripts/interop

fuzz: ## let fuzzers at every door for $(FUZZ_SECONDS) seconds each; needs nightly Rust, and installs cargo-fuzz into target/
	FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/fuzz

deploy-check: ## hold the manifests under deploy/ against Kubernetes' schemas and systemd's checker; needs Python
	scripts/deploy-check

attacks: ## run every attack at full size against a real process, with a good client beside it; prints a table
	$(CARGO) test --locked --profile profiling --test it attacks::full -- --ignored --nocapture

simulate: ## live SEEDS (10000) lives full of faults, each drawn from its seed; or one SEED, with its record
	SEED=$(SEED) SEEDS=$(SEEDS) $(CARGO) test --locked --lib -- --ignored --exact --nocapture simulation::as_asked_for

ci: ## all that .ci/run does
	.ci/run
