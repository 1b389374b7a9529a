"""Conversations that outlive a run: what agents, routers and chains are told of before."""

import json
import os

from world import TUTTI, Case, SECRET, wait_for


class Talk(Case):
    def setUp(self):
        super().setUp()
        self.env['MODEL_KEY'] = SECRET
        self.server = self.model()

    def file(self, agents=None, **workflows):
        return self.flow(
            profiles={'p': self.profile(self.server)},
            agents=agents or {'a': {'use_history': True, 'instruction': 'Be kind.'}},
            workflows=workflows or {'main': {'type': 'chain', 'sequence': ['a']}},
        )

    def say(self, file, text, *more, conversation='alice'):
        return self.run_ok(file, '-i', text, '--conversation', conversation, *more)

    def told(self):
        """The messages of the last request, as (role, text)."""
        return [(m['role'], m['content']) for m in self.server.log[-1]['body']['messages']]

    def test_an_agent_is_told_what_was_said_before(self):
        file = self.file()
        self.say(file, 'one')
        self.say(file, 'two')
        self.assertEqual(
            self.told(),
            [('system', 'Be kind.'), ('user', 'one'), ('assistant', 'echo: one'), ('user', 'two')],
        )

    def test_conversations_and_runs_without_one_know_nothing_of_each_other(self):
        file = self.file()
        self.say(file, 'one')
        self.say(file, 'two', conversation='bob')
        self.assertEqual(len(self.told()), 2)
        self.run_ok(file, '-i', 'three')
        self.assertEqual(len(self.told()), 2)
        self.say(file, 'four')
        self.assertEqual([text for _, text in self.told()[1:]], ['one', 'echo: one', 'four'])

    def test_the_context_is_bounded(self):
        file = self.file({'a': {'use_history': True, 'context': {'max_tokens': 100, 'strategy': 'trim'}}})
        for i in range(6):
            self.say(file, f'{i} ' + 30 * 'word ')
        self.assertLess(len(self.told()), 6)
        self.assertIn('5 word', self.told()[-1][1])

    def test_names_of_any_kind(self):
        file = self.file()
        for name in ('a/b', 'a', '%2f', 'Gr\u00fc\u00dfe', 120 * 'x'):
            with self.subTest(name=name):
                self.say(file, 'one', conversation=name)
                self.say(file, 'two', conversation=name)
                self.assertEqual(len(self.told()), 4)

    def test_names_that_are_none(self):
        file = self.file()
        for name, why in (('', '1 to 128 bytes, not 0'), (129 * 'x', 'not 129'), ('a\nb', 'control characters')):
            with self.subTest(name=name):
                done = self.tutti('run', file, '-i', 'x', '--conversation', name, code=2)
                self.assertIn(why, done.err)

    def test_a_chain_goes_on_with_its_last_agent(self):
        agents = {'plan': {'instruction': 'Plan.'}, 'talk': {'instruction': 'Talk.'}}
        file = self.file(agents, main={'type': 'chain', 'sequence': ['plan', 'talk'], 'continue_with_final': True})
        self.say(file, 'one')
        self.assertEqual(len(self.server.log), 2)
        self.say(file, 'two')
        self.assertEqual(len(self.server.log), 3)
        self.assertEqual(
            [text for _, text in self.told()], ['Talk.', 'echo: one', 'echo: echo: one', 'two']
        )

    def test_what_is_kept_can_be_seen_and_forgotten(self):
        agents = {'a': {'use_history': True}, 'b': {'use_history': True}}
        file = self.file(agents, main={'type': 'chain', 'sequence': ['a', 'b']})
        self.say(file, 'one')
        self.say(file, 'two', conversation='bob')
        rows = self.tutti('runs', 'history', '--json', code=0).json
        self.assertEqual(
            [(row['conversation'], row['agent']) for row in rows],
            [('alice', 'a'), ('alice', 'b'), ('bob', 'a'), ('bob', 'b')],
        )
        self.assertEqual(rows[0]['exchange']['assistant'], 'echo: one')
        self.assertIn('echo: two', self.tutti('runs', 'history', 'a', '--conversation', 'bob', code=0).out)
        forgotten = self.tutti('runs', 'clear-history', 'a', '--conversation', 'bob', code=0)
        self.assertEqual(forgotten.out, '1 exchanges forgotten\n')
        self.say(file, 'three', conversation='bob')
        self.assertEqual(len(self.server.log[-2]['body']['messages']), 1)
        self.assertEqual(len(self.server.log[-1]['body']['messages']), 3)
        self.assertEqual(self.tutti('runs', 'clear-history', '--json', code=0).json, {'forgotten': 5})
        self.assertEqual(self.tutti('runs', 'history', code=0).out, '')

    def test_a_router_is_shown_its_choices(self):
        choice = {'match': {'system': 'routing assistant'}, 'reply': {'json': {'agent': 'ann'}}}
        self.server = self.model({'rules': [choice], 'default': {'text': 'done'}})
        file = self.file(
            {'ann': {'instruction': 'Sums.'}, 'bob': {'instruction': 'Texts.'}},
            main={'type': 'router', 'agents': ['ann', 'bob'], 'use_history': True},
        )
        self.say(file, 'add it up')
        self.say(file, 'go on')
        asked = [json.dumps(entry['body']) for entry in self.server.log if 'routing assistant' in json.dumps(entry)]
        self.assertNotIn('Earlier requests', asked[0])
        self.assertIn('- add it up -> ann', asked[-1])
        row = self.tutti('runs', 'history', 'main', '--json', code=0).json[0]
        self.assertEqual((row['agent'], row['exchange']['agent']), ('router[main]', 'ann'))

    def test_killed_and_resumed_it_is_kept_once(self):
        self.server = self.model({'rules': [{'match': {}, 'reply': {'text': 'fine'}, 'first_ms': 200}]})
        file = self.file({'a': {'use_history': True}}, main={'type': 'chain', 'sequence': ['a', 'a', 'a']})
        for asked in (1, 2):
            with self.subTest(asked=asked):
                self.server.log.clear()
                child = self.start('run', file, '-i', 'x', '--conversation', f'c{asked}', '--json')
                wait_for(lambda: len(self.server.log) >= asked)
                child.kill()
                child.wait()
                run = self.runs()[0]['run']
                done = self.tutti('runs', 'resume', run, '--json', code=0).json
                self.assertEqual(done['status'], 'completed')
                rows = self.tutti('runs', 'history', '--conversation', f'c{asked}', '--json', code=0).json
                self.assertEqual(len(rows), 3, rows)


