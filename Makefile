# Two commands do all the set-up there is: `make run` and `make test`.

# A server with starter rules and simulated traffic, watched live: until Ctrl-C, or where there is no terminal for half a
# minute. On a terminal the demo is a job of its own (`set -m`), so that Ctrl-C ends it well and does not reach make, which
# would call that a failure.
run:
	@if [ -t 0 ]; then set -m; fi; cargo run --package weir -- demo; exit $$?

# The whole test suite, benches included (each runs its work once).
test:
	tests/install.sh
	cargo test --workspace --all-features --all-targets
	cargo test --workspace --all-features --doc

.PHONY: run test
