# Two commands do all the set-up there is: `make run` and `make test`.

# A day of simulated traffic through the starter rules, ending in the summary.
run:
	cargo build --quiet --package weir
	mkdir -p target/demo
	target/debug/weir simulate --seed 7 --users 2000 --days 1 --out target/demo/day.jsonl
	target/debug/weir replay target/demo/day.jsonl --rules fixtures/wallet --out target/demo/decisions.csv

# The whole test suite, benches included (each runs its work once).
test:
	cargo test --workspace --all-features --all-targets
	cargo test --workspace --all-features --doc

.PHONY: run test
