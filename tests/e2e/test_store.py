"""The folder of the journal when it is not as it should be."""

import os
import shutil
import sqlite3
import subprocess
import unittest

from world import Case, TUTTI, wait_for

FILE = '''
profiles: {echo: {provider: script, echo: true}}
agents: {a: {}}
workflows: {main: {type: chain, sequence: [a]}}
'''


class Store(Case):
    def setUp(self):
        super().setUp()
        self.write('tutti.yaml', FILE)
        os.chmod(self.dir, 0o755)

    def as_nobody(self, *words):
        """Runs the program as an ordinary user, who cannot write everywhere as root can."""
        if os.getuid() != 0:
            return self.tutti(*words)
        if not shutil.which('setpriv'):
            self.skipTest('root without setpriv cannot become an ordinary user')
        program = self.path('tutti-copy')
        shutil.copy(TUTTI, program)
        os.chmod(program, 0o755)
        child = self.start(
            '--reuid=65534', '--regid=65534', '--clear-groups', program, *words, program=shutil.which('setpriv')
        )
        return self.end(child)

    def clear(self, done, *words, code=None):
        """It failed, told why in a line or two, and did not break down."""
        self.assertNotEqual(done.code, 0, done)
        self.assertIn(done.code, (1, 2) if code is None else (code,), done)
        for word in words:
            self.assertIn(word, done.err)
        self.assertLess(len(done.err), 1000)
        self.assertEqual(done.out, '')

    def test_read_only_folder(self):
        os.mkdir(self.path('ro'))
        os.chmod(self.path('ro'), 0o555)
        self.clear(self.as_nobody('run', '-i', 'x', '--store', 'ro/store'), 'ro/store', 'ermission')

    def test_read_only_store(self):
        self.run_ok('-i', 'x', '--store', 'store')
        for name in os.listdir(self.path('store')):
            os.chmod(self.path('store', name), 0o444)
        os.chmod(self.path('store'), 0o555)
        self.clear(self.as_nobody('run', '-i', 'x', '--store', 'store'), 'store', 'ermission')

    def test_of_somebody_else(self):
        self.run_ok('-i', 'x', '--store', 'store')
        if os.getuid() != 0:  # there is nobody else to be: it is closed to ourselves
            os.chmod(self.path('store'), 0)
            self.addCleanup(os.chmod, self.path('store'), 0o700)
        self.clear(self.as_nobody('runs', 'ls', '--store', 'store'), 'store', 'ermission')

    def test_a_file_is_in_its_place(self):
        self.write('store', 'a file')
        self.clear(self.tutti('run', '-i', 'x', '--store', 'store'), 'store')
        self.clear(self.tutti('runs', 'ls', '--store', 'store'), 'store')
        self.assertEqual(self.read('store'), 'a file')

    def test_below_a_file(self):
        self.write('file', 'x')
        self.clear(self.tutti('run', '-i', 'x', '--store', 'file/store'), 'file')

    def test_not_a_database(self):
        os.mkdir(self.path('store'))
        self.write('store/tutti.db', 'this is no database, but long enough to look like one ' * 100)
        self.clear(self.tutti('run', '-i', 'x', '--store', 'store'), 'tutti.db')
        self.clear(self.tutti('runs', 'ls', '--store', 'store'), 'tutti.db')
        self.assertIn('this is no database', self.read('store', 'tutti.db'))

    def test_somebody_elses_database(self):
        os.mkdir(self.path('store'))
        other = sqlite3.connect(self.path('store', 'tutti.db'))
        other.execute('CREATE TABLE mine(x)')
        other.commit()
        other.close()
        self.clear(self.tutti('run', '-i', 'x', '--store', 'store'), 'tutti.db')

    def test_cut_off(self):
        for i in range(5):
            self.run_ok('-i', 'x' * 5000, '--store', 'store')
        base = sqlite3.connect(self.path('store', 'tutti.db'))
        base.execute('PRAGMA wal_checkpoint(TRUNCATE)')
        base.close()
        size = os.path.getsize(self.path('store', 'tutti.db'))
        os.truncate(self.path('store', 'tutti.db'), size // 2)
        done = self.tutti('runs', 'ls', '--store', 'store')
        again = self.tutti('run', '-i', 'x', '--store', 'store')
        checked = self.tutti('doctor', '--store', 'store')
        self.assertTrue(done.code or again.code or checked.code, (done, again, checked))
        for one in (done, again):
            self.assertIn(one.code, (0, 1, 2), one)

    def test_damaged_in_the_middle(self):
        doc = self.run_ok('-i', 'x' * 30000, '--store', 'store')
        base = sqlite3.connect(self.path('store', 'tutti.db'))
        base.execute('PRAGMA wal_checkpoint(TRUNCATE)')
        base.close()
        with open(self.path('store', 'tutti.db'), 'r+b') as opened:
            data = opened.read()
            at = data.find(b'x' * 100)
            self.assertGreater(at, 0)
            opened.seek(at + 50)
            opened.write(b'y')
        done = self.tutti('runs', 'show', doc['run'], '--store', 'store')
        self.assertNotEqual(done.code, 0, done)
        self.assertIn('damaged', done.err)
        done = self.tutti('doctor', '--store', 'store', code=1)
        self.assertIn('problem', done.out)

    def test_install_key_damaged(self):
        self.run_ok('-i', 'x', '--store', 'store')
        self.write('store/install.key', 'short')
        self.clear(self.tutti('run', '-i', 'x', '--store', 'store'), 'install.key')

    def test_disk_full(self):
        if os.getuid() != 0:
            self.skipTest('only root can mount a small file system')
        small = self.path('small')
        os.mkdir(small)
        mounted = subprocess.run(
            ['mount', '-t', 'tmpfs', '-o', 'size=400k', 'none', small], capture_output=True, text=True
        )
        if mounted.returncode:
            self.skipTest('no small file system can be mounted: ' + mounted.stderr.strip())
        self.addCleanup(subprocess.run, ['umount', '-l', small], capture_output=True)
        self.write('big.txt', 'z' * 3000000)
        self.clear(self.tutti('run', '-i', '@big.txt', '--store', small + '/store'), 'full')
        done = self.tutti('runs', 'ls', '--store', small + '/store', '--json')
        if done.code == 0:
            self.assertEqual([r for r in done.json if r['status'] == 'completed'], [])

    def test_disk_full_by_limit(self):
        """The same by a limit on the size of files, which needs no rights."""
        self.write('big.txt', 'z' * 3000000)
        child = self.start(
            '-c',
            'ulimit -f 200; trap "" XFSZ; exec "$0" "$@"',
            TUTTI,
            'run',
            '-i',
            '@big.txt',
            '--store',
            'store',
            program='/bin/sh',
        )
        self.clear(self.end(child), 'store')
        self.run_ok('-i', 'small', '--store', 'store')

    def test_no_more_file_descriptors(self):
        child = self.start(
            '-c', 'ulimit -n 12; exec "$0" "$@"', TUTTI, 'run', '-i', 'x', '--store', 'store', program='/bin/sh'
        )
        done = self.end(child)
        self.assertIn(done.code, (0, 1, 2), done)

    def test_nothing_was_run_here_yet(self):
        done = self.tutti('runs', 'ls')
        self.assertIn(done.code, (0, 2), done)
        self.assertEqual(done.err.count('opening the store'), 1, done)
        self.assertFalse(os.path.exists(self.path('.tutti')))

    def test_looking_writes_nothing(self):
        self.run_ok('-i', 'x', '--store', 'store')

        def seen():
            return {name: os.stat(self.path('store', name)).st_mtime_ns for name in ('tutti.db', 'install.key')}

        before = seen()
        for words in (['ls'], ['ls', '--json']):
            self.tutti('runs', *words, '--store', 'store', code=0)
        self.assertEqual(seen(), before)


if __name__ == '__main__':
    unittest.main()
