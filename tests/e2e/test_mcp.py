"""Tool servers that misbehave: the run goes on, says why, ends in time, and leaves no process behind."""

import os
import signal
import sys
import unittest

from world import FAKE, Case, SECRET, alive, processes_with, wait_for

BAD = os.path.join(FAKE, 'mcp_bad.py')


class Servers(Case):
    def setUp(self):
        super().setUp()
        self.env.update(MODEL_KEY=SECRET)
        self.mark = os.path.basename(self.dir)  # in the command line of every server of this test

    def bad(self, habit, **more):
        return dict(
            {
                'command': sys.executable,
                'args': [BAD, habit, self.path(self.mark + '.pids')],
                'connect_timeout': '1s',
                'call_timeout': '1s',
            },
            **more,
        )

    def none_left(self):
        wait_for(lambda: not [pid for pid in processes_with(self.mark + '.pids')], 10)

    def with_model(self, habit, **more):
        """An agent whose model calls the bad server's tool, and is content with whatever comes."""
        server = self.model(
            {
                'rules': [
                    {
                        'match': {'turn': 0, 'tools': 'bad__echo'},
                        'reply': {'tool_calls': [{'name': 'bad__echo', 'arguments': {'text': 'hi'}}]},
                    },
                    {'match': {'after_tools': True}, 'reply': {'text': 'told: $tool_result'}},
                    {'reply': {'text': 'without tools'}},
                ]
            }
        )
        return self.flow(
            'tutti.json',
            profiles={'p': self.profile(server)},
            default_profile='p',
            mcp_servers={'bad': self.bad(habit, **more)},
            agents={'a': {'servers': ['bad']}},
            workflows={'main': {'type': 'chain', 'sequence': ['a']}},
        )

    def test_the_model_is_told_and_the_run_goes_on(self):
        for habit, says in (
            ('silent', '^without tools'),
            ('mute', 'told: .*no answer in time'),
            ('dies', 'told: .*status 7.*last words'),
            ('kills', 'told: .*signal 9'),
            ('garbage', '^without tools'),
            ('long', 'told: .*longer than any message'),
            ('wide', 'told: .*longer than any message'),
            ('other', 'told: .*no answer in time'),
            ('late', 'told: .*no answer in time'),
            ('twice', 'told: hi'),
            ('deaf', 'told: '),
            ('stubborn', 'told: hi'),
            ('stray', 'told: hi'),
            ('noisy', 'told: hi'),
            ('slow', 'told: hi'),
            ('children', 'told: hi'),
        ):
            with self.subTest(habit=habit):
                limit = {'call_timeout': '10s'} if habit in ('noisy', 'slow', 'long', 'wide') else {}
                done = self.tutti('run', self.with_model(habit, **limit), '-i', 'x', '--json', seconds=20)
                self.assertEqual(done.code, 0, done)
                self.assertRegex(done.json['text'].replace('\n', ' '), says)
                self.assertLess(done.seconds, 12)
                self.none_left()

    def test_a_flood_is_survived(self):
        done = self.tutti('run', self.with_model('floods', call_timeout='15s'), '-i', 'x', '--json', seconds=25)
        self.assertEqual(done.code, 0, done)
        self.assertRegex(done.json['text'], 'told: ')
        self.none_left()

    def test_as_an_agent_the_node_fails_in_time(self):
        for habit in ('silent', 'garbage', 'deaf'):
            with self.subTest(habit=habit):
                file = self.flow(
                    'tutti.json',
                    mcp_servers={'bad': self.bad(habit)},
                    agents={'a': {'type': 'mcp', 'server': 'bad', 'effect': 'pure', 'retry': {'max_attempts': 1}}},
                    workflows={'main': {'nodes': [{'id': 'n', 'agent': 'a', 'action': 'echo'}]}},
                )
                done = self.tutti('run', file, '-i', 'x', code=1, seconds=12)
                self.assertIn("'bad'", done.err)
                self.none_left()

    def two_calls(self, habit, **more):
        return self.flow(
            'tutti.json',
            mcp_servers={'bad': self.bad(habit, **more)},
            agents={'a': {'type': 'mcp', 'server': 'bad', 'effect': 'idempotent'}},
            workflows={
                'main': {
                    'nodes': [
                        {'id': 'x', 'agent': 'a', 'action': 'echo', 'parameters': {'text': '1'}},
                        {'id': 'y', 'agent': 'a', 'action': 'echo', 'parameters': {'text': '2'}, 'depends_on': ['x']},
                    ]
                }
            },
        )

    def test_one_that_closed_its_input_and_lives_on_is_replaced(self):
        doc = self.run_ok(self.two_calls('closes', call_timeout='20s'), '-i', 'x')
        self.assertEqual([doc['nodes'][n]['text'] for n in 'xy'], ['1', '2'])
        self.assertLess(doc['nodes']['y']['duration_ms'], 8000)  # not the time-out of the call
        self.none_left()

    def crowd(self, effect):
        return self.flow(
            'tutti.json',
            mcp_servers={'bad': self.bad('crowd', call_timeout='20s')},
            agents={'a': {'type': 'mcp', 'server': 'bad', 'effect': effect}},
            workflows={
                'main': {
                    'max_concurrency': 100,
                    'nodes': [
                        {
                            'id': 'all',
                            'type': 'foreach',
                            'items': [f'i{i}' for i in range(50)],
                            'concurrency': 50,
                            'agent': 'a',
                            'action': 'echo',
                            'parameters': {'text': '{{ item }}'},
                        }
                    ],
                }
            },
        )

    def test_one_that_dies_in_fifty_calls(self):
        doc = self.run_ok(self.crowd('idempotent'), '-i', 'x')
        self.assertEqual(doc['output'], [f'i{i}' for i in range(50)])
        self.assertEqual(doc['usage']['tool_calls'], 100)
        self.none_left()

    def test_fifty_calls_in_doubt_are_settled_together(self):
        self.tutti('run', self.crowd('once'), '-i', 'x', code=4)
        run = self.tutti('runs', 'ls', '--json', code=0).json[0]['run']
        self.tutti('runs', 'resume', run, '--in-doubt', 'retry', code=0)
        doc = self.tutti('runs', 'show', run, '--json', code=0).json
        self.assertEqual(doc['output'], [f'i{i}' for i in range(50)])
        self.none_left()

    def test_a_once_call_without_an_answer_is_in_doubt(self):
        for habit in ('mute', 'dies'):
            with self.subTest(habit=habit):
                file = self.flow(
                    'tutti.json',
                    mcp_servers={'bad': self.bad(habit)},
                    agents={'a': {'type': 'mcp', 'server': 'bad'}},
                    workflows={'main': {'nodes': [{'id': 'n', 'agent': 'a', 'action': 'echo'}]}},
                )
                done = self.tutti('run', file, '-i', 'x', code=4, seconds=12)
                self.assertIn('in doubt', done.err)

    def test_only_the_callers_of_a_bad_server_suffer(self):
        good = {'command': sys.executable, 'args': [BAD, 'good', self.path(self.mark + '.pids')]}
        file = self.flow(
            'tutti.json',
            mcp_servers={'bad': self.bad('silent'), 'good': good},
            agents={
                'a': {'type': 'mcp', 'server': 'bad', 'retry': {'max_attempts': 1}},
                'b': {'type': 'mcp', 'server': 'good'},
            },
            workflows={
                'main': {
                    'failure_strategy': 'partial_completion_allowed',
                    'nodes': [
                        {'id': 'x', 'agent': 'a', 'action': 'echo', 'parameters': {'text': '1'}},
                        {'id': 'y', 'agent': 'b', 'action': 'echo', 'parameters': {'text': '2'}},
                    ],
                }
            },
        )
        doc = self.run_ok(file, '-i', 'x')
        self.assertEqual((doc['status'], doc['nodes']['y']['text']), ('partial', '2'))
        self.none_left()

    def test_nothing_is_left_after_kill_9(self):
        for habit in ('mute', 'children', 'stubborn'):
            with self.subTest(habit=habit):
                server = self.model({'rules': [{'fault': {'kind': 'hang', 'ms': 20000}}]})
                file = self.flow(
                    'tutti.json',
                    profiles={'p': self.profile(server)},
                    default_profile='p',
                    mcp_servers={'bad': self.bad(habit)},
                    agents={'a': {'servers': ['bad']}},
                    workflows={'main': {'type': 'chain', 'sequence': ['a']}},
                )
                child = self.start('run', file, '-i', 'x')
                wait_for(lambda: server.in_flight or child.poll() is not None)
                self.assertTrue(processes_with(self.mark + '.pids'))
                pids = []
                if habit == 'children':
                    pids = [int(line) for line in self.read(self.mark + '.pids').split()]
                    self.assertTrue(all(map(alive, pids)))
                child.send_signal(signal.SIGKILL)
                child.wait()
                self.none_left()
                wait_for(lambda: not any(map(alive, pids)), 10)

    def test_nothing_is_left_after_ctrl_c(self):
        server = self.model({'rules': [{'fault': {'kind': 'hang', 'ms': 20000}}]})
        file = self.flow(
            'tutti.json',
            profiles={'p': self.profile(server)},
            default_profile='p',
            mcp_servers={'bad': self.bad('stubborn')},
            agents={'a': {'servers': ['bad']}},
            workflows={'main': {'type': 'chain', 'sequence': ['a']}},
        )
        done = self.interrupt_when(self.start('run', file, '-i', 'x'), lambda: server.in_flight)
        self.assertEqual(done.code, 130)
        self.none_left()

    def test_programs_of_exec_agents_end_too(self):
        file = self.flow(
            'tutti.json',
            agents={'a': {'type': 'exec', 'command': ['sh', '-c', 'sleep 45.5 & sleep 45.5']}},  # tidy: it is killed
            workflows={'main': {'type': 'chain', 'sequence': ['a']}},
        )
        child = self.start('run', file, '-i', 'x')
        wait_for(lambda: processes_with('45.5'))
        child.kill()
        child.wait()
        self.none_left()
        wait_for(lambda: not processes_with('45.5'), 10)

    def test_the_environment_of_a_server_is_its_own(self):
        """What the program knows is not handed to every tool server."""
        file = self.flow(
            'tutti.json',
            mcp_servers={'bad': self.bad('children', env={'MINE': '${EXTRA}'})},
            agents={
                'a': {'type': 'mcp', 'server': 'bad', 'effect': 'pure'},
                'look': {
                    'type': 'exec',
                    'effect': 'pure',
                    'command': [
                        'sh',
                        '-c',
                        f"for p in $(pgrep -f {self.mark}.pids); do tr '\\0' '\\n' < /proc/$p/environ; done",
                    ],
                },
            },
            workflows={
                'main': {
                    'nodes': [
                        {'id': 'n', 'agent': 'a', 'action': 'echo'},
                        {'id': 'l', 'agent': 'look', 'depends_on': ['n'], 'input': 'x'},
                    ]
                }
            },
        )
        text = self.run_ok(file, '-i', 'x', env={'EXTRA': 'for-it'})['nodes']['l']['text']
        self.assertIn('MINE=for-it', text)

    def test_doctor_and_mcp_say_which_server_is_bad(self):
        self.flow(
            'tutti.json',
            mcp_servers={'bad': self.bad('silent'), 'good': {'command': sys.executable, 'args': [BAD, 'good']}},
            agents={'a': {}},
            workflows={'main': {'type': 'chain', 'sequence': ['a']}},
        )
        rows = {row['name']: row for row in self.tutti('mcp', 'ls', '--json', code=0).json}
        self.assertEqual(rows['good']['tools'], 1)
        self.assertTrue(rows['bad'].get('error'), rows)
        done = self.tutti('mcp', 'tools')
        self.assertNotEqual(done.code, 0)
        self.assertIn('bad', done.err)
        self.assertIn('good.echo', done.out)


if __name__ == '__main__':
    unittest.main()