class Session(Case):
    """A conversation that several inputs reach, in processes that come and go."""

    def setUp(self):
        super().setUp()
        self.env['MODEL_KEY'] = SECRET

    def file(self, server, **more):
        states = {
            'ask': {'say': 'Which way?', 'wait': 'text', 'choices': ['left', 'right'], 'next': 'work'},
            'work': {'agent': 'worker', 'input': 'go {{ vars.ask }}, {{ input }}', 'next': 'again'},
            'again': {'say': 'Once more?', 'wait': 'text', 'cases': [{'when': "vars.again == 'yes'", 'next': 'ask'}],
                      'next': 'end'},
        }
        return self.flow(
            profiles={'p': self.profile(server)},
            agents={'worker': {'instruction': 'Work.'}},
            workflows={'main': dict({'type': 'session', 'states': states}, **more)},
        )

    def test_it_is_led_over_several_processes(self):
        server = self.model()
        file = self.file(server)
        first = self.tutti('run', file, '--run-id', 'alice', '-i', 'hello', code=4)
        self.assertEqual(first.out, 'Which way?\n')
        self.assertIn('tutti send', first.err)
        refused = self.tutti('send', 'alice', 'straight', code=2)
        self.assertIn("'straight' is none of 'left', 'right'", refused.err)
        told = self.tutti('send', 'alice', 'Left', code=4)
        self.assertEqual(told.out, 'echo: go left, hello\nOnce more?\n')
        shown = self.tutti('runs', 'show', 'alice', code=0).out
        self.assertIn('session: waiting at again', shown)
        self.assertEqual(self.tutti('send', 'alice', 'yes', '-q', code=4).out, 'Which way?\n')
        doc = self.tutti('send', 'alice', 'right', '--json', code=4).json
        self.assertEqual(doc['session'], {'state': 'waiting', 'at': 'again'})
        done = self.tutti('send', 'alice', 'no', '--json', code=0).json
        self.assertEqual((done['status'], done['text'], done['session']['state']), ('completed', '', 'idle'))
        self.assertEqual(done['output'], {'ask': 'right', 'work': 'echo: go right, hello', 'again': 'no'})
        self.assertEqual(len(server.log), 2)
        self.assertIn('has ended: completed', self.tutti('send', 'alice', 'x', code=2).err)

    def test_while_it_works_it_says_so(self):
        usual = "I'm currently processing your previous request. Please wait."
        for more, answer in (({}, usual), ({'busy': 'Moment!'}, 'Moment!')):
            with self.subTest(answer=answer):
                server = self.model({'rules': [{'match': {}, 'reply': {'text': 'done'}, 'first_ms': 1500}]})
                file = self.file(server, **more)
                run = self.tutti('run', file, '-i', answer, '--json', code=4).json['run']
                child = self.start('send', run, 'left')
                wait_for(lambda: 'acting' in self.tutti('runs', 'show', run, code=0).out)
                busy = self.tutti('send', run, 'right', code=7)
                self.assertEqual(busy.out, answer + '\n')
                self.assertEqual(self.tutti('send', run, 'right', '--json', code=7).json, {'busy': answer})
                done = self.end(child)
                self.assertEqual((done.code, done.out), (4, 'done\nOnce more?\n'))
                self.assertEqual(self.tutti('send', run, 'no', '-q', code=0).out, '')

    def test_killed_while_it_works_it_hears_nothing_twice(self):
        server = self.model({'rules': [{'match': {}, 'reply': {'text': 'done'}, 'first_ms': 400}]})
        run = self.tutti('run', self.file(server), '-i', 'x', '--json', code=4).json['run']
        child = self.start('send', run, 'left')
        wait_for(lambda: 'acting' in self.tutti('runs', 'show', run, code=0).out)
        child.kill()
        child.wait()
        self.assertEqual(self.tutti('send', run, 'right', code=7).err, '')
        done = self.tutti('runs', 'resume', run, '-q', code=4)
        self.assertEqual(done.out, 'done\nOnce more?\n')
        self.assertEqual(server.log[-1]['body']['messages'][-1]['content'], 'go left, x')

    def test_at_the_terminal(self):
        path = self.file(self.model())
        shown = self.at_terminal(['run', path, '-i', 'hello'], (b'nowhere\n', b'left\n', b'no\n'))
        self.assertIn(b"'nowhere' is none of", shown)
        self.assertIn(b'echo: go left, hello', shown)
        self.assertEqual(shown.count(b'Which way?'), 1, shown)

    def test_what_is_no_session(self):
        server = self.model()
        file = self.flow(
            profiles={'p': self.profile(server)},
            workflows={'main': {'nodes': [{'id': 'w', 'type': 'wait', 'signal': 'input'}]}},
        )
        run = self.tutti('run', file, '-i', 'x', '--json', code=4).json['run']
        self.assertIn('is no session', self.tutti('send', run, 'x', code=2).err)
        self.assertIn('there is no run', self.tutti('send', 'nobody', 'x', code=2).err)
        self.assertEqual(self.tutti('send', run, code=2).out, '')
