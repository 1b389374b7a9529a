# The stand-ins that other tests lean on, tested by themselves: `make fakes` (three seconds).
.PHONY: fakes
fakes:
	@python3 tests/fake/test_fakes.py
