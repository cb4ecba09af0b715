"""The drivers' own test suites, run with the drivers' classes and with Shadow's in their place, and held against each
other.

suites    which files, and where they come from: the drivers' source distributions, never a copy in this repository
world     servers, and a configuration that covers every collection, settled in a phase
recorder  inside the process that runs a file: what became of each test
run       one file in one phase
report    counts, differences, and what remains, by reason
"""
