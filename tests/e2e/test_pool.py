"""Connections to tool servers: how many there are, who shares them, what becomes of those that die or rest."""

import os
import signal
import sys
import unittest
from collections import Counter

from world import FAKE, Case, alive, processes_with, wait_for

GOOD = os.path.join(FAKE, 'mcp_good.py')


class Pool(Case):
    def good(self, name='diary', seconds=0.0, **more):
        return dict({'command': sys.executable, 'args': [GOOD, self.path(name), str(seconds)]}, **more)

    def diary(self, name='diary'):
        """[(what, pid, text)], as the processes wrote it."""
        try:
            return [tuple(line.split(' ')) for line in self.read(name).splitlines()]
        except FileNotFoundError:
            return []

    def pids(self, what, name='diary'):
        return [line[1] for line in self.diary(name) if line[0] == what]

    def none_left(self):
        wait_for(lambda: not processes_with(os.path.basename(self.dir) + '/diary'), 10)

    def crowd(self, n, effect='idempotent', **server):
        return self.flow(
            mcp_servers={'good': self.good(seconds=0.02, **server)},
            agents={'a': {'type': 'mcp', 'server': 'good', **({'effect': effect} if effect else {})}},
            workflows={
                'main': {
                    'max_concurrency': 100,
                    'nodes': [
                        {
                            'id': 'all',
                            'type': 'foreach',
                            'items': [f'i{i}' for i in range(n)],
                            'concurrency': n,
                            'agent': 'a',
                            'action': 'echo',
                            'parameters': {'text': '{{ item }}'},
                        }
                    ],
                }
            },
        )

    def test_fifty_calls_on_three_processes(self):
        doc = self.run_ok(self.crowd(50, max_connections=3), '-i', 'x')
        self.assertEqual(doc['output'], [f'i{i}' for i in range(50)])
        self.assertEqual(len(self.pids('start')), 3)
        spread = Counter(self.pids('call'))  # the first is at work while the others start
        self.assertEqual(sum(spread.values()), 50)
        self.assertGreaterEqual(min(spread.values()), 8, spread)
        self.none_left()

    def test_one_is_enough_unless_more_are_allowed(self):
        self.run_ok(self.crowd(20), '-i', 'x')
        self.assertEqual(len(self.pids('start')), 1)
        self.none_left()

    def test_tools_are_listed_once_for_each_process(self):
        self.run_ok(self.crowd(20, effect=None, max_connections=2), '-i', 'x')
        self.assertEqual(sorted(self.pids('list')), sorted(self.pids('start')))
        self.assertEqual((len(self.pids('start')), len(self.pids('call'))), (2, 20))
        self.none_left()

    def test_a_call_in_doubt_is_settled_without_its_server(self):
        file = self.flow(
            mcp_servers={'good': self.good(call_timeout='200ms')},
            agents={'a': {'type': 'mcp', 'server': 'good'}},
            workflows={'main': {'nodes': [{'id': 'n', 'agent': 'a', 'action': 'never'}]}},
        )
        self.tutti('run', file, '-i', 'x', code=4)
        run = self.tutti('runs', 'ls', '--json', code=0).json[0]['run']
        self.tutti('runs', 'resume', run, code=4)
        self.tutti('runs', 'resume', run, '--in-doubt', 'done', code=0)
        self.assertEqual([len(self.pids(what)) for what in ('start', 'list', 'call')], [1, 1, 1])
        self.none_left()

    def test_what_is_interrupted_while_its_server_starts_has_not_begun(self):
        wait = f'touch {self.path("begun")}; while [ ! -e {self.path("go")} ]; do sleep 0.02; done; exec "$@"'
        good = self.good()
        slow = {'command': 'sh', 'args': ['-c', wait, 'sh', good['command'], *good['args']]}
        for effect in ({}, {'effect': 'once'}):
            with self.subTest(effect=effect):
                file = self.flow(
                    mcp_servers={'good': slow},
                    agents={'a': {'type': 'mcp', 'server': 'good', **effect}},
                    workflows={'main': {'nodes': [{'id': 'n', 'agent': 'a', 'action': 'echo'}]}},
                )
                done = self.interrupt_when(
                    self.start('run', file, '-i', 'x'), lambda: os.path.exists(self.path('begun'))
                )
                self.assertEqual(done.code, 130)
                self.write('go', '')
                run = self.tutti('runs', 'ls', '--json', code=0).json[0]['run']
                self.tutti('runs', 'resume', run, code=0)
                self.assertEqual(len(self.pids('call')), 1)
                for name in ('begun', 'go', 'diary'):
                    os.unlink(self.path(name))
        self.none_left()

    def between(self, **server):
        """A call, a program that waits for the file `go`, another call."""
        wait = f'while [ ! -e {self.path("go")} ]; do sleep 0.02; done; echo "{{}}"'
        return self.flow(
            mcp_servers={'good': self.good(**server)},
            agents={
                'a': {'type': 'mcp', 'server': 'good'},
                'w': {'type': 'exec', 'command': ['sh', '-c', wait], 'effect': 'pure'},
            },
            workflows={
                'main': {
                    'nodes': [
                        {'id': 'one', 'agent': 'a', 'action': 'echo', 'parameters': {'text': '1'}},
                        {'id': 'pause', 'agent': 'w', 'depends_on': ['one']},
                        {
                            'id': 'two',
                            'agent': 'a',
                            'action': 'echo',
                            'parameters': {'text': '2'},
                            'depends_on': ['pause'],
                        },
                    ]
                }
            },
        )

    def ended_well(self, child, starts):
        self.write('go', '')
        done = self.end(child)
        self.assertEqual(done.code, 0, done)
        self.assertEqual(len(self.pids('start')), starts)
        self.assertEqual([line[2] for line in self.diary() if line[0] == 'answer'], ['1', '2'])
        self.none_left()

    def test_one_that_died_while_nobody_used_it_is_replaced(self):
        child = self.start('run', self.between(), '-i', 'x', '--json')
        (pid,) = wait_for(lambda: self.pids('answer'))
        os.kill(int(pid), signal.SIGKILL)
        wait_for(lambda: not alive(pid))
        self.ended_well(child, 2)

    def test_one_that_rests_is_closed(self):
        child = self.start('run', self.between(idle_timeout='200ms'), '-i', 'x', '--json')
        wait_for(lambda: self.pids('end'))
        self.assertIsNone(child.poll())
        self.ended_well(child, 2)

    def test_one_that_may_rest_stays(self):
        child = self.start('run', self.between(idle_timeout='1h'), '-i', 'x', '--json')
        wait_for(lambda: self.pids('answer'))
        self.ended_well(child, 1)

    def many_servers(self, **settings):
        names = ['a', 'b', 'c', 'd']
        return self.flow(
            settings=settings,
            mcp_servers={name: self.good('diary', 0.1) for name in names},
            agents={name: {'type': 'mcp', 'server': name, 'effect': 'idempotent'} for name in names},
            workflows={
                'main': {
                    'nodes': [
                        {'id': name, 'agent': name, 'action': 'echo', 'parameters': {'text': name}} for name in names
                    ]
                }
            },
        )

    def most(self, begins, ends):
        """How many were between these two lines at the same time."""
        now = most = 0
        for what, *_ in self.diary():
            now += (what == begins) - (what == ends)
            most = max(most, now)
        return most

    def test_no_more_processes_than_allowed_in_all(self):
        doc = self.run_ok(self.many_servers(max_connections=2), '-i', 'x')
        self.assertEqual([doc['nodes'][name]['text'] for name in 'abcd'], list('abcd'))
        self.assertEqual((self.most('start', 'end'), len(self.pids('start'))), (2, 4))
        self.none_left()

    def test_no_more_in_use_by_a_run_than_allowed(self):
        self.run_ok(self.many_servers(max_agents_per_run=1), '-i', 'x')
        self.assertEqual((self.most('call', 'answer'), len(self.pids('start'))), (1, 4))
        self.none_left()

    def test_a_server_that_is_not_shared_ends_with_its_run(self):
        self.run_ok(self.crowd(10, shared=False, max_connections=2), '-i', 'x')
        self.assertEqual((len(self.pids('start')), len(self.pids('end'))), (2, 2))
        self.none_left()


if __name__ == '__main__':
    unittest.main()
