"""`tutti test`: tests that stand in files."""

import os

from world import Case, EXAMPLES, SECRET

FLOW = '''
agents:
  a: {instruction: one}
  b: {instruction: two}
  shop: {type: http, endpoint: "http://127.0.0.1:9/", retry: {max_attempts: 1}}
workflows:
  main: {type: chain, sequence: [a, b]}
  buy: {nodes: [{id: get, agent: shop, action: fetch}, {id: say, agent: a, input: "{{ steps.get.output.n }}"}]}
  lines: {type: chain, sequence: [a]}
  choose: {type: router, agents: [a, b]}
'''


class Tests(Case):
    def check(self, tests, *words, code=None, **more):
        self.write('flow.yaml', FLOW)
        self.write('flow.test.yaml', {'include': ['flow.yaml'], 'tests': tests})
        return self.tutti('test', 'flow.test.yaml', *words, code=code, **more)

    def failures(self, test):
        report = self.check({'t': test}, '--json', code=1).json
        self.assertEqual((report['passed'], report['failed']), (0, 1))
        return report['tests'][0]['failures']

    def test_the_example(self):
        done = self.tutti('test', os.path.join(EXAMPLES, 'greeting.test.yaml'), code=0)
        self.assertIn('4 passed, 0 failed', done.out)
        self.assertLess(done.seconds, 10)  # a virtual clock: its runs take two days and more

    def test_what_is_told_of_a_failure(self):
        replies = {'a': 'x', 'b': {'json': {'n': 1, 'l': [{'k': 'v'}]}}}
        expect = {
            'status': 'partial',
            'output': 'y',
            'contains': ['n', 'zebra'],
            'excludes': 'n',
            'matches': ['"n": ?1', '^z'],
            'when': ["output == 'z'", 'steps.a.status == "completed"'],
            'nodes': {'a': 'completed', 'b': 'failed', 'c': 'completed'},
        }
        failures = self.failures({'workflow': 'main', 'replies': replies, 'expect': expect})
        what = [(f['what'], f.get('expected')) for f in failures]
        self.assertEqual(
            what,
            [
                ('status', 'partial'),
                ('output', 'y'),
                ('contains', 'zebra'),
                ('excludes', 'n'),
                ('matches', '^z'),
                ('when', "output == 'z'"),
                ('node b', 'failed'),
                ('node c', 'completed'),
            ],
        )

    def test_members_of_an_output(self):
        test = {'workflow': 'buy', 'replies': {'shop': {'json': {'n': 4.0}}, 'a': 'fine'}}
        out = self.check({'t': dict(test, expect={'output': 'fine', 'nodes': {'get': {'output': {'n': 4}}}})}, code=0)
        self.assertIn('1 passed, 0 failed', out.out)
        (one,) = self.failures(dict(test, expect={'json': {'x.y': 1}}))
        self.assertEqual(one['what'], 'json x.y')

    def test_texts_are_compared_line_by_line(self):
        test = {'workflow': 'lines', 'replies': {'a': 'one\ntwo\nthree'}, 'expect': {'output': 'one\n2\nthree'}}
        (one,) = self.failures(test)
        self.assertEqual(one['diff'], '@@ -1,3 +1,3 @@\n one\n-2\n+two\n three\n')
        self.assertIn('-2\n', self.check({'t': test}, code=1).out)

    def test_a_reply_that_nobody_said(self):
        (one,) = self.failures({'workflow': 'main', 'replies': {'a': 'x'}, 'expect': {}})
        self.assertIn("'x'", one['actual'])
        (one,) = self.failures({'workflow': 'main', 'replies': {'zed': 'x'}, 'expect': {}})
        self.assertIn("there is no such agent", one['actual'])

    def test_turns_and_everybody_else(self):
        judged = {'json': {'agent': 'b', 'confidence': 1, 'reason': 'r'}}
        test = {'workflow': 'choose', 'replies': {'*': judged, 'b': 'me'}, 'expect': {'output': 'me'}}
        self.check({'t': test}, code=0)
        self.check({'t': {'workflow': 'main', 'replies': ['always'], 'expect': {'output': 'always'}}}, code=0)

    def test_nothing_outside_is_called(self):
        """With a virtual clock there is no network; with a real one there is, when it is wanted."""
        (one,) = self.failures({'workflow': 'buy', 'replies': {'a': 'x'}, 'expect': {}})
        self.assertEqual(one['what'], 'status')
        self.assertIn("say `clock: real`", one['actual'])
        (one,) = self.failures({'workflow': 'buy', 'clock': 'real', 'replies': {'a': 'x'}, 'expect': {}})
        self.assertIn('127.0.0.1', one['actual'])

    def test_some_of_them(self):
        tests = {name: {'workflow': 'lines', 'replies': ['x'], 'expect': {}} for name in ('first', 'second', 'third')}
        self.assertEqual(self.check(tests, '--filter', 's', '--json', code=0).json['passed'], 2)
        self.assertEqual(self.check(tests, '--filter', 't*', '--json', code=0).json['passed'], 1)
        self.assertIn("did you mean 'third'", self.check(tests, '--filter', 'thrid', code=2).err)

    def test_mistakes_have_an_address(self):
        self.write('flow.yaml', FLOW + 'tests:\n  t: {workflow: main, expct: {}}\n  u: {expect: {status: ok}}\n')
        done = self.tutti('test', 'flow.yaml', code=3)
        lines = done.err.strip().split('\n')
        self.assertEqual(len(lines), 2, done)
        self.assertRegex(lines[0], r"^flow.yaml:\d+:\d+: .*did you mean 'expect'")
        self.assertRegex(lines[1], r"^flow.yaml:\d+:\d+: .*'ok'")
        self.write('none.yaml', FLOW)
        self.assertIn('has no `tests`', self.tutti('test', 'none.yaml', code=2).err)
        self.assertNotEqual(self.tutti('test', 'not-here.yaml').code, 0)
        self.assertIn('too many', self.tutti('test', 'a', 'b', code=2).err)

    def test_a_workflow_that_is_not_there(self):
        (one,) = self.failures({'workflow': 'mian', 'expect': {}})
        self.assertIn("mian", one['actual'])

    def test_tests_are_no_part_of_what_runs(self):
        flow = 'agents: {a: {type: lua, script: return message}}\nworkflows: {main: {type: chain, sequence: [a]}}\n'
        self.write('one.yaml', flow)
        self.write('two.yaml', flow + 'tests: {t: {input: x, expect: {output: x}}}\n')
        plans = {self.tutti('run', f, '--dry-run', code=0).out for f in ('one.yaml', 'two.yaml')}
        self.assertEqual(len(plans), 1)
        self.tutti('test', 'two.yaml', code=0)
        self.assertFalse(os.path.exists(self.path('.tutti')))

    def test_an_answer_that_does_not_fit(self):
        self.write(
            'ask.yaml',
            '''
agents: {a: {type: lua, script: return message}}
workflows: {main: {nodes: [{id: ask, type: human, prompt: Well?, choices: [aye, nay], timeout: 1h, default: nay}]}}
tests:
  fits: {answers: {ask: aye}, expect: {output: aye}}
  fits not: {answers: {ask: maybe}, expect: {output: nay}}
  nobody: {expect: {output: nay}}
''',
        )
        report = self.tutti('test', 'ask.yaml', '--json', code=1).json
        ok = {t['name']: t['ok'] for t in report['tests']}
        self.assertEqual(ok, {'fits': True, 'fits not': False, 'nobody': True})

    def test_recorded_once_then_without_a_network(self):
        server = self.model()
        parts = {
            'profiles': {'p': self.profile(server)},
            'agents': {'a': {}},
            'workflows': {'main': {'type': 'chain', 'sequence': ['a']}},
        }
        test = {'input': 'hello', 'recording': 'calls.jsonl', 'expect': {'matches': '.'}}
        self.flow('rec.yaml', tests={'t': test}, **parts)
        self.tutti('test', 'rec.yaml', '--record', code=0, env={'MODEL_KEY': SECRET})
        calls = len(server.log)
        self.assertGreater(calls, 0)
        self.tutti('test', 'rec.yaml', code=0)
        self.assertEqual(len(server.log), calls)
        self.assert_nowhere(SECRET)
        self.flow('rec.yaml', tests={'t': dict(test, input='something else')}, **parts)
        self.assertIn('record', self.tutti('test', 'rec.yaml', code=1).out)
