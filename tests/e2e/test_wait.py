"""Runs that wait: for people at a terminal or elsewhere, for signals, for a time."""

import signal
import unittest

from world import Case, wait_for

ASK = {
    'agents': {'up': {'type': 'lua', 'script': 'return string.upper(message)'}},
    'workflows': {
        'main': {
            'nodes': [
                {'id': 'read', 'agent': 'up'},
                {
                    'id': 'ask',
                    'type': 'human',
                    'prompt': 'Publish {{ steps.read.output }}?',
                    'choices': ['yes', 'no'],
                },
                {'id': 'end', 'agent': 'up', 'input': 'said {{ steps.ask.output }}'},
            ]
        }
    },
}


def nap(node):
    return {'workflows': {'main': {'nodes': [dict({'id': 'w', 'type': 'wait'}, **node)]}}}


class Waiting(Case):
    def is_waiting(self):
        done = self.tutti('runs', 'ls', '--json')
        return done.code == 0 and [run for run in done.json if run['status'] == 'waiting']


class Asked(Waiting):
    def asking(self, *more):
        path = self.flow('tutti.json', **ASK)
        done = self.tutti('run', path, '-i', 'text', *more, code=4)
        self.assertIn("tutti gate respond", done.err)
        return self.runs()[0]['run']

    def gate(self, *args, code=0):
        return self.tutti('gate', *args, code=code)

    def test_listed_answered_resumed(self):
        run = self.asking()
        self.assertIn('Publish TEXT?', self.gate('ls').out)
        listed = self.gate('ls', '--json').json
        self.assertEqual(len(listed), 1)
        self.assertEqual((listed[0]['run'], listed[0]['path']), (run, 'ask/question'))
        self.assertEqual(listed[0]['choices'], ['yes', 'no'])
        done = self.gate('respond', run, 'YES', '--by', 'ann', '--resume')
        self.assertEqual(done.out.strip(), 'SAID YES')
        doc = self.tutti('runs', 'show', run, '--json', code=0).json
        self.assertEqual((doc['status'], doc['output']), ('completed', 'SAID YES'))
        self.assertEqual(self.gate('ls', '--json').json, [])

    def test_answered_first_resumed_later(self):
        run = self.asking()
        self.gate('respond', run, 'ask', 'no')
        refused = self.gate('respond', run, 'ask', 'yes', code=2)
        self.assertIn('it was answered already', refused.err)
        self.assertEqual(self.tutti('runs', 'resume', run, code=0).out.strip(), 'SAID NO')

    def test_what_does_not_fit(self):
        run = self.asking()
        for words, said in (
            (('respond', run, 'perhaps'), "'perhaps' is none of 'yes', 'no'"),
            (('respond', run, 'other', 'yes'), "nothing is asked at 'other'; open: 'ask/question'"),
            (('respond', '--token', f'{run}.{"0" * 32}', 'yes'), 'the token fits no open question'),
            (('respond', 'ZZZ', 'yes'), "there is no run 'ZZZ'"),
        ):
            done = self.gate(*words, code=None)
            self.assertNotEqual(done.code, 0)
            self.assertIn(said, done.err)
        self.assertEqual(len(self.gate('ls', '--json').json), 1)

    def test_a_token_answers_once(self):
        self.asking()
        token = self.gate('ls', '--json').json[0]['token']
        self.assertEqual(self.gate('respond', '--token', token, 'no', '--resume').out.strip(), 'SAID NO')
        again = self.gate('respond', '--token', token, 'yes', code=None)
        self.assertIn('the token fits no open question', again.err)

    def test_a_token_that_nobody_sees(self):
        self.asking()
        token = self.gate('ls', '--json').json[0]['token']
        self.assertIn('no token', self.tutti('gate', 'respond', '--token', '-', 'no', input='\n', code=2).err)
        self.tutti('gate', 'respond', '--token', '-', 'no', input=token + '\n', code=0)
        again = self.tutti('gate', 'respond', '--token', '-', 'no', input=token, code=2)
        self.assertIn('it was answered already', again.err)

    def test_asked_while_others_work(self):
        nodes = [
            {'id': 'slow', 'agent': 'slow'},
            {'id': 'ask', 'type': 'human', 'prompt': 'Enough?', 'approval': True},
        ]
        path = self.flow(
            'tutti.json',
            agents={'slow': {'type': 'exec', 'command': ['sleep', '3']}},
            workflows={'main': {'nodes': nodes}},
        )
        child = self.start('run', path, '-i', 'x')
        wait_for(lambda: 'Enough?' in self.tutti('gate', 'ls').out)
        self.assertEqual(self.runs()[0]['status'], 'running')
        self.gate('respond', self.runs()[0]['run'], 'yes')
        done = self.end(child)
        self.assertEqual(done.code, 0, done)
        self.assertIn('[ask]:\nyes', done.out)

    def test_answered_while_another_part_works(self):
        path = self.flow(
            'tutti.json',
            agents={
                'boss': {'type': 'human'},
                'chief': {'type': 'human'},
                'slow': {'type': 'exec', 'command': ['sleep', '2']},
            },
            workflows={
                'main': {
                    'type': 'queue',
                    'agents': ['boss', 'slow', 'chief'],
                    'max_concurrency': 1,
                    'tasks': [
                        {'id': 'one', 'description': 'One?', 'agent': 'boss'},
                        {'id': 'work', 'description': 'x', 'agent': 'slow'},
                        {'id': 'two', 'description': 'Two?', 'agent': 'chief'},
                    ],
                }
            },
        )
        child = self.start('run', path, '-i', 'x')
        wait_for(lambda: 'One?' in self.tutti('gate', 'ls').out)
        self.gate('respond', self.runs()[0]['run'], 'task[0]', 'yes')
        self.assertEqual(self.end(child).code, 4)
        listed = self.gate('ls', '--json').json
        self.assertEqual([one['path'] for one in listed], ['task[2]/question'])

    def test_answered_at_once_through_another_owner(self):
        nodes = [{'id': name, 'type': 'human', 'prompt': name} for name in 'abcd']
        path = self.flow(
            'tutti.json',
            agents={'slow': {'type': 'exec', 'command': ['sleep', '6']}},
            workflows={'main': {'nodes': nodes + [{'id': 'slow', 'agent': 'slow'}]}},
        )
        owner = self.start('run', path, '-i', 'x')
        wait_for(lambda: self.tutti('gate', 'ls').out.count('/question') == 4)
        guest = self.start('run', path, '-i', 'x', '--run-id', 'guest')
        wait_for(lambda: self.tutti('gate', 'ls').out.count('/question') == 8)
        for name in 'dcba':
            self.gate('respond', 'guest', name, 'yes')
            wait_for(lambda: name not in [one['prompt'] for one in self.gate('ls', 'guest', '--json').json], 3)
        self.assertEqual(self.tutti('runs', 'show', 'guest', '--json', code=0).json['status'], 'running')
        self.end(guest)
        self.end(owner)

    def test_another_process_answers_while_it_stays(self):
        path = self.flow('tutti.json', **ASK)
        child = self.start('run', path, '-i', 'text', '--wait')
        wait_for(lambda: self.is_waiting())
        self.gate('respond', self.runs()[0]['run'], 'yes')
        done = self.end(child)
        self.assertEqual((done.code, done.out.strip()), (0, 'SAID YES'), done)

    def test_at_the_terminal(self):
        path = self.flow('tutti.json', **ASK)
        shown = self.at_terminal(['run', path, '-i', 'text'], (b'perhaps\n', b'y\n'))
        self.assertIn(b"'perhaps' is none of", shown)
        self.assertIn(b'SAID YES', shown)


