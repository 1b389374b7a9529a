#!/usr/bin/env python3
"""run.py [FILE...] - runs the end-to-end tests, a process a file, three at once; shows what failed.

A file that is no Python is a test program that is run as it is. Ends with the line "N passed, N failed". A skipped
test is named with its reason and counts as neither.
"""

import concurrent.futures
import glob
import io
import os
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def one(path):
    """In a process of its own: the tests of one file."""
    sys.path.insert(0, HERE)
    sys.dont_write_bytecode = True
    name = os.path.basename(path)[:-3]
    text = io.StringIO()
    result = unittest.TextTestRunner(stream=text).run(unittest.defaultTestLoader.loadTestsFromName(name))
    # A test that fails in several of its cases is one failed test.
    bad = len({getattr(test, 'test_case', test).id() for test, _ in result.failures + result.errors})
    if bad:
        print(text.getvalue())
    for test, why in result.skipped:
        print(f'    skipped {test.id()}: {why}')
    print(f'{result.testsRun - bad - len(result.skipped)} passed, {bad} failed')


def child(path):
    start = time.monotonic()
    python = os.path.join(ROOT, 'build/venv/bin/python3')  # it has what tool servers brought along
    python = python if os.path.exists(python) else sys.executable
    command = [python, os.path.abspath(__file__), '--one', path] if path.endswith('.py') else [path]
    done = subprocess.run(command, capture_output=True, text=True)
    return path, done, time.monotonic() - start


def main():
    if sys.argv[1:2] == ['--one']:
        return one(sys.argv[2])
    paths = sys.argv[1:] or sorted(glob.glob(os.path.join(HERE, 'test_*.py')))
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        for path, done, seconds in pool.map(child, paths):
            lines = done.stdout.rstrip().splitlines() or ['']
            try:
                p, f = (int(word.split()[0]) for word in lines[-1].split(','))
            except ValueError:
                p, f, lines = 0, 1, lines + [done.stderr, '']
            passed, failed = passed + p, failed + f
            if f or path.endswith('.py'):
                print(*lines[:-1], sep='\n', end='\n' if lines[:-1] else '')
            print(f'{os.path.basename(path):32} {p:4} passed {f:4} failed {seconds:6.1f} s', flush=True)
    print(f'{passed} passed, {failed} failed')
    return sys.exit(failed > 0)


main()
