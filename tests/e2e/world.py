"""What the end-to-end tests share: a folder for each test, the program, and its fake peers.

A test is a user: it writes files, runs the program, looks at what came out. Nothing here knows the inside of
the program. TUTTI=path tests another binary than build/tutti.
"""

import contextlib
import json
import os
import pty
import re
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
FAKE = os.path.join(TOP, 'tests', 'fake')
EXAMPLES = os.path.join(TOP, 'examples')
TUTTI = os.path.abspath(os.environ.get('TUTTI', os.path.join(TOP, 'build', 'tutti')))
SERVERS = os.path.join(TOP, 'build', 'npm', 'node_modules', '@modelcontextprotocol')
sys.path.insert(0, FAKE)
sys.dont_write_bytecode = True
import ledger  # noqa: E402
import llm_server  # noqa: E402

SECONDS = 30  # what no single command of these tests may exceed
SECRET = 'sk-secret-4f9c1d77aa02'
BASE = {'openai': '/v1', 'anthropic': '', 'ollama': '', 'gemini': '/v1beta'}
ASK = {'model': 'm-1'}


def wait_for(what, seconds=SECONDS):
    """Calls what until it gives something true; the test fails when it never does."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f'waited {seconds} s in vain for {what}')
        threading.Event().wait(0.02)


def peak_mb(child):
    """The most memory that a living process has had so far."""
    try:
        with open(f'/proc/{child.pid}/status', encoding='ascii') as opened:
            return next(int(line.split()[1]) for line in opened if line.startswith('VmHWM')) / 1024
    except (OSError, StopIteration):
        return 0


def alive(pid):
    """A process that still runs; one that is dead and not yet collected does not."""
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8', errors='replace') as opened:
            return opened.read().rsplit(')', 1)[1].split()[0] not in 'ZX'
    except (FileNotFoundError, ProcessLookupError):
        return False


def processes_with(word):
    """Numbers of the processes whose environment or command line holds this word."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/cmdline', 'rb') as line, open(f'/proc/{pid}/environ', 'rb') as env:
                if word.encode() in line.read() + env.read() and alive(pid):
                    found.append(int(pid))
        except OSError:
            pass
    return found


class Done:
    """A command that has ended."""

    def __init__(self, code, out, err, seconds):
        self.code, self.out, self.err, self.seconds = code, out, err, seconds

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]

    def __repr__(self):
        return (
            f'exit {self.code} after {self.seconds:.2f} s\n--- stdout\n{self.out[-3000:]}\n'
            f'--- stderr\n{self.err[-3000:]}'
        )