class Waited(Waiting):
    def test_a_time_is_waited_for(self):
        path = self.flow('tutti.json', **nap({'for': '300ms'}))
        done = self.tutti('run', path, '-i', 'x', code=0)
        self.assertEqual(done.out.strip(), 'x')
        self.assertGreaterEqual(done.seconds, 0.3)

    def test_a_signal_from_outside(self):
        path = self.flow('tutti.json', **nap({'signal': 'go'}))
        self.tutti('run', path, '-i', 'x', code=4)
        run = self.runs()[0]['run']
        self.tutti('runs', 'signal', run, 'go', '{"n": 1}', '--once', 'k', code=0)
        self.assertIn('sent before', self.tutti('runs', 'signal', run, 'go', '2', '--once', 'k', code=0).out)
        self.assertEqual(self.tutti('runs', 'resume', run, '--json', code=0).json['output'], {'n': 1})
        self.assertIn('has ended', self.tutti('runs', 'signal', run, 'go', code=None).err)

    def test_interrupted_while_it_stays(self):
        path = self.flow('tutti.json', **nap({'for': '1h'}))
        child = self.start('run', path, '-i', 'x')
        wait_for(lambda: self.is_waiting())
        child.send_signal(signal.SIGINT)
        done = self.end(child)
        self.assertEqual(done.code, 130, done)
        self.assertEqual(self.runs()[0]['status'], 'waiting')

    def test_mistakes(self):
        for node, said in (
            ({'for': '1s', 'signal': 'x'}, 'one of `for`, `until` and `signal`'),
            ({}, 'one of `for`, `until` and `signal`'),
            ({'type': 'human', 'prompt': 'a', 'escalate': {'to': 'b'}}, 'escalate needs a timeout'),
            ({'type': 'human', 'prompt': 'a', 'choices': ['b'], 'schema': {}}, 'one of them says what an answer is'),
        ):
            path = self.flow('tutti.json', **nap(node))
            self.assertIn(said, self.tutti('validate', path, code=3).err)
        path = self.flow('tutti.json', **nap({'until': 'tomorrow'}))
        self.assertIn("'tomorrow' is no time", self.tutti('run', path, '-i', 'x', code=1).err)


if __name__ == '__main__':
    unittest.main()
