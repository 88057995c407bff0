"""Experiments: arms that differ in a setting or two, trained over seeds and told apart by
`python -m benchmarks.evidence`."""