class Case(unittest.TestCase):
    maxDiff = 4000

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='tutti-e2e-')
        self.addCleanup(shutil.rmtree, self.dir, True)
        home = os.path.join(self.dir, 'home')
        os.mkdir(home)
        self.env = {'PATH': os.environ['PATH'], 'HOME': home, 'LANG': 'C.UTF-8', 'TMPDIR': self.dir}

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self, name, text):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as opened:
            opened.write(text if isinstance(text, str) else json.dumps(text))
        return path

    def read(self, *names):
        with open(self.path(*names), encoding='utf-8') as opened:
            return opened.read()

    # ---- the program -----------------------------------------------------------------------------
    def start(self, *words, env=None, cwd=None, stdin=subprocess.DEVNULL, program=None, **more):
        child = subprocess.Popen(
            [program or TUTTI, *map(str, words)],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors='replace',
            cwd=cwd or self.dir,
            env=dict(self.env, **(env or {})),
            **more,
        )
        self.addCleanup(self.put_away, child)
        return child

    @staticmethod
    def put_away(child):
        if child.poll() is None:
            child.kill()
            child.wait()
        for stream in (child.stdin, child.stdout, child.stderr):
            if stream:
                stream.close()

    def end(self, child, input=None, seconds=SECONDS):
        start = time.monotonic()
        try:
            out, err = child.communicate(input, seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            out, err = child.communicate()
            self.fail(f'{child.args} did not end within {seconds} s\n{out[-2000:]}\n{err[-2000:]}')
        err = re.sub(r"==\d+==WARNING: ASan doesn't fully support .*\n", '', err)
        return Done(child.returncode, out, err, time.monotonic() - start)

    def tutti(self, *words, input=None, code=None, seconds=SECONDS, **more):
        """Runs the program to its end; code: what it must exit with."""
        pipe = subprocess.DEVNULL if input is None else subprocess.PIPE
        done = self.end(self.start(*words, stdin=pipe, **more), input, seconds)
        self.assertNotRegex(done.err, 'AddressSanitizer|runtime error:|Assertion')
        if code is not None:
            self.assertEqual(done.code, code, done)
        return done

    def at_terminal(self, words, said):
        """Runs the program to its end where a person sits, who says these lines, each when asked; what was shown."""
        pid, fd = pty.fork()
        if pid == 0:
            os.execvpe(TUTTI, [TUTTI, *words], self.env)
        shown = b''
        for line in said:
            while not shown.endswith(b'> '):
                self.assertTrue(select.select([fd], [], [], 20)[0], shown)
                shown += os.read(fd, 4096)
            os.write(fd, line)
            shown += os.read(fd, 4096)
        try:
            while True:
                more = os.read(fd, 4096)
                if not more:
                    break
                shown += more
        except OSError:
            pass
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0, shown)
        return shown

    def run_ok(self, *words, **more):
        """`tutti run ... --json` that completes; its document."""
        return self.tutti('run', *words, '--json', code=0, **more).json

    def runs(self, **more):
        """All runs of the store, newest first."""
        return self.tutti('runs', 'ls', '--all', '--json', code=0, **more).json

    def is_running(self, **more):
        """For waiting: whether a run is under way, also when the store is only just being made."""
        done = self.tutti('runs', 'ls', '--all', '--json', **more)
        return done.code == 0 and [run['run'] for run in done.json if run['status'] == 'running']

    def interrupt_when(self, child, what, how=signal.SIGINT):
        """Waits for what, then sends the signal and lets the program end."""
        wait_for(lambda: what() or child.poll() is not None)
        self.assertIsNone(child.poll(), 'it ended too early')
        child.send_signal(how)
        return self.end(child)

    def empty_mb(self):
        """What a process of it takes that does nothing."""
        child = self.start('version')
        return os.wait4(child.pid, 0)[2].ru_maxrss / 1024

    def database(self, query):
        """Rows of the store, read beside whoever writes it."""
        try:
            with contextlib.closing(
                sqlite3.connect(f'file:{self.path(".tutti", "tutti.db")}?mode=ro', uri=True)
            ) as base:
                return base.execute(query).fetchall()
        except sqlite3.OperationalError:
            return []  # it is only being made

    def number(self, query):
        return next(iter(self.database(query)), (0,))[0]

    # ---- its peers -------------------------------------------------------------------------------
    def model(self, script=None, **options):
        """A fake model service in this process, as llm_server.Server: .url, .log, .stats()."""
        server = llm_server.Server(0, script, **options)
        thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01}, daemon=True)
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.stop)
        return server

    def ledger(self, **options):
        server = ledger.Server(self.path('ledger.jsonl'), **options)
        thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01}, daemon=True)
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server

    def entries(self):
        return ledger.read(self.path('ledger.jsonl'))[0]

    def profile(self, server, provider='openai', **more):
        return dict(
            {
                'provider': provider,
                'model': 'm-1',
                'api_key': '${MODEL_KEY}',
                'base_url': server.url + BASE[provider],
            },
            **more,
        )

    def flow(self, name='flow.json', **top):
        """Writes a file (JSON is one of the two spellings) and gives its path."""
        return self.write(name, json.dumps(top))

    # ---- what must not be there ------------------------------------------------------------------
    def assert_nowhere(self, word, *dones, besides=()):
        """The word is in no output and in no file below the test's folder."""
        for done in dones:
            self.assertNotIn(word, done.out)
            self.assertNotIn(word, done.err)
        for folder, _, names in os.walk(self.dir):
            for name in names:
                if name in besides:
                    continue
                try:
                    with open(os.path.join(folder, name), 'rb') as opened:
                        self.assertNotIn(word.encode(), opened.read(), os.path.join(folder, name))
                except OSError:
                    pass  # a socket


def filesystem_server(folder, **more):
    """The real filesystem server, started by node as it lies there."""
    program = os.path.join(SERVERS, 'server-filesystem', 'dist', 'index.js')
    return dict({'command': 'node', 'args': [program, folder], 'connect_timeout': '30s'}, **more)


def needs_servers(test):
    there = os.path.isdir(SERVERS) and shutil.which('node')
    return unittest.skipUnless(there, 'no tool servers below build/npm; tools/fetch-servers gets them')(test)
